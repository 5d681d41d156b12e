"""Figures on what an initialization does to the kernel; `plotting` exports them."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from .signal_propagation import correlation_map, critical_scales, fixed_point

DASHED = {"color": "black", "linestyle": "--", "linewidth": 1.4}


def frequencies(ax: Axes, spectra, *, theory=None) -> None:
    """Eigenvalues λ_k, arrays from k = 0 on by label, against the frequency k ≥ 1; what is not positive is left out.

    Args:
        theory: exponents to draw dashed, each through the middle of the spectrum in the same place.
    """
    for i, (fmt, (label, values)) in enumerate(zip(("o", ".", "-", ":"), spectra.items(), strict=False)):
        values, k = np.asarray(values, float)[1:], np.arange(1, len(values))
        ax.loglog(k, np.where(values > 1e-14 * values.max(), values, np.nan), fmt, label=label)
        if theory is not None:
            along = k[len(k) // 8 :]
            ax.loglog(along, values[len(k) // 2] * (along / k[len(k) // 2]) ** theory[i], **DASHED)
    ax.set(xlabel="frequency k", ylabel="eigenvalue")
    ax.legend(fontsize=8)


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
        measured: (len(w_stds), seeds, layers); dots with standard errors, at every third layer.
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
        axes[1].errorbar(layers[::3], measured[i].mean(0)[::3], error[i, ::3], fmt="o", color=f"C{i}", markersize=4)
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
    ax.text(0.72, 1.1, "order")
    ax.text(1.75, 0.35, "chaos")
    ax.set(xlabel="weight scale σ_w", ylabel="bias scale σ_b", xlim=(0.6, 2.2), ylim=(-0.05, 1.5))
    ax.legend(fontsize=9)


def conditions(ax: Axes, kappas, limits) -> None:
    """Condition numbers (cases, depth + 1) against the depth from 1 on; dashed, their limits."""
    for i, kappa in enumerate(np.asarray(kappas, float)):
        ax.loglog(np.arange(1, len(kappa)), kappa[1:], color=f"C{i}")
    for limit in limits:
        ax.axhline(limit, **DASHED)
    ax.set(xlabel="depth L", ylabel="condition number of Θ")


def dials(axes, x, edge: float, panels, *, level: float) -> None:
    """Quantities by title against σ_w, one panel each; of samples (len(x), seeds) the mean and its standard error.

    A grey line marks the edge of chaos; the last panel is linear, with a dashed line at `level`, the others logarithmic.
    """
    for ax, (title, values) in zip(axes, panels.items(), strict=True):
        values = np.asarray(values, float)
        values = values.reshape(len(values), -1)
        spread = values.std(1, ddof=1) / values.shape[1] ** 0.5 if values.shape[1] > 1 else None
        ax.axvline(edge, color="0.7")
        ax.errorbar(x, values.mean(1), spread, fmt="o-", markersize=4)
        ax.set(xlabel="weight scale σ_w", title=title, yscale="log" if ax is not axes[-1] else "linear")
    axes[-1].axhline(level, **DASHED)


def initial_function(axes, widths, mean, floor, with_f0, symmetrized) -> tuple:
    """Distances of predictions from `mean`: left of single networks, right of means over K of the widest with f₀.

    Args:
        mean: (points, outputs), the mean prediction at infinite width.
        floor: drawn dashed on the left, the share of the initial function at infinite width.
        with_f0, symmetrized: predictions (seeds, widths, points, outputs). On the right the symmetrized ones of the
            largest width are a band of two standard errors.

    Returns:
        The distances of both (seeds, widths), and those of the means on the right by K.
    """
    from .plotting import scaling  # which imports this file

    both = [np.asarray(a, float) for a in (with_f0, symmetrized)]
    distances = [_distance(a, mean) for a in both]
    for distance, label in zip(distances, ("with f₀", "symmetrized"), strict=True):
        scaling(axes[0], widths, distance, label=label)
    axes[0].axhline(float(floor), **DASHED)
    axes[0].set(xlabel="width", ylabel="distance", ylim=(None, 0.6))
    seeds, widest = len(both[0]), both[0][:, -1]
    numbers = [K for K in (1, 2, 3, 4, 6, 8, 12) if seeds % K == 0 and seeds // K > 1]
    groups = {K: _distance(widest.reshape(seeds // K, K, *widest.shape[1:]).mean(1), mean).mean() for K in numbers}
    axes[1].loglog(numbers, list(groups.values()), "o-")
    axes[1].loglog(numbers, groups[1] * np.asarray(numbers, float) ** -0.5, **DASHED)
    level, error = distances[1][:, -1].mean(), 2 * distances[1][:, -1].std(ddof=1) / seeds**0.5
    axes[1].axhspan(level - error, level + error, color="C1", alpha=0.4)
    axes[1].set(xlabel="networks averaged, K", ylabel="distance")
    for ax, ticks in ((axes[0], widths), (axes[1], numbers)):
        ax.set_xticks(ticks, ticks)
        ax.xaxis.set_minor_locator(NullLocator())
    axes[0].legend(fontsize=8)
    return *distances, groups


def _distance(predictions, mean):
    """Root mean square over points and outputs, the last two axes."""
    return np.sqrt(np.mean((predictions - np.asarray(mean)) ** 2, axis=(-2, -1)))
