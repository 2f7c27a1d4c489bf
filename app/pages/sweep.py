"""The Sweep page: a grid over any settings and seeds, run on this machine's cores or a Dask cluster, as it comes in."""

from __future__ import annotations

from typing import Any

import panel as pn
import panel_material_ui as pmui
from bokeh.document import Document
from bokeh.plotting import figure

from app import sweep_tables
from app.cells import Cells
from app.delivery import aside
from app.download import Downloads
from app.keyboard import Keyboard
from app.pages import frame, topbar
from app.pages.exporting import WRITERS
from app.pages.plan import WIDTH, Plan
from app.pages.sweep_board import SweepBoard
from app.scout import Scout, Wish
from app.shelves import InPage, InStore, Shelf
from app.stream import Stream
from app.sweep.grants import Grants
from app.sweeper import Sweeper

YAML = "sweep as YAML"
LOOKS = {True: ("Stop", "stop"), False: ("Start", "play_arrow")}
"""Label and icon of the first button, by whether a sweep runs."""


class SweepPage:
    """One visitor's page: a sweep, what is to be swept, and its plots.

    Parameters
    ----------
    grants : Grants, optional
        What the person may name, and whether all sweeps of the run store are found.
    waits : bool
        Whether the first text is looked at only when somebody has arrived.
    """

    def __init__(self, grants: Grants | None = None, *, waits: bool = False) -> None:
        grants = grants or Grants()
        shelf: Shelf = InStore() if grants.store else InPage()
        self.sweeper = Sweeper(shelf=shelf)
        self.scout = Scout(busy=lambda: self.sweeper.latest.running, shelf=shelf)
        self.plan = Plan(self._look, self._open, grants)
        self.board = SweepBoard(self._looked)
        self.downloads = Downloads(self.board.figures())
        self._views = 0
        self._seen: tuple[Cells | None, bool] = (None, False)
        self.stream = Stream(
            lambda: self.sweeper.latest.version + self.scout.latest.version + self._views,
            self.draw,
            answer=lambda: (self.sweeper.latest.number, self.sweeper.latest.running, self._views),
            more=lambda: self.sweeper.latest.running,
        )
        self.sweeper.changed = self.scout.changed = self.stream.poke
        self.keyboard = Keyboard({" ": self.toggle})
        self.page = self._build_page()
        if not waits:
            self.arrive()

    def attach(self, document: Document) -> None:
        """Begin to stream into a browser session; end with it."""
        frame.attach(document, self.stream, self.keyboard, self.close)

    def arrive(self) -> None:
        """Somebody is here: find out what would be swept, and how long it takes."""
        self._look()

    def close(self) -> None:
        """End the sweep; what is finished is kept."""
        self.sweeper.stop()
        self.scout.stop()

    def toggle(self) -> None:
        """Start or stop."""
        if self.sweeper.latest.running:
            self.sweeper.stop()
        else:
            self.sweeper.begin(self.plan.text, self.plan.means())

    def figures(self) -> dict[str, list[figure]]:
        """The plots by name."""
        return self.board.figures()

    def export(self, entry: str) -> None:
        """Hand the sweep's text or a table of it to the browser; to read the runs takes a while, elsewhere."""
        if entry == YAML:
            self.downloads.give(f"{self._name()}.yaml", self.sweeper.latest.text or self.plan.text)
            return
        harvest, metric, (table, kind) = self.sweeper.latest, self.board.looking.look().metric, entry.split(" as ")
        name = f"{self._name()}_{table}.{kind.lower()}"
        aside(
            pn.state.curdoc,
            lambda: WRITERS[kind](sweep_tables.TABLES[table](harvest, metric)),
            lambda content: self.downloads.give(name, content),
            frame.warn,
        )

    def draw(self, turn: int | None) -> dict[str, Any]:
        """Bring the page up to date; see `app.stream.Stream`."""
        self._follow_scout()
        harvest = self.sweeper.latest
        while self.sweeper.notices:
            frame.warn(self.sweeper.notices.popleft())
        self.plan.show(self.scout.latest)
        self.board.draw(harvest, turn)
        label, icon = LOOKS[harvest.running]
        if self.play.label != label:
            self.play.param.update(label=label, icon=icon)
        done = 0 if harvest.cells is None else harvest.cells.finished
        return {"sweep": [harvest.number], "trial": [done], "over": [not harvest.running]}

    def _follow_scout(self) -> None:
        """Show what would be swept, unless a sweep is shown that was begun after that; put opened texts into place."""
        draft, running = self.scout.latest, self.sweeper.latest.running
        cells, ran = self._seen
        self._seen = (draft.cells, running)
        if draft.opened and draft.cells is not cells:
            self.plan.write(draft.text)
        if draft.cells is not cells and not running:
            self.sweeper.show(draft)
        if ran and not running and draft.text == self.plan.text:
            self.scout.look(Wish(None, self.plan.means().folder))

    def _look(self) -> None:
        self.scout.look(Wish(self.plan.text, self.plan.means().folder))

    def _open(self, name: str) -> None:
        self.scout.look(Wish("", self.plan.means().folder, name))

    def _looked(self) -> None:
        self._views += 1
        self.stream.poke()

    def _name(self) -> str:
        sweep = self.sweeper.latest.sweep
        return "sweep" if sweep is None else sweep.name.replace(" ", "_")

    def _build_page(self) -> pmui.Page:
        self.board.carrier().tags = [
            self.stream.frames, self.stream.painted, self.keyboard.keys, self.downloads.files, self.downloads.pictures,
        ]  # fmt: skip
        self.play = topbar.button("Start", "play_arrow", self.toggle, "play")
        entries = [*(f"{table} as {kind}" for table in sweep_tables.TABLES for kind in WRITERS), YAML]
        self.saves = topbar.menu("Export", "download", entries, self.export)
        bar = topbar.row(self.play, self.saves)
        return frame.template(bar, self.plan.view, [self.board.view], self.board.paint, WIDTH)
