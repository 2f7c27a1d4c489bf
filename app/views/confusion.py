"""Confusion: what is taken for what, as shares of each right class."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from bokeh.core.properties import value
from bokeh.models import ColumnDataSource, FixedTicker, Image, LinearColorMapper, Range1d, Text

from app.exam import Scores
from app.theme import FONT, Palette, blank_figure
from app.views import hover
from app.views.base import Columns, View, move
from app.views.marks import mark

MOST_TEXTS = 12
"""Classes up to which shares are written into the cells."""

SPOKEN, DARK = 0.03, 0.45
"""Shares from which a cell is written in, and in the colour for strong cells."""


def build(palette: Palette) -> View:
    """The figure, empty.

    Parameters
    ----------
    palette : Palette
        Colours to begin with.

    Returns
    -------
    View
        Figure ``confusion``, sources ``cells`` and ``texts``.
    """
    plot = blank_figure(
        x_range=Range1d(0.0, 1.0), y_range=Range1d(1.0, 0.0), x_axis_label="answer", y_axis_label="right class"
    )
    plot.grid.visible = False
    for axis in plot.axis:
        axis.ticker = FixedTicker(ticks=[])
    view = View({"confusion": plot}, {}, borders={"confusion": {"min_border_right": 12}})
    view.quiet_axes += plot.axis
    _cells(view, palette)
    view.paint(palette)
    return view


def columns(scores: Scores, colours: Palette) -> Columns:
    """The matrix: of samples held out, as soon as there are some, else of the latest trials.

    Parameters
    ----------
    scores : Scores
        What the classifier gets right.
    colours : Palette
        The colours in force.

    Returns
    -------
    Columns
        Rows are right classes, columns answers.
    """
    share = shares(scores.held_confusion if scores.held_confusion.any() else scores.confusion)
    size = float(len(share))
    return {
        "cells": {"image": [share.astype(np.float32)], "dw": [size], "dh": [size]},
        "texts": _texts(share, colours),
    }


def shares(confusion: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Each row over its sum; a class that has not been asked about is empty.

    Examples
    --------
    >>> shares(np.array([[3, 1], [0, 0]])).tolist()
    [[0.75, 0.25], [0.0, 0.0]]
    """
    return confusion / np.maximum(confusion.sum(1, keepdims=True), 1)


def fit(view: View, scores: Scores) -> None:
    """Move the axes to hold the classes, and name them."""
    plot, size = view.figures["confusion"], float(len(scores.names))
    move(plot.x_range, (0.0, size))
    move(plot.y_range, (size, 0.0))
    for axis in plot.axis:
        mark(axis, {place + 0.5: name for place, name in enumerate(scores.names)})


def source_of(scores: Scores) -> str:
    """What the matrix counts."""
    held = int(scores.held_confusion.sum())
    if not held:
        return f"latest {int(scores.confusion.sum())} trials"
    return f"latest {held} samples{' held out' if scores.held_out else ''}"


def _texts(share: npt.NDArray[np.float64], colours: Palette) -> dict[str, list[object]]:
    rows, answers = np.nonzero(share >= SPOKEN) if len(share) <= MOST_TEXTS else ([], [])
    return {
        "x": [place + 0.5 for place in answers],
        "y": [place + 0.5 for place in rows],
        "text": [f"{100.0 * share[row, answer]:.0f}" for row, answer in zip(rows, answers, strict=True)],
        "colour": [
            colours.surface if share[row, answer] > DARK else colours.text
            for row, answer in zip(rows, answers, strict=True)
        ],
    }


def _cells(view: View, palette: Palette) -> None:
    plot, mapper = view.figures["confusion"], LinearColorMapper(low=0.0, high=1.0, palette=palette.rising)
    empty = np.zeros((1, 1), np.float32)
    cells = ColumnDataSource({"image": [empty], "x": [0.0], "y": [0.0], "dw": [1.0], "dh": [1.0]})
    texts = ColumnDataSource({"x": [], "y": [], "text": [], "colour": []})
    image = plot.add_glyph(cells, Image(image="image", x="x", y="y", dw="dw", dh="dh", color_mapper=mapper))
    text = Text(
        x="x", y="y", text="text", text_color="colour", text_align="center", text_baseline="middle",
        text_font=value(FONT),
    )  # fmt: skip
    plot.add_glyph(texts, text)
    view.sources |= {"cells": cells, "texts": texts}
    view.mappers["cells"] = mapper
    view.colours += [
        (mapper, "palette", lambda colours: colours.rising),
        (text, "text_font_size", lambda colours: colours.text_size),
    ]
    hover.hover(view, plot, [image], [("share", "@image{0.0%}")], {"@image": "numeral"}, mode="mouse")
