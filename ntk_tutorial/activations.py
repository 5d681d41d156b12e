"""Activation functions and their Gaussian averages, which is all an infinitely wide network sees of them.

For a centred Gaussian pair (u, v) with E[u²] = q11, E[uv] = q12, E[v²] = q22, the *dual* of an activation φ is
E[φ(u) φ(v)], and the dual of its derivative is E[φ'(u) φ'(v)] [Daniely, Frostig & Singer 2016].
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Covariance = Float[Array, "*shape"]
Dual = Callable[[Covariance, Covariance, Covariance], Covariance]


@dataclass(frozen=True)
class Activation:
    """An activation with its duals.

    Attributes:
        fn: φ, applied elementwise.
        dual: (q11, q12, q22) -> E[φ(u) φ(v)].
        dual_derivative: (q11, q12, q22) -> E[φ'(u) φ'(v)].
        name: shown when the activation is printed.
    """

    fn: Callable[[Array], Array]
    dual: Dual
    dual_derivative: Dual
    name: str = "activation"

    def __call__(self, x: Array) -> Array:
        return self.fn(x)

    def __repr__(self) -> str:
        return self.name


@functools.cache
def _arctan_coefficients(degree: int) -> np.ndarray:
    """Of powers of t², for arctan(t) / t on 0 ≤ t ≤ 1: interpolated at Chebyshev nodes, with error 6^(−degree)."""
    interpolant = np.polynomial.Chebyshev.interpolate(lambda u: np.arctan(u**0.5) / u**0.5, degree, domain=[0, 1])
    return interpolant.convert(kind=np.polynomial.Polynomial, domain=[-1, 1], window=[-1, 1]).coef


def _arctan(t):
    """arctan(t) for 0 ≤ t ≤ 1; the library's takes several times as long, and most of the time of a ReLU kernel."""
    if t.dtype == jnp.float64:
        return jnp.arctan(t)
    u, coefficients = t * t, _arctan_coefficients(10)
    return t * functools.reduce(lambda total, c: total * u + float(c), coefficients[-2::-1], float(coefficients[-1]))


def _arcsin(x):
    """arcsin(x) by the tangent of half of it, in float32 by the polynomial above."""
    if x.dtype == jnp.float64:
        return jnp.arcsin(x)
    t = x / (1.0 + jnp.sqrt((1.0 - x) * (1.0 + x)))
    return 2.0 * jnp.sign(t) * _arctan(jnp.abs(t))


def _half_angle(q11, q12, q22):
    """The tangent t of half the acute angle between u and v, and n + |q12|, with n = √(q11 q22).

    Their product is √det Σ. The tangent keeps its accuracy as the angle goes to zero, where arccos(q12 / n) loses half
    of the digits. What rounding leaves of a difference n − |q12| that should vanish counts as zero: its root would be
    half as many digits.
    """
    norm = jnp.sqrt(q11) * jnp.sqrt(q22)
    gap, total = norm - jnp.abs(q12), norm + jnp.abs(q12)
    gap = jnp.where(gap > 4 * jnp.finfo(norm.dtype).eps * norm, gap, 0.0)
    return jnp.sqrt(gap / jnp.where(total > 0, total, 1.0)), total


def _sign_dual(q11, q12, q22):
    t, total = _half_angle(q11, q12, q22)
    # A side without variance is at a right angle to all, since sign(0) = 0.
    return jnp.where(total > 0, jnp.sign(q12) * (1.0 - 4.0 / jnp.pi * _arctan(t)), 0.0)


def _abs_dual(q11, q12, q22):
    t, total = _half_angle(q11, q12, q22)
    return 2.0 / jnp.pi * t * total + q12 * _sign_dual(q11, q12, q22)


@functools.cache
def abrelu(negative_slope: float, positive_slope: float) -> Activation:
    """Two straight lines meeting at zero: φ(x) = a min(x, 0) + b max(x, 0).

    Written φ(x) = c x + d |x|, the odd and the even part do not mix under a centred Gaussian, so
    E[φφ] = c² q12 + d² E|u||v| and E[φ'φ'] = c² + d² E[sign u · sign v]; the two expectations are the
    arc-cosine kernels of degree 1 and 0 [Cho & Saul 2009, section 2].
    """
    odd, even = (positive_slope + negative_slope) / 2, (positive_slope - negative_slope) / 2
    return Activation(
        fn=lambda x: odd * x + even * jnp.abs(x),
        dual=lambda q11, q12, q22: odd**2 * q12 + even**2 * _abs_dual(q11, q12, q22),
        dual_derivative=lambda q11, q12, q22: odd**2 + even**2 * _sign_dual(q11, q12, q22),
        name=f"abrelu({negative_slope}, {positive_slope})",
    )


def leaky_relu(negative_slope: float = 0.01) -> Activation:
    """φ(x) = max(x, 0) + negative_slope · min(x, 0)."""
    return abrelu(negative_slope, 1.0)


def _named(activation: Activation, fn: Callable, name: str) -> Activation:
    return Activation(fn, activation.dual, activation.dual_derivative, name)


relu = _named(abrelu(0.0, 1.0), jax.nn.relu, "relu")
abs = _named(abrelu(-1.0, 1.0), jnp.abs, "abs")
identity = Activation(lambda x: x, lambda q11, q12, q22: q12, lambda q11, q12, q22: jnp.ones_like(q12), "identity")
sign = Activation(jnp.sign, _sign_dual, lambda q11, q12, q22: jnp.zeros_like(q12), "sign")


def _erf_dual(q11, q12, q22):
    return 2.0 / jnp.pi * _arcsin(2.0 * q12 / (jnp.sqrt(1.0 + 2.0 * q11) * jnp.sqrt(1.0 + 2.0 * q22)))


def _erf_dual_derivative(q11, q12, q22):
    return 4.0 / jnp.pi / jnp.sqrt((1.0 + 2.0 * q11) * (1.0 + 2.0 * q22) - 4.0 * q12**2)


erf = Activation(jax.lax.erf, _erf_dual, _erf_dual_derivative, "erf")  # dual: [Williams 1997, section 3.1]


def _gelu_moments(q11, q12, q22):
    """E[Φ(u)Φ(v)], E[φ(u)φ(v)], and det(I + Σ), with Φ and φ the normal distribution and its density."""
    det = (1.0 + q11) * (1.0 + q22) - q12**2
    cdf_cdf = 0.25 + _arcsin(q12 / jnp.sqrt((1.0 + q11) * (1.0 + q22))) / (2.0 * jnp.pi)
    return cdf_cdf, 1.0 / (2.0 * jnp.pi * jnp.sqrt(det)), det


def _gelu_dual(q11, q12, q22):
    # Stein's identity, E[u F(u, v)] = q11 E[∂F/∂u] + q12 E[∂F/∂v], applied twice to uv Φ(u)Φ(v).
    cdf_cdf, pdf_pdf, _ = _gelu_moments(q11, q12, q22)
    return q12 * cdf_cdf + pdf_pdf * (q11 * q22 - q12**2 + q12**2 * (1.0 / (1.0 + q11) + 1.0 / (1.0 + q22)))


def _gelu_dual_derivative(q11, q12, q22):
    cdf_cdf, pdf_pdf, det = _gelu_moments(q11, q12, q22)
    return cdf_cdf + pdf_pdf * q12 * (1.0 / (1.0 + q11) + 1.0 / (1.0 + q22) + 1.0 / det)


gelu = Activation(lambda x: jax.nn.gelu(x, approximate=False), _gelu_dual, _gelu_dual_derivative, "gelu")


def _exponential_dual(q11, q12, q22, sign_of_correlation=1.0):
    return jnp.exp(sign_of_correlation * q12 - (q11 + q22) / 2.0)


def _sin_dual(q11, q12, q22):
    return (_exponential_dual(q11, q12, q22) - _exponential_dual(q11, q12, q22, -1.0)) / 2.0


def _cos_dual(q11, q12, q22):
    return (_exponential_dual(q11, q12, q22) + _exponential_dual(q11, q12, q22, -1.0)) / 2.0


sin = Activation(jnp.sin, _sin_dual, _cos_dual, "sin")
cos = Activation(jnp.cos, _cos_dual, _sin_dual, "cos")


@functools.cache
def rbf(gamma: float = 1.0) -> Activation:
    """φ(x) = √2 sin(√(2γ) x + π/4), whose dual is the radial basis function exp(−γ (q11 + q22 − 2 q12))."""

    def dual(q11, q12, q22):
        return jnp.exp(-gamma * (q11 + q22 - 2.0 * q12))

    return Activation(
        fn=lambda x: math.sqrt(2.0) * jnp.sin(math.sqrt(2.0 * gamma) * x + jnp.pi / 4),
        dual=dual,
        dual_derivative=lambda q11, q12, q22: 2.0 * gamma * dual(q11, q12, q22),
        name=f"rbf({gamma})",
    )


@functools.cache
def exp(scale: float = 1.0, rate: float = 1.0) -> Activation:
    """φ(x) = scale · exp(rate · x)."""

    def dual(q11, q12, q22):
        return scale**2 * jnp.exp(rate**2 * (q11 + q22 + 2.0 * q12) / 2.0)

    return Activation(
        fn=lambda x: scale * jnp.exp(rate * x),
        dual=dual,
        dual_derivative=lambda q11, q12, q22: rate**2 * dual(q11, q12, q22),
        name=f"exp({scale}, {rate})",
    )


@functools.cache
def gaussian(scale: float = 1.0, rate: float = -0.5) -> Activation:
    """φ(x) = scale · exp(rate · x²), with rate ≤ 0.

    Raises:
        ValueError: if rate > 0, where the expectations do not exist for every covariance.
    """
    if rate > 0:
        raise ValueError(f"gaussian needs a rate of at most 0, got {rate}: exp({rate} x²) has no finite dual")

    def root(q11, q12, q22):  # of 1 / det(I − 2 rate Σ); a power would take 20 times as long
        return jax.lax.rsqrt((1.0 - 2.0 * rate * q11) * (1.0 - 2.0 * rate * q22) - 4.0 * rate**2 * q12**2)

    return Activation(
        fn=lambda x: scale * jnp.exp(rate * x**2),
        dual=lambda *q: scale**2 * root(*q),
        dual_derivative=lambda *q: 4.0 * scale**2 * rate**2 * q[1] * root(*q) ** 3,
        name=f"gaussian({scale}, {rate})",
    )


def by_quadrature(
    fn: Callable[[Array], Array], *, num_points: int = 300, degree: int = 200, name: str = "by_quadrature"
) -> Activation:
    """The duals of any smooth φ, by its Hermite coefficients.

    With h_k the normalized Hermite polynomials and c_k(q) = E[φ(√q z) h_k(z)], z ~ N(0, 1), Mehler's formula gives
    E[φ(u) φ(v)] = Σ_k c_k(q11) c_k(q22) ρ^k with ρ = q12 / √(q11 q22) [O'Donnell 2014, section 11.2]. The coefficients
    belong to one side of the pair only, so `gram` computes them once an example.

    Args:
        fn: an elementwise function with JAX derivatives. The error falls geometrically in √degree for analytic φ, but
            only as a power of degree where φ has a kink: use a closed form there.
        num_points: nodes of the Gauss–Hermite rule behind each c_k.
        degree: highest Hermite polynomial kept; below num_points.
        name: shown when the activation is printed.

    Raises:
        ValueError: if degree is not below num_points.
    """
    if not 0 < degree < num_points:
        raise ValueError(f"degree must lie between 1 and num_points - 1 = {num_points - 1}, got {degree}")
    derivative = jnp.vectorize(jax.grad(lambda z: jnp.sum(fn(z))))

    def coefficients(function, q):
        nodes, weighted_hermite = _hermite_rule(num_points, degree)
        values = function(jnp.multiply.outer(jnp.sqrt(q), jnp.asarray(nodes, q.dtype)))
        return jnp.moveaxis(jnp.matmul(values, jnp.asarray(weighted_hermite, q.dtype), precision="highest"), -1, 0)

    def dual(function, q11, q12, q22):
        scale = jnp.sqrt(q11 * q22)
        correlation = jnp.clip(q12 / jnp.where(scale > 0, scale, 1.0), -1.0, 1.0)
        sides = coefficients(function, q11), coefficients(function, q22)

        def horner(total, side):
            return total * correlation + side[0] * side[1], None

        return jax.lax.scan(horner, jnp.zeros_like(correlation), sides, reverse=True, unroll=min(20, degree + 1))[0]

    return Activation(fn, functools.partial(dual, fn), functools.partial(dual, derivative), name)


@functools.cache
def _hermite_rule(num_points: int, degree: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes for z ~ N(0, 1), and weight · h_k(node) for k = 0 … degree: their product only fits into float32."""
    from scipy.special import roots_hermitenorm  # slow to import

    nodes, weights = roots_hermitenorm(num_points)
    hermite = [np.ones_like(nodes), nodes]
    for k in range(1, degree):
        hermite.append((nodes * hermite[k] - math.sqrt(k) * hermite[k - 1]) / math.sqrt(k + 1))
    return nodes, np.stack(hermite[: degree + 1], axis=-1) * (weights / weights.sum())[:, None]


tanh = by_quadrature(jnp.tanh, name="tanh")
softplus = by_quadrature(jax.nn.softplus, name="softplus")
swish = by_quadrature(jax.nn.swish, name="swish")


@functools.cache
def polynomial(*coefficients: float) -> Activation:
    """φ(x) = Σ_k coefficients[k] x^k; its duals by quadrature are exact."""
    degree = max(len(coefficients) - 1, 1)
    return by_quadrature(
        lambda x: jnp.polyval(jnp.asarray(coefficients[::-1]), x),
        num_points=degree + 1,
        degree=degree,
        name=f"polynomial{coefficients}",
    )


def monomial(degree: int) -> Activation:
    """φ(x) = x^degree."""
    return polynomial(*(0.0,) * degree, 1.0)
