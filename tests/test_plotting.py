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


def test_laziness():
    fig, axes = plt.subplots(1, 3)
    alphas, seeds = np.asarray([1.0, 10.0, 100.0]), np.asarray([[1.0], [2.0]])
    samples = [seeds * alphas**power for power in (-1, -2, -1)]
    bounds = [3 * values for values in samples]
    fits = plotting.laziness(axes, alphas, *samples, bounds=bounds, first=1)
    np.testing.assert_allclose([fit.exponent for fit in fits], [-1, -2, -1])
    for ax, values, bound in zip(axes, samples, bounds, strict=True):
        fitted, before, dotted = ax.lines[0], ax.lines[-2], ax.lines[-1]
        np.testing.assert_allclose(fitted.get_xydata(), np.stack([alphas[1:], values[:, 1:].mean(0)], 1))
        np.testing.assert_allclose(before.get_xydata(), [[1.0, values[:, 0].mean()]])
        assert before.get_markerfacecolor() == "none"
        np.testing.assert_allclose(dotted.get_ydata(), bound[0])  # the smaller of the two seeds'
    plt.close(fig)


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


def test_tail(ax):
    x = np.asarray([1.0, 2.0, 4.0, 8.0, 16.0])
    samples = np.asarray([1.0, 0.5, 0.25, 0.25 / 4, 0.25 / 16])[None] * np.asarray([[1.0], [1.2], [0.9]])
    fit = plotting.tail(ax, x, samples, 3, theory=-2.0, label="late")
    assert fit.exponent == pytest.approx(-2) and ax.get_xscale() == ax.get_yscale() == "log"
    (early, _, _), (late, _, (bars,)) = ax.containers
    np.testing.assert_allclose(early.get_ydata(), samples.mean(0)[:2])
    np.testing.assert_allclose(late.get_xydata(), np.stack([x, samples.mean(0)], 1)[2:])
    mean, error = ntk.estimate(jnp.asarray(samples[:, 2:]))
    np.testing.assert_allclose([b[:, 1] for b in bars.get_segments()], jnp.stack([mean - error, mean + error], 1))
    theory = ax.lines[-1]
    np.testing.assert_allclose(theory.get_xdata(), x)
    np.testing.assert_allclose(theory.get_ydata(), samples.mean(0)[-1] * (x / 16) ** -2.0)
    assert theory.get_color() == "black" and early.get_color() != late.get_color()
    assert ax.get_legend_handles_labels()[1] == ["late: slope −2.00 ± 0.00"]


def test_neurons(ax):
    w = np.asarray([[[1.0, 0.0], [0.0, 1.0]], [[2.0, 0.0], [0.0, 3.0]]])  # two times, two neurons
    a = np.asarray([[1.0, -1.0], [0.5, -2.0]])
    plotting.neurons(ax, w, a, {"w": np.asarray([[0.0, 2.0]]), "a": np.asarray([-1.0])})
    ray, way, end, negative_way, negative_end = ax.lines
    reach = 1.15 * 6
    np.testing.assert_allclose(ray.get_xydata(), [[0, 0], [0, 3 * reach]])
    np.testing.assert_array_equal(way.get_xydata()[:2], [[1, 0], [1, 0]])  # |a| w
    np.testing.assert_array_equal(end.get_xydata(), [[1, 0]])
    np.testing.assert_array_equal(negative_way.get_xydata()[:2], [[0, 1], [0, 6]])
    np.testing.assert_array_equal(negative_end.get_xydata(), [[0, 6]])
    assert np.isnan(way.get_xydata()[2]).all() and ray.get_linestyle() == "--"
    assert ray.get_color() == negative_end.get_color() == "C1" and end.get_color() == "C0"
    np.testing.assert_allclose((*ax.get_xlim(), *ax.get_ylim()), (-reach, reach, -reach, reach))


def test_over_angle(ax):
    angle, x = np.linspace(-np.pi, np.pi, 5), np.asarray([[0.0, 1.0], [-1.0, 0.0]])
    plotting.over_angle(ax, angle, 2 * angle, angle, x, np.asarray([[3.0], [4.0]]))
    learned, target, data = ax.lines
    np.testing.assert_array_equal(learned.get_xydata(), np.stack([angle, 2 * angle], 1))
    np.testing.assert_array_equal(target.get_ydata(), angle)
    assert target.get_color() == "black" and target.get_linestyle() == "--"
    np.testing.assert_allclose(data.get_xydata(), [[np.pi / 2, 3], [np.pi, 4]])
    np.testing.assert_allclose(ax.get_ylim(), (-1.8 * np.pi, 1.8 * np.pi))


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


def test_foretold(ax):
    plotting.foretold(ax, [1, 2, 4], [3.0, 2.0, 1.0], [3.1, 2.1, 1.1], label="lazy")
    dots, curve = ax.lines
    assert list(dots.get_ydata()) == [3.0, 2.0, 1.0] and list(curve.get_ydata()) == [3.1, 2.1, 1.1]
    assert dots.get_color() == curve.get_color() and curve.get_linestyle() == "--"
    assert [text.get_text() for text in ax.get_xticklabels()] == ["1", "2", "4"]


def test_quantiles(ax):
    stats = pytest.importorskip("scipy.stats")
    samples = jnp.asarray([[2.0, -1.0], [0.5, 0.0]])
    plotting.quantiles(ax, samples, label="F", color="C1")
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [-1.0, 0.0, 0.5, 2.0])
    np.testing.assert_allclose(ax.lines[0].get_xdata(), stats.norm.ppf([0.125, 0.375, 0.625, 0.875]), rtol=1e-9)
    np.testing.assert_array_equal(ax.lines[1].get_xdata(), ax.lines[1].get_ydata())


def test_band(ax):
    x, mean, deviation = jnp.arange(3.0), jnp.asarray([0.0, 1.0, 4.0]), jnp.asarray([0.1, 0.2, 0.3])
    plotting.band(ax, x, mean, deviation, label="mean", color="C1")
    np.testing.assert_allclose(ax.lines[0].get_ydata(), mean)
    (area,) = ax.collections
    edges = area.get_paths()[0].vertices
    for at in range(3):
        y = edges[np.isclose(edges[:, 0], x[at]), 1]
        np.testing.assert_allclose([y.min(), y.max()], mean[at] + 2 * deviation[at] * jnp.asarray([-1, 1]))


def test_measured(ax):
    samples = np.asarray([[1.0, 8.0], [4.0, np.nan], [2.0, 2.0]])
    plotting.measured(ax, [1, 10], samples, label="a")
    ((data, _, (bars,)),) = ax.containers
    np.testing.assert_allclose(data.get_ydata(), [2.0, 4.0])  # geometric means of what is there
    error = np.log(2) * np.asarray([1 / 3**0.5, 2**0.5 / 2**0.5])  # standard deviations log 2 and √2 log 2
    np.testing.assert_allclose([s[0, 1] for s in bars.get_segments()], [2.0, 4.0] * np.exp(-error))
    np.testing.assert_allclose([s[1, 1] for s in bars.get_segments()], [2.0, 4.0] * np.exp(error))
    assert ax.get_xscale() == ax.get_yscale() == "log"


def test_plane(ax):
    values, edges = np.asarray([[4.0, np.nan], [2.0, 0.5]]), np.asarray([[1.0, 2.0, 4.0], [0.5, 1.0, 2.0]])
    plotting.plane(ax, ["16", "64"], edges, values, {"border": [3.0, 1.5]}, label="kernel change")
    first, second = ax.collections
    np.testing.assert_allclose(first.get_coordinates()[0], [[1, -0.5], [2, -0.5], [4, -0.5]])
    np.testing.assert_allclose(second.get_coordinates()[1], [[0.5, 1.5], [1, 1.5], [2, 1.5]])
    np.testing.assert_allclose(np.ma.filled(first.get_array(), np.nan).ravel(), values[0])
    assert first.get_clim() == second.get_clim() == (0.5, 4.0)  # one scale of colours for all rows
    np.testing.assert_allclose(ax.lines[0].get_xydata(), [[3, 0], [1.5, 1]])
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["16", "64"]


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


def test_neighbours():
    fig, axes = plt.subplots(1, 3)
    images = np.arange(12.0).reshape(3, 2, 2, 1)
    plotting.neighbours(axes, images[0], "a 7", images[1:], [7, 1], 7)
    for ax, image in zip(axes, images, strict=True):
        np.testing.assert_array_equal(ax.images[0].get_array(), image[..., 0])
    assert [ax.get_title() for ax in axes] == ["a 7", "7", "1 ✗"]
    assert [ax.title.get_fontweight() for ax in axes] == ["bold", "bold", "normal"]
    with pytest.raises(ValueError, match="zip"):
        plotting.neighbours(axes, images[0], "a 7", images[1:2], [7], 7)
    plt.close(fig)


def test_means(ax):
    samples = {"long": jnp.asarray([[1.0, 2.0, 4.0], [3.0, 2.0, 8.0]]), "short": jnp.asarray([[1.0, 0.0], [1.0, 1.0]])}
    plotting.means(ax, [1, 4, 16], samples, log=True, xlabel="n", ylabel="error")
    for (line, _, (bars,)), values in zip(ax.containers, samples.values(), strict=True):
        mean, error = ntk.estimate(values)
        np.testing.assert_allclose(line.get_xydata(), np.stack([[1, 4, 16][: len(mean)], mean], 1))
        np.testing.assert_allclose([s[:, 1] for s in bars.get_segments()], np.stack([mean - error, mean + error], 1))
    assert [t.get_text() for t in ax.get_xticklabels()] == ["1", "4", "16"] and ax.get_xscale() == "log"
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["long", "short"]


def test_filling():
    fig, axes = plt.subplots(1, 2)
    angle = np.linspace(0, 6, 7)
    plotting.filling(axes, angle, np.cos(angle), np.sin(angle), [1, 2], [0.9, 0.4], [1.0, 0.5])
    np.testing.assert_allclose(axes[0].lines[0].get_ydata(), np.sin(angle))
    np.testing.assert_allclose(axes[0].lines[1].get_ydata(), np.cos(angle))
    assert [line.get_linestyle() for line in axes[1].lines] == ["--", "None"]
    np.testing.assert_allclose(axes[1].lines[1].get_ydata(), [0.9, 0.4])
    plt.close(fig)


def test_falling(ax):
    x = np.arange(1.0, 11.0)
    fits = plotting.falling(ax, x, {"a": x**-2, "b": np.where(x < 3, 9.0, x**-4)}, (-2, -4), since=3.0)
    assert [float(fit.exponent) for fit in fits] == pytest.approx([-2, -4])
    np.testing.assert_allclose(ax.lines[3].get_ydata(), x**-4)
    assert [line.get_linestyle() for line in ax.lines] == ["-", "-", "--", "--"]


def test_filtered():
    fig, axes = plt.subplots(1, 2)
    ts = np.asarray([1.0, 10.0])
    plotting.filtered(axes, {"ridge": lambda z: z / (1 + z)}, ts, {"ridge": ts**2}, ts[:1], [1.5])
    z, share = axes[0].lines[0].get_data()
    np.testing.assert_allclose(share, z / (1 + z))
    np.testing.assert_allclose(axes[1].lines[0].get_ydata(), ts**2)
    np.testing.assert_allclose(axes[1].lines[1].get_data(), [[1], [1.5]])
    plt.close(fig)


def test_learning_curves():
    fig, axes = plt.subplots(1, 2)
    found = np.arange(24.0).reshape(2, 3, 4)
    theory = np.ones((3, 4))
    plotting.learning_curves(axes, (8, 16, 32), (found, -found), (theory, 2 * theory), degrees=(1, 3))
    np.testing.assert_allclose(axes[1].lines[2].get_ydata(), -found[..., 3].mean(0))
    np.testing.assert_allclose(axes[1].lines[3].get_ydata(), 2)
    assert [text.get_text() for text in fig.legends[0].get_texts()] == ["degree 1", "degree 3"]
    plt.close(fig)
