"""The Live page: a network learns on simulated devices while you watch and turn the knobs."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import panel_material_ui as pmui
from bokeh.document import Document
from bokeh.plotting import figure

from app import theme, url
from app.address import Address
from app.attention import IDLE_MINUTES, Attention
from app.chips import ChipPlace
from app.controls import Controls
from app.delivery import once_ready
from app.download import Downloads
from app.keyboard import Keyboard
from app.limits import check_size
from app.pages import frame
from app.pages.board import Board
from app.pages.bring import DataDialog
from app.pages.exporting import ExportDialog
from app.pages.header import Header
from app.pages.help import HelpDialog
from app.pages.presence import Presence
from app.pages.requests import Requests
from app.pages.sidebar import Sidebar
from app.runner import Runner
from app.settings import SETTINGS, Settings
from app.shot import Shot
from app.stream import Stream
from app.tables import Curves
from app.views import meters
from pcmsim.errors import PCMLabError
from training.config import RunConfig, restart_fields
from training.presets import PRESETS

ADDRESS_AFTER = 0.4
"""Seconds that the settings must rest before the address bar follows: browsers limit how often it may change."""


class Live:
    """One visitor's page: the run, its controls and its plots.

    Parameters
    ----------
    link : app.url.Link, optional
        What the address asks for; the default preset without one.
    idle : float
        Minutes without a touch after which the run pauses; 0 for never.
    place : ChipPlace, optional
        Where the chip answers that holds the weights; without one they are simulated.
    waits : bool
        Whether the run begins only when somebody has arrived.
    """

    def __init__(
        self,
        link: url.Link | None = None,
        idle: float = IDLE_MINUTES,
        place: ChipPlace | None = None,
        *,
        waits: bool = False,
    ) -> None:
        link = link or url.read({})
        self.preset = link.preset
        self.runner = Runner(link.config, place, waits=waits)
        self._config, self._version, self._loading = link.config, 0, False
        self._problems, self._changed_at = link.problems, 0.0
        self.requests, self.attention = Requests(self.runner), Attention(idle)
        self.settings = Settings(link.config)
        self.header = Header(link.preset, link.config, self)
        self.bringing = DataDialog(self, self.runner.folder)
        controls = Controls(self.settings, self.warn)
        asked = self.requests
        self.sidebar = Sidebar(self.settings, controls, asked.fast_forward, asked.pair, self.bringing.open)
        self.board = Board(dark=False, page=self.requests)
        self.address, self.downloads = Address(), Downloads(self.board.figures())
        self.exporting, self.helping = ExportDialog(self, self.downloads), HelpDialog()
        self.stream = Stream(
            lambda: (self.runner.latest.version, self.board.progress.comparison.news),
            self.draw,
            answer=lambda: self.runner.latest.config_version,
            more=lambda: self.runner.latest.running,
        )
        self.runner.answered = self.stream.poke
        self.presence = Presence(
            self.stream, self.attention, self.runner.pause, self.runner.start, lambda why: self.tell(why, stay=True)
        )
        self.keyboard = Keyboard(
            {" ": self.toggle, "ArrowRight": self.runner.step, "Escape": self.requests.drop_pick, "?": self.help},
            self.attention.touched,
        )
        self.page = self._build_page()
        self.settings.param.watch(self._changed, [*SETTINGS, "scheme"])
        self.address.done.on_change("data", self._copied)
        if link.autoplay:
            self.runner.start()

    def attach(self, document: Document) -> None:
        """Begin to stream into a browser session; end with it."""
        # The page is on the screen: add what could wait.
        once_ready(document, self.sidebar.complete)
        frame.attach(document, self.stream, self.keyboard, self.close, self._problems)
        self.stream.painted.on_change("data", lambda attr, old, new: self.attention.painted())
        self.presence.attach(document)
        document.add_periodic_callback(self._attend, 1000)

    def arrive(self) -> None:
        """Somebody is here: begin the run."""
        self.runner.begin()

    def close(self) -> None:
        """Stop the run and let go of its reference."""
        self.runner.stop(timeout=0.0)
        self.board.progress.comparison.close()

    def toggle(self) -> None:
        """Play or pause."""
        self.runner.toggle()

    def reset(self) -> None:
        """Begin the run anew with the present settings."""
        self._restart(self._config)

    def choose_preset(self, name: str) -> None:
        """Begin a new run with a preset's settings."""
        self.preset = name
        self._load(PRESETS[name].config)
        self._restart(PRESETS[name].config)
        self.tell(f"{name}: {PRESETS[name].summary}")

    def configs(self) -> tuple[RunConfig, RunConfig]:
        """The configurations in force and asked for."""
        return self.runner.latest.config, self._config

    def begin(self, config: RunConfig) -> None:
        """Begin a new run with other settings, as if they had been set one by one."""
        try:
            check_size(config)
        except PCMLabError as error:
            self.warn(str(error))
            return
        self._load(config)
        self._restart(config)

    def pin(self) -> None:
        """Keep the learning curve as a ghost."""
        if self.runner.latest.record is not None:
            self.tell(self.board.progress.comparison.pin(self.runner.latest))

    def share(self) -> None:
        """Put the run's address on the clipboard."""
        if self._show_address():
            self.address.copy()

    def export(self) -> None:
        """Open the export dialog."""
        self.exporting.open()

    def help(self) -> None:
        """Open the help dialog."""
        self.helping.open()

    def enlarge(self, large: bool) -> None:
        """Draw text large, for projection, or at its usual size."""
        self.board.paint(large=large)
        for part in (self.board.view, self.sidebar.view):
            usual = [sheet for sheet in part.stylesheets if sheet != theme.LARGE]
            part.stylesheets = usual + [theme.LARGE] * large

    def figures(self) -> dict[str, list[figure]]:
        """The plots by name, each from top to bottom."""
        return self.board.figures()

    def curves(self) -> Curves:
        """The curves that the run is compared with, by name."""
        return [(ghost.label, ghost.table) for ghost in self.board.progress.comparison.ghosts(self.runner.latest)]

    def loaded(self, config: RunConfig) -> None:
        """A checkpoint's run is in force."""
        self._load(config)
        self.tell("The checkpoint's run goes on from where it was saved.")

    def draw(self, turn: int | None) -> dict[str, Any]:
        """Bring the page up to date; see `app.stream.Stream`."""
        pairing = self.requests.pairing  # Before the shot: a twin is published before it is answered.
        shot = self.runner.latest
        self._report(shot)
        self.board.draw(shot, turn)
        self.header.follow(shot)
        if turn in (None, 0):
            self._draw_sidebar(shot)
        if not pairing:
            self.sidebar.show_twin(shot.twin)
        trial = -1 if shot.record is None else shot.record.trial
        return {"config_version": [shot.config_version], "trial": [trial], "run": [shot.run]}

    def tell(self, sentence: str, stay: bool = False) -> None:
        """Say what happened; for whoever comes back later, it can `stay` until it is closed."""
        frame.tell(sentence, stay)

    def warn(self, sentence: str) -> None:
        """Say what went wrong."""
        frame.warn(sentence)

    def _draw_sidebar(self, shot: Shot) -> None:
        if shot.look is not None:
            self.sidebar.show_meters(meters.words(shot.look.meters, shot.config, on_chip=bool(shot.chip)))
        self.sidebar.show_aging(shot.aging)

    def _attend(self) -> None:
        """Once a second: pause a run that nobody watches; let the address follow the settings."""
        self.presence.attend(self.runner.latest.running, self.stream.gate.outstanding > 0)
        if self._changed_at and time.monotonic() - self._changed_at > ADDRESS_AFTER:
            self._changed_at = 0.0
            # A run on files of its own has no address: that is said when somebody asks for one.
            with contextlib.suppress(PCMLabError):
                self.address.show(url.write(self._config, self.preset))

    def _show_address(self) -> bool:
        """Let the address bar follow; False, and a sentence, where no address can give this run."""
        try:
            self.address.show(url.write(self._config, self.preset))
        except PCMLabError as error:
            self.warn(str(error))
            return False
        return True

    def _copied(self, attr: str, old: Any, new: dict[str, list[Any]]) -> None:
        fine = "The address of this run is on the clipboard."
        self.tell(fine if new["fine"][0] else "The address bar holds the address of this run: copy it from there.")

    def _report(self, shot: Shot) -> None:
        """Say what went wrong; what the run has refused, the controls take back."""
        while self.runner.notices:
            self.warn(self.runner.notices.popleft())
        # An older answer says nothing of what is still on its way.
        if shot.config_version == self._version and shot.config != self._config:
            self._load(shot.config)

    def _changed(self, *_: Any) -> None:
        if self._loading:
            return
        try:
            config = self.settings.config()
            check_size(config)
        except PCMLabError as error:
            self.warn(str(error))
            self._load(self._config)
            return
        if config == self._config:
            return
        restarting = restart_fields(self._config, config)
        if restarting:
            self._restart(config)
            self.tell(f"New run: {', '.join(restarting)} changed.")
        else:
            self._take(config)
            self.runner.configure(config, self._version)

    def _restart(self, config: RunConfig) -> None:
        self._take(config)
        self.runner.reset(config, self._version)

    def _take(self, config: RunConfig) -> None:
        self._version += 1
        self._hold(config)
        self.stream.expect()

    def _load(self, config: RunConfig) -> None:
        """Show a configuration without acting on it."""
        self._loading = True
        try:
            self.settings.load(config)
        finally:
            self._loading = False
        self._hold(config)

    def _hold(self, config: RunConfig) -> None:
        self._config, self._changed_at = config, time.monotonic()
        self.header.show_preset(self.preset, config)

    def _build_page(self) -> pmui.Page:
        carrier = self.board.views["activity"].figures["raster"]
        carrier.tags = [
            *carrier.tags, self.stream.frames, self.stream.painted, self.keyboard.keys, self.downloads.files,
            self.downloads.pictures, *self.address.models,
        ]  # fmt: skip
        return frame.template(
            self.header.view,
            self.sidebar.view,
            [self.board.view, self.exporting.view, self.helping.view, self.bringing.view],
            lambda dark: self.board.paint(dark=dark),
        )
