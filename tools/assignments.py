"""Derive each assignment's student notebook, solution and autograder from its one source, by otter-grader.

python tools/assignments.py                  all, into _build/assignments/, student versions into assignments/student/
python tools/assignments.py --seed 7         with other numbers in the tasks, for a course; student/ stays as it is
python tools/assignments.py linearization    one of them
"""

from __future__ import annotations

import argparse
import contextlib
import io
import re
import shutil
import tempfile
import zipfile
from pathlib import Path

import jupytext
import nbformat
from lock import locked
from nb import clean
from setup_cell import setup_cell

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ROOT / "assignments"
STUDENT = SOURCES / "student"  # committed: Colab opens notebooks from the repository
BUILT = ROOT / "_build" / "assignments"
SEED = re.compile(r"^SEED = \d+", re.M)
ARCHIVE = "autograder.zip"

PUBLIC_TESTS = """\
# The public tests, for grader.check. Nothing to do here: run it and go on.
if importlib.util.find_spec("otter") is None:
    keep = [f"{{name}}=={{importlib.metadata.version(name)}}" for name in ("jax", "jaxlib", "numpy")]
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "otter-grader=={version}", *keep], check=True)

import numpy as np, otter, pathlib, tempfile
tests = pathlib.Path(tempfile.mkdtemp())
{files}
grader = otter.Notebook(tests_dir=str(tests))"""


def sources(names: list[str] = ()) -> list[Path]:
    """Return the sources of the assignments called so, or of all."""
    known = {path.stem: path for path in sorted(SOURCES.glob("*.py"))}
    if unknown := set(names) - set(known):
        raise SystemExit(f"No assignment {', '.join(sorted(unknown))}. There are: {', '.join(known)}")
    return [known[name] for name in names or known]


def master(source: Path, seed: int = 0):
    """Return a source as the notebook that otter reads: with the set-up cell, and the seed written into it."""
    nb = jupytext.read(source)
    for cell in nb.cells:
        cell.source = SEED.sub(f"SEED = {seed}", cell.source)
    first = next(i for i, cell in enumerate(nb.cells) if cell.cell_type == "code")
    nb.cells.insert(first, nbformat.v4.new_code_cell(setup_cell(), metadata={"tags": ["hide-input"]}))
    return nb


def derive(source: Path, folder: Path, seed: int = 0) -> Path:
    """Write NAME-student.ipynb, NAME-solution.ipynb and autograder.zip into `folder`/NAME; return that folder."""
    from otter.assign import main as assign

    target = folder / source.stem
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as work, contextlib.redirect_stdout(io.StringIO()):
        notebook, dist = Path(work) / f"{source.stem}.ipynb", Path(work) / "dist"
        nbformat.write(master(source, seed), notebook)
        assign(str(notebook), str(dist), no_pdfs=True, no_run_tests=True)
        (archive,) = (dist / "autograder").glob("*.zip")
        shutil.copy(archive, target / ARCHIVE)
        public = {path.stem: path.read_text() for path in sorted((dist / "student" / "tests").glob("*.py"))}
        for made, role in (("student", "student"), ("autograder", "solution")):
            nb = nbformat.read(dist / made / notebook.name, as_version=4)
            finish(nb, source.stem, public)
            nbformat.write(nb, target / f"{source.stem}-{role}.ipynb")
    return target


def finish(nb, name: str, public: dict[str, str]) -> None:
    """Put the public tests into a cell behind the set-up cell: a notebook on Colab has no files beside it."""
    nb.cells = [cell for cell in nb.cells if "otter.Notebook(" not in cell.source]
    first = next(i for i, cell in enumerate(nb.cells) if cell.cell_type == "code")
    files = "\n".join(f'(tests / "{q}.py").write_text(r"""{text.strip()}\n""")\n' for q, text in public.items())
    source = PUBLIC_TESTS.format(version=locked()["otter-grader"], files=files)
    hidden = {"tags": ["hide-input"], "cellView": "form", "jupyter": {"source_hidden": True}}  # on Colab, in Jupyter
    nb.cells.insert(first + 1, nbformat.v4.new_code_cell(source, metadata=hidden))
    nb.metadata["otter"] = {"assignment_name": name}
    clean(nb)


def tests(folder: Path) -> dict[str, str]:
    """Return the tests, hidden ones too, of the assignment that was derived into `folder`, by question."""
    with zipfile.ZipFile(folder / ARCHIVE) as archive:
        names = [name for name in archive.namelist() if re.fullmatch(r"tests/\w+\.py", name)]
        return {Path(name).stem: archive.read(name).decode() for name in sorted(names)}


def main() -> None:
    """Derive the assignments named on the command line, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="assignments; all without")
    parser.add_argument("--seed", type=int, default=0, help="of the tasks' numbers")
    options = parser.parse_args()
    for source in sources(options.names):
        target = derive(source, BUILT, options.seed)
        if options.seed == 0:
            STUDENT.mkdir(exist_ok=True)
            shutil.copy(target / f"{source.stem}-student.ipynb", STUDENT / f"{source.stem}.ipynb")
        print(f"{source.stem}: {target.relative_to(ROOT)}", flush=True)


if __name__ == "__main__":
    main()
