"""The figures of the chapter on initialization show the numbers they are given."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

import ntk_tutorial as ntk
from ntk_tutorial import plotting


@pytest.fixture
def axes():
    fig, axes = plt.subplots(1, 3)
    yield axes
    plt.close(fig)


def test_frequencies_leave_zeros_out_and_draw_the_theory(axes):
    values = np.arange(1.0, 34) ** -2.0
    values[3::4] = 0
    plotting.by_frequency(axes[0], {"even": values}, theory=(-2,))
    line, dashed = axes[0].lines
    assert np.isnan(line.get_ydata()[2::4]).all() and (line.get_ydata()[1::2] == values[2::2]).all()
    assert dashed.get_linestyle() == "--"
    x, y = dashed.get_xdata(), dashed.get_ydata()
    np.testing.assert_allclose(y / y[0], (x / x[0]) ** -2.0)


def test_learned_wave_and_kernel_shape(axes):
    angle = np.linspace(-3, 3, 7)
    plotting.learned_wave(axes[0], angle, {"a": angle, "b": -angle}, angle[::2], angle[::2])
    assert [t.get_text() for t in axes[0].get_legend().get_texts()] == ["a", "b"]
    assert axes[0].get_ylim()[1] > 3
    plotting.kernel_shape(axes[1], angle, 4 - np.abs(angle))
    assert axes[1].lines[0].get_ydata().max() == 1


def test_signal_shows_means_and_maps(axes):
    theory, measured = np.full((2, 6), 0.5), np.ones((2, 3, 6)) * np.array([0.4, 0.5, 0.6])[:, None]
    plotting.signal(axes[:2], ntk.erf, np.array([0.7, 2.0]), 0.1, theory, measured)
    assert len(axes[0].lines) == 3  # two maps and the diagonal
    np.testing.assert_allclose(axes[0].lines[0].get_ydata()[-1], 1)  # C(1) = 1
    np.testing.assert_allclose(axes[1].containers[0].lines[0].get_ydata(), 0.5)


def test_edge_of_chaos_marks_a_single_point(axes):
    plotting.edge_of_chaos(axes[0], {"erf": ntk.erf, "ReLU": ntk.relu}, np.linspace(0.1, 1, 5), [0.8], 0.1)
    erf, relu, dot = axes[0].lines
    assert len(erf.get_xdata()) == 5 and dot.get_ydata() == [0.1]
    np.testing.assert_allclose(relu.get_xdata(), 2**0.5)


def test_conditions_start_at_one_layer(axes):
    plotting.conditions(axes[0], [[100.0, 10.0, 1.0]], (1.0,))
    assert list(axes[0].lines[0].get_xdata()) == [1, 2] and list(axes[0].lines[0].get_ydata()) == [10, 1]


def test_dials_and_falling_show_means(axes):
    x, samples = np.array([1.0, 2.0]), np.array([[1.0, 3.0], [4.0, 8.0]])
    plotting.dials(axes, x, 1.5, {"a": x, "b": x, "c": samples}, level=2.0)
    assert [ax.get_title() for ax in axes] == ["a", "b", "c"]
    assert [ax.get_yscale() for ax in axes] == ["log", "log", "linear"]
    assert list(axes[2].containers[0].lines[0].get_ydata()) == [2, 6]
    axes[0].clear()
    plotting.by_width(axes[0], [4, 16], {"slow": samples[::-1], "fast": samples[::-1] / [2, 8]}, ylabel="y", level=1)
    dashed = axes[0].lines[-2]
    np.testing.assert_allclose(np.divide(*dashed.get_ydata()), 2)  # m^(-1/2) over a factor of four
