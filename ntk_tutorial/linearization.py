"""Taylor expansions of a network in its parameters, and the scaled model that makes any network lazy."""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from numpy.polynomial.legendre import leggauss
from jaxtyping import Array, PyTree, ScalarLike

from ._checks import check_finite
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

    def __call__(self, delta: PyTree, x: Array) -> Array:
        _difference(delta, self.params0)  # refuses another structure

        def slope_at(s):
            at = jax.tree.map(lambda p0, d: p0 + s * d, self.params0, delta)
            return jax.jvp(lambda params: self.f(params, x), (at,), (delta,))[1]

        change = sum(float(w) / 2 * slope_at((1 + float(t)) / 2) for t, w in zip(*leggauss(self.nodes), strict=True))
        return self.alpha.astype(change.dtype) * change


def scaled_increment(f: NetworkFunction, params0: PyTree, alpha: ScalarLike, *, nodes: int = 2) -> ScaledIncrement:
    """The scaled model as a function of the displacement δ = θ − θ₀, with no subtraction: (δ, x) -> α (f(θ₀ + δ) − f(θ₀)).

    The difference is the integral ∫₀¹ J(θ₀ + sδ) δ ds of Jacobian-vector products, taken by Gauss–Legendre quadrature
    with `nodes` products. Its rounding error is relative to the difference itself, where that of `scaled` is relative
    to α f. Train it from δ = 0, `jax.tree.map(jnp.zeros_like, params0)`: θ₀ + δ, once stored, has lost δ's digits.

    Use it in float32 when α is large, and in float64 when δ is too small for a subtraction. Do not use it when θ goes
    far from θ₀: q nodes leave a relative error of order |δ|^(2q), which for two nodes is invisible in float32 once
    |δ| is about a hundredth of the scale on which f bends; at α of order one take `scaled`. A network with kinks, such
    as ReLU's, has no such order. Costs `nodes` Jacobian-vector products, about twice as many forward passes.

    Raises:
        ValueError: if alpha is not finite or nodes is below 1; and when called, if δ has another structure than params0.
    """
    check_finite(alpha=alpha)
    if nodes < 1:
        raise ValueError(f"nodes must be 1 or more, got {nodes}")
    return ScaledIncrement(as_pytree(f), params0, jnp.asarray(alpha, float), nodes)


def _difference(params: PyTree, params0: PyTree) -> PyTree:
    if jax.tree.structure(params) != jax.tree.structure(params0):
        raise ValueError(
            f"params and params0 differ in structure, {jax.tree.structure(params)} against "
            f"{jax.tree.structure(params0)}: both must come from the same network"
        )
    return jax.tree.map(jnp.subtract, params, params0)
