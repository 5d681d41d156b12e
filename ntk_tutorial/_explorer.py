"""The page of `interactive.explorer`: a `Plane` as SVG, the numbers of one of its cells, and the script for both."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import numpy as np

from . import _plane
from ._plane import ACROSS, COLOURS, ROW, Plane

LEFT, RIGHT, TOP, BELOW = 44, 8, 6, 40  # what is left free around the cells
DASHES, SIGNS = ("6 4", "", "2 4", "9 3 2 3"), ("╌╌", "━━", "┈┈", "╍╌")  # of lines: in the picture, in its legend

STYLE = """
.ntk-explorer{max-width:760px;margin:auto;position:relative}.ntk-explorer [hidden]{display:none!important}
.ntk-explorer p{margin:.3em 0;text-align:inherit}.ntk-explorer .ntk-plane p{text-align:center}
.ntk-explorer .ntk-choices,.ntk-explorer .ntk-both{display:flex;flex-wrap:wrap;gap:.3em 1.5em;align-items:center}
.ntk-explorer .ntk-choices{justify-content:center;margin-bottom:.6em}
.ntk-explorer .ntk-plane{flex:3 1 300px;min-width:0}
.ntk-explorer .ntk-numbers{flex:2 1 270px;min-width:0;text-align:left}
.ntk-explorer select{min-height:44px;font:inherit;color:inherit;background:none;border:1px solid;border-radius:4px}
.ntk-explorer option{color:#000;background:#fff}
.ntk-explorer svg{display:block;width:100%;height:auto;font:13px sans-serif;color:inherit;touch-action:pan-y}
.ntk-explorer svg[tabindex]{cursor:crosshair}
.ntk-explorer svg:focus-visible,.ntk-explorer select:focus-visible{outline:3px solid;outline-offset:-3px}
.ntk-explorer .ntk-row{display:flex;gap:.5em;align-items:center;min-height:40px;font-size:.92em;line-height:1.2}
.ntk-explorer .ntk-row b{margin-left:auto;font-weight:inherit;white-space:nowrap}
.ntk-explorer .ntk-row:has(:checked),.ntk-explorer .ntk-where{font-weight:bold}
.ntk-explorer .ntk-bar{height:.8em}.ntk-explorer .ntk-ends{display:flex;justify-content:space-between}
.ntk-explorer .ntk-bar,.ntk-explorer .ntk-ends{margin:0 2.4% 0 13.2%}
.ntk-explorer .ntk-said{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
"""
SCRIPT = """
(() => {
  const data = DATA;
  const root = document.getElementById("ID"), one = what => root.querySelector(what);
  const all = what => [...root.querySelectorAll(what)], say = (what, text) => { one(what).textContent = text; };
  const svg = one("svg"), field = one(".ntk-cells"), cells = all(".ntk-cells path"), n = data.columns;
  const between = (value, low, high) => Math.min(Math.max(value, low), high);
  const chosen = what => Number(one(`select.ntk-${what}`)?.value ?? 0);
  let [row, column] = data.start, aim;
  const grouped = text => text.includes(".") ? text : text.replace(/\\B(?=(\\d{3})+$)/g, ",");
  const number = text => {
    const [value, error] = text.split("~"), places = (value.split(".")[1] ?? "").length;
    const parts = error ? [value, (error / 10 ** places).toFixed(places)] : [value];
    return parts.map(part => grouped(part.replace(/^(-?)\\./, "$10."))).join(" ± ");
  };
  const show = () => {
    const [of, axis] = [chosen("case"), chosen("axis")], quantity = Number(one("input:checked").value);
    const [levels, ends] = data.tables[of][quantity], edges = data.edges[axis];
    cells.forEach((cell, k) => {
      const [left, right] = edges[Math.floor(k / n)].slice(k % n);
      cell.setAttribute("d", `M${left} 0H${right}v${data.row}H${left}z`);
      cell.setAttribute("fill", data.colours[levels.charCodeAt(k) - 97] ?? "none");
    });
    all(".ntk-line").forEach((line, k) => {
      const path = "M" + data.lines[of][axis][k].map((x, i) => `${x} ${data.down[i]}`).join("L");
      for (const stroke of line.children) stroke.setAttribute("d", path);
    });
    all(".ntk-ticks").forEach((ticks, k) => { ticks.toggleAttribute("hidden", k !== axis); });
    for (const mark of all(".ntk-mark")) {
      mark.setAttribute("x", edges[row][column]);
      mark.setAttribute("y", data.tops[row]);
      mark.setAttribute("width", edges[row][column + 1] - edges[row][column]);
    }
    all(".ntk-ends span").forEach((end, k) => { end.textContent = ends[k]; });
    all(".ntk-row b").forEach((place, k) => {
      place.textContent = number(data.tables[of][k][2].split("|")[row * n + column]);
    });
    const where = data.where.map(([name, rows]) => {
      const labels = rows[row % rows.length].split(" ");
      return `${name} = ${labels[column % labels.length]}`;
    }).join(", ");
    const [name, value] = ["span", "b"].map(part => all(`.ntk-row ${part}`)[quantity].textContent);
    say(".ntk-where", where);
    say(".ntk-shown", data.cases[of] + name);
    return `${where}: ${name} ${value}`;
  };
  const go = (i, j, x) => {
    const edges = data.edges[chosen("axis")];
    row = between(i, 0, edges.length - 1);
    const found = edges[row].findIndex(edge => edge > (x ?? NaN)) - 1;
    column = x === undefined ? between(j, 0, n - 1) : found === -2 ? n - 1 : Math.max(found, 0);
    aim = x ?? (edges[row][column] + edges[row][column + 1]) / 2;
    say(".ntk-said", show());
  };
  const point = event => {
    const place = new DOMPoint(event.clientX, event.clientY).matrixTransform(field.getScreenCTM().inverse());
    const i = Math.floor((data.tops[0] + data.row - place.y) / data.row);
    if (i >= 0 && i < data.tops.length && place.x >= 0 && place.x <= data.across) go(i, 0, place.x);
  };
  const keys = {
    ArrowLeft: () => go(row, column - 1), ArrowRight: () => go(row, column + 1), Home: () => go(row, 0),
    End: () => go(row, n - 1), ArrowUp: () => go(row + 1, 0, aim), ArrowDown: () => go(row - 1, 0, aim),
  };
  svg.addEventListener("pointermove", point);
  svg.addEventListener("pointerdown", point);
  svg.addEventListener("keydown", event => {
    if (!keys[event.key] || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    keys[event.key]();
  });
  for (const control of all("select, input")) control.addEventListener("change", () => go(row, column));
  for (const hidden of all(".ntk-choices, .ntk-hint, .ntk-row input")) hidden.hidden = false;
  svg.setAttribute("role", "application");
  svg.setAttribute("aria-describedby", "ID-hint");
  svg.setAttribute("tabindex", 0);
  show();
  aim = (data.edges[chosen("axis")][row][column] + data.edges[chosen("axis")][row][column + 1]) / 2;
})();
"""


def data(plane: Plane) -> dict[str, Any]:
    """What the script needs: all that changes."""
    return {
        "columns": plane.shape[1],
        "start": plane.start,
        "colours": COLOURS,
        "across": ACROSS,
        "row": ROW,
        "tops": plane.tops,
        "down": plane.down,
        "edges": [_plane.across(at, _plane.edges(at)).tolist() for at in plane.at.values()],
        "where": [[plane.row, plane.rows], *([name, _labels(at)] for name, at in plane.at.items())],
        "lines": [
            [
                [_plane.along(at, v) for v in _plane.crossings(plane, axis, case).values()]
                for axis, at in plane.at.items()
            ]
            for case in range(len(plane.tables))
        ],
        "cases": [f"{case}: " for case in plane.tables] if len(plane.tables) > 1 else [""],
        "tables": [[_encoded(*table) for table in t.values()] for t in plane.tables.values()],
    }


def _labels(at: np.ndarray) -> list[str]:
    """The numbers of each row; of one row if all have the same."""
    rows = [" ".join(map(_plane.short, places)) for places in at]
    return rows if len(set(rows)) > 1 else rows[:1]


def _encoded(values, errors) -> tuple[str, list[str], str]:
    """Colours of all cells, the ends of the scale of colours, and the numbers of all cells."""
    texts = map(_plane.measured, values.ravel(), [None] * values.size if errors is None else errors.ravel())
    return *_plane.coloured(values), "|".join(texts)


def script(known: dict[str, Any], name: str) -> str:
    """The script of the picture called `name`; "<" is escaped, that no text of the data ends it."""
    content = json.dumps(known, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return re.sub(r"\n +", "\n", SCRIPT).replace("ID", name).replace("DATA", content)


def body(plane: Plane, known: dict[str, Any], name: str) -> str:
    """The picture at its start, all that one sees without JavaScript; and controls, hidden until the script runs."""
    choices = _select(name, "case", "data", plane.tables) + _select(name, "axis", "horizontal axis", plane.at)
    colours, (_, ends, _) = ",".join(COLOURS), known["tables"][0][0]
    signs = "  ".join(f"{sign} {line}" for sign, line in zip(SIGNS, plane.lines, strict=False))
    return (
        f'<div class="ntk-choices" hidden>{choices}</div>\n<div class="ntk-both"><div class="ntk-plane">\n'
        f"{_svg(plane, known)}\n"
        f'<p class="ntk-shown">{html.escape(known["cases"][0] + plane.quantities[0])}</p>'
        f'<div class="ntk-bar" style="background:linear-gradient(90deg,{colours})"></div>'
        f'<div class="ntk-ends">{"".join(f"<span>{end}</span>" for end in ends)}</div>'
        f'{f"<p>{html.escape(signs)}</p>" if signs else ""}</div>\n<div class="ntk-numbers">'
        f'{_numbers(plane, known, name)}</div></div><p class="ntk-said" aria-live="polite"></p>'
    )


def _select(name: str, kind: str, label: str, options) -> str:
    if len(options) < 2:
        return ""
    inside = "".join(f'<option value="{k}">{html.escape(option)}</option>' for k, option in enumerate(options))
    return f'<label>{label} <select class="ntk-{kind}" autocomplete="off">{inside}</select></label>'


def _numbers(plane: Plane, known, name: str) -> str:
    """The numbers of the cell at the start; each name is at the same time the choice to colour the plane by it."""
    i, j = plane.start
    labels = [plane.rows[i], *(_plane.short(at[i, j]) for at in plane.at.values())]
    where = ", ".join(f"{name} = {label}" for name, label in zip([plane.row, *plane.at], labels, strict=True))
    rows = "".join(
        f'<label class="ntk-row"><input type="radio" name="{name}" value="{k}" autocomplete="off" hidden'
        f"{'' if k else ' checked'}><span>{html.escape(quantity)}</span>"
        f"<b>{_plane.written(cells.split('|')[i * plane.shape[1] + j])}</b></label>"
        for k, (quantity, (_, _, cells)) in enumerate(zip(plane.quantities, known["tables"][0], strict=True))
    )
    return (
        f'<p class="ntk-where">{html.escape(where)}</p>'
        f'<div role="radiogroup" aria-label="What the colour shows">{rows}</div>'
        f'<p class="ntk-hint" id="{name}-hint" hidden>Point at a cell, tap it, or use the arrow keys. Choose above '
        "what is coloured.</p>"
    )


def _svg(plane: Plane, known) -> str:
    rows, columns = plane.shape
    bottom, (levels, _, _) = TOP + ROW * rows, known["tables"][0][0]
    inside = [_cells(known, levels, columns), *_lines(known)]
    outside = [
        f'<text x="{LEFT - 6}" y="{TOP + top + ROW // 2 + 5}" text-anchor="end">{html.escape(label)}</text>'
        for top, label in zip(known["tops"], plane.rows, strict=True)
    ]
    outside += [_axis(name, at, bottom, hidden=k > 0) for k, (name, at) in enumerate(plane.at.items())]
    outside.append(
        f'<text transform="translate(12 {(TOP + bottom) / 2:g}) rotate(-90)" text-anchor="middle">'
        f"{html.escape(plane.row)}</text>"
    )
    i, j = plane.start
    left, right = known["edges"][0][i][j : j + 2]
    marks = "".join(
        f'<rect class="ntk-mark" x="{left}" y="{known["tops"][i]}" width="{right - left}" height="{ROW}" fill="none" '
        f'stroke="{color}" stroke-width="{width}"/>'
        for color, width in (("#fff", 5), ("#000", 2))
    )
    return (
        f'<svg viewBox="0 0 {LEFT + ACROSS + RIGHT} {bottom + BELOW}" fill="currentColor" role="img" '
        f'aria-label="Plane of cells, {html.escape(plane.row)} upwards">'
        f'<svg aria-hidden="true" x="{LEFT}" y="{TOP}" width="{ACROSS}" height="{ROW * rows}">{"".join(inside)}</svg>'
        f'<g transform="translate({LEFT} {TOP})">{marks}</g>{"".join(outside)}</svg>'
    )


def _cells(known, levels: str, columns: int) -> str:
    rows = []
    for i, (top, borders) in enumerate(zip(known["tops"], known["edges"][0], strict=True)):
        colours = ["none" if level == "-" else COLOURS[ord(level) - 97] for level in levels[i * columns :][:columns]]
        cells = "".join(
            f'<path d="M{left} 0H{right}v{ROW}H{left}z" fill="{colour}"/>'
            for left, right, colour in zip(borders, borders[1:], colours, strict=False)
        )
        rows.append(f'<g transform="translate(0 {top})">{cells}</g>')
    return f'<g class="ntk-cells" stroke="currentColor" stroke-opacity=".25">{"".join(rows)}</g>'


def _lines(known) -> list[str]:
    out = []
    for line, dashes in zip(known["lines"][0][0], DASHES, strict=False):
        path = "M" + "L".join(f"{x} {y}" for x, y in zip(line, known["down"], strict=True))
        out.append(
            f'<g class="ntk-line" fill="none"><path d="{path}" stroke="#fff" stroke-opacity=".7" stroke-width="4"/>'
            f'<path d="{path}" stroke="#000" stroke-width="1.6" stroke-dasharray="{dashes}"/></g>'
        )
    return out


def _axis(name: str, at: np.ndarray, bottom: int, *, hidden: bool) -> str:
    """Ticks and name of a horizontal variable."""
    marks = "".join(f'<text x="{LEFT + x}" y="{bottom + 15}">{label}</text>' for x, label in _plane.ticks(at))
    return (
        f'<g class="ntk-ticks" text-anchor="middle"{" hidden" if hidden else ""}>{marks}'
        f'<text x="{LEFT + ACROSS / 2:g}" y="{bottom + 33}">{html.escape(name)}</text></g>'
    )
