"""How variances, correlations and kernels go through the layers of a wide fully-connected network.

In infinite width a hidden layer sees of two inputs their pre-activations' covariances q11, q12, q22 only. A layer maps
them by q ← σ_w² E[φ(u) φ(v)] + σ_b²; what becomes of them with depth decides which kernel a deep network has [Poole et
al. 2016; Schoenholz et al. 2017]. All functions take σ_w and σ_b as arrays and may be traced.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray, Real

from ._checks import is_concrete
from .activations import Activation

Scale = Float[ArrayLike, "*scales"]


class DepthKernels(NamedTuple):
    """Kernels of networks with 0, 1, …, depth hidden layers, along the first axis.

    Attributes:
        nngp: K, the covariance of the outputs at initialization.
        ntk: Θ.
        variance: K(x, x), the same for all inputs.
    """

    nngp: Float[Array, "layer *shape"]
    ntk: Float[Array, "layer *shape"]
    variance: Float[Array, " layer"]


@functools.partial(jax.jit, static_argnames=("activation", "depth"))
def kernels_by_depth(
    activation: Activation, q12: Float[ArrayLike, "*shape"], depth: int, *, w_std=1.0, b_std=0.0, variance=1.0
) -> DepthKernels:
    """K and Θ of `mlp(width, L, 1, activation, w_std, b_std)` at infinite width for L = 0 … depth.

    Equivalent to `infinite_nngp` and `infinite_ntk` of each of them, for inputs of one length: a loop of
    K ← σ_w² E[φφ] + σ_b² and Θ ← σ_w² Θ E[φ'φ'] + K [Jacot et al. 2018, theorem 1], compiled once for all σ_w and σ_b.

    Args:
        q12: x·x′/dim of the pairs, any shape.
        depth: L of the deepest network.
        w_std, b_std: σ_w and σ_b, one number each; b_std = 0 is a network without biases.
        variance: x·x/dim of every input.

    Raises:
        ValueError: if depth is negative.
    """
    if depth < 0:
        raise ValueError(f"depth counts hidden layers and cannot be negative, got {depth}")

    def affine(q):
        return w_std**2 * q + b_std**2

    def layer(state, _):
        (v, q, theta) = state
        slope = w_std**2 * activation.dual_derivative(v, q, v)
        v, q = affine(activation.dual(v, v, v)), affine(activation.dual(v, q, v))
        state = (v, q, slope * theta + q)
        return state, state

    q = affine(jnp.asarray(q12, float))
    first = (jnp.broadcast_to(affine(jnp.asarray(variance, float)), q.shape), q, q)
    _, later = jax.lax.scan(layer, first, length=depth)
    v, q, theta = (jnp.concatenate([a[None], b]) for a, b in zip(first, later, strict=True))
    return DepthKernels(q, theta, v.reshape(depth + 1, -1)[:, 0])


class FixedPoint(NamedTuple):
    """Where the signal ends in a deep network.

    Attributes:
        variance: q*, the pre-activations' variance.
        correlation: c*, that of two different inputs: 1 in the ordered phase and on the edge, less in the chaotic one.
        chi: χ = σ_w² E[φ'(u)²] with u ~ N(0, q*), the slope of the correlation map at 1: below 1 order, above it chaos.
        slope: that of the correlation map at c*, the factor by which correlations near c* get closer to it in a layer.
    """

    variance: Float[Array, "*scales"]
    correlation: Float[Array, "*scales"]
    chi: Float[Array, "*scales"]
    slope: Float[Array, "*scales"]


@functools.partial(jax.jit, static_argnames="activation")
def correlation_map(
    activation: Activation, correlation: Float[ArrayLike, "*shape"], *, variance, w_std=1.0, b_std=0.0
) -> Float[Array, "*shape"]:
    """The correlation of two pre-activations after one layer more, c ↦ (σ_w² E[φ(u) φ(v)] + σ_b²) / q*.

    (u, v) has variances q* = `variance`, which the layer must keep, and correlation c [Schoenholz et al. 2017].
    """
    q = jnp.broadcast_to(jnp.asarray(variance, float), jnp.shape(correlation))
    return (w_std**2 * activation.dual(q, q * correlation, q) + b_std**2) / q


def fixed_point(activation: Activation, w_std: Scale, b_std: Scale, *, num_layers: int = 1000) -> FixedPoint:
    """q*, c* and the slopes of the correlation map, for each pair of σ_w and σ_b.

    q* is the variance after `num_layers` layers from 1, which is the limit unless it is approached more slowly than
    geometrically, as by erf and tanh with σ_b = 0 on the edge. The correlation map is a power series with positive
    coefficients, so convex on [0, 1], with c = 1 a fixed point; another one is below it where χ > 1, and is found by
    bisection. Its slope is σ_w² E[φ'(u) φ'(v)], by Price's theorem.

    Raises:
        ValueError: if variances grow without bound, or vanish: then there are no correlations.
    """
    w_std, b_std = jnp.broadcast_arrays(jnp.asarray(w_std, float), jnp.asarray(b_std, float))
    found = _fixed_point(activation, num_layers, w_std, b_std)
    if is_concrete(found.variance) and not bool(jnp.all((found.variance > 1e-12) & (found.variance < 1e12))):
        raise ValueError(
            f"after {num_layers} layers of {activation} variances are {found.variance}: with these scales they grow "
            f"without bound, or vanish. Take a smaller or a larger w_std, or a positive b_std"
        )
    return found


@functools.partial(jax.jit, static_argnames=("activation", "num_layers"))
def _fixed_point(activation, num_layers, w_std, b_std):
    def variance(_, q):
        return w_std**2 * activation.dual(q, q, q) + b_std**2

    def slope(c):
        return w_std**2 * activation.dual_derivative(q, q * c, q)

    def halve(_, interval):
        low, high = interval
        middle = (low + high) / 2
        below = correlation_map(activation, middle, variance=q, w_std=w_std, b_std=b_std) < middle
        return jnp.where(below, low, middle), jnp.where(below, middle, high)

    q = jax.lax.fori_loop(0, num_layers, variance, jnp.ones_like(w_std))
    one = jnp.ones_like(w_std)
    chi = slope(one)
    below = jax.lax.fori_loop(0, 60, halve, (0 * one, one))[1]
    c = jnp.where(chi > 1, below, one)
    return FixedPoint(q, c, chi, slope(c))


def critical_scales(activation: Activation, variance: Scale) -> tuple[Float[Array, "*scales"], Float[Array, "*scales"]]:
    """The σ_w and σ_b on the edge of chaos at which pre-activations keep the variance q* = `variance`.

    Both conditions are linear in the squares: χ = σ_w² E[φ'(u)²] = 1 and q* = σ_w² E[φ(u)²] + σ_b², with u ~ N(0, q*)
    [Hayou, Doucet & Rousseau 2019]. σ_b is NaN where that would need σ_b² < 0.
    """
    q = jnp.asarray(variance, float)
    w_var = 1 / activation.dual_derivative(q, q, q)
    b_var = q - w_var * activation.dual(q, q, q)
    return jnp.sqrt(w_var), jnp.sqrt(jnp.where(b_var > -1e-12 * q, jnp.maximum(b_var, 0.0), jnp.nan))


def random_correlations(
    key: PRNGKeyArray, activation: Activation, correlation: float, width: int, depth: int, *, w_std=1.0, b_std=0.0
) -> Float[Array, " layer"]:
    """Correlations of the pre-activations of two inputs in each layer of one random network, `depth` + 1 of them.

    What `kernels_by_depth` says of infinite width, measured at a finite one: the inputs are in the plane, with
    x·x/dim = 1 and x·x′/dim = `correlation`.
    """
    angle = jnp.arccos(correlation)
    x = 2**0.5 * jnp.stack([jnp.array([1.0, 0.0]), jnp.stack([jnp.cos(angle), jnp.sin(angle)])], axis=1)

    def layer(h, key_and_fan_in):
        key, fan_in = key_and_fan_in
        weights = jax.random.normal(key, (width, width + 1))  # and biases
        z = w_std / jnp.sqrt(fan_in) * jnp.matmul(weights[:, :-1], h, precision="highest") + b_std * weights[:, -1:]
        size = jnp.linalg.norm(z, axis=0)
        return activation.fn(z), z[:, 0] @ z[:, 1] / (size[0] * size[1])

    padded = jnp.zeros((width, 2)).at[:2].set(x)  # so that all layers have one shape
    fan_ins = jnp.full(depth + 1, float(width)).at[0].set(2.0)
    return jax.lax.scan(layer, padded, (jax.random.split(key, depth + 1), fan_ins))[1]


@functools.partial(jax.jit, static_argnames=("width", "depths", "num"))
def random_relu_kernels(
    key: PRNGKeyArray, width: int, depths: tuple[int, ...], num: int
) -> Float[Array, "{num} depths"]:
    """Θ(x, x) / width of `num` random ReLU networks for each number of hidden layers, with |x|² = dim = width.

    Hidden layers are √(2/width) max(W h, 0), so that signals keep their size in the mean; the readout is a·h; there are
    no biases. Networks of different depths share their layers. In float32, whose rounding is far below the spread.

    Raises:
        ValueError: unless there are depths, and all are 1 or more.
    """
    if min(depths, default=0) < 1:
        raise ValueError(f"depths are numbers of hidden layers, 1 or more, got {depths}")

    def apply(weights, depth):
        def layer(h, layer_and_w):
            number, w = layer_and_w
            return jnp.where(number < depth, (2 / width) ** 0.5 * jax.nn.relu(w @ h), h), None

        numbered = jnp.arange(max(depths)), weights["hidden"]
        h, _ = jax.lax.scan(layer, jnp.ones(width, jnp.float32), numbered)
        return weights["readout"] @ h

    def kernels(key):
        w_key, a_key = jax.random.split(key)
        hidden = jax.random.normal(w_key, (max(depths), width, width), jnp.float32)
        weights = {"hidden": hidden, "readout": jax.random.normal(a_key, (width,), jnp.float32)}
        slopes = jax.vmap(jax.grad(apply), (None, 0))(weights, jnp.asarray(depths))
        return sum(jnp.sum(slope**2, range(1, slope.ndim)) for slope in jax.tree.leaves(slopes)) / width

    return jax.lax.map(kernels, jax.random.split(key, num), batch_size=50).astype(float)


def relu_kernel_fluctuation(depth: Real[ArrayLike, "*depths"]) -> Float[Array, "*depths"]:
    """C in E[Θ(x, x)²] / E[Θ(x, x)]² ≈ 1 + C / width, to first order, for networks as in `random_relu_kernels`.

    C = 5 L − (4/3) L (L + 2) / (L + 1) for L hidden layers: each layer that two terms of Θ = Σ_ℓ Θ_ℓ both pass with
    signals, or both with gradients, adds 5, a layer that one passes with signals and the other with gradients adds 1.
    """
    depth = jnp.asarray(depth, float)
    return 5 * depth - 4 / 3 * depth * (depth + 2) / (depth + 1)
