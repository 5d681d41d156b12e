"""Calls are timed in turns, after each has been called once."""

import time

import jax.numpy as jnp
import pytest

import ntk_tutorial as ntk


def test_turns():
    order = []
    first, second = ntk.median_seconds(lambda: order.append("a"), lambda: order.append("b"), rounds=3)
    assert order == ["a", "b"] * 4
    assert first > 0 and second > 0


def test_the_median_of_what_was_waited_for():
    waits = iter([0.0, 0.02, 0.5, 0.02])  # the first one does not count

    def call():
        time.sleep(next(waits))
        return {"result": jnp.ones(2)}

    (seconds,) = ntk.median_seconds(call, rounds=3)
    assert 0.02 <= seconds < 0.4


@pytest.mark.parametrize(("calls", "rounds"), [((), 3), ((list,), 0)])
def test_nothing_to_time(calls, rounds):
    with pytest.raises(ValueError, match="at least one call and one round"):
        ntk.median_seconds(*calls, rounds=rounds)
