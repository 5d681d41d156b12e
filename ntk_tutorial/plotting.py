"""The book's figures as `name(ax, data…)`; only this file imports matplotlib."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

from .diagnostics import PowerLaw, power_law

THEORY = {"color": "black", "linestyle": "--", "linewidth": 1.4}


def scaling(ax: Axes, x, samples, *, theory: float | None = None, label: str = "", color=None) -> PowerLaw:
    """Mean of `samples` (seeds, len(x)) against x on logarithmic axes, with its standard error and fitted exponent.

    Args:
        theory: an exponent to draw beside the data, black and dashed, through the last mean.

    Returns:
        The fitted power law, whose exponent the legend shows.
    """
    x, samples = np.asarray(x, float), np.asarray(samples, float)
    fit = power_law(x, samples)
    mean, error = samples.mean(0), samples.std(0, ddof=1) / len(samples) ** 0.5
    prefix = f"{label}: " if label else ""
    text = f"{prefix}slope {float(fit.exponent):.2f} ± {float(fit.standard_error):.2f}"
    ax.errorbar(x, mean, yerr=error, marker="o", capsize=2, color=color, label=text)
    if theory is not None:
        ax.plot(x, mean[-1] * (x / x[-1]) ** theory, **THEORY, label=f"theory, slope {theory:g}")
    ax.set(xscale="log", yscale="log")
    return fit


def band(ax: Axes, x, mean, deviation, *, label: str = "", color=None) -> None:
    """A curve with a band of two standard deviations to each side."""
    x, mean, deviation = (np.asarray(a, float) for a in (x, mean, deviation))
    (line,) = ax.plot(x, mean, label=label, color=color)
    ax.fill_between(x, mean - 2 * deviation, mean + 2 * deviation, color=line.get_color(), alpha=0.2, linewidth=0)


def matrix(ax: Axes, kernel, *, label: str = "", **kwargs) -> AxesImage:
    """A kernel matrix as an image with its colour bar."""
    image = ax.imshow(np.asarray(kernel), **kwargs)
    ax.grid(False)
    ax.figure.colorbar(image, ax=ax, label=label)
    return image
