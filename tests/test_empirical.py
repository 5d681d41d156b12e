"""Three engines and the matrix-free operator against a double loop over jax.jacobian."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import all_networks, case, examples, relative_error

import ntk_tutorial as ntk

ENGINES = {
    "jacobian_contraction": lambda net, params: ntk.jacobian_contraction(net.apply, params),
    "ntk_vector_products": lambda net, params: ntk.ntk_vector_products(net.apply, params),
    "layerwise": ntk.layerwise,
}


def brute_force(f, params, x1, x2):
    """Θ_ab(x1, x2), entry by entry."""
    jacobian = jax.jit(jax.jacobian(f))
    rows1, rows2 = (
        [
            np.concatenate(
                [np.asarray(leaf).reshape(len(leaf), -1) for leaf in jax.tree.leaves(jacobian(params, a))], 1
            )
            for a in x
        ]
        for x in (x1, x2)
    )
    return np.array([[[[np.sum(a * b) for b in j2] for a in j1] for j2 in rows2] for j1 in rows1])


@all_networks
def test_engines_and_operator_equal_the_double_loop(name):
    net, params, shape = case(name)
    x1, x2 = examples(shape, 4), examples(shape, 2, seed=2)
    square, expected = np.split(brute_force(net.apply, params, x1, jnp.concatenate([x1, x2])), [len(x1)], axis=1)
    for engine in ENGINES.values():
        assert relative_error(ntk.gram(engine(net, params), x1, x2), expected) < 1e-13
    operator = ntk.ntk_operator(net.apply, params, x1)
    v = jax.random.normal(jax.random.key(3), square.shape[1:3])
    assert relative_error(operator.mv(v), np.einsum("ijab,jb->ia", square, v)) < 1e-13
    assert (
        relative_error(
            jax.jit(lambda params, v: ntk.ntk_operator(net.apply, params, x1).mv(v))(params, v), operator.mv(v)
        )
        < 1e-13
    )


@pytest.mark.parametrize("passes_by", [False, True])
def test_outputs_share_a_gradient_where_all_goes_through_one_pool(passes_by):
    """Below a global pool, channel by channel; not where a second path leads past it to the outputs."""
    conv = ntk.Conv(8, (3, 3), b_std=0.1)
    top = [ntk.Elementwise(ntk.erf), ntk.AvgPool((2, 2)), ntk.GlobalAvgPool(), ntk.Dense(5), ntk.Elementwise(ntk.erf)]
    last = ntk.Dense(3, b_std=0.1)
    pooled = [ntk.Residual(ntk.Serial(top), ntk.Serial([ntk.GlobalSumPool(), ntk.Dense(5)]))] if passes_by else top
    net = ntk.Serial([ntk.Serial([conv, ntk.Elementwise(ntk.erf), conv]), *pooled, last])
    params, _ = net.init(jax.random.key(0), (6, 6, 2))
    x = examples((6, 6, 2), 3)
    pair = ntk.layerwise(net, params)
    assert [hasattr(part, "readout") for part in pair.features(x[0])][:2] == [False, not passes_by]
    expected = brute_force(net.apply, params, x, x)
    assert relative_error(ntk.gram(pair, x), expected) < 1e-13


def plain(params, x):
    """A network that is not made of this package's layers, with parameters in a nested dictionary."""
    hidden = jnp.tanh(params["a"]["w"] @ x + params["a"]["b"])
    return jnp.stack([params["c"] @ hidden, jnp.sum(hidden**2) * params["scale"]])


@pytest.fixture
def plain_params():
    w, b, c, scale = (jax.random.normal(jax.random.key(i), s) for i, s in enumerate([(5, 3), (5,), (5,), ()]))
    return {"a": {"w": w, "b": b}, "c": c, "scale": scale}


def test_any_function_and_any_pytree(plain_params):
    x = examples((3,), 3)
    expected = brute_force(plain, plain_params, x, x)
    for engine in (ntk.empirical_ntk, ntk.jacobian_contraction, ntk.ntk_vector_products):
        assert relative_error(ntk.gram(engine(plain, plain_params), x), expected) < 1e-13


def test_empirical_ntk_picks():
    net, params, _ = case("residual")
    assert ntk.empirical_ntk(net.apply, params) == ntk.layerwise(net, params)
    wrapped = lambda params, x: net.apply(params, x)  # noqa: E731
    assert ntk.empirical_ntk(wrapped, params) == ntk.structured(wrapped, params)
    (dense,), dense_net = params[:1], net.layers[0]
    assert ntk.empirical_ntk(dense_net.apply, dense) == ntk.structured(dense_net.apply, dense)


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_precision_follows_the_parameters(engine):
    net, params, shape = case("residual")
    low = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), params)
    x = examples(shape, 3)
    theta = ntk.gram(engine(net, low), x.astype(jnp.float32))
    assert theta.dtype == jnp.float32
    assert relative_error(theta.astype(float), ntk.gram(engine(net, params), x)) < 1e-5


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_parameters_are_traced(engine):
    """Kernels of many networks by vmap over their parameters, and gradients of a kernel with respect to them."""
    net, _, shape = case("depth 2, bias")
    params = [net.init(key, shape)[0] for key in jax.random.split(jax.random.key(0), 3)]
    x = examples(shape, 3)
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *params)
    together = jax.vmap(lambda p: ntk.gram(engine(net, p), x))(stacked)
    assert relative_error(together, jnp.stack([ntk.gram(engine(net, p), x) for p in params])) < 1e-13

    def size(p):
        return ntk.gram(engine(net, p), x).sum()

    direction = jax.tree.map(jnp.ones_like, params[0])
    _, slope = jax.jvp(size, (params[0],), (direction,))
    ends = [size(jax.tree.map(lambda p, s=s: p + s, params[0])) for s in (1e-5, -1e-5)]
    assert float(slope) == pytest.approx(float(ends[0] - ends[1]) / 2e-5, rel=1e-7)


def test_operator_works_in_a_solver():
    lx = pytest.importorskip("lineax")
    net, params, shape = case("depth 2, bias", width=20)
    x = examples(shape, 3)
    b = jax.random.normal(jax.random.key(3), (3, 3))
    solution = lx.linear_solve(
        ntk.ntk_operator(net.apply, params, x), b, lx.CG(rtol=1e-12, atol=1e-12, max_steps=500)
    ).value
    theta = ntk.as_matrix(ntk.gram(ntk.empirical_ntk(net.apply, params), x))
    np.testing.assert_allclose(theta @ solution.reshape(-1), b.reshape(-1), atol=1e-9)
