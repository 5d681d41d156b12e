"""Figures show the numbers they were given."""

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pytest

import ntk_tutorial as ntk
from ntk_tutorial import plotting


@pytest.fixture
def ax():
    fig, ax = plt.subplots()
    yield ax
    fig.canvas.draw()
    plt.close(fig)


def test_scaling(ax):
    x = jnp.asarray([16.0, 64.0, 256.0])
    samples = x[None] ** -0.5 * jnp.asarray([[1.0], [1.2], [0.9]])
    fit = plotting.scaling(ax, x, samples, theory=-0.5, label="gap")
    assert fit.exponent == pytest.approx(-0.5) and ax.get_xscale() == ax.get_yscale() == "log"
    ((data, _, (bars,)),) = ax.containers
    np.testing.assert_allclose(data.get_ydata(), samples.mean(0))
    mean, error = ntk.estimate(samples)
    np.testing.assert_allclose([s[:, 1] for s in bars.get_segments()], jnp.stack([mean - error, mean + error], 1))
    theory = ax.lines[-1]
    assert theory.get_color() == "black" and theory.get_linestyle() == "--"
    np.testing.assert_allclose(theory.get_ydata(), mean[-1] * (x / 256) ** -0.5)
    assert ax.get_legend_handles_labels()[1] == ["gap: slope −0.50 ± 0.00"]


def test_widths_axis(ax):
    plotting.scaling(ax, [8, 64], np.asarray([[1.0, 0.5], [1.2, 0.4]]))
    plotting.widths_axis(ax, [8, 64], "gap")
    assert [label.get_text() for label in ax.get_xticklabels()] == ["8", "64"] and ax.get_ylabel() == "gap"
    assert not ax.get_xticks(minor=True).size


def test_courses(ax):
    ts = np.arange(5.0)
    curves = ts[:, None] * np.asarray([1.0, 2.0, 3.0])
    plotting.courses(ax, ts, curves, ts[:3], curves[:3], columns=(0, 2), ylabel="f", label="mode {}")
    for (line, dots), column in zip(np.reshape(ax.lines, (2, 2)), (0, 2), strict=True):
        np.testing.assert_array_equal(line.get_xydata(), np.stack([ts[1:], curves[1:, column]], 1))  # without t = 0
        np.testing.assert_array_equal(dots.get_ydata(), curves[1:3, column])
        assert line.get_color() == dots.get_color()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["mode 1", "mode 3"]


def test_mode_shares(ax):
    plotting.mode_shares(ax, np.asarray([1.0, 0.1]), np.asarray([0.7, 0.3]), horizon=4.0)
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), [0.7, 0.3])
    np.testing.assert_array_equal(ax.lines[1].get_xdata(), [0.25, 0.25])


def test_before_and_after(ax):
    x, before, after = np.arange(4.0), np.zeros((2, 4)), np.ones((2, 4))
    plotting.before_and_after(ax, x, before, after, x[:1], np.ones((1, 1)))
    assert [line.get_ydata()[0] for line in ax.lines] == [1, 0, 1, 0, 1]
    assert ax.lines[0].get_color() == ax.lines[1].get_color() != ax.lines[2].get_color()


@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_heavy_ball_factor(ax, momentum):
    plotting.heavy_ball_factor(ax, (momentum,))
    r, factor = ax.lines[0].get_data()
    at = np.searchsorted(r, 1.3)
    roots = np.roots([1, -(1 + momentum - r[at]), momentum])
    assert factor[at] == pytest.approx(abs(roots).max())
    np.testing.assert_array_equal(ax.lines[1].get_xydata(), [[2 * (1 + momentum), 1]])


def test_agreement(ax):
    samples = np.random.default_rng(0).standard_normal((50, 3)) * np.asarray([1.0, 2.0, 3.0])
    plotting.agreement(ax, [1.0, 2.0, 3.0], samples, quantity="spread")
    ((data, _, (bars,)),) = ax.containers
    measured = samples.std(0, ddof=1)
    np.testing.assert_allclose(data.get_ydata(), measured)
    np.testing.assert_allclose([s[1, 1] for s in bars.get_segments()], measured * (1 + 98**-0.5))


def test_band(ax):
    x, mean, deviation = jnp.arange(3.0), jnp.asarray([0.0, 1.0, 4.0]), jnp.asarray([0.1, 0.2, 0.3])
    plotting.band(ax, x, mean, deviation, label="mean", color="C1")
    np.testing.assert_allclose(ax.lines[0].get_ydata(), mean)
    (area,) = ax.collections
    edges = area.get_paths()[0].vertices
    for at in range(3):
        y = edges[np.isclose(edges[:, 0], x[at]), 1]
        np.testing.assert_allclose([y.min(), y.max()], mean[at] + 2 * deviation[at] * jnp.asarray([-1, 1]))


def test_epochs_and_levels(ax):
    curve, level = np.asarray([[0.5, 0.7], [0.2, 0.4]]), np.asarray([0.1, 0.2])
    plotting.epochs_and_levels(ax, [1, 5], {"a": curve}, {"b": level})
    ((data, _, (bars,)),) = ax.containers
    np.testing.assert_allclose(data.get_ydata(), [0.6, 0.3])
    np.testing.assert_allclose([s[:, 1] for s in bars.get_segments()], [[0.5, 0.7], [0.2, 0.4]])  # ± 0.1, with 2 seeds
    np.testing.assert_allclose(ax.lines[-1].get_xydata(), [[1, 0.15], [5, 0.15]])
    edges = ax.collections[-1].get_paths()[0].vertices[:, 1]
    np.testing.assert_allclose([edges.min(), edges.max()], [0.1, 0.2])
    assert ax.get_legend_handles_labels()[1] == ["b", "a"] or ax.get_legend_handles_labels()[1] == ["a", "b"]
    assert list(ax.get_xticks()) == [1, 5]


def test_differences(ax):
    samples = {"one": [[0.1, 0.3], [-0.2, -0.2]], "two": [[0.0, 0.0], [1.0, 3.0]]}
    plotting.differences(ax, ["x", "y"], samples, ylabel="difference")
    for container, values in zip(ax.containers, samples.values(), strict=True):
        np.testing.assert_allclose(container[0].get_ydata(), np.mean(values, 1))
        np.testing.assert_allclose(container[0].get_xdata(), [0, 1], atol=0.2)
    np.testing.assert_allclose(ax.containers[0][2][0].get_segments()[0][:, 1], [0.1, 0.3])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["x", "y"]


def test_growth(ax):
    values = jnp.asarray([[1.0, 2.0], [10.0, 30.0]])
    plotting.growth(ax, [1, 4], values, ["a", "b"], theory=2 * values, xlabel="n", ylabel="work")
    found = np.stack([line.get_ydata() for line in ax.lines])
    np.testing.assert_array_equal(found, np.concatenate([values, 2 * values], axis=1).T)
    assert [line.get_marker() for line in ax.lines] == ["o", "o", "None", "None"]
    assert [line.get_linestyle() for line in ax.lines] == ["None", "None", "--", "--"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b"]
    assert ax.get_xscale() == ax.get_yscale() == "log" and list(ax.get_xticks()) == [1, 4]
    plotting.growth(ax, np.arange(1.0, 9.0), np.ones((8, 1)), ["c"])
    assert ax.lines[-1].get_marker() == "None" and ax.lines[-1].get_linestyle() == "-"


def test_matrix(ax):
    kernel = jnp.arange(6.0).reshape(2, 3)
    image = plotting.matrix(ax, kernel, label="Θ", vmin=0, vmax=9)
    np.testing.assert_array_equal(image.get_array(), kernel)
    assert image.get_clim() == (0, 9) and ax.figure.axes[1].get_ylabel() == "Θ"


def test_style_sheet_is_readable():
    with plt.style.context("ntk_tutorial.ntk"):
        assert plt.rcParams["svg.hashsalt"] == "ntk" and plt.rcParams["axes.grid"]
