"""Learning: the loss of each trial, smoothed, beside that of a network that stays silent."""

from __future__ import annotations

import numpy as np
from bokeh.models import ColumnDataSource, FixedTicker, Line, Range1d, Scatter

from app.history import Table
from app.theme import Palette, blank_figure
from app.views.base import Columns, View, follow_log, move, span_of

LOWEST, HIGHEST = 1e-6, 1e6
SHORTEST = 50.0
FAR = 1e9
FINE = {step * 10.0**power: f"{step * 10.0**power:g}" for power in range(-6, 7) for step in (1, 2, 3, 5)}
COARSE = {10.0**power: "" for power in range(-6, 7)}
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
        Figure ``curve``, sources ``curve``, ``baseline`` and ``tip``: the latest trial.
    """
    plot = blank_figure(
        x_range=Range1d(0.0, SHORTEST), y_range=Range1d(0.05, 1.0), y_axis_type="log",
        x_axis_label="trial", min_border_left=44, min_border_right=12,
    )  # fmt: skip
    plot.xgrid.visible = False
    plot.yaxis.update(ticker=FixedTicker(ticks=list(FINE)), major_label_overrides=FINE)
    curve = ColumnDataSource({"trial": [], "loss": [], "smooth": []})
    baseline = ColumnDataSource({"trial": [], "baseline": []})
    tip = ColumnDataSource({"trial": [], "smooth": []})
    view = View({"curve": plot}, {"curve": curve, "baseline": baseline, "tip": tip})
    silent = Line(x="trial", y="baseline", line_width=1.5, line_dash=[5, 4])
    loss = Line(x="trial", y="loss", line_width=1.0, line_alpha=0.3)
    smooth = Line(x="trial", y="smooth", line_width=2.2)
    now = Scatter(x="trial", y="smooth", size=7, line_color=None)
    for source, glyph in ((baseline, silent), (curve, loss), (curve, smooth), (tip, now)):
        plot.add_glyph(source, glyph)
    view.colours += [
        (silent, "line_color", lambda colours: colours.target),
        (loss, "line_color", lambda colours: colours.run),
        (smooth, "line_color", lambda colours: colours.run),
        (now, "fill_color", lambda colours: colours.run),
    ]
    view.paint(palette)
    return view


def columns(table: Table) -> Columns:
    """Lines of the learning curve.

    Parameters
    ----------
    table : Table
        From `app.history.Curve.columns`.

    Returns
    -------
    Columns
        The baseline reaches from the first trial to beyond the right edge.
    """
    trial, smooth = table["trial"].astype(np.float32), _visible(table["smooth"])
    level = _visible(table["baseline"])[-1:].tolist()
    return {
        "curve": {"trial": trial, "loss": _visible(table["loss"]), "smooth": smooth},
        "tip": {"trial": trial[-1:].tolist(), "smooth": smooth[-1:].tolist()},
        "baseline": {"trial": [0.0, FAR][: 2 * len(level)], "baseline": 2 * level},
    }


def fit(view: View, table: Table) -> None:
    """Move the axes to hold the curve and the baseline."""
    if not len(table["trial"]):
        return
    plot = view.figures["curve"]
    shown = np.concatenate((_visible(table["loss"]), _visible(table["smooth"][-1:]), _visible(table["baseline"][-1:])))
    move(plot.y_range, follow_log(span_of(plot.y_range), float(shown.min()), float(shown.max())))
    coarse = plot.y_range.end > WIDE * plot.y_range.start
    plot.yaxis.ticker.update(ticks=list(COARSE if coarse else FINE), minor_ticks=[])
    move(plot.x_range, (0.0, length(plot.x_range.end, float(table["trial"][-1]))))


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


def _visible(values: np.ndarray) -> np.ndarray:
    return np.clip(np.nan_to_num(values, nan=HIGHEST), LOWEST, HIGHEST).astype(np.float32)
