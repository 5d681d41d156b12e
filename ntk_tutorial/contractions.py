"""What a matrix of parameters adds to the kernel of a finite network, as products of matrices over batches of examples.

Each class holds what the kernel takes of one example or, with an axis more, the first, of a batch of them. Its
`product` with that of another batch has shape (n1, k, n2, k).
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

einsum = functools.partial(jnp.einsum, precision="highest")


class InHalves:
    """A symmetric pair function by its halves: `features` of an example, and `combine_all`, which takes batches."""

    symmetric = True

    def __call__(self, x1: Array, x2: Array) -> Float[Array, "k k"]:
        return self.combine(self.features(x1), self.features(x2))

    def combine(self, features1: PyTree, features2: PyTree) -> Float[Array, "k k"]:
        batches = jax.tree.map(lambda a: a.reshape(1, *a.shape), (features1, features2))
        return self.combine_all(*batches)[0, 0]


def rows_product(a: Float[Array, "n1 k *shape"], b: Float[Array, "n2 k *shape"]) -> Float[Array, "n1 k n2 k"]:
    """Inner products over all axes but the first two, as one product of matrices, which XLA forms without a copy."""
    rows1, rows2 = (x.reshape(math.prod(x.shape[:2]), math.prod(x.shape[2:])) for x in (a, b))
    return einsum("ap,bp->ab", rows1, rows2).reshape(*a.shape[:2], *b.shape[:2])


class Gradient(NamedTuple):
    """∂f/∂W, followed by ∂f/∂b: a pair takes k² fan_in num_outputs operations."""

    gradient: Float[Array, "k *entry"]

    def product(self, other: Gradient) -> Float[Array, "n1 k n2 k"]:
        return rows_product(self.gradient, other.gradient)


class Factors(NamedTuple):
    """h, what b is multiplied with, and δ: a pair takes S² (fan_in + k² num_outputs) at S positions.

    As ∂f/∂W = Σ_s h_s δ_sᵀ over positions s, where h_s is a patch, the sum over all entries of ∂f(x1) ∂f(x2)ᵀ is
    Σ_{s,t} (h_s·h_t)(δ_s·δ_t).
    """

    h: Float[Array, "*n position fan_in"]
    constant: Float[Array, "*n"] | None
    delta: Float[Array, "*n k position num_outputs"]

    def product(self, other: Factors) -> Float[Array, "n1 k n2 k"]:
        inputs = rows_product(self.h, other.h)
        if self.constant is not None:
            inputs += jnp.outer(self.constant, other.constant)[:, None, :, None]
        if self.h.shape[1] == 1:
            return inputs * rows_product(self.delta[:, :, 0], other.delta[:, :, 0])
        flat = (x.reshape(len(x), -1, x.shape[-1]) for x in (self.delta, other.delta))
        shapes = (x.shape[:-1] for x in (self.delta, other.delta))
        deltas = rows_product(*flat).reshape(*itertools.chain(*shapes))
        return einsum("isjt,iasjbt->iajb", inputs, deltas)


class SharedGradient(NamedTuple):
    """One gradient for all outputs, up to a factor for each column of W: a pair takes (fan_in + k²) num_outputs."""

    gradient: Float[Array, "*n fan_in num_outputs"]
    readout: Float[Array, "*n k num_outputs"]

    def product(self, other: SharedGradient) -> Float[Array, "n1 k n2 k"]:
        shared = einsum("ico,jco->ijo", self.gradient, other.gradient)
        return einsum("iajo,jbo->iajb", self.readout[:, :, None] * shared[:, None], other.readout)
