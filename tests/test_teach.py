"""The pages for teachers: what is drawn from chapters is complete, and what is written by hand names what is there."""

import operator
import re
import sys
from collections import Counter
from pathlib import Path

import pytest

import ntk_tutorial as ntk

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "book" / "_ext"), str(ROOT / "tools")]
import teach  # noqa: E402
from nb import chapters  # noqa: E402

TEACH = ROOT / "book" / "teach"
CHAPTERS = chapters(ROOT)
LABELS = re.findall(r"^# :label: (ex-\S+)$", "\n".join(path.read_text() for path in CHAPTERS), re.M)
DROPDOWN = '<details class="teachers"><summary>For teachers</summary>\n\n{}\n\n</details>'
PARAGRAPHS = ("*Plan for 50 minutes.* Vote (5).", "**90 minutes.** The same.", "*Misconceptions.* None.")


def names(paths) -> list[str]:
    """Return chapters as a link names them."""
    return [f"/{path.relative_to(ROOT).with_suffix('')}" for path in paths]


def test_the_pages_know_all_chapters():
    assert [path.with_suffix(".py") for paths in teach.parts().values() for path in paths] == CHAPTERS


@pytest.mark.parametrize("text", CHAPTERS, ids=lambda path: path.stem)
def test_every_chapter_has_plans(text):
    notebook = text.with_suffix(".ipynb")
    drawn = teach.plan(notebook.name, teach.text(notebook))
    assert list(drawn) == ["50 minutes", "90 minutes", "Misconceptions"]
    for words in drawn.values():
        assert len(words) > 40 and not words.startswith("*") and words in teach.page("plans")


def test_plans_are_found_in_either_form():
    drawn = teach.plan("x.ipynb", "words\n\n" + DROPDOWN.format("\n\n".join(PARAGRAPHS)))
    assert list(drawn.values()) == ["Vote (5).", "The same.", "None."]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("no dropdown", 'x.ipynb has no <details class="teachers">'),
        (DROPDOWN.format("\n\n".join(PARAGRAPHS[1:])), "x.ipynb: .* 50 minutes must begin one paragraph, not 0"),
        (DROPDOWN.format("\n\n".join(PARAGRAPHS[:2])), "x.ipynb: .* Misconceptions must begin one paragraph, not 0"),
        (DROPDOWN.format("\n\n".join(PARAGRAPHS + PARAGRAPHS[1:2])), "90 minutes must begin one paragraph, not 2"),
    ],
)
def test_a_chapter_without_plans_is_refused(words, message):
    with pytest.raises(ValueError, match=message):
        teach.plan("x.ipynb", words)


def test_the_index_has_every_exercise():
    rows = [line for line in teach.page("exercises").splitlines() if "{ref}" in line]
    assert Counter(re.findall(r"<(ex-\S+)>`", "\n".join(rows))) == Counter(LABELS)
    assert all(re.search(r"\| ★{1,3} \|$", row) for row in rows), "An exercise begins with one to three stars"


def test_the_index_has_every_question():
    listed = re.findall(r'^- <a href="\.\./(\S+)\.html#check-yourself">\d+\.</a> \S', teach.page("questions"), re.M)
    quizzes = {name: (ROOT / f"{name[1:]}.py").read_text().count('<div class="quiz">') for name in names(CHAPTERS)}
    assert Counter(f"/book/{name}" for name in listed) == quizzes


def test_the_syllabus_has_every_chapter_once():
    weeks = re.findall(r"\*\*Chapters\.\*\*(.*?)\n\n", (TEACH / "syllabus.md").read_text(), re.S)
    assert len(weeks) == 6
    assert sorted(re.findall(r"\{doc\}`(.+?)`", "".join(weeks))) == sorted(names(CHAPTERS))


def test_the_syllabus_asks_for_exercises_that_exist():
    """And each week for some of its own chapters."""
    weeks = re.split(r"^## ", (TEACH / "syllabus.md").read_text(), flags=re.M)[1:7]
    for week in weeks:
        asked = re.findall(r"\{ref\}`(.+?)`", week)
        taught = [path for path, name in zip(CHAPTERS, names(CHAPTERS), strict=True) if f"`{name}`" in week]
        assert asked and set(asked) <= set(LABELS)
        for label in asked:
            assert any(f":label: {label}\n" in path.read_text() for path in taught), f"{label} is of another week"


def test_the_self_test_has_one_right_answer_a_question_and_a_reason_for_each():
    questions = re.findall(r'<div class="quiz">(.*?)</div>', (TEACH / "prerequisites.md").read_text(), re.S)
    assert [int(re.match(r"\s*\*\*(\d+)\.\*\*", question)[1]) for question in questions] == list(range(1, 9))
    form = r'<details class="(right|wrong)"><summary>(.+?)</summary>\n\n(.+?)\n\n</details>'
    for question in questions:
        answers = re.findall(form, question, re.S)
        assert len(answers) == question.count("<details") >= 3
        assert [kind for kind, _, _ in answers].count("right") == 1, question
        for kind, summary, reason in answers:
            assert len(reason.split()) >= 4 and "$" not in summary, summary
            assert kind == "right" or re.search(r"\{(doc|cite)\}`", reason), f"Where to read on? {summary}"


def test_the_pages_name_functions_that_exist():
    named = {name for page in TEACH.glob("*.md") for name in re.findall(r"`ntk\.([\w.]+)", page.read_text())}
    assert len(named) > 15
    for name in named:
        operator.attrgetter(name)(ntk)  # raises AttributeError where there is none
