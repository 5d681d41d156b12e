"""The self-checks of `lazy_or_feature` know right answers, and typical wrong ones by name."""

import math

import pytest

import ntk_tutorial as ntk

checks = ntk.exercises.lazy_or_feature


def chain_time(alpha, depth):
    size = 1.5 ** (1 / (2 * depth))
    return alpha * (math.log(size) if depth == 1 else (1 - size ** (1 - depth)) / (depth - 1))


def test_right_answers():
    assert checks.check_regimes(["lazy", "feature", "feature", "lazy"])
    assert checks.check_constant(checks.threshold(0.1, "digits", "softplus", 128))
    assert checks.check_chain_time(chain_time)
    assert checks.check_displacement(lambda depth: 1 / (depth + 1))
    assert checks.check_kinks((0.5, -0.5))


@pytest.mark.parametrize(
    ("name", "answer", "message"),
    [
        ("regimes", ["lazy", "feature", "lazy", "feature"], "width alone"),
        ("regimes", ["lazy", "lazy", "feature", "lazy"], "α alone"),
        ("regimes", ["feature", "feature", "feature", "lazy"], "α alone"),
        ("regimes", ["feature", "lazy", "lazy", "feature"], "work out"),
        ("constant", 7.0, "by 1, its own size"),
        ("constant", 34 / 16, "at one width"),
        ("constant", 200.0, "less than 0.1"),
        ("chain_time", lambda alpha, depth: chain_time(alpha, depth) / alpha, "factor α"),
        ("chain_time", lambda alpha, depth: 1.5 ** (1 / (2 * depth)), "size λ"),
        ("chain_time", lambda alpha, depth: alpha * (1 - 1.5 ** (1 - depth)) / (depth - 1), "grown by half"),
        ("chain_time", lambda alpha, depth: chain_time(alpha, depth) if depth > 1 else math.nan, "logarithm"),
        ("chain_time", lambda alpha, depth: 3 * alpha, "disagrees"),
        ("displacement", lambda depth: -1 / (depth + 1), "wrong sign"),
        ("displacement", lambda depth: 2 * depth / (depth + 1), "kernel's exponent"),
        ("displacement", lambda depth: 1 / depth, "layers of weights"),
        ("displacement", lambda depth: 0.5, "which power"),
        ("kinks", (1.0, -0.5), "smooth"),
        ("kinks", (-0.5, 0.5), "the order"),
        ("kinks", (1.0, 0.0), "cancels"),
        ("kinks", (2.0, -1.0), "a simulation disagrees"),
    ],
)
def test_wrong_answers_are_recognized(name, answer, message):
    verdict = getattr(checks, f"check_{name}")(answer)
    assert not verdict and message in verdict.message
