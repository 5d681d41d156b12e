"""Links lead somewhere: on the built site, with their anchors, and in the Markdown files that GitHub shows."""

import functools
import re
from collections.abc import Iterable
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pytest
import yaml

ROOT = Path(__file__).parents[1]
SITE = ROOT / "_build" / "html"
BASE = urlsplit(yaml.safe_load((ROOT / "_config.yml").read_text())["html"]["baseurl"])
ATTRIBUTES = ("href", "src", "poster", "action")
MARKDOWN = sorted(path for folder in (".", "benchmarks") for path in (ROOT / folder).glob("*.md"))


class Page(HTMLParser):
    """The anchors and the links of a page."""

    def __init__(self, path: Path):
        super().__init__()
        self.ids, self.links = set(), set()
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.ids |= {given[name] for name in ("id", "name") if given.get(name)}
        self.links |= {given[name] for name in ATTRIBUTES if given.get(name)}
        self.links |= {part.split()[0] for part in given.get("srcset", "").split(",") if part}


read = functools.cache(Page)


def target(path: Path, link: str, site: Path) -> tuple[Path, str] | None:
    """Return the file and the anchor that a link on the page `path` means, or None if it leaves the site."""
    parts = urlsplit(link)
    if parts.netloc == BASE.netloc and parts.path.startswith(BASE.path):
        return site / unquote(parts.path).removeprefix(BASE.path), unquote(parts.fragment)
    if parts.scheme or parts.netloc:
        return None
    name = unquote(parts.path)
    file = site / name.removeprefix(BASE.path) if name.startswith("/") else path.parent / name if name else path
    return file.resolve(), unquote(parts.fragment)


def broken(paths: Iterable[Path], site: Path) -> list[str]:
    """Return the links on these pages of a site that lead to no file, or to no anchor of a page."""
    found = []
    for path in paths:
        for link in sorted(read(path).links):
            if (meant := target(path, link, site)) is None:
                continue
            file, anchor = meant
            file = file / "index.html" if file.is_dir() else file
            there = file.is_file() and (not anchor or file.suffix != ".html" or anchor in read(file).ids)
            found += [] if there else [f"{path.relative_to(site)}: {link}"]
    return found


def test_links_of_the_site():
    paths = sorted(SITE.rglob("*.html"))
    assert len(paths) > 30, "There is no built site to look at: run `make book` first"
    assert broken((path for path in paths if "_static" not in path.parts), SITE) == []


def test_styles_name_files_that_are_there():
    for path in (SITE / "_static").rglob("*.css"):
        for link in re.findall(r"url\(\s*['\"]?([^'\")]+)", path.read_text()):
            if not link.startswith(("data:", "#", "http")):
                assert (path.parent / urlsplit(link).path).is_file(), f"{path.relative_to(SITE)}: {link}"


@pytest.mark.parametrize(
    ("link", "wrong"),
    [
        ("other.html", False),
        ("other.html?q=1#there", False),
        ("#top", False),
        ("../index.html", False),
        ("../", False),
        (f"{BASE.path}part/other.html#there", False),
        (f"{BASE.geturl()}part/other.html", False),
        ("https://example.org/none", False),
        ("mailto:a@example.org", False),
        ("other.html#gone", True),
        ("#gone", True),
        ("gone.html", True),
        ("../gone/", True),
        ("/part/gone.html", True),
        (f"{BASE.path}part/gone.html", True),
        (f"{BASE.geturl()}gone.png", True),
    ],
)
@pytest.mark.parametrize("attribute", ["a href", "img src"])
def test_the_check_finds_what_is_broken(tmp_path, link, wrong, attribute):
    pages = {
        "index.html": "",
        "part/other.html": '<p id="there">',
        "part/page.html": f'<h1 id="top"><{attribute}="{link}">',
    }
    for name, text in pages.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert broken([tmp_path / "part/page.html"], tmp_path) == ([f"part/page.html: {link}"] if wrong else [])


def slug(heading: str) -> str:
    """Return the anchor that GitHub gives to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("path", MARKDOWN, ids=lambda path: path.name)
def test_links_of_markdown_files(path):
    for link in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", path.read_text(), flags=re.S)):
        file, anchor = urldefrag(link)
        if not re.match(r"[a-z]+:", link):
            other = path.parent / unquote(file) if file else path
            assert other.exists(), f"{path.name}: {link}"
            headings = re.findall(r"^#+ (.+)$", other.read_text(), re.M) if anchor else ()
            assert not anchor or anchor in map(slug, headings), f"{path.name}: {link}"
