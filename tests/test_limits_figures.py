"""The figures of the chapter on the limits of a fixed kernel show the numbers they are given."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from ntk_tutorial import plotting


@pytest.fixture
def axes():
    fig, axes = plt.subplots(1, 2)
    yield axes
    plt.close(fig)


def test_races_show_geometric_means(axes):
    errors = np.array([[1.0, 0.1], [4.0, 0.1]])
    plotting.races(axes, [8, 16], {"one": {"a": errors, "b": 2 * errors}, "two": {"a": errors}})
    lines = [container.lines[0] for container in axes[0].containers]
    np.testing.assert_allclose(lines[0].get_ydata(), [2.0, 0.1])
    np.testing.assert_allclose(lines[1].get_ydata(), [4.0, 0.2])
    assert [text.get_text() for text in axes[0].get_legend().get_texts()] == ["a", "b"]
    assert axes[1].get_title() == "two" and [t.get_text() for t in axes[1].get_xticklabels()] == ["8", "16"]


def test_over_steps_shows_zero_bars_and_a_level(axes):
    steps = [0, 1, 100]
    curves = {"mean": (np.arange(3.0), np.ones(3)), "line": np.arange(3.0) + 1}
    plotting.over_steps(axes[0], steps, curves, level=2.0, title="here", loc="upper left")
    with_bars, without = axes[0].containers
    assert with_bars.has_yerr and not without.has_yerr
    np.testing.assert_array_equal(without.lines[0].get_xydata(), np.stack([steps, [1, 2, 3]], 1))
    level = axes[0].lines[-1]
    assert level.get_linestyle() == "--" and set(level.get_ydata()) == {2.0}
    assert axes[0].get_xscale() == "symlog" and axes[0].get_title() == "here"
    plotting.over_steps(axes[1], steps, {"line": np.arange(3.0)}, log=False)
    assert axes[1].get_xscale() == "linear" and axes[1].get_xlim()[0] == 0


def test_fluctuations_stand_against_their_prediction(axes):
    predicted = {16: np.array([0.1, 0.4]), 32: np.array([0.05, 0.2])}
    plotting.fluctuations_by_shape(axes[0], predicted, {m: (2 * p, 0.1 * p) for m, p in predicted.items()})
    first = axes[0].containers[0].lines[0]
    np.testing.assert_allclose(first.get_xydata(), [[0.1, 0.2], [0.4, 0.8]])
    diagonal = axes[0].lines[-1]
    np.testing.assert_allclose(diagonal.get_xdata(), diagonal.get_ydata())
    assert list(diagonal.get_xdata()) == [0.05, 0.4]
