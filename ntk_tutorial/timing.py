"""How long one thing takes beside another, measured so that a busy machine distorts all alike."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np


def median_seconds(*calls: Callable[[], Any], rounds: int = 7) -> list[float]:
    """Wall time of each of some calls, the median over rounds in which they take turns.

    Each is called once before, so that compiling does not count, and each result is waited for. Ratios of what comes
    back mean something; the seconds are those of this machine at this moment.

    Raises:
        ValueError: if there is no call, or no round.
    """
    if not calls or rounds < 1:
        raise ValueError(f"give at least one call and one round, got {len(calls)} calls and rounds={rounds}")
    for call in calls:
        jax.block_until_ready(call())
    seconds = np.empty((rounds, len(calls)))
    for row in seconds:
        for i, call in enumerate(calls):
            start = time.perf_counter()
            jax.block_until_ready(call())
            row[i] = time.perf_counter() - start
    return np.median(seconds, axis=0).tolist()
