"""Taylor expansions: their remainder's order, and what they equal exactly."""

import jax
import jax.numpy as jnp
import pytest
from cases import NETWORKS, all_networks, case, examples, outputs, relative_error

import ntk_tutorial as ntk

SMOOTH = [name for name in NETWORKS if "depth 0" not in name and name != "depth 1"]


def moved(params, scale, seed=7):
    leaves, structure = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(seed), len(leaves))
    return jax.tree.unflatten(
        structure, [leaf + scale * jax.random.normal(key, leaf.shape) for leaf, key in zip(leaves, keys, strict=True)]
    )


@pytest.mark.parametrize("name", SMOOTH)
def test_remainder_order(name):
    """f − T_m is of order m + 1 in the step; where the step is halved it falls by 2^(m + 1), up to the next order."""
    net, params, shape = case(name)
    x = examples(shape, 3)
    for order in (0, 1, 2, 3):
        expansion = ntk.taylor_expand(net.apply, params, order)
        step = {0: 1e-5, 1: 1e-4, 2: 1e-3, 3: 2e-3}[order]
        errors = jnp.stack([
            jnp.linalg.norm(outputs(net.apply, p, x) - outputs(expansion, p, x))
            for p in (moved(params, step), moved(params, step / 2), moved(params, step / 4))
        ])  # fmt: skip
        slopes = jnp.log2(errors[:-1] / errors[1:])
        assert jnp.all(jnp.abs(slopes - (order + 1)) < 0.05), (order, slopes)


@all_networks
def test_linearize_is_the_jacobian(name):
    net, params, shape = case(name)
    x, new = examples(shape, 1), moved(params, 1.0)
    jacobian = jax.jit(jax.jacobian(net.apply))(params, x[0])
    change = jax.tree.map(lambda j, a, b: jnp.tensordot(j, a - b, a.ndim), jacobian, new, params)
    linear = ntk.linearize(net.apply, params)
    expected = outputs(net.apply, params, x) + sum(jax.tree.leaves(change))[None]
    assert relative_error(outputs(linear, new, x), expected) < 1e-13
    assert linear.order == 1 and isinstance(linear, type(ntk.taylor_expand(net.apply, params, 1)))
    for order in (0, 1):
        assert (
            relative_error(
                outputs(ntk.taylor_expand(net.apply, params, order), params, x), outputs(net.apply, params, x)
            )
            < 1e-14
        )
    constant = jax.jit(jax.jacobian(linear))(new, x[0])
    assert all(
        jax.tree.leaves(jax.tree.map(lambda a, b: jnp.allclose(a, b, rtol=1e-12, atol=1e-14), constant, jacobian))
    )


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
    assert jnp.all(outputs(model, params, x) == 0)
    expected = 30 * (outputs(net.apply, new, x) - outputs(net.apply, params, x))
    assert relative_error(outputs(model, new, x), expected) < 1e-13
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
