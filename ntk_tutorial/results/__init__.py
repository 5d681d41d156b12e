"""Results of long sweeps, kept in JSON files with what they were made from.

A sweep calls one function on many configurations. `run` appends each result to a journal as soon as it is there, goes
on from it after an interruption, and ends with the same file either way. `load` reads a finished file, one that comes
with the package or any other; `Results.deviation` holds it against a fresh computation.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

FORMAT = 1
DIGITS = 6  # significant ones, of every number stored
LIBRARIES = ("ntk_tutorial", "jax", "jaxlib", "numpy", "diffrax", "optax", "scikit-learn")
Configuration = Mapping[str, Any]
Measure = Callable[..., Mapping[str, Any]]


@dataclass(frozen=True)
class Results:
    """What a sweep found.

    Attributes:
        name: of the sweep.
        about: what was run: settings, versions, machine, checksums of data.
        configurations: one a run.
        values: what each run returned, in the same order: a number, or a list with one number a seed, by name.
    """

    name: str
    about: Mapping[str, Any]
    configurations: Sequence[Configuration]
    values: Sequence[Mapping[str, Any]]

    def __len__(self) -> int:
        return len(self.configurations)

    def select(self, **fixed: Any) -> Results:
        """The runs whose configuration has these entries.

        Raises:
            KeyError: if there is none.
        """
        kept = [i for i, configuration in enumerate(self.configurations) if fixed.items() <= configuration.items()]
        if not kept:
            raise KeyError(f"{self.name} has no run with {fixed}; {self._entries(fixed)}")
        return Results(self.name, self.about, [self.configurations[i] for i in kept], [self.values[i] for i in kept])

    def _entries(self, names) -> str:
        def there(name):
            return sorted({json.dumps(c[name]) for c in self.configurations if name in c}) or "nothing"

        return "; ".join(f"of {name} it has {there(name)}" for name in names)

    def axis(self, name: str) -> list:
        """The different values of an entry of the configurations, in order of appearance."""
        return list(dict.fromkeys(configuration[name] for configuration in self.configurations))

    def array(self, value: str, *axes: str) -> np.ndarray:
        """A value over the entries `axes` of the configurations, one axis of the array each; seeds, if any, last.

        Raises:
            KeyError: if there is no such value.
            ValueError: if `axes` do not tell the runs apart, or one of their combinations has not been run.
        """
        for values in self.values:
            if value not in values:
                raise KeyError(f"{self.name} has no value {value!r}; it has {sorted(values)}")
        places = [tuple(configuration[axis] for axis in axes) for configuration in self.configurations]
        found = dict(zip(places, (values[value] for values in self.values), strict=True))
        sizes = [len(self.axis(axis)) for axis in axes]
        if len(found) != len(self) or len(found) != math.prod(sizes):
            raise ValueError(
                f"{len(self)} runs of {self.name} do not fill a table of {' x '.join(map(str, sizes))} for "
                f"{axes} once each: select(...) some, or name further axes"
            )
        order = _product(*(self.axis(axis) for axis in axes))
        table = np.asarray([_array(found[place]) for place in order])
        return table.reshape(*sizes, *table.shape[1:])

    def deviation(self, measure: Measure, **fixed: Any) -> float:
        """Computes one run again and compares: the largest difference of a value, in units of its spread over seeds.

        Seeds are the last axis of a value; of one with further axes, each entry has its own spread.

        For a value without seeds the unit is its own size. Where the stored spread is smaller than the last digit
        stored, that digit is the unit.

        Args:
            measure: the function that was swept.
            **fixed: entries that single out the run.

        Raises:
            ValueError: if they single out none, or several.
        """
        chosen = self.select(**fixed)
        if len(chosen) != 1:
            raise ValueError(f"{fixed} single out {len(chosen)} runs of {self.name}, not one")
        fresh, stored = measure(**chosen.configurations[0]), chosen.values[0]
        if set(fresh) != set(stored):
            raise ValueError(f"{self.name} holds {sorted(stored)}, {measure.__name__} returns {sorted(fresh)}")
        return max(_difference(_array(stored[name]), _array(_plain(fresh[name]))) for name in stored)


def _difference(stored: np.ndarray, fresh: np.ndarray) -> float:
    if stored.shape != fresh.shape or (np.isnan(stored) != np.isnan(fresh)).any():
        return math.inf
    rows = [(s, f) for s, f in zip(_rows(stored), _rows(fresh), strict=True) if not np.isnan(s).all()]
    return max((_row_difference(*row, over_seeds=stored.ndim > 0) for row in rows), default=0.0)


def _rows(values: np.ndarray) -> np.ndarray:
    return values.reshape(-1, values.shape[-1] if values.ndim else 1)


def _row_difference(stored: np.ndarray, fresh: np.ndarray, over_seeds: bool) -> float:
    spread = np.nanstd(stored) if over_seeds else np.abs(stored).item()
    unit = max(spread, 10.0 ** (1 - DIGITS) * np.nanmax(np.abs(stored)), np.finfo(float).tiny)
    return float(np.nanmax(np.abs(fresh - stored)) / unit)


def _product(*axes) -> Iterator[tuple]:
    """Combinations of the entries, the last axis fastest."""
    if not axes:
        return iter([()])
    return ((first, *rest) for first in axes[0] for rest in _product(*axes[1:]))


def available() -> list[str]:
    """The names of the results that come with the package."""
    return sorted(file.stem for file in Path(__file__).parent.glob("*.json"))


def load(name: str | os.PathLike) -> Results:
    """The stored results of that name, or those in a file at that path (ending in .json).

    Raises:
        FileNotFoundError: if there are none; the message lists those that are there.
        ValueError: if the file is damaged, has been changed by hand, or comes from another version of this package.
    """
    path = Path(name)
    if path.suffix != ".json":
        path = Path(__file__).parent / f"{name}.json"
    if not path.exists():
        raise FileNotFoundError(f"no results at {path}; the package has {available()}")
    content = _read(path)
    return Results(
        content["name"],
        content["about"],
        [run["configuration"] for run in content["runs"]],
        [run["values"] for run in content["runs"]],
    )


def run(
    measure: Measure,
    configurations: Sequence[Configuration],
    path: str | os.PathLike,
    *,
    settings: Mapping[str, Any] | None = None,
    data: Mapping[str, str] | None = None,
    progress: bool = True,
) -> Results:
    """measure(**configuration) for each configuration, kept in a JSON file.

    Finished runs stand in `path.part`, one a line. After an interruption the same call goes on from there; where it has
    finished before, it returns at once. Two processes must not write the same path at once.

    Args:
        measure: a pure function of its configuration that returns numbers, or arrays with one number a seed, by name.
        configurations: what JSON can hold, no two alike.
        path: of the file, NAME.json.
        settings: anything else worth knowing of the sweep, such as the name of its profile.
        data: checksums of data sets by name.
        progress: whether to show runs done and the time remaining.

    Raises:
        ValueError: if two configurations agree, or the file or its part was made from something else, by other
            versions, or on another machine; the message says what differs.
        OSError: if the disk is full; what was finished before is kept.
    """
    path = Path(path)
    configurations = [_plain(dict(configuration)) for configuration in configurations]
    keys = [_canonical(configuration) for configuration in configurations]
    if len(set(keys)) < len(keys):
        raise ValueError(f"{len(keys) - len(set(keys))} configurations occur twice: no two may be alike")
    if not path.parent.is_dir():
        raise ValueError(f"the folder {path.parent} does not exist: make it first")
    header = {"format": FORMAT, "name": path.stem, "about": provenance(settings, data)}
    remedy = "move it away to start again, or choose another path"
    if path.exists():
        content = _read(path)
        _check_same(content, header, path, remedy)
        if [_canonical(run["configuration"]) for run in content["runs"]] != keys:
            raise ValueError(f"{path} holds other configurations than those asked for: {remedy}")
        return load(path)
    journal = _Journal(path.with_name(path.name + ".part"))
    found, done = journal.read(), {}
    if found:
        _check_same(found[0], header, journal.path, remedy)
        done = {_canonical(line["configuration"]): line for line in found[1:]}
        if not done.keys() <= set(keys):
            raise ValueError(f"{journal.path} holds other configurations than those asked for: {remedy}")
    else:
        journal.append(header)
    with tqdm(total=len(keys), initial=len(done), desc=path.stem, unit="run", disable=not progress) as bar:
        for key, configuration in zip(keys, configurations, strict=True):
            if key in done:
                continue
            line = {"configuration": configuration, "values": _plain(dict(measure(**configuration)))}
            journal.append(line)
            done[key] = line
            bar.update()
    _write(path, {**header, "runs": [done[key] for key in keys]})
    journal.path.unlink()
    return load(path)


def provenance(settings: Mapping[str, Any] | None = None, data: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What results depend on besides their configurations: settings, data, versions of libraries, the machine."""
    return {
        "settings": _plain(dict(settings or {})),
        "data": dict(data or {}),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in LIBRARIES},
        "machine": {
            "system": platform.system(),
            "processor": _processor(),
            "devices": [device.device_kind for device in jax.devices()],
            "float": str(np.dtype(jax.dtypes.canonicalize_dtype(float))),
        },
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


@dataclass(frozen=True)
class _Journal:
    """A file of JSON lines that only grows. A last line that was cut off, by a kill or a full disk, does not count."""

    path: Path

    def read(self) -> list[dict]:
        if not self.path.exists():
            return []
        raw = self.path.read_bytes()
        whole = raw[: raw.rfind(b"\n") + 1]
        try:
            lines = [json.loads(line) for line in whole.splitlines()]
        except ValueError as error:
            raise ValueError(f"{self.path} is damaged ({error}): move it away to start again") from error
        if len(whole) < len(raw):
            os.truncate(self.path, len(whole))
        return lines

    def append(self, line: Mapping[str, Any]) -> None:
        before = self.path.stat().st_size if self.path.exists() else 0
        try:
            with open(self.path, "ab") as file:
                file.write((_canonical(line) + "\n").encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            if self.path.exists():
                os.truncate(self.path, before)
            raise _explained(error, self.path) from error


def _explained(error: OSError, path: Path) -> OSError:
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return error
    return OSError(error.errno, f"the disk of {path} is full: free some and run again, which goes on where it was")


def _write(path: Path, content: dict) -> None:
    """All of it, or nothing: under another name first."""
    runs = ",\n".join(_canonical(run) for run in content["runs"])
    head = {key: value for key, value in content.items() if key != "runs"} | {"digest": _digest(content)}
    text = json.dumps(head, indent=1, ensure_ascii=False)[:-2] + f',\n "runs": [\n{runs}\n]}}\n'
    temporary = path.with_name(path.name + ".tmp")
    try:
        with open(temporary, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise _explained(error, path) from error
    os.replace(temporary, path)


def _read(path: Path) -> dict:
    remedy = "restore it from version control, or run its experiment again"
    try:
        content = json.loads(path.read_text())
        found, wanted = content["digest"], _digest(content)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged, {type(error).__name__}: {error}. {remedy.capitalize()}") from error
    if content.get("format") != FORMAT:
        raise ValueError(
            f"{path} has format {content.get('format')}, this version of ntk_tutorial reads {FORMAT}: {remedy}"
        )
    if found != wanted:
        raise ValueError(f"{path} has been changed since it was written, its digest does not fit: {remedy}")
    return content


def _digest(content: dict) -> str:
    covered = {key: value for key, value in content.items() if key != "digest"}
    return hashlib.sha256(_canonical(covered).encode()).hexdigest()


def _check_same(found: dict, wanted: dict, path: Path, remedy: str) -> None:
    differing = sorted(_differing(found, wanted))
    if differing:
        raise ValueError(f"{path} was made with other {', '.join(differing)}: {remedy}")


def _differing(found: Mapping, wanted: Mapping, prefix: str = "") -> Iterator[str]:
    for key in wanted:
        a, b = found.get(key), wanted[key]
        if isinstance(b, Mapping) and isinstance(a, Mapping):
            yield from _differing(a, b, f"{prefix}{key}.")
        elif a != b:
            yield f"{prefix}{key} ({json.dumps(a)}, now {json.dumps(b)})"


def _canonical(tree: Any) -> str:
    return json.dumps(tree, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)


def _plain(tree: Any) -> Any:
    """What JSON can hold, floats rounded; NaN and infinity become null."""
    if isinstance(tree, Mapping):
        return {str(key): _plain(value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [_plain(value) for value in tree]
    if isinstance(tree, (str, bool, int, type(None))):
        return tree
    array = np.asarray(tree)
    if array.ndim:
        return [_plain(value) for value in array]
    value = array.item()
    if not isinstance(value, float):
        return value
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None


def _array(value: Any) -> np.ndarray:
    return np.asarray(value, dtype=float)  # None, which JSON has for NaN, becomes NaN again
