"""Crossbar: the effective weight of every synapse of one array, as a heat map."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from bokeh.models import BasicTicker, ColorBar, ColumnDataSource, Image, LinearColorMapper, Range1d

from app.theme import FONT, TEXT_SIZE, Palette, blank_figure
from app.views.base import Columns, View, ladder, move
from training.records import LayerSnapshot

LARGEST = 128


def build(palette: Palette) -> View:
    """The figure, empty.

    Parameters
    ----------
    palette : Palette
        Colours to begin with.

    Returns
    -------
    View
        Figure and source ``weights``.
    """
    plot = blank_figure(
        x_range=Range1d(0.0, 1.0), y_range=Range1d(1.0, 0.0), x_axis_label="from neuron", min_border_left=36
    )
    plot.grid.visible = False
    for axis in plot.axis:
        axis.ticker.update(desired_num_ticks=4, min_interval=1.0)
    source = ColumnDataSource(
        {"image": [np.zeros((1, 1), np.float32)], "x": [0.0], "y": [0.0], "dw": [1.0], "dh": [1.0]}
    )
    mapper = LinearColorMapper(palette=palette.diverging, low=-1.0, high=1.0)
    plot.add_glyph(source, Image(image="image", x="x", y="y", dw="dw", dh="dh", color_mapper=mapper))
    bar = ColorBar(
        color_mapper=mapper, ticker=BasicTicker(desired_num_ticks=5), width=9, padding=2, margin=0, label_standoff=5,
        background_fill_color=None, major_tick_line_color=None, bar_line_color=None,
        major_label_text_font=FONT, major_label_text_font_size=TEXT_SIZE,
    )  # fmt: skip
    plot.add_layout(bar, "right")
    view = View({"weights": plot}, {"weights": source}, {"weights": mapper})
    view.colours += [
        (mapper, "palette", lambda colours: colours.diverging),
        (bar, "major_label_text_color", lambda colours: colours.muted),
    ]
    view.paint(palette)
    return view


def columns(layer: LayerSnapshot) -> Columns:
    """The heat map of one array.

    Parameters
    ----------
    layer : LayerSnapshot
        The array.

    Returns
    -------
    Columns
        Rows are postsynaptic, columns presynaptic; arrays beyond 128 show means of blocks.
    """
    pre, post = layer.weights.shape
    return {"weights": {"image": [pooled(layer.weights.T)], "dw": [float(pre)], "dh": [float(post)]}}


def pooled(weights: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Means of equal blocks, so that no side is longer than 128.

    Parameters
    ----------
    weights : numpy.ndarray
        Any matrix.

    Returns
    -------
    numpy.ndarray
        float32.
    """
    pooled = np.nan_to_num(weights)
    for axis in (0, 1):
        size = pooled.shape[axis]
        if size > LARGEST:
            starts = np.arange(LARGEST) * size // LARGEST
            lengths = np.diff(np.append(starts, size))
            shape = (-1, 1) if axis == 0 else (1, -1)
            pooled = np.add.reduceat(pooled, starts, axis=axis) / lengths.reshape(shape)
    return np.ascontiguousarray(pooled, np.float32)


def limit(present: float, weights: npt.NDArray[np.float32]) -> float:
    """Weight at the end of the colour scale; moves only when clearly too small or too large.

    Parameters
    ----------
    present : float
        The present limit.
    weights : numpy.ndarray
        What is shown.

    Returns
    -------
    float
    """
    large = float(np.quantile(np.abs(weights), 0.998))
    return present if present / 3.0 < large <= present else ladder(max(large, 1e-3))


def fit(view: View, shown: Columns) -> None:
    """Move axes and colour scale to hold the array."""
    plot, image, mapper = view.figures["weights"], shown["weights"], view.mappers["weights"]
    move(plot.x_range, (0.0, image["dw"][0]))
    move(plot.y_range, (image["dh"][0], 0.0))
    end = limit(mapper.high, image["image"][0])
    if mapper.high != end:
        mapper.update(low=-end, high=end)
