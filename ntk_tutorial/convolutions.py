"""Convolution and pooling of sequences (position, channel) and images (height, width, channel).

Convolution sees the covariance of positions s, s' through a window that moves both alike, because both are multiplied
with the same weights; pooling through two windows that move independently. Either is a sum of shifted copies, one axis
after another.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from .kernel_state import Entries, KernelState, Needs, Shape
from .layers import Affine, Layer, Parameterization, Params

Padding = Literal["SAME", "VALID", "CIRCULAR"]
WIDE = 32  # numbers along a row of a matrix from which on a product with it is not too small


@dataclass(frozen=True)
class Windows:
    """Where a window stops along each axis of positions.

    Attributes:
        shape: of the window.
        strides: from one stop to the next.
        padding: "VALID" stops where the window fits. "SAME" surrounds with zeros, "CIRCULAR" repeats periodically, so
            that there are ⌈size / stride⌉ stops; where the surplus is odd, the end gets one more than the beginning.
    """

    shape: Shape
    strides: Shape
    padding: Padding

    def check(self, owner: str) -> None:
        """Refuses what is not a window; `owner` is the name of the layer."""
        shape, strides = self.shape, self.strides
        for name, value in (("window", shape), ("strides", strides)):
            if not isinstance(value, tuple) or not all(isinstance(v, int) and v > 0 for v in value):
                raise ValueError(f"{owner} got {name} {value!r}: a tuple of positive integers is needed, one an axis")
        if len(shape) not in (1, 2) or len(strides) != len(shape):
            raise ValueError(
                f"{owner} got window {shape} and strides {strides}: both must have one entry for sequences, two for "
                f"images"
            )
        if self.padding not in ("SAME", "VALID", "CIRCULAR"):
            raise ValueError(f'{owner} got padding {self.padding!r}: it is "SAME", "VALID" or "CIRCULAR"')

    def stops(self, positions: Shape, layer: Layer) -> Shape:
        """How many there are along each axis; refuses positions that do not fit `layer`."""
        if len(positions) != len(self.shape):
            raise ValueError(
                f"{layer} got an example of shape {(*positions, 'channels')}: it takes {len(self.shape)} axes of "
                f"positions before that of channels, so put it before Flatten or any global pooling, and give images "
                f"as (height, width, channels), sequences as (position, channels), without a batch axis"
            )
        if self.padding == "VALID" and any(s < w for s, w in zip(positions, self.shape, strict=True)):
            raise ValueError(
                f"{layer} got positions {positions}, where its window {self.shape} does not fit even once: "
                f'make the window smaller or take padding="SAME"'
            )
        sizes = zip(positions, self.shape, self.strides, strict=True)
        return tuple((s - w) // stride + 1 if self.padding == "VALID" else -(-s // stride) for s, w, stride in sizes)

    def pad(self, x: Array, dim: int, axes: Shape) -> Array:
        """Pads `axes` of x, which all stand for positions along axis number `dim`."""
        if self.padding == "VALID":
            return x
        size, window, stride = x.shape[axes[0]], self.shape[dim], self.strides[dim]
        surplus = max((-(-size // stride) - 1) * stride + window - size, 0)
        widths = [(surplus // 2, surplus - surplus // 2) if axis in axes else (0, 0) for axis in range(x.ndim)]
        return jnp.pad(x, widths, mode="wrap" if self.padding == "CIRCULAR" else "constant")

    def shifted(self, x: Array, dim: int, axes: Shape) -> list[Array]:
        """x as seen from each entry of the window along axis number `dim`, at all stops; `axes` move together."""
        return self.slices(self.pad(x, dim, axes), dim, axes)

    def slices(self, x: Array, dim: int, axes: Shape) -> list[Array]:
        """`shifted`, of x that is padded already."""
        window, stride = self.shape[dim], self.strides[dim]
        stops = (x.shape[axes[0]] - window) // stride + 1

        def seen(k):
            ranges = (
                slice(k, k + (stops - 1) * stride + 1, stride) if a in axes else slice(None) for a in range(x.ndim)
            )
            return x[tuple(ranges)]

        return [seen(k) for k in range(window)]

    def sum(self, x: Array, dim: int, axes: Shape) -> Array:
        """The sum over the window along axis number `dim`."""
        return sum(self.shifted(x, dim, axes))


@dataclass(frozen=True)
class Conv(Affine):
    """z_s = w_std / √fan_in · Σ_j W_j h_{s + j} + b_std · b, over the entries j of a window: cross-correlation.

    fan_in is the number of entries of the window times that of input channels. Infinite width [Novak et al. 2019; Arora
    et al. 2019]: with q̄[s, s'] the mean of q[s + j, s' + j] over j, where q is zero outside of the image unless it
    repeats, q ← w_std² q̄ + b_std² and Θ ← w_std² Θ̄ + w_std² q̄ + b_std².

    Attributes:
        num_channels: of the output.
        filter_shape: of the window, one entry for sequences, two for images.
        strides: from one position of the output to the next; None means 1.
        padding: "SAME" surrounds with zeros, "CIRCULAR" repeats periodically, "VALID" takes windows that fit.
        w_std, b_std, parameterization: as for `Dense`.
    """

    num_channels: int
    filter_shape: tuple[int, ...]
    strides: tuple[int, ...] | None = None
    padding: Padding = "SAME"
    w_std: float = 1.0
    b_std: float | None = None
    parameterization: Parameterization = "ntk"

    def __post_init__(self):
        if self.num_channels < 1:
            raise ValueError(f"Conv needs at least one channel, got num_channels={self.num_channels}")
        self.windows.check("Conv")
        self.check_scales()

    @property
    def windows(self) -> Windows:
        """Where the filter stops."""
        strides = jax.tree.map(lambda _: 1, self.filter_shape) if self.strides is None else self.strides
        return Windows(self.filter_shape, strides, self.padding)

    def init(self, key: PRNGKeyArray, input_shape: Shape) -> tuple[Params, Shape]:
        *positions, channels = input_shape
        stops = self.windows.stops(tuple(positions), self)
        return self.draw(key, (*self.filter_shape, channels, self.num_channels)), (*stops, self.num_channels)

    def apply(self, params: Params, x: Float[Array, "*position channel"]) -> Float[Array, "*stop num_channels"]:
        self.windows.stops(x.shape[:-1], self)
        weight_shape = (*self.filter_shape, x.shape[-1], self.num_channels)
        if params["w"].shape != weight_shape:
            raise ValueError(
                f"{self} got an example of shape {x.shape} and weights of shape {params['w'].shape} in place of "
                f"{weight_shape}: use parameters that init drew for examples of this shape"
            )
        slabs = self.slabs(x)  # matrix products, since batches of networks have their own w
        weights = jnp.split(params["w"].reshape(-1, self.num_channels), len(slabs))
        products = [jnp.matmul(h, w, precision="highest") for h, w in zip(slabs, weights, strict=True)]
        w_scale, _ = self.scales(math.prod(weight_shape[:-1]))
        return self.add_bias(params, w_scale * sum(products))

    def kernel(self, state: KernelState) -> KernelState:
        stops = self.windows.stops(state.positions, self)
        return self.affine_kernel(state, stops, math.prod(self.filter_shape) * state.num_channels, self.num_channels)

    def slabs(self, x: Float[Array, "*position channel"]) -> list[Float[Array, "*stop rows"]]:
        """One for each offset along the first axis, which copies least; one for all where channels are few."""
        x = self.windows.pad(x, 0, (0,))
        for dim in range(1, len(self.filter_shape)):
            x = jnp.concatenate(self.windows.shifted(x, dim, (dim,)), axis=-1)
        slabs = self.windows.slices(x, 0, (0,))
        return slabs if x.shape[-1] >= WIDE else [jnp.concatenate(slabs, axis=-1)]

    def patch_covariance(self, q: Array, positions: Shape) -> Array:
        axes = [tuple(range(dim, q.ndim, len(positions))) for dim in range(len(positions))]
        for dim in range(len(positions)):
            q = self.windows.pad(q, dim, axes[dim])
        for dim in range(len(positions)):
            q = sum(self.windows.slices(q, dim, axes[dim]))
        return q / math.prod(self.filter_shape)


class Pool:
    """What all pooling layers share: their sums mix positions, so that they read all pairs of them."""

    def needs(self, after: Needs) -> Needs:
        return Needs(Entries.PAIRS, Entries.PAIRS if after.variance else Entries.NONE)


class LocalPool(Pool):
    """What `AvgPool` and `SumPool` share."""

    window: Shape
    strides: Shape | None
    padding: Padding

    def __post_init__(self):
        self.windows.check(type(self).__name__)

    @property
    def windows(self) -> Windows:
        """Where the window stops."""
        return Windows(self.window, self.window if self.strides is None else self.strides, self.padding)

    @property
    def factor(self) -> float:
        """What the sum over a window is multiplied with."""
        raise NotImplementedError

    def init(self, key: PRNGKeyArray, input_shape: Shape) -> tuple[Params, Shape]:
        *positions, channels = input_shape
        return (), (*self.windows.stops(tuple(positions), self), channels)

    def apply(self, params: Params, x: Float[Array, "*position channel"]) -> Float[Array, "*stop channel"]:
        self.windows.stops(x.shape[:-1], self)
        for dim in range(len(self.window)):
            x = self.windows.sum(x, dim, (dim,))
        return self.factor * x

    def kernel(self, state: KernelState) -> KernelState:
        stops = self.windows.stops(state.positions, self)

        def pool(q):
            for axis in range(q.ndim):
                q = self.windows.sum(q, axis % len(stops), (axis,))
            return self.factor**2 * q

        return state.map(pool)._replace(positions=stops)


@dataclass(frozen=True)
class AvgPool(LocalPool):
    """The sum over a window, divided by its number of entries even where it sticks out of the image.

    Infinite width: q[s, s'] and Θ[s, s'] averaged over a window around s and one around s'.

    Attributes:
        window: its shape, one entry for sequences, two for images.
        strides: from one window to the next; None means side by side, the window's own shape.
        padding: as for `Conv`.
    """

    window: tuple[int, ...]
    strides: tuple[int, ...] | None = None
    padding: Padding = "VALID"

    @property
    def factor(self) -> float:
        """One over the number of entries of the window."""
        return 1.0 / math.prod(self.window)


@dataclass(frozen=True)
class SumPool(LocalPool):
    """The sum over a window; attributes and infinite width as for `AvgPool`, with sums for averages."""

    window: tuple[int, ...]
    strides: tuple[int, ...] | None = None
    padding: Padding = "VALID"

    @property
    def factor(self) -> float:
        """One."""
        return 1.0


class GlobalPool(Pool):
    """What `GlobalAvgPool` and `GlobalSumPool` share."""

    reduce = staticmethod(jnp.mean)

    def init(self, key: PRNGKeyArray, input_shape: Shape) -> tuple[Params, Shape]:
        _check_positions(self, input_shape[:-1])
        return (), input_shape[-1:]

    def apply(self, params: Params, x: Float[Array, "*position channel"]) -> Float[Array, " channel"]:
        _check_positions(self, x.shape[:-1])
        return self.reduce(x, axis=tuple(range(x.ndim - 1)))

    def kernel(self, state: KernelState) -> KernelState:
        _check_positions(self, state.positions)
        return state.map(self.reduce)._replace(positions=())


@dataclass(frozen=True)
class GlobalAvgPool(GlobalPool):
    """The mean over all positions. Infinite width: q and Θ averaged over all pairs of positions."""


@dataclass(frozen=True)
class GlobalSumPool(GlobalPool):
    """The sum over all positions. Infinite width: q and Θ summed over all pairs of positions."""

    reduce = staticmethod(jnp.sum)


def _check_positions(layer: Layer, positions: Shape) -> None:
    if not positions:
        raise ValueError(
            f"{layer} got a vector, which has no positions to pool: put it before Flatten or other global pooling, and "
            f"give images as (height, width, channels), sequences as (position, channels)"
        )
