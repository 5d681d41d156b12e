"""Kernels that do not fit in memory: written to a file tile by tile, and read from it row block by row block."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import hashlib
import io
import json
import math
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float
from tqdm import tqdm

try:
    import fcntl
except ImportError:  # Windows, which has no os.pwrite either
    fcntl = None

from ._checks import check_finite, check_floating, check_same_example_shape
from ._pytree import as_pytree
from .gram import PairFunction, gram

LARGEST_TILE = 8192  # rows; larger tiles save nothing
CHECKED_AT_ONCE = 4096  # examples
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


def stream_gram(
    pair: PairFunction,
    x1: Float[Array | np.ndarray, "n1 *shape"],
    x2: Float[Array | np.ndarray, "n2 *shape"] | None = None,
    *,
    path: str | os.PathLike,
    memory_budget: int = 2**30,
    batch_size: int | None = None,
    progress: bool = True,
) -> np.memmap:
    """`gram(pair, x1, x2)` in a .npy file, never the whole of it in memory, in a way that survives being killed.

    The matrix grows in `path.part`; beside it, `path.part.json` is a journal of what is finished. The same call
    after an interruption goes on from there, and ends with the same bytes as an uninterrupted one. A finished file
    keeps the fingerprint of what it was made from in `path.json`: the same call then returns at once.

    Args:
        pair: any kernel. Where x2 is None and the kernel says so by an attribute `symmetric`, only the tiles on and
            above the diagonal are computed, and mirrored: K(x', x) = K(x, x')ᵀ.
        x1, x2: examples along the first axis, as NumPy or JAX arrays; x2 = None means x1.
        path: of the file. Its directory must exist and have room for the matrix.
        memory_budget: bytes that a tile and what it takes to compute it may occupy; inputs are not counted, nor are
            compiled programs, some ten MB.
        batch_size: rows and columns of a tile. None takes the most for which the compiled program fits the budget.
        progress: whether to show a progress bar.

    Returns:
        The matrix, (n1, n2) followed by the shape of pair's value, memory-mapped and read-only.

    Raises:
        TypeError: if the inputs are not real floating-point arrays.
        ValueError: if they are not finite or do not match; if the budget is too small; if an earlier file, finished
            or not, was made from other inputs or is damaged.
        OSError: if the disk is too small or full, or another process writes the same file.
    """
    if fcntl is None:
        raise OSError(
            f"stream_gram needs a POSIX system, such as Linux or macOS, for its writes and locks; this is {os.name}: "
            f"use gram with memory_budget, or kernel_operator"
        )
    x1 = _as_numpy(x1)
    symmetric = x2 is None and getattr(pair, "symmetric", False)
    x2 = x1 if x2 is None else _as_numpy(x2)
    _check_inputs(x1, x2)
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    pair, path = as_pytree(pair), Path(path)
    matrix = Matrix.of(pair, x1, x2)
    files = Files(path, _fingerprint(pair, x1, x2, matrix, symmetric), matrix)
    if not files.is_finished():
        with files.locked() as descriptor:
            if not files.is_finished():  # by another process, meanwhile
                _stream(pair, x1, x2, files, descriptor, memory_budget, batch_size, symmetric, progress)
    return np.load(path, mmap_mode="r")


def _stream(pair, x1, x2, files, descriptor, memory_budget, batch_size, symmetric, progress) -> None:
    journal = files.read_journal()
    batch_size = None if batch_size is None else min(batch_size, max(len(x1), len(x2)))
    tile = _fitting_tile(pair, x1, x2, files, journal.agreed_batch_size(batch_size, files), memory_budget)
    if not journal.finished:
        files.begin(descriptor, tile.size)
    row_blocks, column_blocks = _blocks(len(x1), tile.size), _blocks(len(x2), tile.size)
    write = functools.partial(files.write, descriptor)
    show = {"total": len(row_blocks), "initial": journal.finished, "unit": "block", "disable": not progress}
    with tqdm(desc="rows of the kernel", **show) as bar:
        for i, rows in list(enumerate(row_blocks))[journal.finished :]:
            for columns in column_blocks[i if symmetric else 0 :]:
                _store(write, np.asarray(tile(pair, x1[rows], x2[columns])), rows, columns, symmetric)
                _return_freed_memory()
            files.note(tile.size, i + 1)
            bar.update()
    files.finish()


def _return_freed_memory() -> None:
    """To the system: glibc would keep blocks of less than 32 MB, which fragment, and exceed small budgets."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


def _blocks(n: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


def _store(write, tile, rows, columns, symmetric) -> None:
    if not symmetric:
        write(tile, rows.start, columns.start)
    elif rows != columns:
        write(tile, rows.start, columns.start)
        write(np.ascontiguousarray(_transposed(tile)), columns.start, rows.start)
    else:  # exactly symmetric, whatever the rounding
        tile = tile.copy()
        for i in range(len(tile)):
            tile[i + 1 :, i] = _transposed(tile[i : i + 1, i + 1 :])[:, 0]
        write(tile, rows.start, columns.start)


def _transposed(tile):
    """K(x', x) = K(x, x')ᵀ: examples and outputs change places."""
    return tile.transpose(1, 0, *range(2, tile.ndim)[::-1])


class Tile:
    """The compiled program for tiles of a size, and others for those at the edges, which are smaller."""

    def __init__(self, pair, x1, x2, size: int):
        self.size, self.programs = size, {}
        memory = self.program(pair, x1[:size], x2[:size]).memory_analysis()
        # What XLA knows of; a copy of the tile, transposed or made symmetric; and for what allocator and compiler keep,
        # which differs from run to run, twice as much again.
        copies = 6 * memory.output_size_in_bytes
        self.bytes_needed = memory.temp_size_in_bytes + memory.argument_size_in_bytes + copies

    def program(self, pair, a, b):
        if (len(a), len(b)) not in self.programs:
            self.programs[len(a), len(b)] = _tile.lower(pair, a, b).compile()
        return self.programs[len(a), len(b)]

    def __call__(self, pair, a, b):
        return self.program(pair, a, b)(pair, a, b)


def _fitting_tile(pair, x1, x2, files, batch_size, memory_budget) -> Tile:
    """Of the size asked for, or of the largest that fits the budget."""
    size = batch_size
    if size is None:  # four tiles must fit: so much is known without compiling
        bound = math.isqrt(memory_budget // (4 * files.matrix.bytes_per_value)) + 1
        size = _rounded(min(LARGEST_TILE, max(len(x1), len(x2)), bound))
    while (tile := Tile(pair, x1, x2, size)).bytes_needed > memory_budget:
        if batch_size is not None or size == 1:
            raise ValueError(
                f"a tile of {size} x {size} pairs needs {tile.bytes_needed:,} bytes, memory_budget is "
                f"{memory_budget:,}: raise the budget{' or lower batch_size' if size > 1 else ''}"
            )
        # What a tile needs grows at most as its area.
        size = _rounded(max(1, min(size - 1, int(size * (memory_budget / tile.bytes_needed) ** 0.5))))
    return tile


def _rounded(size: int) -> int:
    return size if size < 128 else size // 64 * 64


@jax.jit
def _tile(pair, a, b):
    return gram(pair, a, b)


def _as_numpy(x) -> np.ndarray:
    """On the host, without a copy where possible, in the type that JAX would give it."""
    x = np.asarray(x)
    return x.astype(jax.dtypes.canonicalize_dtype(x.dtype), copy=False)


def _check_inputs(x1, x2) -> None:
    for name, x in {"x1": x1, "x2": x2}.items():
        if x.ndim == 0 or not len(x):
            raise ValueError(f"{name} has shape {x.shape}: the first axis counts examples, and there must be some")
        check_floating(**{name: x[:1]})
        for rows in _blocks(len(x), CHECKED_AT_ONCE):
            check_finite(**{name: x[rows]})
    check_same_example_shape(x1, x2)


def _fingerprint(pair, x1, x2, matrix, symmetric) -> str:
    """SHA-256 of the examples, the kernel's arrays, and the program it compiles to, which is its structure."""
    program = _tile.lower(pair, x1[:1], x2[:1]).as_text()
    digest = hashlib.sha256(repr((program, matrix.shape, matrix.dtype.str, symmetric)).encode())
    for array in (x1, x2, *map(np.asarray, jax.tree.leaves(pair))):
        digest.update(repr((array.shape, array.dtype.str)).encode())
        for rows in _blocks(len(array), CHECKED_AT_ONCE) if array.ndim else [...]:
            digest.update(np.ascontiguousarray(array[rows]).data)
    return digest.hexdigest()


@dataclass(frozen=True)
class Matrix:
    """Shape and type of the matrix, and what follows from them: the layout of its .npy file."""

    shape: tuple[int, ...]
    dtype: np.dtype

    @classmethod
    def of(cls, pair, x1, x2) -> Matrix:
        one = jax.eval_shape(_tile, pair, x1[:1], x2[:1])
        return cls((len(x1), len(x2), *one.shape[2:]), np.dtype(one.dtype))

    @property
    def bytes_per_value(self) -> int:
        return math.prod(self.shape[2:]) * self.dtype.itemsize

    @functools.cached_property
    def header(self) -> bytes:
        description = {"descr": np.lib.format.dtype_to_descr(self.dtype), "fortran_order": False, "shape": self.shape}
        np.lib.format.write_array_header_1_0(buffer := io.BytesIO(), description)
        return buffer.getvalue()

    @property
    def num_bytes(self) -> int:
        return len(self.header) + math.prod(self.shape[:2]) * self.bytes_per_value

    def offset(self, row: int, column: int) -> int:
        return len(self.header) + (row * self.shape[1] + column) * self.bytes_per_value


class NotEnoughRoom(OSError):
    """Known before anything was written."""


@dataclass(frozen=True)
class Journal:
    """The size of tiles, and how many row blocks are finished."""

    batch_size: int | None
    finished: int

    def agreed_batch_size(self, batch_size: int | None, files: Files) -> int | None:
        """Bytes are the same again only from the same tiles."""
        if not self.finished:
            return batch_size
        if batch_size in (None, self.batch_size):
            return self.batch_size
        raise ValueError(
            f"{files.part} was begun with batch_size={self.batch_size}, got {batch_size}: leave batch_size out to go "
            f"on, or delete {files.part} and {files.journal} to start again"
        )


@dataclass(frozen=True)
class Files:
    """The finished file and its fingerprint, or the growing one and its journal."""

    path: Path
    fingerprint: str
    matrix: Matrix

    @property
    def sidecar(self) -> Path:
        return Path(f"{self.path}.json")

    @property
    def part(self) -> Path:
        return Path(f"{self.path}.part")

    @property
    def journal(self) -> Path:
        return Path(f"{self.path}.part.json")

    def is_finished(self) -> bool:
        if not self.path.exists():
            return False
        size, remedy = self.path.stat().st_size, "delete it, or choose another path"
        if not self.sidecar.exists():
            raise ValueError(
                f"{self.path} exists without {self.sidecar}, so what it was made from is unknown: {remedy}"
            )
        self.check(_read_json(self.sidecar, ("fingerprint",)), self.path, remedy)
        if size != self.matrix.num_bytes:
            raise ValueError(f"{self.path} is truncated: {size:,} bytes of {self.matrix.num_bytes:,}: {remedy}")
        self.journal.unlink(missing_ok=True)  # where a kill came right before
        return True

    def read_journal(self) -> Journal:
        remedy = f"delete {self.part} and {self.journal} to start again, or choose another path"
        size = self.part.stat().st_size if self.part.exists() else 0
        if not self.journal.exists():
            if size:
                raise ValueError(f"{self.part} exists without its journal {self.journal}: {remedy}")
            return Journal(None, 0)
        record = _read_json(self.journal, ("fingerprint", "batch_size", "finished"))
        self.check(record, self.part, remedy)
        if record["finished"] and size != self.matrix.num_bytes:
            raise ValueError(f"{self.part} is truncated: {size:,} bytes of {self.matrix.num_bytes:,}: {remedy}")
        return Journal(record["batch_size"], record["finished"])

    def check(self, record, path, remedy) -> None:
        if record["fingerprint"] != self.fingerprint:
            raise ValueError(
                f"{path} was made from other examples, another kernel or type, or by another version of JAX: {remedy}"
            )

    @contextlib.contextmanager
    def locked(self) -> Iterator[int]:
        """The part file, open, for this process alone."""
        descriptor = os.open(self.part, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield descriptor
        except BlockingIOError as error:
            raise OSError(
                error.errno, f"another process is writing {self.part}: wait for it, or choose another path"
            ) from error
        except OSError as error:
            if error.errno not in NO_SPACE or isinstance(error, NotEnoughRoom):
                raise
            raise OSError(
                error.errno,
                f"the disk is full, {self.part} needs {self.matrix.num_bytes:,} bytes in all: free some and call "
                f"again, which goes on from the last finished row block",
            ) from error
        finally:
            if os.fstat(descriptor).st_size == 0:
                self.part.unlink(missing_ok=True)
            os.close(descriptor)

    def begin(self, descriptor: int, batch_size: int) -> None:
        """The part file at its full size, and a journal that vouches for nothing yet."""
        self.check_room(os.fstat(descriptor).st_size)
        self.note(batch_size, 0)
        os.ftruncate(descriptor, 0)
        try:
            os.posix_fallocate(descriptor, 0, self.matrix.num_bytes)
        except (AttributeError, OSError) as error:  # not every system has it, nor every file system
            if getattr(error, "errno", None) in NO_SPACE:
                raise
            os.ftruncate(descriptor, self.matrix.num_bytes)
        _write_at(descriptor, self.matrix.header, 0)

    def check_room(self, already: int) -> None:
        free = shutil.disk_usage(self.part.parent).free + already
        if free < self.matrix.num_bytes:
            raise NotEnoughRoom(
                errno.ENOSPC,
                f"{self.path} needs {self.matrix.num_bytes:,} bytes, its disk has {free:,} free: free some, or choose "
                f"a path on another disk",
            )

    def write(self, descriptor: int, tile: np.ndarray, row: int, column: int) -> None:
        tile = np.ascontiguousarray(tile)
        if tile.shape[1] == self.matrix.shape[1]:
            _write_at(descriptor, tile, self.matrix.offset(row, 0))
        else:
            for i, values in enumerate(tile):
                _write_at(descriptor, values, self.matrix.offset(row + i, column))

    def note(self, batch_size: int, finished: int) -> None:
        """The journal, replaced as a whole, and only after the data that it vouches for is on the disk."""
        if finished:
            _sync(self.part)
        _write_json(self.journal, {"fingerprint": self.fingerprint, "batch_size": batch_size, "finished": finished})

    def finish(self) -> None:
        _write_json(self.sidecar, {"fingerprint": self.fingerprint})
        os.replace(self.part, self.path)
        self.journal.unlink()


def _write_at(descriptor: int, values, offset: int) -> None:
    """By pwrite: pages of a writable memory map would count as this process's memory until they reach the disk."""
    view = memoryview(values).cast("B")
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_json(path: Path, record: dict[str, Any]) -> None:
    temporary = Path(f"{path}.tmp")
    temporary.write_text(json.dumps(record))
    _sync(temporary)
    os.replace(temporary, path)


def _read_json(path: Path, keys: tuple[str, ...]) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text())
        return {key: record[key] for key in keys}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} is unreadable ({error!r}): delete it and the file it belongs to, or choose another path"
        ) from error
