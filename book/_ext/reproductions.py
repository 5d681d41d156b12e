"""Fill the page of reproductions: each claim of claims.yaml beside the number that a chapter's stored output has for it.

Nothing on the page is typed twice. A claim names a chapter and a regular expression that must match its printed outputs
exactly once (those of the figure it names, if that cell prints at all); the first group is the number, a second one its
standard error. The verdict follows from both and from
what the source says, and where they disagree the entry must say why.
"""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import yaml

ROOT = Path(__file__).parents[2]
MARK = re.compile(r"<!-- reproductions: (\w+) -->")
ENTRIES = {"part", "claim", "source", "theirs", "chapter", "find", "figure", "differs"}
OPTIONAL = {"between", "why"}


def claims(path: Path = ROOT / "book" / "practice" / "claims.yaml") -> list[dict]:
    """Return the claims with what was found for them: `ours`, `error` and `agrees`; raise ValueError if one is amiss."""
    return [_judged(entry) for entry in yaml.safe_load(path.read_text())]


def _judged(entry: dict) -> dict:
    name = entry.get("claim", entry)
    if not ENTRIES <= entry.keys() <= ENTRIES | OPTIONAL:
        raise ValueError(f"claims.yaml, {name}: entries are {sorted(ENTRIES)} and may be {sorted(OPTIONAL)}")
    notebook = ROOT / "book" / f"{entry['chapter']}.ipynb"
    printed, figures = outputs(notebook)
    if entry["figure"] not in figures:
        raise ValueError(
            f"claims.yaml, {name}: {notebook.name} has no figure {entry['figure']}, it has {list(figures)}"
        )
    cells = [figures[entry["figure"]]] if figures[entry["figure"]] else printed
    found = [match for cell in cells for match in re.finditer(entry["find"], cell, re.M)]
    if len(found) != 1:
        raise ValueError(
            f"claims.yaml, {name}: {entry['find']!r} matches {len(found)} outputs of {notebook.name}, not 1"
        )
    shown = [part.replace("-", "−") for part in found[0].groups()]
    if "between" not in entry:
        return {**entry, "ours": " ± ".join(shown), "agrees": None}
    (low, high), ours = entry["between"], float(found[0][1])
    error = float(found[0][2]) if len(shown) > 1 else 0.0
    agrees = low - 2 * error <= ours <= high + 2 * error
    if agrees == ("why" in entry):
        remedy = "say why it disagrees, by an entry `why`" if not agrees else "it agrees: take `why` out"
        raise ValueError(f"claims.yaml, {name}: found {ours}, the source has {low} to {high}: {remedy}")
    return {**entry, "ours": " ± ".join(shown), "agrees": agrees}


def outputs(notebook: Path) -> tuple[list[str], dict[str, str]]:
    """Return what each cell printed, and what those cells printed that draw a figure, by its name."""
    printed, figures = [], {}
    for cell in nbformat.read(notebook, as_version=4).cells:
        if cell.cell_type == "code":
            printed.append("".join(o.get("text", "") for o in cell.outputs if o.output_type == "stream"))
            figure = cell.metadata.get("mystnb", {}).get("figure", {})
            figures |= {figure["name"]: printed[-1]} if "name" in figure else {}
    return printed, figures


def table(part: str) -> str:
    """Return the claims of a part as a Markdown table."""
    lines = ["| claim | there | here | verdict | what differs |", "| --- | --- | --- | --- | --- |"]
    for entry in claims():
        if entry["part"] == part:
            verdict = {True: "agrees", False: f"**disagrees**: {entry.get('why')}", None: "see the text"}[
                entry["agrees"]
            ]
            here = f"[{entry['ours']}](#{entry['figure']})"
            row = [entry["claim"] + f" {{cite}}`{entry['source']}`", entry["theirs"], here, verdict, entry["differs"]]
            lines.append("| " + " | ".join(" ".join(str(cell).split()) for cell in row) + " |")
    return "\n".join(lines)


def _fill(app, docname, source) -> None:
    if docname.endswith("reproductions"):
        source[0] = MARK.sub(lambda match: table(match[1]), source[0])


def setup(app):
    """Register with Sphinx."""
    app.connect("source-read", _fill)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
