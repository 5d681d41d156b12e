"""Slices of the stored results, computed again where their data are: nothing stored goes unchecked.

The data are looked for where `NTK_TUTORIAL_DATA` says, else in the folder shared/data beside the project. The chapters
compute slices on digits, for which nothing is needed.
"""

import json
import os
from pathlib import Path

import pytest

import ntk_tutorial as ntk
from ntk_tutorial import results
from ntk_tutorial.convolutional_regimes import train_by
from ntk_tutorial.regimes import crossover

SHARED = Path(__file__).parents[2] / "shared" / "data"
SLICES = {  # sweep: what it measures, and for each data set a run that takes seconds
    "fully_connected": (
        crossover,
        [
            {"task": task, "num_components": 10, "scaled_alpha": 1000.0, "data_seed": 1}
            for task in ("digits", "mnist", "emnist")
        ]
        + [
            {"task": task, "num_components": 10, "scaled_alpha": 1000.0, "data_seed": 0}
            for task in ("fashion_mnist", "cifar10")
        ],
    ),
    "convolutional": (
        train_by,
        [{"task": task, "method": "exact_lazy", "num_train": 300} for task in ("mnist", "cifar10")]
        + [{"task": "digits", "method": "exact_lazy"}],
    ),
}
CASES = [pytest.param(name, fixed, id=f"{name}-{fixed['task']}") for name in SLICES for fixed in SLICES[name][1]]


@pytest.fixture(autouse=True)
def data(monkeypatch):
    if "NTK_TUTORIAL_DATA" not in os.environ and SHARED.is_dir():
        monkeypatch.setenv("NTK_TUTORIAL_DATA", str(SHARED))


def stored_with_data(name, task):
    """The sweep, if what it was computed from is on this machine."""
    stored = results.load(name)
    if not ntk.datasets.available(task):
        pytest.skip(f"{task} is not on this machine: set NTK_TUTORIAL_DATA to a folder that holds it")
    if ntk.datasets.checksum(task) != stored.about["data"][task]:
        pytest.skip(f"{task} on this machine is not the part of it that {name} was computed from")
    return stored


@pytest.mark.parametrize(("name", "fixed"), CASES)
def test_slices_agree(name, fixed):
    stored = stored_with_data(name, fixed["task"])
    assert stored.deviation(SLICES[name][0], **fixed) < 0.5  # half of the spread over seeds: rounding stays below


def test_every_data_set_has_a_slice():
    for name, (_, slices) in SLICES.items():
        assert {fixed["task"] for fixed in slices} == set(results.load(name).about["data"])


def test_a_tampered_value_is_caught(tmp_path):
    """Even where the digest was made to fit: by computing the slice again. On digits, so that it always runs."""
    path, fixed = tmp_path / "convolutional.json", {"task": "digits", "method": "exact_lazy"}
    content = json.loads((Path(results.__file__).parent / path.name).read_text())
    run = next(run for run in content["runs"] if fixed.items() <= run["configuration"].items())
    errors = run["values"]["test_error"][-1]
    errors[0] += 0.02
    content["digest"] = results._digest(content)
    path.write_text(json.dumps(content))
    assert results.load(path).deviation(train_by, **fixed) > 1
