"""Fill the page of reproductions: each claim of claims.yaml beside the numbers that a chapter's stored output has for it.

Nothing on the page is typed twice. A claim names a chapter and a regular expression, or several with labels, that must
match its printed outputs exactly once, in the cell of the figure it names or, where it is not found there, in all of
them. The first group is the number, a second one its standard error. The verdict follows from both and from what the
source says; where they disagree the entry must say why.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path

import nbformat
import yaml

ROOT = Path(__file__).parents[2]
MARK = re.compile(r"<!-- reproductions: (\w+) -->")
ENTRIES = {"part", "claim", "theirs", "chapter", "find", "figure", "differs"}
OPTIONAL = {"source", "between", "why"}


def claims(path: Path = ROOT / "book" / "practice" / "claims.yaml") -> list[dict]:
    """Return the claims with what was found for them; raise ValueError if one is amiss.

    Each has `ours`, a text for each label (the label is empty where there is one number), `agrees`, which is None where
    the source gives no number, and `off`, the labels of the numbers that disagree.
    """
    return [_judged(entry) for entry in yaml.safe_load(path.read_text())]


def _judged(entry: dict) -> dict:
    name = entry.get("claim", entry)
    if not ENTRIES <= entry.keys() <= ENTRIES | OPTIONAL:
        raise ValueError(f"claims.yaml, {name}: entries are {sorted(ENTRIES)} and may be {sorted(OPTIONAL)}")
    find = entry["find"] if isinstance(entry["find"], dict) else {"": entry["find"]}
    numbers = {label: _found(entry, pattern) for label, pattern in find.items()}
    ours = {label: " ± ".join(part.replace("-", "−") for part in found) for label, found in numbers.items()}
    if "between" not in entry:
        return {**entry, "ours": ours, "agrees": None, "off": []}
    between = entry["between"] if isinstance(entry["between"], dict) else dict.fromkeys(find, entry["between"])
    if between.keys() != find.keys():
        raise ValueError(f"claims.yaml, {name}: `between` is for {list(between)}, `find` for {list(find)}")
    off = [label for label, found in numbers.items() if not _within(found, *between[label])]
    if off and "why" not in entry:
        (low, high), ours = between[off[0]], numbers[off[0]][0]
        raise ValueError(
            f"claims.yaml, {name}: found {ours}, the source has {low} to {high}: say why it disagrees, by an entry `why`"
        )
    if "why" in entry and not off:
        raise ValueError(f"claims.yaml, {name}: it agrees: take `why` out")
    return {**entry, "ours": ours, "agrees": not off, "off": off}


def _found(entry: dict, pattern: str) -> tuple[str, ...]:
    notebook = ROOT / "book" / f"{entry['chapter']}.ipynb"
    printed, figures = outputs(notebook)
    if entry["figure"] not in figures:
        raise ValueError(
            f"claims.yaml, {entry['claim']}: {notebook.name} has no figure {entry['figure']}, it has {list(figures)}"
        )
    find = re.compile(pattern, re.M)
    found = list(find.finditer(figures[entry["figure"]])) or [m for cell in printed for m in find.finditer(cell)]
    if len(found) != 1:
        raise ValueError(
            f"claims.yaml, {entry['claim']}: {pattern!r} matches {len(found)} outputs of {notebook.name}, not 1"
        )
    return found[0].groups()


def _within(found: tuple[str, ...], low: float, high: float) -> bool:
    error = float(found[1]) if len(found) > 1 else 0.0
    return low - 2 * error <= float(found[0]) <= high + 2 * error


@functools.cache
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
    lines = [":::{table}", ":class: claims", "", "| claim | there | here | verdict |", "| --- | --- | --- | --- |"]
    for entry in claims():
        if entry["part"] == part:
            cite = f" ({{cite:t}}`{entry['source']}`)" if "source" in entry else ""
            here = [
                f"{label}: " * bool(label) + f"[{text}](#{entry['figure']})" for label, text in entry["ours"].items()
            ]
            row = [entry["claim"] + cite, entry["theirs"], "<br>".join(here), f"{verdict(entry)} {entry['differs']}."]
            lines.append("| " + " | ".join(" ".join(str(cell).split()) for cell in row) + " |")
    return "\n".join([*lines, ":::"])


def verdict(entry: dict) -> str:
    """Return a judged claim's verdict in words."""
    if entry["agrees"]:
        return "Agrees."
    if "why" not in entry:
        return "No number to compare with."
    where = f" ({', '.join(entry['off'])})" if 0 < len(entry["off"]) < len(entry["ours"]) else ""
    return ("**Needs a qualifier**" if entry["agrees"] is None else f"**Disagrees**{where}") + f": {entry['why']}."


def summary() -> str:
    """Return how many claims there are, and how many of them agree."""
    found = claims()
    agree, disagree = (sum(entry["agrees"] is value for entry in found) for value in (True, False))
    rest = len(found) - agree - disagree
    return f"Of {len(found)} claims {agree} agree, {disagree} do not, and for {rest} the source has no number to compare with."


def _fill(app, docname, source) -> None:
    if docname.endswith("reproductions"):
        source[0] = MARK.sub(lambda match: summary() if match[1] == "summary" else table(match[1]), source[0])


def setup(app):
    """Register with Sphinx."""
    app.connect("source-read", _fill)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
