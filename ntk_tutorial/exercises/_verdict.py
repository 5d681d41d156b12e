"""What a self-check answers."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import numpy as np


@dataclass(frozen=True)
class Verdict:
    """Whether an answer is right, and a sentence on why; a notebook shows it as one line."""

    correct: bool
    message: str

    def __repr__(self) -> str:
        return f"{'✓ Correct' if self.correct else '✗ Not yet'}: {self.message}"

    def __bool__(self) -> bool:
        return self.correct


def as_number(answer) -> float | None:
    """The answer as a finite float, or None where it is not one number."""
    try:
        value = np.asarray(answer, float)
    except (TypeError, ValueError):
        return None
    return float(value) if value.shape == () and np.isfinite(value) else None


def agrees(answer, expected, *, rtol: float = 1e-6) -> bool:
    """Whether two pytrees of numbers have the same structure and shapes, and agree up to rtol of the largest entry."""
    if jax.tree.structure(answer) != jax.tree.structure(expected):
        return False
    pairs = [
        (np.asarray(a), np.asarray(e)) for a, e in zip(jax.tree.leaves(answer), jax.tree.leaves(expected), strict=True)
    ]
    return all(
        a.shape == e.shape and np.allclose(a, e, rtol=0, atol=rtol * np.abs(e).max(initial=0.0)) for a, e in pairs
    )
