"""Heat map of a sweep: a measured number over two settings, one rectangle per cell; a click opens the cell in Live."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from bokeh.models import (
    ColorBar,
    ColumnDataSource,
    CustomJS,
    FixedTicker,
    LinearColorMapper,
    NoOverlap,
    Range1d,
    Rect,
    TapTool,
    Text,
)
from bokeh.models.renderers import GlyphRenderer
from bokeh.plotting import figure

from app.cells import Cells, Look
from app.oklab import legible
from app.theme import FONT, Palette, blank_figure
from app.views import hover
from app.views.base import Columns, View, move
from app.views.marks import label, mark, plain
from app.views.sweep_scale import TOLD, extent, number, title, told, tooltip_rows, written

OPEN = """
const source = cb_data.source, [place] = source.selected.indices
if (place === undefined) return
source.selected.indices = []
const url = source.data.url[place]
if (url) window.open(url, '_blank')
"""
MOST_TEXTS = 80
"""Cells up to which each shows its number."""

FIELDS = ("x", "y", "mean", "text", "ink", "note", "url", *TOLD)


def build(palette: Palette) -> View:
    """The figure, empty.

    Parameters
    ----------
    palette : Palette
        Colours to begin with.

    Returns
    -------
    View
        Figure ``map``; sources ``cells``, those with a number, ``pending``, those without, and ``partial``: of those
        with a number, the ones of which runs are to come.
    """
    plot = blank_figure(x_range=Range1d(-0.5, 0.5), y_range=Range1d(0.5, -0.5), x_axis_label=" ", name="sweep")
    plot.grid.visible = False
    view = View({"map": plot}, {}, borders={"map": {"min_border_left": 44, "min_border_bottom": 40}})
    for axis in plot.axis:
        axis.ticker = FixedTicker(ticks=[])
        axis.major_label_policy = NoOverlap(min_distance=4)
        view.quiet_axes.append(axis)
    mapper = LinearColorMapper(palette=palette.rising, low=0.0, high=1.0)
    view.mappers["map"] = mapper
    view.colours.append((mapper, "palette", lambda colours: colours.rising))
    pointed = [_pending(view, plot), _cells(view, plot, mapper)]
    _partial(view, plot)
    _bar(view, plot, mapper)
    _pointed(view, plot, pointed)
    view.paint(palette)
    return view


def columns(cells: Cells, look: Look, palette: Palette) -> Columns:
    """The cells that are looked at.

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
        Row 0 is above.
    """
    plane, known = cells.plane(look), cells.statistics(look.metric)
    span = extent(known.mean[plane]) or (0.0, 1.0)
    found: dict[str, dict[str, list[Any]]] = {name: {one: [] for one in FIELDS} for name in ("cells", "pending")}
    roomy = plane.size <= MOST_TEXTS
    for (row, column), cell in np.ndenumerate(plane):
        mean = float(known.mean[cell])
        measured = bool(np.isfinite(mean))
        line = {
            "x": column, "y": row, "mean": mean,
            "text": number(mean, 4) if roomy and measured else "", "ink": ink(mean, span, palette),
            "note": cells.notes.get(int(cell), ""), "url": cells.urls[cell],
            **told(cells, look, (row, column), known, int(cell)),
        }  # fmt: skip
        for name, value in line.items():
            found["cells" if measured else "pending"][name].append(value)
    shown, whole = found["cells"], f"{len(cells.seeds)} of {len(cells.seeds)}"
    partial = [at for at, runs in enumerate(shown["runs"]) if runs != whole]
    return {**found, "partial": {name: [shown[name][at] for at in partial] for name in ("x", "y")}}


def fit(view: View, cells: Cells, look: Look) -> None:
    """Name rows and columns, and spread the colours over what is there."""
    plot, plane = view.figures["map"], cells.plane(look)
    rows, across = plane.shape
    move(plot.x_range, (-0.5, across - 0.5))
    move(plot.y_range, (rows - 0.5, -0.5))
    for axis, name in ((plot.xaxis[0], look.across), (plot.yaxis[0], look.down)):
        mark(axis, {float(place): written(value) for place, value in enumerate(cells.along(name))})
        label(axis, title(cells, name) or " ")
    _scale(view, cells, look)


def _scale(view: View, cells: Cells, look: Look) -> None:
    mapper, bar = view.mappers["map"], view.figures["map"].right[0]
    span = extent(cells.statistics(look.metric).mean[cells.plane(look)])
    bar.visible = span is not None
    low, high = span or (0.0, 1.0)
    high = max(high, low + 1e-9 + 1e-6 * abs(low))
    if (mapper.low, mapper.high) != (low, high):
        mapper.update(low=low, high=high)
    mark(bar, plain(low, high, 5))


def ink(mean: float, span: tuple[float, float], palette: Palette) -> str:
    """The colour in which a number can be read on its cell."""
    share = (mean - span[0]) / max(span[1] - span[0], 1e-12)
    return legible(palette.rising[round(share * (len(palette.rising) - 1))]) if 0.0 <= share <= 1.0 else palette.text


def _cells(view: View, plot: figure, mapper: LinearColorMapper) -> GlyphRenderer:
    source = view.sources["cells"] = ColumnDataSource({name: [] for name in FIELDS})
    glyph = Rect(x="x", y="y", width=0.96, height=0.96, fill_color={"field": "mean", "transform": mapper}, line_width=1)
    view.colours.append((glyph, "line_color", lambda colours: colours.line))
    drawn = plot.add_glyph(source, glyph)
    text = Text(
        x="x",
        y="y",
        text="text",
        text_color="ink",
        text_font={"value": FONT},
        text_align="center",
        text_baseline="middle",
    )
    plot.add_glyph(source, text)
    view.colours.append((text, "text_font_size", lambda colours: colours.text_size))
    return drawn


def _pending(view: View, plot: figure) -> GlyphRenderer:
    """Cells to come, and those whose runs have no such number: hatched, so that they are no value of the scale."""
    view.sources["pending"] = ColumnDataSource({name: [] for name in FIELDS})
    return _hatched(view, plot, "pending")


def _partial(view: View, plot: figure) -> None:
    view.sources["partial"] = ColumnDataSource({"x": [], "y": []})
    _hatched(view, plot, "partial")


def _hatched(view: View, plot: figure, name: str) -> GlyphRenderer:
    glyph = Rect(
        x="x", y="y", width=0.96, height=0.96, fill_color=None, line_width=1, hatch_pattern="right_diagonal_line",
        hatch_weight=1, hatch_scale=9, hatch_alpha=0.4, line_alpha=0.4,
    )  # fmt: skip
    view.colours += [(glyph, part, lambda colours: colours.target) for part in ("line_color", "hatch_color")]
    return plot.add_glyph(view.sources[name], glyph)


def _bar(view: View, plot: figure, mapper: LinearColorMapper) -> None:
    bar = ColorBar(
        color_mapper=mapper, ticker=FixedTicker(ticks=[]), width=9, padding=2, margin=0, label_standoff=5,
        background_fill_color=None, major_tick_line_color=None, bar_line_color=None, major_label_text_font=FONT,
        visible=False,
    )  # fmt: skip
    plot.add_layout(bar, "right")
    view.colours += [
        (bar, "major_label_text_color", lambda colours: colours.muted),
        (bar, "major_label_text_font_size", lambda colours: colours.text_size),
    ]


def _pointed(view: View, plot: figure, renderers: Sequence[GlyphRenderer]) -> None:
    for drawn in renderers:
        drawn.nonselection_glyph = drawn.selection_glyph = None
    plot.add_tools(TapTool(renderers=list(renderers), callback=CustomJS(code=OPEN), visible=False))
    rows = [*tooltip_rows("mean"), ("", "@note")]
    hover.hover(view, plot, renderers, rows, {"@mean": "printf"}, mode="mouse")
