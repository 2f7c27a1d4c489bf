"""Tick marks for axes whose labels are not plain numbers; they follow the range, zoomed or not."""

from __future__ import annotations

import math
from collections.abc import Callable

from bokeh.models import Axis, ColorBar, Range1d

from app.views.base import ladder

Marks = dict[float, str]
"""Label by place on the axis."""

WIDTH, FIGURE_SPACE = 6, "\u2007"
"""Characters of an even mark, and one as wide as a digit."""


def mark(axis: Axis | ColorBar, marks: Marks) -> None:
    """Put tick marks, unless they are there already; needs a `FixedTicker`."""
    if list(axis.ticker.ticks) != list(marks):
        axis.ticker.update(ticks=list(marks), minor_ticks=[])
    if dict(axis.major_label_overrides) != marks:
        axis.major_label_overrides = marks


def label(axis: Axis, text: str) -> None:
    """Write what an axis measures, unless it stands there already."""
    if axis.axis_label != text:
        axis.axis_label = text


def marking(axis: Axis, axis_range: Range1d, marks: Callable[[float, float], Marks]) -> Callable[[], None]:
    """What keeps an axis marked: for `View.followers`."""

    def follow_range() -> None:
        mark(axis, marks(*sorted((axis_range.start, axis_range.end))))

    return follow_range


def within(marks: Marks, low: float, high: float) -> Marks:
    """Those marks that lie between `low` and `high`, in order."""
    return {place: marks[place] for place in sorted(marks) if low <= place <= high}


def steps(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers between `low` and `high`: at most `most`, and at least 2 for 3 or more.

    Examples
    --------
    >>> steps(-1.0, 1.0), steps(0.0, 5.0)
    ([-1.0, -0.5, 0.0, 0.5, 1.0], [0.0, 1.0, 2.0, 3.0, 4.0, 5.0])
    """
    step = ladder((high - low) / (most - 1))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{number * step:.12g}") for number in range(first, last + 1)]


def plain(low: float, high: float, most: int = 6) -> Marks:
    """Round numbers, written as short as possible."""
    return {place: f"{place:.6g}".replace("-", "−") for place in steps(low, high, most)}


def even(low: float, high: float) -> Marks:
    """A few round numbers as texts of one width: a plot whose marks change their width is laid out anew.

    Examples
    --------
    >>> [text.strip() for text in even(-0.05, 0.05).values()]
    ['−0.05', '0', '0.05']
    """
    texts = {place: f"{place:.3g}".replace("-", "−") for place in steps(low, high, 4)}
    return {place: text.rjust(WIDTH, FIGURE_SPACE) for place, text in texts.items()}


def first_enough(low: float, high: float, *ways: Marks | Callable[[float, float], Marks], fewest: int = 2) -> Marks:
    """The first of several sets of marks that puts at least `fewest` between `low` and `high`, or the last."""
    found: Marks = {}
    for way in ways:
        found = way(low, high) if callable(way) else within(way, low, high)
        if len(found) >= fewest:
            break
    return found
