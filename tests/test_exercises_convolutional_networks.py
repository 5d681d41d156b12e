"""The self-checks of `convolutional_networks` know right answers, and typical wrong ones by name."""

import math

import numpy as np
import pytest

import ntk_tutorial as ntk

checks = ntk.exercises.convolutional_networks


def size(channels):
    return 9 * channels + 9 * channels**2 + 10 * channels


def shuffled_too_late():
    return float(checks._errors()[1].min()), checks._shuffled_error(train=False)


def test_right_answers():
    assert checks.check_steps(lambda ratio, share: math.log(1 - share) / math.log1p(-ratio))
    assert checks.check_network_size((size(48) / size(12)) ** 2)
    assert checks.check_clear_cases(checks._clear("ensemble_error"))
    assert checks.check_ridge(checks.RIDGES[int(np.argmin(checks._errors()[0]))])
    assert checks.check_shuffled((float(checks._errors()[1].min()), checks._shuffled_error()))


@pytest.mark.parametrize(
    ("name", "answer", "message"),
    [
        ("steps", lambda ratio, share: math.log(share) / math.log1p(-ratio), "1 − share, not share"),
        ("steps", lambda ratio, share: math.log(1 - share) / math.log1p(-ratio) / 2, "no longer converges"),
        ("steps", lambda ratio, share: share / ratio, "only while it is small"),
        ("steps", lambda ratio, share: 7.0, "at another s"),
        ("network_size", size(48) / size(12), "how p grows"),
        ("network_size", 16.0, "square of channels"),
        ("network_size", (size(48) / size(12)) ** 3, "the factorization"),
        ("clear_cases", lambda: checks._clear("test_error"), "single networks"),
        ("clear_cases", lambda: checks._clear("ensemble_error", 2.0), "two standard errors are not enough"),
        ("clear_cases", lambda: checks._clear("ensemble_error", 0.0), "all cases are counted"),
        ("clear_cases", lambda: checks._clear("ensemble_error")[::-1], "other way round"),
        ("ridge", 0.5, "none of the ridges"),
        ("ridge", checks.RIDGES[0], "on the examples left out"),
        ("shuffled", lambda: (checks._shuffled_error(), float(checks._errors()[1].min())), "wrong order"),
        ("shuffled", lambda: (float(checks._errors()[1].min()),) * 2, "nothing has changed"),
        ("shuffled", shuffled_too_late, "shuffle the training images too"),
    ],
)
def test_wrong_answers(name, answer, message):
    if name != "steps" and callable(answer):
        answer = answer()
    verdict = getattr(checks, f"check_{name}")(answer)
    assert not verdict and message in verdict.message, verdict


def test_a_ridge_that_the_test_digits_choose_is_told_from_the_right_one():
    held_out, test = checks._errors()
    best = checks.RIDGES[int(np.argmin(test))]
    if held_out[checks.RIDGES.index(best)] == held_out.min():
        pytest.skip("both choose the same ridge")
    assert "must not choose" in checks.check_ridge(best).message
