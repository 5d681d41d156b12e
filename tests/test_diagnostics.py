"""Diagnostics by hand, and standard errors by the scatter they promise."""

import functools

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import pytest
from cases import case, examples, outputs

import ntk_tutorial as ntk


def test_relative_change():
    before = jnp.asarray([[3.0, 0.0], [0.0, 4.0]])
    assert ntk.relative_change(before, before + jnp.asarray([[0.0, 1.0], [0.0, 0.0]])) == pytest.approx(0.2)


def test_parameter_change():
    params0 = ({"w": jnp.asarray([3.0, 0.0]), "b": jnp.asarray([4.0])}, (), {"w": jnp.asarray([12.0])})
    params = ({"w": jnp.asarray([3.0, 1.0]), "b": jnp.asarray([4.0])}, (), {"w": jnp.asarray([12.0 + 6.0])})
    change = ntk.parameter_change(params0, params)
    np.testing.assert_allclose(change.per_layer, [1 / 5, 6 / 12])
    assert change.total == pytest.approx(37**0.5 / 13)
    nested = ntk.parameter_change(dict(enumerate(params0)), dict(enumerate(params)))
    np.testing.assert_allclose(nested.per_layer, change.per_layer)


def test_alignments():
    net, _, shape = case("depth 1")
    x = examples(shape, 5)
    y = jax.random.normal(jax.random.key(2), (5, 2))
    k1, k2 = (ntk.gram(kernel(net), x) for kernel in (ntk.infinite_ntk, ntk.infinite_nngp))

    def cosine(a, b):
        return float(jnp.sum(a * b) / jnp.sqrt(jnp.sum(a * a) * jnp.sum(b * b)))

    centring = jnp.eye(5) - 1 / 5
    assert ntk.kernel_alignment(k1, k2) == pytest.approx(cosine(k1, k2), rel=1e-12)
    assert ntk.kernel_alignment(k1, 3 * k1) == pytest.approx(1.0)
    centred = cosine(centring @ k1 @ centring, centring @ k2 @ centring)
    assert ntk.centered_alignment(k1, k2) == pytest.approx(centred, rel=1e-12)
    assert ntk.centered_alignment(k1, k2 + 7) == pytest.approx(centred, rel=1e-10)
    assert ntk.target_alignment(k1, y) == pytest.approx(cosine(k1, y @ y.T), rel=1e-12)
    assert ntk.target_alignment(jnp.outer(y[:, 0], y[:, 0]), y[:, 0]) == pytest.approx(1.0)


def test_linearization_error():
    net, params, shape = case("depth 2, bias")
    x = examples(shape, 4)
    new = jax.tree.map(lambda p: 1.1 * p, params)
    f, f0, linear = (
        outputs(*a, x) for a in ((net.apply, new), (net.apply, params), (ntk.linearize(net.apply, params), new))
    )
    expected = np.linalg.norm(f - linear) / np.linalg.norm(f - f0)
    assert ntk.linearization_error(net.apply, params, new, x) == pytest.approx(expected, rel=1e-12)
    assert ntk.linearization_error(ntk.linearize(net.apply, params), params, new, x) < 1e-13


def test_average_gradient_outer_product():
    """Against finite differences, and where it is known."""
    net, params, shape = case("depth 2, bias")
    x = examples(shape, 4)
    found = ntk.average_gradient_outer_product(net.apply, params, x)
    step = 1e-6
    slopes = np.stack(
        [
            (outputs(net.apply, params, x + step * e) - outputs(net.apply, params, x - step * e)) / (2 * step)
            for e in np.eye(x.shape[1])[:, None]
        ]
    )  # (dim, n, outputs)
    assert found.shape == (x.shape[1],) * 2
    np.testing.assert_allclose(found, np.einsum("ink,jnk->ij", slopes, slopes) / len(x), rtol=1e-6, atol=1e-8)


def test_average_gradient_outer_product_of_known_functions():
    w, x = jnp.asarray([[3.0, 4.0, 0.0], [0.0, 1.0, 2.0]]), jax.random.normal(jax.random.key(0), (50, 3))
    linear = ntk.average_gradient_outer_product(lambda w, x: w @ x, w, x)  # summed over outputs
    np.testing.assert_allclose(linear, w.T @ w, rtol=1e-12)
    signs = jnp.sign(x)  # ∇(x₁x₂) = (x₂, x₁, 0)
    product = ntk.average_gradient_outer_product(lambda _, x: x[:1] * x[1], (), signs)
    assert product[2, 2] == product[0, 2] == 0 and product[0, 0] == product[1, 1] == 1
    assert product[0, 1] == pytest.approx(float(jnp.mean(signs[:, 0] * signs[:, 1])), abs=1e-12)
    # one direction w alone: of rank 1, along w
    single = ntk.average_gradient_outer_product(lambda v, x: jnp.sin(x @ v)[None], w[0], x)
    np.testing.assert_allclose(single, jnp.mean(jnp.cos(x @ w[0]) ** 2) * jnp.outer(w[0], w[0]), rtol=1e-12)


def dense_norms(f, params, x, y):
    """Residual, ‖DF‖, ‖D²F‖ in the root-mean-square norm; for two output numbers by trying all unit vectors g."""
    theta, unravel = jax.flatten_util.ravel_pytree(params)

    def stacked(theta):
        return outputs(f, unravel(theta), x).reshape(-1) / len(x) ** 0.5

    hessian, angles = jax.hessian(stacked)(theta), jnp.linspace(0, jnp.pi, 20_001)
    directions = jnp.stack([jnp.cos(angles), jnp.sin(angles)], 1)
    curvature = jnp.max(jnp.abs(jnp.linalg.eigvalsh(jnp.einsum("gi,ipq->gpq", directions, hessian))))
    slope = jnp.linalg.norm(jax.jacobian(stacked)(theta), 2)
    return jnp.linalg.norm(stacked(theta) - y.reshape(-1) / len(x) ** 0.5), slope, curvature


@pytest.mark.parametrize("num_examples", [1, 2])
def test_relative_scale_against_brute_force(num_examples):
    """Two outputs of one example, and one output of two examples: dense derivatives, all directions tried."""
    net = ntk.mlp(3, 1, 3 - num_examples, ntk.tanh, b_std=0.5)
    params, x = net.init(jax.random.key(4), (2,))[0], examples((2,), num_examples)
    y = jnp.asarray([[2.0, -1.0]]) if num_examples == 1 else jnp.asarray([[2.0], [-1.0]])
    got = ntk.relative_scale(net.apply, params, x, y)
    residual, slope, curvature = dense_norms(net.apply, params, x, y)
    np.testing.assert_allclose(got[1:], jnp.stack([residual, slope, curvature]), rtol=1e-6)
    assert got.kappa == pytest.approx(float(residual * curvature / slope**2), rel=1e-6)
    theta = ntk.as_matrix(ntk.gram(ntk.empirical_ntk(net.apply, params), x))
    assert got.slope == pytest.approx(float(jnp.linalg.eigvalsh(theta)[-1] / num_examples) ** 0.5, rel=1e-6)


def test_relative_scale_of_known_models():
    """κ of α (θ + c θ²/2) is |c y| / α, of a product |f − y| / (√m λ), and of a linear model zero."""
    one = jnp.ones((1, 1))

    def bent(theta, x):
        return (theta + 0.35 * theta**2) * x

    for alpha in (1.0, 5.0):
        model = ntk.scaled(bent, 0.0, alpha)
        assert ntk.relative_scale(model, 0.0, one, -3 * one).kappa == pytest.approx(2.1 / alpha, rel=1e-6)
    u, v = jax.random.normal(jax.random.key(0), (2, 6))

    def product(p, x):
        return p[0] @ p[1] / 6**0.5 * x

    kappa = ntk.relative_scale(product, (u, v), one, 2 * one).kappa
    assert kappa == pytest.approx(float(abs(u @ v / 6**0.5 - 2) / (6**0.5 * (u @ u + v @ v) / 6)), rel=1e-6)
    linear = ntk.relative_scale(ntk.linearize(product, (u, v)), (u, v), one, 2 * one)
    assert linear.curvature == linear.kappa == 0 and linear.slope > 0


def test_relative_scale_does_not_depend_on_the_norm():
    """The same examples twice: every norm of F stays, and so does κ; ten times the outputs and targets: so does κ."""
    net, params, shape = case("depth 2, bias")
    x, y = examples(shape, 2), jnp.ones((2, 3))
    once = ntk.relative_scale(net.apply, params, x, y)
    twice = ntk.relative_scale(net.apply, params, jnp.concatenate([x, x]), jnp.concatenate([y, y]))
    np.testing.assert_allclose(twice, once, rtol=1e-3)
    tenfold = ntk.relative_scale(lambda p, x: 10 * net.apply(p, x), params, x, 10 * y)
    np.testing.assert_allclose(jnp.asarray(tenfold), jnp.asarray(once) * jnp.asarray([1, 10, 10, 10]), rtol=1e-3)


def test_relative_scale_refuses(unannotated):
    net, params, shape = case("depth 2, bias")
    with pytest.raises(ValueError, match=r"outputs have shape \(2, 3\) and targets \(2, 1\)"):
        ntk.relative_scale(net.apply, params, examples(shape, 2), jnp.ones((2, 1)))
    with pytest.raises(ValueError, match="y holds 1 non-finite"):
        ntk.relative_scale(net.apply, params, examples(shape, 1), jnp.asarray([[1.0, jnp.nan, 0.0]]))


def test_power_law():
    x = jnp.asarray([8.0, 16.0, 64.0, 256.0])
    exact = ntk.power_law(x, 3 * x**-0.5)
    assert (
        exact.exponent == pytest.approx(-0.5) and exact.standard_error < 1e-12 and exact.prefactor == pytest.approx(3.0)
    )
    np.testing.assert_allclose(exact(x), 3 * x**-0.5)
    with pytest.raises(ValueError):
        ntk.power_law(x[:2], x[:2])
    assert ntk.power_law(x[:2], jnp.stack([x[:2], 2 * x[:2]])).exponent == pytest.approx(1.0)


def test_power_law_equals_linear_regression():
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(0)
    x = np.asarray([8.0, 16.0, 64.0, 256.0, 300.0])
    y = 2 * x**0.7 * np.exp(0.1 * rng.standard_normal(5))
    expected, got = stats.linregress(np.log(x), np.log(y)), ntk.power_law(jnp.asarray(x), jnp.asarray(y))
    assert got.exponent == pytest.approx(expected.slope) and got.standard_error == pytest.approx(expected.stderr)
    assert got.prefactor == pytest.approx(np.exp(expected.intercept))


@pytest.mark.parametrize("num_seeds", [1, 10])
def test_standard_errors_are_what_they_say(num_seeds):
    """Over many repetitions (exponent − truth) / error follows Student's t: its variance is ν / (ν − 2)."""
    x = jnp.asarray([8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0])
    freedom = len(x) - 2 if num_seeds == 1 else num_seeds - 1
    noise = np.exp(0.2 * np.random.default_rng(0).standard_normal((400, num_seeds, len(x))))
    fits = [ntk.power_law(x, jnp.asarray(y if num_seeds > 1 else y[0])) for y in np.asarray(x) ** -0.5 * noise]
    z = np.asarray([(fit.exponent + 0.5) / fit.standard_error for fit in fits])
    expected = freedom / (freedom - 2)
    assert abs(z.mean()) < 5 * z.std() / 20 and abs(np.mean(z**2) - expected) < 5 * (z**2).std() / 20


def test_estimate():
    samples = jnp.asarray([[1.0, 10.0], [3.0, 10.0], [5.0, 10.0]])
    mean, error = ntk.estimate(samples)
    np.testing.assert_allclose(mean, [3.0, 10.0])
    np.testing.assert_allclose(error, [2.0 / 3**0.5, 0.0])


def leave_one_out(statistic, samples):
    """The statistic over the first axis without each entry of it in turn."""
    return np.stack([statistic(np.delete(samples, i, axis=0), axis=0) for i in range(len(samples))])


def test_jackknife_of_a_mean_is_its_standard_error():
    samples = np.random.default_rng(0).standard_normal((7, 2, 3))
    error = ntk.jackknife_error(jnp.asarray(leave_one_out(np.mean, samples)))
    np.testing.assert_allclose(error, ntk.estimate(jnp.asarray(samples)).standard_error, rtol=1e-12)
    for bad in (jnp.ones(1), jnp.asarray([1.0, jnp.nan])):
        with pytest.raises(ValueError, match=r"at least two|finite"):
            ntk.jackknife_error(bad)


def test_jackknife_of_a_standard_deviation_is_its_scatter():
    """Over many repetitions the mean squared error bar is the variance of the statistic, up to O(1/n)."""
    samples = np.random.default_rng(0).standard_normal((20, 2000))
    errors = ntk.jackknife_error(jnp.asarray(leave_one_out(functools.partial(np.std, ddof=1), samples)))
    scatter = samples.std(0, ddof=1).var()
    assert np.mean(errors**2) == pytest.approx(scatter, rel=0.15)  # 2000 draws: 3 %; O(1/n): some 5 %


def test_lists_and_integers(unannotated):
    assert ntk.power_law([64, 128, 256], [4, 2, 1]).exponent == pytest.approx(-1.0)
    assert ntk.estimate(np.asarray([1, 3])).mean == 2


def test_half_time():
    ts, rates = jnp.asarray([1.0, 2.0, 5.0, 20.0]), jnp.asarray([[0.3, 0.1], [0.2, 0.04]])
    residual = jnp.exp(-ts[:, None, None] * rates[None])
    np.testing.assert_allclose(ntk.half_time(residual, ts), jnp.log(2) / rates)
    own = jnp.asarray([[1.0, 5.0], [3.0, 18.0]])
    np.testing.assert_allclose(ntk.half_time(jnp.exp(-own * rates[:1]), own), jnp.log(2) / rates[0])


def test_sharpness_is_the_hessians_largest_eigenvalue_where_the_model_is_linear():
    x = jax.random.normal(jax.random.key(0), (6, 3))

    def f(params, x):
        return params["a"] @ x

    params = {"a": jnp.arange(6.0).reshape(2, 3)}
    hessian = jax.hessian(lambda a: ntk.squared_loss(x @ a.T, jnp.zeros((6, 2))))(params["a"]).reshape(6, 6)
    np.testing.assert_allclose(ntk.sharpness(f, params, x), jnp.linalg.eigvalsh(hessian)[-1], rtol=1e-9)


def test_the_log_moment_ratio_of_a_lognormal_is_its_variance():
    samples = jnp.exp(0.3 * jax.random.normal(jax.random.key(1), (4000, 2)))
    found = ntk.log_moment_ratio(samples)
    assert found.mean.shape == (2,)
    np.testing.assert_array_less(abs(found.mean - 0.09), 4 * found.standard_error)
    several = [ntk.log_moment_ratio(part).mean[0] for part in jnp.split(samples, 20)]
    scatter = np.std(several, ddof=1) / 20**0.5
    assert 0.5 < float(found.standard_error[0]) / scatter < 2
    assert ntk.log_moment_ratio(jnp.ones(5)).mean == 0
