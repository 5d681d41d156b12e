"""What a published site needs beside its pages: version, sitemap, robots.txt, a page for wrong addresses, a first page.

All addresses are below `html_baseurl`, which `make address` writes. A robots.txt counts at the root of a host only, so below
a path, as on GitHub Pages, search engines are told of the sitemap by hand.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

ROOT = Path(__file__).parents[2]
RELATIVE = re.compile(r'\b(href|src|action|data-content_root)="(?![a-z]+:|[/#])(?:\./)?')
FIRST = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="refresh" content="0; url={page}">
{head}
</head>
<body><a href="{page}">{name}</a></body>
</html>
"""


def version() -> str:
    """Return the package's version, as pyproject.toml has it."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def sitemap(addresses: list[str]) -> str:
    """Return a sitemap of these pages."""
    urls = "".join(f"  <url><loc>{escape(address)}</loc></url>\n" for address in addresses)
    namespace = "http://www.sitemaps.org/schemas/sitemap/0.9"
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<urlset xmlns="{namespace}">\n{urls}</urlset>\n'


def absolute(page: str, base: str) -> str:
    """Return a page of the site's root with links that do not depend on the address under which it is shown."""
    return RELATIVE.sub(rf'\1="{urlsplit(base).path}', page)


def first_page(landing: str, page: str, name: str) -> str:
    """Return the page of the site's address itself: it leads to the landing page, and is shared with its title and picture."""
    kept = r'<title>.*?</title>|<meta (?:property="og:|name="(?:description|twitter)).*?>|<link rel="canonical".*?>'
    return FIRST.format(page=page, name=name, head="\n".join(re.findall(kept, landing.split("</head>")[0], re.S)))


def _set_version(app, config) -> None:
    config.version = config.release = version()


def _collect(app):
    yield "404", {"title": "Page not found"}, "404.html"


def _one_title(app, pagename, templatename, context, doctree) -> None:
    """Call the landing page by its title once: it is the book's title too."""
    if pagename == app.config.root_doc:
        context["docstitle"] = ""


def _write(app, error) -> None:
    if error is not None or app.builder.name != "html":
        return
    out, base, root = Path(app.outdir), app.config.html_baseurl, app.builder.get_target_uri(app.config.root_doc)
    pages = [base + app.builder.get_target_uri(name) for name in sorted(app.env.found_docs)]
    (out / "sitemap.xml").write_text(sitemap(pages))
    (out / ".nojekyll").touch()  # or GitHub Pages leaves out folders with an underscore, where the site is a branch
    (out / "robots.txt").write_text(f"User-agent: *\nAllow: /\nSitemap: {base}sitemap.xml\n")
    (out / "404.html").write_text(absolute((out / "404.html").read_text(), base))
    (out / "index.html").write_text(first_page((out / root).read_text(), root, app.config.project))


def setup(app):
    """Register with Sphinx."""
    app.connect("config-inited", _set_version)
    app.connect("html-collect-pages", _collect)
    app.connect("html-page-context", _one_title)
    app.connect("build-finished", _write, priority=900)  # after what else writes a first page
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
