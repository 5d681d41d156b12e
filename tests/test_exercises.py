"""Every self-check answers with a verdict, whatever it is given; right answers stand in the chapters, which are run."""

import inspect

import jax.numpy as jnp
import numpy as np
import pytest

import ntk_tutorial as ntk

MODULES = [getattr(ntk.exercises, name) for name in ntk.exercises.__all__ if name != "Verdict"]
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
