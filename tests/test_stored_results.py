"""Slices of the stored results, computed again where their data are: nothing stored goes unchecked.

The data are looked for where `NTK_TUTORIAL_DATA` says, else in the folder shared/data beside the project. The chapters
compute slices on digits, for which nothing is needed.
"""

import json
import os
from pathlib import Path

import jax
import numpy as np
import pytest

import ntk_tutorial as ntk
from ntk_tutorial import results
from ntk_tutorial.convolutional_regimes import train_by
from ntk_tutorial.regimes import crossover

SHARED = Path(__file__).parents[2] / "shared" / "data"
CONNECTED = [  # a run of each data set, the quickest
    {"task": task, "num_components": 10, "scaled_alpha": 1000.0, "data_seed": data_seed}
    for task, data_seed in (("digits", 1), ("mnist", 1), ("emnist", 1), ("fashion_mnist", 0), ("cifar10", 0))
]
NUM_NETWORKS = 1  # of the 8 of a run; what one network does depends on no other
CONVOLUTIONAL = [{"task": task, "method": "exact_lazy", "num_train": 300} for task in ("mnist", "cifar10")]
BY_NETWORK = ("time", "kernel_change", "parameter_change", "test_error")


@pytest.fixture(autouse=True)
def as_the_sweeps_ran(monkeypatch):
    """With the data where they are, and JAX as it is outside of these tests: its random numbers, its optimizations."""
    if "NTK_TUTORIAL_DATA" not in os.environ and SHARED.is_dir():
        monkeypatch.setenv("NTK_TUTORIAL_DATA", str(SHARED))
    jax.config.update("jax_disable_most_optimizations", False)
    with jax.default_prng_impl("threefry2x32"):
        yield
    jax.config.update("jax_disable_most_optimizations", True)


def stored_with_data(name, task):
    """The sweep, if what it was computed from is on this machine."""
    stored = results.load(name)
    if not ntk.datasets.available(task):
        pytest.skip(f"{task} is not on this machine: set NTK_TUTORIAL_DATA to a folder that holds it")
    if ntk.datasets.checksum(task) != stored.about["data"][task]:
        pytest.skip(f"{task} on this machine is not the part of it that {name} was computed from")
    return stored


def deviation_of_networks(stored, **fixed):
    """As `Results.deviation`, of a run's first networks only."""
    run = stored.select(**fixed)
    fresh = crossover(**run.configurations[0] | {"num_seeds": NUM_NETWORKS})
    return max(
        np.max(np.abs(fresh[name] - run.array(name)[:NUM_NETWORKS])) / np.std(run.array(name)) for name in BY_NETWORK
    )


def test_every_data_set_has_a_slice():
    assert {fixed["task"] for fixed in CONNECTED} == set(results.load("fully_connected").about["data"])
    live = {"digits"}  # the chapter computes these runs again
    assert {fixed["task"] for fixed in CONVOLUTIONAL} | live == set(results.load("convolutional").about["data"])


@pytest.mark.parametrize("fixed", CONNECTED, ids=lambda fixed: fixed["task"])
def test_fully_connected_networks_agree(fixed):
    assert deviation_of_networks(stored_with_data("fully_connected", fixed["task"]), **fixed) < 0.5


@pytest.mark.parametrize("fixed", CONVOLUTIONAL, ids=lambda fixed: fixed["task"])
def test_convolutional_networks_agree(fixed):
    assert stored_with_data("convolutional", fixed["task"]).deviation(train_by, **fixed) < 0.5


@pytest.mark.parametrize("value", BY_NETWORK)
def test_a_tampered_value_is_caught(tmp_path, value):
    """Even where the digest was made to fit: by computing the slice again. On digits, so that it always runs."""
    path, fixed = tmp_path / "fully_connected.json", CONNECTED[0]
    content = json.loads((Path(results.__file__).parent / path.name).read_text())
    run = next(run for run in content["runs"] if fixed.items() <= run["configuration"].items())
    run["values"][value][0] *= 1.5
    content["digest"] = results._digest(content)
    path.write_text(json.dumps(content))
    assert deviation_of_networks(results.load(path), **fixed) > 0.5
