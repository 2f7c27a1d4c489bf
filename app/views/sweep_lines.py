"""Lines of a sweep: a measured number over one setting, one line per value of another, with its spread over seeds."""

from __future__ import annotations

from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, FixedTicker, MultiLine, NoOverlap, Range1d, Scatter, Segment

from app.cells import Cells, Look
from app.theme import Palette, blank_figure
from app.views import hover, zoom
from app.views.base import Columns, View, follow, move, span_of
from app.views.marks import even, label, mark, marking
from app.views.sweep_scale import RUNAWAY, TOLD, colours, places, title, told, tooltip_rows, written

MOST = 40
"""Lines that are drawn, the first ones."""

SHARE = 0.06
"""Of its length, how far an axis goes beyond its outer points."""

APART = 0.03
"""Width over which the dots of one place are spread, so that whiskers stand side by side; a share of the axis."""

DOTS = ("x", "y", "colour", *TOLD)
WHISKERS = ("x", "low", "high", "colour")


def build(palette: Palette) -> View:
    """The figure, empty.

    Parameters
    ----------
    palette : Palette
        Colours to begin with.

    Returns
    -------
    View
        Figure ``lines``; sources ``whiskers``, ``lines`` and ``dots``.
    """
    plot = blank_figure(x_range=Range1d(0.0, 1.0), y_range=Range1d(0.0, 1.0), x_axis_label=" ")
    plot.xgrid.visible = False
    plot.xaxis.ticker, plot.yaxis.ticker = FixedTicker(ticks=[]), FixedTicker(ticks=[])
    plot.xaxis.major_label_policy = NoOverlap(min_distance=4)
    view = View(
        {"lines": plot},
        {
            "whiskers": ColumnDataSource({name: [] for name in WHISKERS}),
            "lines": ColumnDataSource({"xs": [], "ys": [], "colour": []}),
            "dots": ColumnDataSource({name: [] for name in DOTS}),
        },
        borders={"lines": {"min_border_left": 52, "min_border_right": 18, "min_border_bottom": 40}},
    )
    view.followers.append(marking(plot.yaxis[0], plot.y_range, even))
    whisker = Segment(x0="x", x1="x", y0="low", y1="high", line_color="colour", line_width=1.5, line_alpha=0.6)
    plot.add_glyph(view.sources["whiskers"], whisker)
    plot.add_glyph(view.sources["lines"], MultiLine(xs="xs", ys="ys", line_color="colour", line_width=2))
    dots = plot.add_glyph(view.sources["dots"], Scatter(x="x", y="y", size=7, fill_color="colour", line_color=None))
    hover.hover(view, plot, [dots], tooltip_rows("y"), {"@y": "printf"}, mode="mouse")
    zoom.zoomable(view)
    view.settle()
    view.paint(palette)
    return view


def columns(cells: Cells, look: Look, palette: Palette) -> Columns:
    """Lines, whiskers of one standard deviation either side, and dots; as far as runs are finished.

    Parameters
    ----------
    cells : Cells
        The sweep.
    look : Look
        What of it.
    palette : Palette
        Colours in force.

    Returns
    -------
    Columns
    """
    known, x = cells.statistics(look.metric), places(cells.along(look.across))
    plane = cells.plane(look)[:MOST]
    lines: dict[str, list[Any]] = {"xs": [], "ys": [], "colour": []}
    dots: dict[str, list[Any]] = {name: [] for name in DOTS}
    whiskers: dict[str, list[Any]] = {name: [] for name in WHISKERS}
    order, step = np.argsort(x, kind="stable"), APART * (float(np.ptp(x)) or 1.0)
    for row, colour in enumerate(colours(len(cells.along(look.down)), palette)[:MOST]):
        shown = [place for place in order if np.isfinite(known.mean[plane[row, place]])]
        found, at = plane[row, shown], x[shown] + step * (row - 0.5 * (len(plane) - 1)) / len(plane)
        mean, sd = known.mean[found], known.sd[found]
        _append(lines, xs=at, ys=mean, colour=colour)
        for place, cell in enumerate(found):
            x_now, y_now = float(at[place]), float(mean[place])
            _append(whiskers, x=x_now, low=y_now - float(sd[place]), high=y_now + float(sd[place]), colour=colour)
            _append(dots, x=x_now, y=y_now, colour=colour, **told(cells, look, (row, shown[place]), known, int(cell)))
    return {"lines": lines, "whiskers": whiskers, "dots": dots}


def fit(view: View, cells: Cells, look: Look) -> None:
    """Mark the values on the axis, and move the other one to hold lines and whiskers."""
    plot, values = view.figures["lines"], cells.along(look.across)
    at = places(values)
    room = SHARE * max(float(np.ptp(at)), 1e-9) if len(at) > 1 else 0.5
    move(plot.x_range, (float(at.min()) - room, float(at.max()) + room))
    mark(plot.xaxis[0], {float(place): written(value) for place, value in sorted(zip(at, values, strict=True))})
    label(plot.xaxis[0], title(cells, look.across) or " ")
    label(plot.yaxis[0], look.metric)
    heights = np.array([*view.sources["whiskers"].data["low"], *view.sources["whiskers"].data["high"]], float)
    means = np.array(view.sources["dots"].data["y"], float)
    if means.size:
        low, high = float(heights.min()), min(float(heights.max()), RUNAWAY * abs(float(np.median(means))) + 1e-12)
        move(plot.y_range, follow(span_of(plot.y_range), low, max(high, low + 1e-9)))
    view.settle()


def _append(columns_: dict[str, list[Any]], **values: Any) -> None:
    for name, value in values.items():
        columns_[name].append(value)
