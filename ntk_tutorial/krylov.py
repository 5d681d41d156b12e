"""Gradient flow from few products with the kernel: Ritz pairs that stand for eigenmodes, with a bound on the error.

The flow u' = −(Θ + ridge) u takes place, up to an error that decays faster than any power, in the Krylov space of few
products Θ r, Θ² r, … with where it starts. Projected onto an orthonormal basis Q of it, Θ becomes the small
T = Qᵀ Θ Q, and ũ(s) = Q exp(−s (T + ridge)) Qᵀ r [Saad 1992; Hochbruck & Lubich 1997].
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real

from .spectra import Eigenmodes

FIRST_CHECK, GIVE_UP_FROM = 6, 9  # steps
NODES = 128  # of the integral over time


def flow_modes(
    kernel: Float[Array | np.ndarray, "n n"],
    start: Real[Array | np.ndarray, "n p"],
    horizon: float,
    ridge: float = 0.0,
) -> Eigenmodes | None:
    """Eigenvalues Λ and orthonormal U such that U exp(−s (Λ + ridge)) Uᵀ r = exp(−s (Θ + ridge)) r for s ≤ horizon.

    That is, for the columns r of `start`, with an error of at most 4 ε ‖r‖, ε being the kernel's rounding: see
    `_error_bound`. There are at most n / 4 Ritz pairs: with T = V Λ Vᵀ, U = Q V. To them are added zeros, up to a
    multiple of n / 16 columns, so that what is compiled for one kernel serves for others.

    All is computed in float64, on the host. Rounding of Θ Q, as large as the largest eigenvalue makes it, is seen in
    the modes of small ones at late times: beyond λ_max s of a few thousands in float64, in float32 much earlier.

    Cost: 2 n² p operations a step, in a few tens of steps; a Cholesky decomposition, n³ / 3; a copy of Θ in float64.

    Returns:
        None where more steps are needed than pay, at times too late for float64, and where Θ is not positive
        semi-definite up to rounding.
    """
    kernel = _symmetric(kernel)
    theta, start = np.asarray(kernel, float), np.asarray(start, float)
    rounding, sizes = float(jnp.finfo(kernel.dtype).eps), np.linalg.norm(start, axis=0)
    check, before, most = FIRST_CHECK, None, _most_steps(*start.shape)
    for space in _krylov_spaces(theta, start, most):
        if space.num_steps < check and not space.is_invariant():
            continue
        values, vectors = np.linalg.eigh(space.projected)
        lowest = -4 * len(theta) ** 0.5 * rounding * max(values[-1], 0.0)
        growth = -horizon * lowest  # of errors, at most, in the modes of what rounding makes of zero eigenvalues
        seen = np.finfo(float).eps * values[-1] * horizon  # of the rounding of Θ Q
        if values[0] < lowest or growth > 50 or seen > max(4 * rounding, 1e-12):
            return None
        bound = np.exp(growth) * _error_bound(space, values, vectors, horizon, ridge)
        error = np.max(bound / np.where(sizes > 0, sizes, 1.0)) / (4 * rounding)
        if error <= 1:
            orthonormal = np.allclose(space.basis.T @ space.basis, np.eye(len(values)), rtol=0, atol=1e-10)
            trusted = orthonormal and bool(_is_above(kernel, lowest))
            return _as_modes(values, space.basis, vectors, kernel.dtype) if trusted else None
        now = space.num_steps, error
        needed = np.inf if before is None else _steps_needed(before, now)
        # A fifth is the extrapolation's own error: where it is larger, the products have been in vain.
        if now[0] >= max(GIVE_UP_FROM, most // 4) and needed + (needed - now[0]) / 5 > most:
            return None
        check, before = min(max(now[0] + 1, np.ceil(needed)), np.ceil(1.4 * now[0])), now
    return None


def pays(n: int, p: int) -> bool:
    """Whether Ritz pairs, if they suffice, are found faster than the eigendecomposition of an (n, n) kernel."""
    return n >= 1000 and _most_steps(n, p) >= 2 * GIVE_UP_FROM


def _most_steps(n: int, p: int) -> int:
    """Until the Krylov space has n / 4 dimensions, or fewer: they take about three quarters of the time of `eigh`."""
    return n // max(4 * p, 20 + 2 * p)


class _KrylovSpace(NamedTuple):
    """After m steps: Θ Q = Q T + (0 … 0 N B), where N, with Q, is orthonormal, and start = Q (S; 0; …; 0)."""

    num_steps: int
    basis: Float[np.ndarray, "n mp"]
    projected: Float[np.ndarray, "mp mp"]
    residual: Float[np.ndarray, "p p"]
    start: Float[np.ndarray, "p p"]

    def is_invariant(self) -> bool:
        """Whether Θ leaves it, up to rounding, as it is: there is nothing more to find."""
        return bool(np.linalg.norm(self.residual) <= 1e-14 * np.linalg.norm(self.projected))


def _krylov_spaces(theta: np.ndarray, start: np.ndarray, most_steps: int) -> Iterator[_KrylovSpace]:
    """Block Lanczos, with full reorthogonalization [Golub & Van Loan 2013, section 10.3]."""
    n, p = start.shape
    basis, projected = np.zeros((n, (most_steps + 1) * p)), np.zeros(((most_steps + 1) * p,) * 2)
    basis[:, :p], first = np.linalg.qr(start)
    for step in range(1, most_steps + 1):
        old, here, after = basis[:, : step * p], slice((step - 1) * p, step * p), slice(step * p, (step + 1) * p)
        block, residual = theta @ basis[:, here], np.eye(p)
        within = basis[:, here].T @ block
        projected[here, here] = (within + within.T) / 2
        # Where the block has lost rank, QR fills up with columns which only the second round makes orthogonal to Q.
        for _ in range(2):
            block, factor = np.linalg.qr(block - old @ (old.T @ block))
            residual = factor @ residual
        yield _KrylovSpace(step, old, projected[: step * p, : step * p], residual, first)
        basis[:, after], projected[after, here], projected[here, after] = block, residual, residual.T


def _error_bound(space, values, vectors, horizon, ridge) -> Float[np.ndarray, " p"]:
    """∫ ‖ρ(s)‖ ds up to the horizon, ρ = ũ' + (Θ + ridge) ũ = N B [the last block of exp(−s (T + ridge))] S.

    If Θ is positive semi-definite, no error grows: ‖u − ũ‖ ≤ ∫ ‖ρ‖ [the defect of Jawecki, Auzinger & Koch 2020]. As
    much is the error of T ∫ ũ, by which outputs on training points change. On test points it is an error of the data:
    these outputs are exact for targets to which −ρ(s) ds is added at the time s, ∫ ‖ρ‖ in all.

    By the trapezoidal rule in log s, which converges exponentially for sums of exp(−λ s); ρ only grows before that.
    """
    p = len(space.residual)
    decay = values + ridge
    beginning = 1e-2 / max(decay[-1] * horizon, 1e-2)
    s = horizon * np.geomspace(beginning, 1.0, NODES)
    last, first = space.residual @ vectors[-p:], vectors[:p].T @ space.start
    norms = np.linalg.norm((last * np.exp(-s[:, None, None] * decay)) @ first, axis=1)
    integrand = s[:, None] * norms
    return integrand[0] + np.sum(integrand[1:] + integrand[:-1], axis=0) / 2 * -np.log(beginning) / (NODES - 1)


def _steps_needed(before: tuple[int, float], now: tuple[int, float]) -> float:
    """For an error of 1, from two: they fall as exp(−c m²) in m steps [Hochbruck & Lubich 1997, theorem 2]."""
    (m0, error0), (m, error) = before, now
    if error >= error0:
        return np.inf
    return (m**2 + np.log(error) * (m**2 - m0**2) / np.log(error0 / error)) ** 0.5


def _as_modes(values, basis, vectors, dtype) -> Eigenmodes:
    unit = len(basis) // 16
    missing = -len(values) % unit
    eigenvalues = np.append(np.maximum(values[::-1], 0.0), np.zeros(missing))
    eigenvectors = basis.astype(dtype) @ vectors[:, ::-1].astype(dtype)
    return Eigenmodes(jnp.asarray(eigenvalues, dtype), jnp.asarray(np.pad(eigenvectors, ((0, 0), (0, missing)))))


@jax.jit
def _symmetric(kernel):
    return (kernel + kernel.T) / 2


@jax.jit
def _is_above(kernel, lowest):
    """Whether all eigenvalues are above it: whether there is a Cholesky decomposition."""
    shift = jnp.asarray(lowest, kernel.dtype) * jnp.eye(len(kernel), dtype=kernel.dtype)
    return jnp.all(jnp.isfinite(jnp.diag(jnp.linalg.cholesky(kernel - shift))))
