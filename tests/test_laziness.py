"""The race of a scaled model against its linearization, and the bounds on it."""

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import pytest
from cases import case, examples

import ntk_tutorial as ntk

KS = jnp.asarray([1.0, 8.0])


def problem():
    """A network with two inputs and three outputs, targets, and 1 / ‖J‖²."""
    net, params, shape = case("depth 2, bias")
    x = examples(shape, 4)
    theta = ntk.gram(ntk.empirical_ntk(net.apply, params), x)
    return net.apply, params, x, jnp.sin(jnp.arange(12.0)).reshape(4, 3), ntk.max_learning_rate(theta) / 2


def test_closed_form_equals_training_the_linearization():
    f, params, x, y, unit = problem()
    got = ntk.lazy_distances(f, params, x, y, 5.0, KS * unit)
    flow, flat0 = ntk.gradient_flow(rtol=1e-9), jax.flatten_util.ravel_pytree(params)[0]

    def run(model):
        def look(p):
            return jax.flatten_util.ravel_pytree(p)[0] - flat0, ntk.outputs(model, p, x)

        return ntk.train(model, params, x, y, flow, ts=KS * unit / 25, record=look).record

    scaled = ntk.scaled(f, params, 5.0)
    (moved, f_x), (moved_linear, linear) = run(scaled), run(ntk.linearize(scaled, params))
    np.testing.assert_allclose(got.linear, linear, atol=1e-6)
    np.testing.assert_allclose(got.moved, jnp.linalg.norm(moved, axis=1), rtol=1e-6)
    np.testing.assert_allclose(got.apart, jnp.linalg.norm(moved - moved_linear, axis=1), rtol=1e-4)
    np.testing.assert_allclose(got.gap, jnp.sqrt(jnp.sum((f_x - linear) ** 2, (1, 2)) / 4), rtol=1e-4)


def test_exponents():
    """The distances fall as α^−1, α^−2 and α^−1, under vmap too; a linear model is at no distance from itself."""
    f, params, x, y, unit = problem()
    alphas = jnp.asarray([30.0, 100.0, 300.0])
    race = jax.jit(jax.vmap(lambda alpha: ntk.lazy_distances(f, params, x, y, alpha, KS * unit)))(alphas)
    for distance, exponent in zip(race[:3], (-1, -2, -1), strict=True):
        assert ntk.power_law(alphas, distance[:, 0]).exponent == pytest.approx(exponent, abs=0.03)
    np.testing.assert_allclose(race.linear[0], race.linear[2], rtol=1e-12)
    still = ntk.lazy_distances(ntk.linearize(f, params), params, x, y, 3.0, KS * unit)
    assert still.gap.max() < 1e-6 and still.apart.max() < 1e-6 < still.moved.min()


@pytest.mark.parametrize(("k", "kappa"), [(1.0, 0.1), (10.0, 0.01), (3.0, 2.0)])
def test_bounds_are_the_integrals_of_the_proof(k, kappa):
    """With ‖y‖ = ‖J‖ = α = 1: gap' ≤ (2 + κ u) κ u, apart' ≤ κ u + gap with u = √(s/2)."""
    s = np.linspace(0, k**0.5, 200_001) ** 2  # finer where the root is steep
    u = np.sqrt(s / 2)

    def integral(rate):
        return np.concatenate([[0.0], np.cumsum((rate[1:] + rate[:-1]) / 2 * np.diff(s))])

    gap = integral((2 + kappa * u) * kappa * u)
    bounds = ntk.lazy_bounds(jnp.asarray(kappa), k)
    np.testing.assert_allclose(bounds[:3], [u[-1], integral(kappa * u + gap)[-1], gap[-1]], rtol=1e-6)
    assert bounds.outputs is bounds.linear is None


def test_bounds_hold():
    """For θ + c θ²/2, whose ‖J‖ is 1 and whose M is c everywhere."""
    one, c = jnp.ones((1, 1)), 0.6

    def bent(theta, x):
        return (theta + c / 2 * theta**2) * x

    for alpha, size in ((0.5, 1.0), (2.0, 3.0), (50.0, 1.0)):
        for k in (1.0, 20.0):
            got = ntk.lazy_distances(bent, jnp.asarray(0.0), one, size * one, alpha, jnp.asarray([k]))
            bounds = ntk.lazy_bounds(jnp.asarray(c * size / alpha), k)
            assert got.moved[0] < bounds.moved * size / alpha and got.gap[0] < bounds.gap * size
            assert got.apart[0] < bounds.apart * size / alpha
