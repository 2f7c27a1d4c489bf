"""What every plot has: figures made once, sources that are refilled, ranges that move reluctantly."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from bokeh.models import Axis, ColumnDataSource, LinearColorMapper, Range1d
from bokeh.plotting import figure

from app.theme import SMALL_TEXT, Palette, restyle

Columns = Mapping[str, Mapping[str, Any]]
"""New column values, by source and column."""

Span = tuple[float, float]

PATIENCE = 25
"""Pictures for which a range stays too long before it shrinks."""


@dataclass
class View:
    """One plot on the page.

    Parameters
    ----------
    figures : dict of str to figure
        The Bokeh figures, from top to bottom.
    sources : dict of str to ColumnDataSource
        Where `show` puts columns.
    mappers : dict of str to LinearColorMapper
        Colour scales that follow the data.
    quiet_axes : list of Axis
        Axes that show names only: no line, no ticks.
    colours : list of tuple
        Bokeh model, its property, and that property's value by palette.
    loose : int
        For how many pictures in a row an axis has been longer than needed.
    borders : dict
        Room around a figure's frame for small text [px], by figure and Bokeh property; grows with the text.
    followers : list of callable
        What depends on where the ranges are, such as tick marks; called after they have moved.
    palette : Palette or None
        The colours in force; None before the first `paint`.
    picks : callable or None
        Called with what a person has clicked; None where nobody asks.
    """

    figures: dict[str, figure]
    sources: dict[str, ColumnDataSource]
    mappers: dict[str, LinearColorMapper] = field(default_factory=dict)
    quiet_axes: list[Axis] = field(default_factory=list)
    colours: list[tuple[Any, str, Callable[[Palette], Any]]] = field(default_factory=list)
    loose: int = 0
    borders: dict[str, dict[str, float]] = field(default_factory=dict)
    followers: list[Callable[[], None]] = field(default_factory=list)
    palette: Palette | None = None
    picks: Callable[..., None] | None = None

    def show(self, columns: Columns) -> None:
        """Refill the sources; columns that are left out or hold what is there already are not sent."""
        for name, values in columns.items():
            data = self.sources[name].data
            news = {column: value for column, value in values.items() if not same(data.get(column), value)}
            if news:
                data.update(news)

    def paint(self, palette: Palette) -> None:
        """Take on the colours of a mode, and the room that its text needs."""
        self.palette = palette
        for name, plot in self.figures.items():
            restyle(plot, palette)
            scale = palette.pixels / SMALL_TEXT
            plot.update(**{side: round(scale * room) for side, room in self.borders.get(name, {}).items()})
        for axis in self.quiet_axes:
            axis.update(axis_line_color=None, major_tick_line_color=None)
        for model, name, colour in self.colours:
            setattr(model, name, colour(palette))

    def settle(self) -> None:
        """Bring up to date what depends on where the ranges are."""
        for follow_ranges in self.followers:
            follow_ranges()

    def on_pick(self, callback: Callable[..., None]) -> None:
        """Have `callback` called with what a person clicks: see the plot's own `build`."""
        self.picks = callback


def same(old: Any, new: Any) -> bool:
    """Whether two columns hold the same.

    Examples
    --------
    >>> same([np.zeros(2)], [np.zeros(2)]), same(np.zeros(2), np.zeros(3)), same(["a"], ["b"])
    (True, False, False)
    """
    if isinstance(old, np.ndarray) or isinstance(new, np.ndarray):
        return type(old) is type(new) and np.array_equal(old, new)
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(same, old, new))
    return bool(old == new)


def follow(span: Span, low: float, high: float, *, margin: float = 0.1, slack: float = 3.0) -> Span:
    """An axis range for data from `low` to `high` that moves seldom.

    Parameters
    ----------
    span : tuple of float
        The present range; kept while the data lie in it and fill more than a `slack`-th of it.
    low, high : float
        Smallest and largest value to show.
    margin : float
        Free space on either side, as a share of the data's extent, when the range moves.
    slack : float
        How much larger than the data the range may be.

    Returns
    -------
    tuple of float

    Examples
    --------
    >>> follow((0.0, 1.0), 0.2, 0.9)
    (0.0, 1.0)
    >>> follow((0.0, 1.0), 0.0, 2.0)
    (-0.2, 2.2)
    """
    extent = max(high - low, 1e-12)
    if span[0] <= low and high <= span[1] and span[1] - span[0] <= slack * extent:
        return span
    return low - margin * extent, high + margin * extent


def follow_slowly(view: View, span: Span, low: float, high: float, *, slack: float) -> Span:
    """As `follow`, but shrinks only after the data have been small for a while: spikes come and go."""
    moved = follow(span, low, high, slack=slack)
    shrinking = moved != span and span[0] <= low and high <= span[1]
    view.loose = view.loose + 1 if shrinking else 0
    if shrinking and view.loose < PATIENCE:
        return span
    view.loose = 0 if shrinking else view.loose
    return moved


def follow_log(span: Span, low: float, high: float, *, slack: float = 2.5) -> Span:
    """As `follow`, for a logarithmic axis with positive data; at least half a decade.

    Examples
    --------
    >>> follow_log((0.1, 10.0), 0.2, 5.0)
    (0.1, 10.0)
    """
    low, high = math.log10(low), math.log10(high)
    missing = max(0.0, 0.5 - (high - low)) / 2
    before = math.log10(span[0]), math.log10(span[1])
    after = follow(before, low - missing, high + missing, margin=0.06, slack=slack)
    return span if after == before else (10.0 ** after[0], 10.0 ** after[1])


def ladder(value: float) -> float:
    """The next of 1, 2, 5, 10, ... times a power of ten that is not below `value`.

    Examples
    --------
    >>> ladder(0.3), ladder(2.0)
    (0.5, 2.0)
    """
    power = 10.0 ** math.floor(math.log10(max(value, 1e-9)))
    return next(step * power for step in (1.0, 2.0, 5.0, 10.0) if step * power >= value * (1.0 - 1e-9))


def move(axis_range: Range1d, span: Span) -> None:
    """Bring a range to where it belongs, unless it is there already.

    A range that a person has zoomed stays; it goes to `span` when it is reset.
    """
    free = not held(axis_range)
    if (axis_range.reset_start, axis_range.reset_end) != span:
        axis_range.update(reset_start=span[0], reset_end=span[1])
    if free and (axis_range.start, axis_range.end) != span:
        axis_range.update(start=span[0], end=span[1])


def held(axis_range: Range1d) -> bool:
    """Whether a person has zoomed a range: it is not where `move` has put it.

    Only the browser moves a range without moving the place it returns to.
    """
    return span_of(axis_range) != (axis_range.start, axis_range.end)


def span_of(axis_range: Range1d) -> Span:
    """Where a range is, or would be had nobody zoomed."""
    start, end = axis_range.reset_start, axis_range.reset_end
    return (axis_range.start, axis_range.end) if start is None else (start, end)
