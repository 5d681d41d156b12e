"""results.json as tables for readers."""

from __future__ import annotations

from workloads import BY_NAME

HEAD = """\
# This package and neural-tangents, side by side

Made by `make bench`; do not edit. Float32 on the CPU. *CPU s* counts all threads, medians of calls that alternate
between both libraries, compiled before. *First call* is the wall time of a fresh process, from its start over import
and compilation to its first result; *peak* the most memory it ever had. *Difference* is that of both results, relative.
A ratio is the peer's CPU seconds over ours, bold where it misses its target. *× limit* is our CPU time over
max(operations / GEMM rate, bytes / bandwidth) for the best known algorithm (formulas: `workloads.py`) at the rates
measured here; *load* is the machine's load average just before, which an idle machine has near 0.
"""

FAR = 3  # times the limit: what takes longer is explained
UNEXPECTED = "Not known; on an idle machine with two cores it was nearer."
WHY = {  # by kind of workload; measured once, on an idle machine
    "infinite_fc": """\
Beside the product of the inputs all work is on single entries: roots, divisions and polynomials, a layer in 1 to 2 ns
of CPU where the formula's 30 operations at the rate of matrix products take 0.2 ns. XLA makes q and Θ of a layer in
separate passes, which both evaluate what they share.""",
    "infinite_conv": """\
No part of the work is a matrix product, whose rate the limit supposes: entries are taken one by one, as without
convolutions, and added up over windows as shifted copies. A layer takes 4 ns an entry where images have 16 positions on
a side, and 18 ns with pooling where they have 8: XLA adds up a window anew in each pass that reads the sum, in loops as
short as a row.""",
    "finite_cnn": """\
With 10 outputs, eight tenths go into the forward pass, the 10 backward passes and the gradients of each example, of
which matrix products are a bit more than half. The rest moves memory: patches, masks, sums of patches on the way back,
and 47 MB of gradients that are written once and read once.""",
    "mean": """\
Products of the kernel with blocks of ten columns wait for memory, and are in float64.""",
}


def markdown(results: dict) -> str:
    """All of RESULTS.md."""
    machine = results["machine"]
    parts = [HEAD, _machine(machine), _workloads(results["workloads"], machine), _far(results["workloads"], machine)]
    if results["growth"]:
        parts.append(_growth(results["growth"]))
    return "\n".join(parts)


def limit(line: dict, machine: dict) -> float:
    """CPU seconds that the best known algorithm needs at least."""
    return max(line["flops"] / machine["gemm_per_cpu_s"], line["bytes"] / machine["bandwidth_per_cpu_s"])


def _machine(m: dict) -> str:
    versions = "; ".join(
        f"{side}: {', '.join(f'{name} {version}' for name, version in found.items() if version)}"
        for side, found in m["versions"].items()
    )
    rows = [
        ("machine", f"{m['cpu']}, {m['cores']} cores, {m['memory_bytes'] / 2**30:.0f} GiB, {m['system']}"),
        ("matrix products", _rates(m, "gemm", "Gflop")),
        ("memory", _rates(m, "bandwidth", "GB")),
        ("versions", versions),
        ("run", f"{m['date']}, commit {m['commit']}" + (", --quick" if m["quick"] else "")),
        ("load before", ", ".join(f"{load:.1f}" for load in m["load"]) + " (1, 5, 15 minutes)"),
    ]
    return _table(("", ""), rows)


def _rates(m: dict, name: str, unit: str) -> str:
    return f"{m[name + '_per_wall_s'] / 1e9:.0f} {unit} a second, {m[name + '_per_cpu_s'] / 1e9:.0f} a CPU second"


def _workloads(lines: dict, machine: dict) -> str:
    head = (
        "workload",
        "peer CPU s",
        "our CPU s",
        "ratio",
        "target",
        "wall s, peer / ours",
        "first call s, peer / ours",
        "peak MiB, peer / ours",
        "difference",
        "× limit",
        "load",
    )
    return "\n## Workloads\n\n" + _table(head, [_workload(line, machine) for line in lines.values()])


def _workload(line: dict, machine: dict) -> tuple[str, ...]:
    ours, peer = line["ours"], line.get("peer")

    def both(show, key):
        return f"{show(peer[key]) if peer else '–'} / {show(ours[key])}"

    ratio = line.get("ratio")
    shown = "–" if ratio is None else f"{ratio:.1f}" if ratio >= line["target"] else f"**{ratio:.1f}**"
    key = "first_s" if line["wall_ratio"] else "cpu"
    return (
        line["title"],
        seconds(peer[key]) if peer else "–",
        seconds(ours[key]),
        shown,
        f"≥ {line['target']:g}",
        both(seconds, "wall"),
        both(lambda s: f"{s:.1f}", "first_s"),
        both(lambda b: f"{b / 2**20:.0f}", "peak_bytes"),
        "–" if line["error"] is None else f"{line['error']:.0e}",
        "–" if line["wall_ratio"] else f"{ours['cpu'] / limit(line, machine):.1f}",
        f"{line['load']:.1f}",
    )


def _far(lines: dict, machine: dict) -> str:
    titles: dict[str, list[str]] = {}
    for name, line in lines.items():
        if not line["wall_ratio"] and line["ours"]["cpu"] > FAR * limit(line, machine):
            titles.setdefault(BY_NAME[name].kind, []).append(line["title"])
    items = [f"- **{'; '.join(found)}.** {WHY.get(kind, UNEXPECTED)}\n" for kind, found in titles.items()]
    return f"\n## More than {FAR} × limit, and why\n\n{''.join(items)}" if items else ""


def _growth(lines: dict) -> str:
    head = ("workload", "size", "values", "our CPU s", "slope", "slope of the work")
    rows = [
        (
            line["title"],
            line["axis"],
            ", ".join(map(str, line["values"])),
            ", ".join(map(seconds, line["cpu"])),
            f"{line['slope']:.2f} ± {line['standard_error']:.2f}",
            f"{line['work_slope']:.2f}",
        )
        for line in lines.values()
    ]
    note = "\nSlopes in log-log; the work is the best known algorithm's at the same sizes.\n"
    return "\n## Growth\n" + note + "\n" + _table(head, rows)


def seconds(value: float) -> str:
    """Three significant digits."""
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
