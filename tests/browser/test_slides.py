"""The chapters' slides, in a browser: everything fits, nothing is a copy, keys, notes and paper."""

import re
import sys

import pages
import pytest
from bs4 import BeautifulSoup

sys.path.insert(0, str(pages.ROOT / "book" / "_ext"))
import slides

needs_browser = pytest.mark.skipif(pages.executable() is None, reason=pages.REMEDY)
CHAPTERS = list(slides.pages())
FIRST = CHAPTERS[0]
LEAST = 64  # percent of the usual size, below which letters cannot be read from the last row
READY = "window.Reveal !== undefined && Reveal.isReady()"
# What does not fit, or was made very small to fit, on the slide with that number.
MISFIT = """least => [...document.querySelectorAll('.slides > section')].flatMap((slide, i) => {
  Reveal.slide(i, 0, 99);
  const body = slide.querySelector('.body');
  const over = [slide, body].some(b => b.scrollHeight > b.clientHeight + 1 || b.scrollWidth > b.clientWidth + 1);
  const small = [body, ...body.querySelectorAll('div.math')].some(b => parseFloat(b.style.fontSize || 100) < least);
  const drawn = [...body.querySelectorAll('img, svg')].map(picture => picture.getBoundingClientRect().height);
  const tiny = drawn.length && Math.max(...drawn) < 200;
  const under = [...body.querySelectorAll('figcaption')].some(caption => {
    const above = caption.parentElement.querySelector('.ntk-slider, .ntk-explorer, img').getBoundingClientRect();
    return above.bottom > caption.getBoundingClientRect().top + 1;
  });
  return over || small || tiny || under ? [`${i + 1}: ${over} ${small} ${under} ${drawn}`] : [];
})"""


@pytest.fixture(scope="module")
def address():
    assert (pages.SITE / slides.deck(FIRST)).exists(), "There are no slides to look at: run `make slides` first"
    with pages.served() as address:
        yield address


@pytest.fixture
def show(browser, address):
    """Open a deck on a screen of its own size; nothing may go wrong in it, nor leave it."""
    contexts, problems = [], []

    def opened(chapter, end=""):
        contexts.append(browser.new_context(viewport={"width": 1280, "height": 720}))
        contexts[-1].on("weberror", lambda error: problems.append(str(error.error)))
        contexts[-1].on("console", lambda m: problems.append(m.text) if m.type in ("error", "warning") else None)
        contexts[-1].on("request", lambda r: r.url.startswith((address, "data:", "blob:")) or problems.append(r.url))
        page = contexts[-1].new_page()
        page.goto(f"{address}{slides.deck(chapter)}{end}")
        page.wait_for_function(READY)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not problems


def soup(path):
    return BeautifulSoup((pages.SITE / path).read_text(), "html.parser")


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_deck_has_the_chapters_figures_once_and_its_words_as_notes(chapter):
    page, deck = soup(f"{chapter}.html"), soup(slides.deck(chapter))
    shown = [image["src"] for image in page.select("article figure img")]
    assert [image["src"] for image in deck.select("img")] == shown and all("_images/" in src for src in shown)
    interactive = ".ntk-slider, .ntk-explorer"
    assert [tag["id"] for tag in deck.select(interactive)] == [tag["id"] for tag in page.select(interactive)]
    assert len(deck.select("section.quiz")) == len(page.select(".quiz"))
    assert len(deck.select("section.statement")) == len(page.select(".proof"))
    sections = deck.select(".slides > section")
    assert 20 <= len(sections) <= 40
    assert len(deck.select("aside.notes")) > 0.7 * len(sections)
    assert "50 minutes" in deck.aside.get_text() and "90 minutes" in deck.aside.get_text()
    assert f"../../{slides.deck(chapter)}" in {link.get("href") for link in page.select("article a")}
    assert not deck.select("section section, .headerlink")


def test_the_plans_lead_to_all_decks():
    links = {link.get("href") for link in soup("book/teach/plans.html").select("article a")}
    assert {f"../../{slides.deck(chapter)}" for chapter in CHAPTERS} <= links


def test_reveal_comes_with_its_licence():
    assert (
        "MIT" in (pages.SITE / "_static/reveal/LICENSE").read_text()
        or "Permission is hereby granted" in (pages.SITE / "_static/reveal/LICENSE").read_text()
    )


@needs_browser
@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_slide_fits(show, chapter):
    page = show(chapter)
    pages.settle(page)
    assert page.evaluate(MISFIT, LEAST) == []


@needs_browser
def test_keys_turn_slides_and_reveal_answers(show):
    page = show(FIRST)
    where = "() => { const { h, f } = Reveal.getIndices(); return [h, f ?? -1]; }"
    page.keyboard.press("ArrowRight")
    assert page.evaluate(where)[0] == 1
    page.keyboard.press("ArrowLeft")
    assert page.evaluate(where)[0] == 0
    number = page.evaluate("[...document.querySelectorAll('.slides > section')].findIndex(s => s.matches('.predict'))")
    page.evaluate("number => Reveal.slide(number)", number)
    answer = page.locator("section.present .answer")
    assert answer.evaluate("answer => getComputedStyle(answer).visibility") == "hidden"
    page.keyboard.press("ArrowRight")
    assert page.evaluate(where)[0] == number
    assert answer.evaluate("answer => getComputedStyle(answer).visibility") == "visible"
    page.keyboard.press("Escape")
    assert page.evaluate("Reveal.isOverview()")


@needs_browser
def test_the_speaker_sees_notes(show):
    page = show(FIRST)
    with page.expect_popup() as opened:
        page.keyboard.press("s")
    speaker = opened.value
    speaker.wait_for_function("document.querySelector('.speaker-controls-notes .value')?.textContent.length > 100")
    assert "minutes" in speaker.inner_text(".speaker-controls-notes .value")


@needs_browser
def test_a_deck_can_be_printed_a_slide_a_page(show):
    page = show(FIRST, "?print-pdf")
    page.wait_for_selector(".pdf-page")
    count = len(soup(slides.deck(FIRST)).select(".slides > section"))
    assert page.locator(".pdf-page").count() == count
    printed = page.pdf(prefer_css_page_size=True, print_background=True)
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) == count


@needs_browser
def test_slides_are_accessible(show):
    page = show(FIRST)
    found = pages.violations(page, {"runOnly": ["wcag2a", "wcag2aa"]}, ".slides > section.present")
    assert not found, "\n".join(found)
