"""Self-checks of the chapter `large_kernels`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np

from ..activations import erf, relu
from ..gram import gram
from ..networks import infinite_ntk, mlp
from ._verdict import Verdict, agrees


def _call(answer, arguments: tuple, signature: str) -> np.ndarray | Verdict:
    """What the answer returns, as one array, or why there is none."""
    if not callable(answer):
        return Verdict(False, f"the answer must be a function {signature}, got {type(answer).__name__}.")
    try:
        return np.asarray(answer(*arguments), float)
    except Exception as error:  # whatever a reader's function raises is part of the verdict
        return Verdict(False, f"the function {signature} failed: {type(error).__name__}: {error}")


def _numbers(answer, cases: list[tuple], signature: str) -> np.ndarray | Verdict:
    found = []
    for case in cases:
        value = _call(answer, case, signature)
        if isinstance(value, Verdict):
            return value
        if value.size != 1:
            return Verdict(False, f"{signature} must return one number, got shape {value.shape}.")
        found.append(value.item())
    return np.array(found)


def _steps(jaxpr) -> Iterator:
    """All equations of a traced function, those of its inner functions too."""
    for eqn in jaxpr.eqns:
        yield eqn
        for value in jax.tree.leaves(list(eqn.params.values()), is_leaf=lambda v: hasattr(v, "eqns")):
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns"):
                yield from _steps(inner)


def check_largest(answer: Callable) -> Verdict:
    """The most examples whose kernel matrix, and two arrays of its size, fit into so many bytes."""
    cases = [(12e9, 1, 4), (12e9, 1, 8), (1e9, 10, 8)]
    found = _numbers(answer, cases, "(num_bytes, num_outputs, itemsize)")
    if isinstance(found, Verdict):
        return found
    num_bytes, k, size = np.array(cases).T
    truth = np.sqrt(num_bytes / (3 * size)) / k

    def close(wrong):
        return np.all(np.abs(found - wrong) <= 1)

    if close(truth):
        return Verdict(True, f"12 GB hold {int(truth[0]):,} examples in float32, one output; with ten, a tenth.")
    for wrong, reason in (
        (truth * math.sqrt(3), "eigenvectors and work space are as large as the matrix: three arrays must fit."),
        (truth * np.sqrt(k), "the matrix has n k rows, hence n² k² entries: divide by k, not by its root."),
        (truth * k, "with k outputs the matrix has n k rows and columns: k is missing."),
        (truth * np.sqrt(size), "each entry takes `itemsize` bytes: that factor is missing."),
        (truth**2, "the number of entries grows as n²: a root is missing."),
    ):
        if close(wrong):
            return Verdict(False, reason)
    return Verdict(False, "solve 3 · itemsize · (n k)² = num_bytes for n, rounded down.")


def check_rank(answer: Callable) -> Verdict:
    """The smallest rank at which the condition number is at most kappa, as a function (eigenvalues, ridge, kappa)."""
    values = 1e3 * np.arange(1.0, 201.0) ** -2.0
    cases = [(jnp.asarray(values), 1e-2, 50.0), (jnp.asarray(values), 1.0, 5.0), (jnp.asarray(values[:50]), 0.1, 20.0)]
    found = _numbers(answer, cases, "(eigenvalues, ridge, kappa)")
    if isinstance(found, Verdict):
        return found

    def smallest(left):
        return np.array([1 + np.argmax(left(np.asarray(v), r) <= kappa) for v, r, kappa in cases])

    truth = smallest(lambda v, ridge: (v + ridge) / (v[-1] + ridge))
    if np.array_equal(found, truth):
        return Verdict(True, "(λ_r + ρ) / (λ_n + ρ) ≤ κ: what the preconditioner leaves is flat down to λ_r.")
    if np.array_equal(found, truth - 1):
        return Verdict(False, "one too few: ranks count from 1, positions in an array from 0.")
    if np.array_equal(found, smallest(lambda v, ridge: (v + ridge) / ridge)):
        return Verdict(False, "the smallest eigenvalue of K + ρI is λ_n + ρ, not ρ.")
    if np.array_equal(found, smallest(lambda v, ridge: v / v[-1])):
        return Verdict(False, "the system is K + ρI: the ridge belongs to numerator and denominator.")
    shown = ", ".join(f"{value:g}" for value in found)
    return Verdict(False, f"found {shown}; the first r with (λ_r + ρ) / (λ_n + ρ) ≤ κ is wanted.")


def check_product(answer: Callable) -> Verdict:
    """Θ(X, X) v with never the whole of Θ, as a function (pair, x, v)."""
    signature = "(pair, x, v)"
    pair = infinite_ntk(mlp(1, 1, 1, relu))
    x, v = (jnp.asarray(np.random.default_rng(3).standard_normal((50, size))) for size in (3, 2))
    found = _call(answer, (pair, x, v), signature)
    if isinstance(found, Verdict):
        return found
    truth = np.asarray(gram(pair, x) @ v)
    if np.shape(found) != truth.shape:
        return Verdict(False, f"Θ v has the shape of v, {truth.shape}, got {np.shape(found)}.")
    if agrees(found[:48], truth[:48], rtol=1e-5) and not agrees(found, truth, rtol=1e-5):
        return Verdict(False, "the last rows are wrong: 50 is not a multiple of 16, so the last block is shorter.")
    if not agrees(found, truth, rtol=1e-5):
        return Verdict(False, "this is not Θ v: row block b of it is gram(pair, x[b], x) @ v.")
    try:
        traced = jax.make_jaxpr(lambda x, v: answer(pair, x, v))(x, v)
    except Exception as error:  # whatever a reader's function raises is part of the verdict
        return Verdict(False, f"right numbers, but JAX cannot trace it: {type(error).__name__}: {error}")
    largest = max((math.prod(out.aval.shape) for eqn in _steps(traced.jaxpr) for out in eqn.outvars), default=0)
    if largest >= 50 * 50:
        return Verdict(False, f"right numbers, but an array of {largest} entries is made: as many as Θ has.")
    return Verdict(True, "the right vector, and no array on the way was as large as Θ.")


def check_shared(answer: Callable) -> Verdict:
    """The kernel of a matrix used at several positions, as a function (h1, delta1, h2, delta2)."""
    signature = "(h1, delta1, h2, delta2)"
    random = np.random.default_rng(5)
    h1, d1, h2, d2 = (random.standard_normal(size) for size in ((6, 5), (6, 7)) * 2)
    found = _call(answer, tuple(map(jnp.asarray, (h1, d1, h2, d2))), signature)
    if isinstance(found, Verdict):
        return found
    if np.shape(found) != ():
        return Verdict(False, f"the kernel of one output is one number, got shape {np.shape(found)}.")
    truth = np.sum((h1.T @ d1) * (h2.T @ d2))
    for wrong, reason in (
        (np.sum(np.sum(h1 * h2, 1) * np.sum(d1 * d2, 1)), "positions s ≠ t contribute too: it is a double sum."),
        (np.sum(h1 @ h2.T) * np.sum(d1 @ d2.T), "the product stands inside the sum over s and t, not outside."),
        (np.sum((h1 @ h2.T) @ (d1 @ d2.T)), "multiply the two S x S matrices entry by entry, not as matrices."),
    ):
        if agrees(found, wrong, rtol=1e-5):
            return Verdict(False, reason)
    if not agrees(found, truth, rtol=1e-5):
        return Verdict(False, "not the inner product of the two gradients: sum (h_s·h_t)(δ_s·δ_t) over all s and t.")
    steps = list(_steps(jax.make_jaxpr(answer)(h1, d1, h2, d2).jaxpr))
    if any(out.aval.shape in ((5, 7), (7, 5)) for eqn in steps for out in eqn.outvars):
        return Verdict(False, "right number, but by way of the gradients, 5 x 7 here: use inner products only.")
    return Verdict(True, "Σ over s and t of (h_s·h_t)(δ_s·δ_t): no array as large as the matrix was made.")


def check_refine(answer: Callable) -> Verdict:
    """Θ⁻¹ y to ten digits by factorizing in float32 only, as a function (theta, y)."""
    signature = "(theta, y)"
    if not jax.config.jax_enable_x64:
        return Verdict(False, 'this exercise needs float64: jax.config.update("jax_enable_x64", True).')
    x, y = (jnp.asarray(np.random.default_rng(6).standard_normal((40, size))) for size in (10, 1))
    theta = gram(infinite_ntk(mlp(1, 1, 1, erf)), x)
    found = _call(answer, (theta, y), signature)
    if isinstance(found, Verdict):
        return found
    if np.shape(found) != (40, 1):
        return Verdict(False, f"w has the shape of y, (40, 1), got {np.shape(found)}.")
    try:
        steps = list(_steps(jax.make_jaxpr(answer)(theta, y).jaxpr))
    except Exception as error:  # whatever a reader's function raises is part of the verdict
        return Verdict(False, f"JAX cannot trace your function: {type(error).__name__}: {error}")
    error = float(np.linalg.norm(theta @ found - y) / np.linalg.norm(y))
    factorizations = [eqn for eqn in steps if eqn.primitive.name in ("cholesky", "lu", "eigh", "qr", "svd")]
    if any(eqn.invars[0].aval.dtype == jnp.float64 for eqn in factorizations):
        return Verdict(False, "a factorization is made in float64: convert the matrix with .astype(jnp.float32) first.")
    if not error < 1e-3:
        return Verdict(
            False, f"the residual ‖y − Θ w‖ is {error:.0e} of ‖y‖: add corrections, w ← w + Θ₃₂⁻¹ (y − Θ w)."
        )
    if not error < 1e-10:
        return Verdict(False, f"the residual is {error:.0e}, float32's: compute y − Θ w in float64, correct, repeat.")
    return Verdict(True, "a residual below 1e-10 from a factorization of half the size.")
