"""Assertions for the tests of assignments, that say what was probably done wrong."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


def expect(answer, expected, mistakes: Mapping[str, object] | None = None, *, rtol: float = 1e-6) -> None:
    """Raise an AssertionError unless an answer is as expected, up to rtol of the largest entry.

    `mistakes` maps a message to what one gets by the mistake it speaks of; the message of the first that fits is raised.
    """
    expected = np.asarray(expected, float)
    try:
        got = np.asarray(answer, float)
    except (TypeError, ValueError):
        raise AssertionError(f"expected numbers, got {type(answer).__name__}") from None
    if np.any(np.isnan(got)):
        raise AssertionError(
            "expected numbers, got " + ("nothing yet" if answer is None else "some that are not (nan)")
        )
    if _close(got, expected, rtol):
        return
    for message, mistaken in (mistakes or {}).items():
        if _close(got, np.asarray(mistaken, float), rtol):
            raise AssertionError(message)
    if got.shape != expected.shape:
        raise AssertionError(f"expected shape {expected.shape}, got {got.shape}")
    raise AssertionError(f"not right yet: off by {np.abs(got - expected).max():.2g}, of {np.abs(expected).max():.2g}")


def _close(a: np.ndarray, b: np.ndarray, rtol: float) -> bool:
    scale = np.abs(b[np.isfinite(b)]).max(initial=0.0)
    return a.shape == b.shape and np.allclose(a, b, rtol=0, atol=rtol * scale)
