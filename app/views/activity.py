"""Activity of one trial: input spikes, hidden spikes, output against target, on one time axis."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape

import numpy as np
import numpy.typing as npt
from bokeh.models import (
    ColumnDataSource,
    FixedTicker,
    Line,
    MultiLine,
    Quad,
    Range1d,
    Scatter,
    Segment,
)
from bokeh.plotting import figure

from app.theme import Palette, blank_figure
from app.views import hover, pixels, zoom
from app.views.base import PATIENCE, Columns, View, follow_slowly, move, span_of
from app.views.marks import Marks, even, marking
from app.views.pixels import COLUMNS, MOST_ROWS
from training.config import RunConfig
from training.records import TrialRecord

BANDS = {"hidden": (0.0, 0.96), "input": (1.04, 2.0)}
CLASS_COLUMNS = ("times", "values", "colour", "width", "number")
NO_TRACE: Mapping[str, Sequence[float]] = {"time": [], "output": [], "target": []}
MOST_NAMES = 4
"""Classes up to which each is named beside its colour."""

KEY = '<i class="run">━━ network</i> &nbsp; ╍╍ target'
ROOM = {"min_border_left": 48, "min_border_right": 16}


def build(palette: Palette) -> View:
    """The two figures, empty.

    Parameters
    ----------
    palette : Palette
        Colours to begin with.

    Returns
    -------
    View
        Figures and sources ``raster`` (input above, hidden below) and ``output``, sources ``twin``: its output,
        ``classes``: one line of evidence per class, ``window``: while the answer counts, and ``picked``: the
        picked neuron. Picks are numbers of hidden neurons.
    """
    time = Range1d(0.0, 1.0)
    view = View({}, {}, borders={"raster": {**ROOM, "min_border_bottom": 2}, "output": ROOM})
    _raster(view, time)
    _output(view, time)
    zoom.zoomable(view)
    zoom.pickable(view, view.figures["raster"], lambda _, height: _picked(view, height))
    view.settle()
    view.paint(palette)
    return view


def columns(record: TrialRecord, config: RunConfig, colours: Palette, twin: TrialRecord | None = None) -> Columns:
    """Rasters and traces of a trial.

    Parameters
    ----------
    record : TrialRecord
        The trial.
    config : RunConfig
        Its configuration: sizes and duration.
    colours : Palette
        The colours in force.
    twin : TrialRecord, optional
        A trial of the run's twin.

    Returns
    -------
    Columns
        Spikes are bits, see `app.views.pixels`. In classification the output is in ``classes``, the right class in a
        broad line.
    """
    duration = record.inputs.steps * config.network.dt
    sizes = [config.network.hidden, record.channels]
    trains = [(record.hidden, colours.spikes), (record.inputs, colours.inputs)]
    images = [(pixels.raster(train, size), ink) for (train, ink), size in zip(trains, sizes, strict=True)]
    return {
        "raster": {**pixels.packed(images), "dw": [duration, duration], "neurons": sizes},
        "output": _trace(record, config, ("output", "target")) if record.label < 0 else NO_TRACE,
        "twin": {"time": [], "output": []} if twin is None else _trace(twin, config, ("output",)),
        **_evidence(record, config, colours),
    }


def key(record: TrialRecord, names: tuple[str, ...], colours: Palette) -> str:
    """What the lines of the output are, as HTML: the classes' names, where there are few."""
    if record.label < 0:
        return KEY
    answer = "✓" if record.correct else "✗"
    told = f"{escape(names[record.label])} → {escape(names[record.decision])} {answer}" if names else ""
    if not 0 < len(names) <= MOST_NAMES:
        return told
    shades = class_colours(colours, len(names))
    lines = (f'<i style="color: {shade}">━ {escape(name)}</i>' for name, shade in zip(names, shades, strict=True))
    return f"{' '.join(lines)} &nbsp; {told}"


def class_colours(colours: Palette, classes: int) -> list[str]:
    """One colour per class; beyond eight they come again.

    Examples
    --------
    >>> from app.theme import palette
    >>> len(set(class_colours(palette(dark=False), 10)))
    8
    """
    return [colours.devices[place % len(colours.devices)] for place in range(classes)]


def mark_neuron(view: View, neuron: int | None) -> None:
    """Mark a hidden neuron in the raster as picked, or none."""
    source = view.sources["raster"].data
    hidden, end = source["neurons"][0], source["dw"][0]
    if neuron is None or not 0 <= neuron < hidden:
        view.show({"picked": {"begin": [], "end": [], "height": []}})
        return
    row = row_of(neuron, hidden)
    low, high = BANDS["hidden"]
    height = low + (row + 0.5) / min(hidden, MOST_ROWS) * (high - low)
    view.show({"picked": {"begin": [0.0], "end": [end], "height": [height]}})


def row_of(neuron: int, neurons: int) -> int:
    """Row of the image that shows a neuron.

    Examples
    --------
    >>> row_of(7, 100), row_of(7, 256)
    (7, 3)
    """
    return neuron * min(neurons, MOST_ROWS) // neurons


def fit(view: View, record: TrialRecord, config: RunConfig) -> None:
    """Move the axes to hold the trial."""
    output = view.figures["output"]
    view.loose = PATIENCE if record.trial == 0 else view.loose
    move(output.x_range, (0.0, record.inputs.steps * config.network.dt))
    shown = np.concatenate((record.output, record.target)) if record.label < 0 else record.output
    low, high = max(float(shown.min()), -1e6), min(float(shown.max()), 1e6)
    least = 1.0 if record.label < 0 else 0.1
    move(output.y_range, follow_slowly(view, span_of(output.y_range), min(low, -least), max(high, least), slack=1.7))
    view.settle()


def band_marks(low: float, high: float) -> Marks:
    """The name of each band, in the middle of what is seen of it.

    Examples
    --------
    >>> band_marks(0.0, 2.0)
    {0.48: 'hidden', 1.52: 'input'}
    """
    seen = {name: (max(low, band[0]), min(high, band[1])) for name, band in BANDS.items()}
    return {round(sum(part) / 2, 6): name for name, part in seen.items() if part[0] < part[1]}


def _trace(record: TrialRecord, config: RunConfig, names: tuple[str, ...]) -> dict[str, npt.NDArray[np.float32]]:
    """Lines of all readout units, one behind the other with a gap between."""
    thin = max(1, len(record.output) // COLUMNS)
    time = np.arange(0, len(record.output), thin) * config.network.dt
    units = record.output.shape[1]
    return {"time": _chained(np.repeat(time[:, None], units, 1))} | {
        name: _chained(getattr(record, name)[::thin]) for name in names
    }


def _evidence(record: TrialRecord, config: RunConfig, colours: Palette) -> Columns:
    """A line per class, none in regression, and while the answer counts; unmarked where all of a regression counts."""
    (steps, classes), dt = record.output.shape, config.network.dt
    window = {"left": [record.window[0] * dt], "right": [record.window[1] * dt]}
    if record.label < 0:
        marked = {"left": [], "right": []} if record.window == (0, steps) else window
        return {"classes": {name: [] for name in CLASS_COLUMNS}, "window": marked}
    thin = max(1, steps // COLUMNS)
    time = (np.arange(0, steps, thin) * dt).astype(np.float32)
    series = record.output[::thin].T.astype(np.float32)
    right = np.arange(classes) == record.label
    lines = {
        "times": [time] * classes,
        "values": list(series),
        "colour": class_colours(colours, classes),
        "width": np.where(right, 3.0, 1.3).tolist(),
        "number": list(range(classes)),
    }
    return {"classes": lines, "window": window}


def _chained(series: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    gap = np.full((min(1, series.shape[1] - 1), series.shape[1]), np.nan)
    return np.concatenate((series, gap)).T.reshape(-1).astype(np.float32)


def _picked(view: View, height: float) -> tuple[int] | None:
    """First hidden neuron of the row at a height."""
    low, high = BANDS["hidden"]
    if not low <= height < high:
        return None
    neurons = view.sources["raster"].data["neurons"][0]
    rows = min(neurons, MOST_ROWS)
    row = min(int((height - low) / (high - low) * rows), rows - 1)
    neuron = -(-row * neurons // rows)
    mark_neuron(view, neuron)
    return (neuron,)


def _raster(view: View, time: Range1d) -> None:
    plot = blank_figure(x_range=time, y_range=Range1d(0.0, 2.0), x_axis_type=None)
    plot.yaxis.ticker = FixedTicker(ticks=[])
    plot.grid.visible = False
    view.quiet_axes.append(plot.yaxis[0])
    view.followers.append(marking(plot.yaxis[0], plot.y_range, band_marks))
    low, height = [band[0] for band in BANDS.values()], [band[1] - band[0] for band in BANDS.values()]
    view.figures["raster"], view.sources["raster"] = plot, pixels.drawn(plot, low, height)
    _picked_line(view, plot)


def _picked_line(view: View, plot: figure) -> None:
    source = view.sources["picked"] = ColumnDataSource({"begin": [], "end": [], "height": []})
    line = Segment(x0="begin", x1="end", y0="height", y1="height", line_width=1, line_alpha=0.6)
    arrow = Scatter(x="begin", y="height", marker="triangle", angle=-np.pi / 2, size=10, line_color=None)
    for glyph, name in ((line, "line_color"), (arrow, "fill_color")):
        plot.add_glyph(source, glyph)
        view.colours.append((glyph, name, lambda colours: colours.run))


def _output(view: View, time: Range1d) -> None:
    plot = blank_figure(x_range=time, y_range=Range1d(-1.3, 1.3), x_axis_label="time (s)")
    plot.xgrid.visible = False
    plot.yaxis.ticker = FixedTicker(ticks=[])
    view.followers.append(marking(plot.yaxis[0], plot.y_range, even))
    _classes(view, plot)
    source = ColumnDataSource({"time": [], "output": [], "target": []})
    twin = ColumnDataSource({"time": [], "output": []})
    lines: list[tuple[ColumnDataSource, str, Callable[[Palette], str]]] = [
        (source, "target", lambda colours: colours.target),
        (twin, "output", lambda colours: colours.twin),
        (source, "output", lambda colours: colours.run),
    ]
    for owner, name, colour in lines:
        glyph = Line(x="time", y=name, line_width=1.8, line_dash=[5, 4] if name == "target" else [])
        pointed = plot.add_glyph(owner, glyph)
        view.colours.append((glyph, "line_color", colour))
    view.figures["output"], view.sources["output"], view.sources["twin"] = plot, source, twin
    rows = [("time", "@time{%.3f} s"), ("output", "@output{%.3g}"), ("target", "@target{%.3g}")]
    hover.hover(view, plot, [pointed], rows, dict.fromkeys(("@time", "@output", "@target"), "printf"))


def _classes(view: View, plot: figure) -> None:
    window = ColumnDataSource({"left": [], "right": []})
    classes = ColumnDataSource({name: [] for name in CLASS_COLUMNS})
    span = Quad(left="left", right="right", bottom=-1e9, top=1e9, fill_alpha=0.5, line_color=None)
    lines = MultiLine(xs="times", ys="values", line_color="colour", line_width="width")
    plot.add_glyph(window, span)
    pointed = plot.add_glyph(classes, lines)
    view.sources |= {"window": window, "classes": classes}
    view.colours.append((span, "fill_color", lambda colours: colours.grid))
    hover.hover(view, plot, [pointed], [("class", "@number"), ("evidence", "$y{0.000}")], {}, mode="mouse")
