"""Taylor expansions of a network in its parameters, and the scaled model that makes any network lazy."""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree, ScalarLike
from numpy.polynomial.legendre import leggauss

from ._checks import check_finite, is_concrete
from ._pytree import as_pytree, traced

NetworkFunction = Callable[[PyTree, Array], Array]


@traced("f", "params0")
class TaylorExpansion:
    """See `taylor_expand`."""

    f: NetworkFunction
    params0: PyTree
    order: int

    def __call__(self, params: PyTree, x: Array) -> Array:
        delta = _difference(params, self.params0)

        def along_the_line(s):
            return self.f(jax.tree.map(lambda p0, d: p0 + s * d, self.params0, delta), x)

        term, total = along_the_line, along_the_line(0.0)
        for m in range(1, self.order + 1):
            term = jax.jacfwd(term)
            total = total + term(0.0) / math.factorial(m)
        return total


def taylor_expand(f: NetworkFunction, params0: PyTree, order: int) -> TaylorExpansion:
    """The Taylor polynomial Σ_{m ≤ order} (1/m!) ∂^m f(θ₀)[δ, …, δ] with δ = θ − θ₀, as a function of (params, x).

    Along the line θ₀ + s δ it is an ordinary expansion in s, taken at s = 1, so nested forward-mode derivatives give
    each term; the cost grows as 2^order forward passes, whatever the number of parameters.

    Raises:
        ValueError: if order is negative; and when called, if params has another structure than params0.
    """
    if order < 0:
        raise ValueError(f"order must be 0 or more, got {order}")
    return TaylorExpansion(as_pytree(f), params0, order)


def linearize(f: NetworkFunction, params0: PyTree) -> TaylorExpansion:
    """f_lin(θ, x) = f(θ₀, x) + ∂f/∂θ(θ₀, x) · (θ − θ₀), the first-order expansion [Lee et al. 2019, section 2.2].

    The product is a Jacobian-vector product: about two forward passes, and no Jacobian is formed.
    """
    return taylor_expand(f, params0, 1)


@traced("f", "params0", "alpha")
class ScaledModel:
    """See `scaled`."""

    f: NetworkFunction
    params0: PyTree
    alpha: Array

    def __call__(self, params: PyTree, x: Array) -> Array:
        change = self.f(params, x) - self.f(self.params0, x)
        return self.alpha.astype(change.dtype) * change


def scaled(f: NetworkFunction, params0: PyTree, alpha: ScalarLike) -> ScaledModel:
    """α (f(θ, x) − f(θ₀, x)): zero at initialization, and the lazier in training the larger α [Chizat et al. 2019].

    The subtraction loses digits as α grows and θ stays near θ₀: use float64, or `scaled_increment`.

    Raises:
        ValueError: if alpha is not finite.
    """
    check_finite(alpha=alpha)
    return ScaledModel(as_pytree(f), params0, jnp.asarray(alpha, float))


@traced("f", "params0", "alpha")
class ScaledIncrement:
    """See `scaled_increment`."""

    f: NetworkFunction
    params0: PyTree
    alpha: Array
    nodes: int

    def __call__(self, u: PyTree, x: Array) -> Array:
        delta = jax.tree.map(lambda d: d / self.alpha.astype(d.dtype), u)
        _difference(delta, self.params0)  # refuses another structure

        def slope(s):
            at = jax.tree.map(lambda p0, d: p0 + s.astype(d.dtype) * d, self.params0, delta)
            return jax.jvp(lambda params: self.f(params, x), (at,), (u,))[1]

        points, weights = leggauss(self.nodes)
        slopes = jax.vmap(slope)(jnp.asarray((1 + points) / 2))
        return jnp.tensordot(jnp.asarray(weights / 2, slopes.dtype), slopes, 1)


def scaled_increment(f: NetworkFunction, params0: PyTree, alpha: ScalarLike, *, nodes: int = 2) -> ScaledIncrement:
    """The scaled model without its subtraction, as a function of (u, x) with u = α (θ − θ₀): for large α in float32.

    The increment is the integral ∫₀¹ J(θ₀ + s u/α) u ds, taken by Gauss–Legendre quadrature: `nodes` Jacobian-vector
    products. Rounding is relative to the increment itself, where that of `scaled` is relative to α f. The parameters
    must be u: in θ₀ + u/α, once stored, the digits of u are gone.

    Train it from u = 0, `jax.tree.map(jnp.zeros_like, params0)`. Its kernel there is Θ of f itself, so times and
    learning rates are those of f, not divided by α². alpha = ∞ gives the linearization, J(θ₀) u.

    Do not use it where α is of order one: q nodes leave a relative error of order (‖u‖/α)^(2q), which for q = 2 passes
    below float32's rounding near ‖u‖/α = 0.01 of the distance on which f bends. Take more nodes, or `scaled`. For a
    network with kinks, such as ReLU's, the error is of first order whatever q.

    Raises:
        ValueError: if alpha is not positive or is NaN, or nodes is below 1; when called, if u has another structure
            than params0.
    """
    if nodes < 1:
        raise ValueError(f"nodes must be 1 or more, got {nodes}")
    if is_concrete(alpha) and not jnp.all(jnp.asarray(alpha) > 0):
        raise ValueError(f"alpha must be positive (∞ is allowed), got {alpha}")
    return ScaledIncrement(as_pytree(f), params0, jnp.asarray(alpha, float), nodes)


def _difference(params: PyTree, params0: PyTree) -> PyTree:
    if jax.tree.structure(params) != jax.tree.structure(params0):
        raise ValueError(
            f"params and params0 differ in structure, {jax.tree.structure(params)} against "
            f"{jax.tree.structure(params0)}: both must come from the same network"
        )
    return jax.tree.map(jnp.subtract, params, params0)
