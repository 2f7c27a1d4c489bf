"""Crossbar: one quantity of every synapse of one array, such as its weight, as a heat map."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from bokeh.models import (
    ColorBar,
    ColumnDataSource,
    CustomJSHover,
    FixedTicker,
    Image,
    LinearColorMapper,
    Range1d,
    Rect,
    Scatter,
)
from bokeh.models.renderers import GlyphRenderer
from bokeh.plotting import figure

from app.theme import FONT, Palette, blank_figure
from app.views import hover, zoom
from app.views.base import Columns, Span, View, ladder, move
from app.views.drift import COARSE
from app.views.kinds import KINDS, YOUNGEST, Kind
from app.views.marks import mark, plain, within
from app.views.pooling import LARGEST, cell_of, cells, first_of, pooled
from pcmsim.errors import UnknownNameError
from pcmsim.pulse import PulseModel
from training.records import LayerSnapshot

__all__ = ["KINDS", "Kind", "build", "columns", "fit", "limit", "mark_cell", "pooled"]

AGES = {math.log10(age): text for age, text in COARSE.items()}

NEURON = f"""
const size = source.data[format === "from" ? "dw" : "dh"][0], cells = Math.min(size, {LARGEST})
const cell = Math.min(Math.floor(value * cells / size), cells - 1)
const first = Math.floor(cell * size / cells), last = Math.floor((cell + 1) * size / cells) - 1
return first === last ? `${{first}}` : `${{first}}–${{last}}`
"""
VALUE = f"""{hover.DURATION}
const kind = source.data
if (kind.log[0]) return words(10 ** value)
return `${{Number(value.toPrecision(3))}} ${{kind.unit[0]}}`
"""


def build(palette: Palette) -> View:
    """The figure, empty.

    Parameters
    ----------
    palette : Palette
        Colours to begin with.

    Returns
    -------
    View
        Figure and source ``weights``, source ``picked``: the picked synapse. Picks are neurons ``pre, post``.
    """
    plot = blank_figure(x_range=Range1d(0.0, 1.0), y_range=Range1d(1.0, 0.0), x_axis_label="from neuron")
    plot.grid.visible = False
    for axis in plot.axis:
        axis.ticker.update(desired_num_ticks=4, min_interval=1.0)
    view = View({"weights": plot}, {}, borders={"weights": {"min_border_left": 36}})
    image = _image(view, plot, palette)
    _picked_square(view, plot)
    _pointed(view, plot, image)
    zoom.zoomable(view)
    zoom.pickable(view, plot, lambda x, y: _pick(view, x, y))
    _mark_scale(view)
    view.paint(palette)
    return view


def columns(layer: LayerSnapshot, kind: str = "weight", g_max: float = PulseModel.g_max) -> Columns:
    """The heat map of one array.

    Parameters
    ----------
    layer : LayerSnapshot
        The array.
    kind : str
        What of it to show: a name of `KINDS`.
    g_max : float
        Largest conductance of its device model [µS]: for the saturation.

    Returns
    -------
    Columns
        Rows are postsynaptic, columns presynaptic; arrays beyond 128 show means of blocks.

    Raises
    ------
    UnknownNameError
        If there is no such kind.
    """
    shown, (pre, post) = _kind(kind), layer.weights.shape
    values = shown.values(layer, g_max).T
    image = pooled(np.log10(np.maximum(values, YOUNGEST)) if shown.log else values)
    facts = {"kind": [kind], "label": [shown.label], "unit": [shown.unit], "log": [shown.log]}
    return {"weights": {"image": [image], "dw": [float(pre)], "dh": [float(post)], **facts}}


def limit(present: float, weights: npt.NDArray[np.float32], least: float = 1e-3) -> float:
    """Value at the end of the colour scale; moves only when clearly too small or too large.

    Parameters
    ----------
    present : float
        The present limit.
    weights : numpy.ndarray
        What is shown.
    least : float
        The limit is never below.

    Returns
    -------
    float
    """
    large = max(float(np.quantile(np.abs(weights), 0.998)), least)
    return present if present / 3.0 < large <= present else ladder(large)


def fit(view: View, shown: Columns, kind: str = "weight") -> None:
    """Move axes and colour scale to hold the array; `kind` as for `columns`."""
    plot, image, mapper = view.figures["weights"], shown["weights"], view.mappers["weights"]
    move(plot.x_range, (0.0, image["dw"][0]))
    move(plot.y_range, (image["dh"][0], 0.0))
    low, high = _scale(_kind(kind), (mapper.low, mapper.high), image["image"][0])
    if (mapper.low, mapper.high) != (low, high):
        mapper.update(low=low, high=high)
    colours = _kind(kind).ramp(view.palette)
    if mapper.palette != colours:
        mapper.palette = colours
    _mark_scale(view)


def mark_cell(view: View, pick: tuple[int, int] | None) -> None:
    """Outline the synapse ``pre, post``, or none; in a pooled map the block that it is in.

    Parameters
    ----------
    view : View
        From `build`.
    pick : tuple of int or None
        The synapse; one that the array shown does not have is not outlined.
    """
    sizes = _sizes(view)
    square: dict[str, list[float]] = {name: [] for name in ("x", "y", "width", "height")}
    if pick is not None and all(0 <= place < size for place, size in zip(pick, sizes, strict=True)):
        for place, size, middle, width in zip(pick, sizes, ("x", "y"), ("width", "height"), strict=True):
            one = size / cells(size)
            square |= {middle: [(cell_of(place, size) + 0.5) * one], width: [one]}
    view.show({"picked": square})


def _kind(name: str) -> Kind:
    if name not in KINDS:
        raise UnknownNameError("kind of heat map", name, KINDS)
    return KINDS[name]


def _scale(kind: Kind, present: Span, image: npt.NDArray[np.float32]) -> Span:
    if kind.log:
        low, high = math.floor(float(image.min())), math.ceil(float(image.max()))
        return float(low), float(max(high, low + 1))
    end = limit(present[1], image, kind.least) if kind.most is None else kind.most
    return (-end if kind.diverging else 0.0), end


def _mark_scale(view: View) -> None:
    mapper = view.mappers["weights"]
    log = _kind(view.sources["weights"].data["kind"][0]).log
    marks = within(AGES, mapper.low, mapper.high) if log else plain(mapper.low, mapper.high)
    mark(view.figures["weights"].right[0], marks)


def _sizes(view: View) -> tuple[int, int]:
    data = view.sources["weights"].data
    return int(data["dw"][0]), int(data["dh"][0])


def _pick(view: View, x: float, y: float) -> tuple[int, int] | None:
    """First synapse of the cell at a place."""
    sizes = _sizes(view)
    if not all(0.0 <= place < size for place, size in zip((x, y), sizes, strict=True)):
        return None
    pre, post = (first_of(int(place * cells(size) / size), size) for place, size in zip((x, y), sizes, strict=True))
    mark_cell(view, (pre, post))
    return pre, post


def _image(view: View, plot: figure, palette: Palette) -> GlyphRenderer:
    nothing = np.zeros((1, 1), np.float32)
    facts = {"kind": ["weight"], "label": ["weight"], "unit": [""], "log": [False]}
    source = ColumnDataSource({"image": [nothing], "x": [0.0], "y": [0.0], "dw": [1.0], "dh": [1.0], **facts})
    mapper = LinearColorMapper(palette=palette.diverging, low=-1.0, high=1.0)
    bar = ColorBar(
        color_mapper=mapper, ticker=FixedTicker(ticks=[]), width=9, padding=2, margin=0, label_standoff=5,
        background_fill_color=None, major_tick_line_color=None, bar_line_color=None, major_label_text_font=FONT,
    )  # fmt: skip
    plot.add_layout(bar, "right")
    view.sources["weights"], view.mappers["weights"] = source, mapper
    view.colours += [
        (mapper, "palette", lambda colours: _kind(source.data["kind"][0]).ramp(colours)),
        (bar, "major_label_text_color", lambda colours: colours.muted),
        (bar, "major_label_text_font_size", lambda colours: colours.text_size),
    ]
    return plot.add_glyph(source, Image(image="image", x="x", y="y", dw="dw", dh="dh", color_mapper=mapper))


def _picked_square(view: View, plot: figure) -> None:
    """Outlines that can be seen on any colour, and of cells that are too small to be seen."""
    source = view.sources["picked"] = ColumnDataSource({name: [] for name in ("x", "y", "width", "height")})
    halo: list[tuple[float, Callable[[Palette], str]]] = [
        (4.0, lambda colours: colours.surface),
        (1.6, lambda colours: colours.text),
    ]
    for width, colour in halo:
        cell = Rect(x="x", y="y", width="width", height="height", fill_color=None, line_width=width)
        ring = Scatter(x="x", y="y", marker="square", size=13, fill_color=None, line_width=width)
        for glyph in (cell, ring):
            plot.add_glyph(source, glyph)
            view.colours.append((glyph, "line_color", colour))


def _pointed(view: View, plot: figure, image: GlyphRenderer) -> None:
    source = view.sources["weights"]
    neuron = CustomJSHover(args={"source": source}, code=NEURON)
    value = CustomJSHover(args={"source": source}, code=VALUE)
    rows = [("from neuron", "$x{from}"), ("to neuron", "$y{to}"), ("@label", "@image{value}")]
    hover.hover(view, plot, [image], rows, {"$x": neuron, "$y": neuron, "@image": value}, mode="mouse")
