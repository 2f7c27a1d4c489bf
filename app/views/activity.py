"""Activity of one trial: input spikes, hidden spikes, output against target, on one time axis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from bokeh.models import ColumnDataSource, FixedTicker, Image, Line, LinearColorMapper, Range1d

from app.theme import Palette, blank_figure
from app.views.base import PATIENCE, Columns, View, follow_slowly, move, span_of
from training.config import RunConfig
from training.records import TrialRecord
from training.spikes import Spikes, times

COLUMNS, MOST_ROWS = 500, 128
HIDDEN, INPUT = 1, 2
BANDS = {"hidden": (0.0, 0.96), "input": (1.04, 2.0)}
ROOM: dict[str, Any] = {"min_border_left": 48, "min_border_right": 10}
CLEAR = "#00000000"


def build(palette: Palette) -> View:
    """The two figures, empty.

    Parameters
    ----------
    palette : Palette
        Colours to begin with.

    Returns
    -------
    View
        Figures and sources ``raster`` (input above, hidden below) and ``output``.
    """
    time = Range1d(0.0, 1.0)
    view = View({}, {})
    _raster(view, time)
    _output(view, time)
    view.paint(palette)
    return view


def columns(record: TrialRecord, config: RunConfig) -> Columns:
    """Rasters and traces of a trial.

    Parameters
    ----------
    record : TrialRecord
        The trial.
    config : RunConfig
        Its configuration: sizes and duration.

    Returns
    -------
    Columns
        Of several readouts, the first.
    """
    duration = record.inputs.steps * config.network.dt
    thin = max(1, len(record.output) // COLUMNS)
    hidden = raster(record.hidden, config.network.hidden) * np.uint8(HIDDEN)
    inputs = raster(record.inputs, config.task.inputs) * np.uint8(INPUT)
    return {
        "raster": {"image": [hidden, inputs], "dw": [duration, duration]},
        "output": {
            "time": (np.arange(0, len(record.output), thin) * config.network.dt).astype(np.float32),
            "output": record.output[::thin, 0].astype(np.float32),
            "target": record.target[::thin, 0].astype(np.float32),
        },
    }


def raster(spikes: Spikes, neurons: int) -> npt.NDArray[np.uint8]:
    """Spikes as an image, at most 128 x 500: 1 where a neuron of the row spiked within the column's time.

    Parameters
    ----------
    spikes : Spikes
        The events.
    neurons : int
        How many neurons there are.

    Returns
    -------
    numpy.ndarray
        uint8, ``row, column``.
    """
    rows, across = min(neurons, MOST_ROWS), min(spikes.steps, COLUMNS)
    image = np.zeros((rows, across), np.uint8)
    image[spikes.neuron.astype(np.int64) * rows // neurons, times(spikes) * across // spikes.steps] = 1
    return image


def fit(view: View, record: TrialRecord, config: RunConfig) -> None:
    """Move the axes to hold the trial."""
    output = view.figures["output"]
    view.loose = PATIENCE if record.trial == 0 else view.loose
    move(output.x_range, (0.0, record.inputs.steps * config.network.dt))
    shown = np.concatenate((record.output[:, 0], record.target[:, 0]))
    low, high = max(float(shown.min()), -1e6), min(float(shown.max()), 1e6)
    move(output.y_range, follow_slowly(view, span_of(output.y_range), min(low, -1.0), max(high, 1.0), slack=1.7))


def _raster(view: View, time: Range1d) -> None:
    plot = blank_figure(x_range=time, y_range=Range1d(0.0, 2.0), x_axis_type=None, **ROOM, min_border_bottom=2)
    middles = {sum(band) / 2: name for name, band in BANDS.items()}
    plot.yaxis.update(ticker=FixedTicker(ticks=list(middles)), major_label_overrides=middles)
    plot.grid.visible = False
    view.quiet_axes.append(plot.yaxis[0])
    low, height = [band[0] for band in BANDS.values()], [band[1] - band[0] for band in BANDS.values()]
    empty = np.zeros((1, 1), np.uint8)
    source = ColumnDataSource({"image": [empty, empty], "x": [0.0, 0.0], "y": low, "dw": [1.0, 1.0], "dh": height})
    mapper = LinearColorMapper(palette=[CLEAR] * 3, low=0, high=2)
    plot.add_glyph(source, Image(image="image", x="x", y="y", dw="dw", dh="dh", color_mapper=mapper))
    view.figures["raster"], view.sources["raster"] = plot, source
    view.colours.append((mapper, "palette", lambda colours: [CLEAR, colours.spikes, colours.inputs]))


def _output(view: View, time: Range1d) -> None:
    plot = blank_figure(x_range=time, y_range=Range1d(-1.3, 1.3), x_axis_label="time (s)", **ROOM)
    plot.xgrid.visible = False
    plot.yaxis.ticker.desired_num_ticks = 3
    source = ColumnDataSource({"time": [], "output": [], "target": []})
    lines: dict[str, Callable[[Palette], str]] = {
        "target": lambda colours: colours.target,
        "output": lambda colours: colours.run,
    }
    for name, colour in lines.items():
        glyph = Line(x="time", y=name, line_width=1.8, line_dash=[5, 4] if name == "target" else [])
        plot.add_glyph(source, glyph)
        view.colours.append((glyph, "line_color", colour))
    view.figures["output"], view.sources["output"] = plot, source
