"""The page of reproductions takes its numbers from the chapters' outputs, and refuses what they do not show."""

import re
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "book" / "_ext"))
import reproductions  # noqa: E402

ENTRIES = yaml.safe_load((ROOT / "book" / "practice" / "claims.yaml").read_text())
EXAMPLE = next(entry for entry in ENTRIES if entry["claim"].startswith("Trained networks stay close"))


def test_every_claim_is_found_and_judged():
    found = reproductions.claims()
    assert len(found) == len(ENTRIES) and all(all(entry["ours"].values()) for entry in found)
    assert all((entry["agrees"] is None) == ("between" not in entry) for entry in found)
    assert all(bool(entry["off"]) == (entry["agrees"] is False) for entry in found)


def test_every_claim_is_on_the_page():
    """Under a part that the page has a mark for, with a link to the figure, and cited unless it is a common saying."""
    page = (ROOT / "book" / "practice" / "reproductions.md").read_text()
    summary, *parts = reproductions.MARK.findall(page)
    assert summary == "summary" and {entry["part"] for entry in ENTRIES} == set(parts)
    tables = {part: [line for line in reproductions.table(part).splitlines() if line[:1] == "|"][2:] for part in parts}
    assert {part: len(rows) for part, rows in tables.items()} == Counter(entry["part"] for entry in ENTRIES)
    keys = (ROOT / "book" / "references.bib").read_text()
    for entry in ENTRIES:
        assert ("source" in entry) == (entry["part"] != "said"), entry["claim"]
        for source in entry["source"].split(", ") if "source" in entry else ():
            assert f"{{{source}," in keys, source
        assert any(f"(#{entry['figure']})" in row and entry["claim"][:40] in row for row in tables[entry["part"]])


def test_the_summary_counts():
    counted = [int(number) for number in re.findall(r"\d+", reproductions.summary())]
    assert counted[0] == len(ENTRIES) == sum(counted[1:])
    assert counted[2] == sum("why" in entry and "between" in entry for entry in ENTRIES) > 0


def test_only_patterns_hold_our_numbers():
    """What we found is nowhere in the words around it, where it would grow stale."""
    for entry in reproductions.claims():
        words = " ".join(entry.get(key, "") for key in ("claim", "differs", "why")).split()
        found = {text.split(" ± ")[0] for text in entry["ours"].values() if len(text) > 3}
        assert not found & {word.strip(".,;:()") for word in words}, entry["claim"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"find": "gap against depth: (.*)"}, "matches 0 outputs"),
        ({"find": "(slope)", "figure": "fig-taylor-orders"}, "matches 3 outputs"),
        ({"figure": "fig-taylor-nothing"}, "has no figure fig-taylor-nothing, it has"),
        ({"between": [-0.6, -0.5]}, "found -0.88, the source has -0.6 to -0.5: say why it disagrees"),
        ({"between": {"gap": [-0.6, -0.5]}}, "`between` is for ['gap'], `find` for ['']"),
        ({"why": "no reason"}, "it agrees: take `why` out"),
        ({"tolerance": 1}, "entries are"),
    ],
)
def test_what_is_refused(change, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        reproductions._judged(EXAMPLE | change)


def test_disagreement_is_said():
    entry = reproductions._judged(EXAMPLE | {"between": [-0.6, -0.5], "why": "the task differs"})
    assert entry["agrees"] is False and entry["ours"] == {"": "−0.88 ± 0.03"}
    assert reproductions.verdict(entry) == "**Disagrees**: the task differs."


def test_of_several_numbers_those_that_disagree_are_named():
    several = {"find": {"all": EXAMPLE["find"], "narrow": r"width 16: moved by (\d\.\d+)"}, "why": "they differ"}
    entry = reproductions._judged(EXAMPLE | several | {"between": {"all": [-2, -0.5], "narrow": [0, 0.1]}})
    assert entry["ours"] == {"all": "−0.88 ± 0.03", "narrow": "0.90"} and entry["off"] == ["narrow"]
    assert reproductions.verdict(entry) == "**Disagrees** (narrow): they differ."


def test_without_a_number_to_compare_with():
    entry = {key: value for key, value in EXAMPLE.items() if key != "between"}
    assert reproductions.verdict(reproductions._judged(entry)) == "No number to compare with."
    assert reproductions.verdict(reproductions._judged(entry | {"why": "so"})) == "**Needs a qualifier**: so."


def test_standard_errors_count_twice():
    assert reproductions._judged(EXAMPLE | {"between": [-0.83, -0.5]})["agrees"]
    with pytest.raises(ValueError, match="say why"):
        reproductions._judged(EXAMPLE | {"between": [-0.81, -0.5]})
