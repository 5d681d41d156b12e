"""Show the chapters' figures on other pages: all of them on the page of figures, a few on the landing page.

`<!-- figure: NAME -->` becomes the picture of that figure, `<!-- figures -->` all of them by part and chapter. A picture
is the file that the chapter's page has, never a copy: MyST-NB names it by the digest of its content. Only of a figure
that is interactive there, and so has no such file, the drawing that the notebook stores for other viewers is written.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import html
import re
import struct
from dataclasses import dataclass
from pathlib import Path

import nbformat
from teach import ROOT, parts, text

MARK = re.compile(r"<!-- figure: (\S+) -->|<!-- figures -->")
TITLE = re.compile(r"\*\*[^*]+\*\* ")
SENTENCE = re.compile(r".{40,}?[.?!](?= (?!Middle|Right)[^a-z]|$)", re.S)  # short ones say too little, "Left: ..." half


@dataclass(frozen=True)
class Figure:
    """A figure of a notebook: where it stands, and what is said of it."""

    page: str
    name: str
    caption: str
    alt: str
    png: bytes
    interactive: bool

    @property
    def file(self) -> str:
        """The name that MyST-NB gives to this picture."""
        return f"{hashlib.sha256(self.png).hexdigest()}.png"

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, as the header of a PNG has them."""
        return struct.unpack(">II", self.png[16:24])

    @property
    def sentence(self) -> str:
        """The first sentence of the caption, or as many as are needed to say something."""
        words = TITLE.sub("", self.caption, count=1)
        return found[0] if (found := SENTENCE.match(words)) else words


@functools.cache
def figures(notebook: Path) -> tuple[Figure, ...]:
    """Return the named figures of a notebook, in its order."""
    page, found = str(notebook.relative_to(ROOT).with_suffix("")), []
    for cell in nbformat.read(notebook, as_version=4).cells:
        shown = cell.metadata.get("mystnb", {})
        data = [output.data for output in cell.get("outputs", ()) if "image/png" in output.get("data", {})]
        if data and "name" in shown.get("figure", {}):
            png, alt = base64.b64decode(data[0]["image/png"]), shown["image"]["alt"]
            name, caption = shown["figure"]["name"], shown["figure"]["caption"]
            found.append(Figure(page, name, caption, alt, png, "text/html" in data[0]))
    return tuple(found)


def every_figure() -> dict[str, Figure]:
    """Return the figures of all chapters by their names."""
    return {figure.name: figure for paths in parts().values() for path in paths for figure in figures(path)}


def picture(figure: Figure, docname: str) -> str:
    """Return a figure's picture as HTML for the page `docname`; it is fetched when it comes into sight."""
    width, height = figure.size
    source = "../" * docname.count("/") + f"_images/{figure.file}"
    return f'<img src="{source}" alt="{html.escape(figure.alt)}" width="{width}" height="{height}" loading="lazy">'


def index(docname: str) -> str:
    """Return all figures by part and chapter as Markdown, each with a link to its place."""
    lines = []
    for part, notebooks in parts().items():
        lines += [f"## {part}", ""]
        for path in notebooks:
            lines += [f"### {text(path).partition(chr(10))[0].removeprefix('# ')}", "", '<div class="ntk-figures">', ""]
            for figure in figures(path):
                moves = " *Interactive.*" if figure.interactive else ""
                words = f"{{numref}}`{figure.name}` {figure.sentence}{moves}"
                lines += ['<div class="ntk-figure">', picture(figure, docname), "", words, "", "</div>"]
            lines += ["", "</div>", ""]
    return "\n".join(lines)


def fill(source: str, docname: str) -> str:
    """Return a page's source with pictures in the places of its marks; raise ValueError if there is no such figure."""

    def shown(mark: re.Match) -> str:
        if mark[1] is None:
            return index(docname)
        if mark[1] not in (known := every_figure()):
            raise ValueError(f"{docname}: no chapter has a figure {mark[1]}; there are {', '.join(known)}")
        return picture(known[mark[1]], docname)

    return MARK.sub(shown, source)


def _fill(app, docname, source) -> None:
    if MARK.search(source[0]):
        source[0] = fill(source[0], docname)
        for path in (path for notebooks in parts().values() for path in notebooks):
            app.env.note_dependency(str(path))  # where a chapter changes, so does this page


def _write_first_frames(app, error) -> None:
    if error is None and app.builder.format == "html":
        for figure in filter(lambda figure: figure.interactive, every_figure().values()):
            (Path(app.outdir) / "_images" / figure.file).write_bytes(figure.png)


def setup(app):
    """Register with Sphinx."""
    app.connect("source-read", _fill)
    app.connect("build-finished", _write_first_frames)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
