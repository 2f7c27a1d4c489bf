"""Cores: which cells of which cores hold an array, and the sums that their converters have met."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from bokeh.core.properties import value
from bokeh.models import ColumnDataSource, FixedTicker, LinearColorMapper, Quad, Range1d, Text

from app.theme import FONT, Palette, blank_figure
from app.views import hover, zoom
from app.views.base import Columns, View, move
from app.views.marks import Marks, mark, marking, plain
from pcmsim.core import BINS
from training.records import CoreSnapshot

MOST_SQUARES, MOST_TEXTS = 32, 4
"""Squares either way, of several cores each where there are more; and up to which their use is written in."""

DARK = 0.45
"""Use from which a text takes the colour for strong cells."""

RAREST = -5.0
"""Decimal logarithm of the share of conversions at the foot of the bars."""

ERRORS = (
    "Gain and offset: standard deviation over the converters after calibration, the offset's as a share of the range. "
    "Programming: root mean square of change made less change asked, over recent updates of all layers."
)

SHARES: Marks = {-4.0: "0.01 %", -2.0: "1 %", 0.0: "100 %"}
PARTS = ("x", "y", "right", "bottom", "used_right", "used_bottom", "use", "middle", "centre", "text", "colour")
BARS = ("left", "right", "top", "conversions")


def build(palette: Palette) -> View:
    """The figures, empty.

    Parameters
    ----------
    palette : Palette
        Colours to begin with.

    Returns
    -------
    View
        Figure and source ``tiles``; figure ``conversions`` with sources ``held`` and ``saturated``.
    """
    tiles = blank_figure(x_range=Range1d(0.0, 1.0), y_range=Range1d(1.0, 0.0), x_axis_label="inputs of the cores")
    bars = blank_figure(x_range=Range1d(-1.0, 1.0), y_range=Range1d(RAREST, 0.2), x_axis_label="converted sum (cells)")
    rooms = {"tiles": {"min_border_left": 36, "min_border_right": 12}, "conversions": {"min_border_left": 50}}
    view = View({"tiles": tiles, "conversions": bars}, {}, borders=rooms)
    for axis in (*tiles.axis, *bars.axis):
        axis.ticker = FixedTicker(ticks=[])
    tiles.grid.visible = bars.xgrid.visible = False
    view.quiet_axes += tiles.axis
    mark(bars.yaxis[0], SHARES)
    view.followers.append(marking(bars.xaxis[0], bars.x_range, lambda low, high: plain(low, high, 5)))
    _squares(view, palette)
    _bars(view)
    zoom.zoomable(view)
    view.paint(palette)
    return view


def columns(core: CoreSnapshot, shape: tuple[int, int], colours: Palette) -> Columns:
    """The cores of one array.

    Parameters
    ----------
    core : CoreSnapshot
        Its cores.
    shape : tuple of int
        ``pre, post`` of the array.
    colours : Palette
        The colours in force.

    Returns
    -------
    Columns
        Inputs run to the right, outputs down, as in the heat map. Heights of bars are ``log10`` of the
        share of conversions; the outermost two, which saturated, are apart.
    """
    every = _heights(core)
    ends = {name: values[[0, -1]] for name, values in every.items()}
    return {
        "tiles": _tiles(core, shape, colours),
        "held": {name: values[1:-1] for name, values in every.items()},
        "saturated": ends,
    }


def edges(adc_range: float) -> npt.NDArray[np.float64]:
    """Edges of the bins of `CoreSnapshot.histogram` [cells]; the outermost bins reach without end.

    The first and last code within the range lie in the middle of their bins.
    """
    half = adc_range / (BINS - 3)
    inner = np.linspace(-adc_range - half, adc_range + half, BINS - 1)
    return np.concatenate(([-math.inf], inner, [math.inf]))


def fit(view: View, core: CoreSnapshot) -> None:
    """Move the axes to hold the cores, and the range of the converters."""
    tiles, bars = view.figures["tiles"], view.figures["conversions"]
    for axis_range, axis, tiled, size in zip(
        (tiles.x_range, tiles.y_range), (tiles.xaxis[0], tiles.yaxis[0]), core.tiles, core.size, strict=True
    ):
        whole = float(tiled * size)
        move(axis_range, (0.0, whole) if axis_range is tiles.x_range else (whole, 0.0))
        step = size * math.ceil(tiled / MOST_TEXTS)
        mark(axis, {float(place): str(place) for place in range(0, tiled * size + 1, step)})
    end = 1.15 * core.adc_range
    move(bars.x_range, (-end, end))
    view.settle()


def html(core: CoreSnapshot, write_error: float | None = None, *, coded: bool = True) -> str:
    """The cores in words, two lines.

    Parameters
    ----------
    core : CoreSnapshot
        The cores of one array.
    write_error : float, optional
        Programming error of recent updates, all arrays together, as a share of the change asked.
    coded : bool
        Whether sums are rounded to codes, which are what is counted.
    """
    number, (rows, outputs) = math.prod(core.tiles), core.size
    cores = "1 core" if number == 1 else f"{number:,} cores"
    about = f"Cores of {rows} × {outputs} cells. {ERRORS}"
    return (
        f'<div class="cores" title="{about}"><span>{cores}, {core.utilisation:.1%} in use</span>'
        f"<span>gain ±{core.gain_error:.2%} offset ±{core.offset_error:.2%}</span>"
        f"<span>{_converted(core, coded)}</span><span>{_programmed(write_error)}</span></div>"
    )


def _programmed(write_error: float | None) -> str:
    return "" if write_error is None else f"programming error {write_error:.0%}"


def _converted(core: CoreSnapshot, coded: bool = True) -> str:
    """What became of the sums; they are counted anew when the converters are set otherwise.

    Examples
    --------
    >>> counted = np.zeros(BINS, np.int64)
    >>> counted[[0, 30]] = 5_000, 2_495_000
    >>> _converted(CoreSnapshot((1, 1), (256, 256), 0.1, 2.0, counted, 0.0, 0.0))
    '<b>0.2% saturated</b> of 2.5 M sums'
    """
    if core.saturated is None:
        return "no sums with these settings yet" if coded else "sums are not rounded to codes"
    total = int(core.histogram.sum())
    count = f"{total:,}" if total < 10**6 else f"{total / 1e6:.3g} M" if total < 10**9 else f"{total / 1e9:.3g} G"
    return f"<b>{core.saturated:z.1%} saturated</b> of {count} sums"


def _heights(core: CoreSnapshot) -> dict[str, npt.NDArray[np.float32]]:
    ends, width = edges(core.adc_range), 2.0 * core.adc_range / (BINS - 3)
    ends[0], ends[-1] = ends[1] - 2.0 * width, ends[-2] + 2.0 * width
    left, right = ends[:-1].copy(), ends[1:].copy()
    left[-1], right[0] = left[-1] + width / 2, right[0] - width / 2
    share = core.histogram / max(int(core.histogram.sum()), 1)
    top = np.log10(np.maximum(share, 10.0**RAREST))
    values = dict(zip(BARS, (left, right, top, core.histogram), strict=True))
    return {name: np.asarray(column, np.float32) for name, column in values.items()}


def _tiles(core: CoreSnapshot, shape: tuple[int, int], colours: Palette) -> dict[str, list[object]]:
    """One square per core, or per block of cores where there are many."""
    block = [size * math.ceil(tiled / MOST_SQUARES) for size, tiled in zip(core.size, core.tiles, strict=True)]
    spans = [
        [(first, min(first + step, tiled * size)) for first in range(0, tiled * size, step)]
        for step, size, tiled in zip(block, core.size, core.tiles, strict=True)
    ]
    texts = max(core.tiles) <= MOST_TEXTS
    squares = [_square(across, down, shape, colours if texts else None) for down in spans[1] for across in spans[0]]
    return {name: list(values) for name, values in zip(PARTS, zip(*squares, strict=True), strict=True)}


def _square(
    across: tuple[int, int], down: tuple[int, int], shape: tuple[int, int], colours: Palette | None
) -> tuple[object, ...]:
    """`PARTS` of one square."""
    used = [min(last, length) for (_, last), length in zip((across, down), shape, strict=True)]
    sizes = [last - first for first, last in (across, down)]
    shares = [(end - first) / size for end, (first, _), size in zip(used, (across, down), sizes, strict=True)]
    use = math.prod(shares)
    strong = colours is not None and use > DARK and min(shares) > 0.5
    colour = "" if colours is None else colours.surface if strong else colours.text
    middle, centre = (0.5 * (first + last) for first, last in (across, down))
    text = "" if colours is None else f"{use:.0%}"
    return (across[0], down[0], across[1], down[1], used[0], used[1], use, middle, centre, text, colour)


def _squares(view: View, palette: Palette) -> None:
    plot, source = view.figures["tiles"], ColumnDataSource({name: [] for name in PARTS})
    mapper = LinearColorMapper(low=0.0, high=1.0, palette=palette.rising)
    whole = Quad(left="x", top="y", right="right", bottom="bottom")
    used = Quad(
        left="x", top="y", right="used_right", bottom="used_bottom", line_color=None,
        fill_color={"field": "use", "transform": mapper},
    )  # fmt: skip
    text = Text(
        x="middle", y="centre", text="text", text_color="colour", text_align="center", text_baseline="middle",
        text_font=value(FONT),
    )  # fmt: skip
    pointed = plot.add_glyph(source, whole)
    plot.add_glyph(source, used)
    plot.add_glyph(source, text)
    view.sources["tiles"], view.mappers["tiles"] = source, mapper
    view.colours += [
        (mapper, "palette", lambda colours: colours.rising),
        (whole, "fill_color", lambda colours: colours.zero),
        (whole, "line_color", lambda colours: colours.muted),
        (text, "text_font_size", lambda colours: colours.text_size),
    ]
    rows = [("inputs", "@x{%d}–@right{%d}"), ("outputs", "@y{%d}–@bottom{%d}"), ("cells in use", "@use{0.0%}")]
    formats = {**dict.fromkeys(("@x", "@y", "@right", "@bottom"), "printf"), "@use": "numeral"}
    hover.hover(view, plot, [pointed], rows, formats, mode="mouse")


def _bars(view: View) -> None:
    plot = view.figures["conversions"]
    for name in ("held", "saturated"):
        source = view.sources[name] = ColumnDataSource({column: [] for column in BARS})
        bars = Quad(left="left", right="right", bottom=RAREST, top="top", line_color=None)
        pointed = plot.add_glyph(source, bars)
        colour = (lambda colours: colours.run) if name == "held" else (lambda colours: colours.full)
        view.colours.append((bars, "fill_color", colour))
        held = ("sum", "@left{%.3g} to @right{%.3g} cells")
        rows = [held if name == "held" else ("sum", "beyond the range"), ("conversions", "@conversions{0,0}")]
        formats = {"@left": "printf", "@right": "printf", "@conversions": "numeral"}
        hover.hover(view, plot, [pointed], rows, formats)
