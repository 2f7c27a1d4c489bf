"""Learning: the loss of each trial, smoothed, beside that of a network that stays silent and of other runs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from bokeh.models import ColumnDataSource, FixedTicker, Line, Range1d, Scatter
from bokeh.plotting import figure

from app.history import Table
from app.theme import Palette, blank_figure
from app.views import ghosts, hover, zoom
from app.views.base import Columns, View, follow_log, move, span_of
from app.views.ghosts import Ghost, smoothed
from app.views.marks import Marks, first_enough, marking, plain

__all__ = ["Ghost", "build", "columns", "fit", "length", "smoothed"]

LOWEST, HIGHEST = ghosts.LOWEST, ghosts.HIGHEST
SHORTEST = 50.0
FAR = 1e9
FINE = {step * 10.0**power: f"{step * 10.0**power:g}" for power in range(-6, 7) for step in (1, 2, 3, 5)}
COARSE = {10.0**power: f"{10.0**power:g}" for power in range(-6, 7)}
WIDE = 1e3
"""Ratio of an axis' ends beyond which only whole decades are marked."""


def build(palette: Palette) -> View:
    """The figure, empty.

    Parameters
    ----------
    palette : Palette
        Colours to begin with.

    Returns
    -------
    View
        Figure ``curve``, sources ``curve``, ``baseline``, ``tip``: the latest trial, and those of
        `app.views.ghosts`.
    """
    plot = blank_figure(
        x_range=Range1d(0.0, SHORTEST), y_range=Range1d(0.05, 1.0), y_axis_type="log", x_axis_label="trial"
    )
    plot.xgrid.visible = False
    plot.yaxis.ticker = FixedTicker(ticks=[])
    view = View({"curve": plot}, {}, borders={"curve": {"min_border_left": 44, "min_border_right": 22}})
    view.followers.append(marking(plot.yaxis[0], plot.y_range, loss_marks))
    rows = [("trial", "@trial{%d}"), ("loss", "@loss{%.3g}"), ("smoothed", "@smooth{%.3g}")]
    draw(view, plot, "loss", rows)
    zoom.zoomable(view)
    view.settle()
    view.paint(palette)
    return view


def columns(table: Table, others: Sequence[Ghost] = ()) -> Columns:
    """Lines of the learning curve.

    Parameters
    ----------
    table : Table
        From `app.history.Curve.columns`, or `smoothed`.
    others : sequence of Ghost
        Curves to compare it with; each is drawn as smooth as its table is.

    Returns
    -------
    Columns
        The baseline reaches from the first trial to beyond the right edge.

    Raises
    ------
    UnknownNameError
        If there is no such kind of ghost.
    FieldError
        If there are more of one kind than can be drawn.
    """
    trial, smooth = table["trial"].astype(np.float32), ghosts.visible(table["smooth"])
    level = ghosts.visible(table["baseline"])[-1:].tolist()
    return {
        "curve": {"trial": trial, "loss": ghosts.visible(table["loss"]), "smooth": smooth},
        "tip": {"trial": trial[-1:].tolist(), "smooth": smooth[-1:].tolist()},
        "baseline": {"trial": [0.0, FAR][: 2 * len(level)], "baseline": 2 * level},
        **ghosts.columns(others),
    }


def fit(view: View, table: Table) -> None:
    """Move the axes to hold the curve, the baseline, and how low other curves come in the same trials."""
    if not len(table["trial"]):
        return
    plot = view.figures["curve"]
    end = length(span_of(plot.x_range)[1], float(table["trial"][-1]))
    level = ghosts.visible(np.concatenate((table["loss"], table["smooth"][-1:], table["baseline"][-1:])))
    shown = np.concatenate((level, np.minimum(ghosts.heights(view, end), level.max())))
    move(plot.y_range, follow_log(span_of(plot.y_range), float(shown.min()), float(shown.max())))
    move(plot.x_range, (0.0, end))
    view.settle()


def length(end: float, last: float) -> float:
    """Length of the trial axis: grows by half when full, shrinks when a new run begins.

    Examples
    --------
    >>> length(50.0, 10.0), length(50.0, 50.0), length(900.0, 3.0)
    (50.0, 75.0, 50.0)
    """
    if last > 0.98 * end or last < 0.2 * end:
        return max(SHORTEST, 1.5 * last)
    return end


def loss_marks(low: float, high: float) -> Marks:
    """Marks of the loss axis, as many as fit.

    Examples
    --------
    >>> list(loss_marks(0.09, 0.6).values()), list(loss_marks(0.21, 0.29).values())
    (['0.1', '0.2', '0.3', '0.5'], ['0.22', '0.24', '0.26', '0.28'])
    """
    return first_enough(low, high, COARSE if high > WIDE * low else FINE, plain)


def draw(view: View, plot: figure, column: str, rows: Sequence[tuple[str, str]]) -> None:
    """The glyphs of a curve over trials, empty: sources ``curve``, ``baseline``, ``tip`` and those of the ghosts.

    Parameters
    ----------
    view : View
        Gets them.
    plot : figure
        Where they are drawn.
    column : str
        What is drawn faintly behind its smoothed course.
    rows : sequence of tuple of str
        What to say beside the pointer.
    """
    curve = ColumnDataSource({"trial": [], column: [], "smooth": []})
    baseline = ColumnDataSource({"trial": [], "baseline": []})
    tip = ColumnDataSource({"trial": [], "smooth": []})
    view.sources |= {"curve": curve, "baseline": baseline, "tip": tip}
    silent = Line(x="trial", y="baseline", line_width=1.5, line_dash=[5, 4])
    each = Line(x="trial", y=column, line_width=1.0, line_alpha=0.3)
    smooth = Line(x="trial", y="smooth", line_width=2.2)
    now = Scatter(x="trial", y="smooth", size=7, line_color=None)
    plot.add_glyph(baseline, silent)
    ghosts.draw(view, plot)
    plot.add_glyph(curve, each)
    pointed = plot.add_glyph(curve, smooth)
    plot.add_glyph(tip, now)
    view.colours += [
        (silent, "line_color", lambda colours: colours.target),
        (each, "line_color", lambda colours: colours.run),
        (smooth, "line_color", lambda colours: colours.run),
        (now, "fill_color", lambda colours: colours.run),
    ]
    hover.hover(view, plot, [pointed], rows, dict.fromkeys(("@trial", f"@{column}", "@smooth"), "printf"))
