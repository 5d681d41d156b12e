"""The self-checks of `architecture` know right answers, and typical wrong ones by name."""

import numpy as np
import pytest

import ntk_tutorial as ntk

checks = ntk.exercises.architecture
ODD = set(range(1, 12, 2))


def test_right_answers():
    assert checks.check_depth_needed(lambda distance, window: -(-distance // (window - 1)))
    assert checks.check_stride({2, 4, 6, 8, 10})
    assert checks.check_mirrored(lambda pair: lambda x1, x2: (pair(x1, x2) + pair(x1, x2[::-1])) / 2)
    assert checks.check_shuffled((0.0, checks._shuffled_changes()[1]))
    assert checks.check_test_time(checks._test_time_errors()[1])


def test_the_truth_behind_the_checks():
    attention, convolution, with_neighbours = checks._shuffled_changes()
    assert attention < 1e-12 < 0.02 < with_neighbours < convolution - 0.01
    plain, at_test, everywhere = checks._test_time_errors()
    assert plain > at_test + 0.05 > everywhere + 0.1


@pytest.mark.parametrize(
    ("name", "answer", "message"),
    [
        ("depth_needed", lambda distance, window: distance // (window - 1), "round up"),
        ("depth_needed", lambda distance, window: -(-(distance + 1) // window), "overlap"),
        ("depth_needed", lambda distance, window: -(-(distance + 1) // (window - 1)), "not distance + 1"),
        ("depth_needed", lambda distance, window: distance, "convolutions are needed"),
        ("depth_needed", lambda distance: distance, "failed"),
        ("stride", set(range(1, 12)), "stride one"),
        ("stride", set(), "rounding"),
        ("stride", ODD, "that do change"),
        ("stride", {2, 4}, "[6, 8, 10]"),
        ("mirrored", lambda pair: lambda x1, x2: pair(x1, x2) + pair(x1, x2[::-1]), "twice too large"),
        ("mirrored", lambda pair: lambda x1, x2: (pair(x1, x2) + pair(x1[::-1], x2[::-1])) / 2, "pair itself"),
        ("mirrored", lambda pair: lambda x1, x2: pair(x1, x2[::-1]), "mirror image only"),
        ("mirrored", lambda pair: lambda x1, x2: pair(x1, x2) / 2, "the average is"),
        ("shuffled", lambda: (checks._shuffled_changes()[1], 0.0), "wrong order"),
        ("shuffled", lambda: (checks._shuffled_changes()[2], checks._shuffled_changes()[1]), "window is one"),
        ("shuffled", (0.0, 0.0), "second argument only"),
        ("shuffled", (0.3, 0.3), "is not what"),
        ("test_time", lambda: checks._test_time_errors()[0], "without any averaging"),
        ("test_time", lambda: checks._test_time_errors()[2], "in training as well"),
        ("test_time", lambda: 1 - checks._test_time_errors()[1], "right answers"),
        ("test_time", 0.9999, "32 examples"),
    ],
)
def test_wrong_answers(name, answer, message):
    if name in ("shuffled", "test_time") and callable(answer):
        answer = answer()
    verdict = getattr(checks, f"check_{name}")(answer)
    assert not verdict and message in verdict.message, verdict


def test_depth_needed_counts():
    reach = [checks._depth(distance, 3) for distance in range(1, 7)]
    np.testing.assert_array_equal(reach, [1, 1, 2, 2, 3, 3])
