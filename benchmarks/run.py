"""Both libraries side by side: `make bench`, or `python benchmarks/run.py --help`.

Each has one process that stays alive, in an environment of its own; calls alternate between them. Results are compared
before anything is timed. After each line of the table, results.json and RESULTS.md are written anew.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from report import markdown
from tqdm import tqdm
from worker import PROTOCOL
from workloads import GROWTH, WORKLOADS, Growth, Workload

HERE = Path(__file__).resolve().parent
PYTHONS = {"ours": Path(sys.executable), "peer": HERE.parent / ".venv-peer" / "bin" / "python"}
SIDES = ("peer", "ours")
ENVIRONMENT = {
    "ours": {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(HERE.parent)},
    "peer": {"JAX_PLATFORMS": "cpu", "PYTHONPATH": "", "TF_CPP_MIN_LOG_LEVEL": "3"},
}


class Refused(Exception):
    """A worker could not do what it was told, or both disagree."""


class Process:
    """A worker, and the pipes to it."""

    def __init__(self, side: str, python: Path | None = None):
        self.side = side
        python = python or PYTHONS[side]
        if not python.exists():
            raise Refused("neural-tangents has no environment yet: run `make bench`, which makes it")
        self.log = tempfile.TemporaryFile()  # noqa: SIM115
        self.process = subprocess.Popen(
            [python, HERE / "worker.py", side],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            env={**os.environ, **ENVIRONMENT[side]},
        )
        self.versions = self.ask("hello")["versions"]

    def ask(self, do: str, **order) -> dict:
        """Gives one order and waits for its answer."""
        try:
            print(json.dumps({"do": do, **order}), file=self.process.stdin, flush=True)
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self.log.seek(0)
            tail = self.log.read().decode(errors="replace")[-2000:]
            raise Refused(f"the worker of {self.side} ended at {do!r}; its last words:\n{tail}")
        answer = json.loads(line)
        if "error" in answer:
            raise Refused(f"the worker of {self.side} failed at {do!r}:\n{answer['error']}")
        if answer.get("protocol", PROTOCOL) != PROTOCOL:
            raise Refused(f"the worker of {self.side} speaks protocol {answer['protocol']}, wanted {PROTOCOL}")
        return answer

    def prepare(self, workload: Workload, folder: Path) -> None:
        """Lets it read inputs and make the function."""
        self.ask("prepare", kind=workload.kind, sizes=workload.sizes, folder=str(folder))

    def close(self) -> None:
        """Lets the process end by itself."""
        with contextlib.suppress(BrokenPipeError):
            print('{"do": "exit"}', file=self.process.stdin, flush=True)
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
        self.log.close()


@contextlib.contextmanager
def running(*sides: str) -> Iterator[dict[str, Process]]:
    """Workers that live as long as the block."""
    with contextlib.ExitStack() as stack:
        yield {side: stack.enter_context(contextlib.closing(Process(side))) for side in sides}


def save_inputs(workload: Workload, folder: Path) -> Path:
    """Writes one .npy file an array."""
    folder.mkdir()
    for name, array in workload.inputs().items():
        np.save(folder / f"{name}.npy", array)
    return folder


def difference(folder1: Path, folder2: Path) -> float:
    """The largest ‖a − b‖ / ‖b‖ over the arrays of two results."""
    names = [sorted(path.name for path in folder.glob("*.npy")) for folder in (folder1, folder2)]
    if names[0] != names[1]:
        raise Refused(f"the results consist of different arrays, {names[0]} and {names[1]}")
    worst = 0.0
    for name in names[0]:
        a, b = (np.load(folder / name).astype(np.float64) for folder in (folder1, folder2))
        if a.shape != b.shape:
            raise Refused(f"the results have different shapes, {a.shape} and {b.shape}")
        if not (np.isfinite(a).all() and np.isfinite(b).all()):
            raise Refused("a result is not finite")
        worst = max(worst, float(np.linalg.norm(a - b) / np.linalg.norm(b)))
    return worst


def first_call(side: str, workload: Workload, inputs: Path) -> dict:
    """Wall time of a fresh process from its start to its first result, and its peak memory."""
    start = time.perf_counter()
    with running(side) as workers:
        workers[side].prepare(workload, inputs)
        workers[side].ask("call")
        return {"first_s": time.perf_counter() - start, "peak_bytes": workers[side].ask("memory")["peak"]}


def alternate(workers: dict[str, Process], seconds: float, fewest: int, most: int) -> dict[str, list[dict]]:
    """Calls in turn, until they took `seconds` in all."""
    calls: dict[str, list[dict]] = {side: [] for side in workers}
    start = time.perf_counter()
    for i in range(most):
        if i >= fewest and time.perf_counter() - start > seconds:
            break
        for side, worker in workers.items():
            calls[side].append(worker.ask("call"))
    return calls


def measure(workload: Workload, workers: dict[str, Process], quick: bool) -> dict:
    """One line of the table; `workers` may lack the peer."""
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        inputs = save_inputs(workload, folder / "inputs")
        firsts = {side: [first_call(side, workload, inputs)] for side in workers}
        for side, worker in workers.items():
            (folder / side).mkdir()
            worker.prepare(workload, inputs)
            worker.ask("call", save=str(folder / side))
        error = difference(folder / "ours", folder / "peer") if "peer" in workers else None
        if error is not None and error > workload.tolerance:
            raise Refused(
                f"{workload.name}: both results differ by {error:.2g} (relative, Frobenius norm), at most "
                f"{workload.tolerance:.2g} is allowed: nothing was timed"
            )
        if workload.wall:
            for _ in range(0 if quick else 2):
                for side in workers:
                    firsts[side].append(first_call(side, workload, inputs))
        calls = alternate(workers, 5 if quick else 40, 1 if quick else 3, 5 if quick else 25)
    work = workload.work()
    line: dict = {"title": workload.title, "target": workload.target, "wall_ratio": workload.wall, "error": error}
    line |= {"load": load, "flops": work.flops, "bytes": work.bytes, "calls": len(calls["ours"])}
    for side in workers:
        line[side] = {key: statistics.median(c[key] for c in calls[side]) for key in ("cpu", "wall")}
        line[side] |= {key: statistics.median(f[key] for f in firsts[side]) for key in firsts[side][0]}
    if "peer" in workers:
        key = "first_s" if workload.wall else "cpu"
        line["ratio"] = line["peer"][key] / line["ours"][key]
    return line


def grow(growth: Growth, worker: Process, quick: bool) -> dict:
    """Median CPU seconds along one size, and the slope of their logarithm."""
    import ntk_tutorial as ntk

    seconds = []
    for value in growth.values:
        with tempfile.TemporaryDirectory() as folder:
            worker.prepare(growth.at(value), save_inputs(growth.at(value), Path(folder) / "inputs"))
            worker.ask("call")
            calls = alternate({"ours": worker}, 1 if quick else 5, 2 if quick else 3, 3 if quick else 15)["ours"]
            seconds.append(statistics.median(call["cpu"] for call in calls))
    flops = [growth.at(value).work().flops for value in growth.values]
    slope = ntk.power_law(np.array(growth.values, float), np.array(seconds))
    return {
        "title": growth.workload.title,
        "axis": growth.axis,
        "values": growth.values,
        "cpu": seconds,
        "slope": float(slope.exponent),
        "standard_error": float(slope.standard_error),
        "work_slope": float(np.polyfit(np.log(growth.values), np.log(flops), 1)[0]),
    }


def provenance(workers: dict[str, Process], quick: bool) -> dict:
    """The machine, what it can do, and what ran on it."""
    size, num_bytes = (1024, 2**26) if quick else (4096, 2**29)
    return {
        "date": now(),
        "cpu": cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": f"{platform.system()} {platform.machine()}",
        "load": os.getloadavg(),
        "quick": quick,
        "commit": commit(),
        "versions": {side: worker.versions for side, worker in workers.items()},
        **workers["ours"].ask("machine", size=size, bytes=num_bytes),
    }


def now() -> str:
    """Date and time."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def cpu_model() -> str:
    """What the processor calls itself."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def commit() -> str | None:
    """The commit that is measured, marked where files differ from it."""
    command = ["git", "-C", str(HERE), "describe", "--always", "--dirty", "--exclude=*"]
    with contextlib.suppress(OSError):
        return subprocess.run(command, capture_output=True, text=True).stdout.strip() or None
    return None


def write(results: dict, folder: Path) -> None:
    """Both files, each at once or not at all."""
    texts = {"results.json": json.dumps(results, indent=1, ensure_ascii=False) + "\n", "RESULTS.md": markdown(results)}
    for name, text in texts.items():
        draft = folder / f".{name}.draft"
        draft.write_text(text)
        draft.replace(folder / name)


def chosen(only: list[str] | None) -> tuple[list[Workload], list[Growth]]:
    """Lines by name; "growth" is all of the second table."""
    names = {line.name for line in (*WORKLOADS, *GROWTH)} | {"growth"}
    unknown = sorted(set(only or ()) - names)
    if unknown:
        raise Refused(f"there is no workload {', '.join(unknown)}: there are {', '.join(sorted(names))}")
    workloads = [w for w in WORKLOADS if only is None or w.name in only]
    return workloads, [g for g in GROWTH if only is None or "growth" in only or g.name in only]


def run(only: list[str] | None, quick: bool, resume: bool, sides: tuple[str, ...], out: Path) -> dict:
    """Measures what was chosen and keeps other lines of earlier results where `resume` or `only` is given."""
    workloads, growths = chosen(only)
    out.mkdir(parents=True, exist_ok=True)
    old = out / "results.json"
    keep = (resume or only is not None) and old.exists()
    results = json.loads(old.read_text()) if keep else {"workloads": {}, "growth": {}}
    if resume:
        workloads = [w for w in workloads if w.name not in results["workloads"]]
        growths = [g for g in growths if g.name not in results["growth"]]
        if not workloads and not growths:
            return results
    with running(*sides) as workers, tqdm(total=len(workloads) + len(growths), unit="line") as progress:
        versions = results.get("machine", {}).get("versions", {})
        results["machine"] = provenance(workers, quick)
        results["machine"]["versions"] = versions | results["machine"]["versions"]
        lines = [("workloads", w, lambda w=w: measure(w, workers, quick)) for w in workloads]
        lines += [("growth", g, lambda g=g: grow(g, workers["ours"], quick)) for g in growths]
        for table, line, compute in lines:
            progress.set_description(line.name)
            results[table][line.name] = {"commit": commit(), "date": now(), "quick": quick, **compute()}
            write(results, out)
            progress.update()
    return results


def main(arguments: list[str] | None = None) -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Times this package and neural-tangents side by side.")
    parser.add_argument("--only", action="append", metavar="NAME", help="this line of a table; may be repeated")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    parser.add_argument("--resume", action="store_true", help="keep the lines that results.json already has")
    parser.add_argument("--ours", action="store_true", help="this package alone")
    parser.add_argument("--out", type=Path, default=HERE, help="where results.json and RESULTS.md go")
    options = parser.parse_args(arguments)
    try:
        run(options.only, options.quick, options.resume, ("ours",) if options.ours else SIDES, options.out)
    except Refused as reason:
        sys.exit(f"make bench: {reason}")
    except KeyboardInterrupt:
        sys.exit("make bench: interrupted; `make bench OPTIONS=--resume` goes on")


if __name__ == "__main__":
    main()
