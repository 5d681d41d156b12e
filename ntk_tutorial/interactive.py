"""Pictures that move under the reader's hand: drawn beforehand, so that no kernel is needed.

With `plotting.py`, and `_svg.py`, `_plane.py` and `_explorer.py` behind it, the only file that draws.
"""

from __future__ import annotations

import base64
import hashlib
import html
import io
import itertools
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from PIL import Image

from . import _explorer, _plane, _svg, plotting

MAX_BYTES = 300_000  # a chapter's notebook weighs under 500,000

STYLE = """
.ntk-slider{max-width:720px;margin:auto}.ntk-slider [hidden]{display:none!important}
.ntk-slider .ntk-panels{display:flex;flex-wrap:wrap;justify-content:center;align-items:flex-end}
.ntk-slider svg{display:block;flex:1 1 280px;min-width:0;max-width:460px;height:auto;font:13px sans-serif;color:inherit}
.ntk-slider .ntk-control{display:flex;flex-wrap:wrap;gap:.2em .8em;align-items:center;margin:.3em}
.ntk-slider input{flex:1 1 200px;min-width:0;min-height:44px;margin:0;touch-action:pan-y;cursor:pointer}
.ntk-slider output{min-width:4em;font-weight:bold}.ntk-slider p{text-align:center;margin:.3em}
"""
SCRIPT = """
(() => {
  const root = document.getElementById("ID");
  const frames = root.querySelectorAll(".ntk-frame"), inputs = [...root.querySelectorAll("input")];
  const show = () => {
    let chosen = 0;
    for (const input of inputs) {
      const label = JSON.parse(input.dataset.labels)[input.value];
      chosen = chosen * (Number(input.max) + 1) + Number(input.value);
      input.setAttribute("aria-valuetext", label);
      input.parentElement.querySelector("output").value = label;
    }
    frames.forEach((frame, i) => { frame.hidden = i !== chosen; });
  };
  inputs.forEach(input => { input.addEventListener("input", show); input.parentElement.hidden = false; });
  show();
})();
"""


@dataclass(frozen=True, repr=False)
class _Picture:
    html: str
    png: bytes

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, str]:
        return {"text/html": self.html, "image/png": base64.b64encode(self.png).decode(), "text/plain": repr(self)}


@dataclass(frozen=True, repr=False)
class Slider(_Picture):
    """What `slider` returns; a notebook shows it.

    Attributes:
        html: the picture with its controls; complete in itself, without a request to anywhere.
        png: the frame at the start as matplotlib draws it, for viewers that show no HTML.
        labels: of each control, the labels of its positions.
    """

    labels: dict[str, tuple[str, ...]]

    def __repr__(self) -> str:
        return "Slider(" + ", ".join(f"{name}: {', '.join(labels)}" for name, labels in self.labels.items()) + ")"


@dataclass(frozen=True, repr=False)
class Explorer(_Picture):
    """What `explorer` returns; a notebook shows it.

    Attributes:
        html: the picture with its controls; complete in itself, without a request to anywhere.
        png: the plane at the start as matplotlib draws it, for viewers that show no HTML.
        quantities: what the reader may choose to colour.
    """

    quantities: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Explorer({'; '.join(self.quantities)})"


def slider(
    draw: Callable[..., Any],
    controls: Mapping[str, Sequence[Any]],
    *,
    alt: str,
    notes: Sequence[str] | None = None,
    start: Sequence[int] | None = None,
    panels: int = 1,
) -> Slider:
    """A picture that follows the reader's hand, by mouse, finger or arrow keys, with one control or several.

    Each frame is drawn once, here, and stored as SVG with coordinates rounded to a thousandth of the axis: so the
    picture is the same wherever it is drawn, small, and needs neither a kernel nor a network. Without JavaScript it
    shows the frame at the start. What is drawn may be curves (dashed, dotted, with round markers), vertical and
    horizontal lines, error bars and bands, on linear or logarithmic axes, with a title and a legend.

    Args:
        draw: `draw(axes, *indices)` draws one frame with matplotlib, indices counting from 0 along each control;
            `axes` is one Axes, or an array of them where there are several panels.
        controls: the name of each control, such as "width", and the labels of its positions, such as (16, 64, 256).
        alt: what the picture shows, for one who cannot see it.
        notes: a short text below each frame, such as its numbers; frames in order, the last control running fastest.
        start: the index along each control that is shown first; zeros if not given.
        panels: how many axes a frame has, side by side, one above the other on a phone.

    Raises:
        ValueError: if there is nothing to choose or to see, if notes or start do not fit the controls, if a frame holds
            something else than the above, or if all frames together weigh more than 300 kB.
    """
    labels = {str(name): tuple(map(str, values)) for name, values in controls.items()}
    start = (0,) * len(labels) if start is None else tuple(start)
    _check_slider(labels, start, notes, panels)
    _check_alt(alt)
    figure = Figure(layout="constrained")

    def drawn(indices):
        figure.clear()
        axes = figure.subplots(1, panels, squeeze=False)[0]
        draw(axes[0] if panels == 1 else axes, *indices)
        return axes

    frames = []
    for k, indices in enumerate(itertools.product(*(range(len(values)) for values in labels.values()))):
        chosen = ", ".join(f"{name} = {values[i]}" for (name, values), i in zip(labels.items(), indices, strict=True))
        pictures = "".join(map(_svg.panel, drawn(indices)))
        frames.append(_frame(chosen, f": {notes[k]}" if notes else "", pictures, hidden=indices != start))
    drawn(start)
    body = _slider_page(labels, start, alt, frames)
    _check_weight(body, f"{len(frames)} frames", "frames, curves or points")
    return Slider(body, _png(figure), labels)


def explorer(
    tables: Mapping[str, Mapping[str, Any]],
    rows: Mapping[str, Sequence[Any]],
    columns: Mapping[str, Any],
    *,
    alt: str,
    lines: Mapping[str, Any] | None = None,
    start: Sequence[int] = (0, 0),
) -> Explorer:
    """A plane of coloured cells that shows the numbers of the one pointed at, by mouse, finger or arrow keys.

    The reader chooses which quantity is coloured, and which case and horizontal axis are shown where there are several.
    The picture needs neither a kernel nor a network, and is the same wherever it is drawn. Without JavaScript it shows
    the first quantity of the first case, and the numbers of the cell at the start.

    Args:
        tables: of each case, such as a data set, its quantities by name: values (rows, columns), or a pair of values
            and their standard errors such as an `Estimate`. NaN is an empty cell. Colours are logarithmic where the
            largest value is more than five times the smallest.
        rows: the vertical variable by name, such as {"m": (16, 64, 256)}, from below; rows are equally high.
        columns: horizontal variables by name: a positive value for each column, or (rows, columns) where they depend on
            the row. The axes are logarithmic.
        alt: what the picture shows, for one who cannot see it.
        lines: up to four lines across the plane by name: for each row the value of the first horizontal variable, or
            (cases, rows), or one number for all.
        start: row and column of the cell shown first.

    Raises:
        ValueError: if shapes do not fit, cases have different quantities, places are not positive and increasing, or
            all together weighs more than 300 kB.
    """
    plane = _plane.checked(tables, rows, columns, lines or {}, start)
    _check_alt(alt)
    known = _explorer.data(plane)
    name = _name(known, plane.quantities, list(plane.lines), alt)
    body, script = _explorer.body(plane, known, name), _explorer.script(known, name)
    body = _page("explorer", name, alt, _explorer.STYLE, body, script)
    _check_weight(body, "the numbers", "cases, quantities or cells")
    return Explorer(body, _plane_png(plane), plane.quantities)


def _plane_png(plane: _plane.Plane) -> bytes:
    """The plane at its start."""
    (quantity, (values, _)), *_ = next(iter(plane.tables.values())).items()
    axis, at = next(iter(plane.at.items()))
    figure = Figure(layout="constrained")
    plotting.plane(
        figure.subplots(), plane.rows, _plane.edges(at), values, _plane.crossings(plane, axis, 0),
        norm="log" if _plane.is_logarithmic(values) else "linear", label=quantity,
    ).set(xlabel=axis, ylabel=plane.row)  # fmt: skip
    return _png(figure)


def _check_slider(labels, start, notes, panels) -> None:
    for name, values in labels.items():
        if len(values) < 2 or len(set(values)) < len(values):
            raise ValueError(f"control {name!r} needs at least two positions with different labels, got {values}")
    shape = tuple(map(len, labels.values()))
    if not shape or panels < 1:
        raise ValueError(f"give at least one control and one panel, got {len(shape)} and {panels}")
    if len(start) != len(shape) or not all(0 <= i < size for i, size in zip(start, shape, strict=True)):
        raise ValueError(f"start={start} must hold an index for each control, below {shape}")
    if notes is not None and len(notes) != math.prod(shape):
        raise ValueError(f"there are {math.prod(shape)} frames and {len(notes)} notes: give one a frame, or none")


def _check_alt(alt: str) -> None:
    if not alt.strip():
        raise ValueError("alt is empty: say what the picture shows, for one who cannot see it")


def _check_weight(body: str, what: str, fewer: str) -> None:
    weight = len(body.encode())
    if weight > MAX_BYTES:
        raise ValueError(f"{what} weigh {weight:,} bytes, at most {MAX_BYTES:,} are allowed: take fewer {fewer}")


def _frame(chosen: str, note: str, pictures: str, *, hidden: bool) -> str:
    return (
        f'<div class="ntk-frame"{" hidden" if hidden else ""}>'
        f'<div class="ntk-panels" role="img" aria-label="{html.escape(chosen)}">{pictures}</div>'
        f"<p>{html.escape(chosen + note)}</p></div>"
    )


def _png(figure: Figure) -> bytes:
    """Without transparency, which would weigh an eighth more."""
    drawn, png = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=matplotlib.rcParams["figure.dpi"])
    Image.open(drawn).convert("RGB").save(png, format="png", optimize=True)
    return png.getvalue()


def _name(*content: Any) -> str:
    """An id that the content alone decides."""
    return "ntk-" + hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def _page(kind: str, name: str, alt: str, style: str, body: str, script: str) -> str:
    """A picture that is complete in itself."""
    return (
        f'<div class="ntk-{kind}" id="{name}" role="group" aria-label="{html.escape(alt)}"><style>{style}</style>\n'
        f"{body}\n<script>{script}</script></div>"
    )


def _slider_page(labels, start, alt, frames) -> str:
    """All frames, with controls that stay hidden unless the script runs."""
    name = _name(labels, start, alt, frames)
    rows = "".join(
        f'<div class="ntk-control" hidden><label for="{name}-{k}">{html.escape(control)}</label>'
        f'<input type="range" id="{name}-{k}" min="0" max="{len(values) - 1}" step="1" value="{i}" autocomplete="off" '
        f'data-labels="{html.escape(json.dumps(values, ensure_ascii=False))}">'
        f'<output for="{name}-{k}">{html.escape(values[i])}</output></div>'
        for k, ((control, values), i) in enumerate(zip(labels.items(), start, strict=True))
    )
    return _page("slider", name, alt, STYLE, "\n".join([rows, *frames]), SCRIPT.replace("ID", name))
