"""`make bench`, without neural-tangents: our worker, the protocol, both tables."""

import ast
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))
import report  # noqa: E402
import run  # noqa: E402
import workloads  # noqa: E402

MACHINE = {
    "cpu": "a processor",
    "cores": 2,
    "memory_bytes": 2**34,
    "system": "Linux x86_64",
    "versions": {"ours": {"jax": "1"}, "peer": {"jax": "0"}},
    "date": "2026-01-01",
    "commit": "abc",
    "quick": True,
    "load": [0.0, 0.0, 0.0],
    "gemm_per_wall_s": 2e11,
    "gemm_per_cpu_s": 1e11,
    "bandwidth_per_wall_s": 1e10,
    "bandwidth_per_cpu_s": 1e10,
}


@pytest.fixture
def same_environment(monkeypatch):
    """Both workers in this environment, where the peer has no library to import."""
    monkeypatch.setattr(run, "PYTHONS", dict.fromkeys(run.SIDES, Path(sys.executable)))


@pytest.fixture
def small(monkeypatch):
    """A product of matrices as small as can be, to measure the machine by."""
    ask = run.Process.ask

    def small_ask(self, do, **order):
        return ask(self, do, **(order | {"size": 8, "bytes": 64, "repeat": 1} if do == "machine" else order))

    monkeypatch.setattr(run.Process, "ask", small_ask)


def functions(name):
    tree = ast.parse((ROOT / "benchmarks" / name).read_text())
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")]
    return {node.name: [argument.arg for argument in node.args.args] for node in found}


def test_both_sides_define_the_same_workloads():
    assert functions("ours.py") == functions("peer.py")
    lines = [*workloads.WORKLOADS, *(growth.workload for growth in workloads.GROWTH)]
    assert {line.kind for line in lines} == set(functions("ours.py")) == set(workloads.WORK) == set(workloads.INPUTS)
    for line in lines:
        assert ["arrays", *sorted(line.sizes)] == ["arrays", *sorted(functions("ours.py")[line.kind][1:])]


def test_work_grows_as_its_formulas_say():
    large = {"n": 2, "depth": 1, "side": 2, "width": 2, "outputs": 2}
    for growth in workloads.GROWTH:
        flops = [growth.at(2**20 * factor).work().flops for factor in (1, 2)]
        power = {"conv-pool-8/side": 4, "mean/n": 3}.get(growth.name, large[growth.axis])
        assert np.log2(flops[1] / flops[0]) == pytest.approx(power, abs=0.05), growth.name


@pytest.mark.usefixtures("same_environment")
def test_both_workers_speak_the_same_protocol(tmp_path):
    with run.running("ours", "peer") as workers:
        assert set(workers["ours"].versions) - {"ntk-tutorial"} == set(workers["peer"].versions) - {"neural-tangents"}
        for worker in workers.values():
            assert worker.ask("memory")["peak"] > 1e6
            with pytest.raises(run.Refused, match="has no attribute 'nonsense'"):
                worker.ask("nonsense")
        with pytest.raises(run.Refused, match="No module named 'neural_tangents'"):
            workers["peer"].prepare(workloads.SMALLEST, tmp_path)


@pytest.mark.usefixtures("same_environment", "small")
def test_our_side_of_the_smallest_workload(tmp_path):
    run.run([workloads.SMALLEST.name], quick=True, resume=False, sides=("ours",), out=tmp_path)
    results = json.loads((tmp_path / "results.json").read_text())
    line = results["workloads"][workloads.SMALLEST.name]
    assert 0 < line["ours"]["cpu"] < line["ours"]["first_s"] and line["ours"]["peak_bytes"] > 1e8
    assert workloads.SMALLEST.title in (tmp_path / "RESULTS.md").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["RESULTS.md", "results.json"]
    again = run.run([workloads.SMALLEST.name], quick=True, resume=True, sides=("ours",), out=tmp_path)
    assert again["workloads"] == results["workloads"], "--resume measured a line again that was there"


def test_the_tables_show_misses_and_distances():
    side = {"cpu": 1.0, "wall": 0.5, "first_s": 4.0, "peak_bytes": 2**28}
    line = {"title": "kernel", "target": 3, "wall_ratio": False, "error": 1e-5, "load": 0.1}
    line |= {"flops": 5e10, "bytes": 1e9, "peer": {**side, "cpu": 2.0}, "ours": side, "ratio": 2.0}
    growth = {"title": "kernel", "axis": "n", "values": [1, 2, 4], "cpu": [1.0, 4.0, 16.0]}
    growth |= {"slope": 2.0, "standard_error": 0.0, "work_slope": 2.0}
    text = report.markdown(
        {"machine": MACHINE, "workloads": {"a": line, "b": {**line, "ratio": 3.0}}, "growth": {"a": growth}}
    )
    rows = re.findall(r"^\| kernel \|.*", text, re.M)
    assert "| 2 | 1 | **2.0** | ≥ 3 |" in rows[0] and "| 2 | 1 | 3.0 | ≥ 3 |" in rows[1]
    assert "| 1e-05 | 2.0 | 0.1 |" in rows[0], "5e10 operations take half a second at 1e11 a second"
    assert "| n | 1, 2, 4 | 1, 4, 16 | 2.00 ± 0.00 | 2.00 |" in rows[2]
    assert "and why" not in text
    for workload in workloads.WORKLOADS:
        far = {"machine": MACHINE, "workloads": {workload.name: {**line, "flops": 1e10}}, "growth": {}}
        explained = report.WHY.get(workload.kind, report.UNEXPECTED)
        assert f"- **kernel.** {explained}" in report.markdown(far), "it takes 10 times 1e10 operations' time"


def test_different_results_are_refused(tmp_path):
    for folder, array in (("ours", [1.0, 2.0]), ("peer", [1.0, 2.1]), ("nan", [1.0, np.nan]), ("short", [1.0])):
        (tmp_path / folder).mkdir()
        np.save(tmp_path / folder / "0.npy", np.array(array))
    assert run.difference(tmp_path / "ours", tmp_path / "peer") == pytest.approx(0.1 / np.hypot(1, 2.1))
    with pytest.raises(run.Refused, match="not finite"):
        run.difference(tmp_path / "nan", tmp_path / "peer")
    with pytest.raises(run.Refused, match="different shapes"):
        run.difference(tmp_path / "short", tmp_path / "peer")


def test_an_unknown_name_is_refused():
    with pytest.raises(run.Refused, match="there is no workload rellu: there are cnn"):
        run.chosen(["rellu"])


def test_a_missing_environment_is_refused(tmp_path):
    with pytest.raises(run.Refused, match="run `make bench`"):
        run.Process("peer", tmp_path / "python")
