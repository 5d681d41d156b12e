"""Grade a folder of submitted notebooks: scores as a table, and a text of feedback for each.

python tools/grade.py submissions/ grades/    writes grades/grades.csv, and grades/NAME.txt for submissions/NAME.ipynb

The tests are otter-grader's, and otter-grader runs them, here; what a submission's names hold is asked from a process
of its own (tools/confined.py), so that a submission can neither read a test nor write a score. Every submission ends in
a verdict: `graded 17/20`, `stopped: ran longer than 120 s (in code cell 5)`, `refused: tried to read ...`.
"""

from __future__ import annotations

import argparse
import csv
import functools
import os
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from confined import Confined, Limits, Stopped

from assignments import BUILT, ROOT, tests

os.environ.setdefault("JAX_PLATFORMS", "cpu")
LARGEST = 50 * 2**20  # bytes of a notebook
HIDDEN = "A test that you have not seen: "


@dataclass
class Grade:
    """What came of one submission: a verdict in one line, points by question, and what to tell the student."""

    verdict: str
    points: dict[str, float] = field(default_factory=dict)
    possible: float = 0.0
    feedback: str = ""

    @property
    def score(self) -> float:
        return sum(self.points.values())


def grade(notebook: Path, folder: Path, limits: Limits = Limits(), course: tuple[Path, ...] = ()) -> Grade:  # noqa: B008
    """Grade a notebook by the tests that `tools/assignments.py` derived into `folder`."""
    try:
        cells = cells_of(notebook)
    except Exception as error:  # what nbformat raises on a file that is no notebook is not documented
        return Grade(f"refused: not a notebook ({type(error).__name__})")
    files = parsed(tests(folder))
    forbidden = [ROOT / "assignments", ROOT / "tests", ROOT / "tools", BUILT, folder, notebook.parent, *course]
    try:
        with Confined(cells, limits, forbidden) as submission:
            failed = submission.run()
            names = submission.names(given(folder))
            for file in files:
                file.run(names)
    except Stopped as stopped:
        return Grade(str(stopped), {file.name: 0.0 for file in files}, sum(file.possible for file in files))
    return judged(files, failed)


def judged(files, failed: dict[int, str]) -> Grade:
    """Return the grade that test files have found which were run."""
    points = {file.name: float(file.score) for file in files}
    possible = sum(file.possible for file in files)
    verdict = f"graded {sum(points.values()):g}/{possible:g}"
    return Grade(verdict, points, possible, report(verdict, files, failed))


def read(notebook: Path):
    """Return a notebook; raise an exception of any kind where the file holds none."""
    if (size := notebook.stat().st_size) > LARGEST:
        raise ValueError(f"{notebook} has {size} bytes; at most {LARGEST} are read")
    return nbformat.read(notebook, as_version=4)


def cells_of(notebook: Path) -> list[str]:
    """Return the sources of a notebook's code cells."""
    return [cell.source for cell in read(notebook).cells if cell.cell_type == "code"]


def parsed(sources: dict[str, str]):
    """Return otter's test files."""
    from otter.test_files import ExceptionTestFile

    return [ExceptionTestFile.from_string(source, f"{question}.py") for question, source in sources.items()]


@functools.cache
def given(folder: Path) -> dict:
    """Return the names that tests do not take from a submission: libraries, and what an assignment gives to students.

    The latter is run here, from the cells that the student version and the solution share.
    """
    import jax
    import jax.numpy as jnp
    import numpy as np

    import ntk_tutorial as ntk

    jax.config.update("jax_enable_x64", True)
    names = {"jax": jax, "jnp": jnp, "np": np, "ntk": ntk}
    student, solution = (cells_of(folder / f"{folder.name}-{role}.ipynb") for role in ("student", "solution"))
    for cell in solution[2:]:  # behind the set-up and the public tests
        if cell in student and not cell.startswith("grader."):
            exec(cell, names)
    return names


def report(verdict: str, files, failed: dict[int, str]) -> str:
    """Return what a student is told: question by question, what failed and why."""
    lines = [verdict, ""]
    for file in files:
        lines.append(f"{file.name}: {file.score:g} of {file.possible:g}")
        failed_here = [result for result in file.test_case_results if not result.passed]
        lines += [f"  - {HIDDEN * result.test_case.hidden}{reason(result.message)}" for result in failed_here]
    lines += ["", "Code cells that ended in an error:"] * bool(failed)
    return "\n".join([*lines, *(f"  - cell {number}: {error}" for number, error in failed.items())]) + "\n"


def reason(message: str) -> str:
    """Return the words of a failed assertion. otter says before it: failed, in which line, and that line."""
    return "\n".join(message.splitlines()[3:]).removeprefix("AssertionError: ").removeprefix("NoAnswer: ")


def name_of(notebook: Path) -> str | None:
    """Return the assignment that a notebook belongs to, which its metadata say."""
    try:
        return read(notebook).metadata["otter"]["assignment_name"]
    except Exception:
        return None


def grade_folder(submissions: Path, output: Path, limits: Limits) -> list[tuple[str, str | None, Grade]]:
    """Grade each notebook of a folder, and write feedback and the table; return what is in it."""
    output.mkdir(parents=True, exist_ok=True)
    known = {folder.name for folder in BUILT.glob("*") if (folder / "autograder.zip").exists()}
    rows = []
    with (output / "grades.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "assignment", "verdict", "score", "possible", "by question"])
        for notebook in sorted(submissions.glob("*.ipynb")):
            name = name_of(notebook)
            result = Grade(f"refused: belongs to no assignment ({name or 'the file names none'})")
            if name in known:
                result = grade(notebook, BUILT / name, limits, (submissions, output))
            (output / f"{notebook.stem}.txt").write_text(result.feedback or result.verdict + "\n")
            by_question = " ".join(f"{question}={points:g}" for question, points in result.points.items())
            score = (f"{result.score:g}", f"{result.possible:g}")
            table.writerow([notebook.name, name, result.verdict, *score, by_question])
            file.flush()  # what is graded is kept, whatever happens to the next
            rows.append((notebook.name, name, result))
            print(f"{notebook.name}: {result.verdict}", flush=True)
    return rows


def main() -> None:
    """Grade the folder named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("submissions", type=Path, help="folder of notebooks")
    parser.add_argument("output", type=Path, help="folder for grades.csv and the feedback")
    parser.add_argument("--seconds", type=float, default=Limits.seconds, help="for one submission")
    parser.add_argument("--gigabytes", type=float, default=Limits.gigabytes, help="for one submission")
    options = parser.parse_args()
    if not any(options.submissions.glob("*.ipynb")):
        raise SystemExit(f"No notebook (*.ipynb) in {options.submissions}: name the folder with the submissions")
    if not any(BUILT.glob("*/autograder.zip")):
        raise SystemExit(f"No autograder in {BUILT}: run `make assignments` first")
    grade_folder(options.submissions, options.output, Limits(options.seconds, options.gigabytes))


if __name__ == "__main__":
    main()
