"""A plane of cells, rows upwards and columns along logarithmic axes: its numbers as text, its colours, its places."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import to_hex

from ._svg import SUPERSCRIPT, whole

ACROSS, ROW = 280, 28  # in units of the picture: how wide all cells of it together are, how high each row
COLOURS = [to_hex(color) for color in colormaps["viridis_r"](np.linspace(0, 1, 24))]
TIE = 1e-9  # relative: numbers half-way between two roundings, but for rounding errors, all go the same way
SPREAD = 5  # colours are logarithmic where the largest value is more than that times the smallest
MAX_LINES = 4  # more are hard to tell apart


@dataclass(frozen=True)
class Plane:
    """What an explorer was given, with shapes that fit.

    Attributes:
        tables: of each case, of each quantity: its values (rows, columns), and their standard errors or None.
        row: the name of the vertical variable.
        rows: its values, as text.
        at: of each horizontal variable, where the cells are, (rows, columns).
        lines: of each line, where it crosses the rows, (cases, rows), in terms of the first horizontal variable.
        start: row and column shown first.
    """

    tables: dict[str, dict[str, tuple[np.ndarray, np.ndarray | None]]]
    row: str
    rows: list[str]
    at: dict[str, np.ndarray]
    lines: dict[str, np.ndarray]
    start: tuple[int, int]

    @property
    def quantities(self) -> tuple[str, ...]:
        """Their names, which are the same in all cases."""
        return tuple(next(iter(self.tables.values())))

    @property
    def shape(self) -> tuple[int, int]:
        return next(iter(self.at.values())).shape

    @property
    def tops(self) -> list[int]:
        """Of each row its upper border; the first row lies at the bottom."""
        return [ROW * i for i in reversed(range(self.shape[0]))]

    @property
    def down(self) -> list[int]:
        """How far down a line is at the lower border, in the middle of each row, and at the upper border."""
        return [ROW * self.shape[0], *(top + ROW // 2 for top in self.tops), 0]


def checked(
    tables: Mapping[str, Mapping[str, Any]],
    rows: Mapping[str, Sequence[Any]],
    columns: Mapping[str, Any],
    lines: Mapping[str, Any],
    start: Sequence[int],
) -> Plane:
    """The arguments of `interactive.explorer` as arrays of one shape, or an error that says what does not fit."""
    if len(rows) != 1 or not columns or not tables:
        raise ValueError(
            f"rows must be one variable, and columns and tables at least one each, got {list(rows)}, {list(columns)} "
            f"and {list(tables)}"
        )
    ((row, values),) = rows.items()
    labels = [value if isinstance(value, str) else short(value) for value in values]
    at = {name: _places(name, places, len(labels)) for name, places in columns.items()}
    shape = _common({f"columns[{name!r}]": places.shape for name, places in at.items()})
    if min(shape) < 2:
        raise ValueError(f"a plane needs at least two rows and two columns, got {shape}")
    numbers = {case: {name: _table(f"{case}, {name}", v, shape) for name, v in t.items()} for case, t in tables.items()}
    _common({case: tuple(table) for case, table in numbers.items()}, "quantities")
    if not next(iter(numbers.values())):
        raise ValueError("there is no quantity to colour the plane by: give at least one")
    if len(start) != 2 or not all(0 <= i < size for i, size in zip(start, shape, strict=True)):
        raise ValueError(f"start={tuple(start)} must be a row and a column, below {shape}")
    if len(lines) > MAX_LINES:
        raise ValueError(f"{len(lines)} lines are too many to tell apart: at most {MAX_LINES}")
    crossed = {name: _crossings(name, v, (len(numbers), shape[0])) for name, v in lines.items()}
    return Plane(numbers, str(row), labels, at, crossed, tuple(map(int, start)))


def _places(name, places, rows: int) -> np.ndarray:
    places = np.asarray(places, float)
    if places.ndim == 1:
        places = np.tile(places, (rows, 1))
    if places.ndim != 2 or len(places) != rows:
        raise ValueError(f"columns[{name!r}] has shape {places.shape}: give a value a column, or one a cell")
    if not (np.isfinite(places) & (places > 0)).all() or not (np.diff(places) > 0).all():
        raise ValueError(f"columns[{name!r}] must be positive and increase along each row, as on a logarithmic axis")
    return places


def _table(name, table, shape) -> tuple[np.ndarray, np.ndarray | None]:
    values, errors = table if isinstance(table, tuple) else (table, None)
    values, errors = np.asarray(values, float), None if errors is None else np.asarray(errors, float)
    for what, array in (("values", values), ("standard errors", errors)):
        if array is not None and array.shape != shape:
            raise ValueError(f"the {what} of {name!r} have shape {array.shape}, the plane has {shape} rows and columns")
    if not np.isfinite(values).any():
        raise ValueError(f"{name!r} has no finite value")
    return values, errors


def _crossings(name, values, shape) -> np.ndarray:
    values = np.asarray(values, float)
    if values.shape not in ((), shape[1:], shape):
        raise ValueError(f"lines[{name!r}] has shape {values.shape}: give a value a row, or {shape} for cases and rows")
    if not (np.isfinite(values) & (values > 0)).all():
        raise ValueError(f"lines[{name!r}] must be positive and finite, got {values}")
    return np.broadcast_to(values, shape)


def _common(named, what: str = "shapes"):
    """The one value that all have."""
    if len(set(named.values())) > 1:
        raise ValueError(f"{what} differ: " + ", ".join(f"{name} {value}" for name, value in named.items()))
    return next(iter(named.values()))


# Numbers as text


def short(value: float, digits: int = 3) -> str:
    """A number with a few significant digits, never with an exponent."""
    value = float(value) * (1 + TIE)
    if not math.isfinite(value) or value == 0:
        return "0" if value == 0 else "none"
    places = digits - 1 - math.floor(math.log10(abs(value)))
    text = f"{round(value, places):,.{max(places, 0)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def measured(value: float, error: float | None) -> str:
    """A value and, in units of its last digit, its standard error: .0868~58 for 0.0868 ± 0.0058.

    The error has two digits if the first is 1 or 2, else one, as is usual.
    """
    if error is None or not math.isfinite(value) or not math.isfinite(error):
        return short(value).replace(",", "")
    if error == 0:
        return f"{short(value)}~0".replace(",", "")
    value, error = value * (1 + TIE), error * (1 + TIE)
    size = math.floor(math.log10(error))
    places = (1 if error < 3 * 10**size else 0) - size
    if places <= 0:
        return f"{round(value, places):.0f}~{round(error, places):.0f}"
    return f"{value:.{places}f}~{error * 10**places:.0f}".replace("0.", ".", 1 if abs(value) < 1 else 0)


def written(text: str) -> str:
    """What `measured` encodes, as the script writes it: 0.0868 ± 0.0058."""
    value, _, error = text.partition("~")
    places = len(value.partition(".")[2])
    parts = [value] + ([f"{int(error) / 10**places:.{places}f}"] if error else [])
    parts = [re.sub(r"^(-?)\.", r"\g<1>0.", part) for part in parts]
    return " ± ".join(f"{int(part):,}" if re.fullmatch(r"-?\d+", part) else part for part in parts)


def is_logarithmic(values: np.ndarray) -> bool:
    """Whether values are coloured by their logarithms."""
    low, high = np.nanmin(values), np.nanmax(values)
    return bool(low > 0 and high > SPREAD * low)


def coloured(values: np.ndarray) -> tuple[str, list[str]]:
    """Each cell's colour as a letter, "-" where there is no value; and the values at both ends and in the middle."""
    values = np.where(np.isfinite(values), values, np.nan)
    to, back = (np.log10, lambda v: 10**v) if is_logarithmic(values) else (np.asarray, np.asarray)
    scale = to(values)
    low, high = np.nanmin(scale), np.nanmax(scale)
    share = np.where(np.isnan(scale), np.nan, (scale - low) / (high - low) if high > low else 0.5)
    levels = ["-" if np.isnan(s) else chr(97 + int(whole(s * (len(COLOURS) - 1)))) for s in share.ravel()]
    return "".join(levels), [short(back(v), 2) for v in (low, (low + high) / 2, high)]


# Places in the picture


def edges(at: np.ndarray) -> np.ndarray:
    """Borders (rows, columns + 1) of cells at places (rows, columns), half-way between them on a logarithmic axis."""
    log = np.log10(at)
    first, last = 1.5 * log[:, :1] - 0.5 * log[:, 1:2], 1.5 * log[:, -1:] - 0.5 * log[:, -2:-1]
    return 10 ** np.concatenate([first, (log[:, 1:] + log[:, :-1]) / 2, last], axis=1)


def crossings(plane: Plane, axis: str, case: int) -> dict[str, np.ndarray]:
    """Where the lines cross the rows, in terms of the horizontal variable `axis`, by interpolation."""
    first, other = np.log(next(iter(plane.at.values()))), np.log(plane.at[axis])

    def moved(i, v):
        k = np.clip(np.searchsorted(first[i], v) - 1, 0, first.shape[1] - 2)
        share = (v - first[i, k]) / (first[i, k + 1] - first[i, k])
        return other[i, k] + share * (other[i, k + 1] - other[i, k])

    return {
        name: np.exp([moved(i, math.log(v)) for i, v in enumerate(values[case])])
        for name, values in plane.lines.items()
    }


def across(at: np.ndarray, values) -> np.ndarray:
    """Units from the left border of the cells."""
    low, high = _limits(at)
    return whole(ACROSS * (np.log10(values) - low) / (high - low))


def _limits(at: np.ndarray) -> tuple[float, float]:
    borders = np.log10(edges(at))
    return float(borders.min()), float(borders.max())


def along(at: np.ndarray, values: np.ndarray) -> list[int]:
    """How far to the right a line is there, continued from the first and the last row to the borders."""
    log = np.log10(values)
    ends = 10 ** np.concatenate([[1.5 * log[0] - 0.5 * log[1]], log, [1.5 * log[-1] - 0.5 * log[-2]]])
    return across(at, ends).tolist()


def ticks(at: np.ndarray) -> list[tuple[int, str]]:
    """Powers of ten along a horizontal variable, at most eight; or its ends, if it spans few of them."""
    low, high = _limits(at)
    powers = range(math.ceil(low), math.floor(high) + 1)
    if len(powers) < 2:
        return [(int(across(at, v)), short(v)) for v in (at.min(), at.max())]
    powers = powers[:: math.ceil(len(powers) / 8)]
    far = max(map(abs, powers)) > 3
    labels = [f"10{str(k).translate(SUPERSCRIPT)}" if far else short(10.0**k) for k in powers]
    return [(int(across(at, 10.0**k)), label) for k, label in zip(powers, labels, strict=True)]
