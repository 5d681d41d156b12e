"""A matplotlib Axes as SVG: small, with whole-number coordinates, the same wherever it is drawn."""

from __future__ import annotations

import html
import re

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import to_hex
from matplotlib.transforms import Transform

WIDTH, MARGIN, LINE = 330, (52, 10, 8, 40), 17  # of a panel: its width, what is left free left, right, above, below
UNITS = 1000  # a curve's coordinates are whole numbers, from 0 to this along the horizontal axis
TIE = 1e-3  # of a unit: coordinates half-way between two, but for rounding errors, all go to the same side
DASHES = {"--": "6 4", ":": "2 3", "-.": "6 3 2 3"}
SUPERSCRIPT = str.maketrans("0123456789-−", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁻")


def panel(ax: Axes) -> str:
    """One Axes as SVG."""
    for kind in ("images", "patches", "texts", "tables", "artists"):
        if len(getattr(ax, kind)):
            raise ValueError(f"a frame holds {kind}, which are not supported: draw curves, bands and error bars")
    legend = ax.get_legend()
    entries = [] if legend is None else list(zip(legend.legend_handles, legend.get_texts(), strict=True))
    left, right, above, below = MARGIN
    heading = [f'<tspan font-weight="bold">{_text(ax.get_title())}</tspan>'] if ax.get_title() else []
    heading += [_legend_entry(handle, text.get_text()) for handle, text in entries]
    top, width = above + LINE * len(heading), WIDTH - left - right
    height = round(width * (ax.get_box_aspect() or 0.75))
    bottom, units_high = top + height, round(UNITS * height / width)
    out = [f'<text x="{left}" y="{above + LINE * (i + 0.6):g}">{line}</text>' for i, line in enumerate(heading)]
    out.append(
        f'<svg x="{left}" y="{top}" width="{width}" height="{height}" viewBox="0 0 {UNITS} {units_high}" '
        'stroke-linejoin="round">'
    )
    x_ticks, y_ticks = _ticks(ax, "x", UNITS), _ticks(ax, "y", -units_high)
    grid = [f"M{x},0V{units_high}" for x, _ in x_ticks] + [f"M0,{y}H{UNITS}" for y, _ in y_ticks]
    out.append(f'<path d="{"".join(grid)}" stroke="currentColor" stroke-opacity=".13" stroke-width="3"/>')
    marks = [
        *(_collection(ax, c, units_high) for c in ax.collections),
        *(_line(ax, line, units_high) for line in ax.lines),
    ]
    if not marks:
        raise ValueError("a frame is empty: draw(axes, ...) must draw curves into the axes it is given")
    order = np.argsort([artist.get_zorder() for artist in (*ax.collections, *ax.lines)], kind="stable")
    out += [marks[i] for i in order]
    out.append(f'</svg><path d="M{left},{top}V{bottom}H{left + width}" fill="none" stroke="currentColor"/>')
    scale = width / UNITS
    for x, label in x_ticks:
        out.append(f'<text x="{left + x * scale:.0f}" y="{bottom + 15}" text-anchor="middle">{_text(label)}</text>')
    for y, label in y_ticks:
        out.append(f'<text x="{left - 5}" y="{top + y * scale + 4:.0f}" text-anchor="end">{_text(label)}</text>')
    out.append(
        f'<text x="{left + width / 2:g}" y="{bottom + 33}" text-anchor="middle">{_text(ax.get_xlabel())}</text>'
        f'<text transform="translate(13 {top + height / 2:g}) rotate(-90)" text-anchor="middle">'
        f"{_text(ax.get_ylabel())}</text>"
    )
    return f'<svg aria-hidden="true" viewBox="0 0 {WIDTH} {bottom + below}" fill="currentColor">{"".join(out)}</svg>'


def _text(label: str) -> str:
    """A label without TeX: powers of ten, as a logarithmic axis writes them, in unicode."""
    power = re.fullmatch(r"\$\\mathdefault\{(-|−)?10\^\{(.+?)\}\}\$", label)
    if power:
        label = f"{power[1] or ''}10{power[2].translate(SUPERSCRIPT)}"
    if "$" in label:
        raise ValueError(f"the label {label!r} holds a formula: write it in unicode, such as 'rate λ / n'")
    return html.escape(label)


def _legend_entry(handle, label: str) -> str:
    lines = [part for part in (*getattr(handle, "get_children", list)(), handle) if hasattr(part, "get_linestyle")]
    color = _color(lines[0].get_color() if hasattr(lines[0], "get_color") else lines[0].get_facecolor()[0])
    sign = {"--": "╌╌", ":": "┈┈", "None": "●"}.get(str(lines[0].get_linestyle()), "━━")
    return f'<tspan fill="{color}">{sign}</tspan> {_text(label)}'


def _color(color) -> str:
    """Black is the colour of the text around, which is light where the page is dark."""
    name = to_hex(color)
    return "currentColor" if name == "#000000" else name


def _ticks(ax: Axes, which: str, units: int) -> list[tuple[int, str]]:
    """Places and labels of an axis's ticks; vertical axes, with negative units, count from above."""
    axis = getattr(ax, f"{which}axis")
    labels, places = [tick.get_text() for tick in axis.get_majorticklabels()], axis.get_majorticklocs()
    low, high = axis.get_view_interval()
    low, high = min(low, high), max(low, high)
    margin = 1e-9 * (high - low)
    along = axis.get_transform().transform(np.asarray(places, float))
    ends = axis.get_transform().transform(np.asarray(axis.get_view_interval(), float))
    share = (along - ends[0]) / (ends[1] - ends[0])
    seen = [low - margin <= place <= high + margin for place in places]
    return [(int(whole(s * units if units > 0 else (s - 1) * units)), t)
            for s, t, visible in zip(share, labels, seen, strict=True) if visible]  # fmt: skip


def whole(value):
    """Rounded to whole numbers, those half-way between two upwards."""
    return np.floor(value + 0.5 + TIE).astype(int)


def _points(ax: Axes, transform: Transform, xy, units_high: int):
    """Data as whole units from the upper left; None where a value is not finite; far outside, cut off."""
    with np.errstate(all="ignore"):
        share = (transform + ax.transAxes.inverted()).transform(np.ma.filled(np.ma.asarray(xy, float), np.nan))
        units = np.clip(np.stack([share[:, 0], 1 - share[:, 1]], 1), -99, 99) * (UNITS, units_high)
    return [tuple(whole(p)) if np.isfinite(p).all() else None for p in units]


def _path(points) -> str:
    """SVG's path through points, interrupted at None; a point that repeats the one before it is left out."""
    parts, before = [], None
    for point in points:
        if point is not None and point != before:
            parts.append(f"{'M' if before is None else ' '}{point[0]},{point[1]}")
        before = point
    return "".join(parts)


def _line(ax: Axes, line, units_high: int) -> str:
    points = _points(ax, line.get_transform(), line.get_xydata(), units_high)
    if not any(points):
        raise ValueError(f"a curve of a frame has no finite value among its {len(points)}")
    scale = UNITS / (WIDTH - sum(MARGIN[:2]))
    opacity = "" if line.get_alpha() is None else f' opacity="{line.get_alpha():g}"'
    common, out = f'fill="none" stroke="{_color(line.get_color())}"{opacity}', ""
    style, marker = line.get_linestyle(), line.get_marker()
    if str(style) not in ("None", "", " "):
        dash = f' stroke-dasharray="{_dashes(style, scale)}"' if style in DASHES else ""
        width = f"{line.get_linewidth() * scale:.0f}"
        out += f'<path d="{_path(points)}" {common} stroke-width="{width}"{dash}/>'
    if str(marker) not in ("None", "", " "):
        if marker not in ("o", "."):
            raise ValueError(f"a frame has markers {marker!r}: only 'o' and '.' are supported")
        size = line.get_markersize() * (1.3 if marker == "o" else 0.7) * scale
        dots = "".join(f"M{x},{y}h0" for x, y in dict.fromkeys(p for p in points if p))
        color = f'fill="none" stroke="{_color(line.get_markerfacecolor())}"{opacity}'
        out += f'<path d="{dots}" {color} stroke-width="{size:.0f}" stroke-linecap="round"/>'
    return out


def _dashes(style: str, scale: float) -> str:
    return " ".join(f"{float(length) * scale:.0f}" for length in DASHES[style].split())


def _collection(ax: Axes, collection, units_high: int) -> str:
    filled = isinstance(collection, PolyCollection)
    if not filled and not isinstance(collection, LineCollection):
        raise ValueError(f"a frame holds a {type(collection).__name__}: draw curves, bands and error bars")
    paths = [_path(_points(ax, collection.get_transform(), p.vertices, units_high)) for p in collection.get_paths()]
    opacity = "" if collection.get_alpha() is None else f' opacity="{collection.get_alpha():g}"'
    if filled:
        return f'<path d="{"".join(paths)}" fill="{_color(collection.get_facecolor()[0])}"{opacity}/>'
    width = collection.get_linewidths()[0] * UNITS / (WIDTH - sum(MARGIN[:2]))
    color = _color(collection.get_color()[0])
    return f'<path d="{"".join(paths)}" fill="none" stroke="{color}"{opacity} stroke-width="{width:.0f}"/>'
