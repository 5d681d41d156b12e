"""The site as a reader meets it: in a real browser, light and dark, wide and on a phone."""

import functools
import re
import sys

import pages
import pytest

sys.path.insert(0, str(pages.ROOT / "tools"))
from nb import chapters
from setup_cell import repository

FOREIGN_COLOURS = """[...document.querySelectorAll('mjx-container, mjx-container *')].filter(
    part => getComputedStyle(part).color != getComputedStyle(part.parentElement).color).map(part => part.outerHTML)"""
ALL_BUT_CONTRAST = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"],
    "rules": {"color-contrast": {"enabled": False}},
}
# Of leaves with the same colours and font sizes, their own and all the way up, mark the first; return what is new.
MARK_NEW_LOOKS = """known => {
const looks = new Map([[null, '']]), seen = new Set(known);
for (const element of document.querySelectorAll('*')) {
  const {color, backgroundColor, backgroundImage, opacity, fontSize, fontWeight} = getComputedStyle(element);
  const own = [color, backgroundColor, backgroundImage, opacity, fontSize, fontWeight].join();
  const above = looks.get(element.parentElement);
  const look = above.endsWith(own) ? above : above + '/' + own;
  looks.set(element, look);
  if (element.childElementCount || !element.innerText || seen.has(look)) continue;
  seen.add(look);
  element.dataset.look = '';
}
return [...seen].slice(known.length);
}"""
# Of each `<details>`, whether what is inside can be seen, its text, the mark before its summary, and its class.
SEEN = """(parts, inside) => parts.map(part => {
  const content = part.querySelector(inside), {width, height} = content.getBoundingClientRect();
  const shown = content.checkVisibility({visibilityProperty: true}) && width * height > 0;
  const mark = getComputedStyle(part.querySelector('summary'), '::before').content;
  return [shown, content.innerText, mark, part.className];
})"""
CHAPTERS = [f"book/{path.parent.name}/{path.stem}.html" for path in chapters()]
PLAIN = [path.relative_to(pages.ROOT).with_suffix(".html").as_posix() for path in (pages.ROOT / "book").rglob("*.md")]
PAGES = [*sorted(PLAIN), *CHAPTERS]
needs_browser = pytest.mark.skipif(pages.executable() is None, reason=pages.REMEDY)


@pytest.fixture(scope="module")
def site():
    assert (pages.SITE / "index.html").exists(), "There is no built site to look at: run `make book` first"
    return pages.SITE


@pytest.fixture(scope="module")
def address(site):
    with pages.served() as address:
        yield address


@pytest.fixture(scope="module")
def open_page(browser, address):
    """Open a page of the site, its formulas set, in a context of its own; it remembers what went wrong in it."""

    def open_page(path):
        page = browser.new_page(viewport=pages.SIZES["wide"])
        page.problems = []
        page.on("console", lambda m: page.problems.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        page.on("requestfailed", lambda r: page.problems.append(f"failed: {r.url}"))

        def request(r):
            if not r.url.startswith((address, "data:", "blob:")):
                page.problems.append(f"off-site: {r.url}")

        page.on("request", request)
        page.goto(address + path)
        pages.settle(page)
        return page

    return open_page


@pytest.fixture(scope="module")
def opened(open_page):
    """Each page once, since most of the time would go into its formulas."""
    return functools.cache(open_page)


@pytest.fixture(scope="module")
def known_looks():
    return set()


@pytest.fixture
def page(opened, path):
    """The page at `path` as it is when one comes to it."""
    page = opened(path)
    page.set_viewport_size(pages.SIZES["wide"])
    page.evaluate("document.querySelectorAll('main details').forEach(d => { d.open = false; })")
    yield page
    assert page.problems == []


def wrong_contrasts(page, known: set[str]) -> list[str]:
    """Return what axe-core finds too faint to read, among texts no two of which look alike and stand on the same.

    How texts look is added to `known`, and what is known is not looked at again: pages share most of it.
    """
    new = page.evaluate(MARK_NEW_LOOKS, sorted(known))
    found = pages.violations(page, {"runOnly": ["color-contrast"]}, parts="[data-look]") if new else []
    page.evaluate("document.querySelectorAll('[data-look]').forEach(e => e.removeAttribute('data-look'))")
    known.update(new)
    return found


@needs_browser
@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("scheme", pages.SCHEMES)
def test_page(page, path, scheme, known_looks):
    page.emulate_media(color_scheme=scheme)
    page.wait_for_function("scheme => document.documentElement.dataset.theme == scheme", arg=scheme)
    assert page.locator("mjx-merror").count() == 0, page.locator("mjx-merror").all_inner_texts()
    assert (
        page.evaluate("[...document.querySelectorAll('.math')].filter(m => !m.querySelector('mjx-container')).length")
        == 0
    )
    assert page.evaluate("[...document.images].filter(i => !i.naturalWidth).map(i => i.src)") == []
    for size, viewport in pages.SIZES.items():
        page.set_viewport_size(viewport)
        page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
        page.evaluate("window.dispatchEvent(new Event('resize'))")  # the theme then looks for what scrolls
        page.wait_for_timeout(500)
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"scrolls sideways by {wide} pixels ({size})"
        # Colours are the same on a phone, and what else the theme changes there it changes on all pages alike.
        if size == "phone" and scheme == "light" and path in (PAGES[0], CHAPTERS[0]):
            assert pages.violations(page, ALL_BUT_CONTRAST) == []
        if size == "wide":
            assert scheme == "dark" or pages.violations(page, ALL_BUT_CONTRAST) == []  # which is the same in the dark
            assert wrong_contrasts(page, known_looks) == []
            assert page.evaluate(FOREIGN_COLOURS) == [], "colours in formulas that the text around them has not"


@needs_browser
def test_the_root_leads_to_the_landing_page(browser, address):
    page = browser.new_page()
    page.goto(address)
    page.wait_for_url("**/book/index.html", wait_until="domcontentloaded")
    assert page.get_by_role("heading", level=1).count() == 1


@needs_browser
def test_search_finds(open_page):
    page = open_page("search.html?q=kernel")
    page.wait_for_selector("#search-results li a", timeout=20_000)
    assert page.locator("#search-results ul.search > li").count() >= 3
    assert page.problems == []


def toggle(page, parts, by):
    """Open or close each of some `<details>`, as readers do."""
    for i in range(parts.count()):
        summary = parts.nth(i).locator("summary").first
        if by == "click":
            summary.click()
        else:
            summary.focus()
            page.keyboard.press("Enter")


@needs_browser
@pytest.mark.parametrize("path", CHAPTERS)
@pytest.mark.parametrize("by", ["click", "keyboard"])
def test_quiz_answers(page, by):
    answers = page.locator(".quiz details")
    assert answers.count() >= 9
    assert not any(shown for shown, *_ in answers.evaluate_all(SEEN, "p"))
    toggle(page, answers, by)
    for shown, text, mark, kind in answers.evaluate_all(SEEN, "p"):
        assert shown and text.strip()
        assert mark == ('"✓"' if "right" in kind else '"✗"')


@needs_browser
@pytest.mark.parametrize("path", CHAPTERS)
def test_hidden_parts_open(page):
    solutions = page.locator("details.hide.above-input, details.hide.below-input")
    solutions = solutions.or_(page.locator(".tag_hide-cell details"))
    assert solutions.count() >= 4
    kinds = [(page.locator(f"details.{kind}"), "p", "click") for kind in ("answer", "hint", "teachers")]
    for parts, inside, by in [*kinds, (solutions, "pre", "keyboard")]:
        assert parts.count(), f"no {parts}"
        assert not any(shown for shown, *_ in parts.evaluate_all(SEEN, inside))
        toggle(page, parts, by)
        assert all(shown for shown, *_ in parts.evaluate_all(SEEN, inside))


@needs_browser
@pytest.mark.parametrize("path", CHAPTERS)
def test_colab_link(page, path):
    slug = repository().removeprefix("https://github.com/")
    notebook = path.replace(".html", ".ipynb")
    link = page.locator("a[href*='colab']").first.get_attribute("href")
    assert link == f"https://colab.research.google.com/github/{slug}/blob/main/{notebook}"


@needs_browser
def test_the_colour_switch(open_page):
    page = open_page("book/index.html")
    seen = {page.evaluate("document.documentElement.dataset.theme")}
    for _ in range(3):
        page.locator(".theme-switch-button:visible").first.click()
        seen.add(page.evaluate("document.documentElement.dataset.theme"))
    assert seen == {"light", "dark"}


def test_pages_load_nothing_from_elsewhere(site):
    for path in map(site.joinpath, PAGES):
        loaded = re.findall(r"<(?:script|img|iframe)[^>]*\ssrc=\"(https?:[^\"]+)", path.read_text())
        loaded += re.findall(r"<link[^>]*rel=\"stylesheet\"[^>]*href=\"(https?:[^\"]+)", path.read_text())
        assert not loaded, f"{path.name}: {loaded}"
