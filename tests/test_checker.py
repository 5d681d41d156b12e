"""The check of the notebooks, checked: each way to spoil a stored output makes the run fail."""

import copy
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

ROOT = Path(__file__).parents[1]
NUMBER = "import numpy as np, matplotlib.pyplot as plt\nprint(f'slope {1 / 3:.4f}')"
FIGURE = "x = np.linspace(0, 1, 50)\nplt.plot(x, x**2)\nplt.plot(x, x**3)\nplt.xlabel('width')\nplt.show()"


def strip(cell) -> None:
    cell.update(outputs=[], execution_count=None)


def set_number(cell) -> None:
    cell.outputs[0].text = "slope 0.3334\n"


# What is done to a cell's stored form, and a word of the failure it must cause.
# The computed figure's label and curve differ from the stored ones where the source is edited alone.
SPOILED = {
    "one number": (NUMBER, set_number, "0.3334"),
    "one label of a figure": (FIGURE, lambda c: c.update(source=FIGURE.replace("width", "depth")), "RMS"),
    "one curve of a figure": (FIGURE, lambda c: c.update(source=FIGURE.replace("x**3", "1.01 * x**3")), "RMS"),
    "a figure's size": (FIGURE, lambda c: c.update(source="plt.figure(figsize=(3, 3))\n" + FIGURE), "300x300"),
    "no figure": (FIGURE, lambda c: c.update(outputs=[]), "Unexpected output"),
    "one output less": (NUMBER, lambda c: c.update(source="0"), "Missing output"),
    "never run": (NUMBER, strip, "never run"),
    "ignored by a tag": (NUMBER, lambda c: c.metadata.update(tags=["nbval-ignore-output"]), "marker"),
    "skipped by a comment": (NUMBER, lambda c: c.update(source=NUMBER + "\n# NBVAL_SKIP"), "marker"),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Run the checker once over a good, a stripped and a spoiled notebook; return what it said of each cell."""
    folder = tmp_path_factory.mktemp("checker")
    good = new_notebook(cells=[new_code_cell(source) for source, _, _ in SPOILED.values()])
    NotebookClient(good, kernel_name="python3", record_timing=False, coalesce_streams=True).execute()
    stripped, spoiled = copy.deepcopy(good), copy.deepcopy(good)
    for cell, (_, spoil, _) in zip(spoiled.cells, SPOILED.values(), strict=True):
        spoil(cell)
    for cell in stripped.cells:
        strip(cell)
    for name, notebook in {"good": good, "stripped": stripped, "spoiled": spoiled}.items():
        nbformat.write(notebook, folder / f"{name}.ipynb")
    shutil.copy(ROOT / "conftest.py", folder)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir=.", "--nbval",
               "--nbval-current-env", "--junitxml=result.xml", "."]  # fmt: skip
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1, done.stdout + done.stderr
    said: dict[str, list[str]] = {"good": [], "stripped": [], "spoiled": []}
    for case in ElementTree.parse(folder / "result.xml").iter("testcase"):
        said[case.get("classname").split(".")[0]].append("".join(problem.text for problem in case))
    return said


def test_an_untouched_notebook_passes(runs):
    assert runs["good"] == [""] * len(SPOILED)


def test_a_stripped_notebook_fails(runs):
    assert all("never run" in said for said in runs["stripped"]) and len(runs["stripped"]) == len(SPOILED)


@pytest.mark.parametrize("case", SPOILED)
def test_a_spoiled_cell_fails_for_its_reason(runs, case):
    said = runs["spoiled"][list(SPOILED).index(case)]
    assert SPOILED[case][2] in said, said or "passed"
