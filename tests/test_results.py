"""Stored sweeps: nothing is lost by a kill or a full disk, and nothing in them can change unnoticed."""

import errno
import json
import os
import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ntk_tutorial import results

CONFIGURATIONS = [{"width": width, "alpha": alpha, "num_seeds": 3} for width in (4, 8) for alpha in (0.1, 1.0, 10.0)]


def measure(width, alpha, num_seeds):
    draws = jax.random.normal(jax.random.key(width), (num_seeds,))
    return {"error": alpha + draws / width, "total": jnp.sum(draws), "steps": 7}


def failing_at(number):
    """`measure`, but its call of that number fails."""
    calls = []

    def fails(**configuration):
        calls.append(configuration)
        if len(calls) == number:
            raise KeyboardInterrupt
        return measure(**configuration)

    return fails


def kept(path, **options):
    return results.run(measure, CONFIGURATIONS, path, progress=False, **options)


def test_what_is_found_again(tmp_path):
    found = kept(tmp_path / "a.json", settings={"profile": "small"}, data={"digits": "abc"})
    assert len(found) == 6 and found.name == "a" and found.axis("alpha") == [0.1, 1.0, 10.0]
    table = found.array("error", "width", "alpha")
    assert table.shape == (2, 3, 3)
    np.testing.assert_allclose(table[1, 2], measure(8, 10.0, 3)["error"], rtol=1e-5)
    assert found.select(width=4).array("total", "alpha").shape == (3,)
    assert found.about["settings"] == {"profile": "small"} and found.about["data"] == {"digits": "abc"}
    assert {"python", "jax", "numpy", "ntk_tutorial"} <= found.about["versions"].keys()
    assert found.about["machine"]["float"] == "float64" and found.about["machine"]["processor"]
    assert not list(tmp_path.glob("*.part")) and not list(tmp_path.glob("*.tmp"))


def test_finished_sweeps_are_not_run_again(tmp_path):
    first = kept(tmp_path / "a.json")
    again = results.run(failing_at(1), CONFIGURATIONS, tmp_path / "a.json", progress=False)
    assert again == first


def test_interrupted_sweeps_end_with_the_same_file(tmp_path):
    (tmp_path / "whole").mkdir()
    kept(tmp_path / "whole" / "a.json")
    path = tmp_path / "a.json"
    for number in (3, 1, 2):
        with pytest.raises(KeyboardInterrupt):
            results.run(failing_at(number), CONFIGURATIONS, path, progress=False)
    assert not path.exists() and len((tmp_path / "a.json.part").read_text().splitlines()) == 1 + 3
    with open(tmp_path / "a.json.part", "ab") as part:  # a write cut off in its middle
        part.write(b'{"configuration":{"alpha":1.0,"num_se')
    kept(path)
    assert path.read_bytes() == (tmp_path / "whole" / "a.json").read_bytes()


def test_killed_sweeps_lose_nothing(tmp_path):
    """Killed by the system in the middle of its work, and gone on with."""
    script = tmp_path / "sweep.py"
    script.write_text(
        "import sys, time\nfrom ntk_tutorial import results\n"
        "def measure(number):\n    time.sleep(0.05)\n    return {'square': number**2}\n"
        "results.run(measure, [{'number': n} for n in range(40)], sys.argv[1], progress=False)\n"
    )
    path, part = tmp_path / "a.json", tmp_path / "a.json.part"
    process = subprocess.Popen([sys.executable, script, path])
    deadline = time.monotonic() + 60
    while not (part.exists() and part.read_bytes().count(b"\n") > 5) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    lines = part.read_bytes().count(b"\n")
    assert 5 < lines < 41 and not path.exists()
    subprocess.run([sys.executable, script, path], check=True)
    np.testing.assert_array_equal(results.load(path).array("square", "number"), np.arange(40) ** 2)


def test_a_full_disk_keeps_what_is_done(tmp_path, monkeypatch):
    path, real = tmp_path / "a.json", os.fsync
    left = iter(range(3))

    def full(descriptor):
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="is full: free some and run again, which goes on where it was"):
        kept(path)
    assert len((tmp_path / "a.json.part").read_text().splitlines()) == 3  # the header, and two runs
    monkeypatch.setattr(os, "fsync", real)
    assert len(kept(path)) == 6


def test_a_full_disk_at_the_end(tmp_path, monkeypatch):
    """When the file itself cannot be written, there is none, and the journal has everything."""
    path, real, calls = tmp_path / "a.json", os.fsync, []

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) == 8:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="is full"):
        kept(path)
    assert [file.name for file in tmp_path.iterdir()] == ["a.json.part"]
    assert len(results.run(failing_at(1), CONFIGURATIONS, path, progress=False)) == 6


@pytest.mark.parametrize("finished", [True, False])
def test_other_versions_are_refused(tmp_path, monkeypatch, finished):
    path = tmp_path / "a.json"
    if finished:
        kept(path)
    else:
        with pytest.raises(KeyboardInterrupt):
            results.run(failing_at(3), CONFIGURATIONS, path, progress=False)
    monkeypatch.setattr(results, "version", lambda name: "0.0.7")
    with pytest.raises(ValueError, match=r'about.versions.jax \(".*", now "0.0.7"\).*move it away to start again'):
        kept(path)
    with pytest.raises(ValueError, match=r"made with other.*about.settings"):
        kept(path, settings={"profile": "large"})


def test_other_configurations_are_refused(tmp_path):
    kept(tmp_path / "a.json")
    with pytest.raises(ValueError, match="holds other configurations"):
        results.run(measure, CONFIGURATIONS[:3], tmp_path / "a.json", progress=False)
    with pytest.raises(KeyboardInterrupt):
        results.run(failing_at(3), CONFIGURATIONS, tmp_path / "b.json", progress=False)
    with pytest.raises(ValueError, match="holds other configurations"):
        results.run(measure, CONFIGURATIONS[1:], tmp_path / "b.json", progress=False)
    with pytest.raises(ValueError, match="1 configurations occur twice"):
        results.run(measure, [*CONFIGURATIONS, CONFIGURATIONS[2]], tmp_path / "c.json", progress=False)
    with pytest.raises(ValueError, match="does not exist: make it first"):
        kept(tmp_path / "nowhere" / "a.json")


def test_tampering_is_noticed(tmp_path):
    """By the digest; and where somebody has mended that too, by computing the run again."""
    path = tmp_path / "a.json"
    run = {"width": 4, "alpha": 1.0}
    assert kept(path).deviation(measure, **run) < 1e-4
    content = json.loads(path.read_text())
    content["runs"][1]["values"]["error"][2] *= 1.5
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="changed since it was written, its digest does not fit: restore it"):
        results.load(path)
    content["digest"] = results._digest(content)
    path.write_text(json.dumps(content))
    assert results.load(path).deviation(measure, **run) > 1


def test_each_entry_has_its_own_spread(tmp_path):
    """A value (times, seeds) that falls by much: what is wrong with it late counts in units of the late spread."""
    curve = np.asarray([[100.0, 101.0, 102.0], [0.10, 0.11, 0.12]])
    found = results.run(lambda: {"error": curve}, [{}], tmp_path / "a.json", progress=False)
    late = curve + np.asarray([[0.0], [0.05]])
    assert found.deviation(lambda: {"error": curve}) == 0
    np.testing.assert_allclose(found.deviation(lambda: {"error": late}), 0.05 / np.std(curve[1]), rtol=1e-6)


def test_damaged_files(tmp_path):
    path = tmp_path / "a.json"
    kept(path)
    whole = path.read_text()
    path.write_text(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"is damaged, .*Restore it from version control, or run its experiment again"):
        results.load(path)
    path.write_text(whole.replace('"format": 1', '"format": 2'))
    with pytest.raises(ValueError, match="has format 2, this version of ntk_tutorial reads 1"):
        results.load(path)
    path.unlink()
    (tmp_path / "a.json.part").write_text('{"format": 1, "na\n{}\n')
    with pytest.raises(ValueError, match=r"part is damaged .*move it away to start again"):
        kept(path)
    with pytest.raises(FileNotFoundError, match=r"no results at .*nothing_like_it.json; the package has"):
        results.load("nothing_like_it")


def test_what_is_asked_wrongly(tmp_path):
    found = kept(tmp_path / "a.json")
    with pytest.raises(KeyError, match=r"no run with {'alpha': 3}.*of alpha it has \['0.1', '1.0', '10.0'\]"):
        found.select(alpha=3)
    with pytest.raises(KeyError, match=r"no value 'loss'"):
        found.array("loss", "width", "alpha")
    with pytest.raises(ValueError, match=r"select.*some, or name further axes"):
        found.array("error", "alpha")
    with pytest.raises(ValueError, match="single out 3 runs"):
        found.deviation(measure, width=4)
    with pytest.raises(ValueError, match=r"holds .*'steps'.* returns"):
        found.deviation(lambda **c: {"error": 1.0}, width=4, alpha=1.0)


def test_values_that_are_not_finite(tmp_path):
    def measure(number):
        return {"a": jnp.asarray([1.0, jnp.nan, 3.0]), "b": jnp.inf, "c": jnp.asarray([jnp.nan, jnp.nan])}

    found = results.run(measure, [{"number": 0}], tmp_path / "a.json", progress=False)
    np.testing.assert_array_equal(found.array("a", "number"), [[1, np.nan, 3]])
    assert found.deviation(measure, number=0) == 0
    assert found.deviation(lambda number: {**measure(number), "a": jnp.ones(3)}, number=0) == np.inf


def test_progress(tmp_path, capsys):
    results.run(measure, CONFIGURATIONS, tmp_path / "a.json")
    assert "a: 100%" in capsys.readouterr().err


def test_the_package_s_own_results_are_whole():
    for name in sorted(results.available()):
        found = results.load(name)
        assert len(found) > 0 and found.about["versions"] and found.about["machine"], name
