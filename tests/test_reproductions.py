"""The page of reproductions takes its numbers from the chapters' outputs, and refuses what they do not show."""

import sys
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
    assert len(found) == len(ENTRIES) and all(entry["ours"] for entry in found)
    assert all(entry["agrees"] is not None or "between" not in entry for entry in found)


def test_every_claim_is_on_the_page():
    """Under a part that the page has a mark for, with a citation and a link to the figure."""
    page = (ROOT / "book" / "practice" / "reproductions.md").read_text()
    parts = reproductions.MARK.findall(page)
    assert {entry["part"] for entry in ENTRIES} == set(parts)
    rows = [row for part in parts for row in reproductions.table(part).splitlines()[2:]]
    assert len(rows) == len(ENTRIES)
    keys = (ROOT / "book" / "references.bib").read_text()
    for entry in ENTRIES:
        assert f"{{{entry['source']}," in keys, entry["source"]
        assert sum(f"(#{entry['figure']})" in row and entry["claim"][:40] in row for row in rows) >= 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"find": "gap against depth: (.*)"}, "matches 0 outputs"),
        ({"find": "(slope)", "figure": "fig-taylor-orders"}, "matches 3 outputs"),
        ({"figure": "fig-taylor-nothing"}, "has no figure fig-taylor-nothing, it has"),
        ({"between": [-0.6, -0.5]}, "found -0.88, the source has -0.6 to -0.5: say why it disagrees"),
        ({"why": "no reason"}, "it agrees: take `why` out"),
        ({"tolerance": 1}, "entries are"),
    ],
)
def test_what_is_refused(change, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(").replace("[", r"\[")):
        reproductions._judged(EXAMPLE | change)


def test_disagreement_is_said():
    entry = reproductions._judged(EXAMPLE | {"between": [-0.6, -0.5], "why": "the task differs"})
    assert entry["agrees"] is False and entry["ours"] == "−0.88 ± 0.03"


def test_standard_errors_count_twice():
    assert reproductions._judged(EXAMPLE | {"between": [-0.83, -0.5]})["agrees"]
    with pytest.raises(ValueError, match="say why"):
        reproductions._judged(EXAMPLE | {"between": [-0.81, -0.5]})
