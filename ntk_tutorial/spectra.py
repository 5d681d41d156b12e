"""Eigenmodes of kernels, on data and on the sphere; how a target spreads over them, how much is learned."""

from __future__ import annotations

from collections.abc import Callable
from math import comb
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int, Real, ScalarLike

from ._checks import check_finite, check_kernel_matrix, check_positive, is_concrete
from .gram import gram


class Eigenmodes(NamedTuple):
    """Eigenvalues in descending order, eigenvectors in the matching columns."""

    eigenvalues: Float[Array, " modes"]
    eigenvectors: Float[Array, "n modes"]


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


# Eigenvalues on the sphere


def sphere_eigenvalues(
    pair: Callable[[Array, Array], Array], dim: int, num_degrees: int, *, num_nodes: int | None = None
) -> Float[Array, " {num_degrees}"]:
    """Eigenvalues of a rotation-invariant kernel under the uniform law on the sphere, one for each degree ℓ = 0, 1, …

    On the sphere of radius √dim in dim dimensions, Θ(x, x') = κ(angle). By the Funk–Hecke theorem every harmonic
    polynomial of degree ℓ is an eigenfunction of ∫ Θ(x, x') g(x') dx', with eigenvalue
    λ_ℓ = c ∫₀^π κ(a) P_ℓ(cos a) sin(a)^(dim − 2) da, where 1/c = ∫₀^π sin(a)^(dim − 2) da, and P_ℓ is the Gegenbauer
    polynomial with P_ℓ(1) = 1 [Bach 2017, appendix D]. On the circle, dim = 2, P_ℓ(cos a) = cos(ℓ a), a Fourier series.
    `degeneracies` says how many eigenfunctions share λ_ℓ.

    The integral is a Gauss–Legendre sum over the angle. ReLU's kernels are smooth functions of it up to both ends, so
    that the sum converges exponentially; of the angle's cosine, the variable of Gauss–Gegenbauer sums, they are not.

    Args:
        pair: a kernel as a pair function of two examples, such as `infinite_ntk(net)`.
        num_nodes: of the quadrature; 100 + 2 num_degrees if not given.

    Raises:
        ValueError: if dim is below 2 or num_degrees below 1.
    """
    _check_sphere(dim, num_degrees)
    nodes, weights = np.polynomial.legendre.leggauss(num_nodes or 100 + 2 * num_degrees)
    angle = np.pi * (nodes + 1) / 2
    weights = weights * np.sin(angle) ** (dim - 2)
    x = np.zeros((len(angle) + 1, dim))
    x[:, 0], x[:, 1] = np.append(1.0, np.cos(angle)), np.append(0.0, np.sin(angle))
    kernel = gram(pair, jnp.asarray(dim**0.5 * x[:1]), jnp.asarray(dim**0.5 * x[1:]))
    if kernel.shape != (1, len(angle)):
        raise ValueError(f"the kernel has shape {kernel.shape[2:]} for a pair of examples: it must be one number")
    return jnp.asarray(_gegenbauer(np.cos(angle), dim, num_degrees) * weights / weights.sum()) @ kernel[0]


def _check_sphere(dim, num_degrees):
    if dim < 2 or num_degrees < 1:
        raise ValueError(f"dim must be 2 or more and num_degrees 1 or more, got {dim} and {num_degrees}")


def _gegenbauer(t, dim, num_degrees):
    """P_ℓ(t), one row a degree, by (ℓ + dim − 2) P_{ℓ+1} = (2ℓ + dim − 2) t P_ℓ − ℓ P_{ℓ−1}."""
    rows = [np.ones_like(t), t]
    for l in range(1, num_degrees - 1):
        rows.append(((2 * l + dim - 2) * t * rows[l] - l * rows[l - 1]) / (l + dim - 2))
    return np.stack(rows[:num_degrees])


def degeneracies(dim: int, num_degrees: int) -> Int[np.ndarray, " {num_degrees}"]:
    """How many independent harmonic polynomials of degree ℓ = 0, 1, … there are in dim dimensions.

    C(ℓ + dim − 1, ℓ) − C(ℓ + dim − 3, ℓ − 2): all homogeneous polynomials, less |x|² times those of degree ℓ − 2
    [Bach 2017, appendix D].

    Raises:
        ValueError: if dim is below 2 or num_degrees below 1.
    """
    _check_sphere(dim, num_degrees)
    homogeneous = [comb(l + dim - 1, l) for l in range(num_degrees)]
    return np.asarray([a - (homogeneous[l - 2] if l > 1 else 0) for l, a in enumerate(homogeneous)])


def arc_cosine_eigenvalues(order: Literal[0, 1], dim: int, num_degrees: int) -> Float[Array, " {num_degrees}"]:
    """Closed form on the sphere of E[φ(w·x/√dim) φ(w·x'/√dim)], w standard normal, φ = max(·, 0)^order.

    Up to a factor of two these are the arc-cosine kernels [Cho & Saul 2009]. φ itself has the coefficients
    a_ℓ = order! (2j)! Γ(dim/2) / (√π 2^ℓ j! Γ(ℓ − j + (dim − 1)/2)) with 2j = ℓ − order − 1, up to sign, for ℓ > order;
    they vanish where j is no whole number [Bach 2017, appendix D]. The eigenvalues are dim^order a_ℓ².
    With order 1 this is the NNGP kernel of one hidden ReLU layer without bias, w_std = 1.

    Raises:
        ValueError: if order is not 0 or 1, dim is below 2, or num_degrees below 1.
    """
    _check_sphere(dim, num_degrees)
    if order not in (0, 1):
        raise ValueError(f"order must be 0 (the step) or 1 (ReLU), got {order!r}")
    from scipy.special import gammaln

    log_a = np.full(num_degrees, -np.inf)
    j = np.arange((num_degrees - order) // 2)
    l = 2 * j + order + 1
    log_a[l] = gammaln(2 * j + 1) - gammaln(j + 1) - l * np.log(2) - gammaln(l - j + (dim - 1) / 2)
    log_a += gammaln(dim / 2) - np.log(np.pi) / 2
    moments = [1 / 2] if order == 0 else [np.exp(gammaln(dim / 2) - gammaln((dim + 1) / 2)) / 2 / np.pi**0.5, 0.5 / dim]
    return jnp.asarray(dim**order * np.append(moments, np.exp(log_a[order + 1 :]))[:num_degrees] ** 2)


def relu_ntk_eigenvalues(dim: int, num_degrees: int) -> Float[Array, " {num_degrees}"]:
    """Closed form on the sphere of the NTK of one hidden ReLU layer without bias, w_std = 1.

    Θ = K + cos(angle) K', with the arc-cosine kernels K of order 1 and K' of order 0 [Bietti & Mairal 2019]. The cosine
    mixes neighbouring degrees: (cos · K')_ℓ = (ℓ K'_{ℓ−1} + (ℓ + dim − 2) K'_{ℓ+1}) / (2ℓ + dim − 2). Odd degrees from
    3 on have eigenvalue zero; the others fall as ℓ^(−dim) [ibid., proposition 5].

    Raises:
        ValueError: if dim is below 2 or num_degrees below 1.
    """
    step, l = np.asarray(arc_cosine_eigenvalues(0, dim, num_degrees + 1)), np.arange(1, num_degrees)
    mixed = (l * step[:-2] + (l + dim - 2) * step[2:]) / (2 * l + dim - 2)
    return jnp.asarray(arc_cosine_eigenvalues(1, dim, num_degrees) + np.append(step[1], mixed))


# Learning curves


class LearningCurve(NamedTuple):
    """What kernel ridge regression makes of each eigenmode, in the mean over training sets of one size.

    Attributes:
        effective_ridge: modes with λ_i far above are learned, modes far below are not.
        learnability: of each mode v_i, the mean coefficient of v_i in the prediction when v_i is the target.
        overfitting: factor by which the error exceeds what the missing learnability alone would cause.
    """

    effective_ridge: Float[Array, ""]
    learnability: Float[Array, " modes"]
    overfitting: Float[Array, ""]

    def test_error(self, power: Float[Array, " modes"], noise_std: ScalarLike = 0.0) -> Float[Array, ""]:
        """Mean squared error against the noise-free target, whose squared coefficient in each mode is `power`.

        overfitting · (Σ (1 − learnability)² power + noise²) − noise² [Simon et al. 2023, whose test error counts the
        noise of the test targets too].
        """
        noise = noise_std**2
        return self.overfitting * (jnp.sum((1 - self.learnability) ** 2 * power) + noise) - noise


def learning_curve(
    eigenvalues: Float[Array, " modes"],
    num_train: ScalarLike,
    *,
    degeneracies: Real[ArrayLike, " modes"] | None = None,
    ridge: ScalarLike = 0.0,
) -> LearningCurve:
    """The eigenlearning equations of kernel (ridge) regression on `num_train` independent examples.

    With the eigenvalues λ_i of the kernel under the law of the inputs, the effective ridge r solves
    n = Σ_i λ_i / (λ_i + r) + ridge / r; then learnability_i = λ_i / (λ_i + r) and
    overfitting = n / (n − Σ_i learnability_i²) [Simon, Dickens, Karkada & DeWeese 2023; the same in other symbols:
    Bordelon, Canatar & Pehlevan 2020]. Derived for eigenfunctions that behave like independent Gaussian
    variables on the examples; where they do not, as on the circle, it can be far off.

    Args:
        degeneracies: how many modes share each eigenvalue; one if not given. Learnabilities are those of a single mode.
        ridge: as in `predict`; equivalent to scikit-learn's `KernelRidge(alpha=ridge)`.

    Raises:
        ValueError: if num_train is not positive, the ridge is negative, or without ridge there are no more modes with
            λ_i > 0 than examples: interpolation then has nothing left to learn, and the equations have no solution.
    """
    eigenvalues = jnp.asarray(eigenvalues, float)
    counts = jnp.ones_like(eigenvalues) if degeneracies is None else jnp.asarray(degeneracies, float)
    check_finite(eigenvalues=eigenvalues)
    if is_concrete(eigenvalues, counts, num_train, ridge):
        number = float(jnp.sum(jnp.where(eigenvalues > 0, counts, 0.0)))
        if num_train <= 0 or ridge < 0 or (ridge == 0 and number <= num_train):
            raise ValueError(
                f"num_train must be positive, the ridge 0 or more, and without ridge num_train below the number of "
                f"modes with positive eigenvalues, {number:g}; got num_train={num_train} and ridge={ridge}"
            )
    highest = jnp.log((jnp.sum(counts * eigenvalues) + ridge) / num_train)

    def halve(_, ends):
        middle = sum(ends) / 2
        r = jnp.exp(middle)
        too_small = jnp.sum(counts * eigenvalues / (eigenvalues + r)) + ridge / r > num_train
        return jnp.where(too_small, middle, ends[0]), jnp.where(too_small, ends[1], middle)

    low, high = jax.lax.fori_loop(0, 70, halve, (highest - 80.0, highest))
    effective = jnp.exp((low + high) / 2)
    learnability = eigenvalues / (eigenvalues + effective)
    overfitting = num_train / (num_train - jnp.sum(counts * learnability**2))
    return LearningCurve(effective, learnability, overfitting)


class Learned(NamedTuple):
    """Of each mode, the part that regression on a training set found, and its mean squared error, over its power."""

    learnability: Float[Array, " modes"]
    test_error: Float[Array, " modes"]


def learn_each(
    kernel: Float[Array, "m m"], modes: Float[Array, "m modes"], train: Int[Array, " n"], *, ridge: ScalarLike = 0.0
) -> Learned:
    """Kernel (ridge) regression on each column of `modes` in turn, from its values at the rows `train`.

    Learnability is ⟨v, f̂⟩ / ⟨v, v⟩ and the error ⟨(f̂ − v)²⟩ / ⟨v²⟩, means over all m points, the training points too
    [Simon et al. 2023]. Over a complete orthogonal set of eigenvectors of the kernel, learnabilities add up
    to n where the ridge is 0.
    """
    inner = kernel[train][:, train] + ridge * jnp.eye(len(train))
    fit = kernel[:, train] @ jnp.linalg.solve(inner, modes[train])
    power = jnp.mean(modes**2, 0)
    return Learned(jnp.mean(fit * modes, 0) / power, jnp.mean((fit - modes) ** 2, 0) / power)
