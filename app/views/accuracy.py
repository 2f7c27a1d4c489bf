"""Accuracy: the share of right decisions over trials, while learning and on samples held out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from bokeh.models import ColumnDataSource, FixedTicker, Line, Range1d
from bokeh.plotting import figure

from app.history import Table
from app.theme import Palette, blank_figure
from app.views import ghosts, zoom
from app.views.base import Columns, View, move, span_of
from app.views.ghosts import Ghost
from app.views.learning import FAR, SHORTEST, draw, length
from app.views.marks import Marks, marking, steps

TOP = 1.03


def build(palette: Palette) -> View:
    """The figure, empty.

    Parameters
    ----------
    palette : Palette
        Colours to begin with.

    Returns
    -------
    View
        Figure ``accuracy``, sources ``curve``, ``held``: accuracy on samples held out, ``baseline``: that of
        guessing, ``tip`` and those of `app.views.ghosts`.
    """
    plot = blank_figure(x_range=Range1d(0.0, SHORTEST), y_range=Range1d(0.0, TOP), x_axis_label="trial")
    plot.xgrid.visible = False
    plot.yaxis.ticker = FixedTicker(ticks=[])
    view = View({"accuracy": plot}, {}, borders={"accuracy": {"min_border_left": 44, "min_border_right": 22}})
    view.followers.append(marking(plot.yaxis[0], plot.y_range, percents))
    _held(view, plot)
    rows = [("trial", "@trial{%d}"), ("right", "@smooth{%.3f}")]
    draw(view, plot, "correct", rows)
    zoom.zoomable(view)
    view.settle()
    view.paint(palette)
    return view


def columns(table: Table, classes: int, others: Sequence[Ghost] = ()) -> Columns:
    """Lines of the accuracy.

    Parameters
    ----------
    table : Table
        Smoothed over its column ``correct``.
    classes : int
        Number of classes: who guesses is right in one of so many trials.
    others : sequence of Ghost
        Curves to compare it with, smoothed likewise; those of regression are left out.

    Returns
    -------
    Columns
        Single decisions are not drawn: they are right or wrong.
    """
    trial, smooth = table["trial"].astype(np.float32), table["smooth"].astype(np.float32)
    known = np.isfinite(table["held"])
    return {
        "curve": {"trial": trial, "correct": np.full_like(smooth, np.nan), "smooth": smooth},
        "held": {"trial": trial[known], "held": table["held"][known].astype(np.float32)},
        "tip": {"trial": trial[-1:].tolist(), "smooth": smooth[-1:].tolist()},
        "baseline": {"trial": [0.0, FAR], "baseline": [1.0 / classes, 1.0 / classes]},
        **ghosts.columns([ghost for ghost in others if np.isfinite(ghost.table["smooth"]).all()]),
    }


def fit(view: View, table: Table) -> None:
    """Move the trial axis to hold the curve."""
    if len(table["trial"]):
        x_range = view.figures["accuracy"].x_range
        move(x_range, (0.0, length(span_of(x_range)[1], float(table["trial"][-1]))))
        view.settle()


def percents(low: float, high: float) -> Marks:
    """Marks in percent.

    Examples
    --------
    >>> list(percents(0.0, 1.03).values())
    ['0 %', '20 %', '40 %', '60 %', '80 %', '100 %']
    """
    return {place / 100.0: f"{place:g} %" for place in steps(100.0 * low, 100.0 * high, 7)}


def _held(view: View, plot: figure) -> None:
    view.sources["held"] = ColumnDataSource({"trial": [], "held": []})
    line = Line(x="trial", y="held", line_width=2.2)
    plot.add_glyph(view.sources["held"], line)
    view.colours.append((line, "line_color", lambda colours: colours.plus))
