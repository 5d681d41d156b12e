"""The self-checks of `what_is_learned_first` know right answers, and typical wrong ones by name."""

import math

import pytest

import ntk_tutorial as ntk

checks = ntk.exercises.what_is_learned_first


def slowdown(activation, infinite=ntk.infinite_ntk):
    values = ntk.sphere_eigenvalues(infinite(ntk.mlp(1, 1, 1, activation, b_std=1.0)), 2, 9)
    return float(values[2] / values[8])


def test_right_answers():
    assert checks.check_budget(59)
    assert checks.check_ridge(lambda t, n: n * math.log(2) / t)
    assert checks.check_smooth(slowdown(ntk.erf))
    assert checks.check_stopping(checks._stopping(0.5, "flow"))
    assert checks.check_samples(checks._needed(2, "error"))


@pytest.mark.parametrize(
    ("name", "answer", "message"),
    [
        ("budget", 65, "learnability of one"),
        ("budget", 49, "degree 2 alone"),
        ("budget", 58, "constant"),
        ("budget", -1, "one positive number"),
        ("budget", 1000, "is not the sum"),
        ("ridge", lambda t, n: n / t, "rule for all modes"),
        ("ridge", lambda t, n: math.log(2) / t, "a factor n"),
        ("ridge", lambda t, n: n * t, "in the denominator"),
        ("ridge", lambda t, n: 7.0, "does not let one half"),
        ("ridge", lambda t: t, "failed"),
        ("smooth", lambda: 1 / slowdown(ntk.erf), "other way round"),
        ("smooth", lambda: slowdown(ntk.relu), "this is ReLU"),
        ("smooth", lambda: slowdown(ntk.erf, ntk.infinite_nngp), "NNGP kernel"),
        ("smooth", 5.0, "is not λ_2/λ_8"),
        ("stopping", lambda: checks._stopping(0.5, "ridge"), "best ridge"),
        ("stopping", 1e5, "everything is let through"),
        ("stopping", 3.0, "not smallest"),
        ("stopping", math.inf, "one finite time"),
        ("samples", lambda: checks._needed(2, "no overfitting"), "factor n"),
        ("samples", lambda: checks._needed(2, "learnability"), "reaches 0.9"),
        ("samples", lambda: checks._needed(3, "error"), "another degree"),
        ("samples", 2, "another number"),
    ],
)
def test_wrong_answers(name, answer, message):
    if name != "ridge" and callable(answer):
        answer = answer()
    verdict = getattr(checks, f"check_{name}")(answer)
    assert not verdict and message in verdict.message, verdict
