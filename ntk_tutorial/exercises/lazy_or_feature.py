"""Self-checks of the chapter `lazy_or_feature`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np

from .. import results
from ..diagnostics import power_law
from ..regimes import crossing
from ._verdict import Verdict, as_number

REGIMES = ("lazy", "feature")
NETWORKS = ((1.0, 10_000), (1.0, 16), (0.01, 10_000), (100.0, 16))  # (α, width)


@functools.cache
def threshold(level: float, task: str, activation: str, width: int) -> float:
    """The α̃ where the kernel's relative change is `level`, on average over networks of the stored plane."""
    plane = results.load("crossover").select(task=task, activation=activation, width=width)
    change = np.where(plane.array("reached", "scaled_alpha") == 1, plane.array("kernel_change", "scaled_alpha"), np.nan)
    return float(np.exp(np.mean(np.log(crossing(plane.axis("scaled_alpha"), change.T, level)))))


def check_regimes(regimes: Sequence[str]) -> Verdict:
    """ "lazy" or "feature" for ReLU networks with (α, width) = (1, 10,000), (1, 16), (0.01, 10,000), (100, 16)."""
    if (
        not isinstance(regimes, (list, tuple))
        or len(regimes) != len(NETWORKS)
        or not all(r in REGIMES for r in regimes)
    ):
        return Verdict(False, f"give four of {REGIMES}, in the order of the networks; got {regimes!r}")

    def rule(score):
        return [REGIMES[score(alpha, width) <= 1] for alpha, width in NETWORKS]

    star = threshold(1.0, "digits", "relu", 256)
    if list(regimes) == rule(lambda alpha, width: alpha * width**0.5 / star):
        return Verdict(True, f"√m α is 100, 4, 1 and 400, and the crossover of the stored plane lies at {star:.1f}")
    if list(regimes) == rule(lambda alpha, width: width / 100):
        return Verdict(False, "this goes by width alone: a wide network with small α learns features")
    if list(regimes) == rule(lambda alpha, width: alpha / 0.5) or list(regimes) == rule(lambda alpha, width: alpha / 2):
        return Verdict(False, "this goes by α alone: what counts is √m α")
    return Verdict(
        False, "work out √m α for each network and hold it against the crossover, where the kernel changes by 1"
    )


def check_constant(constant: float) -> Verdict:
    """c such that α = c / √m makes the kernel of the digits' softplus networks change by a tenth, at every width."""
    value = as_number(constant)
    if value is None or value <= 0:
        return Verdict(False, f"give one positive number, c; got {constant!r}")
    found = [threshold(0.1, "digits", "softplus", width) for width in (64, 128, 256)]
    low, high = min(found) * 0.8, max(found) * 1.25
    if low <= value <= high:
        return Verdict(True, f"the stored plane has {', '.join(f'{c:.0f}' for c in found)} at widths 64, 128 and 256")
    if abs(np.log(value / threshold(1.0, "digits", "softplus", 256))) < 0.25:
        return Verdict(False, "there the kernel changes by 1, its own size: look for the level 0.1")
    if any(low <= value * width**0.5 <= high for width in (16, 32, 64, 128, 256)):
        return Verdict(False, "this is α at one width: multiply it by √m")
    return Verdict(False, f"at α̃ = {value:.3g} the kernel changes by {'more' if value < low else 'less'} than 0.1")


def check_chain_time(time: Callable[[float, int], float]) -> Verdict:
    """time(alpha, depth): when the kernel of the chain of depth + 1 factors has changed by half, at small α."""
    if not callable(time):
        return Verdict(False, "give the function itself, time(alpha, depth), without calling it")
    for alpha, depth in ((0.01, 2), (0.001, 2), (0.01, 1), (0.001, 4)):
        try:
            value = as_number(time(alpha, depth))
        except Exception:
            value = None
        if value is None:
            if depth == 1:
                return Verdict(False, "for depth = 1 the integral of dλ / λ^L is a logarithm: treat it apart")
            return Verdict(False, f"time({alpha}, {depth}) must return one finite number")
        size = 1.5 ** (1 / (2 * depth))
        truth = alpha * _integral(lambda s, depth=depth: s**-depth, 1.0, size)
        if abs(value / truth - 1) > 0.01:
            if abs(value / (truth / alpha) - 1) < 0.01:
                return Verdict(False, "right but for the unit: dλ/dt = λ^L / α, so time comes with a factor α")
            if abs(value / size - 1) < 0.01:
                return Verdict(False, "this is the size λ of the weights at that moment: now ask when they have it")
            if abs(value / (alpha * _integral(lambda s, depth=depth: s**-depth, 1.0, 1.5)) - 1) < 0.01:
                return Verdict(
                    False, "this is when the weights have grown by half; the kernel is λ^{2L} times as large"
                )
            return Verdict(
                False, f"time({alpha}, {depth}) = {value:.4g}; integrating λ' = λ^L / α numerically disagrees"
            )
    return Verdict(True, "t₁ is proportional to α, and the shorter the deeper the chain; numerical integration agrees")


def _integral(function, start, end, num=2001):
    """By Simpson's rule."""
    at, weights = np.linspace(start, end, num), np.r_[1, np.tile([4, 2], num // 2)[:-1], 1]
    return float(np.sum(weights * function(at)) * (end - start) / (num - 1) / 3)


def check_displacement(exponent: Callable[[int], float]) -> Verdict:
    """exponent(depth): the b in ‖θ − θ₀‖ / ‖θ₀‖ ∼ α̃^(−b) that the scaling argument gives in the feature regime."""
    if not callable(exponent):
        return Verdict(False, "give the function itself, exponent(depth), without calling it")
    try:
        given = [as_number(exponent(depth)) for depth in (1, 2, 3, 4, 5)]
    except Exception:
        given = [None]
    if None in given:
        return Verdict(False, "exponent(depth) must return one finite number for each depth from 1 to 5")

    def are(values):
        return np.allclose(given, values, rtol=1e-6)

    depth = np.arange(1, 6)
    measured = ", ".join(f"{b:.2f}" for b in displacement_exponents())
    if are(1 / (depth + 1)):
        return Verdict(True, f"weights grow as λ = α̃^(−1/(L+1)); the stored ReLU networks have {measured}")
    if are(-1 / (depth + 1)):
        return Verdict(
            False, "right size, wrong sign: b is defined with a minus in front, and parameters move more at small α̃"
        )
    if are(2 * depth / (depth + 1)):
        return Verdict(False, "this is the kernel's exponent, which grows as λ^{2L}; parameters grow as λ")
    if are(1 / depth):
        return Verdict(False, "a network with L hidden layers has L + 1 layers of weights")
    return Verdict(False, f"the stored ReLU networks of depth 1 to 5 have {measured}: which power of α̃ is λ?")


@functools.cache
def displacement_exponents() -> tuple[float, ...]:
    """Those of ReLU networks of one to five hidden layers in the stored sweep."""
    found = results.load("depth").select(activation="relu")
    moved, reached = (found.array(v, "depth", "scaled_alpha") for v in ("parameter_change", "reached"))
    means = np.exp(np.nanmean(np.log(np.where(reached == 1, moved, np.nan)), -1))
    return tuple(-float(power_law(np.asarray(found.axis("scaled_alpha")), row).exponent) for row in means)


def check_kinks(exponents: tuple[float, float]) -> Verdict:
    """(p, q) of kernel change ∼ ε^p m^q for ReLU units whose pre-activations move by ε ≪ 1."""
    try:
        p, q = (float(e) for e in exponents)
    except (TypeError, ValueError):
        return Verdict(False, f"give two numbers, (p, q), for kernel change ∼ ε^p m^q; got {exponents!r}")
    truth, smooth = (_toy_exponents(derivative) for derivative in (_step, _sech2))
    if abs(p - truth[0]) < 0.1 and abs(q - truth[1]) < 0.1:
        return Verdict(
            True,
            f"a fresh simulation gives ({truth[0]:.2f}, {truth[1]:.2f}); for tanh ({smooth[0]:.2f}, {smooth[1]:.2f})",
        )
    if abs(p - smooth[0]) < 0.1 and abs(q - smooth[1]) < 0.1:
        return Verdict(False, "these are the exponents of a smooth activation: the derivative of ReLU is a step")
    if (abs(p - truth[1]) < 0.1 and abs(q - truth[0]) < 0.1) or p < 0 < q:
        return Verdict(False, "the order is (p, q): first the exponent of ε, then that of the width m")
    if abs(p - 1) < 0.1 and abs(q) < 0.1:
        return Verdict(False, "the share of flipped units is ∝ ε, but as many switch on as off, so most of it cancels")
    return Verdict(
        False, f"a simulation disagrees with ({p:.2f}, {q:.2f}): take small ε, and a mean square over many draws"
    )


def _step(z):
    return (z > 0).astype(float)


def _sech2(z):
    return 1 / np.cosh(z) ** 2


@functools.cache
def _toy_exponents(derivative) -> tuple[float, float]:
    """Of the root mean square change of mean_i φ'(z_i) φ'(z'_i) as z, z' move by ε each, over ε and over the width."""
    generator = np.random.default_rng(0)

    def change(eps, width):
        z, step = generator.standard_normal((2, 2, 2000, width))
        return np.sqrt(np.mean(np.mean(derivative(z + eps * step).prod(0) - derivative(z).prod(0), 1) ** 2))

    small, widths = np.asarray([0.001, 0.003, 0.01]), np.asarray([32, 128, 512])
    over_eps = power_law(small, np.asarray([change(eps, 128) for eps in small])).exponent
    over_width = power_law(widths, np.asarray([change(0.01, width) for width in widths])).exponent
    return float(over_eps), float(over_width)
