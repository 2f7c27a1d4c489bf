"""Budget: what the run has cost in pulses, reads and energy, and how worn its devices are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from bokeh.models import ColumnDataSource, FactorRange, NoOverlap, Range1d, VBar

from app.theme import Palette, blank_figure
from app.views import hover
from app.views.base import Columns, View, ladder, move
from pcmsim.energy import Budget, quantity_text

NO_MODEL = "no energy model for digital weights and ideal devices"


def build(palette: Palette) -> View:
    """The figure, empty.

    Parameters
    ----------
    palette : Palette
        Colours to begin with.

    Returns
    -------
    View
        Figure and source ``wear``: devices by number of writes.
    """
    plot = blank_figure(x_range=FactorRange("0"), y_range=Range1d(0.0, 1.0), x_axis_label="writes", min_border_left=40)
    plot.xgrid.visible = False
    plot.xaxis.major_label_policy = NoOverlap(min_distance=3)
    plot.yaxis.ticker.desired_num_ticks = 3
    plot.yaxis.axis_label = "devices, log"
    plot.yaxis.major_label_text_alpha = 0
    source = ColumnDataSource({"writes": [], "height": [], "devices": []})
    bars = VBar(x="writes", top="height", width=0.85, line_color=None)
    view = View({"wear": plot}, {"wear": source})
    rows = [("writes", "@writes"), ("devices", "@devices{0,0}")]
    hover.hover(view, plot, [plot.add_glyph(source, bars)], rows, {"@devices": "numeral"})
    view.colours.append((bars, "fill_color", lambda colours: colours.run))
    view.paint(palette)
    return view


def columns(wear: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]) -> Columns:
    """Bars of the wear histogram.

    Parameters
    ----------
    wear : tuple of numpy.ndarray
        From `pcmsim.energy.wear`.

    Returns
    -------
    Columns
        Heights are ``log10(1 + devices)``; ``devices`` is their number.
    """
    edges, counts = wear
    names = [_name(int(low), int(high)) for low, high in zip(edges, [*edges[1:], 2 * edges[-1] - 1], strict=True)]
    heights = np.log10(1.0 + counts).astype(np.float32)
    return {"wear": {"writes": names, "height": heights, "devices": counts.astype(np.float32)}}


def fit(view: View, shown: Columns) -> None:
    """Move the axes to hold the bars."""
    plot, names = view.figures["wear"], shown["wear"]["writes"]
    if list(plot.x_range.factors) != names:
        plot.x_range.factors = names
    tallest = float(max(shown["wear"]["height"], default=1.0))
    if not tallest <= plot.y_range.end <= 2.0 * tallest:
        move(plot.y_range, (0.0, ladder(max(tallest, 1.0))))


def html(budget: Budget) -> str:
    """The sums as HTML."""
    spent = budget.energy or {}
    facts = (
        ("SET", budget.sets, spent.get("set_pulse")),
        ("RESET", budget.resets, spent.get("reset_pulse")),
        ("reads", budget.reads, spent.get("read")),
    )
    rows = "".join(
        f"<tr><th scope=row>{name}</th><td>{_count(n)}</td><td>{_joules(j)}</td></tr>" for name, n, j in facts
    )
    total = f'<tr class="total"><th scope=row>energy</th><td></td><td>{_joules(budget.total)}</td></tr>'
    return f"<table>{rows}{total}</table><p>{_worn(budget)}</p>"


def _worn(budget: Budget) -> str:
    if budget.lifetime is None:
        return NO_MODEL
    if not budget.most_written:
        return "nothing written yet"
    endurance = f"{budget.most_written / budget.lifetime:.2g}".replace("e+0", "e")
    return f"most worn device: {budget.most_written:,} of {endurance} writes"


def _count(number: int) -> str:
    return f"{number:,}" if number < 1e7 else f"{number:.3g}"


def _joules(energy: float | None) -> str:
    if energy is None:
        return "–"
    return quantity_text(energy) if energy else "0"


def _name(low: int, high: int) -> str:
    return str(low) if high <= low + 1 else f"{low}–{high - 1}"
