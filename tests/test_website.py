"""The website around the chapters: figures from the notebooks, lists in line with _toc.yml, what a server needs."""

import html
import io
import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

import ntk_tutorial as ntk

ROOT = Path(__file__).parents[1]
SITE = ROOT / "_build" / "html"
sys.path[:0] = [str(ROOT / "book" / "_ext"), str(ROOT / "tests" / "browser")]
import cards  # noqa: E402
import gallery  # noqa: E402
import pages  # noqa: E402
import publish  # noqa: E402

FIGURES = gallery.every_figure()
BASE = yaml.safe_load((ROOT / "_config.yml").read_text())["html"]["baseurl"]
TOC = [e["file"] for p in yaml.safe_load((ROOT / "_toc.yml").read_text())["parts"] for e in p["chapters"]]
needs_browser = pytest.mark.skipif(pages.executable() is None, reason=pages.REMEDY)


@pytest.fixture(scope="module")
def browser():
    with pages.browser() as browser:
        yield browser


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


@needs_browser
@pytest.mark.parametrize("page", ["book/gallery.html", "book/index.html"])
def test_a_click_on_a_picture_leads_to_the_figure(browser, page):
    file, _, link = shown(page)[1]
    with pages.served() as address:
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


# What is shown where an address is shared


def tags(path: str) -> dict[str, str]:
    """Return the meta tags of a page by their names."""
    found = re.findall(r'<meta (?:property|name)="([^"]+)" content="([^"]*)"', built(path))
    return {name: html.unescape(content) for name, content in found}


@pytest.mark.parametrize("page", ["book/index", *TOC])
def test_a_shared_page_has_title_description_and_picture(page):
    meta, source = tags(f"{page}.html"), built(f"{page}.html")
    assert '<html lang="en"' in source and f'<link rel="canonical" href="{BASE}{page}.html"' in source
    assert meta["og:url"] == f"{BASE}{page}.html" and meta["twitter:card"] == "summary_large_image"
    assert meta["og:title"] and meta["og:site_name"] in source.split("</title>")[0]
    assert len(meta["description"].split()) > 10 and meta["description"] == meta["og:description"]
    with Image.open(SITE / meta["og:image"].removeprefix(BASE)) as card:
        assert card.size == cards.SIZE == (int(meta["og:image:width"]), int(meta["og:image:height"]))
    first = next((figure for figure in FIGURES.values() if figure.page == page), FIGURES["fig-tangent-kernel-surprise"])
    assert meta["og:image:alt"] == first.alt


def test_a_card_is_made_from_the_figure():
    figure, path = FIGURES["fig-limits-race"], SITE / "_images" / "card-inductive_bias-limits_of_a_fixed_kernel.png"
    made = cards.card("The limits of a fixed kernel", "Neural tangent kernels, by experiment", figure.png)
    with Image.open(path) as card:
        assert np.array_equal(np.asarray(card), np.asarray(made))
    other = cards.card("The limits of a fixed kernel", "", FIGURES["fig-limits-depth"].png)
    assert not np.array_equal(np.asarray(made), np.asarray(other))


@pytest.mark.parametrize("page", sorted({figure.page for figure in FIGURES.values()}))
def test_a_title_fits_on_its_card(page):
    png = io.BytesIO()
    Image.new("RGB", (2, 1), cards.PAPER).save(png, "PNG")
    title = re.search(r"<title>(?:\d+\. )?(.+?) &#8212;", built(f"{page}.html"))[1]
    ink = np.asarray(cards.card(html.unescape(title), "", png.getvalue()))[: -cards.STRIPE].min(axis=2) < 128
    assert ink[:160].any() and not ink[160:].any() and not ink[:, -cards.MARGIN :].any()


# What a server needs


def test_the_address_itself_leads_to_the_landing_page():
    source, meta = built("index.html"), tags("index.html")
    assert (
        'content="0; url=book/index.html"' in source and f'<link rel="canonical" href="{BASE}book/index.html"' in source
    )
    assert source.count("<title>Neural tangent kernels, by experiment</title>") == 1
    shared = tags("book/index.html")
    assert meta and all(shared[name] == value for name, value in meta.items()) and "og:image" in meta


def test_the_sitemap_names_every_page():
    found = ET.fromstring(built("sitemap.xml")).iter("{http://www.sitemaps.org/schemas/sitemap/0.9}loc")
    named = [loc.text for loc in found]
    assert sorted(named) == sorted(f"{BASE}{page}.html" for page in ["book/index", *TOC])
    assert all((SITE / loc.removeprefix(BASE)).is_file() for loc in named)
    assert built("robots.txt").splitlines()[-1] == f"Sitemap: {BASE}sitemap.xml"


def test_links_of_the_page_for_wrong_addresses_are_absolute():
    page = (
        '<html data-content_root="./"><a href="a.html"><a href="#b"><a href="https://c/"><img src="/d"><p action="e">'
    )
    made = page.replace("./", "/f/").replace("a.html", "/f/a.html").replace('"e"', '"/f/e"')
    assert publish.absolute(page, "https://x.org/f/") == made


@needs_browser
@pytest.mark.parametrize("path", ["none.html", "book/some/deep/path"])
def test_a_wrong_address(browser, path):
    with pages.published(BASE) as address:
        page, missing = browser.new_page(viewport=pages.SIZES["phone"]), []
        page.on("response", lambda r: missing.append(r.url) if r.status >= 400 else None)
        page.on("pageerror", lambda error: missing.append(str(error)))
        assert page.goto(address + path).status == 404
        pages.settle(page)
        assert missing == [address + path]  # and nothing that this page needs
        assert page.get_by_role("heading", level=1).inner_text() == "Page not found"
        assert page.evaluate("getComputedStyle(document.querySelector('main')).display") == "flex"  # it has its style
        page.get_by_role("link", name="All figures").last.click()
        page.wait_for_url(f"{address}book/gallery.html", wait_until="domcontentloaded")


# On paper


@needs_browser
def test_a_dark_page_is_printed_in_light_colours_with_all_of_its_code(browser):
    with pages.served() as address:
        page = browser.new_page(viewport={"width": 720, "height": 1000}, color_scheme="dark")
        page.goto(address + "book/linearization/tangent_kernel.html", wait_until="domcontentloaded")
        page.wait_for_function("document.documentElement.dataset.theme == 'dark'")
        page.evaluate(
            "addEventListener('beforeprint', () => { window.printed = document.documentElement.dataset.theme; })"
        )
        page.pdf(page_ranges="1")
        assert page.evaluate("[window.printed, document.documentElement.dataset.theme]") == ["light", "dark"]
        cut = "all => all.filter(code => code.scrollWidth > code.clientWidth + 1).length"
        assert page.locator("main pre").evaluate_all(cut) > 5  # on the screen they scroll
        page.emulate_media(media="print")
        assert page.locator("main pre").evaluate_all(cut) == 0


# The version


def test_the_version_is_the_same_everywhere():
    changes = re.findall(r"^## (?!Unreleased$)(.+)$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    number, _, date = changes[0].partition(", ")
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert number == publish.version() == ntk.__version__ == citation["version"]
    assert date == str(citation["date-released"])
    for page in ("book/index.html", "book/api.html", "404.html"):
        assert f"Version {number}." in built(page)
    assert f">{changes[0]}<" in built("book/changelog.html")
