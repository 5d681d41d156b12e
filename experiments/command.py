"""What every experiment's command line shares: its profile, where the results go, and the devices."""

from __future__ import annotations

import argparse
import functools
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

import ntk_tutorial as ntk

RESULTS = Path(ntk.results.__file__).parent


def main(
    name: str,
    doc: str | None,
    measure: Callable[..., Mapping[str, Any]],
    profiles: Mapping[str, Sequence[Mapping[str, Any]]],
) -> None:
    """Runs the configurations of a profile, seeds spread over devices; "workstation" makes the package's own file.

    Every configuration has a `task` and `num_seeds`; where `measure` takes a `mesh`, it is given one.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", choices=profiles, default="laptop", help="laptop by default")
    parser.add_argument(
        "--out", type=Path, help=f"the file; default: {name}.PROFILE.json, for workstation the package's"
    )
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    configurations = profiles[options.profile]
    default = RESULTS / f"{name}.json" if options.profile == "workstation" else Path(f"{name}.{options.profile}.json")
    out = options.out or default
    tasks = sorted({configuration["task"] for configuration in configurations})
    if (devices := _share(configurations)) > 1 and "mesh" in inspect.signature(measure).parameters:
        mesh = jax.sharding.Mesh(jax.devices()[:devices], "seeds")
        measure = functools.partial(measure, mesh=mesh)
    print(f"{len(configurations)} runs into {out}; interrupted, the same command goes on")
    ntk.results.run(
        measure, configurations, out,
        settings={"profile": options.profile},
        data={task: ntk.datasets.checksum(task) for task in tasks},
    )  # fmt: skip


def _share(configurations) -> int:
    """The most devices among which the seeds of every run can be divided evenly."""
    seeds = math.gcd(*(configuration["num_seeds"] for configuration in configurations))
    return max(n for n in range(1, jax.device_count() + 1) if seeds % n == 0)
