"""Conductance: how many G+ devices (upward) and G- devices (downward) lie at each conductance."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from bokeh.models import ColumnDataSource, FixedTicker, Quad, Range1d

from app.theme import Palette, blank_figure
from app.views import hover, zoom
from app.views.base import Columns, View, follow, ladder, move, span_of
from app.views.marks import Marks, first_enough, marking
from training.records import LayerSnapshot

BINS = 60
DECADES = {10: "10", 100: "100", 1000: "1k", 10_000: "10k", 100_000: "100k"}
ROOM = {"min_border_left": 40, "min_border_right": 10}
FINE = {step * 10**power: f"{step * 10**power:,}" for power in range(6) for step in range(1, 10)}


def build(palette: Palette) -> View:
    """The figure, empty.

    Parameters
    ----------
    palette : Palette
        Colours to begin with.

    Returns
    -------
    View
        Figure and source ``histogram``.
    """
    plot = blank_figure(x_range=Range1d(0.0, 12.0), y_range=Range1d(-4.0, 4.0), x_axis_label="conductance (µS)")
    plot.xgrid.visible = False
    plot.yaxis.ticker = FixedTicker(ticks=[])
    source = ColumnDataSource(
        {name: [] for name in ("left", "right", "plus", "minus", "devices_plus", "devices_minus")}
    )
    view = View({"histogram": plot}, {"histogram": source}, borders={"histogram": ROOM})
    view.followers.append(marking(plot.yaxis[0], plot.y_range, count_marks))
    colours: dict[str, Callable[[Palette], str]] = {
        "plus": lambda colours: colours.plus,
        "minus": lambda colours: colours.minus,
    }
    for name, colour in colours.items():
        bars = Quad(left="left", right="right", bottom=0.0, top=name, line_color=None)
        pointed = plot.add_glyph(source, bars)
        view.colours.append((bars, "fill_color", colour))
    rows = [("conductance", "@left{%.2f}–@right{%.2f} µS"), ("G+", "@devices_plus{%d}"), ("G−", "@devices_minus{%d}")]
    formats = dict.fromkeys(("@left", "@right", "@devices_plus", "@devices_minus"), "printf")
    hover.hover(view, plot, [pointed], rows, formats)
    zoom.zoomable(view)
    view.settle()
    view.paint(palette)
    return view


def columns(layer: LayerSnapshot, end: float) -> Columns:
    """Bars of one array.

    Parameters
    ----------
    layer : LayerSnapshot
        The array.
    end : float
        Conductance at the right edge of the last bin [µS].

    Returns
    -------
    Columns
        Heights are ``log10(1 + count)``, those of G- negative; ``devices_plus`` and ``devices_minus`` are
        the counts themselves.
    """
    edges = np.linspace(0.0, end, BINS + 1, dtype=np.float32)
    found = [count.astype(np.float32) for count in counts(layer.conductance, end)]
    plus, minus = (np.log10(np.float32(1.0) + count) for count in found)
    bars = {"left": edges[:-1], "right": edges[1:], "plus": plus, "minus": -minus}
    return {"histogram": {**bars, "devices_plus": found[0], "devices_minus": found[1]}}


def counts(conductance: npt.NDArray[np.float32], end: float) -> list[npt.NDArray[np.int64]]:
    """Devices per bin, G+ and G-; those beyond the last bin count in it.

    Parameters
    ----------
    conductance : numpy.ndarray
        ``sign, device, pre, post`` [µS]; may be empty.
    end : float
        Right edge of the last bin [µS].

    Returns
    -------
    list of numpy.ndarray
    """
    signs = conductance if conductance.size else np.empty((2, 0), np.float32)
    places = [np.clip(np.nan_to_num(sign.ravel()) * (BINS / end), 0, BINS - 1).astype(np.int64) for sign in signs]
    return [np.bincount(place, minlength=BINS) for place in places]


def right_edge(layer: LayerSnapshot, g_max: float) -> float:
    """Right edge of the histogram: the nominal maximum, or more where mismatch leads beyond it."""
    largest = float(layer.conductance.max()) if layer.conductance.size else 0.0
    return g_max if largest <= g_max else g_max + ladder(largest - g_max)


def fit(view: View, shown: Columns) -> None:
    """Move the axes to hold the bars."""
    plot, bars = view.figures["histogram"], shown["histogram"]
    move(plot.x_range, (0.0, float(bars["right"][-1])))
    tallest = max(1.0, float(bars["plus"].max()), float(-bars["minus"].min()))
    _, end = follow((0.0, span_of(plot.y_range)[1]), 0.0, tallest, margin=0.06, slack=1.6)
    move(plot.y_range, (-end, end))
    view.settle()


def count_marks(low: float, high: float) -> Marks:
    """Marks of the axis of counts, upward and downward.

    Examples
    --------
    >>> list(count_marks(-2.2, 2.2).values()), list(count_marks(1.2, 1.5).values())
    (['100', '10', '0', '10', '100'], ['20', '30'])
    """
    return first_enough(low, high, _signed(DECADES), _signed(FINE))


def _signed(counted: dict[int, str]) -> Marks:
    heights = {math.log10(1 + count): text for count, text in counted.items()}
    return {sign * height: text for height, text in heights.items() for sign in (1, -1)} | {0.0: "0"}
