"""One hidden neuron in one trial: voltage and threshold, learning signal, eligibility."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from bokeh.models import ColumnDataSource, Line, Range1d, Scatter

from app.theme import Palette, blank_figure
from app.views.base import Columns, View, follow, move, span_of
from training.inspection import NeuronReport

MOST = 500
"""Points of a line."""

TRACES = ("voltage", "signal", "eligibility")
LABELS = {"voltage": "voltage", "signal": "learning signal", "eligibility": "eligibility"}
COLOURS: dict[str, Callable[[Palette], str]] = {
    "voltage": lambda colours: colours.spikes,
    "signal": lambda colours: colours.minus,
    "eligibility": lambda colours: colours.plus,
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
        Figures ``voltage``, ``signal`` and ``eligibility``; sources ``traces`` and ``spikes``.
    """
    time = Range1d(0.0, 1.0)
    traces = ColumnDataSource({name: [] for name in ("time", "limit", *TRACES)})
    spikes = ColumnDataSource({"time": [], "voltage": []})
    view = View({}, {"traces": traces, "spikes": spikes})
    for name in TRACES:
        last = {"x_axis_label": "time (s)"} if name == TRACES[-1] else {}
        plot = blank_figure(x_range=time, y_range=Range1d(-0.1, 0.2), min_border_left=52, min_border_right=10, **last)
        plot.xgrid.visible = False
        plot.xaxis.visible = bool(last)
        plot.yaxis.axis_label = LABELS[name]
        plot.yaxis.ticker.desired_num_ticks = 3
        line = Line(x="time", y=name, line_width=1.4)
        plot.add_glyph(traces, line)
        view.figures[name] = plot
        view.colours.append((line, "line_color", COLOURS[name]))
    threshold = Line(x="time", y="limit", line_dash=[5, 4], line_width=1.5)
    fired = Scatter(x="time", y="voltage", marker="inverted_triangle", size=7, line_color=None)
    view.figures["voltage"].add_glyph(traces, threshold)
    view.figures["voltage"].add_glyph(spikes, fired)
    view.colours += [
        (threshold, "line_color", lambda colours: colours.target),
        (fired, "fill_color", lambda colours: colours.run),
    ]
    view.paint(palette)
    return view


def columns(report: NeuronReport) -> Columns:
    """The neuron's traces.

    Parameters
    ----------
    report : NeuronReport
        The neuron.

    Returns
    -------
    Columns
    """
    thin = max(1, len(report.time) // MOST)
    top = max(float(report.voltage.max()), highest(report))
    return {
        "traces": {
            "time": report.time[::thin].astype(np.float32),
            **{name: getattr(report, name)[::thin].astype(np.float32) for name in ("limit", *TRACES)},
        },
        "spikes": {"time": report.spikes.astype(np.float32), "voltage": [top] * len(report.spikes)},
    }


def fit(view: View, report: NeuronReport) -> None:
    """Move the axes to the neuron."""
    move(view.figures["voltage"].x_range, (0.0, float(report.time[-1])))
    ends = {"voltage": (0.0, 1.1 * highest(report)), "signal": (0.0, 1e-3), "eligibility": (0.0, 1e-3)}
    for name, (low, high) in ends.items():
        values, axis = getattr(report, name), view.figures[name].y_range
        move(axis, follow(span_of(axis), min(low, float(values.min())), max(high, float(values.max())), slack=2.5))


def highest(report: NeuronReport) -> float:
    """The threshold at its highest."""
    return max(report.threshold, float(np.nanmax(report.limit)))


def table(report: NeuronReport) -> str:
    """The numbers as HTML."""
    facts = (
        ("firing rate", f"{report.rate:.1f} Hz"),
        ("threshold", f"{report.threshold:.3g}"),
        ("trial", f"{report.trial:,}"),
        ("eligibility of", f"input {report.source} → neuron {report.neuron}"),
    )
    return "<dl>" + "".join(f"<dt>{label}</dt><dd>{value}</dd>" for label, value in facts) + "</dl>"
