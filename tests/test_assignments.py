"""Assignments: what is derived from their sources, what is graded, and that hostile code ends in a verdict."""

import ast
import json
import re
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import nbformat
import numpy as np
import otter.assign
import otter.test_files  # noqa: F401  here, where a warning of what it imports is not yet an error
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "tests")]
import grade  # noqa: E402
import wire  # noqa: E402
from confined import Confined, Limits, Names, Stopped  # noqa: E402
from wrong_answers import WRONG  # noqa: E402

import assignments  # noqa: E402

SOURCES = assignments.sources()
NAMES = [source.stem for source in SOURCES]


@pytest.fixture(scope="module", autouse=True)
def random_numbers():
    """Those that a notebook draws: conftest.py has chosen others, which are faster."""
    jax.config.update("jax_default_prng_impl", "threefry2x32")
    yield
    jax.config.update("jax_default_prng_impl", "unsafe_rbg")


@pytest.fixture(scope="module")
def derived(tmp_path_factory):
    """The folders of all assignments, by name."""
    folder = tmp_path_factory.mktemp("assignments")
    return {source.stem: assignments.derive(source, folder) for source in SOURCES}


def text(notebook: Path) -> str:
    return "\n".join(cell.source for cell in nbformat.read(notebook, as_version=4).cells)


def with_cells(notebook: Path, cells: list[str], path: Path) -> Path:
    """Write a notebook with further cells at its end to `path`, as a student might hand it in."""
    nb = nbformat.read(notebook, as_version=4)
    nb.cells += [nbformat.v4.new_code_cell(cell) for cell in cells]
    nbformat.write(nb, path)
    return path


def test_there_is_one_for_each_part():
    parts = {"linearization", "lazy_training", "inductive_bias", "practice"}
    assert {*parts, "final_project"} == set(NAMES) == set(WRONG)
    page = (ROOT / "book" / "teach" / "assignments.md").read_text()
    for name in NAMES:
        assert page.count(f"/assignments/student/{name}.ipynb") == 2, "to open, and as a file"


@pytest.mark.parametrize("name", NAMES)
def test_the_student_version_is_up_to_date(name, derived):
    committed = ROOT / "assignments" / "student" / f"{name}.ipynb"
    made = derived[name] / f"{name}-student.ipynb"
    assert committed.read_text() == made.read_text(), "run `make assignments` and commit assignments/student"


@pytest.mark.parametrize("name", NAMES)
def test_solutions_and_hidden_tests_are_not_in_the_student_version(name, derived):
    student = (derived[name] / f"{name}-student.ipynb").read_text()
    source = (ROOT / "assignments" / f"{name}.py").read_text()
    hidden = re.findall(r"^# HIDDEN\ndef (\w+)\(", source, re.M)
    solved = re.findall(r"^    # BEGIN SOLUTION\n(.+?)^    # END SOLUTION", source, re.S | re.M)
    questions = assignments.tests(derived[name])
    assert len(hidden) == len(questions) == source.count("# # BEGIN QUESTION\n") and 4 <= len(questions) <= 6
    for function, tests in zip(hidden, questions.values(), strict=True):
        assert f"def {function}(" in tests and "hidden=True" in tests, "every task has a hidden test"
        assert "hidden=False" in tests, "and one that students see"
        assert function not in student
    lines = {line.strip() for body in solved for line in body.splitlines() if len(line.strip()) > 20}
    assert lines and not [line for line in lines if line.replace('"', '\\"') in student]
    assert "SOLUTION" not in student and "hidden=True" not in student


@pytest.mark.parametrize("name", NAMES)
def test_the_untouched_version_scores_nothing(name, derived):
    result = grade.grade(derived[name] / f"{name}-student.ipynb", derived[name])
    assert result.verdict == f"graded 0/{result.possible:g}" and result.possible >= 16, result.feedback
    assert set(result.points.values()) == {0.0}


class Attempt(Names):
    """Names of a notebook that kept several attempts: `tangent` of attempt 1 as `tangent_1`."""

    def __init__(self, names: Names, kept: set[str], number: int):
        super().__init__(names._ask, dict(names))
        self.kept, self.number = kept, number

    def _value(self, name):
        return super()._value(f"{name}_{self.number}" if name in self.kept else name)


def stored(source: str) -> set[str]:
    """Return the names that a notebook's code gives values to, outside of functions."""
    body = ast.parse(source).body
    nodes = [node for statement in body if isinstance(statement, ast.Assign) for node in ast.walk(statement)]
    names = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return names | {statement.name for statement in body if isinstance(statement, ast.FunctionDef)}


def asked_for(tests: str) -> set[str]:
    """Return the names that tests take as arguments."""
    signatures = re.findall(r"^def test_\w+\((.*)\):$", tests, re.M)
    return {name.strip() for signature in signatures for name in signature.split(",")}


def keep(kept: set[str], number: int) -> str:
    return "\n".join(f"{name}_{number} = {name}" for name in kept)


@pytest.mark.parametrize("name", NAMES)
def test_solutions_get_full_marks_and_wrong_answers_the_feedback_written_for_them(name, derived):
    """The solution and then, one after the other, two wrong answers to every task: none builds on that to another."""
    cells = grade.cells_of(derived[name] / f"{name}-solution.ipynb")
    wrong = [[answers[number] for answers in WRONG[name].values()] for number in range(2)]
    asked = asked_for("\n".join(assignments.tests(derived[name]).values()))
    kept = stored("\n".join(answer for answer, _ in wrong[0])) & asked
    cells += [*ORDINARY, keep(kept, 0)]
    for number, answers in enumerate(wrong, 1):
        cells += [*(answer for answer, _ in answers), keep(kept, number)]
    with Confined(cells, Limits(), []) as submission:
        failed = submission.run()
        names = submission.names(grade.given(derived[name]))
        solution, *results = (attempt(derived[name], Attempt(names, kept, number), failed) for number in range(3))
    assert not failed
    assert solution.verdict == f"graded {solution.possible:g}/{solution.possible:g}", solution.feedback
    for result, answers in zip(results, wrong, strict=True):
        assert result.points.keys() == WRONG[name].keys(), "every task has wrong answers"
        said = dict(re.findall(r"^(q\d): [\d.]+ of \d+\n((?:  - .*\n)*)", result.feedback, re.M))
        for question, (_, words) in zip(WRONG[name], answers, strict=True):
            assert words in said[question], f"{question}: wanted {words!r}, got\n{result.feedback}"
            assert result.points[question] <= 2, "the hidden test fails too"


def attempt(folder: Path, names: Names, failed: dict[int, str]) -> grade.Grade:
    files = grade.parsed(assignments.tests(folder))
    for file in files:
        file.run(names)
    return grade.judged(files, failed)


@pytest.mark.parametrize("name", NAMES)
def test_public_tests_need_only_what_the_student_version_defines(name, derived):
    cells = grade.cells_of(derived[name] / f"{name}-student.ipynb")
    tests = next(cell for cell in cells if "otter.Notebook" in cell)
    imports = [node for cell in cells for node in ast.walk(ast.parse(cell)) if isinstance(node, ast.Import)]
    defined = stored("\n".join(cells)) | {alias.asname or alias.name for node in imports for alias in node.names}
    needed = [
        a.strip() for signature in re.findall(r"^def test_\w+\((.*)\):$", tests, re.M) for a in signature.split(",")
    ]
    assert len(set(needed)) > 5 and set(needed) <= defined


def test_opened_alone_it_checks_itself(derived, tmp_path):
    """With otter in the notebook, as students have it: a folder with nothing but the notebook, no file of tests."""
    nb = nbformat.read(derived["linearization"] / "linearization-solution.ipynb", as_version=4)
    NotebookClient(nb, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    checks = [cell for cell in nb.cells if cell.source.startswith("grader.check(")]
    assert len(checks) == len(WRONG["linearization"])
    for cell in checks:
        shown = "".join(output.data["text/plain"] for output in cell.outputs)
        assert "All test cases passed!" in shown, shown


ORDINARY = [  # what many notebooks do, and may
    "%matplotlib inline\nplt.plot([1, 2])\nplt.savefig('plot.png')\nplt.show()",
    "from pathlib import Path\nPath('notes.txt').write_text('mine')\nassert Path('notes.txt').read_text() == 'mine'",
    "import inspect, scipy.special\nlines = inspect.getsource(ntk.gram)",
    "%time total = sum(range(10))",
]
FRAMES = """
import json, os, struct
def write(message):
    text = json.dumps(message).encode()
    for pipe in range(3, 99):
        try: os.write(pipe, struct.pack("!Q", len(text)) + text)
        except OSError: pass
"""
HOSTILE = {  # cells, the verdict
    "an endless loop": (["while True: pass"], r"stopped: ran longer than 3 s \(in code cell \d+\)"),
    "an endless loop in a function": (
        ["import time\ndef tangent(params, x):\n    while True: time.sleep(0.1)"],
        r"stopped: ran longer than 3 s \(in a test\)",
    ),
    "one allocation after the other": (
        ["import numpy as np\nheld = []\nwhile True: held.append(np.ones(10**7))"],
        r"stopped: needed more than 1 GB \(in code cell \d+\)",
    ),
    "reading the tests": (
        ["import zipfile\nzipfile.ZipFile({archive!r}).namelist()"],
        r"refused: tried to read \S+autograder.zip \(in code cell \d+\)",
    ),
    "looking for the tests": (
        ["import glob\nfound = glob.glob({root!r} + '/assignments/*')"],
        r"refused: tried to read \S+assignments\S* \(in code cell \d+\)",
    ),
    "leaving": (["import os\nos._exit(0)"], r"stopped: the notebook ended its own process \(in code cell \d+\)"),
    "writing scores wherever it can": (
        ["import os\nfor n in range(3, 99):\n    try: os.write(n, b'graded 20/20' * 99)\n    except OSError: pass"],
        r"stopped: an answer could not be read \(ValueError\)",
    ),
    "answering in the grader's own form": (
        [FRAMES + "write({'cell': 'all', 'score': 20})"],
        r"stopped: an answer could not be read \(no number of a cell\)",
    ),
    "endless answers in the grader's own form": (
        [FRAMES + "while True: write({'cell': 1})"],
        r"stopped: ran longer than 3 s \(in code cell 1\)",
    ),
    "an answer without end": (
        ["import numpy as np\ntangent = lambda params, x: np.zeros(2 * 10**7)"],
        r"stopped: (an answer could not be read \(ValueError\)|needed more than 1 GB \(in a test\))",
    ),
}
FUTILE = {  # cells that end in an error, or in nothing; how the feedback begins to speak of it
    "import subprocess; subprocess.run(['ls'])": "not allowed while a submission is graded: subprocess",
    "import os\nwhile True: os.fork()": "not allowed while a submission is graded: os.fork",
    "os.kill(os.getppid(), 9)": "not allowed while a submission is graded: os.kill",
    "import socket; socket.create_connection(('127.0.0.1', 80))": "PermissionError: not allowed",
    "import ctypes; ctypes.CDLL(None)": "not allowed while a submission is graded: ctypes",
    "open('/etc/passwd')": "not allowed while a submission is graded: open /etc/passwd",
    "open('/proc/' + str(os.getppid()) + '/mem', 'rb')": "not allowed while a submission is graded",
    "np.ones(10**13)": "MemoryError",
    "import sys; sys.exit()": "SystemExit",
    "ntk.exercises.expect = lambda *a, **k: None\nnp.allclose = lambda *a, **k: True": None,
    "class Anything:\n    __eq__ = lambda *a: True\n    def __array__(self, *a, **k): return np.ones(())": None,
    "tangent = loss_at = lambda *a: Anything()": None,
    "def remainder_coefficient(*a): raise KeyboardInterrupt": None,
    "f = tangent = lambda *a: np.inf\nparams0 = x = None": None,
    "print('graded 20/20'); steps_to_double = np.inf": None,
}


def test_hostile_code_ends_in_a_verdict(derived, tmp_path):
    folder, names = derived["linearization"], {"archive": "", "root": str(ROOT)}
    names["archive"] = str(folder / assignments.ARCHIVE)

    def verdict(case) -> str:
        number, (cells, _) = case
        cells = [cell.format_map(names) if "!r}" in cell else cell for cell in cells]
        notebook = tmp_path / f"{number}.ipynb"
        nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells]), notebook)
        seconds = 3 if "endless" in list(HOSTILE)[number] else 60
        return grade.grade(notebook, folder, Limits(seconds=seconds, gigabytes=1)).verdict

    with ThreadPoolExecutor(3) as pool:
        verdicts = list(pool.map(verdict, enumerate(HOSTILE.values())))
    for (name, (_, pattern)), found in zip(HOSTILE.items(), verdicts, strict=True):
        assert re.fullmatch(pattern, found), f"{name}: {found}"


def test_futile_code_scores_nothing(derived, tmp_path):
    folder = derived["linearization"]
    notebook = with_cells(folder / "linearization-student.ipynb", list(FUTILE), tmp_path / "futile.ipynb")
    result = grade.grade(notebook, folder)
    assert result.verdict == "graded 0/20", result.feedback
    for words in filter(None, FUTILE.values()):
        assert words in result.feedback, f"{words}\n{result.feedback}"


def test_a_folder_is_graded_into_a_table(derived, tmp_path, monkeypatch):
    folder, submissions, output = derived["linearization"], tmp_path / "submissions", tmp_path / "grades"
    monkeypatch.setattr(grade, "BUILT", folder.parent)
    submissions.mkdir()
    with_cells(folder / "linearization-student.ipynb", ["1 / 0"], submissions / "ada.ipynb")
    (submissions / "text.ipynb").write_text("no notebook")
    grade.grade_folder(submissions, output, Limits())
    table = (output / "grades.csv").read_text().splitlines()
    assert table[1] == "ada.ipynb,linearization,graded 0/20,0,20,q1=0 q2=0 q3=0 q4=0 q5=0"
    assert table[2] == "text.ipynb,,refused: belongs to no assignment (the file names none),0,0,"
    assert "ZeroDivisionError: division by zero" in (output / "ada.txt").read_text()
    assert (output / "text.txt").read_text() == "refused: belongs to no assignment (the file names none)\n"


def test_the_seed_changes_the_tasks_and_the_solution_still_holds(tmp_path):
    source = SOURCES[NAMES.index("linearization")]
    folder = assignments.derive(source, tmp_path, seed=7)
    assert "SEED = 7\n" in text(folder / "linearization-student.ipynb")
    assert grade.given(folder)["SEED"] == 7
    assert grade.grade(folder / "linearization-solution.ipynb", folder).verdict == "graded 20/20"


def test_a_process_that_does_not_start_says_what_may_be_missing(monkeypatch):
    monkeypatch.setattr("confined.sys.executable", shutil.which("true"))
    with Confined(["1 + 1"], Limits(), []) as submission, pytest.raises(Stopped, match="before the first cell; try"):
        submission.run()


@pytest.mark.parametrize(
    "value",
    [
        {"dict": 5}, {"list": 5}, {"tuple": None}, [], {"array": "AA==", "dtype": "O", "shape": [1]},
        {"array": "AA==", "dtype": "V1000000000", "shape": [1]}, {"array": "AA==", "dtype": "f8", "shape": [10**30]},
        {"array": "?", "dtype": "u1", "shape": []}, {"array": 3, "dtype": {}, "shape": "x"}, {},
    ],
)  # fmt: skip
def test_no_answer_that_cannot_be_read_ends_the_grader(value, monkeypatch):
    submission = object.__new__(Confined)
    monkeypatch.setattr(submission, "_send", lambda message: None, raising=False)
    monkeypatch.setattr(submission, "_receive", lambda: {"value": value}, raising=False)
    with pytest.raises(Stopped, match="an answer could not be read"):
        submission._ask({"name": "x"})


@pytest.mark.parametrize(
    "value", [None, True, 3, -0.5, float("inf"), "α", [1, (2.0, None)], {"w": [np.eye(2), np.arange(3)]}, np.float32(2)]
)
def test_answers_arrive_as_they_were(value):
    arrived = wire.decode(json.loads(json.dumps(wire.encode(value))))
    assert jax.tree.structure(arrived) == jax.tree.structure(value)
    for got, sent in zip(jax.tree.leaves(arrived), jax.tree.leaves(value), strict=True):
        assert np.array_equal(got, sent) and np.asarray(got).dtype == np.asarray(sent).dtype


@pytest.mark.parametrize("value", [len, object(), ..., {1: 2}, np.array(["a"]), [print]])
def test_what_is_not_data_is_no_answer(value):
    with pytest.raises(TypeError, match="cannot grade a"):
        wire.encode(value)


def test_an_unknown_assignment_is_refused():
    with pytest.raises(SystemExit, match=r"No assignment calculus\. There are: .*linearization"):
        assignments.sources(["calculus"])
