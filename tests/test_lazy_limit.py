"""The exact end of lazy training, against the kernel's own regression, and against training for long."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ntk_tutorial as ntk

NET = ntk.Serial([ntk.Conv(3, (3,)), ntk.Elementwise(ntk.tanh), ntk.GlobalAvgPool(), ntk.Dense(2)])
KEYS = jax.random.split(jax.random.key(0), 3)
PARAMS = NET.init(KEYS[0], (6, 2))[0]
X, Y = jax.random.normal(KEYS[1], (5, 6, 2)), jax.random.normal(KEYS[2], (5, 2))
RIDGES = [1e-1, 1e-3]


def at(deltas, i):
    return jax.tree.map(lambda leaf: leaf[i], deltas)


def test_jacobian():
    j = ntk.jacobian(NET.apply, PARAMS, X)
    assert j.shape == (5, 2, 24)
    theta = ntk.gram(ntk.empirical_ntk(NET.apply, PARAMS), X)
    np.testing.assert_allclose(jnp.einsum("iap,jbp->ijab", j, j), theta, rtol=1e-9)


@pytest.mark.parametrize("batch_size", [2, 5, 100])
def test_it_is_regression_with_the_tangent_kernel(batch_size):
    """The p equations and the n k equations have one solution."""
    theta = ntk.as_matrix(ntk.gram(ntk.empirical_ntk(NET.apply, PARAMS), X))
    deltas = ntk.lazy_limit(NET.apply, PARAMS, X, Y, RIDGES, batch_size=batch_size)
    for i, ridge in enumerate(RIDGES):
        rho = ridge * jnp.linalg.eigvalsh(theta)[-1]
        expected = theta @ jnp.linalg.solve(theta + rho * jnp.eye(10), Y.reshape(-1))
        found = ntk.differential(NET.apply, PARAMS, at(deltas, i), X)
        np.testing.assert_allclose(found.reshape(-1), expected, atol=1e-5)  # of power iteration, in λ_max


def test_it_is_where_lazy_training_ends():
    """α (f − f₀), trained to the end, comes as near to J δ as 1/α, at a tiny ridge."""
    x, y = X[:1], Y[:1]  # one example: two modes, neither of them slow
    rate = float(ntk.max_learning_rate(ntk.gram(ntk.empirical_ntk(NET.apply, PARAMS), x))) / 2
    new = jax.random.normal(jax.random.key(5), (4, 6, 2))
    expected = ntk.differential(NET.apply, PARAMS, at(ntk.lazy_limit(NET.apply, PARAMS, x, y, [1e-10]), 0), new)
    gaps = []
    for alpha in (1e4, 1e5):
        model = ntk.scaled(NET.apply, PARAMS, alpha)
        run = ntk.train(model, PARAMS, x, y, ntk.heavy_ball(rate / alpha**2, 0.9), steps=[500])
        gaps.append(np.abs(ntk.outputs(model, run.params, new) - expected).max() / np.abs(expected).max())
    assert gaps[1] < 1e-3
    np.testing.assert_allclose(gaps[0], 10 * gaps[1], rtol=0.05)


def test_differential_is_the_change_of_the_linearization():
    delta = jax.tree.map(jnp.ones_like, PARAMS)
    moved = jax.tree.map(jnp.add, PARAMS, delta)
    linear = ntk.linearize(NET.apply, PARAMS)
    change = ntk.outputs(linear, moved, X) - ntk.outputs(NET.apply, PARAMS, X)
    np.testing.assert_allclose(ntk.differential(NET.apply, PARAMS, delta, X), change, rtol=1e-9)


def test_float32_parameters_stay_float32():
    params, x, y = jax.tree.map(lambda a: a.astype(jnp.float32), (PARAMS, X, Y))
    deltas = ntk.lazy_limit(NET.apply, params, x, y, RIDGES)
    assert {leaf.dtype for leaf in jax.tree.leaves(deltas)} == {jnp.dtype("float32")}
    twin = ntk.lazy_limit(NET.apply, PARAMS, X, Y, RIDGES)
    for a, b in zip(jax.tree.leaves(deltas), jax.tree.leaves(twin), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-3)


@pytest.mark.usefixtures("unannotated")
def test_what_is_refused():
    with pytest.raises(ValueError, match=r"ridges must be positive, got .*without one"):
        ntk.lazy_limit(NET.apply, PARAMS, X, Y, [0.0])
    with pytest.raises(ValueError, match=r"x holds 5 examples, y has shape \(4, 2\): a row is needed"):
        ntk.lazy_limit(NET.apply, PARAMS, X, Y[:4], [1.0])
    with pytest.raises(ValueError, match="non-finite"):
        ntk.lazy_limit(NET.apply, PARAMS, X.at[0, 0, 0].set(jnp.nan), Y, [1.0])
    with pytest.raises(ValueError, match="one example to a"):
        ntk.lazy_limit(lambda p, x: NET.apply(p, x)[0], PARAMS, X, Y, [1.0])
