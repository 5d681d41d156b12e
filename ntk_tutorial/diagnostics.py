"""Numbers that say how lazy a training was, and how sure one can be of a rate."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray, PyTree, Real

from ._checks import check_finite
from .empirical import empirical_ntk
from .gram import as_matrix, gram
from .linearization import linearize

Kernel = Float[Array, "n m *kk"]


@functools.partial(jax.jit, static_argnames="axis")
def rms(values: Array, axis: int | tuple[int, ...] | None = None) -> Array:
    """The root of the mean square, over all entries or along some axes."""
    return jnp.sqrt(jnp.mean(values**2, axis))


@jax.jit
def relative_change(before: Array, after: Array) -> Float[Array, ""]:
    """‖after − before‖ / ‖before‖ in the Frobenius norm: of a kernel, of outputs, of parameters."""
    return jnp.linalg.norm((after - before).reshape(-1)) / jnp.linalg.norm(before.reshape(-1))


class ParameterChange(NamedTuple):
    """‖θ − θ₀‖ / ‖θ₀‖ for each layer that has parameters, in order, and for all parameters together."""

    per_layer: Float[Array, " layer"]
    total: Float[Array, ""]


@jax.jit
def parameter_change(params0: PyTree, params: PyTree) -> ParameterChange:
    """How far parameters moved, relative to their size.

    A layer is a direct child of the pytree (an entry of the tuple or dictionary) that holds at least one array.
    """
    children = _children(params0)
    moved = jnp.stack(
        [_norm(jax.tree.map(jnp.subtract, b, a)) for a, b in zip(children, _children(params), strict=True)]
    )
    size = jnp.stack([_norm(child) for child in children])
    return ParameterChange(moved / size, jnp.linalg.norm(moved) / jnp.linalg.norm(size))


def _children(params: PyTree) -> list[PyTree]:
    children = jax.tree.leaves(params, is_leaf=lambda node: node is not params)
    return [child for child in children if jax.tree.leaves(child)]


def _norm(tree: PyTree) -> Array:
    return jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(tree)))


@jax.jit
def kernel_alignment(kernel1: Kernel, kernel2: Kernel) -> Float[Array, ""]:
    """The cosine ⟨K, K′⟩ / (‖K‖ ‖K′‖) of two kernels [Cristianini et al. 2001]."""
    return jnp.vdot(kernel1, kernel2) / (jnp.linalg.norm(kernel1.reshape(-1)) * jnp.linalg.norm(kernel2.reshape(-1)))


@jax.jit
def centered_alignment(kernel1: Float[Array, "n n"], kernel2: Float[Array, "n n"]) -> Float[Array, ""]:
    """Alignment after both kernels' features have been centred on the data [Cortes, Mohri & Rostamizadeh 2012]."""
    return kernel_alignment(_center(kernel1), _center(kernel2))


def _center(kernel):
    return kernel - kernel.mean(0, keepdims=True) - kernel.mean(1, keepdims=True) + kernel.mean()


@jax.jit
def target_alignment(kernel: Float[Array, "n n"], y: Float[Array, "n *outputs"]) -> Float[Array, ""]:
    """Alignment of a kernel with the ideal one for targets y, y yᵀ [Cristianini et al. 2001]."""
    y = y.reshape(len(y), -1)
    return kernel_alignment(kernel, y @ y.T)


def sharpness(f: Callable[[PyTree, Array], Array], params: PyTree, x: Float[Array, "n *shape"]) -> Float[Array, ""]:
    """λ_max(Θ(X, X)) / n: gradient descent on the squared loss is stable to first order while η times it is below 2.

    It is the largest eigenvalue of that loss's Hessian less a part that is proportional to the residuals.
    """
    theta = as_matrix(gram(empirical_ntk(f, params), x))
    return jnp.linalg.norm(theta, 2) / len(x)


def average_gradient_outer_product(
    f: Callable[[PyTree, Array], Array], params: PyTree, x: Float[Array, "n dim"]
) -> Float[Array, "dim dim"]:
    """The mean over examples of ∇f ∇fᵀ, ∇f being the gradient with respect to the *input* x, summed over outputs.

    Its large entries are the directions of input space that f uses. For trained networks the first layer's WᵀW tends to
    be nearly proportional to it [Radhakrishnan, Beaglehole, Pandit & Belkin 2024].
    """
    slopes = jax.vmap(jax.jacrev(f, 1), (None, 0))(params, x)  # (n, outputs, dim)
    return jnp.einsum("nki,nkj->ij", slopes, slopes) / len(x)


def linearization_error(
    f: Callable[[PyTree, Array], Array], params0: PyTree, params: PyTree, x: Float[Array, "n *shape"]
) -> Float[Array, ""]:
    """‖f(θ) − f_lin(θ)‖ / ‖f(θ) − f(θ₀)‖ on the examples x: the share of the change that the linear model misses."""

    def outputs(function, p):
        return jax.vmap(function, (None, 0))(p, x)

    f_x = outputs(f, params)
    return jnp.linalg.norm(f_x - outputs(linearize(f, params0), params)) / jnp.linalg.norm(f_x - outputs(f, params0))


class RelativeScale(NamedTuple):
    """κ and the three norms it is made of, ‖F‖ being the root of the mean over examples of |f|².

    Attributes:
        kappa: residual · curvature / slope².
        residual: ‖F(θ) − y‖.
        slope: ‖DF(θ)‖, the operator norm of the Jacobian of all outputs; slope² = λ_max(Θ) / n.
        curvature: ‖D²F(θ)‖, the largest ‖D²F(θ)[u, v]‖ over unit directions u and v.
    """

    kappa: Float[Array, ""]
    residual: Float[Array, ""]
    slope: Float[Array, ""]
    curvature: Float[Array, ""]


def relative_scale(
    f: Callable[[PyTree, Array], Array],
    params: PyTree,
    x: Float[Array, "n *shape"],
    y: Float[Array, "n *outputs"],
    *,
    key: PRNGKeyArray | None = None,
    num_starts: int = 16,
    num_iterations: int = 100,
) -> RelativeScale:
    """κ = ‖F(θ) − y‖ ‖D²F(θ)‖ / ‖DF(θ)‖² for F(θ) = f(θ, X) [Chizat, Oyallon & Bach 2019]: small is lazy.

    κ is how far the slope DF turns, relative to its size, while the linear model closes the residual along the steepest
    direction. The scale of F's norm cancels in it.

    Both operator norms are found matrix-free. ‖DF‖: power iteration u -> DFᵀ DF u. ‖D²F‖ is the maximum of the
    trilinear form g · D²F[u, v] over unit vectors: each of u, v and g in turn is set to its best value for the other
    two, by one derivative forward and one in reverse, or two forward. The form never falls, but may end at a local
    maximum, so the largest of `num_starts` runs is taken: a lower bound of ‖D²F‖, met where a start finds the top.

    Args:
        key: draws the starts.
        num_starts, num_iterations: runs, and steps in each. A step sets u or v, then g: some ten forward passes over x.

    Raises:
        ValueError: if x and y differ in number, outputs and y in shape, or values are not finite.
    """
    x, y = jnp.asarray(x), jnp.asarray(y)
    check_finite(x=x, y=y, params=params)
    key = jax.random.key(0) if key is None else key
    theta, unravel = ravel_pytree(params)

    def outputs(theta):
        return jax.vmap(f, (None, 0))(unravel(theta), x) / len(x) ** 0.5

    f_x = outputs(theta)
    if f_x.shape != y.shape:
        raise ValueError(f"outputs have shape {f_x.shape} and targets {y.shape}: they must agree")

    start_key, key = jax.random.split(key)
    slope = _slope(outputs, theta, start_key, num_iterations)
    residual = _norm(f_x - y / len(x) ** 0.5)
    run = functools.partial(_curvature, outputs, theta, num_iterations=num_iterations)
    curvature = jnp.max(jax.lax.map(run, jax.random.split(key, num_starts)))
    return RelativeScale(residual * curvature / slope**2, residual, slope, curvature)


def _along(outputs, u):
    """DF(θ) u, as a function of θ."""
    return lambda theta: jax.jvp(outputs, (theta,), (u,))[1]


def _slope(outputs, theta: Array, key: PRNGKeyArray, num_iterations: int) -> Float[Array, ""]:
    """‖DF(θ)‖, by power iteration."""
    f_x, pull_back = jax.vjp(outputs, theta)

    def step(_, state):
        change = _along(outputs, state[0])(theta)
        return _unit(pull_back(change)[0]), _norm(change)

    start = _unit(jax.random.normal(key, theta.shape, theta.dtype))
    return jax.lax.fori_loop(0, num_iterations, step, (start, jnp.zeros((), f_x.dtype)))[1]


def _curvature(outputs, theta: Array, key: PRNGKeyArray, *, num_iterations: int) -> Float[Array, ""]:
    """A maximum of ‖D²F(θ)[u, v]‖ over unit vectors, from one start: u and v take turns."""
    f_x = jax.eval_shape(outputs, theta)

    def step(_, state):
        u, _, g, _ = state
        v = _unit(jax.vjp(_along(outputs, u), theta)[1](g)[0])  # the best one: D²F[u, ·]ᵀ g
        bend = jax.jvp(_along(outputs, u), (theta,), (v,))[1]
        return v, u, _unit(bend), _norm(bend)

    draws = zip(jax.random.split(key, 3), (theta.shape, theta.shape, f_x.shape), strict=True)
    start = [_unit(jax.random.normal(k, shape, theta.dtype)) for k, shape in draws]
    return jax.lax.fori_loop(0, num_iterations, step, (*start, jnp.zeros((), f_x.dtype)))[-1]


def _unit(u: Array) -> Array:
    """u / ‖u‖; zero stays zero, as where a model is linear."""
    norm = _norm(u)
    return u / jnp.where(norm > 0, norm, 1.0)


class PowerLaw(NamedTuple):
    """y ≈ prefactor · x^exponent, with the standard error of the exponent; call it to evaluate."""

    exponent: Float[Array, ""]
    standard_error: Float[Array, ""]
    prefactor: Float[Array, ""]

    def __call__(self, x):
        return self.prefactor * x**self.exponent


def power_law(x: Real[ArrayLike, " n"], y: Real[ArrayLike, "*seeds n"]) -> PowerLaw:
    """Least-squares line through log y against log x.

    Args:
        x: positive, n ≥ 2 different values.
        y: positive; (n,), or (seeds, n) with one fit a seed.

    Returns:
        The exponent with its standard error: over seeds, the standard deviation of the seeds' exponents over √seeds;
        for a single row (n ≥ 3), that of linear regression, from the scatter about the line.

    Raises:
        ValueError: if a value is not positive and finite, or there are too few points.
    """
    x, y = jnp.asarray(x, float), jnp.asarray(y, float)
    check_finite(x=x, y=y)
    if not (np.all(np.asarray(x) > 0) and np.all(np.asarray(y) > 0)):
        raise ValueError("a power law needs positive x and y: leave out zeros, or look at the absolute value")
    if len(x) < (3 if y.ndim == 1 else 2) or y.ndim > 2 or y.shape[-1] != len(x) or (y.ndim == 2 and len(y) < 2):
        raise ValueError(
            f"x has shape {x.shape} and y {y.shape}: give at least 3 points, or at least 2 seeds as rows of y, "
            f"with as many columns as x has values"
        )
    if np.all(np.asarray(x) == float(x[0])):
        raise ValueError(f"all values of x are {float(x[0]):g}: a slope needs at least two different ones")
    return _line(x, y)


@jax.jit
def _line(x, y) -> PowerLaw:
    log_x, log_y = jnp.log(x), jnp.atleast_2d(jnp.log(y))
    centered = log_x - log_x.mean()
    exponents = log_y @ centered / jnp.sum(centered**2)
    intercepts = log_y.mean(1) - exponents * log_x.mean()
    if y.ndim == 2:
        error = jnp.std(exponents, ddof=1) / len(exponents) ** 0.5
    else:
        scatter = log_y[0] - intercepts - exponents * log_x
        error = jnp.sqrt(jnp.sum(scatter**2) / (len(x) - 2) / jnp.sum(centered**2))
    return PowerLaw(exponents.mean(), error, jnp.exp(intercepts.mean()))


class Estimate(NamedTuple):
    """A mean and its standard error."""

    mean: Array
    standard_error: Array


def estimate(samples: Float[Array, "seeds *shape"]) -> Estimate:
    """Mean over the first axis, and the standard error of that mean.

    Raises:
        ValueError: if there are fewer than two samples.
    """
    if len(samples) < 2:
        raise ValueError(f"a standard error needs at least two samples, got {len(samples)}")
    return Estimate(samples.mean(0), jnp.std(samples, axis=0, ddof=1) / len(samples) ** 0.5)


def log_moment_ratio(samples: Float[Array, "seeds *shape"]) -> Estimate:
    """log E[X²] / E[X]², the squared relative spread where that is small, with its standard error by the jackknife."""

    def ratio(first, second, number):
        return jnp.log(second / number) - 2 * jnp.log(first / number)

    first, second, number = samples.sum(0, keepdims=True), jnp.sum(samples**2, 0, keepdims=True), len(samples)
    without = ratio(first - samples, second - samples**2, number - 1)
    return Estimate(ratio(first[0], second[0], number), jackknife_error(without))


def jackknife_error(without: Float[Array, "seeds *shape"]) -> Float[Array, "*shape"]:
    """The standard error of a statistic of n samples from its values t_i, each without one sample in turn.

    √((n − 1)/n Σ (t_i − t̄)²) with t̄ the mean of the t_i [Efron & Tibshirani 1993, chapter 11]. For a mean it is the
    usual standard error; for a smooth function of means, such as a standard deviation, right up to O(1/n). For a median
    it is not valid.

    Raises:
        ValueError: if there are fewer than two values, or some are not finite.
    """
    n = len(without)
    if n < 2:
        raise ValueError(f"the jackknife needs the values without each of at least two samples, got {n}")
    check_finite(without=without)
    return jnp.sqrt((n - 1) * jnp.var(without, axis=0))


def half_time(residual: Float[Array, "times *modes"], ts: Real[Array, "times *same"]) -> Float[Array, "*modes"]:
    """When each residual, 1 at time 0 and falling, passes ½: linear interpolation of −log residual, exact for e^(−λt).

    Args:
        ts: the times, or numbers of steps; either (times,) or of the residual's shape.
    """
    ts = jnp.broadcast_to(ts.reshape(ts.shape + (1,) * (residual.ndim - ts.ndim)), residual.shape).astype(float)
    flat = jnp.stack([a.reshape(len(ts), -1) for a in (-jnp.log(residual), ts)])
    found = jax.vmap(lambda log, t: jnp.interp(jnp.log(2.0), log, t), 1)(*flat)
    return found.reshape(residual.shape[1:])
