"""Self-checks of the chapter on what no fixed kernel can do."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

import jax
import numpy as np
from jaxtyping import ScalarLike

from .._lazy import lazy
from ..activations import relu
from ..datasets import Dataset, sparse_parity
from ..diagnostics import relative_change, target_alignment
from ..dynamics import gradient_descent
from ..empirical import empirical_ntk
from ..gram import gram
from ..linearization import scaled
from ..networks import mlp
from ..training import train
from ._verdict import Verdict, as_number

optax = lazy("optax")
REGIMES = ("lazy", "feature", "size")
LENGTH, RIDGE = 3.0, 1e-6  # of the exercise on recursion: its Gaussian kernel, and what is added to the diagonal
SMALL_ERROR = 0.05


def check_examples(n: ScalarLike) -> Verdict:
    """The least n that the bound 1 − n/N allows for a mean error of 0.1 over all products of three of 30 coordinates."""
    value, num = as_number(n), math.comb(30, 3)
    if value is None:
        return Verdict(False, f"give one number of examples; got {n!r}")
    truth = 0.9 * num
    if abs(value - truth) < 0.5:
        return Verdict(True, f"N = C(30, 3) = {num:,} products, and 1 − n/N = 0.1 at n = {truth:,.0f}")
    typical = (
        (num, "with as many examples as targets the bound is zero: an error of 0.1 is allowed"),
        (0.1 * num, "this is 0.1 N, which leaves an error of 0.9: solve 1 − n/N = 0.1"),
        (0.9 * math.comb(30, 2), "these are the products of two coordinates: three are asked for"),
        (0.9 * 30 * 29 * 28, "this counts x₁x₂x₃ and x₂x₁x₃ as two targets: divide by 3!"),
        (0.9 * 30**3, "30³ counts each product six times, and products with a repeated coordinate, too"),
        (0.9 * sum(math.comb(30, k) for k in range(4)), "products of exactly three coordinates, not of up to three"),
    )
    for wrong, reason in typical:
        if abs(value - wrong) < 1:
            return Verdict(False, reason)
    if value < 0 or value > num:
        return Verdict(False, f"there are N = C(30, 3) = {num:,} products, and n lies between 0 and N")
    return Verdict(
        False, f"with n = {value:g} the bound is 1 − n/N = {1 - value / num:.3f}, N = C(30, 3) being {num:,}"
    )


def check_alignment(value: ScalarLike) -> Verdict:
    """Alignment of Θ ∝ (β·x)(β·x') + x·x' with the target β·x, |β| = 1, inputs whitened in 25 dimensions."""
    given, dim = as_number(value), 25
    if given is None:
        return Verdict(False, f"give one number, an alignment; got {value!r}")
    truth = 2 / (dim + 3) ** 0.5
    if abs(given / truth - 1) < 0.01:
        return Verdict(True, f"2/√(d + 3) = {truth:.3f}, {truth * dim**0.5:.2f} times the {dim**-0.5:.1f} of the start")
    typical = (
        (dim**-0.5, "this is 1/√d, the alignment at the start: the silent phase adds (β·x)(β·x')"),
        (1.0, "the part (β·x)(β·x') alone has alignment 1, but x·x' is still there"),
        (2 / 13**0.5, "this is the chapter's, for d = 10"),
        (2 / (dim + 1) ** 0.5, "‖ββᵀ + I‖² = 1 + 2 + d: the cross term counts, too"),
        (2 / dim**0.5, "the numerator is 2, but the kernel's norm has grown as well: its eigenvalues are 2, 1, …, 1"),
        (1 / (dim + 3) ** 0.5, "the norm is right; but βᵀ(ββᵀ + I)β is not 1"),
        (truth**2, "this is its square: alignment is a cosine"),
    )
    for wrong, reason in typical:
        if abs(given / wrong - 1) < 0.01:
            return Verdict(False, reason)
    if not 0 <= given <= 1:
        return Verdict(False, "alignment with a kernel is a cosine, between 0 and 1 for kernels")
    return Verdict(False, "on whitened inputs Θ acts on the linear functions as ββᵀ + I: what is its cosine with ββᵀ?")


def check_width(m: ScalarLike) -> Verdict:
    """The width at which Θ(x, x), with E[Θ²]/E[Θ]² = 1 + 3/m, has a standard deviation of 5 % of its mean."""
    value = as_number(m)
    if value is None or value <= 0:
        return Verdict(False, f"give one positive number, a width; got {m!r}")
    truth = 3 / 0.05**2
    if abs(value / truth - 1) < 0.01:
        return Verdict(True, f"√(3/m) = 0.05 at m = {truth:,.0f}; half of that spread takes four times the width")
    typical = (
        (3 / 0.05, "there 3/m = 0.05: that is the variance, and the standard deviation is √(3/m)"),
        (1 / 0.05**2, "the right power, but a unit's variance is 3 times its mean squared, not 1"),
        (1 / 0.05, "this is 1/0.05: the standard deviation is √(3/m), not 1/m"),
        (3**0.5 / 0.05, "the root belongs to m as well: √(3/m) = 0.05, so m = 3/0.05²"),
        (3 / 0.05**4, "squared once too often: √(3/m) = 0.05, so m = 3/0.05²"),
        (3 / 0.1**2, "there the standard deviation is 10 % of the mean"),
        (3 / 0.005**2, "there the standard deviation is 0.5 % of the mean"),
        (3 / 0.025**2, "there the standard deviation is 2.5 % of the mean"),
    )
    for wrong, reason in typical:
        if abs(value / wrong - 1) < 0.01:
            return Verdict(False, reason)
    return Verdict(
        False, f"at m = {value:g} the standard deviation is √(3/m) = {100 * (3 / value) ** 0.5:.3g} % of the mean"
    )


def data() -> Dataset:
    """x₁x₂ on the hypercube in 20 dimensions: 100 examples to train on, 500 to test."""
    return sparse_parity(jax.random.key(0, impl="threefry2x32"), 100, 500)


def check_recursion(method: Callable) -> Verdict:
    """method(x_train, y_train, x_test) -> predictions, by three recursions of kernel regression and the root of M.

    It is tried on a fresh draw, where other coordinates than the first two make the target.
    """
    fresh = _fresh()
    predicted = _predictions(method, fresh)
    if isinstance(predicted, Verdict):
        return predicted
    error, single = (float(np.mean((p - fresh.y_test.ravel()) ** 2)) for p in (predicted, _reference(1, 0.5)))
    if error < SMALL_ERROR:
        return Verdict(True, f"an error below {SMALL_ERROR:g} on a fresh draw, where one fit has {single:.2f}")
    return Verdict(False, _known_slip(predicted, fresh, error, single) or _guess(error, single))


def _predictions(method: Callable, data: Dataset) -> np.ndarray | Verdict:
    """What the method predicts, or why that is nothing to be judged."""
    x, y, x_test, _ = data
    if not callable(method):
        return Verdict(False, f"give the function itself, method(x_train, y_train, x_test); got {method!r}")
    try:
        given = method(x, y, x_test)
    except Exception as error:
        reason = (str(error).splitlines() or [""])[0][:120]
        return Verdict(False, f"method(x_train, y_train, x_test) failed with {type(error).__name__}: {reason}")
    try:
        predicted = np.asarray(given, float)
    except (TypeError, ValueError):
        return Verdict(False, "method must return an array of predictions at x_test, one number each")
    if predicted.shape not in ((len(x_test), 1), (len(x_test),)):
        return Verdict(
            False,
            f"predictions must have shape {(len(x_test), 1)}, one for each row of x_test; got {predicted.shape}"
            + (": these are as many as training examples" if predicted.size == len(x) else ""),
        )
    if not np.all(np.isfinite(predicted)):
        return Verdict(False, "some predictions are not finite: add 10⁻⁶ to the kernel's diagonal, use float64")
    return predicted.ravel()


def _known_slip(predicted: np.ndarray, data: Dataset, error: float, single: float) -> str | None:
    """What was done instead, where the predictions tell."""

    def equals(expected):
        return np.linalg.norm(predicted - expected) < 0.02 * np.linalg.norm(expected)

    if equals(np.prod(np.asarray(data.x_test)[:, :2], 1)):
        return "this is x₁x₂ whatever the data are: the check's target is made of other coordinates"
    if equals(_reference(1, 0.5)):
        return f"this is one fit, whose error is {single:.2f}: multiply the inputs by the root of M, fit again"
    if equals(_reference(2, 0.5)):
        return f"one recursion only: its error is {error:.2f}, where one fit has {single:.2f}; go on"
    if any(equals(_reference(fits, 1.0)) for fits in (2, 3, 4)):
        return f"inputs multiplied by M itself learn, too, with an error of {error:.2f} here: take its symmetric root"
    return None


def _guess(error: float, single: float) -> str:
    """What may be wrong, from the size of the error."""
    if error > 1.2:
        return (
            f"an error of {error:.2f} is worse than predicting 0: are test inputs multiplied by the root, too, and are "
            "predictions in the order of x_test?"
        )
    if error > 0.8 * single:
        return (
            f"an error of {error:.2f}, where one fit has {single:.2f}: is the gradient that with respect to the input?"
        )
    return (
        f"an error of {error:.3f} is less than the {single:.2f} of one fit, but three recursions get below "
        f"{SMALL_ERROR:g}: take the root of M, of gradients with respect to the original inputs, and add 10⁻⁶ to the "
        "kernel's diagonal, no more"
    )


def _fresh() -> Dataset:
    """Another draw than `data()`, its coordinates in reverse order, so that the last two make the target."""
    drawn = sparse_parity(jax.random.key(1, impl="threefry2x32"), 100, 500)
    return drawn._replace(x_train=drawn.x_train[:, ::-1], x_test=drawn.x_test[:, ::-1])


@functools.cache
def _reference(fits: int, power: float) -> np.ndarray:
    """What so many fits predict on `_fresh()`, with inputs multiplied by M^power between them; gradients by hand."""
    x, y, x_test, _ = (np.asarray(a) for a in _fresh())
    root = np.eye(x.shape[1])
    for _ in range(fits):
        points, kernel = x @ root, _gaussian(x @ root, x @ root)
        weights = np.linalg.solve(kernel + RIDGE * np.eye(len(x)), y[:, 0])
        predicted = _gaussian(x_test @ root, points) @ weights
        pull = kernel * weights / LENGTH**2  # ∇f(u) = Σ_j w_j K(u, u_j) (u_j − u) / ℓ²
        slopes = (pull @ points - pull.sum(1, keepdims=True) * points) @ root
        values, vectors = np.linalg.eigh(slopes.T @ slopes / len(x))
        root = vectors * np.maximum(values, 0) ** power @ vectors.T
    return predicted


def _gaussian(x1, x2):
    return np.exp(-np.sum((x1[:, None] - x2[None]) ** 2, -1) / (2 * LENGTH**2))


def mystery(number: int) -> tuple:
    """A trained ReLU network: (f, params0, params, x, y), x and y its training set. There are three, 1 to 3."""
    if number not in (1, 2, 3):
        raise ValueError(f"there are mysteries 1 to 3, got {number!r}")
    return _mystery(number)


@functools.cache
def _mystery(number):
    width, alpha, decay, step = ((256, 0.03, 0.0, 0.1), (256, 2.0, 2e-3, 0.4), (64, 30.0, 0.0, 0.5))[number - 1]
    x, y = sparse_parity(jax.random.key(0, impl="threefry2x32"), 60, 1, 10)[:2]
    net = mlp(width, 1, 1, relu, w_std=2**0.5)
    start = net.init(jax.random.key(10, impl="threefry2x32"), (10,))[0]
    f = scaled(net.apply, start, alpha)
    kernel = gram(empirical_ntk(f, start), x)[..., 0, 0]
    rate = step * 2 * len(x) / float(np.linalg.eigvalsh(kernel)[-1])
    optimizer = gradient_descent(rate)
    if decay:  # each step takes this share of all weights away
        optimizer = optax.chain(optax.add_decayed_weights(decay / rate), optax.sgd(rate))
    return f, start, train(f, start, x, y, optimizer, steps=[400]).params, x, y


@functools.cache
def _measured(number) -> dict[str, float]:
    f, params0, params, x, y = mystery(number)
    before, after = (gram(empirical_ntk(f, p), x)[..., 0, 0] for p in (params0, params))
    return {
        "change": float(relative_change(before, after)),
        "gain": float(target_alignment(after, y) - target_alignment(before, y)),
    }


def _regime(number) -> str:
    found = _measured(number)
    if found["change"] < 0.1:
        return "lazy"
    return "feature" if found["gain"] > 0.05 else "size"


def check_regimes(regimes: Sequence[str]) -> Verdict:
    """ "lazy", "feature" or "size" for mysteries 1 to 3.

    "lazy": the kernel hardly changed. "feature": it changed and aligned with the target. "size": it changed, and its
    alignment with the target did not.
    """
    if not isinstance(regimes, (list, tuple)) or len(regimes) != 3 or not all(r in REGIMES for r in regimes):
        return Verdict(False, f"give three of {REGIMES}, in the order of the mysteries; got {regimes!r}")
    truth = [_regime(number) for number in (1, 2, 3)]
    if list(regimes) == truth:
        return Verdict(
            True, "small α learned features; weight decay shrank a kernel; large α is lazy, narrow as it may be"
        )
    number, given, true = next((i, g, t) for i, (g, t) in enumerate(zip(regimes, truth, strict=True), 1) if g != t)
    found = _measured(number)
    if (given, true) == ("lazy", "feature"):
        reason = f"being wide does not decide: its kernel changed by {found['change']:.1f} times its size"
    elif given == "lazy":
        reason = f"its kernel changed by {found['change']:.2f} of its size"
    elif true == "lazy":
        reason = f"being narrow does not decide: its kernel changed by {100 * found['change']:.0f} % only"
    elif given == "feature":
        reason = (
            f"its kernel changed by {found['change']:.2f} of its size, but alignment rose by {found['gain']:.2f} only"
        )
    else:
        reason = f"not in size alone: alignment with the target rose by {found['gain']:.2f}"
    return Verdict(False, f"mystery {number}: {reason}")
