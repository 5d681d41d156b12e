"""Self-checks of the chapter `what_is_learned_first`."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..activations import erf, relu
from ..datasets import circle, hypercube
from ..gram import gram
from ..networks import infinite_nngp, infinite_ntk, mlp
from ..spectra import degeneracies, eigenmodes, learning_curve, sphere_eigenvalues
from ._verdict import Verdict, as_number


def _near(value: float, other: float, rtol: float = 0.02) -> bool:
    return abs(value - other) < rtol * abs(other)


def check_budget(num_train: int) -> Verdict:
    """The least number of examples that can give all modes of degree 0 to 2 in 10 dimensions a learnability of 0.9."""
    value = as_number(num_train)
    if value is None or value <= 0:
        return Verdict(False, f"give one positive number, that of the examples; got {num_train!r}")
    counts = [int(c) for c in degeneracies(10, 3)]
    total = sum(counts)
    if math.ceil(value) == math.ceil(0.9 * total):
        return Verdict(
            True, f"0.9 times {total} modes are {0.9 * total:.1f} units, and each example brings one at most"
        )
    if value == total:
        return Verdict(False, f"{total} examples could buy a learnability of one for all {total} modes; 0.9 is wanted")
    if math.ceil(value) in (math.ceil(0.9 * counts[2]), counts[2]):
        return Verdict(False, "this counts degree 2 alone: degrees 0 and 1 take their share too")
    if math.ceil(value) in (math.ceil(0.9 * sum(counts[1:])), sum(counts[1:])):
        return Verdict(False, "the constant, degree 0, is a mode as well")
    return Verdict(False, f"{value:g} is not the sum: add up degeneracies(10, 3), then use the conservation law")


def check_ridge(ridge: Callable[[float, int], float]) -> Verdict:
    """ridge(t, n): the ridge that lets through one half of a mode that gradient flow has half learned at time t."""
    if not callable(ridge):
        return Verdict(False, "give the function itself, ridge(t, n), without calling it")
    for t, n in ((2.0, 32), (50.0, 100)):
        try:
            value = as_number(ridge(t, n))
        except Exception as error:
            return Verdict(False, f"ridge({t}, {n}) failed: {error}")
        if value is None:
            return Verdict(False, f"ridge({t}, {n}) must return one number")
        if _near(value, n / t, 1e-3):
            return Verdict(
                False, "n/t is the rule for all modes at once; for this mode e^(−λt) = 1/2 gives another factor"
            )
        if _near(value, math.log(2) / t, 1e-3):
            return Verdict(False, "this is the rate λ: the filter of a ridge is λ/(λ + ρ/n), so there is a factor n")
        if _near(value, n * t / math.log(2), 1e-3) or _near(value, n * t, 1e-3):
            return Verdict(False, "a longer time is a smaller ridge: t belongs in the denominator")
        if not _near(value, n * math.log(2) / t, 1e-3):
            return Verdict(False, f"for t = {t} and n = {n}, a ridge of {value:.4g} does not let one half through")
    return Verdict(True, "λ = ln 2 / t, and λ/(λ + ρ/n) = 1/2 at ρ = nλ: 0.69 times the ridge n/t of the theorem")


@functools.cache
def _slowdown(activation, infinite) -> float:
    values = sphere_eigenvalues(infinite(mlp(1, 1, 1, activation, b_std=1.0)), 2, 9)
    return float(values[2] / values[8])


def check_smooth(ratio: float) -> Verdict:
    """How many times longer frequency 8 takes than frequency 2: NTK of one hidden layer of erf units with biases."""
    value = as_number(ratio)
    if value is None or value <= 0:
        return Verdict(False, f"give one positive number, the ratio of the times; got {ratio!r}")
    truth, kinked = _slowdown(erf, infinite_ntk), _slowdown(relu, infinite_ntk)
    if _near(value, truth):
        return Verdict(True, f"{truth:.3g} times, for ReLU {kinked:.3g}: without a kink eigenvalues fall exponentially")
    if _near(value, 1 / truth):
        return Verdict(False, "the other way round: the time scale is one over the eigenvalue")
    if _near(value, kinked):
        return Verdict(False, "this is ReLU: take ntk.mlp(1, 1, 1, ntk.erf, b_std=1.0)")
    if _near(value, _slowdown(erf, infinite_nngp)):
        return Verdict(False, "this is the NNGP kernel, which trains the readout only: take infinite_ntk")
    return Verdict(False, f"{value:.4g} is not λ_2/λ_8; sphere_eigenvalues(pair, 2, 9) starts with frequency 0")


@functools.cache
def _stopping(noise: float, kind: str) -> float:
    """The time of the smallest expected error for cos ϑ + cos 4ϑ; for "ridge" n over the best ridge."""
    x, angle = circle(32), 2 * np.pi * np.arange(32) / 32
    modes = eigenmodes(gram(infinite_ntk(mlp(1, 1, 1, relu, b_std=1.0)), x) / 32)
    c = np.asarray(modes.eigenvectors.T) @ (np.cos(angle) + np.cos(4 * angle))
    ts = np.geomspace(1, 1e5, 4001)
    z = np.asarray(modes.eigenvalues) * ts[:, None]
    s = -np.expm1(-z) if kind == "flow" else z / (1 + z)
    return float(ts[np.argmin((((1 - s) * c) ** 2 + (s * noise) ** 2).sum(1))])


def check_stopping(t: float) -> Verdict:
    """The time at which to stop for the target cos ϑ + cos 4ϑ on 32 points with noise 0.5."""
    value = as_number(t)
    if value is None:
        return Verdict(False, f"give one finite time; got {t!r}")
    truth = _stopping(0.5, "flow")
    if _near(value, truth, 0.05):
        return Verdict(
            True, f"t = {truth:.0f}: longer than for cos 2ϑ, since frequency 4 is slower and must be let through"
        )
    if _near(value, _stopping(0.5, "ridge"), 0.05):
        return Verdict(False, "this is n over the best ridge: use the filter 1 − e^(−λt)")
    if value > 0.95e5 or value >= 100 * truth:
        return Verdict(False, "this late everything is let through, the noise too: was it left out?")
    return Verdict(
        False, f"at t = {value:.4g} the expected error is not smallest: minimize Σ (1 − s)² c² + s² σ² over t"
    )


@functools.cache
def _needed(degree: int, kind: str) -> int:
    """The least n at which the theory puts the error of a parity on {±1}^8 below 0.1."""
    x, parities, of = hypercube(8)
    theta = gram(infinite_ntk(mlp(1, 3, 1, relu)), x)
    eigenvalues = jnp.diag(parities.T @ theta @ parities) / 256**2
    place = int(np.argmax(np.asarray(of) == degree))

    @jax.vmap
    def error(n) -> Array:
        curve = learning_curve(eigenvalues, n)
        missing = 1 - curve.learnability[place]
        return {"error": curve.overfitting * missing**2, "no overfitting": missing**2, "learnability": missing}[kind]

    return int(np.argmax(np.asarray(jax.jit(error)(jnp.arange(1, 256))) < 0.1)) + 1


def check_samples(num_train: int) -> Verdict:
    """How many examples bring the predicted test error of a parity of degree 2 below 0.1: cube {±1}^8, depth 3."""
    value = as_number(num_train)
    if value is None or value != round(value):
        return Verdict(False, f"give one whole number, that of the examples; got {num_train!r}")
    truth = _needed(2, "error")
    if value == truth:
        return Verdict(
            True, f"{truth} of the 256 inputs, for a product of two coordinates: the kernel does not know which two"
        )
    if value == _needed(2, "no overfitting"):
        return Verdict(False, "the factor n / (n − Σ learnability²) is missing; curve.test_error has it")
    if value == _needed(2, "learnability"):
        return Verdict(False, "here the learnability reaches 0.9; the error is about the square of what is missing")
    if value in (_needed(1, "error"), _needed(3, "error")):
        return Verdict(False, "this is a parity of another degree: two bits are set in its index, as in 3 = 0b11")
    return Verdict(False, f"the theory gives another number than {value:g}: try all n from 1 to 255 and take the first")
