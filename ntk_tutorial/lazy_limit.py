"""Where lazy training ends: ridge regression on the Jacobian at initialization, exact, for some thousand parameters.

As α → ∞, α (f(θ, x) − f(θ₀, x)) is trained as its linearization, the model J(x) δ with J = ∂f/∂θ at θ₀. How many steps
gradient descent needs to come near the minimum, the condition number of the kernel tells. The minimum itself is the
solution of p linear equations, and takes no step at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

from ._checks import check_finite, check_output, check_params
from ._lazy import lazy
from ._pytree import as_pytree
from .ensembles import outputs

linalg = lazy("scipy.linalg")


def jacobian(f: Callable[[PyTree, Array], Array], params: PyTree, x: Float[Array, "n *shape"]) -> Float[Array, "n k p"]:
    """∂f/∂θ at each example, with all parameters along the last axis."""
    flat, unravel = ravel_pytree(params)
    return jax.vmap(jax.jacrev(lambda flat, x: f(unravel(flat), x)), (None, 0))(flat, x)


@jax.jit
def _jacobian(f, params, x):
    return jacobian(f, params, x)


def lazy_limit(
    f: Callable[[PyTree, Array], Array],
    params0: PyTree,
    x: Float[Array, "n *shape"],
    y: Float[Array, "n k"],
    ridges: Sequence[float],
    *,
    batch_size: int = 100,
) -> PyTree:
    """The displacements δ that minimize Σ_i |J(x_i) δ − y_i|² + ρ |δ|², for each of several ridges ρ.

    J δ is the function that lazy training from θ₀ ends at, with a weight decay or an early stop that acts as ρ does; as
    ρ → 0, that of unlimited training. `differential` evaluates it. The p x p matrix JᵀJ, in float64, is summed over
    batches: n k p² operations, half of it by symmetry, and 8 p² bytes twice; then p³ / 3 operations a ridge.

    Args:
        f: one example to a vector of k outputs.
        params0: θ₀; in float32, J is computed in float32.
        ridges: in units of the largest eigenvalue of JᵀJ, which is that of the kernel matrix Θ(X, X).
        batch_size: examples whose Jacobians are in memory at once.

    Returns:
        δ in the structure of params0, with the ridges along the first axis of each leaf.

    Raises:
        ValueError: if data are not finite or of unequal number, or a ridge is not positive.
    """
    x, y, f = jnp.asarray(x), jnp.asarray(y), as_pytree(f)
    check_params(params0)
    check_finite(x=x, y=y)
    if y.shape != (len(x), check_output(f, params0, x[0])):
        raise ValueError(f"x holds {len(x)} examples, y has shape {y.shape}: a row is needed for each, as f returns it")
    if not all(ridge > 0 for ridge in ridges):
        raise ValueError(f"ridges must be positive, got {list(ridges)}: without one, JᵀJ may have no inverse")
    flat, unravel = ravel_pytree(params0)
    matrix, vector = np.zeros((flat.size, flat.size), order="F"), np.zeros(flat.size)
    for start in range(0, len(x), batch_size):
        batch = slice(start, start + batch_size)
        j = np.asarray(_jacobian(f, params0, x[batch]), float).reshape(-1, flat.size)
        matrix = linalg.blas.dsyrk(1.0, j.T, beta=1.0, c=matrix, lower=1, overwrite_c=1)
        vector += j.T @ np.asarray(y[batch], float).reshape(-1)
    diagonal, largest = matrix.diagonal().copy(), _largest_eigenvalue(matrix)
    solutions = []
    for ridge in ridges:
        np.fill_diagonal(matrix, diagonal + ridge * largest)
        factor = linalg.cho_factor(matrix, lower=True, check_finite=False)
        solutions.append(linalg.cho_solve(factor, vector, check_finite=False))
    return jax.vmap(unravel)(jnp.asarray(np.stack(solutions), flat.dtype))


def _largest_eigenvalue(lower: np.ndarray, num_steps: int = 30) -> float:
    """By power iteration; of a symmetric matrix of which the lower half is given."""
    v = np.ones(len(lower))
    for _ in range(num_steps):
        v = linalg.blas.dsymv(1.0, lower, v / np.linalg.norm(v), lower=1)
    return float(np.linalg.norm(v))


def differential(
    f: Callable[[PyTree, Array], Array], params0: PyTree, delta: PyTree, x: Float[Array, "n *shape"]
) -> Float[Array, "n k"]:
    """J(x) δ at θ₀ for each example: the change of f's linearization, one Jacobian-vector product."""
    return _differential(as_pytree(f), params0, delta, x)


@jax.jit
def _differential(f, params0, delta, x):
    return jax.jvp(lambda params: outputs(f, params, x), (params0,), (delta,))[1]
