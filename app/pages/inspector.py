"""The inspector: a card over the board with one synapse or one neuron in detail, live."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import panel as pn
import panel_material_ui as pmui

from app.controls import NAMING_TIP, responsive
from app.pages.cards import HEAD, head_html, plot
from app.shot import Look
from app.theme import Palette
from app.views import cell, neuron
from app.views.base import View
from app.words import Words


class Inspector:
    """Closed until something is picked; its figures are made then.

    Parameters
    ----------
    palette : Palette
        Colours to begin with.
    close : callable
        Called when the person closes it.
    """

    def __init__(self, palette: Palette, close: Callable[[], None]) -> None:
        self._palette = palette
        self._views: dict[str, View] = {}
        self._bodies: dict[str, pn.Column] = {}
        self._title = Words(html=head_html("Inspector"), sizing_mode="stretch_width", height=28, stylesheets=[HEAD])
        shut = pmui.IconButton(
            icon="close",
            size="small",
            margin=(2, 4),
            description="Close the inspector (Esc)",
            css_classes=["shut"],
            theme_config=NAMING_TIP,
        )
        shut.on_click(lambda _: close())
        self.view = pn.Column(
            pn.Row(self._title, responsive(shut), sizing_mode="stretch_width", margin=0),
            visible=False, css_classes=["inspector"], stylesheets=[CARD], margin=0,
        )  # fmt: skip

    @property
    def views(self) -> dict[str, View]:
        """The views that are on the screen."""
        return {name: view for name, view in self._views.items() if self.view.visible and self._bodies[name].visible}

    def paint(self, palette: Palette) -> None:
        """Take on the colours of a mode."""
        self._palette = palette
        for view in self._views.values():
            view.paint(palette)

    def draw(self, look: Look, trial: int) -> None:
        """Show what is picked, or nothing."""
        report = look.cell or look.neuron
        if report is not None:
            (self._draw_cell if look.cell else self._draw_neuron)(report, trial)
        for name, body in self._bodies.items():
            body.visible = getattr(look, name) is not None
        self.view.visible = report is not None

    def _draw_cell(self, report: Any, trial: int) -> None:
        view, text = self._body("cell", cell)
        shown = cell.columns(report, self._palette)
        view.show(shown)
        cell.fit(view, shown, trial)
        text.show(cell.table(report))
        self._title.show(head_html("Synapse", f"{report.pre} → {report.post} · {report.layer}"))

    def _draw_neuron(self, report: Any, trial: int) -> None:
        view, text = self._body("neuron", neuron)
        view.show(neuron.columns(report))
        neuron.fit(view, report)
        text.show(neuron.table(report))
        self._title.show(head_html("Neuron", f"hidden {report.neuron}"))

    def _body(self, name: str, module: Any) -> tuple[View, Words]:
        if name not in self._views:
            view = self._views[name] = module.build(self._palette)
            text = Words(sizing_mode="stretch_width", margin=(0, 12), stylesheets=[HEAD, TABLE])
            plots = [plot(figure) for figure in view.figures.values()]
            self._bodies[name] = pn.Column(text, *plots, sizing_mode="stretch_both", margin=0)
            self.view.append(self._bodies[name])
        return self._views[name], self._bodies[name][0]


CARD = """
:host(.inspector) { position: absolute; top: 8px; right: 8px; bottom: 46px; z-index: 5;
  width: min(430px, 92%) !important;
  background: var(--panel-surface-color); border: 1px solid var(--line); border-radius: 8px;
  box-shadow: 0 6px 28px rgba(0, 0, 0, .28); overflow: auto }
"""
TABLE = """
.words { color: var(--panel-on-surface-color); font-size: calc(12px * var(--text, 1)) }
dl { display: grid; grid-template-columns: auto 1fr; gap: 1px 12px; margin: 4px 0 6px }
dt { color: var(--panel-on-secondary-color) } dd { margin: 0; font-variant-numeric: tabular-nums }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; margin-bottom: 4px }
th { font-weight: 500; text-align: right; color: var(--panel-on-secondary-color) }
th:first-child { text-align: left } td { text-align: right; padding: 1px 0 }
i { font-style: normal; font-weight: 600 } i.plus { color: var(--plus) } i.minus { color: var(--minus) }
"""
