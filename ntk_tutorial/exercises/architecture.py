"""Self-checks of the chapter `architecture`."""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from ..activations import relu
from ..attention import SelfAttention
from ..convolutions import Conv, GlobalAvgPool
from ..datasets import shifted_patterns
from ..diagnostics import relative_change
from ..gram import gram
from ..layers import Dense, Elementwise, Flatten
from ..networks import Serial, infinite_ntk, mlp
from ._verdict import Verdict, as_number

SCALE = 2**0.5
PHI = Elementwise(relu)
PAIRED = ((1, 3), (2, 3), (5, 3), (6, 3), (4, 5), (5, 5), (9, 5), (6, 7), (7, 7))  # distances and windows to ask for


def check_depth_needed(depth_needed: Callable[[int, int], int]) -> Verdict:
    """depth_needed(distance, window): how many convolutions until one field holds two pixels at this distance."""
    if not callable(depth_needed):
        return Verdict(False, "give the function itself, depth_needed(distance, window), without calling it")
    try:
        values = [as_number(depth_needed(*case)) for case in PAIRED]
    except Exception as error:  # whatever a reader's function may raise
        return Verdict(False, f"depth_needed{PAIRED[0]} failed: {type(error).__name__}: {error}")
    if None in values:
        return Verdict(False, "depth_needed(distance, window) must return one number")
    truth = [_depth(distance, window) for distance, window in PAIRED]
    if values == truth:
        return Verdict(True, "a field is 1 + L (window − 1) wide; counting positions reached agrees in nine cases")
    if values == [distance // (window - 1) for distance, window in PAIRED]:
        return Verdict(False, "where the division leaves a rest one more convolution is needed: round up")
    if values == [-(-(distance + 1) // window) for distance, window in PAIRED]:
        return Verdict(False, "the fields of two convolutions overlap: each after the first adds window − 1 positions")
    if values == [-(-(distance + 1) // (window - 1)) for distance, window in PAIRED]:
        return Verdict(False, "the field starts at one position, before any convolution: distance, not distance + 1")
    wrong = next(i for i, (value, true) in enumerate(zip(values, truth, strict=True)) if value != true)
    return Verdict(
        False, f"for distance, window = {PAIRED[wrong]} {truth[wrong]} convolutions are needed, not {values[wrong]:g}"
    )


def _depth(distance, window):
    """Counts: positions reached from one, until two of them are `distance` apart."""
    reached, depth = {0}, 0
    while max(reached) - min(reached) < distance:
        reached = {p + step for p in reached for step in range(window)}
        depth += 1
    return depth


def check_stride(shifts: set[int]) -> Verdict:
    """The shifts from 1 to 11 under which a pooled network of strides 2 and 1 on 12 positions is invariant."""
    if not isinstance(shifts, (set, frozenset, list, tuple)) or not all(
        isinstance(s, (int, np.integer)) and not isinstance(s, bool) for s in shifts
    ):
        return Verdict(False, f"give a set of whole numbers between 1 and 11, got {shifts!r}")
    given = {int(s) for s in shifts} - {0}
    truth = _invariant_shifts()
    if given == truth:
        return Verdict(True, f"{sorted(truth)}: after a stride of 2 the network commutes with every second shift only")
    if given == set(range(1, 12)):
        return Verdict(
            False, "all of them would need stride one: shift by one and look at which places the filter stops"
        )
    if not given:
        return Verdict(False, "some are left; count a relative change below 1e-12 as none, since rounding is not exact")
    if given == set(range(1, 12)) - truth:
        return Verdict(False, "these are the shifts that do change the kernel")
    return Verdict(False, f"the kernel disagrees about {sorted(given ^ truth)}")


@functools.cache
def _invariant_shifts():
    first = Conv(64, (3,), strides=(2,), padding="CIRCULAR", w_std=SCALE)
    pair = infinite_ntk(Serial([first, PHI, _pooled(1)]))
    x = jax.random.normal(jax.random.key(1), (4, 12, 1))
    at = [gram(pair, x, jnp.asarray(np.roll(x, s, 1))) for s in range(12)]
    return {s for s in range(1, 12) if relative_change(at[0], at[s]) < 1e-6}


def _pooled(depth):
    hidden = [Conv(64, (3,), padding="CIRCULAR", w_std=SCALE), PHI] * depth
    return Serial([*hidden, GlobalAvgPool(), Dense(1, w_std=SCALE)])


def check_mirrored(mirrored: Callable[[Callable], Callable]) -> Verdict:
    """mirrored(pair): the kernel to which training with `pair` on examples and their mirror images amounts."""
    if not callable(mirrored):
        return Verdict(False, "give the function itself, mirrored(pair) -> pair, without calling it")
    pair = infinite_ntk(_dense())
    x1, x2 = jax.random.normal(jax.random.key(0), (2, 12, 1))
    plain, turned = float(pair(x1, x2)), float(pair(x1, x2[::-1]))
    try:
        kernel = mirrored(pair)
        values = [as_number(kernel(*case)) for case in ((x1, x2), (x1, x2[::-1]), (x1[::-1], x2))]
    except Exception as error:  # whatever a reader's function may raise
        return Verdict(False, f"mirrored(pair)(x1, x2) failed: {type(error).__name__}: {error}")
    if None in values:
        return Verdict(False, "mirrored(pair)(x1, x2) must return one number")
    value = values[0]
    if np.isclose(value, (plain + turned) / 2, rtol=1e-5) and np.allclose(values, value, rtol=1e-5):
        return Verdict(True, "the average over the two; to mirror either argument leaves it as it is")
    if np.isclose(value, plain + turned, rtol=1e-5):
        return Verdict(False, "invariant, but twice too large: the theorem has the average over the group")
    if np.isclose(value, plain, rtol=1e-5):
        return Verdict(False, "this is pair itself: to mirror both arguments changes nothing, mirror one of them")
    if np.isclose(value, turned, rtol=1e-5):
        return Verdict(False, "this compares with the mirror image only: average it with the comparison as it is")
    return Verdict(False, f"for two random sequences it gives {value:.4g}, the average is {(plain + turned) / 2:.4g}")


def check_shuffled(changes: tuple[float, float]) -> Verdict:
    """Relative changes of two pooled kernels, with attention and with two convolutions, if positions are rearranged."""
    try:
        attention, convolution = (float(change) for change in changes)
    except (TypeError, ValueError):
        return Verdict(False, f"give two numbers, (attention, convolution); got {changes!r}")
    truth = _shuffled_changes()
    if abs(attention) < 1e-6 and abs(convolution - truth[1]) < 0.003:
        return Verdict(
            True,
            f"none against {truth[1]:.2f}: pooled attention is invariant under all rearrangements, not only shifts",
        )
    if abs(convolution) < 1e-6 and abs(attention - truth[1]) < 0.003:
        return Verdict(False, "the wrong order: give (attention, convolution)")
    if abs(attention - truth[2]) < 0.003:
        return Verdict(
            False, "a first convolution of three entries knows neighbours, and so the order: its window is one here"
        )
    if abs(attention) < 1e-6 and abs(convolution) < 1e-6:
        return Verdict(False, "convolutions notice: rearrange the positions (axis 1) of the second argument only")
    return Verdict(
        False, f"({attention:.3g}, {convolution:.3g}) is not what the kernels give: {truth[1]:.3f} comes second"
    )


@functools.cache
def _shuffled_changes():
    """With attention, with convolution, and with attention after a convolution of three entries."""
    x = jax.random.normal(jax.random.key(1), (40, 12, 1))[:8]
    order = jax.random.permutation(jax.random.key(7), 12)
    top = (PHI, SelfAttention(64, 64, 64), GlobalAvgPool(), Dense(1, w_std=SCALE))
    nets = (
        Serial([Conv(64, (1,), w_std=SCALE), *top]),
        _pooled(2),
        Serial([Conv(64, (3,), padding="CIRCULAR", w_std=SCALE), *top]),
    )
    return [float(relative_change(*(gram(pair, x, z) for z in (x, x[:, order])))) for pair in map(infinite_ntk, nets)]


def check_test_time(error: float) -> Verdict:
    """Mean test error over 12 draws of dense kernel regression whose predictions are averaged over shifts."""
    value = as_number(error)
    if value is None or not 0 <= value <= 1:
        return Verdict(False, f"give one number between 0 and 1, the mean test error; got {error!r}")
    plain, at_test, everywhere = _test_time_errors()
    if abs(value - at_test) < 0.003:
        return Verdict(
            True,
            f"{at_test:.3f}, between {plain:.3f} without averaging and {everywhere:.3f} with averages in training too: "
            f"invariant predictions are not yet predictions that were chosen among invariant ones",
        )
    if abs(value - plain) < 0.003:
        return Verdict(
            False, "this is the error without any averaging: the test rows must be those of the averaged kernel"
        )
    if abs(value - everywhere) < 0.003:
        return Verdict(False, "this averages in training as well: Θ(X, X) must be the plain kernel")
    if abs(value - (1 - at_test)) < 0.003:
        return Verdict(False, "this is the share of right answers")
    return Verdict(False, f"{value:.3f} is not it: take 32 examples and the mean over the 12 draws of `which`")


@functools.cache
def _test_time_errors():
    """Without averaging, averaging at test time, and averaging at both."""
    pair = infinite_ntk(_dense())
    found = []
    for key in jax.random.split(jax.random.key(3), 12):
        data = shifted_patterns(key, 256, 100)
        x, y = np.asarray(data.x_train[:32]), np.asarray(data.y_train[:32])
        rows = jnp.concatenate([data.x_test, x])
        each = [np.asarray(gram(pair, rows, jnp.asarray(np.roll(x, s, 1)))) for s in range(12)]
        plain, mean = each[0], np.mean(each, axis=0)
        ridge = 1e-6 * plain[100, 0] * np.eye(32)
        sides = ((plain, plain), (mean, plain), (mean, mean))
        f = [test[:100] @ np.linalg.solve(train[100:] + ridge, y) for test, train in sides]
        found.append([np.mean(np.sign(g) != np.asarray(data.y_test)) for g in f])
    return tuple(float(error) for error in np.mean(found, axis=0))


def _dense():
    return Serial([Flatten(), mlp(64, 2, 1, relu, w_std=SCALE)])
