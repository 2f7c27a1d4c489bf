"""Ghosts: learning curves of other runs behind that of the run, each with its name at its end."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt
from bokeh.core.properties import value
from bokeh.core.property.descriptors import UnsetValueError
from bokeh.models import ColumnDataSource, Line, LinearColorMapper, LogScale, Text
from bokeh.plotting import figure

from app.history import Table
from app.theme import FONT, SMALL_TEXT, Palette
from app.views.base import Columns, View
from pcmsim.errors import FieldError, UnknownNameError
from pcmsim.foundation.compiled import njit

LOWEST, HIGHEST = 1e-6, 1e6
"""Losses beyond are drawn at these."""

KINDS = {"pin": ("pin0", "pin1", "pin2", "pin3"), "twin": ("twin",), "reference": ("reference",)}
"""Lines of each kind of ghost."""

SLOTS = [slot for slots in KINDS.values() for slot in slots]
DASHES = {"reference": "dotted"}
WIDTH, HEIGHT = 400, 200
"""Size of the frame before the browser has told it [px]."""

LINE_HEIGHT, CHARACTER = 1.15, 0.55
"""Height of a line and usual width of a character, in sizes of the text."""


@dataclass(frozen=True)
class Ghost:
    """The learning curve of another run.

    Parameters
    ----------
    label : str
        Its name on the plot.
    table : Table
        From `app.history.Curve.columns`.
    kind : str
        One of `KINDS`: a pinned run, the twin, or the same run on ideal weights.
    """

    label: str
    table: Table
    kind: str

    def smoothed(self, trials: float, column: str = "loss") -> Ghost:
        """The same, smoothed over so many trials."""
        return replace(self, table=smoothed(self.table, trials, column))


def smoothed(table: Table, trials: float, column: str = "loss") -> Table:
    """A learning curve with its loss, or another column, smoothed anew.

    An exponential mean that forgets over `trials` and is not biased toward its beginning, as in
    `app.history`. A loss stands for all trials since the row before it, so that a thinned curve is
    as smooth as a full one.

    Parameters
    ----------
    table : Table
        From `app.history.Curve.columns`.
    trials : float
        Trials over which it forgets; greater than 0.
    column : str
        What to smooth.

    Returns
    -------
    Table
        A copy with another ``smooth``.
    """
    gaps = np.diff(table["trial"], prepend=table["trial"][:1] - 1.0)
    keep = np.exp(-gaps / trials)
    sums = _forgetting(keep, (1.0 - keep) * table[column])
    return table | {"smooth": sums / _forgetting(keep, 1.0 - keep)}


def columns(ghosts: Sequence[Ghost]) -> Columns:
    """One line per ghost; the lines of which there is no ghost are empty.

    Parameters
    ----------
    ghosts : sequence of Ghost
        What to show.

    Returns
    -------
    Columns
        Sources named as in `KINDS`, and ``ghosts``: which lines there are, by slot.
    """
    free = {kind: list(slots) for kind, slots in KINDS.items()}
    lines: dict[str, Any] = {slot: {"trial": [], "smooth": []} for slot in SLOTS}
    names: dict[str, list[Any]] = {"slot": [], "label": []}
    for ghost in ghosts:
        slot = _take(ghost, free)
        lines[slot] = {"trial": ghost.table["trial"].astype(np.float32), "smooth": visible(ghost.table["smooth"])}
        names["slot"].append(SLOTS.index(slot))
        names["label"].append(ghost.label)
    return lines | {"ghosts": names}


def draw(view: View, plot: figure) -> None:
    """Make the lines and their names, empty, on a figure."""
    for place, slot in enumerate(SLOTS):
        view.sources[slot] = ColumnDataSource({"trial": [], "smooth": []})
        line = Line(x="trial", y="smooth", line_width=1.6, line_dash=DASHES.get(slot, []))
        plot.add_glyph(view.sources[slot], line)
        view.colours.append((line, "line_color", lambda colours, place=place: shades(colours)[place]))
    view.sources["ghosts"] = ColumnDataSource({"slot": [], "label": []})
    view.sources["names"] = ColumnDataSource({name: [] for name in ("x", "y", "text", "align", "slot")})
    mapper = LinearColorMapper(low=-0.5, high=len(SLOTS) - 0.5, palette=["#000000"] * len(SLOTS))
    colour = {"field": "slot", "transform": mapper}
    name = Text(
        x="x", y="y", text="text", y_offset=-1, text_align={"field": "align"}, text_baseline="bottom",
        text_font=value(FONT), text_color=colour, background_fill_alpha=0.7, padding=1,
    )  # fmt: skip
    plot.add_glyph(view.sources["names"], name, level="annotation")  # readable over the curve of the run
    view.colours += [
        (mapper, "palette", shades),
        (name, "text_font_size", lambda colours: colours.text_size),
        (name, "background_fill_color", lambda colours: colours.surface),
    ]
    view.followers.append(lambda: view.show({"names": _names(view, plot)}))


def shades(colours: Palette) -> list[str]:
    """The colour of each line of `SLOTS`."""
    return [*colours.ghosts, colours.twin, colours.target]


def heights(view: View, end: float) -> npt.NDArray[np.float32]:
    """What the ghosts reach in the trials up to `end`: for the vertical axis."""
    tables = [view.sources[slot].data for slot in SLOTS]
    shown = [table["smooth"][table["trial"] <= end] for table in tables if len(table["trial"])]
    return np.concatenate([np.empty(0, np.float32), *shown])


def visible(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Losses as they can be drawn on a logarithmic axis."""
    return np.clip(np.nan_to_num(values, nan=HIGHEST), LOWEST, HIGHEST).astype(np.float32)


def spread(places: Sequence[float], gap: float, top: float) -> list[float]:
    """Move places apart so that neighbours are at least `gap` away and, while they fit, none is above `top`.

    Examples
    --------
    >>> spread([10.0, 12.0, 50.0], gap=10.0, top=55.0), spread([54.0, 55.0], gap=10.0, top=55.0)
    ([10.0, 20.0, 50.0], [45.0, 55.0])
    """
    order = sorted(range(len(places)), key=places.__getitem__)
    up = list(accumulate((places[k] for k in order), lambda below, wanted: max(wanted, below + gap)))
    down = list(accumulate(reversed(up), lambda above, wanted: min(wanted, above - gap), initial=top + gap))[:0:-1]
    moved = dict(zip(order, down, strict=True))
    return [moved[k] for k in range(len(places))]


def _take(ghost: Ghost, free: dict[str, list[str]]) -> str:
    if ghost.kind not in free:
        raise UnknownNameError("kind of ghost", ghost.kind, free)
    if not free[ghost.kind]:
        raise FieldError("Ghost.kind", f"{ghost.kind!r} for at most {len(KINDS[ghost.kind])} ghosts", ghost.label)
    return free[ghost.kind].pop(0)


def _names(view: View, plot: figure) -> dict[str, list[Any]]:
    """Each name at the last point of its line that lies in the frame, moved so that it can be read.

    There are always as many, the rest of them empty: Bokeh 3.9 fails on fewer texts than before.
    """
    known = view.sources["ghosts"].data
    ends = [
        (_end(view.sources[SLOTS[slot]].data, plot), slot, label) for slot, label in zip(*known.values(), strict=True)
    ]
    kept = [(*end, slot, label) for end, slot, label in ends if end is not None]
    there, back = (math.log, math.exp) if isinstance(plot.y_scale, LogScale) else (float, float)
    bottom, height = there(plot.y_range.start), _inner(plot, "inner_height", HEIGHT)
    per_pixel = (there(plot.y_range.end) - bottom) / height
    line = LINE_HEIGHT * (view.palette.pixels if view.palette else SMALL_TEXT)
    moved = spread([(there(value) - bottom) / per_pixel for _, value, _, _ in kept], line, height - line)
    spare = len(SLOTS) - len(kept)
    shown: dict[str, list[Any]] = {
        "x": [trial for trial, _, _, _ in kept],
        "y": [back(bottom + place * per_pixel) for place in moved],
        "text": [label for _, _, _, label in kept],
        "align": [_side(trial, label, view, plot) for trial, _, _, label in kept],
        "slot": [slot for _, _, slot, _ in kept],
    }
    empty = {"x": 0.0, "y": 1.0, "text": "", "align": "left", "slot": 0}
    return {name: values + spare * [empty[name]] for name, values in shown.items()}


def _side(trial: float, label: str, view: View, plot: figure) -> str:
    """On which side of its place a name ends: the left where it would not fit to the right."""
    x, width = plot.x_range, _inner(plot, "inner_width", WIDTH)
    room = (x.end - trial) / (x.end - x.start) * width
    return "left" if CHARACTER * (view.palette.pixels if view.palette else SMALL_TEXT) * len(label) < room else "right"


def _inner(plot: figure, name: str, unknown: int) -> int:
    try:
        return getattr(plot, name) or unknown
    except UnsetValueError:
        return unknown


def _end(table: Mapping[str, Any], plot: figure) -> tuple[float, float] | None:
    trial, loss = np.asarray(table["trial"]), np.asarray(table["smooth"])
    x, y = plot.x_range, plot.y_range
    inside = np.flatnonzero((x.start <= trial) & (trial <= x.end) & (y.start <= loss) & (loss <= y.end))
    return (float(trial[inside[-1]]), float(loss[inside[-1]])) if len(inside) else None


@njit()
def _forgetting(keep, news):
    """Running sums that keep only a share of what they were at each step."""
    sums, total = np.empty_like(news), 0.0
    for k in range(len(news)):
        total = keep[k] * total + news[k]
        sums[k] = total
    return sums
