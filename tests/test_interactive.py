"""Pictures to drag: what is drawn is what was given, the same each time, and nothing is left out silently."""

import re
from html.parser import HTMLParser

import jax.numpy as jnp
import numpy as np
import pytest

import ntk_tutorial as ntk
from ntk_tutorial import interactive

X = np.linspace(0.0, 1.0, 5)


def lines(ax, i):
    ax.plot(X, i * X, color="C0")
    ax.set(xlim=(0, 1), ylim=(0, 2), xlabel="time t", ylabel="output")


def make(draw=lines, controls=None, **options):
    return interactive.slider(draw, controls or {"scale": (0, 1, 2)}, **{"alt": "A line that gets steeper."} | options)


def curves(picture: str) -> list[list[list[tuple[float, float]]]]:
    """For each frame, the points of each of its paths that have a colour of their own."""
    frames = picture.split('class="ntk-frame"')[1:]
    return [
        [
            [tuple(map(float, point.split(","))) for point in re.findall(r"-?\d+,-?\d+", path)]
            for path in re.findall(r'<path d="([^"]*)"[^>]*stroke="#', frame)
        ]
        for frame in frames
    ]


class Balanced(HTMLParser):
    """Raise where a tag is not closed, or another is; collect the tags with their attributes."""

    def __init__(self, text):
        super().__init__()
        self.open, self.seen = [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))
        if tag != "input":
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_points_are_where_the_data_are():
    for i, frame in enumerate(curves(make().html)):
        (points,) = frame
        expected = [(1000 * x, 750 * (1 - i * x / 2)) for x in X]
        np.testing.assert_allclose(points, expected, atol=0.51)


def test_one_frame_is_seen_and_the_start_decides_which():
    seen = [tags for tag, tags in Balanced(make(start=[2]).html).seen if tags.get("class") == "ntk-frame"]
    assert ["hidden" in frame for frame in seen] == [True, True, False]
    assert 'value="2"' in make(start=[2]).html and 'value="0"' in make().html


def test_controls_are_real_inputs_with_labels_that_need_the_script():
    picture = make(lambda ax, i, j: lines(ax, i + j), {"width": (16, 64), "τ < 1": ("0.1", "0.2", "0.4")})
    seen = Balanced(picture.html).seen
    inputs = [tags for tag, tags in seen if tag == "input"]
    labels = {tags["for"] for tag, tags in seen if tag == "label"}
    assert [tags["type"] for tags in inputs] == ["range", "range"] and {tags["id"] for tags in inputs} == labels
    assert [tags["max"] for tags in inputs] == ["1", "2"] and "τ &lt; 1" in picture.html
    controls = [tags for _, tags in seen if tags.get("class") == "ntk-control"]
    assert len(controls) == 2 and all("hidden" in tags for tags in controls)
    frames = curves(picture.html)
    assert len(frames) == 6 and frames[1] == frames[3] and frames[2] != frames[3]  # the last control runs fastest


def test_the_same_each_time_and_another_name_for_another_picture():
    first, second, other = make(), make(), make(alt="Another description.")
    assert first.html == second.html and first.png == second.png
    name = re.search(r'id="(ntk-[0-9a-f]{12})"', first.html)[1]
    assert name not in other.html and f'getElementById("{name}")' in first.html


@pytest.mark.parametrize("noise", [1e-9, -1e-9])
def test_rounding_errors_do_not_show(noise):
    """Points that fall half-way between two units, such as ticks do, included."""

    def draw(ax, i, noise=0.0):
        ax.plot(X, (i + np.arange(5) + 0.5) / 750 + noise, "o-")
        ax.set(xlim=(0, 1 + noise), ylim=(0, 1))

    noisy = make(lambda ax, i: draw(ax, i, noise))
    assert curves(make(draw).html) == curves(noisy.html)


def test_nothing_is_asked_of_other_places():
    page = make().html
    assert not re.findall(r"(?:src|href|url\(|import |fetch)", page)
    assert set(re.findall(r"https?://[^\"' ]+", page)) == set()


def test_what_a_notebook_stores():
    data = make(notes=["a", "b & c", "d"])._repr_mimebundle_()
    assert set(data) == {"text/html", "image/png", "text/plain"} and data["text/plain"] == "Slider(scale: 0, 1, 2)"
    assert "scale = 1: b &amp; c" in data["text/html"] and data["image/png"].startswith("iVBOR")
    assert len(data["text/html"]) < 8_000


def test_all_that_is_supported():
    def draw(axes, i):
        ax, log = axes
        ax.fill_between(X, X, 2 * X, color="C1", alpha=0.2)
        ax.errorbar(X, X, 0.1 + X, fmt="o--", color="#009E73", label="mean")
        ax.axhline(0.5, color="black", linestyle=":")
        ax.set(title="error < 1", ylim=(0, 2))
        ax.legend()
        log.loglog([1, 10, 100], [1e-2, np.nan, 1e-4], marker="o", color="C3")

    page = make(draw, panels=2).html
    Balanced(page)
    for part in ("error &lt; 1", "mean", "10⁻²", "stroke-dasharray", 'opacity="0.2"', "currentColor", "#009e73"):
        assert part in page, part
    assert "nan" not in page.lower()


def test_gaps_stay_gaps():
    def draw(ax, i):
        ax.plot([0, 1, 2, 3, 4], [0, 1, jnp.nan, 1, 0])

    assert re.search(r'd="M[-\d, ]+M[-\d, ]+" fill="none" stroke="#', make(draw).html)


def nothing(ax, i):
    pass


def formula(ax, i):
    lines(ax, i)
    ax.set_xlabel("$x^2$")


REFUSED = [
    ({"controls": {"scale": (1,)}}, r"'scale' needs at least two positions .* got \('1',\)"),
    ({"controls": {"scale": (1, 1)}}, "different labels"),
    ({"controls": {"a": (1, 2)}, "panels": 0}, "at least one control and one panel, got 1 and 0"),
    ({"start": [3]}, r"start=\(3,\) must hold an index for each control, below \(3,\)"),
    ({"start": [0, 0]}, "an index for each control"),
    ({"notes": ["a"]}, "3 frames and 1 notes: give one a frame"),
    ({"alt": " "}, "alt is empty: say what the picture shows"),
    ({"draw": nothing}, "a frame is empty"),
    ({"draw": formula}, r"holds a formula: write it in unicode"),
    ({"draw": lambda ax, i: ax.imshow(np.eye(2))}, "holds images, which are not supported"),
    ({"draw": lambda ax, i: ax.text(0, 0, "here")}, "holds texts"),
    ({"draw": lambda ax, i: ax.bar([0], [1])}, "holds patches"),
    ({"draw": lambda ax, i: ax.scatter(X, X)}, "holds a PathCollection"),
    ({"draw": lambda ax, i: ax.plot(X, X, "s")}, r"markers 's': only 'o' and '.'"),
    ({"draw": lambda ax, i: ax.plot(X, np.nan * X)}, "no finite value among its 5"),
    (
        {"draw": lambda ax, i: ax.plot(np.sin(np.arange(20_000.0)))},
        "bytes, at most 300,000 are allowed",
    ),
]


@pytest.mark.parametrize(("options", "message"), REFUSED, ids=lambda v: v if isinstance(v, str) else "")
def test_refused(options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)


def test_no_control():
    with pytest.raises(ValueError, match="at least one control"):
        interactive.slider(lines, {}, alt="Nothing.")


def test_it_stays_a_module():
    assert ntk.interactive.slider is interactive.slider
