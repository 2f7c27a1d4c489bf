"""One synapse: how its devices came to be what they are, and what reads of them return."""

from __future__ import annotations

import numpy as np
from bokeh.models import ColumnDataSource, Range1d, Scatter, Span
from bokeh.plotting import figure

from app.theme import Palette, blank_figure
from app.views.base import Columns, View, follow, move, span_of
from app.views.status import duration
from training.inspection import CellReport, Device

MARKS = {False: "circle", True: "x"}
"""A write that only SET, and one that RESET first."""

WRITTEN, UNWRITTEN = "trial of each write, × with RESET", "not written so far"

JITTER = 0.32


def build(palette: Palette) -> View:
    """The figures, empty.

    Parameters
    ----------
    palette : Palette
        Colours to begin with.

    Returns
    -------
    View
        Figures ``writes`` and ``reads``, sources of the same names, and ``now``: the drifted conductances.
    """
    view = View({}, {})
    height = Range1d(0.0, 2.0)
    _figure(view, "writes", height, UNWRITTEN, {"trial": [], "conductance": [], "colour": [], "marker": []})
    _figure(view, "reads", height, "G+      reads now      G−", {"place": [], "conductance": [], "colour": []})
    view.figures["writes"].add_glyph(
        view.sources["writes"],
        Scatter(x="trial", y="conductance", fill_color="colour", line_color="colour", marker="marker", size=7),
    )
    reads, now = view.figures["reads"], ColumnDataSource({"place": [], "conductance": [], "colour": []})
    reads.add_glyph(
        view.sources["reads"],
        Scatter(x="place", y="conductance", fill_color="colour", line_color=None, size=4, fill_alpha=0.5),
    )
    reads.add_glyph(
        now, Scatter(x="place", y="conductance", line_color="colour", marker="dash", size=44, line_width=2.5)
    )
    view.sources["now"] = now
    reads.x_range = Range1d(-0.6, 1.6)
    reads.xaxis.ticker, reads.xaxis.major_tick_line_color = [], None
    middle = Span(location=0.5, dimension="height", line_width=1)
    reads.add_layout(middle)
    view.colours.append((middle, "line_color", lambda colours: colours.grid))
    view.paint(palette)
    return view


def columns(report: CellReport, palette: Palette) -> Columns:
    """Write events, single reads and present conductances of the synapse's devices.

    Parameters
    ----------
    report : CellReport
        The synapse.
    palette : Palette
        Colours of G+ and G-.

    Returns
    -------
    Columns
        Empty for digital weights.
    """
    colours = [palette.plus if device.polarity == "+" else palette.minus for device in report.devices]
    events = [device.events for device in report.devices]
    owner = np.repeat(np.arange(len(events)), [len(event) for event in events])
    every = np.concatenate(events) if events else np.empty(0)
    reads = [device.reads for device in report.devices]
    return {
        "writes": {
            "trial": every["trial"].astype(np.float32) if len(every) else [],
            "conductance": every["conductance"] if len(every) else [],
            "colour": [colours[k] for k in owner],
            "marker": [MARKS[bool(reset)] for reset in every["reset"]] if len(every) else [],
        },
        "reads": {
            "place": np.concatenate([_spread(device) for device in report.devices]) if reads else [],
            "conductance": np.concatenate(reads).astype(np.float32) if reads else [],
            "colour": [colours[k] for k, read in enumerate(reads) for _ in read],
        },
        "now": {
            "place": [_side(device) for device in report.devices],
            "conductance": [device.drifted for device in report.devices],
            "colour": colours,
        },
    }


def fit(view: View, shown: Columns, trial: int) -> None:
    """Move the axes to hold what is shown; `trial` is the latest one."""
    heights = [*shown["writes"]["conductance"], *shown["reads"]["conductance"], *shown["now"]["conductance"]]
    writes = view.figures["writes"]
    writes.xaxis[0].axis_label = WRITTEN if len(shown["writes"]["trial"]) else UNWRITTEN
    _, end = follow(span_of(writes.y_range), 0.0, max([1.0, *map(float, heights)]), margin=0.08, slack=2.5)
    move(writes.y_range, (0.0, end))
    first = float(min(shown["writes"]["trial"], default=0.0))
    move(writes.x_range, (first - 0.03 * (trial - first + 1), trial + 0.05 * (trial - first + 20)))


def table(report: CellReport) -> str:
    """The numbers as HTML: what learning asks of the synapse, and the state of each device."""
    asked = [("weight now", f"{report.weight:+.3f}")]
    for label, value in (
        ("asked by the latest update", report.latest),
        ("asked lately", report.asked),
        ("applied lately", report.applied),
        ("waiting in the accumulator", report.waiting),
    ):
        if value is not None:
            asked.append((label, f"{value:+.2g}"))
    facts = "".join(f"<dt>{label}</dt><dd>{value}</dd>" for label, value in asked)
    return f"<dl>{facts}</dl>{_devices(report)}"


def _devices(report: CellReport) -> str:
    if not report.devices:
        return "<p>Digital weight: there are no devices.</p>"
    names = ("device", "stored µS", "now µS", "history", "age", "ν", "SETs", "RESETs")
    top = "".join(f"<th scope=col>{name}</th>" for name in names)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{''.join(map(_row, report.devices))}</tbody></table>"


def _row(device: Device) -> str:
    name, kind = (f"G{'+' if device.polarity == '+' else '−'}", "plus" if device.polarity == "+" else "minus")
    values = (
        f"{device.stored:.2f}",
        f"{device.drifted:.2f}",
        f"{device.history:.3f}",
        duration(device.age),
        f"{device.exponent:.3f}",
        f"{device.sets:,}",
        f"{device.resets:,}",
    )
    cells = "".join(f"<td>{value}</td>" for value in values)
    return f'<tr><th scope=row><i class="{kind}">{name}</i> {device.number + 1}</th>{cells}</tr>'


def _figure(view: View, name: str, height: Range1d, label: str, empty: dict[str, list[object]]) -> figure:
    plot = blank_figure(
        x_range=Range1d(0.0, 1.0), y_range=height, x_axis_label=label, min_border_left=40, min_border_right=10
    )
    plot.xgrid.visible = False
    plot.yaxis.ticker.desired_num_ticks = 4
    plot.yaxis.axis_label = "conductance (µS)" if name == "writes" else None
    view.figures[name], view.sources[name] = plot, ColumnDataSource(empty)
    return plot


def _side(device: Device) -> float:
    return 0.0 if device.polarity == "+" else 1.0


def _spread(device: Device) -> np.ndarray:
    return (_side(device) + np.linspace(-JITTER, JITTER, len(device.reads))).astype(np.float32)
