"""Drift and programming: conductance of single devices against device time, on a log axis."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from bokeh.models import ColumnDataSource, FixedTicker, Line, Range1d, Scatter

from app.theme import LIGHT, Palette, blank_figure
from app.views import hover, zoom
from app.views.base import Columns, View, follow, ladder, move, span_of
from app.views.marks import Marks, first_enough, marking
from app.views.status import duration

DAY, YEAR = 86_400.0, 31_557_600.0
COARSE = {
    **{0.1: "0.1 s", 1.0: "1 s", 10.0: "10 s", 60.0: "1 min", 600.0: "10 min", 3600.0: "1 h", 36_000.0: "10 h"},
    **{3 * DAY: "3 d", 30 * DAY: "30 d", YEAR: "1 y", 10 * YEAR: "10 y", 100 * YEAR: "100 y", 1000 * YEAR: "1000 y"},
}
FINE = COARSE | {
    **{0.3: "0.3 s", 3.0: "3 s", 30.0: "30 s", 180.0: "3 min", 10_800.0: "3 h", DAY: "1 d"},
    **{10 * DAY: "10 d", 100 * DAY: "100 d", 3 * YEAR: "3 y", 30 * YEAR: "30 y", 300 * YEAR: "300 y"},
}
WIDE = 2e3
"""Ratio of the axis' ends beyond which it is marked coarsely."""

ROUND = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 21_600.0, DAY, 2 * DAY, 5 * DAY)
"""Round time spans [s]."""

NAMES = [f"device_{number}" for number in range(len(LIGHT.devices))]

LIVELIER = 1.5
"""Ratio of ranges above which another device takes the place of one that is shown."""


class Choice:
    """Which of the probed devices are shown: those whose conductance has ranged most; they seldom change."""

    def __init__(self) -> None:
        self._places = list(range(len(NAMES)))

    def of(self, table: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """The table with the chosen devices only.

        Parameters
        ----------
        table : numpy.ndarray
            From `app.history.Drift.table`.

        Returns
        -------
        numpy.ndarray
            Device time [s], then eight devices [µS]; the table itself where it has no more.
        """
        if table.shape[1] <= len(NAMES) + 1:
            return table
        ranges = np.ptp(np.nan_to_num(table[:, 1:]), axis=0)
        for candidate in np.argsort(-ranges)[: len(NAMES)].tolist():
            least = min(range(len(NAMES)), key=lambda slot: ranges[self._places[slot]])
            if candidate not in self._places and ranges[candidate] > LIVELIER * ranges[self._places[least]]:
                self._places[least] = candidate
        return table[:, [0, *(place + 1 for place in self._places)]]


def build(palette: Palette) -> View:
    """The figure, empty.

    Parameters
    ----------
    palette : Palette
        Colours to begin with.

    Returns
    -------
    View
        Figure ``devices``, sources ``lines`` and ``tips``: the latest trial.
    """
    plot = blank_figure(
        x_range=Range1d(30.0, 1000.0), y_range=Range1d(0.0, 2.0), x_axis_type="log", x_axis_label="device time"
    )
    plot.xgrid.visible = False
    plot.xaxis.ticker = FixedTicker(ticks=[])
    lines = ColumnDataSource({name: [] for name in ("time", *NAMES)})
    tips = ColumnDataSource({"time": [], "conductance": [], "colour": []})
    borders = {"devices": {"min_border_left": 40, "min_border_right": 12}}
    view = View({"devices": plot}, {"lines": lines, "tips": tips}, borders=borders)
    view.followers.append(marking(plot.xaxis[0], plot.x_range, time_marks))
    for place, name in enumerate(NAMES):
        line = Line(x="time", y=name, line_width=1.6)
        plot.add_glyph(lines, line, name=name)
        view.colours.append((line, "line_color", lambda colours, place=place: colours.devices[place]))
    rows = [("device time", "@time{custom}"), ("conductance", "@$name{0.00} µS")]
    hover.hover(view, plot, plot.renderers, rows, {"@time": hover.in_words()}, mode="mouse")
    plot.add_glyph(tips, Scatter(x="time", y="conductance", fill_color="colour", line_color=None, size=6))
    zoom.zoomable(view)
    view.settle()
    view.paint(palette)
    return view


def columns(table: npt.NDArray[np.float64], palette: Palette) -> Columns:
    """One line per device, and a dot where it is now.

    Parameters
    ----------
    table : numpy.ndarray
        From `app.history.Drift.table`: device time [s], then conductances [µS], of which the first 8 are
        shown; maybe no devices.
    palette : Palette
        Colours of the devices.

    Returns
    -------
    Columns
        All empty where there are fewer devices than lines.
    """
    if table.shape[1] <= len(NAMES):
        table = np.empty((0, len(NAMES) + 1))
    shown = np.nan_to_num(table[:, : len(NAMES) + 1]).astype(np.float32).T.copy()
    last = shown[:, -1:].ravel().tolist()
    return {
        "lines": dict(zip(("time", *NAMES), shown, strict=True)),
        "tips": {
            "time": last[:1] * len(last[1:]),
            "conductance": last[1:],
            "colour": list(palette.devices[: len(last[1:])]),
        },
    }


def fit(view: View, shown: Columns) -> None:
    """Move the axes to hold the lines."""
    plot, lines = view.figures["devices"], shown["lines"]
    if not len(lines["time"]):
        return
    highest = max(float(lines[name].max()) for name in NAMES)
    _, end = follow(span_of(plot.y_range), 0.0, max(highest, 0.5), margin=0.08, slack=2.5)
    move(plot.y_range, (0.0, end))
    first, last = float(lines["time"][0]), float(lines["time"][-1])
    begin, stop = span_of(plot.x_range)
    if first < begin or begin < 0.5 * first or last > stop or stop > 40.0 * last:
        move(plot.x_range, (0.9 * first, 10.0 * max(last, 3.0 * first)))
    view.settle()


def time_marks(low: float, high: float) -> Marks:
    """Marks of the axis of device time, as many as fit.

    Examples
    --------
    >>> list(time_marks(30.0, 1000.0).values()), list(time_marks(4000.0, 9000.0).values())
    (['30 s', '1 min', '3 min', '10 min'], ['1 h 30 min', '2 h 0 min', '2 h 30 min'])
    """
    return first_enough(low, high, COARSE if high > WIDE * low else FINE, _even)


def _even(low: float, high: float) -> Marks:
    wanted = (high - low) / 4
    step = next((span for span in ROUND if span >= wanted), ladder(wanted / DAY) * DAY)
    step = step if wanted >= ROUND[0] else ladder(wanted)
    places = np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step
    return {place: duration(place) for place in places.tolist()}
