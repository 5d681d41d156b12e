"""Test errors of kernel regression: with one kernel, with the best of several, with a trained network's own."""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree, ScalarLike

from .empirical import empirical_ntk
from .gram import gram, trace_outputs


def regression_error(
    kernel: Float[Array, "n_and_m n"], y: Float[Array, "n_and_m k"], ridge: ScalarLike = 1e-4
) -> Float[Array, ""]:
    """The mean squared test error of kernel ridge regression K(x, X) (K(X, X) + r I)⁻¹ Y, summed over outputs.

    Args:
        kernel, y: rows are the n examples X to train with, then those to test with.
        ridge: r over the mean of the diagonal of K(X, X).
    """
    n = kernel.shape[1]
    inner = kernel[:n] + ridge * jnp.trace(kernel[:n]) / n * jnp.eye(n)
    f = kernel[n:] @ jax.scipy.linalg.solve(inner, y[:n], assume_a="pos")
    return jnp.mean(jnp.sum((f - y[n:]) ** 2, -1))


@functools.partial(jax.jit, static_argnames=("num_train", "ridges"))
def best_regression_error(
    kernels: Float[Array, "kernels n_and_m n"],
    y: Float[Array, "n_and_m k"],
    *,
    num_train: int | None = None,
    ridges: tuple[float, ...] = (1e-4, 1e-2, 1e-1),
) -> Float[Array, ""]:
    """The least of `regression_error` over kernels and ridges: chosen on the test examples, in hindsight.

    Args:
        num_train: train with the first of the n examples only.

    Raises:
        ValueError: unless 1 ≤ num_train ≤ n.
    """
    n = kernels.shape[-1]
    num_train = n if num_train is None else num_train
    if not 1 <= num_train <= n:
        raise ValueError(f"num_train must lie between 1 and {n}, the number of columns of each kernel, got {num_train}")
    rows = jnp.r_[:num_train, n : len(y)]
    each = jax.vmap(jax.vmap(regression_error, (None, None, 0)), (0, None, None))
    return jnp.min(each(kernels[:, rows, :num_train], y[rows], jnp.asarray(ridges)))


def after_kernel_error(
    f: Callable[[PyTree, Array], Array],
    params: PyTree,
    x: Float[Array, "n *shape"],
    y: Float[Array, "n k"],
    *,
    num_train: int,
    ridge: ScalarLike = 1e-4,
) -> Float[Array, ""]:
    """`regression_error` with a network's tangent kernel at `params`, mean over outputs: of lazy training from there.

    With parameters after training, this is the error of the *after kernel* [Long 2021].

    Args:
        x, y: examples, of which the first `num_train` are trained with and the others tested with.

    Raises:
        ValueError: unless 1 ≤ num_train < n.
    """
    if not 1 <= num_train < len(x):
        raise ValueError(f"num_train must be at least 1 and leave examples to test with, got {num_train} of {len(x)}")
    return regression_error(trace_outputs(gram(empirical_ntk(f, params), x, x[:num_train])), y, ridge)
