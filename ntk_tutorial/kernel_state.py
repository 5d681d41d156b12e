"""What a pair of examples becomes inside an infinitely wide network, and how much of it the layers to come ask for.

Images and sequences have a covariance for every pair of positions (s, s'). Networks that only flatten read those of
equal positions, S of them; pooling and attention read all S². Each layer's `needs` tells what it reads, so that
nothing else is computed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real, UInt

Shape = tuple[int, ...]


class Entries(IntEnum):
    """Entries of a covariance between positions."""

    NONE = 0
    EQUAL = 1  # q[s] stands for the covariance of position s with itself
    PAIRS = 2  # q[s, s']


class Needs(NamedTuple):
    """The entries that layers to come read.

    Attributes:
        covariance: of q12 and Θ.
        variance: of q11 and q22.
    """

    covariance: Entries
    variance: Entries


OUTPUT = Needs(Entries.EQUAL, Entries.NONE)  # what the kernel itself is read from, after the last layer


class KernelState(NamedTuple):
    """What a pair of examples has become inside an infinitely wide network.

    Attributes:
        q11, q12, q22: covariances of one channel's signal, E[z_s(x1) z_s'(x1)], E[z_s(x1) z_s'(x2)] and
            E[z_s(x2) z_s'(x2)]; of shape () for vectors, else of shape (*positions) for s = s' only, or
            (*positions, *positions). None for q11 and q22 where no later layer reads them.
        ntk: Θ(x1, x2) of the layers so far, shaped like q12.
        positions: shape of the finite signal without its last axis, () for vectors.
        num_channels: length of the last axis of the finite signal, which the standard parameterization needs.
        is_gaussian: whether the signal is a Gaussian process, as the duals of an activation require.
        needs: what the layers after the present one read.
    """

    q11: Array | None
    q12: Array
    q22: Array | None
    ntk: Array
    positions: Shape
    num_channels: int
    is_gaussian: bool
    needs: Needs = OUTPUT

    def map(self, fn: Callable[[Array], Array]) -> KernelState:
        """`fn` on q11, q12, q22 and Θ, as for a layer that is linear and has no parameters."""
        q11, q12, q22, ntk = (None if q is None else fn(q) for q in self[:4])
        return self._replace(q11=q11, q12=q12, q22=q22, ntk=ntk)

    def keep(self, needs: Needs) -> KernelState:
        """Without the entries that `needs` leaves out."""

        def kept(q, entries):
            if q is None or entries == Entries.NONE:
                return None
            return q if entries == Entries.PAIRS else diagonal_of(q, self.positions)

        q11, q22 = (kept(q, needs.variance) for q in (self.q11, self.q22))
        return self._replace(
            q11=q11, q12=kept(self.q12, needs.covariance), q22=q22, ntk=kept(self.ntk, needs.covariance)
        )


def diagonal_of(q: Array, positions: Shape) -> Float[Array, "*position"]:
    """q[s] = q[s, s]."""
    if q.ndim == len(positions):
        return q
    size = math.prod(positions)
    return jnp.diagonal(q.reshape(size, size)).reshape(positions)


def beside(v1: Real[Array, "*position"], q: Array, v2: Real[Array, "*position"]) -> tuple[Array, Array, Array]:
    """(v1[s], q[s, s'], v2[s']), or (v1[s], q[s], v2[s]), as arrays that broadcast."""
    if q.ndim == v1.ndim:
        return v1, q, v2
    ones = (1,) * v1.ndim
    return v1.reshape(v1.shape + ones), q, v2.reshape(ones + v2.shape)


class Input(NamedTuple):
    """What kernels take of one example.

    Attributes:
        fingerprint: equal vectors of channels have equal ones, others hardly ever.
    """

    x: Float[Array, "*position channel"]
    fingerprint: UInt[Array, "*position"]


def as_input(x: Float[Array, "*position channel"]) -> Input:
    """The example with its fingerprints, which are sums over all bits with fixed random weights."""
    plain = jnp.where(x == 0, 0.0, x).astype(jnp.promote_types(x.dtype, jnp.float32))  # -0.0 equals 0.0
    word = jnp.dtype(f"uint{8 * plain.dtype.itemsize}")
    bits, half = jax.lax.bitcast_convert_type(plain, word), 4 * plain.dtype.itemsize
    bits = bits << half | bits >> half  # numbers such as 1 or 0.5 have nothing but zeros in their lower half
    weights = np.random.default_rng(0).integers(2 ** (2 * half - 1), size=x.shape[-1], dtype=np.uint64) * 2 + 1
    return Input(x, jnp.sum(jnp.broadcast_to(weights.astype(word), x.shape) * bits, axis=-1, dtype=word))


def input_state(input1: Input, input2: Input, needs: Needs) -> KernelState:
    """The kernel x·x′ / dim of the inputs themselves, for images and sequences of channels at each position."""

    def covariance(a, b, entries):
        if entries == Entries.NONE:
            return None
        if entries == Entries.PAIRS:
            ones = (1,) * len(positions)
            a, b = a.reshape(*positions, *ones, num_channels), b.reshape(*ones, *positions, num_channels)
        if num_channels <= 8:  # a matrix product would leave the axes in an order that makes all layers slow
            return jnp.mean(a * b, axis=-1)
        return jnp.einsum("...c,...c->...", a, b, precision="highest") / num_channels

    x1, x2 = input1.x, input2.x
    positions, num_channels = x1.shape[:-1], x1.shape[-1]
    q11, q22 = (covariance(x, x, needs.variance) for x in (x1, x2))
    q12 = covariance(x1, x2, needs.covariance)
    if q11 is not None:
        q12 = _exact_where_equal(q12, diagonal_of(q11, positions), input1.fingerprint, input2.fingerprint)
    return KernelState(q11, q12, q22, jnp.zeros_like(q12), positions, num_channels, False)


def _exact_where_equal(q12: Array, variance: Array, fingerprint1: Array, fingerprint2: Array) -> Array:
    """q12 with the variance itself where both inputs are the same, which a sum in another order misses by rounding.

    An angle of zero would be seen as one of √rounding. Derivatives are those of q12.
    """
    fingerprint1, q12, fingerprint2 = beside(fingerprint1, q12, fingerprint2)
    variance, *_ = beside(variance, q12, variance)
    error = variance - q12
    equal = (fingerprint1 == fingerprint2) & (jnp.abs(error) < 1e-3 * variance)
    return q12 + jax.lax.stop_gradient(jnp.where(equal, error, 0.0))
