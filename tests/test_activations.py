"""Duals against integrals that split the plane at the kinks, and against each other."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import ACTIVATIONS, KINKED, SMOOTH

import ntk_tutorial as ntk

REGULAR = [(1.0, 0.5, 1.0), (0.3, -0.6, 2.0), (4.0, 0.0, 0.5), (1.0, 1.0 - 1e-8, 1.0), (2.0, -2.0 + 1e-7, 2.0)]
SINGULAR = [(1.0, 1.0, 1.0), (2.0, -2.0, 2.0), (0.25, 0.5, 1.0)]
ZERO = [(0.0, 0.0, 1.0), (1.5, 0.0, 0.0), (0.0, 0.0, 0.0)]
activations = pytest.mark.parametrize("activation", ACTIVATIONS.values(), ids=ACTIVATIONS)


def panels(breakpoints, num=20):
    """A Gauss–Legendre rule on each of the intervals between neighbouring breakpoints (last axis)."""
    nodes, weights = np.polynomial.legendre.leggauss(num)
    left, right = breakpoints[..., :-1, None], breakpoints[..., 1:, None]
    x, w = (left + right) / 2 + (right - left) / 2 * nodes, (right - left) / 2 * weights
    w = w * np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
    return x.reshape(*x.shape[:-2], -1), w.reshape(*w.shape[:-2], -1)


def expectation(function, q11, q12, q22):
    """E[function(u) function(v)]: panels meet at u = 0 and v = 0, and shrink geometrically towards u = 0."""
    edges = 12.0 * 2.0 ** -np.arange(45.0)
    z, weights = panels(np.concatenate([-edges, [0.0], edges[::-1]]))
    slope, spread = (q12 / np.sqrt(q11), np.sqrt((q11 * q22 - q12**2) / q11)) if q11 > 0 else (0.0, np.sqrt(q22))
    kink = np.clip(-slope * z / spread if spread > 0 else 0.0 * z, -12, 12)[:, None]
    steps = np.linspace(0, 1, 7)
    z2, weights2 = panels(np.concatenate([-12 + steps * (kink + 12), kink + steps[1:] * (12 - kink)], axis=1))
    inner = np.sum(np.asarray(function(slope * z[:, None] + spread * z2)) * weights2, axis=1)
    return np.sum(np.asarray(function(np.sqrt(q11) * z)) * inner * weights)


def derivative(activation):
    return jax.jit(jnp.vectorize(jax.grad(activation.fn)))


def check(dual, function, covariances):
    rtol = 1e-7 if isinstance(dual, functools.partial) else 1e-9  # quadrature, or a closed form
    got = jax.jit(dual)(*jnp.asarray(covariances).T)
    np.testing.assert_allclose(got, [expectation(function, *q) for q in covariances], rtol=rtol, atol=1e-9)


@activations
def test_dual_is_the_expectation(activation):
    check(activation.dual, jax.jit(activation.fn), REGULAR + SINGULAR + ZERO)


@activations
def test_dual_derivative_is_the_expectation(activation):  # where u = 0 always, a kink has no derivative
    check(
        activation.dual_derivative, derivative(activation), REGULAR + SINGULAR + ZERO * (activation in SMOOTH.values())
    )


@activations
def test_price_theorem(activation):
    """∂E[φ(u)φ(v)] / ∂q12 = E[φ'(u)φ'(v)], where φ has no jump."""
    q = jnp.asarray(REGULAR[:3]).T
    if activation is not ntk.sign:
        by_autodiff = jax.jit(jax.vmap(jax.grad(activation.dual, 1)))(*q)
        np.testing.assert_allclose(by_autodiff, activation.dual_derivative(*q), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", ["erf", "gelu", "sin"])
def test_quadrature_equals_the_closed_form(name):
    closed = ACTIVATIONS[name]
    by_quadrature = ntk.by_quadrature(closed.fn)
    q = jnp.asarray([q for q in REGULAR + SINGULAR + ZERO if max(q) < 4]).T
    for which in ("dual", "dual_derivative"):
        np.testing.assert_allclose(
            jax.jit(getattr(by_quadrature, which))(*q), getattr(closed, which)(*q), rtol=1e-9, atol=1e-10
        )


def test_quadrature_improves_with_its_degree():
    q = (2.0, 1.2, 1.0)
    expected = expectation(jnp.tanh, *q)
    errors = [abs(ntk.by_quadrature(jnp.tanh, degree=d).dual(*map(jnp.asarray, q)) - expected) for d in (4, 16, 64)]
    assert errors[0] > 10 * errors[1] > 100 * errors[2]


@pytest.mark.parametrize("activation", [ntk.relu, ntk.erf, ntk.tanh, ntk.monomial(3)], ids=repr)
def test_float32(activation, float32):
    q = [jnp.asarray([1.0, 0.3, 1.0]), jnp.asarray([0.5, -0.6, 1.0]), jnp.asarray([1.0, 2.0, 1.0])]
    for which in (activation.dual, activation.dual_derivative):
        got = jax.jit(which)(*q)
        assert got.dtype == jnp.float32
        with jax.enable_x64(True):
            expected = jax.jit(which)(*(jnp.asarray(np.asarray(a), float) for a in q))
        np.testing.assert_allclose(
            got, np.asarray(expected), rtol=2e-3 if activation in KINKED.values() else 1e-5, atol=1e-6
        )


def test_an_activation_is_one_object_for_one_setting():
    assert ntk.leaky_relu(0.1) is ntk.leaky_relu(0.1) and ntk.monomial(3) is ntk.polynomial(0.0, 0.0, 0.0, 1.0)
    assert ntk.leaky_relu(0.1) != ntk.leaky_relu(0.2)
    assert ntk.relu(jnp.asarray(-2.0)) == 0.0 and repr(ntk.relu) == "relu"
