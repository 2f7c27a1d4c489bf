"""The Race page: update schemes side by side, on the same seeds, samples and random numbers."""

from __future__ import annotations

from typing import Any

import panel as pn
import panel_material_ui as pmui
from bokeh.document import Document
from bokeh.plotting import figure

from app import race_tables
from app.attention import IDLE_MINUTES, Attention
from app.delivery import aside
from app.download import Downloads
from app.keyboard import Keyboard
from app.limits import check_size
from app.pages import frame, topbar
from app.pages.entries import Asked, Entries
from app.pages.exporting import WRITERS
from app.pages.presence import Presence
from app.pages.race_board import RaceBoard
from app.racer import Heat, Racer
from app.stream import Stream
from pcmsim.errors import PCMLabError

STATES = {(True, False): "Pause", (False, False): "Resume", (False, True): "Start", (True, True): "Start"}
"""What the first button does, by whether the race runs and whether it is over."""

IDLE_WORDS = "Paused after {time:g} minutes without a key or a click: nobody seems to be here. Press Resume to go on."
ICONS = {"Pause": "pause", "Resume": "play_arrow", "Start": "play_arrow"}


class RacePage:
    """One visitor's page: a race, what is to be raced, and its plots.

    Parameters
    ----------
    asked : Asked
        What the address asks for.
    idle : float
        Minutes without a touch after which the race pauses; 0 for never. In a hidden tab it goes on until then.
    waits : bool
        Whether a race that begins by itself does so only when somebody has arrived.
    """

    def __init__(self, asked: Asked | None = None, idle: float = IDLE_MINUTES, *, waits: bool = False) -> None:
        asked = asked or Asked()
        self.racer, self.attention = Racer(), Attention(idle)
        self.entries = Entries(asked, self._preview)
        self.board = RaceBoard()
        self.downloads = Downloads(self.board.figures())
        self._said, self._problems = "", asked.problems
        self.stream = Stream(
            lambda: self.racer.latest.version,
            self.draw,
            answer=lambda: (self.racer.latest.number, self.racer.latest.running),
            more=lambda: self.racer.latest.running,
        )
        self.racer.changed = self.stream.poke
        self.presence = Presence(self.stream, self.attention, self.racer.pause, self.racer.resume, self._say_idle)
        self.keyboard = Keyboard({" ": self.toggle}, self.attention.touched)
        self.page = self._build_page()
        self._preview()
        self._autoplay = asked.autoplay
        if not waits:
            self.arrive()

    def attach(self, document: Document) -> None:
        """Begin to stream into a browser session; end with it."""
        frame.attach(document, self.stream, self.keyboard, self.close, self._problems)
        self.presence.attach(document)
        document.add_periodic_callback(self._attend, 1000)

    def arrive(self) -> None:
        """Somebody is here: begin the race, if the address asks for that."""
        if self._autoplay:
            self.begin()

    def close(self) -> None:
        """End the race."""
        self.racer.stop()

    def toggle(self) -> None:
        """Start, pause, or go on."""
        heat = self.racer.latest
        {"Start": self.begin, "Pause": self.racer.pause, "Resume": self.racer.resume}[STATES[heat.running, heat.over]]()

    def begin(self) -> None:
        """Begin the race that is asked for."""
        try:
            race = self.entries.race()
            for config in race.lanes.values():
                check_size(config)
        except PCMLabError as error:
            self.warn(str(error))
            return
        self.racer.begin(race)

    def stop(self) -> None:
        """End the race where it is."""
        self.racer.stop()

    def figures(self) -> dict[str, list[figure]]:
        """The plots by name."""
        return self.board.figures()

    def export(self, table: str, kind: str) -> None:
        """Hand a table of the race to the browser."""
        heat = self.racer.latest
        if not heat.reports:
            self.warn("There is no race yet: press Start.")
            return
        name = f"pcmlab_race_{table}.{kind.lower()}"
        aside(
            pn.state.curdoc,
            lambda: WRITERS[kind](race_tables.TABLES[table](heat)),
            lambda content: self.downloads.give(name, content),
            self.warn,
        )

    def draw(self, turn: int | None) -> dict[str, Any]:
        """Bring the page up to date; see `app.stream.Stream`."""
        heat = self.racer.latest
        while self.racer.notices:
            self.warn(self.racer.notices.popleft())
        self.board.draw(heat, turn)
        self._follow(heat)
        return {"race": [heat.number], "trial": [heat.done], "over": [heat.over]}

    def tell(self, sentence: str) -> None:
        """Say what happened."""
        frame.tell(sentence)

    def warn(self, sentence: str) -> None:
        """Say what went wrong."""
        frame.warn(sentence)

    def _preview(self) -> None:
        """Show the lanes that are asked for while there is no race."""
        try:
            self.racer.show(self.entries.race())
        except PCMLabError as error:
            self.warn(str(error))

    def _follow(self, heat: Heat) -> None:
        """Let the buttons say what a click would do."""
        label = STATES[heat.running, heat.over]
        if self._said != label:
            self._said = label
            self.play.param.update(label=label, icon=ICONS[label])
            self.halt.disabled = heat.over

    def _attend(self) -> None:
        """Once a second: a race that nobody watches pauses; a browser that had lost its connection has it go on."""
        self.presence.attend(self.racer.latest.running, outstanding=False)

    def _say_idle(self, _: str) -> None:
        frame.tell(IDLE_WORDS.format(time=self.attention.idle), stay=True)

    def _build_page(self) -> pmui.Page:
        self.board.carrier().tags = [
            self.stream.frames, self.stream.painted, self.keyboard.keys, self.downloads.files, self.downloads.pictures,
        ]  # fmt: skip
        return frame.template(
            self._header(), self.entries.view, [self.board.view], lambda dark: self.board.paint(dark=dark)
        )

    def _header(self) -> pn.Row:
        self.play = topbar.button("Start", "play_arrow", self.toggle, "play")
        self.halt = topbar.button("Stop", "stop", self.stop)
        self.halt.disabled = True
        entries = [f"{table} as {kind}" for table in race_tables.TABLES for kind in WRITERS]
        self.saves = topbar.menu("Export", "download", entries, lambda entry: self.export(*entry.split(" as ")))
        return topbar.row(self.play, self.halt, self.saves)
