"""The scripts of the long experiments: their command line, their devices, and that what is stored is what they run."""

import inspect
import itertools
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

import ntk_tutorial as ntk

sys.path.insert(0, str(Path(__file__).parents[1] / "experiments"))
import command
import convolutional
import crossover
import depth
import fully_connected

SWEEPS = {  # profiles, and what is measured
    "crossover": (crossover.PROFILES, ntk.regimes.crossover),
    "depth": (depth.PROFILES, ntk.regimes.crossover),
    "fully_connected": (fully_connected.PROFILES, ntk.regimes.crossover),
    "convolutional": (convolutional.PROFILES, ntk.convolutional_regimes.train_by),
}
TINY = {
    "task": "digits", "activation": "relu", "depth": 1, "width": 8, "scaled_alpha": 20.0,
    "num_train": 12, "num_test": 30, "num_components": 5, "num_seeds": 6,
}  # fmt: skip


@pytest.mark.parametrize("name", SWEEPS)
def test_what_is_stored_is_what_the_script_runs(name):
    stored, (profiles, _) = ntk.results.load(name), SWEEPS[name]
    assert list(stored.configurations) == list(profiles["workstation"])
    assert stored.name == name and stored.about["settings"] == {"profile": "workstation"}
    assert set(profiles) == {"laptop", "workstation", "gpu"}


@pytest.mark.parametrize("name", SWEEPS)
def test_every_configuration_is_one_of_the_function(name):
    profiles, measure = SWEEPS[name]
    for configuration in itertools.chain(*profiles.values()):
        rest = dict(configuration)
        if "method" in rest:
            method = ntk.convolutional_regimes.METHODS[rest.pop("method")]
            inspect.signature(method).bind(**rest)
            names = inspect.signature(ntk.convolutional_regimes.problems).parameters
            rest = {key: value for key, value in rest.items() if key not in inspect.signature(method).parameters}
            assert rest.keys() <= names.keys()
        else:
            inspect.signature(measure).bind(**rest)


def run(monkeypatch, measure, *arguments, num_seeds=6):
    monkeypatch.setattr(sys, "argv", ["tiny.py", *arguments])
    command.main("tiny", "A sweep.", measure, {"laptop": [TINY | {"num_seeds": num_seeds}], "workstation": []})


def test_seeds_are_spread_over_devices(tmp_path, monkeypatch, capsys):
    """Six of eight devices for six seeds; and what comes out is what one device finds."""
    meshes = []

    def measure(*, mesh=None, **configuration):
        meshes.append(mesh)
        return ntk.regimes.crossover(mesh=mesh, **configuration)

    with jax.default_prng_impl("threefry2x32"):
        run(monkeypatch, measure, "--out", str(tmp_path / "tiny.json"))
        assert meshes[0].size == 6 and "interrupted, the same command goes on" in capsys.readouterr().out
        found = ntk.results.load(tmp_path / "tiny.json")
        assert found.about["data"] == {"digits": ntk.datasets.checksum("digits")}
        assert found.deviation(ntk.regimes.crossover, width=8) < 0.01
    np.testing.assert_array_equal(found.array("reached", "width"), True)


def test_where_results_go(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(monkeypatch, lambda **configuration: {"one": 1.0}, num_seeds=11)  # which no two devices can share
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.laptop.json"]
    with pytest.raises(SystemExit):
        run(monkeypatch, lambda **configuration: {"one": 1.0}, "--profile", "cluster")
