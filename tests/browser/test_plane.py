"""A plane to explore, in a real browser: by mouse, keys and finger, without JavaScript, and on the built site."""

import sys

import numpy as np
import pages
import pytest

sys.path.insert(0, str(pages.ROOT / "tools"))

import ntk_tutorial as ntk

pytestmark = pytest.mark.skipif(pages.executable() is None, reason=pages.REMEDY)
WIDTHS, SCALES = (16, 64, 256), np.asarray([0.1, 1.0, 10.0, 100.0])
CHANGE = 10.0 ** np.linspace(5, -2, 12).reshape(3, 4)
ERROR = np.linspace(0.1, 0.2, 12).reshape(3, 4)
TABLES = {
    "digits": {"change": (CHANGE, 0.1 * CHANGE), "error": (ERROR, ERROR / 20)},
    "mnist": {"change": (CHANGE[::-1], CHANGE[::-1]), "error": (ERROR + 1, ERROR / 20)},
}
ALONG = {"α": SCALES / np.sqrt(WIDTHS)[:, None], "√m α": SCALES}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    lines = {"α = 1": 1.0, "√m α = 1": 1 / np.sqrt(WIDTHS)}
    picture = ntk.interactive.explorer(TABLES, {"m": WIDTHS}, ALONG, lines=lines, start=(1, 1), alt="A plane.")
    return pages.sheet(tmp_path_factory.mktemp("explorer") / "picture.html", picture)


@pytest.fixture
def open_file(browser, path):
    with pages.opener(browser, path) as open_file:
        yield open_file


def where(page) -> str:
    return page.locator(".ntk-where").inner_text()


def numbers(page) -> list[str]:
    return page.locator(".ntk-row b").all_inner_texts()


def boxes(page) -> np.ndarray:
    """Left, top, width and height on the screen of each cell, (rows, columns, 4)."""
    look = "cells => cells.map(cell => { const b = cell.getBBox(), m = cell.getScreenCTM();"
    look += "return [m.a * b.x + m.e, m.d * b.y + m.f, m.a * b.width, m.d * b.height]; })"
    return np.asarray(page.locator(".ntk-cells path").evaluate_all(look)).reshape(3, 4, 4)


def middle(box) -> tuple[float, float]:
    return box[0] + box[2] / 2, box[1] + box[3] / 2


def colours(page) -> list[str]:
    return page.locator(".ntk-cells path").evaluate_all("cells => cells.map(cell => cell.getAttribute('fill'))")


def test_every_cell_by_the_mouse(open_file):
    page = open_file()
    cells = boxes(page)
    for i, m in enumerate(WIDTHS):
        for j, scale in enumerate(SCALES):
            page.mouse.move(*middle(cells[i, j]))
            assert where(page) == f"m = {m}, α = {scale / m**0.5:.3g}, √m α = {scale:g}"
            shown = [float(number.split(" ± ")[0].replace(",", "")) for number in numbers(page)]
            assert shown == pytest.approx([CHANGE[i, j], ERROR[i, j]], rel=0.05)
            mark = page.locator(".ntk-mark").last.bounding_box()
            assert middle(list(mark.values())) == pytest.approx(middle(cells[i, j]), abs=1.5)
    page.mouse.move(2, 2)  # outside: the last one stays
    assert where(page).startswith("m = 256") and page.problems == [] and page.asked == [page.url]


def test_keys(open_file):
    page = open_file()
    page.keyboard.press("Tab"), page.keyboard.press("Tab"), page.keyboard.press("Tab")  # past the two lists
    plane = page.get_by_role("application")
    assert (
        plane.evaluate("plane => plane === document.activeElement && getComputedStyle(plane).outlineStyle") == "solid"
    )
    for keys, row, scale in (
        (["ArrowRight"], 64, 10),
        (["End", "ArrowRight"], 64, 100),
        (["ArrowUp", "ArrowUp"], 256, 100),
        (["Home", "ArrowLeft"], 256, 0.1),
        (["ArrowRight", "ArrowDown", "ArrowDown", "ArrowDown"], 16, 0.1),  # straight down: the same α = 1/16
        (["Control+ArrowRight", "PageDown"], 16, 0.1),  # not for us
    ):
        for key in keys:
            page.keyboard.press(key)
        assert where(page) == f"m = {row}, α = {scale / row**0.5:.3g}, √m α = {scale:g}"
    assert page.locator("[aria-live]").inner_text() == f"{where(page)}: change {numbers(page)[0]}"


def test_what_can_be_chosen(open_file):
    page = open_file()
    first, cells = colours(page), boxes(page)
    assert page.locator(".ntk-shown").inner_text() == "digits: change"
    assert np.ptp(cells[:, 0, 0]) > 20  # with α across, rows are shifted
    leaning = "lines => lines.map(line => line.getBBox().width > 1)"
    assert page.locator(".ntk-line").evaluate_all(leaning) == [False, True]  # α = 1 stands upright
    page.get_by_role("radio", name="error").check()
    assert colours(page) == first[::-1]  # it rises where the change falls, both evenly
    assert page.locator(".ntk-shown").inner_text() == "digits: error"
    assert page.locator(".ntk-ends span").all_inner_texts() == ["0.1", "0.15", "0.2"]
    page.get_by_role("combobox", name="horizontal axis").select_option("√m α")
    assert np.ptp(boxes(page)[:, 0, 0]) < 0.1 and where(page).endswith("√m α = 1")
    assert page.locator(".ntk-ticks:visible").text_content().endswith("√m α")
    assert page.locator(".ntk-line").evaluate_all(leaning) == [True, False]
    page.get_by_role("combobox", name="data").select_option("mnist")
    assert page.locator(".ntk-shown").inner_text() == "mnist: error"
    assert [float(number.split(" ± ")[0]) for number in numbers(page)][1] == pytest.approx(1 + ERROR[1, 1], abs=0.01)
    assert colours(page) == first[::-1] and page.problems == []


def test_a_finger_on_a_phone(open_file):
    page = open_file(viewport=pages.SIZES["phone"], has_touch=True, is_mobile=True)
    cells = boxes(page)
    page.touchscreen.tap(*middle(cells[2, 3]))
    assert where(page) == "m = 256, α = 6.25, √m α = 100"
    page.touchscreen.tap(*middle(list(page.locator(".ntk-row").nth(1).bounding_box().values())))
    assert page.get_by_role("radio", name="error").is_checked()
    for control in page.locator(".ntk-row, select").all():
        assert control.bounding_box()["height"] >= 40  # as large as a finger
    assert page.locator("svg").first.bounding_box()["width"] > 0.9 * pages.SIZES["phone"]["width"]
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_without_javascript_the_start_is_seen_as_with_it(open_file):
    without, with_it = open_file(java_script_enabled=False), open_file()
    for page in (without, with_it):
        assert where(page) == "m = 64, α = 0.125, √m α = 1" and page.locator(".ntk-ticks:visible").count() == 1
    drawn = [page.locator("svg path").evaluate_all("all => all.map(p => p.outerHTML)") for page in (without, with_it)]
    assert numbers(without) == numbers(with_it) and drawn[0] == drawn[1]
    assert without.locator("select:visible, input:visible, .ntk-hint:visible, [tabindex]").count() == 0
    assert without.get_by_role("img").count() == 1 and with_it.get_by_role("img").count() == 0


@pytest.mark.parametrize("scheme", pages.SCHEMES)
def test_on_the_site(browser, scheme):
    for _, picture in pages.pictures(browser, scheme, "ntk-explorer"):
        before = where(picture)
        picture.get_by_role("application").press("ArrowUp")
        assert where(picture) != before
        for text in picture.locator("text:visible, .ntk-where, .ntk-row span, .ntk-ends span, select").all():
            pages.assert_readable(text, scheme)
