"""Self-checks of the chapter `convolutional_networks`."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

import jax
import numpy as np

from .._lazy import lazy
from ..convolutional_regimes import classification_error, network
from ..datasets import Dataset, digits
from ..lazy_limit import differential, lazy_limit
from ..regimes import tabulate
from ..results import load
from ._verdict import Verdict, as_number

stats = lazy("scipy.stats")

RIDGES = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7)


def problem() -> tuple:
    """The exercises' small problem: (f, params0, data), a network of 8 channels and 200 digits, 400 for testing."""
    data = digits(jax.random.key(7), 200, 400, labels="one_hot", images=True)
    net = network(8, 2)
    return net.apply, net.init(jax.random.key(8), (8, 8, 1))[0], data


def check_steps(steps: Callable[[float, float], float]) -> Verdict:
    """steps(ratio, share): gradient descent steps at η = n / λ_max that fit a mode with λ / λ_max = ratio to a share."""
    if not callable(steps):
        return Verdict(False, "give the function itself, steps(ratio, share), without calling it")
    for ratio, share in ((0.1, 0.5), (1e-3, 0.9), (1e-5, 0.5)):
        try:
            value = as_number(steps(ratio, share))
        except (TypeError, ValueError, ZeroDivisionError, OverflowError):
            value = None
        if value is None:
            return Verdict(False, f"steps({ratio}, {share}) must return one number")
        truth = math.log(1 - share) / math.log1p(-ratio)
        if abs(value - truth) <= 1 + 1e-3 * truth:
            continue
        if abs(value - math.log(share) / math.log1p(-ratio)) <= 1 + 1e-3 * truth and share != 0.5:
            return Verdict(False, "what is left after s steps is (1 − ratio)^s: it must be 1 − share, not share")
        if abs(value * 2 - truth) <= 1 + 2e-3 * truth:
            return Verdict(False, "this is for η = 2 n / λ_max, where the fastest mode no longer converges")
        if abs(value - share / ratio) <= 1 + 2e-3 * truth:
            return Verdict(
                False, "s · ratio is the share only while it is small: each step closes a part of what is left"
            )
        return Verdict(
            False, f"steps({ratio}, {share}) = {value:.4g}, but (1 − {ratio})^s = {1 - share:.2g} at another s"
        )
    return Verdict(True, "log(1 − share) / log(1 − ratio), so about 1 / ratio steps: a million for a ratio of 1e-6")


def check_clear_cases(counts: tuple[int, int]) -> Verdict:
    """How often lazy, and how often feature training is clearly better, of ten ensembles: (lazy, feature)."""
    try:
        lazy, feature = (int(count) for count in counts)
    except (TypeError, ValueError, OverflowError):
        return Verdict(False, f"give two whole numbers, (lazy, feature); got {counts!r}")
    truth = _clear("ensemble_error")
    if (lazy, feature) == truth:
        rest = 10 - sum(truth)
        return Verdict(True, f"lazy in {lazy}, feature in {feature}, and {rest} of ten cannot be told apart")
    if (feature, lazy) == truth:
        return Verdict(False, "the other way round: lazy is better where its error, at α̃ = 1000, is the smaller one")
    if (lazy, feature) == _clear("test_error"):
        return Verdict(False, "these are single networks: take ensemble_error")
    if (lazy, feature) == _clear("ensemble_error", 2.0):
        return Verdict(False, "two standard errors are not enough where three draws estimate the error itself")
    if (lazy, feature) == _clear("ensemble_error", 0.0):
        return Verdict(False, "all cases are counted: leave out those that three draws cannot tell from zero")
    return Verdict(False, "difference each draw of the data first, then take mean and standard error over the three")


def _clear(value: str, num_errors: float | None = None) -> tuple[int, int]:
    difference = _differences(value)
    draws = difference.shape[-1]
    threshold = stats.t.ppf(0.975, draws - 1) if num_errors is None else num_errors
    mean, error = difference.mean(-1), difference.std(-1, ddof=1) / draws**0.5
    return int(np.sum(mean < -threshold * error)), int(np.sum(mean > threshold * error))


def _differences(value: str) -> np.ndarray:
    """Lazy less feature error, (cases, data seeds), of single networks their mean."""
    stored, axes = load("fully_connected"), ("task", "scaled_alpha", "data_seed")
    tables = [tabulate(stored.select(num_components=inputs), value, axes).mean for inputs in (10, None)]
    return np.concatenate([table[:, -1] - table[:, 0] for table in tables])


@functools.cache
def _errors() -> np.ndarray:
    """Of the lazy limit at each ridge: on all test digits when trained on 150, on the 50 left out, and trained on all."""
    f, params0, data = problem()
    part, left_out = (Dataset(data.x_train[s], data.y_train[s], *data[2:]) for s in (slice(150), slice(150, 200)))
    on_part = _at_each_ridge(f, params0, part, [(left_out.x_train, left_out.y_train)])
    return np.concatenate([on_part, _at_each_ridge(f, params0, data, [data[2:]])])


def _at_each_ridge(f, params0, data, sets) -> np.ndarray:
    deltas = lazy_limit(f, params0, data.x_train, data.y_train, RIDGES)
    each = [jax.tree.map(lambda leaf, i=i: leaf[i], deltas) for i in range(len(RIDGES))]
    return np.asarray(
        [[classification_error(differential(f, params0, delta, x), y) for delta in each] for x, y in sets]
    )


def check_ridge(ridge: float) -> Verdict:
    """The ridge that 50 of the 200 training examples, left out, choose for the exercises' problem."""
    value = as_number(ridge)
    if value is None or not value > 0:
        return Verdict(False, f"give one positive number, the ridge; got {ridge!r}")
    place = int(np.argmin(np.abs(np.log(RIDGES) - math.log(value))))
    if abs(math.log(RIDGES[place] / value)) > 1e-6:
        return Verdict(False, f"{value:.3g} is none of the ridges {', '.join(f'{r:g}' for r in RIDGES)}")
    held_out, test = _errors()
    if held_out[place] == held_out.min():
        return Verdict(
            True, f"error {held_out[place]:.3f} where it was chosen, {test[place]:.3f} on the test digits afterwards"
        )
    if test[place] == test.min():
        return Verdict(False, "the test digits choose this one, and they must not choose: use examples 150 to 199")
    return Verdict(
        False, f"on the examples left out its error is {held_out[place]:.3f}; another has {held_out.min():.3f}"
    )


def check_shuffled(errors: Sequence[float]) -> Verdict:
    """The lowest test errors over RIDGES: (images as they are, with all pixels shuffled alike)."""
    try:
        plain, shuffled = (as_number(error) for error in errors)
    except (TypeError, ValueError):
        plain = shuffled = None
    if plain is None or shuffled is None:
        return Verdict(False, f"give two numbers, (error on images, error on shuffled images); got {errors!r}")
    truth = _errors()[1].min()
    expected = _shuffled_error()
    if abs(plain - truth) < 1e-3 and abs(shuffled - expected) < 1e-3:
        return Verdict(
            True,
            f"from {truth:.3f} to {expected:.3f}: the features of a convolution live on which pixels are neighbours",
        )
    if abs(plain - expected) < 1e-3 and abs(shuffled - truth) < 1e-3:
        return Verdict(False, "right numbers in the wrong order: first the images as they are")
    if abs(plain - truth) < 1e-3 and abs(shuffled - plain) < 1e-3:
        return Verdict(False, "nothing has changed: shuffle pixels, not examples, and shuffle before training as well")
    if abs(plain - truth) < 1e-3 and abs(shuffled - _shuffled_error(train=False)) < 1e-3:
        return Verdict(False, "shuffle the training images too, by the same permutation")
    return Verdict(
        False, "compare the lowest test error over RIDGES, with jax.random.permutation(jax.random.key(9), 64)"
    )


@functools.cache
def _shuffled_error(train: bool = True) -> float:
    f, params0, data = problem()
    order = jax.random.permutation(jax.random.key(9), 64)

    def shuffle(x):
        return x.reshape(-1, 64)[:, order].reshape(x.shape)

    shuffled = data._replace(x_train=shuffle(data.x_train) if train else data.x_train, x_test=shuffle(data.x_test))
    return float(_at_each_ridge(f, params0, shuffled, [shuffled[2:]]).min())


def check_network_size(ratio: float) -> Verdict:
    """How many more operations JᵀJ takes for 48 than for 12 channels, two convolutions, 1 input channel, 10 outputs."""
    value = as_number(ratio)
    if value is None:
        return Verdict(False, f"give one number, the ratio; got {ratio!r}")
    p = [sum(leaf.size for leaf in jax.tree.leaves(_shapes(channels))) for channels in (12, 48)]
    truth = (p[1] / p[0]) ** 2
    if abs(value / truth - 1) < 0.02:
        return Verdict(True, f"p grows from {p[0]} to {p[1]}, and n k p² by {truth:.0f}: channels to the fourth power")
    if abs(value * p[0] / p[1] - 1) < 0.02:
        return Verdict(False, "this is how p grows; JᵀJ has p² entries, each a sum over n k products")
    if abs(value - 16) < 0.5:
        return Verdict(False, "parameters grow nearly as the square of channels already, and operations as p²")
    if abs(value / (p[1] / p[0]) ** 3 - 1) < 0.02:
        return Verdict(False, "p³ is the factorization; forming JᵀJ takes n k p²")
    return Verdict(False, f"with {value:.4g}, count again: 9 c + 9 c² + 10 c parameters for c channels")


def _shapes(channels: int):
    return jax.eval_shape(lambda key: network(channels, 2).init(key, (8, 8, 1))[0], jax.random.key(0))
