"""The form of a chapter, and that its text and its notebook agree. CONTRIBUTING.md explains the form."""

import re
import sys
from pathlib import Path

import jupytext
import nbformat
import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tools"))
from nb import PICTURES, chapters, clean, pictures  # noqa: E402
from setup_cell import setup_cell  # noqa: E402

SECTIONS = [  # second-level headings that stand in every chapter, in this order, others in between
    "You will be able to",
    "Where it breaks",
    "Check yourself",
    "Exercises",
    "Questions readers ask",
    "Summary",
    "What is next",
    "Further reading",
]
MARKERS = re.compile(r"NBVAL_|PYTEST_VALIDATE_", re.I)
CHAPTERS = pytest.mark.parametrize("text", chapters(ROOT), ids=lambda path: path.stem)


def read(path: Path):
    assert path.exists(), f"{path.relative_to(ROOT)} is listed in _toc.yml: write it, or take it out there"
    return jupytext.read(path)


def code(notebook) -> list:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tags(cell) -> list[str]:
    return cell.metadata.get("tags", [])


def solutions(notebook) -> list:
    return [cell for cell in code(notebook) if "hide-cell" in tags(cell)]


def prose(notebook) -> str:
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def section(notebook, title: str) -> str:
    """Return the prose under the second-level heading `title`."""
    found = re.search(rf"^## {re.escape(title)}\b.*?\n(.*?)(?=^## |\Z)", prose(notebook), re.M | re.S)
    assert found, f"The section '## {title}' is missing"
    return found[1]


def blocks(kind: str, source: str) -> list[str]:
    """Return what stands in each <details class="kind"> of `source`."""
    return re.findall(rf'<details class="{kind}">(.*?)</details>', source, re.S)


def test_there_are_chapters():
    assert chapters(ROOT), "_toc.yml lists no chapter"


def test_every_chapter_is_in_the_toc():
    there = {path.with_suffix(".py") for path in (ROOT / "book").glob("*/*.ipynb")}
    assert there <= set(chapters(ROOT)), "Add to _toc.yml, or remove: " + str(there - set(chapters(ROOT)))


# Text and notebook


@CHAPTERS
def test_the_notebook_is_the_text(text):
    def cells(notebook):
        keep = ("tags", "mystnb")
        return [(c.cell_type, c.source, {k: c.metadata[k] for k in keep if k in c.metadata}) for c in notebook.cells]

    for i, (wanted, found) in enumerate(zip(cells(read(text)), cells(read(text.with_suffix(".ipynb"))), strict=False)):
        assert wanted == found, f"Cell {i} of the notebook is not the text's: make notebooks CHAPTER={text.stem}"
    assert len(cells(read(text))) == len(cells(read(text.with_suffix(".ipynb")))), f"make notebooks CHAPTER={text.stem}"


@CHAPTERS
def test_the_notebook_has_run_in_order_and_quietly(text):
    remedy = f"run `make notebooks CHAPTER={text.stem}`"
    cells = [cell for cell in code(read(text.with_suffix(".ipynb"))) if cell.source.strip()]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1)), (
        f"Not run from top to end: {remedy}"
    )
    for cell in cells:
        assert not MARKERS.search(cell.source + " ".join(tags(cell)).replace("-", "_")), (
            f"Take the nbval marker out, every output is checked:\n{cell.source}"
        )
        for output in cell.outputs:
            assert output.get("name") != "stderr", f"Printed to stderr, so not reproducible: {output.text}"
            assert output.output_type != "error", f"This cell fails:\n{cell.source}"
            shown = output.get("text", "") + output.get("data", {}).get("text/plain", "")
            assert not re.search(r" at 0x[0-9a-f]{6,}", shown), (
                f"Prints an address; end the cell otherwise:\n{cell.source}"
            )


@CHAPTERS
def test_the_notebook_file_is_as_the_tool_writes_it(text):
    path = text.with_suffix(".ipynb")
    notebook = nbformat.read(read(path) and path, as_version=4)
    clean(notebook)
    assert nbformat.writes(notebook) + "\n" == path.read_text(), f"Write it by `make notebooks CHAPTER={text.stem}`"
    assert path.stat().st_size < 500_000, "The notebook weighs over 0.5 MB: make figures smaller or fewer"


# Form


@CHAPTERS
def test_sections(text):
    notebook = read(text)
    title = re.match(r"# .+\n\n(\S.+?)(\n\n|\Z)", notebook.cells[0].source, re.S)
    assert title, "A chapter starts with '# Title', an empty line, and its promise in one sentence"
    promise = " ".join(title[1].split())
    assert len(promise.split()) <= 45, (
        f"The promise under the title has {len(promise.split())} words: one short sentence"
    )
    headings = re.findall(r"^## (.+)$", prose(notebook), re.M)
    places = [next((i for i, h in enumerate(headings) if h.startswith(s)), None) for s in SECTIONS]
    missing = [s for s, place in zip(SECTIONS, places, strict=True) if place is None]
    assert not missing, f"Sections missing (as second-level headings): {missing}"
    assert places == sorted(places), f"Put the sections in this order: {SECTIONS}"
    assert len(re.findall(r"^# ", prose(notebook), re.M)) == 1, "Only the title is a first-level heading"


@CHAPTERS
def test_set_up_cell(text):
    first = code(read(text))[0]
    assert first.source == setup_cell(ROOT), "The first code cell must be what `python tools/setup_cell.py` prints"
    assert tags(first) == ["hide-input"], "Tag the set-up cell (and nothing else) hide-input"


@CHAPTERS
def test_goals(text):
    goals = re.findall(r"^[-*] .+", section(read(text), "You will be able to"), re.M)
    assert 3 <= len(goals) <= 6, f"{len(goals)} goals; list three to five, each starting with a verb"


@CHAPTERS
def test_predictions(text):
    answers = blocks("answer", prose(read(text)))
    assert len(answers) >= 3, f'{len(answers)} <details class="answer">: ask for a prediction at least three times'
    assert all(re.search(r"<summary>.+</summary>\s*\n\n\S", a) for a in answers), (
        "Each answer needs a <summary>, an empty line, and the answer"
    )


@CHAPTERS
def test_quiz(text):
    source = section(read(text), "Check yourself")
    questions = re.findall(r'<div class="quiz">(.*?)</div>', source, re.S)
    assert 3 <= len(questions) <= 4, f'{len(questions)} quiz questions (<div class="quiz">); 3 or 4 are wanted'
    for question in questions:
        answers = re.findall(
            r'<details class="(right|wrong)"><summary>(.+?)</summary>\n\n(.+?)\n\n</details>', question, re.S
        )
        assert len(answers) == question.count("<details"), (
            f"An answer is not of the form in CONTRIBUTING.md:\n{question}"
        )
        assert len(answers) >= 3, f"Give at least three answers:\n{question}"
        assert [kind for kind, _, _ in answers].count("right") == 1, f"Exactly one answer is right:\n{question}"
        for _, summary, feedback in answers:
            assert len(feedback.split()) >= 4, f"Say why this answer is right or wrong: {summary}"
            assert "$" not in summary, f"A <summary> shows no $maths$; use unicode or HTML: {summary}"
    assert re.match(r"\s*\*\*\d", questions[0]), "Number the questions in bold: **1.** …"


@CHAPTERS
def test_exercises(text):
    notebook = read(text)
    source = section(notebook, "Exercises")
    labels = re.findall(r"^:::\{exercise\} \S.*\n:label: (ex-[a-z0-9-]+)$", source, re.M)
    assert len(labels) == len(re.findall(r"\{exercise\}", source)), (
        "Exercises look so: :::{exercise} Title, :label: ex-…"
    )
    assert 4 <= len(labels) <= 6, f"{len(labels)} exercises; 4 to 6 are wanted"
    assert len(set(labels)) == len(labels), f"A label stands twice: {labels}"
    assert len(blocks("hint", source)) == len(labels), (
        'Each exercise has one <details class="hint"><summary>Hint</summary>'
    )
    cells = solutions(notebook)
    assert len(cells) == len(labels), f"{len(cells)} solution cells (tag hide-cell) for {len(labels)} exercises"
    for cell in cells:
        check = re.search(rf"^ntk\.exercises\.{text.stem}\.check_\w+\(.*\)$", cell.source.splitlines()[-1])
        assert check, f"A solution ends in ntk.exercises.{text.stem}.check_…(answer):\n{cell.source}"
        shown = cell.metadata.get("mystnb", {})
        assert shown.get("code_prompt_show") == "Show solution", (
            f'Give the cell mystnb={{"code_prompt_show": "Show solution", …_hide: "Hide solution"}}:\n{cell.source}'
        )
    for cell in solutions(read(text.with_suffix(".ipynb"))):
        assert cell.outputs, f"The self-check must say something that is stored:\n{cell.source}"


@CHAPTERS
def test_teachers(text):
    plans = blocks("teachers", prose(read(text)))
    assert len(plans) == 1, 'One <details class="teachers"><summary>For teachers</summary> is wanted'
    for word in ("50 minutes", "90 minutes", "isconception"):
        assert word in plans[0], f"The teachers' part says nothing of '{word}'"


@CHAPTERS
def test_figures(text):
    cells = [
        c for c in code(read(text.with_suffix(".ipynb"))) if any("image/png" in o.get("data", {}) for o in c.outputs)
    ]
    assert 5 <= len(cells) <= 8, f"{len(cells)} figures; 5 to 8 are wanted"
    names = []
    for cell in cells:
        shown = cell.metadata.get("mystnb", {})
        alt, figure = shown.get("image", {}).get("alt", ""), shown.get("figure", {})
        assert len(alt.split()) >= 8, (
            f"Describe the figure in mystnb image alt, for one who cannot see it:\n{cell.source}"
        )
        assert len(figure.get("caption", "").split()) >= 6, f"Give the figure a caption (mystnb figure):\n{cell.source}"
        assert re.fullmatch(r"fig-[a-z0-9-]+", figure.get("name", "")), f"Name the figure fig-…:\n{cell.source}"
        names.append(figure["name"])
    assert len(set(names)) == len(names), f"Two figures have one name: {names}"


@CHAPTERS
def test_claims_are_asserted(text):
    asserts = [line for cell in code(read(text)) for line in cell.source.splitlines() if line.startswith("assert ")]
    assert len(asserts) >= 5, f"{len(asserts)} asserts: what the text claims of an experiment, a cell asserts"


@CHAPTERS
def test_sizes(text):
    notebook = read(text)
    extra = solutions(notebook)
    main = [cell for cell in code(notebook)[1:] if cell not in extra]  # without the set-up cell
    assert 12 <= len(main) <= 20, f"{len(main)} code cells besides set-up and solutions; 12 to 20 are wanted"
    lengths = [len([line for line in cell.source.splitlines() if line.strip()]) for cell in main]
    assert max(lengths) <= 25, f"A code cell has {max(lengths)} lines; 25 at most: move plumbing into the package"
    mean = sum(lengths) / len(lengths)
    assert round(mean) <= 8, f"Code cells have {mean:.1f} lines on average; 8 at most: figures go into plotting.py"
    for cell in main + extra:
        for line in cell.source.splitlines():
            assert len(line) <= 88, f"{len(line)} characters in a code line, 88 at most: {line}"
    plain = re.sub(r"<[^>]+>|(?s:\$\$.*?\$\$)|\$[^$]*\$|`[^`]*`|^:::.*$|^:\w+:.*$", " ", prose(notebook), flags=re.M)
    words = len(re.findall(r"[^\W\d_]{2,}", plain))
    assert 1800 <= words <= 3500, f"{words} words; 1,800 to 3,500 are wanted"
    runs = "".join("c" if cell.cell_type == "code" and cell not in extra else "m" for cell in notebook.cells)
    assert runs.count("cc") <= len(main) / 5, (
        f"{runs.count('cc')} code cells follow straight on another: say what each asks"
    )


@CHAPTERS
def test_citations(text):
    keys = set(re.findall(r"^@\w+\{([^,\s]+),", (ROOT / "book" / "references.bib").read_text(), re.M))
    cited = {
        k.strip() for group in re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", prose(read(text))) for k in group.split(",")
    }
    assert cited, "Cite where the results come from"
    assert cited <= keys, f"Not in book/references.bib: {sorted(cited - keys)}"
    reading = section(read(text), "Further reading")
    assert len(re.findall(r"\{cite", reading)) >= 3, "Further reading: at least three works, a sentence on each"


def test_pictures_shown_elsewhere_are_the_chapters():
    shown = {}
    for text in chapters(ROOT):
        shown |= pictures(read(text.with_suffix(".ipynb")))
    assert set(shown) == set(PICTURES.values()), "A figure that README or the landing page shows is in no chapter"
    for path, image in shown.items():
        assert (ROOT / path).read_bytes() == image, f"{path} is not what its chapter draws: run `make notebooks`"
        assert path in (ROOT / "README.md").read_text(), f"README.md does not show {path}"
