"""Learning curves of a race: for each lane the mean over its seeds, and the band from the lowest to the highest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from bokeh.models import ColumnDataSource, CustomJS, FixedTicker, Line, Range1d, Scatter, TapTool, VArea
from bokeh.plotting import figure

from app import lanes
from app.racer import Heat, Track
from app.theme import Palette, blank_figure
from app.views import ghosts, hover, zoom
from app.views.base import Columns, View, follow_log, move, span_of
from app.views.learning import loss_marks
from app.views.marks import marking
from training.race import Entry
from training.racing import CHUNK

Floats = npt.NDArray[np.float64]

OPEN = "const url = urls.data.url[lines.indexOf(cb_data.source)]; if (url) window.open(url, '_blank')"
RUNAWAY = 3.0
"""How many times its first loss a lane may reach on the axis: one that runs away would squeeze the others."""


def build(palette: Palette) -> View:
    """The figure, empty.

    Parameters
    ----------
    palette : Palette
        Colours to begin with.

    Returns
    -------
    View
        Figure ``curves``; sources ``band0``, ``line0``, ``tip0`` and so on, one per colour, and ``urls``.
    """
    plot = blank_figure(
        x_range=Range1d(0.0, 750.0),
        y_range=Range1d(0.05, 1.0),
        y_axis_type="log",
        x_axis_label="trial (mean over seeds, band from lowest to highest)",
    )
    plot.xgrid.visible = False
    plot.yaxis.ticker = FixedTicker(ticks=[])
    urls = ColumnDataSource({"url": [""] * lanes.MOST})
    view = View({"curves": plot}, {"urls": urls}, borders={"curves": {"min_border_left": 44, "min_border_right": 18}})
    view.followers.append(marking(plot.yaxis[0], plot.y_range, loss_marks))
    lines = [_draw(view, plot, place) for place in range(lanes.MOST)]
    # One tool for all: of several that wait for a click, only the first is active.
    opening = CustomJS(args={"urls": urls, "lines": [line.data_source for line in lines]}, code=OPEN)
    plot.add_tools(TapTool(renderers=lines, callback=opening, visible=False))
    rows = [("lane", "@lane"), ("trial", "@trial{%d}"), ("mean", "@mean{%.3g}"), ("seeds", "@low{%.3g} – @high{%.3g}")]
    formats = dict.fromkeys(("@trial", "@mean", "@low", "@high"), "printf")
    hover.hover(view, plot, lines, rows, formats, mode="mouse")
    zoom.zoomable(view)
    view.settle()
    view.paint(palette)
    return view


def _draw(view: View, plot: figure, place: int) -> object:
    """The glyphs of one lane, empty."""
    columns: dict[str, list[float]] = {name: [] for name in ("trial", "mean", "low", "high", "lane")}
    source, tip = ColumnDataSource(columns), ColumnDataSource({"trial": [], "mean": []})
    view.sources |= {f"line{place}": source, f"tip{place}": tip}
    band = VArea(x="trial", y1="low", y2="high", fill_alpha=0.13)
    line = Line(x="trial", y="mean", line_width=2.2)
    now = Scatter(x="trial", y="mean", size=7, line_color=None)
    plot.add_glyph(source, band)
    renderer = plot.add_glyph(source, line)
    plot.add_glyph(tip, now)
    renderer.nonselection_glyph = renderer.selection_glyph = None
    for glyph, name in ((band, "fill_color"), (line, "line_color"), (now, "fill_color")):
        view.colours.append((glyph, name, lambda colours: colours.lanes[place]))
    return renderer


def columns(heat: Heat) -> Columns:
    """Lines and bands of a race; empty for colours that have no lane.

    Parameters
    ----------
    heat : Heat
        The race.

    Returns
    -------
    Columns
    """
    race = heat.race
    shown = {place: lane for lane, place in lanes.places(race).items()} if race is not None else {}
    found: dict[str, Mapping[str, object]] = {}
    for place in range(lanes.MOST):
        lane = shown.get(place, "")
        trial, low, mean, high = curve(heat.tracks, lane, smoothing(heat))
        found[f"line{place}"] = {"trial": trial, "mean": mean, "low": low, "high": high, "lane": [lane] * trial.size}
        found[f"tip{place}"] = {"trial": trial[-1:], "mean": mean[-1:]}
    return found


def leading(heat: Heat, addresses: Mapping[str, str]) -> Columns:
    """Where a click on each line leads."""
    urls = [""] * lanes.MOST
    for lane, place in lanes.places(heat.race).items() if heat.race is not None else ():
        urls[place] = addresses[lane]
    return {"urls": {"url": urls}}


def smoothing(heat: Heat) -> int:
    """Points over which curves are smoothed: as many trials as rank the lanes."""
    return 1 if heat.race is None else max(1, round(heat.race.every / CHUNK))


def curve(tracks: Mapping[Entry, Track], lane: str, window: int, name: str = "loss") -> tuple[Floats, ...]:
    """Trials, lowest, mean and highest value over the seeds of a lane, as far as all of them have come.

    Each run is smoothed before: a point is the mean of the last `window` ones.
    """
    runs = [track for entry, track in tracks.items() if entry.lane == lane]
    length = min(map(len, runs), default=0)
    if not length:
        return (np.empty(0),) * 4
    smooth = ghosts.visible(np.stack([rolling(track.column(name)[:length], window) for track in runs]))
    trials = runs[0].column("trial")[:length]
    return trials, smooth.min(0), smooth.mean(0), smooth.max(0)


def rolling(values: Floats, window: int) -> Floats:
    """Means of the last `window` values, of fewer at the beginning.

    Examples
    --------
    >>> rolling(np.array([1.0, 3.0, 5.0, 7.0]), 2).tolist()
    [1.0, 2.0, 4.0, 6.0]
    """
    sums = np.concatenate(([0.0], np.cumsum(values)))
    last = np.arange(1, values.size + 1)
    first = np.maximum(last - window, 0)
    return (sums[last] - sums[first]) / (last - first)


def fit(view: View, heat: Heat) -> None:
    """Move the axes to hold all trials, and the curves as far as they have not run away."""
    plot, race = view.figures["curves"], heat.race
    if race is not None:
        move(plot.x_range, (0.0, float(race.trials)))
    lines = [view.sources[f"line{place}"].data for place in range(lanes.MOST)]
    drawn = [line for line in lines if len(line["mean"])]
    if drawn:
        low, high = extent(drawn)
        move(plot.y_range, follow_log(span_of(plot.y_range), low, high))
    view.settle()


def extent(drawn: Sequence[Mapping[str, Floats]]) -> tuple[float, float]:
    """From the lowest point of a band to the highest that is not above what a lane that runs away may reach."""
    first = float(np.median([line["mean"][0] for line in drawn]))
    lowest = min(float(np.min(line["low"])) for line in drawn)
    highest = min(max(float(np.max(line["high"])) for line in drawn), RUNAWAY * first)
    return lowest, max(highest, 1.01 * lowest)
