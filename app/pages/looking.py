"""What of a sweep is looked at: the measured number, the two settings along the axes, the value of all others."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import panel_material_ui as pmui

from app.cells import Cells, Look
from app.controls import responsive
from app.pages.cards import CHOICE
from app.views.sweep_scale import short, written

NONE = "–"
MOST = 500
"""Combinations of other settings that are offered."""


class Looking:
    """Drop-down lists for the top of a card.

    Parameters
    ----------
    changed : callable
        Called when something else is looked at.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed, self._quiet = changed, False
        self._about: tuple[Any, ...] = ()
        self._cells: Cells | None = None
        self.metric, self.across, self.down, self.rest = map(self._list, ("Metric", "Across", "Down", "Others at"))
        self.view = [self.metric, self.across, self.down, self.rest]

    def look(self) -> Look:
        """What is looked at."""
        across, down = (widget.value or "" for widget in (self.across, self.down))
        rest = self.rest.value if isinstance(self.rest.value, tuple) else ()
        return Look(self.metric.value, across, down, dict(rest))

    def offer(self, cells: Cells, metrics: Sequence[str], usual: str) -> None:
        """Offer what a sweep has; what was chosen stays where it can."""
        about = (cells.names, cells.values, tuple(metrics), usual)
        if about == self._about:
            return
        self._about, self._cells, self._quiet = about, cells, True
        names = cells.names
        try:
            self.metric.param.update(options=list(metrics), value=usual if usual in metrics else metrics[0])
            across = self.across.value if self.across.value in names else (names[0] if names else "")
            down = self.down.value if self.down.value in names else ""
            if not down or down == across:
                down = next((name for name in names if name != across), "")
            named = {short(cells, name): name for name in names}
            self.across.param.update(options=named or {NONE: ""}, value=across)
            self.down.param.update(options={**named, NONE: ""}, value=down)
            self._offer_rest()
        finally:
            self._quiet = False

    def _offer_rest(self) -> None:
        """Offer combinations of the settings that are along no axis."""
        cells, taken = self._cells, (self.across.value, self.down.value)
        others = [name for name in cells.names if name not in taken] if cells is not None else []
        options = {}
        if cells is not None and others:
            places = itertools.product(*(range(len(cells.along(name))) for name in others))
            for chosen in itertools.islice(places, MOST):
                pairs = tuple(zip(others, chosen, strict=True))
                options[", ".join(f"{short(cells, name)} {written(cells.along(name)[at])}" for name, at in pairs)] = (
                    pairs
                )
        self.rest.param.update(
            options=options or {NONE: ()}, value=next(iter(options.values()), ()), visible=bool(options)
        )

    def _chosen(self, change: Any) -> None:
        if self._quiet:
            return
        self._quiet = True
        try:
            if change.obj in (self.across, self.down):
                other = self.down if change.obj is self.across else self.across
                if other.value == change.new:
                    other.value = change.old
                self._offer_rest()
        finally:
            self._quiet = False
        self._changed()

    def _list(self, name: str) -> Any:
        widget = responsive(
            pmui.Select(
                label=name, options=[NONE], value=NONE, size="small", sizing_mode="stretch_width", min_width=60,
                margin=0, stylesheets=[CHOICE],
            )
        )  # fmt: skip
        widget.param.watch(self._chosen, "value")
        return widget
