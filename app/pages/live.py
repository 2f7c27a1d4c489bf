"""The Live page: a network learns on simulated devices while you watch and turn the knobs."""

from __future__ import annotations

from typing import Any

import panel as pn
import panel_material_ui as pmui
from bokeh.document import Document
from panel.util import edit_readonly

from app import theme
from app.controls import Controls
from app.keyboard import Keyboard
from app.pages.board import Board
from app.pages.header import Header
from app.pages.sidebar import Sidebar
from app.runner import Runner
from app.settings import SETTINGS, Settings
from app.stream import Stream
from app.trainer import Shot
from pcmsim.errors import PCMLabError
from training.config import RunConfig, restart_fields
from training.presets import PRESETS

DEFAULT_PRESET = "mixed-precision"


class Live:
    """One visitor's page: the run, its controls and its plots.

    Parameters
    ----------
    preset : str
        Name of the run preset to begin with.
    autoplay : bool
        Whether to train at once.
    """

    def __init__(self, preset: str = DEFAULT_PRESET, autoplay: bool = False) -> None:
        config = PRESETS[preset].config
        self.runner = Runner(config)
        self._config, self._version, self._loading = config, 0, False
        self.settings = Settings(config)
        self.header = Header(preset, self)
        self.sidebar = Sidebar(self.settings, Controls(self.settings, _warn))
        self.board = Board(dark=False, ask_snapshot=self.runner.ask_snapshot)
        self.stream = Stream(lambda: self.runner.latest.version, self.draw)
        self.keyboard = Keyboard({" ": self.toggle, "ArrowRight": self.runner.step})
        self.page = self._build_page()
        self.settings.param.watch(self._changed, [*SETTINGS, "scheme"])
        if autoplay:
            self.runner.start()

    def attach(self, document: Document) -> None:
        """Begin to stream into a browser session; end with it."""
        document.theme = theme.OWN
        document.on_event("document_ready", lambda _: self.sidebar.complete())
        self.stream.start(document)
        self.keyboard.listen(document)
        document.on_session_destroyed(lambda _: self.close())

    def close(self) -> None:
        """Stop the run."""
        self.runner.stop()

    def toggle(self) -> None:
        """Play or pause."""
        (self.runner.pause if self.runner.latest.running else self.runner.start)()

    def reset(self) -> None:
        """Begin the run anew with the present settings."""
        self._restart(self._config)

    def choose_preset(self, name: str) -> None:
        """Begin a new run with a preset's settings."""
        self._load(PRESETS[name].config)
        self._restart(PRESETS[name].config)
        _tell(f"{name}: {PRESETS[name].summary}")

    def draw(self, turn: int | None) -> dict[str, Any]:
        """Bring the page up to date; see `app.stream.Stream`."""
        shot = self.runner.latest
        self._report(shot)
        self.board.draw(shot, turn)
        self.header.follow(shot)
        trial = -1 if shot.record is None else shot.record.trial
        return {"config_version": [shot.config_version], "trial": [trial], "run": [shot.run]}

    def _report(self, shot: Shot) -> None:
        """Say what went wrong; the controls go back to the configuration in force."""
        while self.runner.notices:
            _warn(self.runner.notices.popleft())
            self._load(shot.config)

    def _changed(self, *_: Any) -> None:
        if self._loading:
            return
        try:
            config = self.settings.config()
        except PCMLabError as error:
            _warn(str(error))
            self._load(self._config)
            return
        if config == self._config:
            return
        restarting = restart_fields(self._config, config)
        if restarting:
            self._restart(config)
            _tell(f"New run: {', '.join(restarting)} changed.")
        else:
            self._config, self._version = config, self._version + 1
            self.runner.configure(config, self._version)

    def _restart(self, config: RunConfig) -> None:
        self._config, self._version = config, self._version + 1
        self.runner.reset(config, self._version)

    def _load(self, config: RunConfig) -> None:
        """Show a configuration without acting on it."""
        self._loading = True
        try:
            self.settings.load(config)
        finally:
            self._loading = False
        self._config = config

    def _build_page(self) -> pmui.Page:
        carrier = self.board.views["activity"].figures["raster"]
        carrier.tags = [self.stream.frames, self.stream.painted, self.keyboard.keys]
        page = pmui.Page(
            title="pcmlab",
            header=[self.header.view],
            sidebar=[self.sidebar.view],
            main=[self.board.view],
            sidebar_width=theme.SIDEBAR_WIDTH,
            sidebar_resizable=False,
            busy_indicator=None,
            theme_config=theme.MUI,
            sx=theme.PAGE,
        )
        _cut_busy(page)
        page.param.watch(lambda change: self.board.paint(change.new), "dark_theme")
        return page


def _cut_busy(page: pmui.Page) -> None:
    """Stop the page from following the process-wide busy flag.

    Every widget event of every session toggles that flag twice, and each toggle walks the whole
    model tree of every open page.
    """
    with edit_readonly(page):
        page.busy = False


def _tell(sentence: str) -> None:
    if pn.state.notifications is not None:
        pn.state.notifications.info(sentence, duration=3000)


def _warn(sentence: str) -> None:
    if pn.state.notifications is not None:
        pn.state.notifications.error(sentence, duration=7000)
