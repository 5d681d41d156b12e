"""A picture to drag, in a real browser: by keys, mouse and finger, without JavaScript, and on the built site."""

import functools
import sys

import pages
import pytest

sys.path.insert(0, str(pages.ROOT / "tools"))

import ntk_tutorial as ntk

pytestmark = pytest.mark.skipif(pages.executable() is None, reason=pages.REMEDY)
FRAME, PANELS = ".ntk-frame:visible", ".ntk-frame:visible .ntk-panels > svg"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A file with two pictures, as a notebook's outputs are: one control, and two."""

    def draw(axes, i, j=0):
        for ax in axes:
            ax.plot([0, 1], [i, j], "o-", color="C1")
            ax.set(xlim=(0, 1), ylim=(0, 3), xlabel="time", ylabel="output")

    make = functools.partial(ntk.interactive.slider, draw, panels=2)
    one = make({"scale τ": ("small", "middle", "large")}, alt="A line.", notes=["first", "second", "third"])
    two = make({"width": (16, 64), "depth": (1, 2, 3)}, alt="Two controls.", start=(1, 2))
    return pages.sheet(tmp_path_factory.mktemp("interactive") / "picture.html", one, two)


@pytest.fixture
def open_file(browser, path):
    with pages.opener(browser, path) as open_file:
        yield open_file


def curve(page, picture):
    return picture.locator(PANELS).first.evaluate("svg => svg.querySelector('svg').innerHTML")


def test_keys(open_file):
    page = open_file()
    first, second = page.locator(".ntk-slider").all()
    slider = first.get_by_role("slider", name="scale τ")
    drawn = [curve(page, first)]
    assert slider.get_attribute("aria-valuetext") == "small"
    assert first.locator("p:visible").inner_text() == "scale τ = small: first"
    page.keyboard.press("Tab")  # the control is the first thing that the keyboard reaches
    for key, label, note in (("ArrowRight", "middle", "second"), ("End", "large", "third")):
        page.keyboard.press(key)
        drawn.append(curve(page, first))
        assert first.locator("output").inner_text() == slider.get_attribute("aria-valuetext") == label
        assert first.locator("p:visible").inner_text() == f"scale τ = {label}: {note}"
    assert len(set(drawn)) == 3 and first.locator(FRAME).count() == 1
    page.keyboard.press("Home")
    assert curve(page, first) == drawn[0]
    assert second.locator("p:visible").inner_text() == "width = 64, depth = 3"  # as it was
    assert page.problems == [] and page.asked == [page.url]


def test_two_controls(open_file):
    page = open_file()
    picture = page.locator(".ntk-slider").nth(1)
    seen = set()
    for width in (0, 1):
        picture.get_by_role("slider", name="width").fill(str(width))
        for depth in (0, 1, 2):
            picture.get_by_role("slider", name="depth").fill(str(depth))
            assert picture.locator("p:visible").inner_text() == f"width = {(16, 64)[width]}, depth = {depth + 1}"
            seen.add(curve(page, picture))
    assert len(seen) == 6


@pytest.mark.parametrize("size", pages.SIZES)
def test_mouse_and_finger(open_file, size):
    page = open_file(viewport=pages.SIZES[size], has_touch=size == "phone", is_mobile=size == "phone")
    picture = page.locator(".ntk-slider").first
    before, box = curve(page, picture), picture.get_by_role("slider").bounding_box()
    assert box["height"] >= 44  # as large as a finger
    y = box["y"] + box["height"] / 2
    if size == "phone":
        page.touchscreen.tap(box["x"] + 0.97 * box["width"], y)
    else:
        page.mouse.move(box["x"] + 8, y)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] - 4, y, steps=5)
        page.mouse.up()
    assert curve(page, picture) != before and picture.locator("output").inner_text() == "large"
    first, second = (svg.bounding_box() for svg in picture.locator(PANELS).all())
    if size == "phone":  # one above the other, nearly as wide as the screen, and nothing sticks out
        assert second["y"] >= first["y"] + first["height"] and first["width"] > 0.8 * pages.SIZES[size]["width"]
    else:
        assert second["x"] >= first["x"] + first["width"] and second["y"] == first["y"]
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_without_javascript_the_start_is_seen_and_nothing_else(open_file):
    page = open_file(java_script_enabled=False)
    notes = ("scale τ = small: first", "width = 64, depth = 3")
    for picture, note in zip(page.locator(".ntk-slider").all(), notes, strict=True):
        assert picture.locator(FRAME).count() == 1 and picture.locator(PANELS).count() == 2
        assert picture.locator("input:visible, label:visible, output:visible").count() == 0
        assert picture.locator("p:visible").inner_text() == note
        assert picture.get_attribute("aria-label") and picture.locator(FRAME).get_by_role("img").count() == 1


def test_it_takes_the_colours_of_the_page(open_file):
    page = open_file()
    page.add_style_tag(content="body { color: rgb(1, 2, 3); }")
    text = page.locator(f"{PANELS} text").first
    assert text.evaluate("t => getComputedStyle(t).fill") == "rgb(1, 2, 3)"


# On the built site


@pytest.mark.parametrize("scheme", pages.SCHEMES)
def test_on_the_site(browser, scheme):
    for page, picture in pages.pictures(browser, scheme, "ntk-slider"):
        before = picture.locator(PANELS).first.inner_html()
        picture.get_by_role("slider").first.focus()
        page.keyboard.press("ArrowRight")
        assert picture.locator(PANELS).first.inner_html() != before
        pages.assert_readable(picture.locator(".ntk-frame:visible text").first, scheme)
