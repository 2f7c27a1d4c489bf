"""The plots of the Live page, arranged; draws what a shot of the run holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import panel as pn
import panel_material_ui as pmui

from app.pages.cards import BOARD, WORDS, card, cover, head, head_html, plot
from app.theme import palette
from app.trainer import Shot
from app.views import activity, conductance, crossbar, drift, learning, status
from app.words import Words
from training.network import LAYERS
from training.records import TrialRecord

CROSSBAR_TURN, CONDUCTANCE_TURN, DRIFT_TURN, WORDS_TURN = range(4)
NO_DEVICES = "Float32 keeps its weights in digital memory: there are no devices{}. Choose another scheme to see them."
VIEWS = {"activity": activity, "learning": learning, "crossbar": crossbar, "conductance": conductance, "drift": drift}
KEY = '<i class="run">━━ network</i> &nbsp; ╍╍ target'


class Board:
    """All plots.

    Parameters
    ----------
    dark : bool
        Whether to begin in dark colours.
    ask_snapshot : callable
        Called when the devices' state is wanted.
    """

    def __init__(self, dark: bool, ask_snapshot: Callable[[], None]) -> None:
        self._ask_snapshot = ask_snapshot
        self._palette = palette(dark)
        self.views = {name: module.build(self._palette) for name, module in VIEWS.items()}
        self._shot: Shot | None = None
        self._record: TrialRecord | None = None
        self.layer = pmui.RadioButtonGroup(
            options=list(LAYERS), value="recurrent", size="small", label="", margin=0, width=190, stylesheets=[LAYER],
            css_classes=["layer"],
        )  # fmt: skip
        self.layer.param.watch(self._layer_chosen, "value")
        self.activity_head = head("Activity", KEY, "")
        self.status = Words(margin=0, styles={"grid-area": "s"}, stylesheets=[WORDS])
        self.happening = Words(margin=0, styles={"grid-area": "h"}, stylesheets=[WORDS])
        self.covers = [cover(NO_DEVICES.format(" and no conductances")), cover(NO_DEVICES.format(" that could drift"))]
        self.view = self._arrange()

    def paint(self, dark: bool) -> None:
        """Take on the colours of a mode."""
        self._palette = palette(dark)
        for view in self.views.values():
            view.paint(self._palette)
        if self._shot is not None:
            self.draw(self._shot, None)

    def draw(self, shot: Shot, turn: int | None) -> None:
        """Bring the plots up to date; `turn` as in `app.stream.Stream`."""
        self._shot = shot
        if shot.record is not None:
            self._draw_trial(shot)
            self._draw_histories(shot, turn)
            self._draw_devices(shot, turn)
        if turn in (None, WORDS_TURN):
            self._draw_words(shot)

    def _layer_chosen(self, _: Any) -> None:
        if self._shot is not None:
            self._draw_devices(self._shot, None)

    def _draw_trial(self, shot: Shot) -> None:
        if shot.record is self._record:
            return
        self._record = shot.record
        view = self.views["activity"]
        view.show(activity.columns(shot.record, shot.config))
        activity.fit(view, shot.record, shot.config)

    def _draw_histories(self, shot: Shot, turn: int | None) -> None:
        if turn in (None, WORDS_TURN):
            table, view = shot.curve.columns(), self.views["learning"]
            view.show(learning.columns(table))
            learning.fit(view, table)
        if turn in (None, DRIFT_TURN):
            shown, view = drift.columns(shot.drift.table(), self._palette), self.views["drift"]
            view.show(shown)
            drift.fit(view, shown)

    def _draw_devices(self, shot: Shot, turn: int | None) -> None:
        if turn in (None, CROSSBAR_TURN) and (shot.running or shot.snapshot_of != shot.moment):
            self._ask_snapshot()
        if shot.snapshot is None:
            return
        layer = shot.snapshot[self.layer.value]
        if turn in (None, CROSSBAR_TURN):
            shown = crossbar.columns(layer)
            self.views["crossbar"].show(shown)
            crossbar.fit(self.views["crossbar"], shown)
        if turn in (None, CONDUCTANCE_TURN):
            edge = conductance.right_edge(layer, shot.config.device.model(None).g_max)
            shown = conductance.columns(layer, edge)
            self.views["conductance"].show(shown)
            conductance.fit(self.views["conductance"], shown)

    def _draw_words(self, shot: Shot) -> None:
        self.status.html = status.html(status.columns(shot))
        self.happening.html = status.happening_html(shot, status.happening(shot, shot.curve.columns()))
        if shot.record is not None:
            trial = f"trial {shot.record.trial:,} · sample {shot.record.sample + 1}"
            self.activity_head.html = head_html("Activity", KEY, trial)
        for words in self.covers:
            words.visible = shot.config.scheme.digital

    def _arrange(self) -> pn.Column:
        figures = {name: view.figures for name, view in self.views.items()}
        raster, output = plot(figures["activity"]["raster"], 1.25), plot(figures["activity"]["output"])
        top = pn.Row(head("Crossbar", "weight"), self.layer, margin=0, sizing_mode="stretch_width", stylesheets=[TOP])
        return pn.Column(
            card("a", self.activity_head, raster, output),
            card(
                "l",
                head("Learning", '<i class="run">━━ smoothed</i> &nbsp; ╍╍ silent network', "mean squared error"),
                plot(figures["learning"]["curve"]),
            ),
            card("x", top, plot(figures["crossbar"]["weights"])),
            card(
                "c",
                head("Conductance", '<i class="plus">▲ G+</i> &nbsp; <i class="minus">▼ G−</i>', "devices, log"),
                plot(figures["conductance"]["histogram"]),
                self.covers[0],
            ),
            card(
                "d",
                head("Drift and programming", "8 devices", "conductance (µS)"),
                plot(figures["drift"]["devices"]),
                self.covers[1],
            ),
            self.happening,
            self.status,
            css_classes=["board"], stylesheets=[BOARD], sizing_mode="stretch_both", margin=0,
        )  # fmt: skip


TOP = ":host { height: 28px; flex: none !important }"
LAYER = """
:host { margin: 5px 8px 0 0 !important }
.MuiToggleButton-root { font-size: 11px !important; padding: 1px 6px !important; text-transform: none !important;
  line-height: 1.3 !important; letter-spacing: 0 !important }
"""
