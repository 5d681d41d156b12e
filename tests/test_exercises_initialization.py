"""The self-checks of `initialization` know right answers, and typical wrong ones by name."""

import math

import jax.numpy as jnp
import pytest

import ntk_tutorial as ntk

checks = ntk.exercises.initialization


def point():
    return ntk.fixed_point(ntk.erf, 2.0, 0.1)


def scales(fan_in, w_std, b_std):
    return fan_in / w_std**2, 1 / b_std**2


def test_right_answers():
    assert checks.check_critical(lambda slope: (2 / (1 + slope**2)) ** 0.5)
    assert checks.check_missing([0, 2, 4, 6, 8])
    assert checks.check_depth_scale(-1 / jnp.log(point().slope))
    assert checks.check_rates(lambda eta, *layer: tuple(eta * s for s in scales(*layer)))
    assert checks.check_choice(checks._choices()["left out"])


@pytest.mark.parametrize(
    ("name", "answer", "message"),
    [
        ("critical", lambda slope: 2 / (1 + slope**2), "take the root"),
        ("critical", lambda slope: 2**0.5, "the other half"),
        ("critical", lambda slope: 2**0.5 / (1 + slope), "mean of squares"),
        ("critical", lambda slope: 1.0, "where σ_w² E[φ'(u)²] is 0.500"),
        ("critical", lambda slope: None, "must be one number"),
        ("missing", [3, 5, 7], "ReLU's"),
        ("missing", [1, 3, 5, 7], "that it can learn"),
        ("missing", [], "composition of odd functions"),
        ("missing", [2, 4, 6, 8], "constant is a frequency"),
        ("missing", [1, 2], "compute the spectrum"),
        ("missing", "even", "give a list"),
        ("depth_scale", lambda: 1 / math.log(point().chi), "from where correlations flee"),
        ("depth_scale", lambda: math.log(0.5) / math.log(point().slope), "half is left"),
        ("depth_scale", lambda: 1 / math.log(point().slope), "depth is positive"),
        ("depth_scale", lambda: float(point().slope), "factor of one layer"),
        ("depth_scale", 20.0, "not by 0.368"),
        ("rates", lambda eta, *layer: tuple(eta / s for s in scales(*layer)), "upside down"),
        ("rates", lambda eta, *layer: tuple(eta * s**0.5 for s in scales(*layer)), "counts twice"),
        ("rates", lambda eta, fan_in, w_std, b_std: (eta * fan_in, eta), "belong to the factors"),
        ("rates", lambda eta, fan_in, w_std, b_std: eta, "two numbers"),
        ("choice", 4.0, "knows nothing between"),
        ("choice", 0.5, "the fit cannot choose"),
        ("choice", 1.0, "predicts points left out better"),
        ("choice", 1.23, "give one of"),
    ],
)
def test_wrong_answers(name, answer, message):
    if name == "depth_scale" and callable(answer):
        answer = answer()
    verdict = getattr(checks, f"check_{name}")(answer)
    assert not verdict and message in verdict.message, verdict
