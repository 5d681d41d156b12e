"""Every self-check answers with a verdict, whatever it is given; right answers stand in the chapters, which are run."""

import inspect

import jax.numpy as jnp
import numpy as np
import pytest

import ntk_tutorial as ntk

MODULES = [getattr(ntk.exercises, name) for name in ntk.exercises.__all__ if name not in ("Verdict", "expect")]
CHECKS = {
    f"{module.__name__.split('.')[-1]}.{name}": check
    for module in MODULES
    for name, check in vars(module).items()
    if name.startswith("check_") and inspect.isfunction(check)
}
WRONG = [
    None, "text", True, 0, -1.0, float("nan"), float("inf"), 1e300, 1j, [], (1.0,), (1.0, 2.0), (1.0, 2.0, 3.0),
    ["a", "b"],
    ([1.0], 2.0), {"a": 1.0}, np.zeros(3), jnp.zeros((2, 2)), np.asarray(["a"]), object(), lambda *a: None,
    lambda *a, **k: "text", lambda *a, **k: 0.0, lambda *a, **k: (0.0, 0.0), lambda *a, **k: jnp.zeros((7, 7)),
    lambda *a, **k: a,
]  # fmt: skip


def test_every_chapter_has_checks():
    for module in MODULES:
        assert any(name.startswith("check_") for name in vars(module)), f"{module.__name__} checks nothing"


@pytest.mark.parametrize("name", CHECKS)
def test_wrong_answers_get_a_verdict(name, unannotated):
    for answer in WRONG:
        try:
            verdict = CHECKS[name](answer)
        except Exception as error:
            raise AssertionError(f"check fails on {answer!r}") from error
        assert type(verdict).__name__ == "Verdict" and len(verdict.message) > 10, repr(answer)
        if not verdict.correct:
            assert repr(verdict).startswith("✗ Not yet: ") and not verdict
    assert sum(not CHECKS[name](answer) for answer in (None, "text", object(), [])) == 4


def test_verdict():
    assert (
        ntk.exercises.Verdict(True, "because") and repr(ntk.exercises.Verdict(True, "because")) == "✓ Correct: because"
    )


SCALE = ntk.exercises.a_choice_of_scale
TYPICAL = [  # of `a_choice_of_scale`: check, answer, what the verdict speaks of (None: it is right)
    (SCALE.check_product, lambda u, v, y: _product(u, v, y), None),
    (SCALE.check_product, lambda u, v, y: 2 * _product(u, v, y), "twice too large"),
    (SCALE.check_product, lambda u, v, y: _product(u, v, y, centred=True), "not centred"),
    (SCALE.check_product, lambda u, v, y: _product(u, v, y, power=0.5), "squared"),
    (SCALE.check_product, lambda u, v, y: _product(u, v, y) * len(u) ** 0.5, "1/√m, not 1"),
    (SCALE.check_width, lambda s: s - 1, None),
    (SCALE.check_width, lambda s: -s, "that is the curvature"),
    (SCALE.check_width, lambda s: 1 - s, "sign"),
    (SCALE.check_width, lambda s: 1 - 2 * s, "squared slope alone"),
    (SCALE.check_width, lambda s: -0.5, "s = 1/2 only"),
    (SCALE.check_homogeneous, lambda depth: -(depth + 1), None),
    (SCALE.check_homogeneous, lambda depth: -depth, "layers of weights"),
    (SCALE.check_homogeneous, lambda depth: depth + 1, "the sign"),
    (SCALE.check_homogeneous, lambda depth: -2 * (depth + 1), "degree q − 2"),
    (SCALE.check_how_long, lambda kappa: _longest(kappa, 1), None),
    (SCALE.check_how_long, lambda kappa: _longest(kappa, 0), "promise more"),
    (SCALE.check_how_long, lambda kappa: 2 * 0.1**0.5 / kappa, "larger one"),
    (SCALE.check_float32, 2e4, None),
    (SCALE.check_float32, 2e4 * 2**29, "float64"),
    (SCALE.check_float32, 2e6, "not 1"),
    (SCALE.check_float32, 2e2, "ten-thousandth"),
]


def _product(u, v, y, *, centred=False, power=1.0):
    m = len(u)
    return abs((0 if centred else u @ v / m**0.5) - y) / m**0.5 / ((u @ u + v @ v) / m) ** power


def _longest(kappa, second):
    ks = np.geomspace(1e-3, 1e4, 200_001)
    return ks[np.argmax(8**0.5 / 3 * ks**1.5 * kappa + second * (ks * kappa) ** 2 / 4 >= 0.1)]


@pytest.mark.parametrize(("check", "answer", "reason"), TYPICAL)
def test_typical_answers_on_scale(check, answer, reason):
    verdict = check(answer)
    assert verdict.correct == (reason is None) and (reason is None or reason in verdict.message), verdict


TWO_LAYERS = [  # a typical wrong answer, and what the verdict tells of it
    ("output_scale", lambda tau, depth: tau**depth, "the readout is scaled too"),
    ("output_scale", lambda tau, depth: tau**2, "right for one hidden layer"),
    ("output_scale", lambda tau, depth: tau * (depth + 1), "multiply, they do not add"),
    ("conserved", lambda w, a: jnp.sum(w**2, 1) + a**2, "the sum grows"),
    ("conserved", lambda w, a: jnp.linalg.norm(w, axis=1) - abs(a), "not their roots"),
    ("conserved", lambda w, a: 0 * a, "the same for all neurons"),
    ("conserved", lambda w, a: w, "one number a neuron"),
    ("compensation", 0.5, "its square is the output scale"),
    ("compensation", -0.25, "wrong sign"),
    ("compensation", 0.0, "times as far"),
    ("crossover", 0.5, "wrong sign"),
    ("crossover", -0.25, "factor 1/√m in front"),
    ("crossover", -1.0, "take the square root"),
    ("regimes", ["lazy", "rich", "lazy", "rich"], "which parameters moved"),
    ("regimes", ["lazy", "lazy", "lazy", "lazy"], "being wide does not decide"),
    ("regimes", ["rich", "rich", "lazy", "lazy"], "mystery 1: take ntk.linearization_error"),
    ("regimes", ["lazy", "rich", "lazy"], "give four of"),
]


@pytest.mark.parametrize(("name", "answer", "message"), TWO_LAYERS)
def test_two_layer_networks_recognises(name, answer, message):
    verdict = getattr(ntk.exercises.two_layer_networks, f"check_{name}")(answer)
    assert not verdict and message in verdict.message


def test_two_layer_networks_mysteries():
    with pytest.raises(ValueError, match="there are mysteries 1 to 4, got 5"):
        ntk.exercises.two_layer_networks.mystery(5)
