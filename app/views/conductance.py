"""Conductance: how many G+ devices (upward) and G- devices (downward) lie at each conductance."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from bokeh.models import ColumnDataSource, Quad, Range1d

from app.theme import Palette, blank_figure
from app.views.base import Columns, View, follow, ladder, move, span_of
from training.records import LayerSnapshot

BINS = 60
DECADES = {10: "10", 100: "100", 1000: "1k", 10_000: "10k", 100_000: "100k"}


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
    plot = blank_figure(
        x_range=Range1d(0.0, 12.0), y_range=Range1d(-4.0, 4.0), x_axis_label="conductance (µS)",
        min_border_left=40, min_border_right=10,
    )  # fmt: skip
    plot.xgrid.visible = False
    heights = {math.log10(1 + n): text for n, text in DECADES.items()}
    signed = {sign * height: text for height, text in heights.items() for sign in (1, -1)} | {0.0: "0"}
    plot.yaxis.ticker = sorted(signed)
    plot.yaxis.major_label_overrides = signed
    source = ColumnDataSource({"left": [], "right": [], "plus": [], "minus": []})
    view = View({"histogram": plot}, {"histogram": source})
    colours: dict[str, Callable[[Palette], str]] = {
        "plus": lambda colours: colours.plus,
        "minus": lambda colours: colours.minus,
    }
    for name, colour in colours.items():
        bars = Quad(left="left", right="right", bottom=0.0, top=name, line_color=None)
        plot.add_glyph(source, bars)
        view.colours.append((bars, "fill_color", colour))
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
        Heights are ``log10(1 + count)``, those of G- negative.
    """
    edges = np.linspace(0.0, end, BINS + 1, dtype=np.float32)
    plus, minus = (np.log10(1.0 + count).astype(np.float32) for count in counts(layer.conductance, end))
    return {"histogram": {"left": edges[:-1], "right": edges[1:], "plus": plus, "minus": -minus}}


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
