"""The plots of the Live page, arranged; draws what a shot of the run holds."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import panel as pn
import panel_material_ui as pmui
from bokeh.plotting import figure

from app.controls import responsive
from app.pages.cards import BOARD, CHOICE, SMALL_BUTTON, WORDS, card, cover, head, head_html, plot, row
from app.pages.cores import Cores
from app.pages.inspector import Inspector
from app.pages.progress import Progress
from app.shot import Look, Shot
from app.stream import TURNS
from app.theme import palette
from app.views import activity, asked, budget, conductance, crossbar, drift, happening, status
from app.views.base import View
from app.words import Words
from training.network import LAYERS
from training.records import LayerSnapshot, TrialRecord

CROSSBAR_TURN, LEARNING_TURN, CONDUCTANCE_TURN, ASKED_TURN, DRIFT_TURN, WORDS_TURN = range(TURNS)
NO_DEVICES = "These weights are kept in digital memory: there are no devices{}. Choose another scheme to see them."
VIEWS = {
    "activity": activity,
    "crossbar": crossbar,
    "conductance": conductance,
    "drift": drift,
    "asked": asked,
    "budget": budget,
}
KINDS = {kind.label: name for name, kind in crossbar.KINDS.items()}
PLAIN = {label: name for label, name in KINDS.items() if name == "weight"}
CORES = "cores"
"""What the crossbar's card shows beside the kinds of heat map, while there are cores."""

TWIN_KEY = ' &nbsp; <i class="twin">━━ twin</i>'


class Watches(Protocol):
    """What the board can ask for."""

    def look(self) -> None:
        """Have the devices' state published."""

    def pick_cell(self, layer: str, pre: int, post: int) -> None:
        """Report on a synapse."""

    def pick_neuron(self, number: int) -> None:
        """Report on a hidden neuron."""

    def drop_pick(self) -> None:
        """Report on nothing in particular."""

    def compare_gradients(self) -> None:
        """Compare e-prop with backpropagation through time."""


class Board:
    """All plots.

    Parameters
    ----------
    dark : bool
        Whether to begin in dark colours.
    page : Watches
        Does what is asked.
    """

    def __init__(self, dark: bool, page: Watches) -> None:
        self._page = page
        self._dark, self._large = dark, False
        self._palette = palette(dark)
        self.views: dict[str, View] = {name: module.build(self._palette) for name, module in VIEWS.items()}
        self.views["crossbar"].on_pick(lambda pre, post: page.pick_cell(self.layer.value, pre, post))
        self.views["activity"].on_pick(page.pick_neuron)
        self.inspector = Inspector(self._palette, page.drop_pick)
        self.progress, self.cores = Progress(self._palette), Cores(self._palette)
        self._shot: Shot | None = None
        self._run, self._devices = -1, drift.Choice()
        self._told_running = False
        self._drawn: tuple[TrialRecord | None, TrialRecord | None] = None, None
        self._build_controls()
        self.view = self._arrange()

    def paint(self, dark: bool | None = None, large: bool | None = None) -> None:
        """Take on the colours of a mode, or another size of text."""
        self._dark = self._dark if dark is None else dark
        self._large = self._large if large is None else large
        self._palette = palette(self._dark, self._large)
        for view in self.views.values():
            view.paint(self._palette)
        self.inspector.paint(self._palette)
        self.progress.paint(self._palette)
        self.cores.paint(self._palette)
        if self._shot is not None:
            self._drawn = None, None
            self.draw(self._shot, None)

    def figures(self) -> dict[str, list[figure]]:
        """The plots by name, each from top to bottom."""
        views = {name: list(view.figures.values()) for name, view in (self.views | self.inspector.views).items()}
        if self.cores.view.visible:
            views = {name: figures for name, figures in views.items() if name != "crossbar"} | self.cores.figures()
        return views | self.progress.figures()

    def draw(self, shot: Shot, turn: int | None) -> None:
        """Bring the plots up to date; `turn` as in `app.stream.Stream`."""
        self._shot = shot
        if shot.record is not None:
            self._draw_trial(shot)
            self._draw_histories(shot, turn)
            self._draw_devices(shot, turn)
        if turn in (None, WORDS_TURN) or shot.running != self._told_running:
            self._draw_words(shot)

    def _draw_trial(self, shot: Shot) -> None:
        mate = None if shot.twin is None else shot.twin.record
        if all(old is new for old, new in zip(self._drawn, (shot.record, mate), strict=True)):
            return
        self._drawn, view = (shot.record, mate), self.views["activity"]
        view.show(activity.columns(shot.record, shot.config, self._palette, mate))
        activity.fit(view, shot.record, shot.config)

    def _draw_histories(self, shot: Shot, turn: int | None) -> None:
        if turn in (None, LEARNING_TURN):
            self.progress.draw(shot)
        if turn in (None, DRIFT_TURN):
            shown, view = drift.columns(self._chosen(shot), self._palette), self.views["drift"]
            view.show(shown)
            drift.fit(view, shown)

    def _chosen(self, shot: Shot) -> npt.NDArray[np.float64]:
        """The histories of the devices that are shown; a new run has others."""
        if shot.run != self._run:
            self._run, self._devices = shot.run, drift.Choice()
        return self._devices.of(shot.drift.table())

    def _draw_devices(self, shot: Shot, turn: int | None) -> None:
        if turn in (None, CROSSBAR_TURN) and (shot.running or shot.snapshot_of != shot.moment):
            self._page.look()
        if shot.snapshot is None:
            return
        layer, g_max = shot.snapshot[self.layer.value], shot.config.device.model(None).g_max
        if turn in (None, CROSSBAR_TURN):
            self._offer(shot)
            self._draw_array(layer, g_max, shot)
        if turn in (None, CONDUCTANCE_TURN):
            shown = conductance.columns(layer, conductance.right_edge(layer, g_max))
            self.views["conductance"].show(shown)
            conductance.fit(self.views["conductance"], shown)
        if turn in (None, ASKED_TURN):
            shown = asked.columns(layer)
            self.views["asked"].show(shown)
            asked.fit(self.views["asked"], shown)

    def _offer(self, shot: Shot) -> None:
        """What there is to see: of digital weights no devices; cores once they are on, a chip's are its own affair."""
        cores = {CORES: CORES} if shot.config.core.enabled and not shot.chip else {}
        options = (PLAIN if shot.config.scheme.digital else KINDS) | cores
        known, value = self.kind.options, self.kind.value
        if options != known:
            stays = value if value in options.values() else "weight"
            self.kind.param.update(options=options, value=stays if cores.items() <= known.items() else CORES)

    def _draw_array(self, layer: LayerSnapshot, g_max: float, shot: Shot) -> None:
        kind = self.kind.value
        if kind == CORES:
            write_error = None if shot.look is None else shot.look.meters.write_error
            self.cores.draw(layer, write_error, coded=shot.config.core.adc_bits is not None)
        else:
            shown = crossbar.columns(layer, kind, g_max)
            self.views["crossbar"].show(shown)
            crossbar.fit(self.views["crossbar"], shown, kind)
        self.cores.view.visible, self._heat_map.visible = kind == CORES, kind != CORES

    def _draw_words(self, shot: Shot) -> None:
        self._told_running = shot.running
        self.status.show(status.html(status.columns(shot)))
        self.happening.show(happening.html(shot))
        if shot.record is not None:
            trial = f"trial {shot.record.trial:,} · sample {shot.record.sample + 1}"
            names = () if shot.look is None or shot.look.scores is None else shot.look.scores.names
            key = activity.key(shot.record, names, self._palette) + TWIN_KEY * (shot.twin is not None)
            self.activity_head.show(head_html("Activity", key, trial))
        if shot.snapshot is not None:
            self.asked_head.show(head_html("Asked vs applied", asked.note(shot.snapshot[self.layer.value])))
        if shot.look is not None:
            self._draw_look(shot)
        self.honesty.show(asked.honesty(shot.honesty))
        for words in self.covers:
            words.visible = shot.config.scheme.digital

    def _draw_look(self, shot: Shot) -> None:
        self.budget.show(budget.html(shot.look.budget))
        self.views["budget"].show(shown := budget.columns(shot.look.wear))
        budget.fit(self.views["budget"], shown)
        self.inspector.draw(shot.look, shot.record.trial)
        self._mark(shot.look)

    def _mark(self, look: Look) -> None:
        """Show on the plots what is picked."""
        cell = look.cell if look.cell is not None and look.cell.layer == self.layer.value else None
        crossbar.mark_cell(self.views["crossbar"], None if cell is None else (cell.pre, cell.post))
        activity.mark_neuron(self.views["activity"], None if look.neuron is None else look.neuron.neuron)

    def _redraw_devices(self, _: Any) -> None:
        if self._shot is not None:
            self._draw_devices(self._shot, None)
            self._draw_words(self._shot)

    def _build_controls(self) -> None:
        self.layer = pmui.RadioButtonGroup(
            options=list(LAYERS), value="recurrent", size="small", label="Layer", margin=0, width=156,
            stylesheets=[LAYER], css_classes=["layer"],
        )  # fmt: skip
        self.kind = pmui.Select(
            options=KINDS, value="weight", size="small", label="Show", width=96, margin=0, stylesheets=[CHOICE]
        )
        for widget in (self.layer, self.kind):
            responsive(widget).param.watch(self._redraw_devices, "value")
        look: dict[str, Any] = {"size": "small", "variant": "text", "margin": (3, 4), "stylesheets": [SMALL_BUTTON]}
        self.bptt = responsive(pmui.Button(label="Compare with BPTT", **look))
        self.bptt.on_click(lambda _: self._page.compare_gradients())
        self.activity_head, self.asked_head = (
            head("Activity", activity.KEY, ""),
            head("Asked vs applied", "no change yet"),
        )
        self.honesty = Words(html="", margin=(0, 12, 4, 12), sizing_mode="stretch_width", stylesheets=[WORDS])
        self.status = Words(
            margin=0, sizing_mode="stretch_width", min_height=20, styles={"grid-area": "s"}, stylesheets=[WORDS]
        )
        self.happening = Words(margin=(0, 12), sizing_mode="stretch_both", stylesheets=[WORDS])
        self.budget = Words(margin=(2, 0, 0, 12), width=190, stylesheets=[WORDS])
        self.covers = [
            cover(NO_DEVICES.format(" and no conductances")),
            cover(NO_DEVICES.format(" that could drift")),
            cover(NO_DEVICES.format(" to wear out")),
        ]

    def _arrange(self) -> pn.Column:
        figures = {name: view.figures for name, view in self.views.items()}
        self._heat_map = plot(figures["crossbar"]["weights"])
        raster, output = plot(figures["activity"]["raster"], 1.25), plot(figures["activity"]["output"])
        return pn.Column(
            card("a", self.activity_head, raster, output),
            self.progress.view,
            card("x", row(head("Crossbar"), self.kind, self.layer), self._heat_map, self.cores.view),
            card(
                "c",
                head("Conductance", '<i class="plus">▲ G+</i> &nbsp; <i class="minus">▼ G−</i>', "devices, log"),
                plot(figures["conductance"]["histogram"]),
                self.covers[0],
            ),
            card(
                "d",
                head("Drift and programming", "the 8 liveliest", "µS"),
                plot(figures["drift"]["devices"]),
                self.covers[1],
            ),
            card("q", row(self.asked_head, self.bptt), plot(figures["asked"]["asked"]), self.honesty),
            card("h", head("What is happening"), self.happening),
            card(
                "b",
                head("Budget"),
                pn.Row(self.budget, plot(figures["budget"]["wear"]), sizing_mode="stretch_both", margin=0),
                self.covers[2],
            ),
            self.status,
            self.inspector.view,
            css_classes=["board"], stylesheets=[BOARD], sizing_mode="stretch_both", margin=0,
        )  # fmt: skip


LAYER = """
:host { margin: 4px 8px 0 0 !important }
.MuiToggleButton-root { font-size: calc(12px * var(--text, 1)) !important;
  padding: 1px 2px !important; text-transform: none !important;
  line-height: 1.3 !important; letter-spacing: 0 !important }
.MuiFormLabel-root { display: none }
"""
