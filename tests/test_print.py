"""`make pdf` prints the book: what is missing is named, all chapters are there, and their numbers are the site's."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml

ROOT = Path(__file__).parents[1]
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text())
CHAPTERS = [
    ROOT / f"{entry['file']}.ipynb"
    for part in TOC["parts"]
    for entry in part["chapters"]
    if (ROOT / f"{entry['file']}.ipynb").exists()
]
WORDS = {path: [c.source for c in nbformat.read(path, 4).cells if c.cell_type == "markdown"] for path in CHAPTERS}


@pytest.fixture(scope="module")
def tex(tmp_path_factory):
    """The folder with the book as LaTeX."""
    out = tmp_path_factory.mktemp("print")
    build = [Path(sys.executable).with_name("jupyter-book"), "build", ROOT, "--builder", "latex", "-W", "--keep-going"]
    done = subprocess.run([*build, "--path-output", out, "--quiet"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return out / "_build" / "latex"


def test_make_pdf_names_what_is_missing(tmp_path):
    for tool in ("make", "bash", "sh"):
        (tmp_path / tool).symlink_to(shutil.which(tool))
    env = {**os.environ, "PATH": str(tmp_path)}
    done = subprocess.run([tmp_path / "make", "-C", ROOT, "pdf"], env=env, capture_output=True, text=True)
    assert done.returncode != 0 and "latexmk xelatex" in done.stdout and "apt-get install" in done.stdout, done


def test_the_printed_book_has_all_chapters_figures_and_answers(tex):
    book = (tex / "ntk-tutorial.tex").read_text()
    titles = re.findall(r"\\chapter\{(.*)\}", book)
    assert [t.replace(r"\sphinxhyphen{}", "-") for t in titles[: len(CHAPTERS)]] == [
        words[0].split("\n")[0].removeprefix("# ") for words in WORDS.values()
    ]
    assert not re.search(r"</?(details|summary|div)", book)
    for path in CHAPTERS:
        for cell in nbformat.read(path, 4).cells:
            name = cell.metadata.get("mystnb", {}).get("figure", {}).get("name")
            assert not name or len(re.findall(rf"\\label\{{[^}}]*:{name}\}}", book)) == 1, name


def test_numbers_in_a_cell_of_a_table_stay_apart(tex):
    book = (tex / "ntk-tutorial.tex").read_text()
    table = book.split(r"\chapter{Reproductions}")[1].split(r"\part{")[0]
    lines = (ROOT / "book/practice/claims.yaml").read_text()
    assert "find:\n" in lines and table.count("; ") >= lines.count("find:\n")  # several numbers in one cell


def test_reasons_of_a_quiz_stand_among_the_answers(tex):
    book = (tex / "ntk-tutorial.tex").read_text()
    chapters = re.split(r"\\chapter\{", book)[1 : len(CHAPTERS) + 1]
    for chapter, (path, words) in zip(chapters, WORDS.items(), strict=True):
        text, answers = chapter.split(r"\section{Answers}")
        marks = [len(re.findall(rf'class="{kind}"', "\n".join(words))) for kind in ("right", "wrong", "hint", "answer")]
        found = [answers.count(f", {kind}: ") for kind in ("right", "wrong")]
        found += [answers.count("Hint for exercise "), text.count("(The answer is at the end of the chapter.)")]
        assert found == marks, path.name
        assert not re.search(r"Hint for exercise\s*\}|, right: ", text) and "Misconceptions" not in chapter


@pytest.mark.skipif(
    not (shutil.which("xelatex") and shutil.which("latexmk")), reason="TeX is not installed: see `make pdf`"
)
def test_pages_have_every_character_reference_and_margin(tex):
    run = ["latexmk", "-xelatex", "-interaction=nonstopmode", "-silent", "ntk-tutorial.tex"]
    done = subprocess.run(run, cwd=tex, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    log = (tex / "ntk-tutorial.log").read_text(errors="replace")
    aux = (tex / "ntk-tutorial.aux").read_text()
    assert "Missing character" not in log
    assert not re.search(r"Warning: (Hyper reference|Reference|Citation).*\n?.*undefined", log)
    assert max(map(float, re.findall(r"Overfull \\hbox \(([\d.]+)pt", log)), default=0) < 12
    assert 250 < int(re.search(r"\((\d+) pages", log.replace("\n", ""))[1]) < 700
    for number, (path, words) in enumerate(WORDS.items(), 1):  # as on the site: in order, anew in each chapter
        cells = nbformat.read(path, 4).cells
        figures = [c.metadata.get("mystnb", {}).get("figure", {}).get("name") for c in cells]
        equations = re.findall(r"^\$\$ \((eq-[\w-]+)\)", "\n\n".join(words), re.M)
        for names in (filter(None, figures), equations):
            for place, name in enumerate(names, 1):
                found = re.search(rf"\\newlabel\{{[^}}]*:{name}\}}\{{\{{(.*?)\}}", aux)
                assert found and found[1] == f"{number}.{place}", name
