"""Taylor expansions: their remainder's order, and what they equal exactly."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import NETWORKS, all_networks, case, examples, outputs, relative_error

import ntk_tutorial as ntk

# An expansion sees a function of parameters only: of the networks with positions, slow to compile, two are enough.
LEFT_OUT = ("depth 0", "depth 0, bias", "depth 1", "convolutions, flattened", "local pooling", "residual convolutions")
SMOOTH = [name for name in NETWORKS if name not in LEFT_OUT]


def moved(params, scale, seed=7):
    generator = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: leaf + scale * generator.standard_normal(leaf.shape), params)


@pytest.mark.parametrize("name", SMOOTH)
def test_remainder_order(name):
    """f − T_m is of order m + 1 in the step: halved, it falls by 2^(m + 1), and what the next order adds is halved."""
    net, params, shape = case(name)
    x, steps = examples(shape, 3), {0: 1e-5, 1: 1e-4, 2: 1e-3, 3: 4e-3}

    @jax.jit
    def remainders(news):
        f = jax.vmap(net.apply, (None, 0))
        expansions = [jax.vmap(ntk.taylor_expand(net.apply, params, order), (None, 0)) for order in steps]
        sizes = [jax.vmap(lambda p, t=t: jnp.linalg.norm(f(p, x) - t(p, x))) for t in expansions]
        return [size(ps) for size, ps in zip(sizes, news, strict=True)]

    halved = [[moved(params, step / 2**k) for k in range(3)] for step in steps.values()]
    errors = np.asarray(remainders([jax.tree.map(lambda *leaves: jnp.stack(leaves), *news) for news in halved]))
    first, second = np.log2(errors[:, :-1] / errors[:, 1:]).T
    np.testing.assert_allclose(2 * second - first, [1, 2, 3, 4], atol=0.05)


@all_networks
def test_linearize_is_the_jacobian(name):
    net, params, shape = case(name)
    x, new = examples(shape, 1)[0], moved(params, 1.0)
    linear, constant = ntk.linearize(net.apply, params), ntk.taylor_expand(net.apply, params, 0)

    @jax.jit
    def evaluate(params, new):
        values = [f(p, x) for f in (net.apply, linear, constant) for p in (params, new)]
        return values, jax.jacobian(net.apply)(params, x), jax.jacobian(linear)(new, x)

    (f0, _, linear0, linear1, *constants), jacobian, jacobian_of_linear = evaluate(params, new)
    change = jax.tree.map(lambda j, a, b: np.tensordot(j, a - b, a.ndim), jacobian, new, params)
    assert linear.order == 1 and isinstance(linear, type(constant))
    assert relative_error(linear1, f0 + sum(jax.tree.leaves(change))) < 1e-13
    assert all(relative_error(value, f0) < 1e-14 for value in (linear0, *constants))
    for got, expected in zip(*map(jax.tree.leaves, (jacobian_of_linear, jacobian)), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-14)


def test_exact_for_polynomials():
    """With φ = identity and no bias, depth d is a polynomial of degree d + 1 in the parameters."""
    x = examples((3,), 1)
    for depth in (0, 1, 2):
        net = ntk.mlp(5, depth, 2, ntk.identity)
        params, _ = net.init(jax.random.key(0), (3,))
        new = moved(params, 1.0)
        f_x, exact, short = (
            outputs(f, new, x)
            for f in (net.apply, *(ntk.taylor_expand(net.apply, params, m) for m in (depth + 1, depth)))
        )
        assert relative_error(exact, f_x) < 1e-13 and relative_error(short, f_x) > 1e-3


@all_networks
def test_scaled(name):
    net, params, shape = case(name)
    x, new = examples(shape, 3), moved(params, 0.1)
    model = ntk.scaled(net.apply, params, 30)
    f0, f = (outputs(net.apply, p, x) for p in (params, new))
    assert jnp.max(jnp.abs(outputs(model, params, x))) < 1e-14 * jnp.max(jnp.abs(30 * f0))  # nothing but rounding
    assert relative_error(outputs(model, new, x), 30 * (f - f0)) < 1e-13


@all_networks
def test_kernel_of_scaled(name):
    net, params, shape = case(name)
    model, x = ntk.scaled(net.apply, params, 30), examples(shape, 3)
    theta = ntk.gram(ntk.empirical_ntk(net.apply, params), x)
    assert relative_error(ntk.gram(ntk.empirical_ntk(model, params), x), 900 * theta) < 1e-12


def test_models_are_pytrees():
    """Neither new parameters nor another α need a new program, and both can be mapped over."""
    net, params, shape = case("depth 2, bias")
    (x,), new, traced = examples(shape, 1), moved(params, 1.0), []

    def f(p, x):
        traced.append(p)
        return net.apply(p, x)

    for make in (lambda p, a: ntk.linearize(f, p), lambda p, a: ntk.scaled(f, p, a)):
        evaluate = jax.jit(lambda model: model(new, x))
        first, count = evaluate(make(params, 1.0)), len(traced)
        assert not jnp.allclose(evaluate(make(moved(params, 0.5), 2.0)), first) and len(traced) == count
    alphas = jnp.asarray([1.0, 10.0])
    both = jax.vmap(lambda a: ntk.scaled(net.apply, params, a)(new, x))(alphas)
    assert relative_error(both[1], 10 * both[0]) < 1e-14


def increment_problem(dtype=jnp.float64):
    """A smooth network with its parameters, examples, and a direction u of length one in each leaf."""
    net, params, shape = case("depth 2, bias")
    u = jax.tree.map(lambda p: p / jnp.linalg.norm(p.reshape(-1)), moved(params, 1.0, seed=3))
    low = jax.tree.map(lambda leaf: leaf.astype(dtype), (params, u, examples(shape, 5)))
    return net.apply, *low


def test_scaled_increment_is_the_scaled_model():
    """In float64, at scales where neither loses much; and its derivative in u is that of the model in θ over α."""
    f, params, u, x = increment_problem()
    for alpha, nodes, tolerance in ((1.0, 12, 1e-9), (100.0, 2, 1e-9), (1e4, 2, 1e-11)):
        params1 = jax.tree.map(lambda p, d, alpha=alpha: p + d / alpha, params, u)
        direct, increment = ntk.scaled(f, params, alpha), ntk.scaled_increment(f, params, alpha, nodes=nodes)
        assert relative_error(outputs(increment, u, x), outputs(direct, params1, x)) < tolerance
        slope, expected = (
            jax.grad(lambda p, model=model: jnp.sum(outputs(model, p, x)))(p)
            for model, p in ((increment, u), (direct, params1))
        )
        for got, wanted in zip(*map(jax.tree.leaves, (slope, expected)), strict=True):
            assert relative_error(got, wanted / alpha) < tolerance


@pytest.mark.parametrize("nodes", [1, 2, 3])
def test_scaled_increment_order(nodes):
    """q nodes leave a relative error of order α^(−2q)."""
    f, params, u, x = increment_problem()

    def error(alpha):
        exact = outputs(ntk.scaled_increment(f, params, alpha, nodes=16), u, x)
        return jnp.linalg.norm(outputs(ntk.scaled_increment(f, params, alpha, nodes=nodes), u, x) - exact)

    assert float(jnp.log2(error(16.0) / error(32.0))) == pytest.approx(2 * nodes, abs=0.15)


def test_scaled_increment_at_infinity_is_the_linearization():
    f, params, u, x = increment_problem()
    end, f0 = jax.tree.map(jnp.add, params, u), outputs(f, params, x)
    linear = outputs(ntk.linearize(f, params), end, x) - f0
    assert relative_error(outputs(ntk.scaled_increment(f, params, jnp.inf), u, x), linear) < 1e-13
    assert relative_error(outputs(ntk.scaled_increment(f, params, 1e12), u, x), linear) < 1e-10
    zero = jax.tree.map(jnp.zeros_like, u)
    theta = [
        ntk.gram(ntk.empirical_ntk(*pair), x) for pair in ((f, params), (ntk.scaled_increment(f, params, 7.0), zero))
    ]
    assert relative_error(theta[1], theta[0]) < 1e-12


@pytest.mark.parametrize("alpha", [1e3, 1e5, 1e7])
def test_float32_increment_keeps_its_digits(alpha):
    """Where `scaled` loses its own in proportion to α; both stay in float32, though float64 is on."""
    f, params, u, x = increment_problem()
    exact = outputs(ntk.scaled_increment(f, params, alpha, nodes=4), u, x)
    f, params, u, x = increment_problem(jnp.float32)
    params1 = jax.tree.map(lambda p, d: p + d / jnp.float32(alpha), params, u)
    direct, kept = (
        outputs(ntk.scaled(f, params, alpha), params1, x),
        outputs(ntk.scaled_increment(f, params, alpha), u, x),
    )
    assert direct.dtype == kept.dtype == jnp.float32
    assert relative_error(kept, exact) < 3e-6 and relative_error(direct, exact) > 1e-9 * alpha

    def slopes(f, params, u, x, nodes):
        model = ntk.scaled_increment(f, params, alpha, nodes=nodes)
        return jax.grad(lambda u: jnp.sum(outputs(model, u, x)))(u)

    slope, wanted = slopes(*increment_problem(jnp.float32), 2), slopes(*increment_problem(), 4)
    for got, expected in zip(*map(jax.tree.leaves, (slope, wanted)), strict=True):
        assert got.dtype == jnp.float32 and relative_error(got, expected) < 1e-5


def test_float32_trains_at_a_large_scale():
    """From u = 0 with the learning rate of f itself, the loss is that of the linear model; θ and a subtraction fail."""
    f, params, _, x = increment_problem(jnp.float32)
    y, alpha = jnp.ones((5, 3), jnp.float32), 1e7
    rate = ntk.max_learning_rate(ntk.gram(ntk.empirical_ntk(f, params), x)) / 2
    zero = jax.tree.map(jnp.zeros_like, params)

    def last(model, start, rate):
        return ntk.train(model, start, x, y, ntk.gradient_descent(rate), steps=[40]).loss[0]

    linear, kept = (last(ntk.scaled_increment(f, params, a), zero, rate) for a in (jnp.inf, alpha))
    assert kept == pytest.approx(float(linear), rel=1e-4) and linear < 1.0
    assert abs(last(ntk.scaled(f, params, alpha), params, rate / alpha**2) / linear - 1) > 0.01
