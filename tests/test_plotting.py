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
    assert sorted(ax.get_legend_handles_labels()[1]) == ["gap: slope -0.50 ± 0.00", "theory, slope -0.5"]


def test_band(ax):
    x, mean, deviation = jnp.arange(3.0), jnp.asarray([0.0, 1.0, 4.0]), jnp.asarray([0.1, 0.2, 0.3])
    plotting.band(ax, x, mean, deviation, label="mean", color="C1")
    np.testing.assert_allclose(ax.lines[0].get_ydata(), mean)
    (area,) = ax.collections
    edges = area.get_paths()[0].vertices
    for at in range(3):
        y = edges[np.isclose(edges[:, 0], x[at]), 1]
        np.testing.assert_allclose([y.min(), y.max()], mean[at] + 2 * deviation[at] * jnp.asarray([-1, 1]))


def test_matrix(ax):
    kernel = jnp.arange(6.0).reshape(2, 3)
    image = plotting.matrix(ax, kernel, label="Θ", vmin=0, vmax=9)
    np.testing.assert_array_equal(image.get_array(), kernel)
    assert image.get_clim() == (0, 9) and ax.figure.axes[1].get_ylabel() == "Θ"


def test_style_sheet_is_readable():
    with plt.style.context("ntk_tutorial.ntk"):
        assert plt.rcParams["svg.hashsalt"] == "ntk" and plt.rcParams["axes.grid"]
