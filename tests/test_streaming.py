"""A kernel in a file equals `gram`, however often its making was interrupted, and stays within its budget."""

import errno
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import case, examples

import ntk_tutorial as ntk
from ntk_tutorial import streaming
from ntk_tutorial._pytree import traced

X_JAX = examples((3,), 7)
X = np.asarray(X_JAX)
NET = ntk.mlp(4, 1, 1, ntk.erf, w_std=1.3, b_std=0.2)
K = ntk.infinite_ntk(NET)


@traced("pair")
class Symmetric:
    """A kernel that says it is symmetric."""

    pair: Any
    symmetric = True

    def __call__(self, a, b):
        return self.pair(a, b)


S = Symmetric(K)


def asymmetric(a, b):
    """A kernel that does not say so."""
    return K(a, b)


def stream(path, pair=S, x1=X, x2=None, batch_size=3, **options):
    return ntk.stream_gram(pair, x1, x2, path=path, batch_size=batch_size, progress=False, **options)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "kernel.npy"


@pytest.fixture
def whole(tmp_path):
    stream(tmp_path / "whole.npy")
    return (tmp_path / "whole.npy").read_bytes()


def empirical():
    net, params, shape = case("depth 2, bias")
    return ntk.layerwise(net, params), np.asarray(examples(shape, 7))


@pytest.mark.parametrize("batch_size", [1, 3, 7, 100, None])
def test_equals_gram(path, batch_size):
    for pair in (asymmetric, S):
        np.testing.assert_allclose(stream(path, pair, batch_size=batch_size), ntk.gram(K, X_JAX), rtol=1e-13)
        path.unlink()


def test_two_sets_and_matrix_values(path):
    theta, x = empirical()
    got = stream(path, theta, x, x[:4])
    assert isinstance(got, np.memmap) and got.shape == (7, 4, 3, 3)
    np.testing.assert_allclose(got, ntk.gram(theta, jnp.asarray(x), jnp.asarray(x[:4])), rtol=1e-12)
    with pytest.raises(ValueError, match="read-only"):
        got[0] = 0


def test_upper_triangle_is_mirrored(path):
    theta, x = empirical()
    got = stream(path, Symmetric(theta), x)
    np.testing.assert_allclose(got, ntk.gram(theta, jnp.asarray(x)), rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(got, got.transpose(1, 0, 3, 2))


def test_only_the_upper_triangle_is_computed(path, monkeypatch):
    computed, call = [], streaming.Tile.__call__
    monkeypatch.setattr(streaming.Tile, "__call__", lambda *args: computed.append(1) or call(*args))
    stream(path)
    assert len(computed) == 6
    stream(path.with_name("other.npy"), asymmetric)
    assert len(computed) == 6 + 9


def test_float32(path, float32):
    got = stream(path, x1=X)  # float64 examples
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, ntk.gram(K, jnp.asarray(X, jnp.float32)), rtol=1e-6)


def test_same_inputs_return_at_once(path, monkeypatch):
    stream(path)
    assert sorted(p.name for p in path.parent.iterdir()) == ["kernel.npy", "kernel.npy.json"]
    monkeypatch.setattr(streaming, "_stream", None)
    np.testing.assert_array_equal(stream(path, batch_size=2), np.load(path))


def test_interrupted_anywhere(path, whole, monkeypatch):
    """At each write in turn, half of it done, the disk is full; the next call goes on."""
    pwrite, count, stopped = os.pwrite, 0, 0
    target = 0

    def failing(descriptor, data, offset):
        nonlocal count
        count += 1
        if count == target:
            pwrite(descriptor, data[: len(data) // 2], offset)
            raise OSError(errno.ENOSPC, "no space left on device")
        return pwrite(descriptor, data, offset)

    monkeypatch.setattr(os, "pwrite", failing)
    for target in range(1, 40, 4):  # noqa: B007  read by failing
        count = 0
        try:
            stream(path)
        except OSError as error:
            assert "the disk is full" in str(error) and "call again" in str(error)
            stopped += 1
            count = 1000
            stream(path)
        assert path.read_bytes() == whole
        path.unlink()
    assert stopped > 4


def test_finished_blocks_are_not_computed_again(path, whole, monkeypatch):
    note = streaming.Files.note

    def stop(files, batch_size, finished):
        note(files, batch_size, finished)
        if finished == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(streaming.Files, "note", stop)
        stream(path)
    computed, call = [], streaming.Tile.__call__
    monkeypatch.setattr(streaming.Tile, "__call__", lambda *args: computed.append(1) or call(*args))
    stream(path, batch_size=None)  # what the journal says
    assert len(computed) == 1 and path.read_bytes() == whole


CHILD = """
import os, signal, sys
import jax, numpy as np
import ntk_tutorial as ntk
from ntk_tutorial import streaming
path, kill_at = sys.argv[1], int(sys.argv[2])
x = np.random.default_rng(0).standard_normal((50, 5)).astype(np.float32)
kernel = ntk.infinite_ntk(ntk.mlp(8, 2, 1, ntk.relu))
def pair(a, b):
    return kernel(a, b)
pair.symmetric = True
pwrite, count = os.pwrite, 0
def killing(*args):
    global count
    count += 1
    if count == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)
    return pwrite(*args)
os.pwrite = killing
ntk.stream_gram(pair, x, path=path, batch_size=8, progress=False)
kill_at = 0
ntk.stream_gram(pair, x, path=path + ".whole", batch_size=8, progress=False)
"""


def child(code, *args):
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(Path(ntk.__file__).parents[1])}
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, args)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)


def test_killed_and_resumed_in_another_process(path):
    assert child(CHILD, path, 150).returncode == -signal.SIGKILL
    journal = json.loads(Path(f"{path}.part.json").read_text())
    assert 0 < journal["finished"] < 7 and not path.exists()
    done = child(CHILD, path, 0)
    assert done.returncode == 0, done.stderr
    assert path.read_bytes() == Path(f"{path}.whole").read_bytes()


PEAK = """
import sys
import jax, numpy as np
import ntk_tutorial as ntk
def memory(name):
    with open("/proc/self/status") as file:
        return 1024 * int(next(line for line in file if line.startswith(name)).split()[1])
n, budget = 8500, 2**27
x = np.random.default_rng(0).standard_normal((n, 20)).astype(np.float32)
kernel = ntk.infinite_ntk(ntk.mlp(8, 1, 1, ntk.relu))
def pair(a, b):
    return kernel(a, b)
pair.symmetric = True
ntk.stream_gram(pair, x[:50], path=sys.argv[1] + ".warm", progress=False)
before = memory("VmRSS")
ntk.stream_gram(pair, x, path=sys.argv[1], memory_budget=budget, progress=False)
print(memory("VmHWM") - before, budget, n * n * 4)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="resident memory is read from /proc")
def test_peak_memory_is_within_the_budget(path):
    done = child(PEAK, path)
    assert done.returncode == 0, done.stderr
    extra, budget, whole = map(int, done.stdout.split())
    assert whole > 2 * budget  # the matrix itself would not fit
    assert extra < budget, f"{extra:,} bytes of {budget:,}"


def test_budget_decides_the_size_of_tiles():
    x, sizes = np.zeros((3000, 3)), []
    matrix = streaming.Matrix((3000, 3000), np.dtype(float))
    files = streaming.Files(Path("kernel.npy"), "", matrix)
    for budget in (10**4, 10**6, 10**8):
        tile = streaming._fitting_tile(K, x, x, files, None, budget)
        assert tile.bytes_needed <= budget
        sizes.append(tile.size)
    assert sizes == sorted(sizes) and sizes[0] >= 8 and sizes[2] > 10 * sizes[0]


def test_header_is_that_of_numpy(path):
    stream(path)
    np.save(path.with_name("plain.npy"), np.load(path))
    assert path.read_bytes() == path.with_name("plain.npy").read_bytes()


# What is refused.


@dataclass
class Stopped:
    """A stream that was interrupted after its first row block."""

    part: Path
    journal: Path


@pytest.fixture
def stopped(path, monkeypatch):
    note = streaming.Files.note

    def stop(files, batch_size, finished):
        note(files, batch_size, finished)
        if finished == 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(streaming.Files, "note", stop)
        stream(path)
    return Stopped(Path(f"{path}.part"), Path(f"{path}.part.json"))


OTHERS = {
    "examples": {"x1": X + 1e-9},
    "number": {"x1": X[:6]},
    "kernel": {"pair": Symmetric(ntk.infinite_ntk(ntk.mlp(4, 1, 1, ntk.erf, w_std=1.3, b_std=0.2000001)))},
    "type": {"x1": X.astype(np.float32)},
    "tiles": {"pair": asymmetric},
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_made_from_other_inputs(path, stopped, other):
    with pytest.raises(ValueError, match=r"kernel.npy.part was made from other.*delete .* or choose another path"):
        stream(path, **other)
    stream(path)
    with pytest.raises(ValueError, match=r"kernel.npy was made from other.*delete it, or choose another path"):
        stream(path, **other)


def test_new_parameters_are_another_kernel(path):
    net, params, shape = case("depth 2, bias")
    x = np.asarray(examples(shape, 4))
    stream(path, ntk.layerwise(net, params), x)
    changed = ntk.layerwise(net, jax.tree.map(lambda leaf: leaf + 1e-9, params))
    with pytest.raises(ValueError, match="another kernel"):
        stream(path, changed, x)


def test_truncated_part(path, stopped):
    os.truncate(stopped.part, 300)
    with pytest.raises(ValueError, match=r"kernel.npy.part is truncated: 300 bytes of 520: delete .* to start again"):
        stream(path)
    stopped.part.unlink()
    with pytest.raises(ValueError, match="truncated: 0 bytes"):
        stream(path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"finished": 1}'])
def test_unreadable_journal(path, stopped, text):
    stopped.journal.write_text(text)
    with pytest.raises(ValueError, match=r"part.json is unreadable .*delete it and the file it belongs to"):
        stream(path)


def test_lost_journal(path, stopped):
    stopped.journal.unlink()
    with pytest.raises(ValueError, match=r"without its journal .*part.json: delete .* to start again"):
        stream(path)


def test_other_tiles_when_resuming(path, stopped):
    with pytest.raises(ValueError, match=r"begun with batch_size=3, got 2: leave batch_size out to go on"):
        stream(path, batch_size=2)


def test_finished_file_that_is_not_ours(path):
    stream(path)
    os.truncate(path, 300)
    with pytest.raises(ValueError, match=r"kernel.npy is truncated: 300 bytes of 520: delete it"):
        stream(path)
    Path(f"{path}.json").unlink()
    with pytest.raises(ValueError, match=r"so what it was made from is unknown: delete it, or choose another path"):
        stream(path)


def test_disk_too_small(path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1000, 900, 100))
    with pytest.raises(OSError, match=r"needs 520 bytes, its disk has 100 free: free some, or choose a path on"):
        stream(path)
    assert not list(path.parent.iterdir())


def test_disk_full_when_allocating(path, whole, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "no space left on device")

    with monkeypatch.context() as patch, pytest.raises(OSError, match=r"the disk is full, .* needs 520 bytes"):
        patch.setattr(os, "posix_fallocate", full)
        stream(path)
    stream(path)
    assert path.read_bytes() == whole


def test_file_system_without_allocation(path, whole, monkeypatch):
    def unsupported(*_):
        raise OSError(errno.EOPNOTSUPP, "not supported")

    monkeypatch.setattr(os, "posix_fallocate", unsupported)
    stream(path)
    assert path.read_bytes() == whole


def test_two_writers(path, stopped):
    with open(stopped.part, "r+b") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(OSError, match=r"another process is writing .*wait for it"):
            stream(path)


REFUSED = {
    "budget": ({"batch_size": None, "memory_budget": 10}, r"a tile of 1 x 1 pairs needs [\d,]+ bytes, .* is 10: raise"),
    "tile": ({"batch_size": 7, "memory_budget": 500}, r"a tile of 7 x 7 pairs .*raise the budget or lower batch_size"),
    "batch size": ({"batch_size": 0}, r"at least 1, got 0"),
    "nan": ({"x1": np.where(X.max() == X, np.nan, X)}, r"x1 holds 1 non-finite"),
    "nan in x2": ({"x2": np.where(X.max() == X, np.inf, X)}, r"x2 holds 1 non-finite"),
    "integers": ({"x1": np.ones((2, 3), int)}, r"x1 has dtype int64: a real floating dtype"),
    "complex": ({"x1": np.ones((2, 3), complex)}, r"x1 has dtype complex128"),
    "shapes": ({"x2": np.ones((2, 4))}, r"they must agree"),
    "scalar": ({"x1": np.ones(())}, r"x1 has shape \(\): the first axis counts examples"),
    "empty": ({"x1": np.ones((0, 3))}, r"x1 has shape \(0, 3\).*must be some"),
    "batch axis": ({"x1": X[None]}, r"add Flatten"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(path, unannotated, name):
    options, message = REFUSED[name]
    with pytest.raises((ValueError, TypeError), match=message):
        stream(path, **options)
    assert not list(path.parent.iterdir())


def test_jax_arrays_too(path):
    np.testing.assert_array_equal(stream(path, x1=X_JAX), stream(path))
