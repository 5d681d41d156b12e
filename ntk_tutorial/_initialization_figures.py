"""Figures on what an initialization does to the kernel; `plotting` exports them."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from .signal_propagation import correlation_map, critical_scales, fixed_point

DASHED = {"color": "black", "linestyle": "--", "linewidth": 1.4}


def by_frequency(ax: Axes, spectra, *, theory=None) -> None:
    """Eigenvalues λ_k, arrays from k = 0 on by label, against the frequency k ≥ 1; what is not positive is left out.

    Args:
        theory: exponents to draw dashed, each through the middle of the spectrum in the same place.
    """
    for i, (fmt, (label, values)) in enumerate(zip(("o", ".", "-", ":"), spectra.items(), strict=False)):
        values, k = np.asarray(values, float)[1:], np.arange(1, len(values))
        ax.loglog(k, np.where(values > 1e-14 * values.max(), values, np.nan), fmt, label=label, markersize=4)
        if theory is not None:
            along = k[len(k) // 8 :]
            ax.loglog(along, values[len(k) // 2] * (along / k[len(k) // 2]) ** theory[i], **DASHED)
    ax.set(xlabel="frequency k", ylabel="eigenvalue")
    ax.legend(fontsize=8, loc="upper right")


def kernel_shape(ax: Axes, angle, row) -> None:
    """A kernel on the circle, relative to its largest value, against the difference of two angles."""
    ax.plot(angle, np.asarray(row) / np.max(row))
    ax.set(xlabel="difference of angles", ylabel="kernel", ylim=(-1.05, 1.05), xlim=(-np.pi, np.pi))
    ax.set_xticks([-np.pi, 0, np.pi], ["−π", "0", "π"])
    ax.set_box_aspect(1)


def learned_wave(ax: Axes, angle, curves, at, y) -> None:
    """Functions on the circle by label, against the angle, and the data y at the angles `at` they were learned from."""
    for color, (label, values) in zip(("C0", "C2", "C1", "C3"), curves.items(), strict=False):
        ax.plot(angle, values, color=color, label=label)
    ax.plot(at, y, "k.", markersize=5)
    ax.set_xticks([-np.pi, 0, np.pi], ["−π", "0", "π"])
    low, high = ax.get_ylim()
    ax.set(xlabel="angle", ylabel="learned function", ylim=(low, high + 0.35 * (high - low)))
    ax.legend(fontsize=8)


def signal(axes, activation, w_stds, b_std: float, theory, measured) -> None:
    """Left the correlation maps for each w_std; right correlations by layer, in theory and as measured.

    Args:
        theory: (len(w_stds), layers).
        measured: (len(w_stds), seeds, layers); dots with standard errors, at every fifth layer.
    """
    c = np.linspace(0, 1, 60)
    variances = fixed_point(activation, w_stds, b_std).variance
    theory, measured = np.asarray(theory, float), np.asarray(measured, float)
    error = measured.std(1, ddof=1) / measured.shape[1] ** 0.5
    layers = np.arange(theory.shape[1])
    for i, (w_std, q) in enumerate(zip(w_stds, variances, strict=True)):
        image = correlation_map(activation, c, variance=q, w_std=w_std, b_std=b_std)
        axes[0].plot(c, image, label=f"σ_w = {float(w_std):.2f}")
        axes[1].plot(layers, theory[i], color=f"C{i}")
        axes[1].errorbar(layers[::5], measured[i].mean(0)[::5], error[i, ::5], fmt="o", color=f"C{i}", markersize=4)
    axes[0].plot(c, c, **DASHED)
    axes[0].set(xlabel="correlation c", ylabel="one layer later, C(c)")
    axes[0].legend(fontsize=9)
    axes[1].set(xlabel="layer", ylabel="correlation", ylim=(-0.05, 1.05))


def edge_of_chaos(ax: Axes, activations, variances, w_stds, b_std: float) -> None:
    """The line between order and chaos in the plane of σ_w and σ_b, for activations by name; dots at (w_stds, b_std).

    Args:
        variances: q* along the line; where all of the line is one point, it is an open circle.
    """
    for label, activation in activations.items():
        w, b = (np.asarray(a) for a in critical_scales(activation, variances))
        point = np.ptp(w) < 1e-9
        ax.plot(w[:1] if point else w, b[:1] if point else b, "ko" if point else "-", mfc="none", label=label)
    for i, w_std in enumerate(w_stds):
        ax.plot(w_std, b_std, "o", color=f"C{i}")
    ax.text(0.68, 0.75, "order")
    ax.text(1.75, 0.35, "chaos")
    ax.set(xlabel="weight scale σ_w", ylabel="bias scale σ_b", xlim=(0.6, 2.2), ylim=(-0.05, 1.5))
    ax.legend(fontsize=9)


def conditions(ax: Axes, kappas, limits) -> None:
    """Condition numbers (cases, depth + 1) against the depth from 1 on; dashed, their limits."""
    for i, kappa in enumerate(np.asarray(kappas, float)):
        ax.loglog(np.arange(1, len(kappa)), kappa[1:], color=f"C{i}")
    for limit in limits:
        ax.axhline(limit, **DASHED)
    ax.set(xlabel="depth L", ylabel="condition number")


def dials(axes, x, edge: float, panels, *, level: float) -> None:
    """Quantities by title against σ_w, one panel each; of samples (len(x), seeds) the mean and its standard error.

    A grey line marks the edge of chaos. The last panel is linear, with a dashed line at `level`, the others not.
    """
    for ax, (title, values) in zip(axes, panels.items(), strict=True):
        values = np.asarray(values, float)
        values = values.reshape(len(values), -1)
        spread = values.std(1, ddof=1) / values.shape[1] ** 0.5 if values.shape[1] > 1 else None
        ax.axvline(edge, color="0.7")
        ax.errorbar(x, values.mean(1), spread, fmt="o-", markersize=4)
        ax.set(xlabel="weight scale σ_w", title=title, yscale="log" if ax is not axes[-1] else "linear")
    axes[-1].axhline(level, **DASHED)


def by_width(ax: Axes, widths, samples, *, ylabel: str, theory: float = -0.5, level: float | None = None) -> None:
    """Means of samples (seeds, widths) by label against the width, with standard errors, on logarithmic axes.

    Args:
        theory: an exponent, dashed through the last mean of what falls fastest.
        level: drawn dotted.
    """
    means = {}
    for label, values in samples.items():
        values = np.asarray(values, float)
        means[label] = values.mean(0)
        error = values.std(0, ddof=1) / len(values) ** 0.5
        ax.errorbar(widths, means[label], error, fmt="o-", markersize=4, label=label)
    steepest = min(means.values(), key=lambda mean: mean[-1] / mean[0])
    ax.plot(widths, steepest[-1] * (np.asarray(widths, float) / widths[-1]) ** theory, **DASHED)
    if level is not None:
        ax.axhline(float(level), color="black", linestyle=":", linewidth=1.4)
    ax.set(xscale="log", yscale="log", xlabel="width", ylabel=ylabel)
    ax.set_xticks(widths, widths)
    ax.xaxis.set_minor_locator(NullLocator())
    ax.legend(fontsize=8)
