"""A picture for each page that is shown where its address is shared: the title, and the chapter's first figure.

It is 1200 by 630 pixels, the size that is asked for by those who show it. A page without figures has the landing page's.
"""

from __future__ import annotations

import io
import textwrap
from pathlib import Path

import matplotlib
from gallery import MARK, Figure, every_figure
from PIL import Image, ImageDraw, ImageFont
from teach import ROOT

SIZE, MARGIN, STRIPE = (1200, 630), 60, 84
PAPER, INK = "#ffffff", "#12355b"  # as the logo
FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"


def card(title: str, footer: str, png: bytes) -> Image.Image:
    """Return the picture: a title of one or two lines, a figure as large as fits, and a stripe with the footer."""
    picture = Image.new("RGB", SIZE, PAPER)
    draw = ImageDraw.Draw(picture)
    bold, plain = (ImageFont.truetype(FONTS / f"DejaVuSans{kind}.ttf", size) for kind, size in (("-Bold", 45), ("", 34)))
    words = textwrap.fill(title, 38, max_lines=2, placeholder=" …")
    draw.multiline_text((MARGIN, 40), words, fill=INK, font=bold, spacing=12)
    top = draw.multiline_textbbox((MARGIN, 40), words, font=bold, spacing=12)[3] + 25
    room = (SIZE[0] - 2 * MARGIN, SIZE[1] - STRIPE - top - 20)
    figure = Image.open(io.BytesIO(png)).convert("RGB")
    scale = min(room[0] / figure.width, room[1] / figure.height)
    figure = figure.resize((round(scale * figure.width), round(scale * figure.height)), Image.Resampling.LANCZOS)
    picture.paste(figure, ((SIZE[0] - figure.width) // 2, top + (room[1] - figure.height) // 2))
    draw.rectangle((0, SIZE[1] - STRIPE, *SIZE), fill=INK)
    draw.text((MARGIN, SIZE[1] - STRIPE // 2), footer, fill=PAPER, font=plain, anchor="lm")
    return picture


def figures(root: str) -> dict[str, Figure]:
    """Return the first figure of each page that has one, the landing page `root` among them."""
    known = every_figure()
    first = {figure.page: figure for figure in reversed(known.values())}
    return first | {root: known[MARK.search((ROOT / f"{root}.md").read_text())[1]]}


def name(page: str) -> str:
    """Return the name of a page's picture, below `_images`."""
    return f"card-{page.removeprefix('book/').replace('/', '-')}.png"


def _tags(app, pagename, templatename, context, doctree) -> None:
    if doctree is None or app.builder.format != "html":
        return
    shown = figures(app.config.root_doc)
    page = pagename if pagename in shown else app.config.root_doc
    width, height = map(str, SIZE)
    address = f"{app.config.html_baseurl}_images/{name(page)}"
    tags = {"og:image": address, "og:image:alt": shown[page].alt, "og:image:width": width, "og:image:height": height}
    context["meta"] = (context["meta"] or {}) | tags


def _write(app, error) -> None:
    if error is None and app.builder.format == "html":
        for page, figure in figures(app.config.root_doc).items():
            title, book = app.env.titles[page].astext(), app.config.project
            footer = book if title != book else app.config.html_baseurl.partition("://")[2].rstrip("/")
            card(title, footer, figure.png).save(Path(app.outdir) / "_images" / name(page), optimize=True)


def setup(app):
    """Register with Sphinx."""
    app.connect("html-page-context", _tags, priority=400)  # before sphinxext.opengraph reads them
    app.connect("build-finished", _write)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
