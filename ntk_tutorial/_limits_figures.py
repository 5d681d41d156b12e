"""The figures of the chapter on the limits of a fixed kernel; part of `plotting`."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from ._initialization_figures import DASHED


def races(axes, sizes, results) -> None:
    """Test errors by competitor against the number of examples, one panel a task, on logarithmic axes.

    Args:
        results: of each task by title, of each competitor by label, errors (seeds, len(sizes)): drawn are the geometric
            mean and its standard error.
    """
    for ax, (title, competitors) in zip(axes, results.items(), strict=True):
        for label, errors in competitors.items():
            logs = np.log(np.asarray(errors, float))
            mean, bar = logs.mean(0), logs.std(0, ddof=1) / len(logs) ** 0.5
            ends = np.exp(mean) * np.stack([1 - np.exp(-bar), np.exp(bar) - 1])
            ax.errorbar(sizes, np.exp(mean), ends, fmt="o-", markersize=4, label=label)
        ax.set(title=title, xlabel="examples n", xscale="log", yscale="log")
        ax.set_xticks(np.asarray(sizes), [f"{size:g}" for size in np.asarray(sizes)])
        ax.xaxis.set_minor_locator(NullLocator())
    axes[0].set(ylabel="test error")
    axes[0].legend(fontsize=8, loc="lower left")


def over_steps(
    ax: Axes, steps, curves, *, level: float | None = None, log: bool = True, loc="best", **settings
) -> None:
    """Curves by label against the number of steps; of (mean, standard error) with bars; dashed, a level.

    Args:
        log: steps on a logarithmic axis, linear up to 10 so that it can show 0.
        loc: where the legend stands.
        settings: of the axes, such as title.
    """
    for label, values in curves.items():
        mean, bar = values if isinstance(values, tuple) else (values, None)
        ax.errorbar(steps, mean, bar, fmt="o-" if len(steps) < 30 else "-", markersize=3, linewidth=1.2, label=label)
    if level is not None:
        ax.axhline(float(level), **DASHED)
    ax.set(xlabel="step", **settings)
    if log:
        ax.set_xscale("symlog", linthresh=10)
    ax.set_xlim(0, float(steps[-1]) * 1.1)
    ax.legend(fontsize=8, loc=loc)


def fluctuations_by_shape(ax: Axes, predicted, estimates) -> None:
    """Estimates (value, standard error) by width against the prediction, each (depths,), with the diagonal dashed."""
    for label, (value, bar) in estimates.items():
        ax.errorbar(predicted[label], value, bar, fmt="o", markersize=4, label=f"m = {label}")
    ends = [min(map(min, predicted.values())), max(map(max, predicted.values()))]
    ax.plot(ends, ends, **DASHED)
    ax.set(xscale="log", yscale="log", xlabel="$C_L$ / m", ylabel="log E[Θ²] / E[Θ]²")
    ax.legend(fontsize=9)
