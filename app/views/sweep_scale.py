"""What the plots of a sweep share: how values are written and told, the colours of lines, and what runs away."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from app.cells import Cells, Floats, Look, Statistics
from app.oklab import ramp
from app.theme import Palette
from app.views.base import Span

RUNAWAY = 5.0
"""How many times the median of all cells a scale may reach: a cell that diverged would squeeze the others."""

TOLD = ("across", "down", "sd", "runs", "name_across", "name_down")
"""Columns from which a tooltip tells a cell, besides its mean; see `told`."""

SPREAD = 30.0
"""Ratio of its ends from which an axis of positive numbers is logarithmic."""


def written(value: Any) -> str:
    """A value of a setting, short.

    Examples
    --------
    >>> written(0.25), written(1e-05), written(True), written("sign")
    ('0.25', '1e-5', 'true', 'sign')
    """
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "none"}[value]
    if isinstance(value, float):
        return f"{value:.4g}".replace("e-0", "e-").replace("e+0", "e")
    return str(value)


def title(cells: Cells, name: str) -> str:
    """A varied setting by its name, as it is written in the sweep; those that vary with it are counted."""
    others = len(cells.together.get(name, (name,))) - 1
    return f"{name} and {others} more" if others else name


def short(cells: Cells, name: str) -> str:
    """The last part of a varied setting's name, where no other ends like it."""
    ends = [one.rsplit(".", 1)[-1] for one in cells.names]
    end = name.rsplit(".", 1)[-1]
    return end if ends.count(end) == 1 else name


def number(value: float, digits: int = 3) -> str:
    """A measured number; a dash where there is none."""
    return f"{value:.{digits}g}" if math.isfinite(value) else "–"


def told(cells: Cells, look: Look, at: tuple[int, int], known: Statistics, cell: int) -> dict[str, str]:
    """What a tooltip says of a cell besides its mean, by column (`TOLD`); `at` is its row and column."""
    return {
        "across": written(cells.along(look.across)[at[1]]),
        "down": written(cells.along(look.down)[at[0]]),
        "sd": number(float(known.sd[cell])) if known.number[cell] > 1 else "–",
        "runs": f"{known.number[cell]} of {len(cells.seeds)}",
        "name_across": look.across,
        "name_down": look.down,
    }


def tooltip_rows(mean: str) -> list[tuple[str, str]]:
    """Rows of a cell's tooltip, as for `app.theme.tooltip`; `mean` is the column with its mean."""
    return [
        ("@name_across", "@across"),
        ("@name_down", "@down"),
        ("mean", f"@{mean}{{%.4g}}"),
        ("SD", "@sd"),
        ("runs", "@runs"),
    ]


def extent(values: Floats) -> Span | None:
    """From the lowest value to the highest that has not run away; None where there are none.

    Examples
    --------
    >>> extent(np.array([1.0, 2.0, np.nan, 3.0])), extent(np.array([1.0, 2.0, 1000.0]))
    ((1.0, 3.0), (1.0, 10.0))
    """
    known = values[np.isfinite(values)]
    if not known.size:
        return None
    low, high = float(known.min()), float(known.max())
    middle = float(np.median(known))
    return low, min(high, RUNAWAY * middle) if middle > 0.0 else high


def places(values: Sequence[Any]) -> npt.NDArray[np.float64]:
    """Where values stand on an axis: numbers by size, or by their logarithm if they span much; others in order.

    Examples
    --------
    >>> places([2, 4, 8]).tolist(), places([0.1, 1.0, 10.0]).tolist(), places(["a", "b"]).tolist()
    ([2.0, 4.0, 8.0], [-1.0, 0.0, 1.0], [0.0, 1.0])
    """
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return np.arange(float(len(values)))
    found = np.array(values, float)
    return np.log10(found) if found.min() > 0.0 and found.max() >= SPREAD * found.min() else found


def colours(count: int, palette: Palette) -> list[str]:
    """One colour per line: those of the lanes while there are enough, else a ramp."""
    return list(palette.lanes[:count]) if count <= len(palette.lanes) else ramp(palette.plus, palette.minus, count)
