"""Lines of a sweep: a measured number over one setting, one line per value of another, with its spread over seeds."""

from __future__ import annotations

from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, FixedTicker, MultiLine, NoOverlap, Patches, Range1d, Scatter

from app.cells import Cells, Look
from app.theme import Palette, blank_figure
from app.views import hover, zoom
from app.views.base import Columns, View, follow, move, span_of
from app.views.marks import even, mark, marking
from app.views.sweep_scale import RUNAWAY, colours, number, places, title, written

MOST = 40
"""Lines that are drawn, the first ones."""

SHARE = 0.06
"""Of its length, how far an axis goes beyond its outer points."""

DOTS = ("x", "y", "colour", "across", "line", "sd", "runs")


def build(palette: Palette) -> View:
    """The figure, empty.

    Parameters
    ----------
    palette : Palette
        Colours to begin with.

    Returns
    -------
    View
        Figure ``lines``; sources ``bands``, ``lines`` and ``dots``.
    """
    plot = blank_figure(x_range=Range1d(0.0, 1.0), y_range=Range1d(0.0, 1.0), x_axis_label=" ")
    plot.xgrid.visible = False
    plot.xaxis.ticker, plot.yaxis.ticker = FixedTicker(ticks=[]), FixedTicker(ticks=[])
    plot.xaxis.major_label_policy = NoOverlap(min_distance=4)
    line = {"xs": [], "ys": [], "colour": []}
    view = View(
        {"lines": plot},
        {"bands": ColumnDataSource(line), "lines": ColumnDataSource(line), "dots": ColumnDataSource(_nothing())},
        borders={"lines": {"min_border_left": 52, "min_border_right": 18, "min_border_bottom": 40}},
    )
    view.followers.append(marking(plot.yaxis[0], plot.y_range, even))
    plot.add_glyph(
        view.sources["bands"], Patches(xs="xs", ys="ys", fill_color="colour", fill_alpha=0.14, line_color=None)
    )
    plot.add_glyph(view.sources["lines"], MultiLine(xs="xs", ys="ys", line_color="colour", line_width=2))
    dots = plot.add_glyph(view.sources["dots"], Scatter(x="x", y="y", size=7, fill_color="colour", line_color=None))
    rows = [("at", "@across"), ("line", "@line"), ("mean", "@y{%.4g}"), ("SD", "@sd"), ("runs", "@runs")]
    hover.hover(view, plot, [dots], rows, {"@y": "printf"}, mode="mouse")
    zoom.zoomable(view)
    view.settle()
    view.paint(palette)
    return view


def columns(cells: Cells, look: Look, palette: Palette) -> Columns:
    """Lines, bands of one standard deviation either side, and dots; as far as runs are finished.

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
    line: dict[str, list[Any]] = {"xs": [], "ys": [], "colour": []}
    band: dict[str, list[Any]] = {"xs": [], "ys": [], "colour": []}
    dots: dict[str, list[Any]] = _nothing()
    order = np.argsort(x, kind="stable")
    for row, colour in enumerate(colours(len(cells.along(look.down)), palette)[:MOST]):
        shown = [place for place in order if np.isfinite(known.mean[plane[row, place]])]
        found = plane[row, shown]
        mean, sd, at = known.mean[found], known.sd[found], x[shown]
        _append(line, xs=at, ys=mean, colour=colour)
        _append(
            band, xs=np.concatenate([at, at[::-1]]), ys=np.concatenate([mean - sd, (mean + sd)[::-1]]), colour=colour
        )
        for place, cell in zip(shown, found, strict=True):
            _append(
                dots, x=float(x[place]), y=float(known.mean[cell]), colour=colour,
                across=written(cells.along(look.across)[place]), line=written(cells.along(look.down)[row]),
                sd=number(float(known.sd[cell])), runs=f"{known.number[cell]} of {len(cells.seeds)}",
            )  # fmt: skip
    return {"lines": line, "bands": band, "dots": dots}


def fit(view: View, cells: Cells, look: Look) -> None:
    """Mark the values on the axis, and move the other one to hold lines and bands."""
    plot, values = view.figures["lines"], cells.along(look.across)
    at = places(values)
    room = SHARE * max(float(np.ptp(at)), 1e-9) if len(at) > 1 else 0.5
    move(plot.x_range, (float(at.min()) - room, float(at.max()) + room))
    mark(plot.xaxis[0], {float(place): written(value) for place, value in sorted(zip(at, values, strict=True))})
    for axis, text in ((plot.xaxis[0], title(cells, look.across) or " "), (plot.yaxis[0], look.metric)):
        if axis.axis_label != text:
            axis.axis_label = text
    heights = np.concatenate([np.empty(0), *view.sources["bands"].data["ys"]])
    means = np.array(view.sources["dots"].data["y"], float)
    if means.size:
        low, high = float(heights.min()), min(float(heights.max()), RUNAWAY * abs(float(np.median(means))) + 1e-12)
        move(plot.y_range, follow(span_of(plot.y_range), low, max(high, low + 1e-9)))
    view.settle()


def _nothing() -> dict[str, list[Any]]:
    return {name: [] for name in DOTS}


def _append(columns_: dict[str, list[Any]], **values: Any) -> None:
    for name, value in values.items():
        columns_[name].append(value)
