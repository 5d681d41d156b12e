"""From a pair function (x1, x2) -> value to a matrix: the only place that knows about blocks."""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ._checks import check_finite, check_floating, check_same_example_shape
from ._pytree import as_pytree

PairFunction = Callable[[Array, Array], Array]


def gram(
    pair: PairFunction,
    x1: Float[Array, "n1 *shape"],
    x2: Float[Array, "n2 *shape"] | None = None,
    *,
    batch_size: int | None = None,
) -> Float[Array, "n1 n2 *value"]:
    """The matrix of pair(x1[i], x2[j]).

    Args:
        pair: any kernel as a function of two single examples, finite or infinite, NTK or NNGP.
        x1, x2: examples along the first axis; x2 = None means x1.
        batch_size: at most batch_size² pairs at once, tile by tile, so that memory beyond the result stays bounded.
            What depends on x2 only is then computed again for each row of tiles. None takes all pairs at once.

    Returns:
        (n1, n2) followed by the shape of pair's value: nothing for infinite kernels, (k, k) for empirical ones.

    Raises:
        TypeError: if the inputs are not real floating-point arrays.
        ValueError: if they are not finite, do not match, or lack the axis that counts examples.
    """
    x1 = jnp.asarray(x1)
    x2 = x1 if x2 is None else jnp.asarray(x2)
    _check_examples(x1=x1, x2=x2)
    check_same_example_shape(x1, x2)
    _check_batch_size(batch_size)
    return _gram(as_pytree(pair), x1, x2, batch_size)


@functools.partial(jax.jit, static_argnames="batch_size")
def _gram(pair, x1, x2, batch_size):
    over_examples = functools.partial(_map, batch_size=batch_size)
    return over_examples(lambda a: over_examples(lambda b: pair(a, b), x2), x1)


def _map(fn, x, batch_size):
    if batch_size is None or batch_size >= len(x):
        return jax.vmap(fn)(x)
    return jax.lax.map(fn, x, batch_size=batch_size)


def diagonal(
    pair: PairFunction, x: Float[Array, "n *shape"], *, batch_size: int | None = None
) -> Float[Array, "n *value"]:
    """pair(x[i], x[i]) for every example, in linear time and memory."""
    x = jnp.asarray(x)
    _check_examples(x=x)
    _check_batch_size(batch_size)
    return _diagonal(as_pytree(pair), x, batch_size)


@functools.partial(jax.jit, static_argnames="batch_size")
def _diagonal(pair, x, batch_size):
    return _map(lambda a: pair(a, a), x, batch_size)


def as_matrix(kernel: Float[Array, "n1 n2 k1 k2"]) -> Float[Array, "n1*k1 n2*k2"]:
    """(n1, n2, k, k) to (n1 k, n2 k), the matrix that acts on outputs y of shape (n, k) as y.reshape(-1)."""
    n1, n2, k1, k2 = kernel.shape
    return kernel.transpose(0, 2, 1, 3).reshape(n1 * k1, n2 * k2)


def trace_outputs(kernel: Float[Array, "n1 n2 k k"]) -> Float[Array, "n1 n2"]:
    """The mean over outputs of Θ_aa(x1, x2), that is its trace over outputs divided by k."""
    return jnp.trace(kernel, axis1=-2, axis2=-1) / kernel.shape[-1]


def _check_batch_size(batch_size) -> None:
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")


def _check_examples(**examples) -> None:
    for name, x in examples.items():
        if x.ndim == 0:
            raise ValueError(f"{name} is a scalar: the first axis counts examples, so pass {name}[None]")
    check_floating(**examples)
    check_finite(**examples)
