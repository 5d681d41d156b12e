"""Kernel regression without a factorization: products with the kernel, and preconditioned conjugate gradients."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, ScalarLike

from ._checks import check_finite, check_floating, check_same_example_shape, is_concrete
from ._lazy import lazy
from ._pytree import as_pytree, traced
from .gram import PairFunction, as_matrix, gram

lx = lazy("lineax")
STORED_BLOCK = 2**27  # bytes of a row block read from disk


def kernel_operator(
    pair: PairFunction, x: Float[Array | np.ndarray, "n *shape"], *, batch_size: int = 1024, num_outputs: int = 1
) -> lx.FunctionLinearOperator:
    """Θ(X, X) as a linear operator on arrays of shape (n, k): tiles are computed, used, and forgotten.

    Since Θ(x', x) = Θ(x, x')ᵀ, only tiles on and above the diagonal are computed, each of which serves twice.

    Args:
        pair: any positive semi-definite kernel.
        x: examples along the first axis.
        batch_size: rows and columns of a tile.
        num_outputs: k, for kernels with one number a pair, which act on each output alike. Where pair's value is
            (k, k), it is k.

    Cost of a product: the n² / 2 pairs, and 2 n² k operations; memory for batch_size² pairs.

    Raises:
        TypeError: if x is not a real floating-point array.
        ValueError: if it is not finite, or batch_size is not positive.
    """
    pair, x = as_pytree(pair), jnp.asarray(x)
    _check_examples(batch_size, x=x)
    value = jax.eval_shape(gram, pair, x[:1], x[:1])
    structure = jax.ShapeDtypeStruct((len(x), *(value.shape[2:3] or (num_outputs,))), value.dtype)
    return lx.FunctionLinearOperator(
        functools.partial(_symmetric_product, pair, x, batch_size=batch_size), structure, lx.positive_semidefinite_tag
    )


def stored_operator(
    kernel: Float[np.ndarray, "n n *kk"], *, num_outputs: int = 1, block_bytes: int = STORED_BLOCK
) -> lx.FunctionLinearOperator:
    """A symmetric kernel on disk, from `stream_gram`, as a linear operator on arrays of shape (n, k).

    Each product reads the part on and above the diagonal once, by a callback on the host, `block_bytes` at a time.

    Raises:
        ValueError: if the kernel is not square.
    """
    if kernel.ndim not in (2, 4) or kernel.shape[0] != kernel.shape[1]:
        raise ValueError(f"the kernel must have shape (n, n) or (n, n, k, k), got {kernel.shape}")
    structure = jax.ShapeDtypeStruct((len(kernel), *(kernel.shape[2:3] or (num_outputs,))), kernel.dtype)
    product = functools.partial(_stored_product, kernel, block_bytes)
    return lx.FunctionLinearOperator(
        lambda v: jax.pure_callback(product, structure, v), structure, lx.positive_semidefinite_tag
    )


def _stored_product(kernel, block_bytes, v):
    v, out = np.asarray(v), np.zeros(v.shape, v.dtype)
    rows = max(1, block_bytes // kernel[:1].nbytes)
    for start in range(0, len(kernel), rows):
        stop = min(start + rows, len(kernel))
        block = _reopened(kernel)[start:stop, start:]
        if kernel.ndim == 2:
            out[start:stop] += block @ v[start:]
            out[stop:] += block[:, stop - start :].T @ v[start:stop]
        else:
            out[start:stop] += np.tensordot(block, v[start:], ((1, 3), (0, 1)))
            out[stop:] += np.tensordot(block[:, stop - start :], v[start:stop], ((0, 2), (0, 1)))
    return out


def _reopened(kernel):
    """A new mapping of the same file, so that pages read earlier leave this process's memory with the old one."""
    if not isinstance(kernel, np.memmap) or isinstance(kernel.base, np.ndarray):  # a view does not know its offset
        return kernel
    return np.memmap(kernel.filename, kernel.dtype, "r", kernel.offset, kernel.shape)


@functools.partial(jax.jit, static_argnames="batch_size")
def _symmetric_product(pair, x, v, *, batch_size):
    """K(x, x) v, by the tiles on and above the diagonal."""
    x_blocks, v_blocks = _blocked(x, batch_size, jnp.broadcast_to), _blocked(v, batch_size, _zeros)

    def add(out, ij):
        i, j = ij
        tile = gram(pair, x_blocks[i], x_blocks[j])
        out = out.at[i].add(_times(tile, v_blocks[j]))
        return out.at[j].add(jnp.where(i == j, 0.0, _transposed_times(tile, v_blocks[i])).astype(out.dtype)), None

    pairs = jnp.stack(jnp.triu_indices(len(x_blocks)), axis=1)
    out = jax.lax.scan(add, jnp.zeros_like(v_blocks), pairs)[0]
    return out.reshape(-1, *v.shape[1:])[: len(v)]


@functools.partial(jax.jit, static_argnames="batch_size")
def _product(pair, x1, x2, v, *, batch_size):
    """K(x1, x2) v, tile by tile."""
    x1_blocks, x2_blocks = (_blocked(x, batch_size, jnp.broadcast_to) for x in (x1, x2))
    v_blocks = _blocked(v, batch_size, _zeros)

    def row_block(x1_block):
        def add(out, columns):
            x2_block, v_block = columns
            return out + _times(gram(pair, x1_block, x2_block), v_block), None

        start = jnp.zeros((len(x1_block), *v.shape[1:]), v.dtype)
        return jax.lax.scan(add, start, (x2_blocks, v_blocks))[0]

    return jax.lax.map(row_block, x1_blocks).reshape(-1, *v.shape[1:])[: len(x1)]


def _blocked(array, size, padding):
    """(n, ...) to (blocks, size, ...), filled up with the first example again, where kernels are finite, or zeros."""
    size = min(size, len(array))
    missing = -len(array) % size
    filled = jnp.concatenate([array, padding(array[:1], (missing, *array.shape[1:])).astype(array.dtype)])
    return filled.reshape(-1, size, *array.shape[1:])


def _zeros(_, shape):
    return jnp.zeros(shape)


def _times(tile, v):
    formula = "ij,jb->ib" if tile.ndim == 2 else "ijab,jb->ia"
    return jnp.einsum(formula, tile, v, precision="highest")


def _transposed_times(tile, v):
    formula = "ij,ib->jb" if tile.ndim == 2 else "ijab,ia->jb"
    return jnp.einsum(formula, tile, v, precision="highest")


@traced("eigenvectors", "eigenvalues", "ridge")
class Nystrom:
    """See `nystrom`. `eigenvectors` U, one a column, and `eigenvalues` Λ, descending, of the approximation of K."""

    eigenvectors: Float[Array, "n rank"]
    eigenvalues: Float[Array, " rank"]
    ridge: ScalarLike

    def __call__(self, v: Float[Array, "n k"]) -> Float[Array, "n k"]:
        """P⁻¹ v."""
        columns = v.reshape(len(self.eigenvectors), -1)
        parts = jnp.matmul(self.eigenvectors.T, columns, precision="highest")
        shrink = (self.eigenvalues[-1] + self.ridge) / (self.eigenvalues + self.ridge) - 1
        return v + jnp.matmul(self.eigenvectors, shrink[:, None] * parts, precision="highest").reshape(v.shape)


def nystrom(
    kernel: PairFunction | Float[Array | np.ndarray, "n n *kk"],
    x: Float[Array | np.ndarray, "n *shape"] | None,
    rank: int,
    ridge: ScalarLike,
    key: PRNGKeyArray,
    *,
    batch_size: int = 1024,
) -> Nystrom:
    """A preconditioner for K + ridge I, from the kernel's columns at `rank` random examples, the landmarks.

    With C = K[:, landmarks] and W = K[landmarks, landmarks], K is close to C W⁻¹ Cᵀ = U Λ Uᵀ, and
    P⁻¹ = (λ_rank + ridge) U (Λ + ridge I)⁻¹ Uᵀ + I − U Uᵀ [Frangella, Tropp & Udell 2023, algorithm 2.1 and eq. 5.3,
    there with Gaussian combinations of columns in place of landmarks, which would cost all of K]. In the eigenbasis
    the inverse by Woodbury's formula loses no digits to cancellation.

    Args:
        kernel: a pair function, or the symmetric matrix itself, in memory or from `stream_gram`.
        x: the examples, which a matrix does not need: None.
        rank: how many landmarks. As many as K has eigenvalues above the ridge make the number of steps a constant.
        ridge: the weight of the identity, positive.
        key: draws the landmarks.
        batch_size: at most batch_size² pairs at once.

    Cost: n · rank pairs, O(n k (rank k)²) operations, and a few arrays of n k · rank k numbers.

    Raises:
        ValueError: if rank is not between 1 and n, the ridge is not positive, or W is not positive semi-definite.
    """
    n = len(kernel if x is None else x)
    if not 1 <= rank <= n:
        raise ValueError(f"rank must lie between 1 and the number of examples, {n}, got {rank}")
    _check_ridge(ridge, positive=True)
    landmarks = np.sort(np.asarray(jax.random.permutation(key, n))[:rank])
    if x is None:  # rows are contiguous on disk, columns are not
        rows = jnp.asarray(np.asarray(_reopened(kernel)[landmarks]))
        columns = rows.transpose(1, 0, *range(2, rows.ndim)[::-1])
    else:
        x = jnp.asarray(x)
        _check_examples(batch_size, x=x)
        columns = gram(kernel, x, x[landmarks], batch_size=batch_size)
    eigenvectors, eigenvalues = _nystrom(columns, landmarks)
    if is_concrete(eigenvalues) and not bool(jnp.all(jnp.isfinite(eigenvalues))):
        raise ValueError(
            f"the kernel at {rank} landmarks is not positive semi-definite up to rounding: compute it in float64, or "
            f"take a smaller rank"
        )
    return Nystrom(eigenvectors, eigenvalues, ridge)


@jax.jit
def _nystrom(columns, landmarks):
    core = columns[landmarks]
    if columns.ndim == 4:
        columns, core = as_matrix(columns), as_matrix(core)
    # K + jitter I instead of K makes W's Cholesky factor exist; the eigenvalues give it back.
    jitter = len(columns) ** 0.5 * jnp.finfo(columns.dtype).eps * jnp.linalg.norm(columns)
    size = len(core)
    identity = jnp.eye(size, dtype=core.dtype)
    factor = jnp.linalg.cholesky((core + core.T) / 2 + jitter * identity)
    shifted = _add_at_landmarks(columns, landmarks, jitter)
    half = jax.scipy.linalg.solve_triangular(factor, shifted.T, lower=True).T
    eigenvectors, singular_values, _ = jnp.linalg.svd(half, full_matrices=False)
    return eigenvectors, jnp.maximum(singular_values**2 - jitter, 0.0)


def _add_at_landmarks(columns, landmarks, jitter):
    k = columns.shape[1] // len(landmarks)
    rows = (landmarks[:, None] * k + jnp.arange(k)[None]).reshape(-1)
    return columns.at[rows, jnp.arange(columns.shape[1])].add(jitter)


class KernelRegression(NamedTuple):
    """w of (K + ridge I) w = y, how many steps it took, and the relative residual that is left."""

    coefficients: Float[Array, "n k"]
    num_steps: Array
    residual: Array


def solve_kernel_regression(
    operator: lx.AbstractLinearOperator,
    y: Float[Array | np.ndarray, "n k"],
    *,
    ridge: ScalarLike,
    rtol: float = 1e-5,
    max_steps: int = 1000,
    preconditioner: Callable[[Array], Array] | None = None,
) -> KernelRegression:
    """w of (K + ridge I) w = y by `lineax.CG`: products with the kernel are all it takes.

    What is solved for is u = ridge w = y − K w, which is what regression leaves of y. It has converged when
    ‖y − (K + ridge I) w‖ and the last change of u are both at most rtol ‖y‖. All outputs are solved together.

    Args:
        operator: K, from `kernel_operator`, `stored_operator` or `ntk_operator`.
        y: targets, (n, k).
        ridge: 0 or more. With 0, small eigenvalues of K decide how long it takes.
        rtol: accuracy, see above.
        max_steps: after so many steps it is an error.
        preconditioner: v -> P⁻¹ v for a P close to a multiple of K + ridge I, such as from `nystrom`.

    Cost: a product with the kernel a step, one more every 10, and 2 at the ends.

    Raises:
        ValueError: if shapes disagree, y is not finite, or the ridge is negative.
        RuntimeError: if it does not converge.
    """
    structure = operator.in_structure()
    y = jnp.asarray(y)
    if y.shape != structure.shape:
        raise ValueError(
            f"the operator acts on arrays of shape {structure.shape}, y has shape {y.shape}: make the operator with "
            f"num_outputs=k for y of shape (n, k), and use y[:, None] for y of shape (n,)"
        )
    check_finite(y=y)
    _check_ridge(ridge)
    y = y.astype(structure.dtype)
    size = jnp.linalg.norm(y)
    direction = y / jnp.where(size > 0, size, 1.0)
    # Without a ridge, a unit below all that is resolved: u then converges long before the residual does.
    rounding = jnp.finfo(y.dtype).eps
    unit = ridge if not is_concrete(ridge) or ridge > 0 else rounding * jnp.sum(direction * operator.mv(direction))
    unit = jnp.where(size > 0, unit, 1.0).astype(y.dtype)
    # lineax takes steps of more than 1 / (100 eps size) for a breakdown; a larger P⁻¹ makes steps smaller.
    scale = max(1.0, 1000 * float(rounding) * y.size)

    def system(u):
        return (operator.mv(u) + ridge * u) / unit

    def precondition(v):
        return scale * (v if preconditioner is None else preconditioner(v))

    as_operator = functools.partial(
        lx.FunctionLinearOperator,
        input_structure=jax.ShapeDtypeStruct(y.shape, y.dtype),
        tags=lx.positive_semidefinite_tag,
    )
    solver = lx.CG(rtol=0.0, atol=rtol, norm=lx.internal.two_norm, max_steps=max_steps)
    options = {"preconditioner": as_operator(precondition)}
    solution = lx.linear_solve(as_operator(system), direction, solver, options=options, throw=False)
    residual = jnp.linalg.norm(direction - system(solution.value))
    num_steps = solution.stats["num_steps"]
    _check_converged(residual, rtol, num_steps, max_steps)
    return KernelRegression(solution.value * (size / unit), num_steps, residual)


def predict_by_cg(
    pair: PairFunction,
    x_train: Float[Array | np.ndarray, "n *shape"],
    y_train: Float[Array | np.ndarray, "n k"],
    x_test: Float[Array | np.ndarray, "m *shape"],
    *,
    ridge: ScalarLike,
    operator: lx.AbstractLinearOperator | None = None,
    f_train0: Float[Array, "n k"] | None = None,
    f_test0: Float[Array, "m k"] | None = None,
    rtol: float = 1e-5,
    max_steps: int = 1000,
    preconditioner: Callable[[Array], Array] | None = None,
    batch_size: int = 1024,
) -> Float[Array, "m k"]:
    """f_test0 + Θ(X*, X) (Θ + ridge I)⁻¹ (y − f_train0): `predict` at t = ∞, on test points, with no kernel in memory.

    Args:
        pair: the kernel, as a pair function.
        x_train, y_train, x_test: examples, and targets (n, k).
        ridge: as in `predict`.
        operator: Θ(X, X) if there is one already, from `stored_operator` say; None computes tiles at each step.
        f_train0, f_test0: outputs at initialization; None means zero.
        rtol, max_steps, preconditioner: see `solve_kernel_regression`.
        batch_size: at most batch_size² pairs at once.

    Raises:
        TypeError, ValueError, RuntimeError: as `kernel_operator` and `solve_kernel_regression`.
    """
    pair, x_train, y_train, x_test = as_pytree(pair), *map(jnp.asarray, (x_train, y_train, x_test))
    _check_examples(batch_size, x_train=x_train, x_test=x_test)
    check_same_example_shape(x_train, x_test)
    if operator is None:
        operator = kernel_operator(pair, x_train, batch_size=batch_size, num_outputs=y_train.shape[-1])
    residual0 = y_train if f_train0 is None else y_train - f_train0
    w = solve_kernel_regression(
        operator, residual0, ridge=ridge, rtol=rtol, max_steps=max_steps, preconditioner=preconditioner
    ).coefficients
    change = _product(pair, x_test, x_train, w, batch_size=batch_size)
    return change if f_test0 is None else f_test0 + change


def _check_converged(residual, rtol, num_steps, max_steps) -> None:
    if is_concrete(residual) and not float(residual) <= 2 * rtol:
        raise RuntimeError(
            f"conjugate gradients reached a relative residual of {float(residual):.2g}, not {rtol:.2g}, in "
            f"{int(num_steps)} of at most {max_steps} steps: raise max_steps, precondition by nystrom(...) of a "
            f"larger rank, raise the ridge or rtol, or compute the kernel in float64"
        )


def _check_ridge(ridge, positive: bool = False) -> None:
    if is_concrete(ridge) and (ridge < 0 or (positive and ridge == 0)):
        raise ValueError(f"ridge must be {'positive' if positive else '0 or more'}, got {ridge}")


def _check_examples(batch_size, **examples) -> None:
    check_floating(**examples)
    check_finite(**examples)
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
