"""The book's figures as `name(ax, data…)`; two chapters' stand in files of their own and belong here."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from matplotlib.ticker import NullLocator

from ._initialization_figures import (  # noqa: F401 (part of this module)
    by_frequency,
    by_width,
    conditions,
    dials,
    edge_of_chaos,
    kernel_shape,
    learned_wave,
    signal,
)
from ._limits_figures import fluctuations_by_shape, over_steps, races  # noqa: F401 (part of this module)
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
    slope = f"slope {float(fit.exponent):.2f} ± {float(fit.standard_error):.2f}".replace("-", "−")
    ax.errorbar(x, mean, yerr=error, marker="o", capsize=2, color=color, label=f"{label}: {slope}" if label else slope)
    if theory is not None:
        ax.plot(x, mean[-1] * (x / x[-1]) ** theory, **THEORY)
    ax.set(xscale="log", yscale="log")
    return fit


def laziness(axes, alphas, moved, apart, gap, *, bounds=(), first: int = 0) -> list[PowerLaw]:
    """‖θ − θ₀‖, ‖θ − θ̄‖ and ‖F − F̄‖, each (seeds, len(alphas)), against the output scale α, one panel each.

    The fits start at alphas[first]; what comes before is drawn as open circles. `bounds` are as many arrays of the same
    shape, of which the smallest over seeds is drawn dotted. Dashed: the exponents −1, −2, −1 of lazy training.

    Returns:
        The three fitted power laws.
    """
    alphas, fits = np.asarray(alphas, float), []
    titles = ("from the start ‖θ − θ₀‖", "from linear ‖θ − θ̄‖", "outputs ‖F − F̄‖")
    for i, (ax, samples, exponent) in enumerate(zip(axes, (moved, apart, gap), (-1.0, -2.0, -1.0), strict=True)):
        samples = np.asarray(samples, float)
        fits.append(scaling(ax, alphas[first:], samples[:, first:], theory=exponent))
        ax.plot(alphas[:first], samples[:, :first].mean(0), "o", mfc="none", color=ax.lines[0].get_color())
        if len(bounds):
            ax.plot(alphas, np.asarray(bounds[i], float).min(0), ":", color="black", label="bound")
        ax.set(xlabel="α", title=titles[i])
        ax.legend(fontsize=8)
    return fits


def measured(ax: Axes, x, samples, *, label: str = "", color=None, fmt: str = "o-") -> None:
    """The geometric mean of samples (seeds, len(x)) with its standard error, on logarithmic axes; NaN is left out."""
    logs = np.log(np.asarray(samples, float))
    mean, number = np.nanmean(logs, 0), np.sum(~np.isnan(logs), 0)
    error = np.nanstd(logs, 0, ddof=1) / number**0.5
    bars = np.exp(mean) * np.stack([1 - np.exp(-error), np.exp(error) - 1])
    ax.errorbar(x, np.exp(mean), bars, fmt=fmt, linewidth=1.4, markersize=4, label=label, color=color)
    ax.set(xscale="log", yscale="log")


def plane(ax: Axes, rows, edges, values, lines, *, label: str, norm: str = "log") -> Axes:
    """Cells coloured by values (rows, columns), rows upwards and equally high, over a logarithmic horizontal axis.

    Args:
        rows: their labels.
        edges: left and right borders of the cells, (rows, columns + 1), which may differ from row to row.
        lines: of each line by name, where it crosses the rows; dashed, solid, dotted, dash-dotted.
        label: of the colours.
    """
    values, middle = np.asarray(values, float), np.arange(len(rows))
    limits = {"vmin": np.nanmin(values), "vmax": np.nanmax(values)}
    for i, (places, row) in enumerate(zip(np.asarray(edges, float), values, strict=True)):
        mesh = ax.pcolormesh(places, [i - 0.5, i + 0.5], row[None], norm=norm, cmap="viridis_r", **limits)
    ax.figure.colorbar(mesh, ax=ax, label=label)
    for style, (name, places) in zip(("--", "-", ":", "-."), lines.items(), strict=False):
        ax.plot(places, middle, style, color="black", linewidth=1.4, label=name)
    if lines:
        ax.figure.legend(loc="outside upper center", ncols=len(lines), fontsize=9)
    ax.set(xscale="log")
    ax.set_yticks(middle, rows)
    ax.grid(False)
    return ax


def growth(ax: Axes, sizes, values, labels, *, theory=None, xlabel: str = "", ylabel: str = "") -> None:
    """Columns of values (len(sizes), c) against sizes on logarithmic axes; with theory, as dots with it dashed through.

    Few sizes become the ticks of the axis themselves.
    """
    sizes, values = np.asarray(sizes, float), np.asarray(values, float)
    few = len(sizes) <= 6
    ax.loglog(sizes, values, ("o" if few else "") + ("-" if theory is None else ""), label=labels)
    if theory is not None:
        ax.loglog(sizes, np.asarray(theory, float), **THEORY)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    if few:
        ax.set_xticks(sizes, [f"{size:g}" for size in sizes])
        ax.xaxis.set_minor_locator(NullLocator())
    ax.legend(fontsize=9)


def widths_axis(ax: Axes, widths, ylabel: str, *, ylim=None, **legend) -> None:
    """Labels an axis of widths with the widths themselves, and shows the legend."""
    ax.set(xlabel="width", ylabel=ylabel, ylim=ylim)
    ax.set_xticks(widths, widths)
    ax.xaxis.set_minor_locator(NullLocator())
    ax.legend(**{"fontsize": 9} | legend)


def mode_shares(ax: Axes, rates, share, *, horizon: float) -> None:
    """Each mode's share of the target against its relaxation rate λ/n; dotted: the rate 1/horizon."""
    ax.loglog(rates, share, "o")
    ax.axvline(1 / horizon, color="black", linestyle=":")
    ax.set(xlabel="rate λ / n", ylabel="share of the target")


def courses(ax: Axes, ts, curves, at, dots, *, columns, ylabel: str, label: str | None = None) -> None:
    """Some columns of curves (times, c) over the logarithm of time and, as dots of their colours, of dots (len(at), c).

    Time 0, which a logarithmic axis cannot show, is left out. A label such as "mode {}" is filled with 1, 2, ...
    """
    ts, curves, at, dots = (np.asarray(a, float) for a in (ts, curves, at, dots))
    for i in columns:
        (line,) = ax.plot(ts[ts > 0], curves[ts > 0, i], linewidth=1.2, label=label and label.format(i + 1))
        ax.plot(at[at > 0], dots[at > 0, i], "o", color=line.get_color())
    ax.set(xscale="log", xlabel="training time t", ylabel=ylabel)
    if label:
        ax.legend(fontsize=9)


def before_and_after(ax: Axes, x, before, after, x_train, y_train) -> None:
    """Functions (networks, len(x)) at initialization (thin) and trained (thick, same colour), and the training data."""
    for start, end in zip(np.asarray(before), np.asarray(after), strict=True):
        (line,) = ax.plot(x, end)
        ax.plot(x, start, color=line.get_color(), linewidth=0.6)
    ax.plot(x_train, y_train, "ko", zorder=3, markersize=7)


def heavy_ball_factor(ax: Axes, momenta) -> None:
    """By which factor a step changes the slower of a mode's two solutions, against r = ηλ/n, for each momentum μ.

    It is the larger root in size of z² − (1 + μ − r) z + μ; dots mark r = 2 (1 + μ), where it passes 1 [Goh 2017].
    """
    r = np.linspace(0, 4.5, 400)
    for mu in momenta:
        b = 1 + mu - r
        root = np.sqrt((b**2 - 4 * mu).astype(complex))
        (line,) = ax.plot(r, np.maximum(abs(b + root), abs(b - root)) / 2, label=f"μ = {mu:g}")
        ax.plot(2 * (1 + mu), 1.0, "o", color=line.get_color())
    ax.set(xlabel="r = ηλ / n", ylabel="factor per step", ylim=(0, 2))
    ax.legend()


def agreement(ax: Axes, predicted, samples, *, quantity: str) -> None:
    """The standard deviation over samples (seeds, points), with its standard error, against the predicted one."""
    samples = np.asarray(samples)
    measured = samples.std(0, ddof=1)
    error = measured / (2 * (len(samples) - 1)) ** 0.5
    ax.errorbar(np.asarray(predicted), measured, error, fmt="o", linewidth=1)
    ends = np.asarray([np.min(predicted), np.max(predicted)])
    ax.plot(ends, ends, **THEORY)
    ax.set(xlabel=f"predicted {quantity}", ylabel="measured")


def foretold(ax: Axes, x, measured, predicted, *, label: str = "", color=None) -> None:
    """Measured values as dots; dashed, in the same colour, the predicted ones; x on a logarithmic axis."""
    (line,) = ax.plot(x, measured, "o", label=label, color=color)
    ax.plot(x, predicted, "--", color=line.get_color(), linewidth=1.2)
    ax.set(xscale="log")
    ax.set_xticks(np.asarray(x), [f"{value:g}" for value in np.asarray(x)])
    ax.xaxis.set_minor_locator(NullLocator())


def quantiles(ax: Axes, samples, *, label: str = "", color=None) -> None:
    """The sorted samples against the quantiles of the standard normal law, on which Gaussian ones lie on a line.

    The i-th smallest of n stands at the quantile (i − ½)/n; dashed: the diagonal.
    """
    ordered = np.sort(np.asarray(samples, float).reshape(-1))
    normal = NormalDist()
    at = [normal.inv_cdf((i + 0.5) / len(ordered)) for i in range(len(ordered))]
    ax.plot(at, ordered, label=label, color=color)
    ax.plot([at[0], at[-1]], [at[0], at[-1]], **THEORY)
    ax.set(xlabel="normal quantile", ylabel="measured quantile")


def epochs_and_levels(ax: Axes, epochs, curves, levels, *, ylabel: str = "test error") -> None:
    """Means over seeds with standard errors: curves (epochs, seeds) against epochs, and levels (seeds,) as bands.

    Args:
        curves, levels: arrays by label.
    """
    epochs = np.asarray(epochs)
    for label, samples in curves.items():
        samples = np.asarray(samples, float)
        ax.errorbar(epochs, samples.mean(1), _standard_error(samples), marker="o", capsize=2, label=label)
    ends = np.asarray([epochs[0], epochs[-1]])
    for number, (label, samples) in enumerate(levels.items(), len(curves)):
        samples, color = np.asarray(samples, float), f"C{number}"
        ax.plot(ends, [samples.mean()] * 2, "--", color=color, label=label)
        ax.fill_between(ends, *(samples.mean() + s * _standard_error(samples) for s in (-1, 1)), color=color, alpha=0.2)
    ax.set(xscale="log", xlabel="epochs", ylabel=ylabel)
    ax.set_xticks(epochs, [f"{number:g}" for number in epochs])
    ax.xaxis.set_minor_locator(NullLocator())


def means(ax: Axes, x, samples, *, log: bool = False, xlabel: str = "", ylabel: str = "") -> None:
    """Means with standard errors of samples by label, each (seeds, at most len(x)), over x, whose values are ticks."""
    x = np.asarray(x)
    for label, values in samples.items():
        values = np.asarray(values, float).T
        ax.errorbar(x[: len(values)], values.mean(1), _standard_error(values), marker="o", capsize=2, label=label)
    ax.set(xscale="log" if log else "linear", xlabel=xlabel, ylabel=ylabel)
    ax.set_xticks(x, [f"{value:g}" for value in x])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.legend(fontsize=9)


def differences(ax: Axes, names, samples, *, ylabel: str) -> None:
    """Means with standard errors of samples (len(names), seeds), by label, side by side over each name."""
    shifts = np.linspace(-0.15, 0.15, len(samples)) if len(samples) > 1 else [0.0]
    for shift, (label, values) in zip(shifts, samples.items(), strict=True):
        values, at = np.asarray(values, float), np.arange(len(names)) + shift
        ax.errorbar(at, values.mean(1), _standard_error(values), fmt="o", capsize=2, label=label)
    ax.axhline(0, color="black", linewidth=0.8)
    ax.set_xticks(range(len(names)), names)
    ax.set(ylabel=ylabel)


def _standard_error(samples: np.ndarray):
    return samples.std(-1, ddof=1) / samples.shape[-1] ** 0.5


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


def neurons(ax: Axes, w, a, teacher=None) -> None:
    """Ways of ReLU neurons a max(w·x, 0) in the plane: |a_j| w_j for w (times, m, 2) and a (times, m).

    A dot marks each end, blue for a_j > 0 and orange for a_j < 0; dashed, in the same colours, the directions of a
    teacher's neurons, {"w": (k, 2), "a": (k,)}. The axes reach as far as the neurons do.
    """
    w, a = np.asarray(w, float), np.asarray(a, float)
    way = np.abs(a)[..., None] * w
    reach = 1.15 * np.abs(way).max()
    if teacher is not None:
        for u, sign in zip(np.asarray(teacher["w"]), np.asarray(teacher["a"]), strict=True):
            end = 3 * reach * u / np.linalg.norm(u)
            ax.plot([0, end[0]], [0, end[1]], **THEORY | {"color": "C0" if sign > 0 else "C1"})
    for sign, color in ((1, "C0"), (-1, "C1")):
        mine = way[:, np.sign(a[-1]) == sign]
        broken = np.concatenate([mine, np.full_like(mine[:1], np.nan)]).swapaxes(0, 1).reshape(-1, 2)
        if len(broken):
            ax.plot(*broken.T, color=color, linewidth=1.2)
            ax.plot(*mine[-1].T, "o", color=color)
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), xlabel="|a| w₁", ylabel="|a| w₂")
    ax.set_box_aspect(1)
    ax.locator_params(nbins=5)


def over_angle(ax: Axes, angle, learned, target, x_train, y_train) -> None:
    """A function learned on the circle against the target (black, dashed), both at angles (n,), and the data."""
    ax.plot(np.asarray(angle), np.asarray(learned), color="C2")
    ax.plot(np.asarray(angle), np.asarray(target), **THEORY)
    x_train = np.asarray(x_train)
    ax.plot(np.arctan2(x_train[:, 1], x_train[:, 0]), np.asarray(y_train), "ko")
    low, high = np.min(target), np.max(target)
    room = 0.4 * (high - low)
    ax.set(ylim=(low - room, high + room), xlim=(-np.pi, np.pi), xlabel="angle of x", ylabel="output")
    ax.set_xticks([-np.pi, 0, np.pi], ["−π", "0", "π"])
    ax.set_box_aspect(1)


def tail(ax: Axes, x, samples, last: int, *, theory: float, label: str = "") -> PowerLaw:
    """Mean of `samples` (seeds, len(x)) with its standard error on logarithmic axes, and the law of the last points.

    Args:
        last: how many points the power law is fitted to; they have a colour of their own.
        theory: an exponent, drawn black and dashed through the last mean, over one and a half times as many points.

    Returns:
        The fitted power law, whose exponent the legend shows.
    """
    x, samples = np.asarray(x, float), np.asarray(samples, float)
    start, seeds = len(x) - last, len(samples)
    mean, error = samples.mean(0), samples.std(0, ddof=1) / seeds**0.5
    ax.errorbar(x[:start], mean[:start], error[:start], fmt="o", capsize=2)
    fit = scaling(ax, x[start:], samples[:, start:], label=label, color="C1")
    along = x[max(start - (last + 1) // 2, 0) :]
    ax.plot(along, mean[-1] * (along / x[-1]) ** theory, **THEORY)
    ax.legend(fontsize=9, loc="lower left")
    return fit


def neighbours(axes, query, title: str, images, labels, truth) -> None:
    """An image in the first of `axes`, and in the others those found for it, with their labels above.

    A label is bold where it is that of the query, `truth`, and grey with a cross where it is not.
    """
    shown = zip(axes, [query, *images], [truth, *labels], strict=True)
    for place, (ax, image, label) in enumerate(shown):
        right = label == truth
        ax.imshow(np.squeeze(np.asarray(image)), cmap="gray_r")
        text = f"{title}" if place == 0 else f"{label}" if right else f"{label} ✗"
        ax.set_title(text, fontsize=10, color="black" if right else "0.55", fontweight="bold" if right else "normal")
        ax.set_xticks([])
        ax.set_yticks([])
        ax.grid(False)


def filling(axes, angle, learned, target, frequencies, shares, expected) -> None:
    """A function of the angle (n,) beside its target (black, dashed); each frequency's share learned, and expected.

    Args:
        axes: two of them.
        shares, expected: 0 to 1, one for each frequency; drawn as dots, and as a line of theory.
    """
    target = np.asarray(target, float)
    room = 0.3 * (target.max() - target.min())
    axes[0].plot(np.asarray(angle), target, **THEORY)
    axes[0].plot(np.asarray(angle), np.asarray(learned), color="C2")
    axes[0].set(xlabel="angle of x", ylabel="output", ylim=(target.min() - room, target.max() + room))
    axes[0].set_xticks([0, np.pi, 2 * np.pi], ["0", "π", "2π"])
    axes[1].plot(np.asarray(frequencies), np.asarray(expected), **THEORY)
    axes[1].plot(np.asarray(frequencies), np.asarray(shares), "o", color="C2")
    axes[1].set(xlabel="frequency", ylabel="share learned", ylim=(-0.1, 1.1))
    axes[1].set_xticks(np.asarray(frequencies))


def falling(ax: Axes, x, columns, exponents, *, since: float, xlabel: str = "", ylabel: str = "") -> list[PowerLaw]:
    """Columns by label against x on logarithmic axes; dashed, each one's exponent through its last point.

    Returns:
        The power law of each, fitted where x ≥ since.
    """
    x, values = np.asarray(x, float), np.stack([np.asarray(column, float) for column in columns.values()], 1)
    laws = values[-1] * (x[:, None] / x[-1]) ** np.asarray(exponents, float)
    growth(ax, x, values, list(columns), theory=laws, xlabel=xlabel, ylabel=ylabel)
    return [power_law(x[x >= since], column[x >= since]) for column in values.T]


def filtered(axes, shares, ts, risks, at, measured) -> None:
    """Filters as functions of λt, by name, and their expected errors against t; dots: errors measured at some times.

    Args:
        axes: two of them.
        shares: of each filter by name, the share let through, a function of λt.
        risks: of each filter by name, errors (times,).
    """
    z = np.geomspace(0.01, 100, 81)
    for (name, share), style in zip(shares.items(), ("-", "--"), strict=False):
        axes[0].semilogx(z, np.asarray(share(z)), style, label=name)
        axes[1].loglog(np.asarray(ts), np.asarray(risks[name]), style)
    axes[1].plot(np.asarray(at), np.asarray(measured), "ko")
    axes[0].set(xlabel="λt", ylabel="share let through")
    axes[1].set(xlabel="t", ylabel="error")
    axes[0].legend(fontsize=9)


def learning_curves(axes, sizes, found, theory, *, degrees) -> None:
    """Learnability and test error against the number of examples: dots, and the theory dashed, a colour a degree.

    Args:
        axes: two of them.
        found: the two quantities, (training sets, sizes, degrees) each; means over training sets are drawn.
        theory: the two quantities, (sizes, degrees) each.
        degrees: which to draw.
    """
    for ax, samples, curve, name in zip(axes, found, theory, ("learnability", "test error"), strict=True):
        for i, degree in enumerate(degrees):
            mean = np.asarray(samples)[..., degree].mean(0)
            foretold(ax, sizes, mean, np.asarray(curve)[:, degree], label=f"degree {degree}", color=f"C{i}")
        ax.set(xlabel="examples n", ylabel=name)
    axes[0].figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=5, fontsize=9)
