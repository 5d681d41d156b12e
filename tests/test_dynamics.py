"""Closed forms against linear algebra, real steps of an optimizer, other libraries, and their own limits."""

import functools
import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from cases import case, draw, examples, outputs, relative_error

import ntk_tutorial as ntk
from ntk_tutorial.dynamics import MANY, _interpolation

DYNAMICS = {
    "flow": ntk.gradient_flow(),
    "descent": ntk.gradient_descent(0.3),
    "heavy ball": ntk.heavy_ball(0.1, 0.8),
}
predict = jax.jit(ntk.predict, static_argnames="dynamics")
all_dynamics = pytest.mark.parametrize("dynamics", DYNAMICS.values(), ids=DYNAMICS)


@functools.cache
def problem(name="depth 2, bias", width=20, n=5, m=3):
    """A linearized network and its data: kernels of shape (n, n, k, k) and outputs of shape (n, k)."""
    net, params, shape = case(name, width=width)
    x, x_test = examples(shape, n), examples(shape, m, seed=2)
    kernel = ntk.empirical_ntk(net.apply, params)
    f0, f0_test = outputs(net.apply, params, x), outputs(net.apply, params, x_test)
    y = jax.random.normal(jax.random.key(3), f0.shape)
    data = {"ntk_train": ntk.gram(kernel, x), "y_train": y, "f_train0": f0}
    return net, params, x, x_test, data, {"ntk_test_train": ntk.gram(kernel, x_test, x), "f_test0": f0_test}


@functools.cache
def one_output(n=6, m=4):
    """An infinite kernel's matrices, and targets."""
    net, _, shape = case("depth 3, bias")
    x, x_test = examples(shape, n), examples(shape, m, seed=2)
    y = jax.random.normal(jax.random.key(3), (n, 2))
    theta, nngp = ntk.infinite_ntk(net), ntk.infinite_nngp(net)
    return x, x_test, y, *(ntk.gram(k, a, b) for k in (theta, nngp) for a, b in ((x, x), (x_test, x), (x_test, x_test)))


def train_linearized(dynamics, steps, ridge):
    """Parameters of the linearized network, moved step by step: the loss has the ridge's penalty in it."""
    net, params, x, x_test, data, _ = problem()
    linear = ntk.linearize(net.apply, params)

    def loss(p):
        distance = sum(jnp.sum((a - b) ** 2) for a, b in zip(jax.tree.leaves(p), jax.tree.leaves(params), strict=True))
        return ntk.squared_loss(outputs(linear, p, x), data["y_train"]) + ridge / 2 / len(x) * distance

    @jax.jit
    def step(p, v):
        v = jax.tree.map(lambda v, g: dynamics.momentum * v + g, v, jax.grad(loss)(p))
        return jax.tree.map(lambda p, v: p - dynamics.learning_rate * v, p, v), v

    state, seen = (params, jax.tree.map(jnp.zeros_like, params)), {}
    for k in range(max(steps) + 1):
        seen[k] = (outputs(linear, state[0], x), outputs(linear, state[0], x_test)) if k in steps else None
        state = step(*state)
    return [jnp.stack(a) for a in zip(*(seen[k] for k in steps), strict=True)]


@pytest.mark.parametrize(
    "dynamics", [ntk.gradient_descent(0.3), ntk.heavy_ball(0.1, 0.8)], ids=["descent", "heavy ball"]
)
@pytest.mark.parametrize("ridge", [0.0, 0.5])
def test_predict_is_that_many_real_steps(dynamics, ridge):
    *_, data, test = problem()
    steps = (0, 1, 2, 7, 40)
    got = predict(**data, **test, ts=jnp.asarray(steps) * dynamics.learning_rate, dynamics=dynamics, ridge=ridge)
    train, test = train_linearized(dynamics, steps, ridge)
    assert relative_error(got.train, train) < 1e-12 and relative_error(got.test, test) < 1e-12


@pytest.mark.parametrize("ridge", [0.0, 0.5])
def test_flow_is_the_matrix_exponential(ridge):
    *_, data, test = problem()
    n, k = data["y_train"].shape
    theta = np.asarray(ntk.as_matrix(data["ntk_train"]))
    ridged = theta + ridge * np.eye(n * k)
    residual = np.asarray(data["y_train"] - data["f_train0"]).reshape(-1)
    for t in (0.0, 0.5, 3.0, math.inf):
        decay = (
            np.asarray(jax.scipy.linalg.expm(-jnp.asarray(ridged) * t / n)) if t < math.inf else np.zeros_like(theta)
        )
        weights = np.linalg.solve(ridged, (np.eye(n * k) - decay) @ residual)
        got = predict(**data, **test, ts=t, ridge=ridge)
        expected = data["f_train0"] + (theta @ weights).reshape(n, k)
        assert relative_error(got.train, expected) < 1e-11
        across = ntk.as_matrix(test["ntk_test_train"])
        assert relative_error(got.test, test["f_test0"] + (across @ weights).reshape(-1, k)) < 1e-9


@all_dynamics
def test_block_diagonal_kernels_are_kernels_of_one_output(dynamics):
    _, _, y, train, across, *_ = one_output()
    ts = jnp.asarray([0.0, 1.2, 30.0, math.inf])
    plain = predict(train, y, ts, dynamics, ntk_test_train=across)
    blocks = [jnp.einsum("ij,ab->ijab", kernel, jnp.eye(2)) for kernel in (train, across)]
    blocked = predict(blocks[0], y, ts, dynamics, ntk_test_train=blocks[1])
    assert relative_error(blocked.train, plain.train) < 1e-12 and relative_error(blocked.test, plain.test) < 1e-12
    for a in range(2):  # nor does it matter whether outputs come as vectors or as columns
        alone = predict(train, y[:, a], ts, dynamics, ntk_test_train=across)
        assert relative_error(alone.test, plain.test[..., a]) < 1e-12


@all_dynamics
def test_times_are_independent_of_each_other(dynamics):
    _, _, y, train, across, *_ = one_output()
    ts = jnp.asarray([[0.0, 0.6, 1.2], [30.0, 3e3, math.inf]])
    together = predict(train, y, ts, dynamics, ntk_test_train=across)
    for i in np.ndindex(2, 3):
        alone = predict(train, y, float(ts[i]), dynamics, ntk_test_train=across)
        np.testing.assert_allclose(together.train[i], alone.train, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(together.test[i], alone.test, rtol=1e-12, atol=1e-14)
    assert jnp.all(together.train[0, 0] == 0) and predict(train, y).test is None
    np.testing.assert_allclose(together.train[1, 2], y, rtol=1e-9)


@all_dynamics
def test_late_times_end_at_infinity(dynamics):
    """Far beyond 2^31 steps as well, which integers of 32 bits cannot count."""
    _, _, y, train, across, *_ = one_output()
    late, end = (predict(train, y, t, dynamics, ntk_test_train=across).test for t in (3e12, math.inf))
    assert relative_error(late, end) < 1e-9


def test_heavy_ball_without_momentum_and_small_steps():
    _, _, y, train, *_ = one_output()
    ts = jnp.asarray([0.0, 0.6, 3.0, 60.0])
    descent = predict(train, y, ts, ntk.gradient_descent(0.3)).train
    np.testing.assert_array_equal(predict(train, y, ts, ntk.heavy_ball(0.3, 0.0)).train, descent)
    flow = predict(train, y, ts).train
    gaps = jnp.stack(
        [jnp.linalg.norm(predict(train, y, ts, ntk.gradient_descent(h)).train - flow) for h in (0.02, 0.01, 0.005)]
    )
    np.testing.assert_allclose(gaps[:-1] / gaps[1:], 2, rtol=0.02)  # Euler's method is of order one


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_largest_stable_learning_rate(momentum):
    """At 0.99 of it the linearized network's real steps converge, at 1.01 they diverge, and `predict` refuses those."""
    _, _, y, theta, *_ = one_output()
    largest = float(ntk.max_learning_rate(theta, momentum))
    _, vectors = np.linalg.eigh(theta)

    def residual_of_top_mode(learning_rate, num_steps=3000):
        f, v = np.zeros(len(y)), np.zeros(len(y))
        for _ in range(num_steps):  # of v ← μ v + gradient in function space
            v = momentum * v + np.asarray(theta) @ (f - np.asarray(y)[:, 0]) / len(y)
            f = f - learning_rate * v
        return abs(vectors[:, -1] @ (f - np.asarray(y)[:, 0]))

    assert residual_of_top_mode(0.99 * largest) < 1e-3 < 1e3 < residual_of_top_mode(1.01 * largest)
    ntk.predict(theta, y, 1.0, ntk.heavy_ball(0.99 * largest, momentum))
    with pytest.raises(ValueError, match=r"past the largest stable one.*Take it below max_learning_rate"):
        ntk.predict(theta, y, 1.0, ntk.heavy_ball(1.01 * largest, momentum))
    with pytest.raises(ValueError, match="past the largest stable one"):  # a ridge makes the top mode faster
        ntk.predict(
            theta, y, 1.0, ntk.heavy_ball(0.99 * largest, momentum), ridge=0.1 * float(np.linalg.eigvalsh(theta)[-1])
        )


def test_largest_stable_learning_rate_of_coupled_outputs():
    *_, data, _ = problem()
    top = np.linalg.eigvalsh(ntk.as_matrix(data["ntk_train"]))[-1]
    assert ntk.max_learning_rate(data["ntk_train"]) == pytest.approx(2 * 5 / top)


@pytest.mark.parametrize("ridge", [1e-3, 1.0])
def test_the_end_is_kernel_ridge_regression(ridge):
    kernel_ridge = pytest.importorskip("sklearn.kernel_ridge")
    _, _, y, train, across, *_ = one_output()
    expected = kernel_ridge.KernelRidge(alpha=ridge, kernel="precomputed").fit(train, y).predict(across)
    assert relative_error(predict(train, y, ntk_test_train=across, ridge=ridge).test, expected) < 1e-9


@pytest.mark.parametrize("noise", [1e-6, 0.3])
def test_training_the_readout_is_gaussian_process_regression(noise):
    processes = pytest.importorskip("sklearn.gaussian_process")
    net, _, _ = case("depth 3, bias")
    x, x_test, y, _, _, _, train, across, test = one_output()

    class Nngp(processes.kernels.Kernel):
        def __init__(self):
            pass

        def __call__(self, a, b=None, eval_gradient=False):
            return np.array(ntk.gram(ntk.infinite_nngp(net), jnp.asarray(a), None if b is None else jnp.asarray(b)))

        def diag(self, a):
            return np.diag(self(a))

        def is_stationary(self):
            return False

    gp = processes.GaussianProcessRegressor(Nngp(), alpha=noise, optimizer=None).fit(np.asarray(x), np.asarray(y))
    mean, covariance = gp.predict(np.asarray(x_test), return_cov=True)
    noisy = train + noise * jnp.eye(len(y))
    got = ntk.predict_ensemble(
        train, noisy, y, ntk_test_train=across, nngp_test_train=across, nngp_test=test, ridge=noise
    )
    assert relative_error(got.mean, mean) < 1e-8
    np.testing.assert_allclose(got.covariance, covariance[..., 0], atol=1e-8)


def test_ensemble_at_the_start_and_on_training_points():
    _, _, y, theta, theta_across, _, nngp, across, nngp_test = one_output()
    test = {"ntk_test_train": theta_across, "nngp_test_train": across, "nngp_test": nngp_test}
    start = ntk.predict_ensemble(theta, nngp, y, 0.0, **test)
    assert jnp.all(start.mean == 0) and relative_error(start.covariance, nngp_test) < 1e-15
    on_train = {"ntk_test_train": theta, "nngp_test_train": nngp, "nngp_test": nngp}
    end = ntk.predict_ensemble(theta, nngp, y, **on_train)
    np.testing.assert_allclose(end.mean, y, atol=1e-9)
    np.testing.assert_allclose(end.covariance, jnp.zeros_like(nngp), atol=1e-9)
    ts = jnp.asarray([0.0, 2.0, math.inf])
    both = ntk.predict_ensemble(theta, nngp, y, ts, ntk.heavy_ball(0.1, 0.8), **test)
    assert both.mean.shape == (3, 4, 2) and both.covariance.shape == (3, 4, 4)


@all_dynamics
def test_ensemble_is_the_law_of_trained_linear_networks(dynamics):
    """Mean and covariance over many random starts f₀ ~ N(0, K), each trained by `predict`, by their standard errors."""
    _, _, y, theta, theta_across, _, nngp, across, nngp_test = one_output()
    joint = jnp.block([[nngp, across.T], [across, nngp_test]])
    starts = jnp.linalg.cholesky(joint) @ jax.random.normal(jax.random.key(0), (2000, 10, 2))
    test = jax.vmap(
        lambda f: predict(theta, y, 3.0, dynamics, f_train0=f[:6], ntk_test_train=theta_across, f_test0=f[6:]).test
    )(starts)
    expected = ntk.predict_ensemble(
        theta, nngp, y, 3.0, dynamics, ntk_test_train=theta_across, nngp_test_train=across, nngp_test=nngp_test
    )
    mean, error = ntk.estimate(test)
    assert jnp.all(jnp.abs(mean - expected.mean) < 5 * error)
    centred = test - expected.mean[None]
    covariance, error = ntk.estimate(jnp.einsum("sik,sjk->sij", centred, centred) / 2)
    assert jnp.all(jnp.abs(covariance - expected.covariance) < 5 * error)


def test_ensemble_is_the_law_of_wide_networks():
    """Networks of width 256, linearized, trained to the end: the spread over initializations is the predicted one."""
    net = ntk.mlp(256, 1, 1, ntk.erf, w_std=1.5)
    x, x_test = examples((3,), 3), examples((3,), 2, seed=2)
    y = jax.random.normal(jax.random.key(3), (3, 1))

    def trained(params):
        kernel = ntk.empirical_ntk(net.apply, params)
        theta, across = (ntk.trace_outputs(ntk.gram(kernel, a, x)) for a in (x, x_test))
        f = [jax.vmap(net.apply, (None, 0))(params, a) for a in (x, x_test)]
        return predict(theta, y, 5.0, f_train0=f[0], ntk_test_train=across, f_test0=f[1]).test[:, 0]

    samples = jax.jit(jax.vmap(trained))(draw(net, (3,), 300))
    (theta, theta_across), (nngp, across) = (
        [ntk.gram(k(net), a, x) for a in (x, x_test)] for k in (ntk.infinite_ntk, ntk.infinite_nngp)
    )
    expected = ntk.predict_ensemble(theta, nngp, y, 5.0, ntk_test_train=theta_across, nngp_test_train=across,
                                    nngp_test=ntk.gram(ntk.infinite_nngp(net), x_test))  # fmt: skip
    mean, error = ntk.estimate(samples)
    assert jnp.all(jnp.abs(mean - expected.mean[:, 0]) < 5 * error)
    variance, error = ntk.estimate((samples - mean[None]) ** 2)
    assert jnp.all(jnp.abs(variance - jnp.diag(expected.covariance)) < 5 * error)


@pytest.mark.parametrize("ridge", [0.0, 0.1])
@all_dynamics
def test_covariances_at_many_times_come_from_a_few(dynamics, ridge, dtype=jnp.float64, tolerance=1e-13):
    """Outside of `jit`, where values can be looked at; from t = 0 to the end, and with a mode that the kernel lacks."""
    _, _, y, *kernels = one_output()
    theta, theta_across, _, nngp, across, nngp_test = (a.astype(dtype) for a in kernels)
    twice = jnp.arange(6).at[5].set(0)  # an example that is there twice
    theta, theta_across, nngp, across = theta[twice][:, twice], theta_across[:, twice], nngp[twice], across[:, twice]
    data = theta, nngp[:, twice], y.astype(dtype)
    ts = jnp.concatenate([jnp.zeros(1), jnp.geomspace(0.1, 1e9, 76), jnp.full(1, jnp.inf)]).reshape(2, 39)
    test = {"ntk_test_train": theta_across, "nngp_test_train": across, "nngp_test": nngp_test, "ridge": ridge}
    got = ntk.predict_ensemble(*data, ts, dynamics, **test)
    expected = jax.jit(lambda: ntk.predict_ensemble(*data, ts, dynamics, **test))()
    assert got.covariance.dtype == dtype and got.covariance.shape == (2, 39, 4, 4)
    assert jnp.max(jnp.abs(got.covariance - expected.covariance)) < tolerance * jnp.max(nngp_test)
    assert relative_error(got.mean, expected.mean) < tolerance


@all_dynamics
def test_covariances_at_many_times_in_float32(dynamics, float32):
    test_covariances_at_many_times_come_from_a_few(dynamics, 0.1, jnp.float32, 1e-5)


@pytest.mark.parametrize("compiled", [False, True])
def test_covariances_with_many_modes(compiled):
    """In blocks of modes; against the formula with exponentials of matrices, for a spectrum over many decades."""
    rng = np.random.default_rng(0)
    n, m = MANY + 9, 7
    a, b = (rng.standard_normal((n + m, 2 * n)) * np.geomspace(1, 1e-3, 2 * n) for _ in range(2))
    theta, nngp = a @ a.T, b @ b.T
    kernels = {"ntk_test_train": theta[n:, :n], "nngp_test_train": nngp[n:, :n], "nngp_test": nngp[n:, n:]}
    ts = np.geomspace(1e-2, 1e5, 60)

    def predict():
        given = {name: jnp.asarray(kernel) for name, kernel in kernels.items()}
        return ntk.predict_ensemble(jnp.asarray(theta[:n, :n]), jnp.asarray(nngp[:n, :n]), jnp.ones(n), ts, **given)

    got = (jax.jit(predict) if compiled else predict)().covariance
    for i in (0, 31, 59):
        left = scipy.linalg.expm(-ts[i] / n * theta[:n, :n])
        g = np.linalg.solve(theta[:n, :n], (np.eye(n) - left) @ theta[:n, n:]).T
        half = g @ nngp[:n, :n] @ g.T / 2 - g @ nngp[:n, n:]
        np.testing.assert_allclose(got[i], nngp[n:, n:] + half + half.T, rtol=0, atol=1e-9 * np.abs(nngp[n:, n:]).max())


@pytest.mark.parametrize(("dtype", "few"), [(jnp.float32, 50), (jnp.float64, 110)])
def test_times_to_interpolate_from(dtype, few):
    """Relaxations of 500 modes, over 8 decades of rates, at 200 times; and functions of which none is like another."""
    rates, ts = jnp.geomspace(1e-6, 100, 500), jnp.geomspace(1e-3, 1e4, 200)
    functions = (1 - jnp.exp(-rates[None] * ts[:, None])).astype(dtype)
    chosen, weights = _interpolation(functions, jnp.asarray(3.0))
    assert len(chosen) < few and weights.shape == (200, len(chosen)) and weights.dtype == dtype
    for products in (functions[:, ::9, None] * functions[:, None, ::9], 3 * functions):
        got = jnp.tensordot(weights, products[chosen], 1)
        assert jnp.max(jnp.abs(got - products)) < 2000 * jnp.finfo(dtype).eps
    chosen, weights = _interpolation(jnp.eye(7, 9), jnp.asarray(1.0))
    assert weights is None and chosen.tolist() == list(range(7))


def test_singular_kernels_have_an_end():
    """Duplicate training points, an exact zero eigenvalue: what cannot be fitted stays, predictions are finite."""
    net, _, shape = case("depth 3, bias")
    x, x_test = examples(shape, 4), examples(shape, 3, seed=2)
    y = jax.random.normal(jax.random.key(3), (4, 1))
    theta = ntk.infinite_ntk(net)
    expected = ntk.predict(ntk.gram(theta, x), y, ntk_test_train=ntk.gram(theta, x_test, x)).test
    doubled, both = jnp.concatenate([x, x]), jnp.concatenate([y + 1, y - 1])
    for t in (math.inf, 1e6):
        got = ntk.predict(ntk.gram(theta, doubled), both, t, ntk_test_train=ntk.gram(theta, x_test, doubled))
        assert relative_error(got.test, expected) < 1e-7
        assert relative_error(got.train, jnp.concatenate([y, y])) < 1e-7
    linear = jnp.outer(jnp.asarray([1.0, 2.0, 0.0]), jnp.asarray([1.0, 2.0, 0.0]))
    for dynamics in (ntk.gradient_flow(), ntk.gradient_descent(0.5), ntk.heavy_ball(0.5, 0.5)):
        for t in (1e4, math.inf):
            got = ntk.predict(linear, jnp.asarray([1.0, 2.0, 3.0]), t, dynamics, ntk_test_train=linear[:2]).test
            np.testing.assert_allclose(got, [1.0, 2.0], rtol=1e-9)
    assert (
        jnp.all(ntk.predict(jnp.zeros((3, 3)), y[:3]).train == 0)
        and ntk.max_learning_rate(jnp.zeros((3, 3))) == math.inf
    )


@all_dynamics
def test_under_jit_vmap_and_grad(dynamics):
    _, _, y, theta, across, *_ = one_output()

    def test_outputs(theta, y, t, ridge):
        return ntk.predict(theta, y, t, dynamics, ntk_test_train=across, ridge=ridge).test

    plain = test_outputs(theta, y, 3.0, 0.1)
    assert relative_error(jax.jit(test_outputs)(theta, y, 3.0, 0.1), plain) < 1e-12
    mapped = jax.vmap(test_outputs, (None, None, None, 0))(theta, y, 3.0, jnp.asarray([0.1, 0.2]))
    assert relative_error(mapped[0], plain) < 1e-12
    slope = jax.grad(lambda r: test_outputs(theta, y, 3.0, r).sum())(0.1)
    ends = [test_outputs(theta, y, 3.0, 0.1 + h).sum() for h in (1e-5, -1e-5)]
    assert float(slope) == pytest.approx(float(ends[0] - ends[1]) / 2e-5, rel=1e-5)


@all_dynamics
def test_float32(dynamics, float32):
    with jax.enable_x64(True):
        _, _, y, theta, across, *_ = one_output()
        expected = predict(theta, y, jnp.asarray([0.0, 1.2, 30.0]), dynamics, ntk_test_train=across)
    y, theta, across = (jnp.asarray(np.asarray(a), jnp.float32) for a in (y, theta, across))
    got = predict(theta, y, jnp.asarray([0.0, 1.2, 30.0]), dynamics, ntk_test_train=across)
    assert got.test.dtype == jnp.float32
    np.testing.assert_allclose(got.test, np.asarray(expected.test), atol=1e-4)
    assert jnp.all(jnp.isfinite(predict(theta, y, math.inf, dynamics, ntk_test_train=across).test))


def test_solve_flow_is_predict():
    *_, data, test = problem()
    ts = jnp.asarray([0.0, 0.5, 3.0, 20.0])
    data = dict(data)
    exact = predict(**data, **test, ts=ts)
    got = ntk.solve_flow(data["ntk_train"], data["y_train"], ts, ntk.squared_loss, data["f_train0"], **test)
    np.testing.assert_allclose(got.train, exact.train, atol=1e-6)
    np.testing.assert_allclose(got.test, exact.test, atol=1e-6)


@pytest.mark.parametrize("coupled", [False, True])
def test_solve_flow_is_scipy(coupled):
    """Cross-entropy, for one kernel for all outputs and for coupled outputs."""
    integrate = pytest.importorskip("scipy.integrate")
    if coupled:
        *_, data, test = problem()
        theta, across, f0, f0_test = data["ntk_train"], test["ntk_test_train"], data["f_train0"], test["f_test0"]
    else:
        _, _, f0, theta, across, *_ = one_output()
        f0_test = jnp.zeros((4, 2))
    n, k = f0.shape
    y, ts = np.eye(k)[np.arange(n) % k], np.asarray([0.0, 1.0, 10.0])
    full = np.concatenate(
        [np.asarray(a if coupled else jnp.einsum("ij,ab->ijab", a, jnp.eye(k))) for a in (theta, across)]
    )

    def velocity(t, f):
        f = f.reshape(-1, k)[:n]
        probability = np.exp(f) / np.exp(f).sum(1, keepdims=True)
        return -np.einsum("ijab,jb->ia", full, (probability - y) / n).reshape(-1)

    start = np.concatenate([f0, f0_test]).reshape(-1)
    expected = integrate.solve_ivp(velocity, (0, 10), start, t_eval=ts, rtol=1e-10, atol=1e-10).y.T.reshape(3, -1, k)
    got = ntk.solve_flow(
        theta, jnp.asarray(y), jnp.asarray(ts), ntk.cross_entropy, f0, ntk_test_train=across, f_test0=f0_test
    )
    np.testing.assert_allclose(got.train, expected[:, :n], atol=1e-6)
    np.testing.assert_allclose(got.test, expected[:, n:], atol=1e-6)
    alone = ntk.solve_flow(theta, jnp.asarray(y), jnp.asarray(ts[:1]), ntk.cross_entropy, f0)
    assert alone.test is None and relative_error(alone.train[0], f0) < 1e-15


def test_plain_numbers_and_numpy(unannotated):
    _, _, y, theta, across, *_ = one_output()
    labels = np.sign(y).astype(int)
    expected = ntk.predict(theta, labels.astype(float), 2.0, ntk_test_train=across).test
    got = ntk.predict(np.asarray(theta), labels, 2, ntk_test_train=np.asarray(across), ridge=0).test
    np.testing.assert_allclose(got, expected, rtol=1e-14)
    assert ntk.predict(np.asarray(theta), labels, [0, 2]).train.shape == (2, *y.shape)
    rate = 0.5 * ntk.max_learning_rate(theta)  # an array
    assert re.search("learning_rate", repr(ntk.gradient_descent(rate))) and ntk.predict(
        theta, y, 1, ntk.gradient_descent(rate)
    )


@pytest.mark.parametrize("dynamics", [ntk.gradient_flow(), ntk.heavy_ball(0.1, 0.8)], ids=["flow", "heavy ball"])
def test_predict_linearized_is_predict_with_its_kernels(dynamics):
    net, params, shape = case("depth 2, bias")
    x, x_test, y = examples(shape, 4), examples(shape, 2, seed=2), examples((3,), 4, seed=3)
    kernel = ntk.empirical_ntk(net.apply, params)
    f = [ntk.outputs(net.apply, params, a) for a in (x, x_test)]
    expected = ntk.predict(ntk.gram(kernel, x), y, 2.0, dynamics, f_train0=f[0],
                           ntk_test_train=ntk.gram(kernel, x_test, x), f_test0=f[1], ridge=0.1)  # fmt: skip
    got = ntk.predict_linearized(net.apply, params, x, y, 2.0, dynamics, x_test=x_test, ridge=0.1)
    np.testing.assert_allclose(got.train, expected.train)
    np.testing.assert_allclose(got.test, expected.test)
    assert ntk.predict_linearized(net.apply, params, x, y).test is None


def test_predict_linearized_for_another_loss():
    net, params, shape = case("depth 2, bias")
    x, x_test, y, ts = examples(shape, 4), examples(shape, 2, seed=2), jnp.eye(4, 3), jnp.asarray([0.5, 3.0])
    got = ntk.predict_linearized(net.apply, params, x, y, ts, x_test=x_test, loss=ntk.cross_entropy)
    run = ntk.train(
        ntk.linearize(net.apply, params), params, x, y, ntk.gradient_flow(rtol=1e-8), ts=ts, loss=ntk.cross_entropy,
        record=lambda p: ntk.outputs(ntk.linearize(net.apply, params), p, x_test),
    )  # fmt: skip
    np.testing.assert_allclose(got.test, run.record, atol=1e-6)
    for refused in ({"dynamics": ntk.gradient_descent(0.1)}, {"ridge": 0.1}):
        with pytest.raises(ValueError, match="no closed form"):
            ntk.predict_linearized(net.apply, params, x, y, ts, loss=ntk.cross_entropy, **refused)


def test_predict_infinite_is_predict_ensemble_with_its_kernels():
    net, _, shape = case("depth 2, bias")
    x, y = examples(shape, 6), examples((3,), 4)
    theta, nngp = (ntk.gram(pair(net), x) for pair in (ntk.infinite_ntk, ntk.infinite_nngp))
    expected = ntk.predict_ensemble(theta[:4, :4], nngp[:4, :4], y, 2.0, ntk_test_train=theta[4:, :4],
                                    nngp_test_train=nngp[4:, :4], nngp_test=nngp[4:, 4:])  # fmt: skip
    got = ntk.predict_infinite(net, x[:4], y, 2.0, x_test=x[4:])
    np.testing.assert_allclose(got.mean, expected.mean)
    np.testing.assert_allclose(got.covariance, expected.covariance)


def test_no_times_give_no_outputs():
    theta, y = jnp.eye(3), jnp.ones((3, 2))
    train, test = ntk.predict(theta, y, jnp.zeros(0), ntk_test_train=theta[:1])
    mean, covariance = ntk.predict_ensemble(
        theta, theta, y, jnp.zeros(0), ntk_test_train=theta[:1], nngp_test_train=theta[:1], nngp_test=theta[:1, :1]
    )
    assert train.shape == (0, 3, 2) and test.shape == mean.shape == (0, 1, 2) and covariance.shape == (0, 1, 1)
