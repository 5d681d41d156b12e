"""One library in one process, which takes orders: `python worker.py ours` or `python worker.py peer`.

An order is a line of JSON on the standard input, its answer a line of JSON on the standard output; arrays pass through
.npy files. An answer with the key "error" says why there is none.

    {"do": "hello"}                                         versions
    {"do": "prepare", "kind": .., "sizes": .., "folder": ..}  inputs are read, the function is made
    {"do": "call", "save": FOLDER or null}                  {"wall": seconds, "cpu": seconds}, once
    {"do": "memory"}                                        {"peak": bytes}, the most that was resident until now
    {"do": "machine", "size": n, "bytes": b}                rates of matrix products and of copies
    {"do": "exit"}
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import resource
import sys
import time
import traceback
from pathlib import Path

PROTOCOL = 1
SIDES = {"ours": "ntk-tutorial", "peer": "neural-tangents"}


class Worker:
    """Answers orders; the library is imported by the first `prepare`."""

    def __init__(self, side: str):
        self.side = side
        self.function = None

    def hello(self) -> dict:
        """Who answers, and with which versions."""
        packages = (SIDES[self.side], "jax", "jaxlib", "numpy", "scipy")
        versions = {name: _version(name) for name in packages}
        return {"protocol": PROTOCOL, "side": self.side, "versions": {"python": sys.version.split()[0], **versions}}

    def prepare(self, kind: str, sizes: dict, folder: str) -> dict:
        """Reads inputs and makes the function; nothing is computed yet."""
        import numpy as np

        library = importlib.import_module(self.side)
        arrays = {path.stem: np.load(path) for path in Path(folder).glob("*.npy")}
        self.function = getattr(library, kind)(arrays, **sizes)
        return {}

    def call(self, save: str | None = None) -> dict:
        """One call, until all of its result is there."""
        import jax
        import numpy as np

        wall, cpu = time.perf_counter(), time.process_time()
        result = jax.block_until_ready(self.function())
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        if save is not None:
            for i, array in enumerate(jax.tree_util.tree_leaves(result)):
                np.save(Path(save) / f"{i}.npy", np.asarray(array))
        return {"wall": wall, "cpu": cpu}

    def memory(self) -> dict:
        """The high-water mark. On Linux not by ru_maxrss, which a process inherits from the one that starts it."""
        try:
            line = next(l for l in Path("/proc/self/status").read_text().splitlines() if l.startswith("VmHWM"))
            return {"peak": int(line.split()[1]) * 1024}
        except (OSError, StopIteration):
            unit = 1 if sys.platform == "darwin" else 1024
            return {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit}

    def machine(self, size: int, bytes: int, repeat: int = 5) -> dict:
        """Best of several: operations a second of a float32 product, bytes a second of y ← x + 1, by wall and CPU."""
        import jax
        import jax.numpy as jnp
        import numpy as np

        a, x = jnp.ones((size, size)), jnp.ones(bytes // 8)
        b = np.ones((size, size), np.float32)
        product, increment = jax.jit(jnp.matmul), jax.jit(lambda x: x + 1)
        contenders = {
            "gemm": (2 * size**3, [lambda: product(a, a), lambda: b @ b]),
            "bandwidth": (bytes, [lambda: increment(x)]),
        }
        rates = {}
        for name, (work, functions) in contenders.items():
            walls, cpus = [], []
            for function in functions * (repeat + 1):
                self.function = function
                took = self.call()
                walls.append(took["wall"])
                cpus.append(took["cpu"])
            rates |= {f"{name}_per_wall_s": work / min(walls), f"{name}_per_cpu_s": work / min(cpus)}
        return rates


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def main(side: str) -> None:
    """Answers until "exit", or until the other end of the pipe is closed."""
    # What libraries print must not get between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    worker = Worker(side)
    for line in sys.stdin:
        order = json.loads(line)
        do = order.pop("do")
        if do == "exit":
            return
        try:
            answer = getattr(worker, do)(**order)
        except Exception:
            answer = {"error": traceback.format_exc()}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
