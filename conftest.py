"""Make nbval compare figures too, and refuse what it would let through unchecked.

nbval 0.11 leaves `image/png` out of its comparison, does not compare a cell whose execution count is
null (so a notebook stripped of its outputs passes), and obeys markers that switch a cell's check off.
tests/test_checker.py shows that each of these fails here.
"""

from __future__ import annotations

import base64
import gc
import io
import os
import pathlib
from unittest import mock

import pytest
from nbval.plugin import IPyNbCell, IPyNbFile, NbCellError

MAX_RMS = 0.1  # of 255, over all pixels and channels; a changed letter gives about 1.8, a curve moved by 1 % about 8
FIGURES = ("image/png", "image/jpeg")
# Most of the time goes into compiling small programs. With these flags it takes a third less, here and in all processes
# that tests start, the notebooks' kernels too; to split a program, for threads to compile in parallel, costs a tenth.
# What chapters print must not depend on them: `make notebooks` has none.
FLAGS = (
    "--xla_cpu_use_fusion_emitters=false --xla_backend_optimization_level=1 --xla_cpu_parallel_codegen_split_count=1"
)
if FLAGS not in os.environ.get("XLA_FLAGS", ""):  # workers inherit them
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {FLAGS}".strip()
# Several processes share the cores: linear algebra that waits for a second one, spinning, takes ten times as long.
os.environ["OPENBLAS_NUM_THREADS"] = "1"
# XLA counts its threads by this: of two, one mostly searches for work, which costs notebooks a tenth.
os.environ["NPROC"] = "1"
# What one process has compiled, others of this run and of later ones need not. `make clean` throws it away.
os.environ |= {
    "JAX_COMPILATION_CACHE_DIR": str(pathlib.Path(__file__).parent / ".pytest_cache" / "xla"),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}
# A process that reads what another is still writing compiles it itself, and need not say so.
HALF_WRITTEN = "ignore:Error reading persistent compilation cache"
os.environ["PYTHONWARNINGS"] = ",".join(filter(None, [os.environ.get("PYTHONWARNINGS"), HALF_WRITTEN]))
# Tracing makes many objects that stay. To look for unused ones each time there are 700 more takes a tenth of the time.
MANY = 50_000
gc.set_threshold(MANY)
ENVIRONMENT = dict(os.environ)  # as it is before any test changes it: what the notebooks' kernels get


def figures(outputs) -> list[str]:
    """Return the figures among a cell's outputs, base64 encoded."""
    return [data[kind] for data in (o.get("data", {}) for o in outputs) for kind in FIGURES if kind in data]


def figure_problem(stored: list[str], computed: list[str]) -> str | None:
    """Say how two lists of figures differ, or return None where they look the same."""
    import numpy as np
    from PIL import Image

    def pixels(figure: str):
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(figure))).convert("RGBA"), dtype=float)

    if len(stored) != len(computed):
        return f"{len(stored)} figures are stored, {len(computed)} were computed"
    for i, (a, b) in enumerate(zip(map(pixels, stored), map(pixels, computed), strict=True)):
        if a.shape != b.shape:
            return (
                f"figure {i} is stored with {a.shape[1]}x{a.shape[0]} pixels, computed with {b.shape[1]}x{b.shape[0]}"
            )
        rms = ((a - b) ** 2).mean() ** 0.5
        if rms > MAX_RMS:
            return f"figure {i} differs from the stored one: RMS {rms:.2f} of 255, at most {MAX_RMS} is allowed"
    return None


compare_text, start_kernel = IPyNbCell.compare_outputs, IPyNbFile.setup


def compare_outputs(self, test, ref, skip_compare=None) -> bool:
    """Compare text as nbval does, then figures."""
    if not compare_text(self, test, ref, skip_compare):
        return False
    problem = figure_problem(figures(ref), figures(test))
    if problem:
        self.comparison_traceback.append(problem)
    return problem is None


def setup(self) -> None:
    """Start the kernel in the environment this run was called in; let it collect garbage as seldom as this process."""
    with mock.patch.dict(os.environ, ENVIRONMENT, clear=True):
        start_kernel(self)
    message = self.kernel.execute_cell_input(f"__import__('gc').set_threshold({MANY})", allow_stdin=False)
    self.kernel.await_reply(message, timeout=60)
    self.kernel.await_idle(message, timeout=60)


IPyNbCell.compare_outputs = compare_outputs
IPyNbFile.setup = setup


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item) -> None:
    """Refuse a cell whose outputs nbval would not check."""
    if not isinstance(item, IPyNbCell) or not item.cell.source.strip():
        return
    if item.cell.execution_count is None:
        raise NbCellError(item.cell_num, "never run; `make notebooks` stores outputs to compare with", item.cell.source)
    if item.options["skip"] or not item.options["check"]:
        raise NbCellError(item.cell_num, "a marker switches its check off; take the marker out", item.cell.source)
