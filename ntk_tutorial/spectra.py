"""Eigenmodes of a kernel matrix, and how a target spreads over them."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, ScalarLike

from ._checks import check_kernel_matrix, check_positive


class Eigenmodes(NamedTuple):
    """Eigenvalues in descending order, eigenvectors in the matching columns."""

    eigenvalues: Float[Array, " n"]
    eigenvectors: Float[Array, "n n"]


def eigenmodes(kernel: Float[Array, "n n"]) -> Eigenmodes:
    """Eigendecomposition Θ = Σ_i λ_i u_i u_iᵀ with λ_1 ≥ λ_2 ≥ …; equivalent to `jnp.linalg.eigh`, reversed.

    Eigenvalues that rounding pushed below zero come back as zero.

    Raises:
        ValueError: if the kernel is not square, symmetric, finite and positive semi-definite.
    """
    check_kernel_matrix(kernel, "kernel")
    computed, modes = _descending_modes(kernel)
    check_positive(computed, "kernel")
    return modes


@jax.jit
def _descending_modes(kernel) -> tuple[Float[Array, " n"], Eigenmodes]:
    """The eigenvalues as computed, and the modes."""
    eigenvalues, eigenvectors = jnp.linalg.eigh(kernel)  # which takes (Θ + Θᵀ) / 2
    return eigenvalues[::-1], Eigenmodes(jnp.maximum(eigenvalues[::-1], 0.0), eigenvectors[:, ::-1])


@jax.jit
def target_power(modes: Eigenmodes, y: Float[Array, "n *outputs"]) -> Float[Array, " n"]:
    """The share of ‖y‖² in each mode, (u_i·y)² / ‖y‖², summed over outputs; the shares add up to one."""
    coefficients = modes.eigenvectors.T @ y.reshape(len(y), -1)
    return jnp.sum(coefficients**2, axis=1) / jnp.sum(y**2)


@jax.jit
def effective_dimension(eigenvalues: Float[Array, " n"], ridge: ScalarLike) -> Float[Array, ""]:
    """Σ_i λ_i / (λ_i + ridge): how many modes a ridge lets through [Hastie, Tibshirani & Friedman 2009, eq. 3.50]."""
    return jnp.sum(jnp.where(eigenvalues > 0, eigenvalues / jnp.where(eigenvalues > 0, eigenvalues + ridge, 1.0), 0.0))
