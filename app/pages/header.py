"""The top bar of the Live page: preset, play, step, reset, tempo; pin, share, export, large text, help."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import panel as pn
import panel_material_ui as pmui

from app.controls import NAMING_TIP, Picker, responsive
from app.runner import Runner
from app.shot import Shot
from training.config import RunConfig
from training.presets import PRESETS

TEMPOS = {"full speed": 0.0, "30 trials/s": 30.0, "10 trials/s": 10.0, "3 trials/s": 3.0, "1 trial/s": 1.0}


class Acts(Protocol):
    """What the top bar can ask for."""

    runner: Runner

    def toggle(self) -> None:
        """Play or pause."""

    def reset(self) -> None:
        """Begin the run anew."""

    def choose_preset(self, name: str) -> None:
        """Begin a new run with a preset."""

    def pin(self) -> None:
        """Keep the learning curve as a ghost."""

    def share(self) -> None:
        """Put the run's address on the clipboard."""

    def export(self) -> None:
        """Open the export dialog."""

    def help(self) -> None:
        """Open the help dialog."""

    def enlarge(self, large: bool) -> None:
        """Draw text large, for projection, or at its usual size."""


class Header:
    """The top bar.

    Parameters
    ----------
    preset : str
        The preset shown at first.
    config : RunConfig
        The settings shown at first; see `show_preset`.
    page : Acts
        Does what is asked.
    """

    def __init__(self, preset: str, config: RunConfig, page: Acts) -> None:
        self._running = False
        self.preset = self._select("Preset", list(PRESETS), preset, 196)
        self._presets = Picker(self.preset, page.choose_preset)
        self.show_preset(preset, config)
        self.play = self._button("Play", "play_arrow", page.toggle)
        self.step = self._button("Step", "skip_next", page.runner.step)
        self.reset = self._button("Reset", "restart_alt", page.reset)
        self.tempo = self._select("Tempo", TEMPOS, 0.0, 122)
        self.tempo.param.watch(lambda change: page.runner.limit(change.new), "value")
        self.pin = self._button("Pin run", "push_pin", page.pin)
        self.share = self._button("Share", "link", page.share)
        self.export = self._button("Export", "download", page.export)
        self.large = self._icon("Large text", "format_size", lambda: None)
        self.large.on_click(lambda _: self._enlarge(page))
        self.help = self._icon("Help", "help", page.help)
        self.view = pn.Row(
            pn.Spacer(sizing_mode="stretch_width"),
            self.preset, self.play, self.step, self.reset, self.tempo, self.pin, self.share, self.export,
            self.large, self.help,
            sizing_mode="stretch_width", margin=0, align="center",
        )  # fmt: skip
        self._large = False

    def show_preset(self, name: str, config: RunConfig) -> None:
        """Name the preset that the settings are told from; where they differ, that too, and it can be picked anew."""
        if config == PRESETS[name].config:
            self._presets.show(name, label="Preset", options=list(PRESETS))
        else:
            changed = f"{name} *"
            self._presets.show(changed, label="Preset, changed", options=[changed, *PRESETS])

    def follow(self, shot: Shot) -> None:
        """Let the play button say what a click would do."""
        if shot.running != self._running:
            self._running = shot.running
            self.play.param.update(
                label="Pause" if shot.running else "Play",
                icon="pause" if shot.running else "play_arrow",
            )

    def _enlarge(self, page: Acts) -> None:
        self._large = not self._large
        page.enlarge(self._large)

    @staticmethod
    def _button(label: str, icon: str, act: Callable[[], Any]) -> pmui.Button:
        button = pmui.Button(
            label=label, icon=icon, size="small", variant="contained", color="primary",
            margin=(0, 3), stylesheets=[BUTTON], css_classes=[label.lower().replace(" ", "-")],
        )  # fmt: skip
        button.on_click(lambda _: act())
        return responsive(button)

    @staticmethod
    def _icon(label: str, icon: str, act: Callable[[], Any]) -> pmui.IconButton:
        button = pmui.IconButton(
            description=label,
            icon=icon,
            size="small",
            margin=(0, 1),
            align="center",
            stylesheets=[ICON],
            theme_config=NAMING_TIP,
        )
        button.on_click(lambda _: act())
        return responsive(button)

    @staticmethod
    def _select(label: str, options: Any, value: Any, width: int) -> pmui.Select:
        return responsive(
            pmui.Select(
                label=label,
                options=options,
                value=value,
                size="small",
                width=width,
                margin=(0, 6),
                stylesheets=[SELECT],
            )
        )


BUTTON = """
button.MuiButton-root { text-transform: none; font-size: 12.5px; font-weight: 500; padding: 4px 10px; min-width: 0;
  color: #fff !important; background: #2b3a47 !important; box-shadow: none !important; line-height: 1.5 }
button.MuiButton-root:hover { background: #3a4c5b !important }
:host(.play) button.MuiButton-root { background: #0072b2 !important; min-width: 84px }
:host(.play) button.MuiButton-root:hover { background: #0a86cc !important }
@media (max-width: 1180px) {
  button.MuiButton-root { font-size: 0; padding: 5px 8px }
  :host(.play) button.MuiButton-root { min-width: 0 }
  .MuiButton-startIcon { margin: 0 !important }
  .MuiButton-startIcon * { font-size: 18px !important }
}
"""
ICON = """
button.MuiIconButton-root { color: #c9d5de !important; padding: 5px }
.MuiTooltip-popper { pointer-events: none !important }
"""
SELECT = """
.MuiInputBase-root { color: #fff; font-size: 12.5px; background: #22303c; height: 31px }
.MuiOutlinedInput-notchedOutline { border-color: #3a4c5b !important }
.MuiInputLabel-root, .MuiSvgIcon-root { color: #9fb0be !important }
.MuiInputLabel-root { font-size: 12px }
.MuiMenu-paper { background: #22303c !important; color: #fff !important }
.MuiMenu-paper .MuiTypography-root { font-size: 12.5px; color: #fff }
"""
