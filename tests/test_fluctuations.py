"""What the chapter on fluctuations uses: its table of stored results; its self-checks tell typical mistakes apart."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ntk_tutorial as ntk

CHECKS = ntk.exercises.fluctuations


def spread(f, ddof=1):
    return jnp.sqrt(jnp.mean(jnp.var(f, axis=0, ddof=ddof)))


def without(f, axis=0, ddof=1):
    return jnp.stack([spread(jnp.delete(f, i, axis=axis), ddof) for i in range(f.shape[axis])])


def squared(f, y):
    return jnp.mean((f - y) ** 2)


ANSWERS = {  # check: the right answer, and wrong ones with a word of what should be said
    CHECKS.check_infinite_ensemble: (
        lambda f, y: squared(f.mean(0), y) - spread(f) ** 2 / len(f),
        {
            "at hand": lambda f, y: squared(f.mean(0), y),
            "that of the mean of N": lambda f, y: squared(f.mean(0), y) - spread(f) ** 2,
            "ddof": lambda f, y: squared(f.mean(0), y) - spread(f, 0) ** 2 / len(f),
            "not": lambda f, y: 0.0,
            "one number": lambda f, y: f,
        },
    ),
    CHECKS.check_budget: (
        27360 / 4320,
        {"other way": 4320 / 27360, "hidden matrix only": 10.0, "parameters of all": 27360 / 432, "ratio is not": 1.0},
    ),
    CHECKS.check_jackknife: (
        lambda f: jnp.sqrt((len(f) - 1) * jnp.var(without(f))),
        {
            "factor": lambda f: jnp.std(without(f), ddof=1),
            "independent": lambda f: jnp.std(without(f), ddof=1) / len(f) ** 0.5,
            "one example": lambda f: ntk.jackknife_error(without(f, axis=1)),
            "ddof": lambda f: ntk.jackknife_error(without(f, ddof=0)),
            "not": lambda f: 1.0,
            "one number": lambda f: f,
        },
    ),
    CHECKS.check_crossing: (
        lambda s0, v, m, new: v / s0 * np.sqrt(m / new),
        {
            "old width": lambda s0, v, m, new: v / s0,
            "square root": lambda s0, v, m, new: v / s0 * m / new,
            "wrong sign": lambda s0, v, m, new: v / s0 * np.sqrt(new / m),
            "1/α": lambda s0, v, m, new: s0 / v * np.sqrt(new / m),
            "solve": lambda s0, v, m, new: 1.0,
        },
    ),
    CHECKS.check_untrained: (
        -0.5,
        {"wrong sign": 0.5, "variance": -1.0, "initial outputs": 0.0, "is not what": -3.0},
    ),
}  # fmt: skip


def test_another_way_to_the_infinite_ensemble_is_right():
    """The mean error of the members, less the variance of one of them: the same number, by the theorem."""
    assert CHECKS.check_infinite_ensemble(lambda f, y: squared(f, y[None]) - spread(f) ** 2)


@pytest.mark.parametrize("check", ANSWERS, ids=lambda check: check.__name__)
def test_typical_mistakes_are_told_apart(check):
    right, wrong = ANSWERS[check]
    assert check(right), check(right)
    verdicts = {word: check(answer) for word, answer in wrong.items()}
    for word, verdict in verdicts.items():
        assert not verdict and word in verdict.message, (word, verdict)
    assert len({verdict.message for verdict in verdicts.values()}) == len(wrong)


def test_the_number_of_parameters_is_that_of_the_text():
    """Ten networks of width 16 hold 4,320 parameters, one of width 256 holds 68,352."""
    sizes = []
    for width in (16, 256):
        params, _ = ntk.regimes.perceptron(width, 2, ntk.relu).init(jax.random.key(0), (10,))
        sizes.append(sum(leaf.size for leaf in jax.tree.leaves(params)))
    assert [10 * sizes[0], sizes[1]] == [4320, 68352]


def test_tabulate():
    """Networks that did not arrive are left out of means; what belongs to all together has the jackknife's error."""
    runs = []
    for width in (16, 32):
        values = {
            "reached": [True, True, True, False],
            "test_error": [0.1 * width, 0.2 * width, 0.3 * width, 99.0],
            "fluctuation": 2.0 / width,
            "fluctuation_without": [1.0, 2.0, 3.0, 2.0],
        }
        runs.append(({"width": width, "scaled_alpha": 1.0, "task": "digits"}, values))
    results = ntk.results.Results("crossover", {}, *map(list, zip(*runs, strict=True)))
    error = ntk.regimes.tabulate(results, "test_error")
    np.testing.assert_allclose(error.mean, [[3.2], [6.4]])
    np.testing.assert_allclose(error.standard_error, [[1.6 / 3**0.5], [3.2 / 3**0.5]])
    spread = ntk.regimes.tabulate(results, "fluctuation")
    np.testing.assert_allclose(spread.mean, [[2 / 16], [2 / 32]])
    np.testing.assert_allclose(spread.standard_error, np.full((2, 1), (3 / 4 * 2) ** 0.5))
    with pytest.raises(KeyError, match="has no value"):
        ntk.regimes.tabulate(results, "nothing")


def test_digits_need_no_downloader(monkeypatch):
    """Importing pooch warns on stderr in notebooks without ipywidgets, which a chapter's outputs may not have."""
    monkeypatch.setitem(sys.modules, "pooch", None)
    assert len(ntk.datasets.digits(jax.random.key(0), 8, 4).x_train) == 8
