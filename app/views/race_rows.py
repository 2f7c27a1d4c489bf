"""Inside the lanes of a race: weights, pulses, saturation, cosine and rate, one row per lane in every plot."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, FixedTicker, Patches, Range1d, Scatter, Segment

from app import lanes
from app.racer import Heat
from app.theme import Palette, blank_figure
from app.views import hover
from app.views.base import Columns, View, ladder, move
from app.views.marks import Marks, mark
from training.jobs import NAN
from training.race import BINS, EDGES, Entry, LaneReport

TALL = 0.84
"""Height of the tallest bar of a histogram, in rows."""

SPREAD = 0.5
"""Height over which a lane's seeds are spread, in rows."""

POWERS: Marks = {0.0: "0", 1.0: "10", 2.0: "100", 3.0: "1k", 4.0: "10k", 5.0: "100k", 6.0: "1M"}
WHOLE: Marks = {-1.0: "−1", -0.5: "−½", 0.0: "0", 0.5: "½", 1.0: "1"}


@dataclass(frozen=True)
class Dots:
    """A plot with one dot per run.

    Parameters
    ----------
    label : str
        Of its axis.
    value : callable
        Place on the axis that a report says; not a number where it says nothing.
    span : callable
        Ends of the axis, for the largest value.
    marks : mapping or None
        Tick marks; None for round numbers.
    """

    label: str
    value: Callable[[LaneReport], float]
    span: Callable[[float], tuple[float, float]]
    marks: Marks | None = None


def _recent(name: str, scale: Callable[[float], float]) -> Callable[[LaneReport], float]:
    return lambda report: NAN if report.recent is None else scale(getattr(report.recent, name))


def _decades(count: float) -> float:
    return float(np.log10(1.0 + count))


def _power_span(most: float) -> tuple[float, float]:
    return -0.15, max(3.3, 1.08 * most)


DOTS: dict[str, Dots] = {
    "sets": Dots("SET pulses", _recent("sets", _decades), _power_span, POWERS),
    "resets": Dots("RESETs", _recent("resets", _decades), _power_span, POWERS),
    "saturated": Dots(
        "saturated pairs (%)",
        lambda report: 100.0 * report.saturated,
        lambda most: (0.0, ladder(max(1.05 * most, 1.0))),
    ),
    "cosine": Dots("cosine asked, applied", lambda report: report.cosine, lambda most: (-1.05, 1.05), WHOLE),
    "rate": Dots("rate (Hz)", _recent("rate", float), lambda most: (0.0, ladder(max(1.05 * most, 10.0)))),
}


def build(palette: Palette) -> View:
    """The figures, empty.

    Parameters
    ----------
    palette : Palette
        Colours to begin with.

    Returns
    -------
    View
        Figures and sources ``weights`` and those of `DOTS`; for the latter ``sets mean`` and so on.
    """
    rows = Range1d(lanes.MOST - 0.5, -0.5)
    edges = {"min_border_left": 14, "min_border_right": 14, "min_border_bottom": 44}
    view = View({}, {}, borders={name: edges for name in DOTS} | {"weights": {**edges, "min_border_left": 112}})
    _weights(view, rows)
    for name, dots in DOTS.items():
        _dots(view, rows, name, dots)
    for plot in view.figures.values():
        plot.ygrid.visible = False
        plot.yaxis.ticker = FixedTicker(ticks=[])
        view.quiet_axes.append(plot.yaxis[0])
    view.paint(palette)
    return view


def _weights(view: View, rows: Range1d) -> None:
    plot = blank_figure(x_range=Range1d(-1.0, 1.0), y_range=rows, x_axis_label="weight, share of the largest")
    plot.xaxis.ticker = FixedTicker(ticks=list(WHOLE))
    plot.xaxis.major_label_overrides = WHOLE
    source = ColumnDataSource({"x": [], "y": [], "colour": []})
    plot.add_glyph(source, Patches(xs="x", ys="y", fill_color="colour", fill_alpha=0.8, line_color=None))
    view.figures["weights"], view.sources["weights"] = plot, source


def _dots(view: View, rows: Range1d, name: str, dots: Dots) -> None:
    plot = blank_figure(x_range=Range1d(*dots.span(0.0)), y_range=rows, x_axis_label=dots.label)
    if dots.marks is not None:
        plot.xaxis.ticker = FixedTicker(ticks=[])
    else:
        plot.xaxis.ticker.desired_num_ticks = 3
    runs = ColumnDataSource({"x": [], "y": [], "colour": [], "lane": [], "seed": [], "text": []})
    mean = ColumnDataSource({"x": [], "low": [], "high": [], "colour": []})
    plot.add_glyph(mean, Segment(x0="x", x1="x", y0="low", y1="high", line_color="colour", line_width=3))
    pointed = plot.add_glyph(runs, Scatter(x="x", y="y", size=6, fill_color="colour", fill_alpha=0.55, line_color=None))
    hover.hover(view, plot, [pointed], [("lane", "@lane"), ("seed", "@seed"), (dots.label, "@text")], {}, mode="mouse")
    view.figures[name] = plot
    view.sources |= {name: runs, f"{name} mean": mean}


def columns(heat: Heat, palette: Palette) -> Columns:
    """Histograms and dots of all lanes.

    Parameters
    ----------
    heat : Heat
        The race.
    palette : Palette
        Colours in force.

    Returns
    -------
    Columns
        Heights of histograms are logarithmic, ``log10(1 + weights)``.
    """
    if heat.race is None:
        return {}
    places = lanes.places(heat.race)
    colours = {lane: palette.lanes[place] for lane, place in places.items()}
    found: dict[str, Mapping[str, Any]] = {"weights": _ridges(heat, colours)}
    for name, dots in DOTS.items():
        found[name], found[f"{name} mean"] = _placed(heat, dots, colours)
    return found


def _ridges(heat: Heat, colours: Mapping[str, str]) -> dict[str, Any]:
    """One patch per lane, standing on its row."""
    xs, ys = [], []
    for row, lane in enumerate(colours):
        counts = sum((report.histogram for report in _of(heat, lane) if report.histogram.size), np.zeros(BINS))
        heights = np.log10(1.0 + counts)
        heights *= TALL / max(float(heights.max()), 1.0)
        xs.append(np.repeat(EDGES, 2).astype(np.float32))
        ys.append((row + 0.5 * TALL - np.pad(np.repeat(heights, 2), 1)).astype(np.float32))
    return {"x": xs, "y": ys, "colour": list(colours.values())}


def _placed(heat: Heat, dots: Dots, colours: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A dot for each run, and a bar at the mean of each lane."""
    table: list[tuple[float, float, str, str, str, str]] = []
    means: list[tuple[float, float, float, str]] = []
    for row, (lane, colour) in enumerate(colours.items()):
        known = [(report, dots.value(report)) for report in _of(heat, lane)]
        known = [(report, value) for report, value in known if np.isfinite(value)]
        offsets = [SPREAD * _offset(heat, report.entry) for report, _ in known]
        table += [
            (value, row + offset, colour, lane, str(report.entry.seed), _text(dots, value))
            for (report, value), offset in zip(known, offsets, strict=True)
        ]
        if known:
            middle = float(np.mean([value for _, value in known]))
            means.append((middle, row - 0.36, row + 0.36, colour))
    runs = dict(zip(("x", "y", "colour", "lane", "seed", "text"), _turned(table, 6), strict=True))
    return runs, dict(zip(("x", "low", "high", "colour"), _turned(means, 4), strict=True))


def _of(heat: Heat, lane: str) -> list[LaneReport]:
    return [report for entry, report in tuple(heat.reports.items()) if entry.lane == lane]


def _offset(heat: Heat, entry: Entry) -> float:
    """Where in its row a seed stands, from -1/2 to 1/2."""
    seeds = heat.race.seeds if heat.race is not None else (entry.seed,)
    return (seeds.index(entry.seed) + 0.5) / len(seeds) - 0.5


def _text(dots: Dots, value: float) -> str:
    return f"{10.0**value - 1.0:,.0f}" if dots.marks is POWERS else f"{value:.3g}"


def _turned(table: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    return [list(column) for column in zip(*table, strict=True)] if table else [[] for _ in range(width)]


def fit(view: View, heat: Heat) -> None:
    """Name the rows, and move the axes to hold the dots."""
    names = {} if heat.race is None else {float(row): text for row, text in enumerate(_names(heat))}
    rows = view.figures["weights"].y_range
    move(rows, (max(len(names), 1) - 0.5, -0.5))
    mark(view.figures["weights"].yaxis[0], names)
    for name, dots in DOTS.items():
        plot = view.figures[name]
        span = dots.span(max(view.sources[name].data["x"], default=0.0))
        move(plot.x_range, span)
        if dots.marks is not None:
            mark(plot.xaxis[0], _few(dots.marks, span))


def _names(heat: Heat) -> list[str]:
    return [] if heat.race is None else list(lanes.titles(list(heat.race.lanes)).values())


def _few(marks: Marks, span: tuple[float, float]) -> Marks:
    """Marks within a span; every other one where there are many."""
    inside = {place: text for place, text in marks.items() if span[0] <= place <= span[1]}
    return dict(list(inside.items())[:: 1 if len(inside) < 5 else 2])
