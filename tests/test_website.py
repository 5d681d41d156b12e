"""The website around the chapters: its figures, drawn from the notebooks, and its lists, in line with _toc.yml."""

import html
import re
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
SITE = ROOT / "_build" / "html"
sys.path[:0] = [str(ROOT / "book" / "_ext"), str(ROOT / "tests" / "browser")]
import gallery  # noqa: E402
import pages  # noqa: E402

FIGURES = gallery.every_figure()
TOC = [e["file"] for p in yaml.safe_load((ROOT / "_toc.yml").read_text())["parts"] for e in p["chapters"]]


def built(path: str) -> str:
    """Return a page of the built site."""
    assert SITE.exists(), "There is no built site to look at: run `make book` first"
    return (SITE / path).read_text()


# Figures


def shown(page: str) -> list[tuple[str, str, str]]:
    """Return file, alternative text and link of each figure that a page shows from elsewhere."""
    box = r'<div class="ntk-figure">\s*<img src="../_images/(\S+)" alt="([^"]+)".*?<a class="[^"]+" href="([^"]+)"'
    return [(file, html.unescape(alt), link) for file, alt, link in re.findall(box, built(page), re.S)]


def test_every_figure_is_in_the_gallery_once():
    assert len(FIGURES) > 80
    wanted = [(f.file, f.alt, f"{f.page.removeprefix('book/')}.html#{f.name}") for f in FIGURES.values()]
    assert shown("book/gallery.html") == wanted


@pytest.mark.parametrize("page", sorted({figure.page for figure in FIGURES.values()}))
def test_a_figure_is_the_file_of_its_chapter(page):
    source = built(f"{page}.html")
    here = [figure for figure in FIGURES.values() if figure.page == page]
    assert re.findall(r'<figure [^>]*id="(fig-[^"]+)"', source) == [figure.name for figure in here]
    for figure in here:
        assert (SITE / "_images" / figure.file).read_bytes() == figure.png
        assert (f"_images/{figure.file}" in source) != figure.interactive


def test_the_landing_page_shows_three_results_of_three_parts():
    links = [link for _, _, link in shown("book/index.html")]
    assert [link.split("/")[0] for link in links] == ["linearization", "lazy_training", "inductive_bias"]


@pytest.mark.parametrize(
    ("title", "said", "rest"),
    [
        ("", "Change of the kernel relative to its size, m = 0.5 k.", " Dashed: theory."),
        ("**The surprise.** ", "Outputs of a network on six images of digits.", " Dots: a network."),
        ("", "Catapults (one seed). Left: the product. Right: digits.", " Dashed: the linear model."),
        ("", "Short.", ""),
    ],
)
def test_what_is_said_of_a_figure(title, said, rest):
    assert gallery.Figure("book/x", "fig-x", title + said + rest, "", b"", False).sentence == said


def test_an_unknown_figure_is_refused():
    with pytest.raises(ValueError, match="book/index: no chapter has a figure fig-none; there are fig-taylor-surprise"):
        gallery.fill("<!-- figure: fig-none -->", "book/index")


@pytest.mark.skipif(pages.executable() is None, reason=pages.REMEDY)
@pytest.mark.parametrize("page", ["book/gallery.html", "book/index.html"])
def test_a_click_on_a_picture_leads_to_the_figure(page):
    file, _, link = shown(page)[1]
    with pages.served() as address, pages.browser() as browser:
        opened = browser.new_page(viewport=pages.SIZES["phone"])
        opened.goto(address + page)
        opened.locator(f"img[src$='{file}']").click(position={"x": 40, "y": 40}, force=True)  # its link lies above it
        opened.wait_for_url(f"**/{link}", wait_until="domcontentloaded")
        assert opened.locator(f"#{link.partition('#')[2]} img[src$='{file}']").count() == 1


# Lists


def test_the_landing_page_names_every_page():
    named = [f"book/{name}" for name in re.findall(r"^\{doc\}`([^`<]+)`$", (ROOT / "book/index.md").read_text(), re.M)]
    assert named == [page for page in TOC if Path(page).parent != Path("book")]
    links = re.findall(r'href="([^"#]+)\.html"', built("book/index.html").split("<article")[1])
    assert {f"book/{link}" for link in links} >= set(TOC)


def test_readme_names_every_chapter():
    rows = re.findall(r"^\| \[[^\]]+\]\(([^)]+)\.ipynb\)", (ROOT / "README.md").read_text(), re.M)
    assert rows == [page for page in TOC if (ROOT / f"{page}.ipynb").exists()]
