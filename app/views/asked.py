"""Asked against applied: the weight change that e-prop asked for, and the one that the devices made."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from bokeh.models import ColumnDataSource, FixedTicker, Line, Range1d, Scatter

from app.theme import Palette, blank_figure
from app.views import hover, zoom
from app.views.base import Columns, View, ladder, move, span_of
from app.views.marks import even, marking, plain
from training.honesty import Honesty
from training.records import LayerSnapshot

PULSED, UNTOUCHED = 200, 100
"""Most synapses shown: of those that devices changed, and of those that learning only asked to change."""

SMALLEST = 1e-6


def build(palette: Palette) -> View:
    """The figure, empty.

    Parameters
    ----------
    palette : Palette
        Colours to begin with.

    Returns
    -------
    View
        Figure and source ``asked``, and ``equal``: where both changes are the same.
    """
    plot = blank_figure(
        x_range=Range1d(-1.0, 1.0), y_range=Range1d(-1.0, 1.0), x_axis_label="asked ΔW", y_axis_label="applied ΔW"
    )
    points = ColumnDataSource({"asked": [], "applied": []})
    equal = ColumnDataSource({"asked": [-1e9, 1e9], "applied": [-1e9, 1e9]})
    line = Line(x="asked", y="applied", line_width=1.5, line_dash=[5, 4])
    dots = Scatter(x="asked", y="applied", size=4, line_color=None, fill_alpha=0.55)
    view = View({"asked": plot}, {"asked": points, "equal": equal}, borders={"asked": {"min_border_right": 28}})
    for axis, axis_range, marks in ((plot.xaxis[0], plot.x_range, plain), (plot.yaxis[0], plot.y_range, even)):
        axis.ticker = FixedTicker(ticks=[])
        view.followers.append(marking(axis, axis_range, marks))
    plot.add_glyph(equal, line)
    pointed = plot.add_glyph(points, dots)
    rows = [("asked ΔW", "@asked{%.3g}"), ("applied ΔW", "@applied{%.3g}")]
    hover.hover(view, plot, [pointed], rows, dict.fromkeys(("@asked", "@applied"), "printf"), mode="mouse")
    zoom.zoomable(view)
    view.colours += [
        (line, "line_color", lambda colours: colours.target),
        (dots, "fill_color", lambda colours: colours.run),
    ]
    view.settle()
    view.paint(palette)
    return view


def columns(layer: LayerSnapshot) -> Columns:
    """Up to 200 synapses that were changed and 100 that were not, each evenly taken by rank of the asked change.

    Parameters
    ----------
    layer : LayerSnapshot
        The array; empty points unless the run is observed.

    Returns
    -------
    Columns
    """
    asked, applied = layer.asked.ravel(), layer.applied.ravel()
    untouched = np.flatnonzero((asked != 0.0) & (applied == 0.0))
    groups = ((np.flatnonzero(applied), PULSED), (untouched, UNTOUCHED))
    shown = np.concatenate([_evenly(group[np.argsort(asked[group], kind="stable")], most) for group, most in groups])
    return {"asked": {"asked": asked[shown], "applied": applied[shown]}}


def _evenly(order: npt.NDArray[np.intp], most: int) -> npt.NDArray[np.intp]:
    """At most so many of them, first and last included."""
    return order[np.linspace(0, len(order) - 1, most).astype(int)] if len(order) > most else order


def cosine(layer: LayerSnapshot) -> float | None:
    """Cosine between asked and applied change of all synapses of the array; None where one of them is zero."""
    norms = float(np.linalg.norm(layer.asked) * np.linalg.norm(layer.applied))
    return float(np.vdot(layer.asked, layer.applied)) / norms if norms > 0.0 else None


def note(layer: LayerSnapshot) -> str:
    """The cosine in words."""
    value = cosine(layer)
    return "no change yet" if value is None else f"cosine {value:z.2f}"


def fit(view: View, shown: Columns) -> None:
    """Move both axes to hold the points, symmetrically."""
    plot = view.figures["asked"]
    for axis_range, name in ((plot.x_range, "asked"), (plot.y_range, "applied")):
        end = _limit(span_of(axis_range)[1], shown["asked"][name])
        move(axis_range, (-end, end))
    view.settle()


def _limit(present: float, values: npt.NDArray[np.float32]) -> float:
    largest = float(np.abs(values).max()) if len(values) else 0.0
    return present if present / 5.0 < largest <= present else ladder(max(largest, SMALLEST))


def honesty(compared: Honesty | None) -> str:
    """The latest comparison of e-prop with backpropagation through time, as HTML."""
    if compared is None:
        return ""
    layers = ", ".join(f"{layer} <b>{value:z.2f}</b>" for layer, value in compared.cosine.items())
    symmetric = ", ".join(f"{value:z.2f}" for value in compared.symmetric.values())
    return (
        f'<p class="honesty">Cosine with BPTT, trial {compared.trial:,}: {layers}; '
        f"with symmetric feedback {symmetric}.</p>"
    )
