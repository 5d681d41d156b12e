"""Fill the pages for teachers from the chapters: their plans, their exercises, and their quiz questions.

Nothing on these pages is typed twice. A chapter's last dropdown holds its plans for 50 and 90 minutes and the usual
misconceptions; its exercises begin with stars, in the title or in the text; its quiz holds numbered questions.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path

import nbformat
import yaml

ROOT = Path(__file__).parents[2]
MARK = re.compile(r"<!-- teach: (\w+) -->")
DROPDOWN = re.compile(r'<details class="teachers">.*?</summary>\n(.*?)</details>', re.S)
PLAN = {  # what a paragraph begins with: chapters write it in one of two ways
    "50 minutes": re.compile(r"\*{1,2}(?:Plan for )?50 minutes\.\*{1,2}"),
    "90 minutes": re.compile(r"\*{1,2}(?:Plan for )?90 minutes\.\*{1,2}"),
    "Misconceptions": re.compile(r"\*{1,2}Misconceptions[^*]*\*{1,2}"),
}
EXERCISE = re.compile(r"^:::\{exercise\} (★*) ?(.+)\n:label: (ex-\S+)\n\n(★*)", re.M)
QUESTION = re.compile(r'<div class="quiz">\n\n\*\*(\d+)\.\*\* (.+?)\n\n<', re.S)


def parts() -> dict[str, list[Path]]:
    """Return the notebooks of each part of _toc.yml, by the part's caption; parts without one are left out."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    found = {p["caption"]: [ROOT / f"{entry['file']}.ipynb" for entry in p["chapters"]] for p in toc["parts"]}
    return {part: there for part, paths in found.items() if (there := [path for path in paths if path.exists()])}


@functools.cache
def text(notebook: Path) -> str:
    """Return a chapter's words, which begin with its title."""
    return "\n\n".join(c.source for c in nbformat.read(notebook, as_version=4).cells if c.cell_type == "markdown")


def plan(name: str, words: str) -> dict[str, str]:
    """Return the plans and misconceptions in a chapter's words; raise ValueError if one is not there."""
    if not (found := DROPDOWN.search(words)):
        raise ValueError(f'{name} has no <details class="teachers">, which the page of lesson plans shows')
    paragraphs, drawn = [" ".join(paragraph.split()) for paragraph in found[1].split("\n\n")], {}
    for part, start in PLAN.items():
        of_it = [start.sub("", paragraph, count=1).strip() for paragraph in paragraphs if start.match(paragraph)]
        if len(of_it) != 1 or not of_it[0]:
            raise ValueError(f'{name}: in <details class="teachers"> {part} must begin one paragraph, not {len(of_it)}')
        drawn[part] = of_it[0]
    return drawn


def exercises(notebook: Path) -> list[tuple[str, int, str, str]]:
    """Return stars, number, title and label of a chapter's exercises, the easy ones first."""
    found = enumerate(EXERCISE.findall(text(notebook)), 1)
    return sorted((before or after, number, title, label) for number, (before, title, label, after) in found)


def page(mark: str) -> str:
    """Return what a mark stands for, as Markdown."""
    lines = []
    for part, notebooks in parts().items():
        if mark == "exercises":
            lines += [f"### {part}", "", ":::{table}", ":class: exercises", ""]
            lines += ["| chapter | exercise | difficulty |", "| --- | --- | --- |"]
        lines += [f"## {part}", ""] if mark == "plans" else []
        for path in notebooks:
            chapter, title = path.relative_to(ROOT).with_suffix(""), text(path).split("\n", 1)[0].removeprefix("# ")
            if mark == "exercises":
                for stars, number, name, label in exercises(path):
                    lines.append(f"| {{doc}}`/{chapter}` | {number}. {{ref}}`{name} <{label}>` | {stars} |")
            elif mark == "plans":
                slides = f"../../slides/{chapter.relative_to('book')}.html"  # written after the pages, from them
                lines += [f"### {title}", "", f'Chapter: {{doc}}`/{chapter}`, <a href="{slides}">its slides</a>.', ""]
                lines += [f"**{name}.** {words}\n" for name, words in plan(path.name, text(path)).items()]
            elif mark == "questions":  # MyST knows no section of a notebook, so the links are HTML
                quiz = f"../{chapter.relative_to('book')}.html#check-yourself"
                lines += [f"### {title}", ""]
                lines += [f'- <a href="{quiz}">{n}.</a> {" ".join(q.split())}' for n, q in QUESTION.findall(text(path))]
                lines.append("")
        lines += [":::", ""] if mark == "exercises" else []
    return "\n".join(lines)


def _fill(app, docname, source) -> None:
    if docname.startswith("book/teach/"):
        source[0] = MARK.sub(lambda match: page(match[1]), source[0])
        for path in (path for notebooks in parts().values() for path in notebooks):
            app.env.note_dependency(str(path))  # where a chapter changes, so do these pages


def setup(app):
    """Register with Sphinx."""
    app.connect("source-read", _fill)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
