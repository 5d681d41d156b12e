"""The plane that a reader explores: its numbers are those given, its cells lie where they belong, errors are named."""

import functools
import json
import re

import numpy as np
import pytest
from test_interactive import Balanced

import ntk_tutorial as ntk
from ntk_tutorial import _plane, interactive

WIDTHS, SCALES = (16, 64, 256), np.asarray([0.1, 1.0, 10.0, 100.0])
ALPHA = SCALES / np.sqrt(WIDTHS)[:, None]
CHANGE = 10.0 ** np.linspace(5, -2, 12).reshape(3, 4)
ERROR = np.asarray([[0.0868, 0.0752, 0.0754, 0.0767], [0.2, 0.19, np.nan, 0.05], [1.0, 0.5, 0.25, 0.1]])
ABOVE, TEN = ERROR > 0.1, np.full((3, 4), 10)
TABLES = {
    "digits, <relu>": {"kernel change": (CHANGE, 0.03 * CHANGE), "test error": (ERROR, ERROR / 20), "number": ABOVE},
    "mnist": {"kernel change": (2 * CHANGE, CHANGE), "test error": (ERROR / 2, np.zeros((3, 4))), "number": TEN},
}
COLUMNS = {"α": ALPHA, "√m α": SCALES}


def make(tables=TABLES, rows=None, columns=COLUMNS, **options):
    options = {"alt": "A plane.", "start": (1, 1)} | options
    return interactive.explorer(tables, rows or {"m": WIDTHS}, columns, **options)


plain = functools.cache(make)


def payload(picture) -> dict:
    return json.loads(re.search(r"const data = (\{.*?\});\n", picture.html)[1])


def test_the_numbers_are_those_given():
    for case, tables in zip(TABLES.values(), payload(plain())["tables"], strict=True):
        for given, (_, _, cells) in zip(case.values(), tables, strict=True):
            values, errors = given if isinstance(given, tuple) else (given * 1.0, np.full((3, 4), np.nan))
            for cell, value, error in zip(cells.split("|"), values.ravel(), errors.ravel(), strict=True):
                if np.isnan(value):
                    assert cell == "none"
                    continue
                shown, *shown_error = (float(n.replace(",", "")) for n in _plane.written(cell).split(" ± "))
                assert shown == pytest.approx(value, abs=0.2 * error if error > 0 else 0, rel=5e-3), cell
                assert len(shown_error) == (not np.isnan(error))
                assert shown_error == [] or shown_error[0] == pytest.approx(error, rel=0.15), cell  # 3.5 becomes 3 or 4


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.08682, 0.00583, "0.087 ± 0.006"),
        (0.08682, 0.00213, "0.0868 ± 0.0021"),
        (-0.5, 0.02, "-0.500 ± 0.020"),
        (372815.8, 73999.0, "370,000 ± 70,000"),
        (-372815.8, 1234.0, "-372,800 ± 1,200"),
        (1234.5, 3.2, "1,235 ± 3"),
        (1234.56, 0.32, "1234.6 ± 0.3"),
        (0.9996, 0.0123, "1.000 ± 0.012"),
        (10.0, None, "10"),
        (1000.0, None, "1,000"),
        (0.0000625, None, "0.0000625"),
        (0.07, 0.0, "0.07 ± 0.00"),
        (0.0, None, "0"),
        (0.07, np.nan, "0.07"),
        (np.nan, 0.1, "none"),
    ],
)
def test_numbers_as_text(value, error, text):
    assert _plane.written(_plane.measured(value, error)) == text


def test_colours_are_in_the_order_of_the_values():
    (levels, ends, _), (other, _, _), (constant, _, _) = (
        payload(plain())["tables"][i][j] for i, j in ((0, 0), (0, 1), (1, 2))
    )
    assert list(levels) == sorted(levels, reverse=True) and {levels[0], levels[-1]} == {"x", "a"}
    steps = -np.diff([ord(level) for level in levels])
    assert steps.min() >= 1 and steps.max() <= 3  # even steps of the logarithm
    assert ends == ["0.01", "32", "100,000"]
    assert other[6] == "-" and other[8] == "x" and other[7] == "a"  # no value, largest, smallest
    assert set(constant) == {"m"}  # half-way


def test_cells_lie_where_they_belong_on_both_axes():
    data = payload(plain())
    for edges, places in zip(data["edges"], (ALPHA, np.tile(SCALES, (3, 1))), strict=True):
        low, high = np.log10(places).min() - 0.5, np.log10(places).max() + 0.5
        expected = data["across"] * (np.log10(places) - low) / (high - low)
        assert (np.asarray(edges)[:, :-1] < expected).all() and (expected < np.asarray(edges)[:, 1:]).all()
        np.testing.assert_allclose((np.asarray(edges)[:, :-1] + np.asarray(edges)[:, 1:]) / 2, expected, atol=0.51)
        assert np.min(edges) == 0 and np.max(edges) == data["across"]
    assert data["tops"] == [56, 28, 0]  # the first row lies at the bottom


def test_lines_follow_the_horizontal_axis():
    """α = 1 stands upright over α, and lies at √m over √m α."""
    data = payload(make(lines={"α = 1": 1.0, "√m α = 1": 1 / np.sqrt(WIDTHS), "by case": [[1, 1, 1], [2, 2, 2]]}))
    (on_alpha, on_scaled), (other, _) = data["lines"]

    def place(v):  # four decades are 280 wide
        return 280 * (np.log10(v) + 1.5) / 4

    assert len(set(on_alpha[0])) == 1 and len(set(on_scaled[1])) == 1
    np.testing.assert_allclose(on_scaled[0], place(np.asarray([8**0.5, 4, 8, 16, 512**0.5])), atol=0.51)
    np.testing.assert_allclose(on_scaled[1], place(1.0), atol=0.51)
    assert on_alpha[2] == on_alpha[0] and other[2] != on_alpha[2]
    assert data["down"] == [84, 70, 42, 14, 0]


def test_what_is_seen_without_javascript():
    picture = make(lines={"border < 1": 1.0}).html
    seen = Balanced(picture).seen
    hidden = [tags for _, tags in seen if "hidden" in tags]
    assert {tags.get("class") for tags in hidden} == {"ntk-choices", "ntk-hint", "ntk-ticks", None}
    assert [tags["type"] for tag, tags in seen if tag == "input"] == ["radio"] * 3
    text = re.sub(r"<script>.*?</script>|<style>.*?</style>|<[^>]+>", " ", picture, flags=re.S)
    where = "m = 64, α = 0.125, √m α = 1"
    for part in (where, "digits, &lt;relu&gt;: kernel change", "╌╌ border &lt; 1", "0.190 ± 0.010"):
        assert part in " ".join(text.split()), part
    colours = re.findall(r'<path d="M\d+ 0H\d+v28H\d+z" fill="(.+?)"', picture)
    assert colours == [_plane.COLOURS[ord(level) - 97] for level in payload(plain())["tables"][0][0][0]]


def test_the_same_each_time_and_another_name_for_another_picture():
    first, second, other = plain(), make(), make(alt="Another.")
    assert first.html == second.html and first.png == second.png
    name = re.search(r'id="(ntk-[0-9a-f]{12})"', first.html)[1]
    assert name not in other.html and f'getElementById("{name}")' in first.html


@pytest.mark.parametrize("noise", [1 + 1e-13, 1 - 1e-13])
def test_rounding_errors_do_not_show(noise):
    tables = {case: {name: np.asarray(v, float) * noise for name, v in t.items()} for case, t in TABLES.items()}
    tables = {case: {n: tuple(v) if v.ndim == 3 else v for n, v in t.items()} for case, t in tables.items()}
    columns = {name: places * noise for name, places in COLUMNS.items()}
    assert make(tables, columns=columns).html == plain().html


def test_text_is_escaped_in_markup_and_in_the_script():
    evil = "</script><b>&"
    tables = {evil: {evil: CHANGE}, "b": {evil: CHANGE}}
    picture = make(tables, {evil: WIDTHS}, {evil: SCALES}, lines={evil: 1.0}, alt=evil)
    assert picture.html.count("</script>") == 1 and "<b>&" not in picture.html
    assert payload(picture)["cases"][0] == f"{evil}: "
    Balanced(picture.html)


def test_what_a_notebook_stores():
    """As many numbers as the stored plane has, with few bytes and without a request."""
    picture = plain()
    data = picture._repr_mimebundle_()
    assert set(data) == {"text/html", "image/png", "text/plain"} and data["image/png"].startswith("iVBOR")
    assert data["text/plain"] == repr(picture) == "Explorer(kernel change; test error; number)"
    assert not re.findall(r"(?:src|href|url\(|import |fetch)|https?:", picture.html)
    rng, scales = np.random.default_rng(0), np.geomspace(0.001, 1000, 13)
    tables = {f"c{i}": {f"q{j}": tuple(rng.uniform(0.01, 1, (2, 5, 13))) for j in range(5)} for i in range(4)}
    assert len(make(tables, {"m": range(5)}, {"α": scales}).html.encode()) < 28_000


def test_one_case_and_one_axis_need_no_choice():
    picture = make({"only": {"error": ERROR}}, columns={"α": SCALES}).html
    assert "<select" not in picture and "only" not in picture


def test_tables_of_the_stored_plane():
    stored = ntk.results.load("crossover")
    tables = ntk.regimes.tables(stored)
    assert list(tables) == ["digits, relu", "digits, softplus", "mnist, relu", "mnist, softplus"]
    for case, table in tables.items():
        task, phi = case.split(", ")
        runs = stored.select(task=task, activation=phi)
        change, _, ensemble, _, reached = table.values()
        found, there = (runs.array(v, "width", "scaled_alpha") for v in ("kernel_change", "reached"))
        logs = np.where(there == 1, np.log(found), np.nan)
        np.testing.assert_allclose(change.mean, np.exp(np.nanmean(logs, -1)))
        error = np.nanstd(logs, -1, ddof=1) / there.sum(-1) ** 0.5
        np.testing.assert_allclose(change.standard_error, np.exp(np.nanmean(logs, -1)) * error)
        np.testing.assert_allclose(ensemble.mean, runs.array("ensemble_error", "width", "scaled_alpha"))
        np.testing.assert_array_equal(reached, there.sum(-1))


def test_what_the_chapter_says_of_the_stored_plane():
    gains = {}
    for case, table in ntk.regimes.tables(ntk.results.load("crossover")).items():
        single, ensemble = (np.asarray(table[f"test error, {of}"].mean) for of in ("one network", "ensemble"))
        gain = gains[case] = single - ensemble
        assert gain[0, -3:].min() > max(gain[1:].max(), gain[0, :5].max())  # narrow and lazy networks gain most
        if "digits" in case:
            assert np.argmin(single[-1]) > 8  # width 256 is best beyond √m α = 10
        else:
            assert np.ptp(single[-2:]) < 0.01  # wide networks are about equally good
        if "relu" in case:
            assert np.argmax(single[0]) > 8  # width 16 is worst there
    assert max(gains, key=lambda case: gains[case].max()) == "digits, relu"
    assert gains["digits, relu"].argmax() == 12  # m = 16, √m α = 1000


REFUSED = [
    ({"rows": {"m": WIDTHS, "n": WIDTHS}}, r"rows must be one variable, .* got \['m', 'n'\]"),
    ({"columns": {}}, "columns and tables at least one each"),
    ({"tables": {}}, "columns and tables at least one each"),
    ({"columns": {"α": SCALES[:1]}}, r"at least two rows and two columns, got \(3, 1\)"),
    ({"columns": {"α": SCALES, "β": SCALES[:3]}}, r"shapes differ: columns\['α'\] \(3, 4\), columns\['β'\] \(3, 3\)"),
    ({"columns": {"α": np.ones((2, 4))}}, r"columns\['α'\] has shape \(2, 4\)"),
    ({"columns": {"α": SCALES - 0.1}}, "must be positive and increase"),
    ({"columns": {"α": SCALES[::-1]}}, "must be positive and increase"),
    ({"tables": {"a": {"q": CHANGE.T}}}, r"the values of 'a, q' have shape \(4, 3\), the plane has \(3, 4\)"),
    ({"tables": {"a": {"q": (CHANGE, 1.0)}}}, r"the standard errors of 'a, q' have shape \(\)"),
    ({"tables": {"a": {"q": CHANGE}, "b": {"r": CHANGE}}}, r"quantities differ: a \('q',\), b \('r',\)"),
    ({"tables": {"a": {"q": np.nan * CHANGE}}}, "'a, q' has no finite value"),
    ({"tables": {"a": {}}}, "no quantity"),
    ({"start": (3, 0)}, r"start=\(3, 0\) must be a row and a column, below \(3, 4\)"),
    ({"start": (1,)}, "must be a row and a column"),
    ({"lines": {"l": [1.0, 2.0]}}, r"lines\['l'\] has shape \(2,\): give a value a row, or \(2, 3\)"),
    ({"lines": {"l": 0.0}}, r"lines\['l'\] must be positive and finite"),
    ({"lines": dict.fromkeys("abcde", 1.0)}, "5 lines are too many to tell apart: at most 4"),
    ({"alt": ""}, "alt is empty"),
    ({"tables": {str(i): {str(j): CHANGE for j in range(50)} for i in range(60)}}, "at most 300,000 are allowed"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "message"), REFUSED, ids=lambda v: v if isinstance(v, str) else "")
def test_refused(options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)
