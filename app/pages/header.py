"""The top bar of the Live page: preset, play, step, reset, tempo."""

from __future__ import annotations

from typing import Any, Protocol

import panel as pn
import panel_material_ui as pmui

from app.controls import responsive
from app.runner import Runner
from app.trainer import Shot
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


class Header:
    """The top bar.

    Parameters
    ----------
    preset : str
        The preset shown at first.
    page : Acts
        Does what is asked.
    """

    def __init__(self, preset: str, page: Acts) -> None:
        self._running = False
        self.preset = self._select("Preset", list(PRESETS), preset, 190)
        self.preset.param.watch(lambda change: page.choose_preset(change.new), "value")
        self.play = self._button("Play", "play_arrow", page.toggle)
        self.step = self._button("Step", "skip_next", page.runner.step)
        self.reset = self._button("Reset", "restart_alt", page.reset)
        self.tempo = self._select("Tempo", TEMPOS, 0.0, 130)
        self.tempo.param.watch(lambda change: page.runner.limit(change.new), "value")
        self.view = pn.Row(
            pn.Spacer(sizing_mode="stretch_width"),
            self.preset, self.play, self.step, self.reset, self.tempo,
            sizing_mode="stretch_width", margin=0, align="center",
        )  # fmt: skip

    def follow(self, shot: Shot) -> None:
        """Let the play button say what a click would do."""
        if shot.running != self._running:
            self._running = shot.running
            self.play.param.update(
                label="Pause" if shot.running else "Play",
                icon="pause" if shot.running else "play_arrow",
            )

    @staticmethod
    def _button(label: str, icon: str, act: Any) -> pmui.Button:
        button = pmui.Button(
            label=label, icon=icon, size="small", variant="contained", color="primary",
            width=92, margin=(0, 3), stylesheets=[BUTTON], css_classes=[label.lower()],
        )  # fmt: skip
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
                margin=(0, 8),
                stylesheets=[SELECT],
            )
        )


BUTTON = """
button.MuiButton-root { text-transform: none; font-size: 12px; font-weight: 500; padding: 4px 10px;
  color: #fff !important; background: #2b3a47 !important; box-shadow: none !important; line-height: 1.5; width: 100% }
button.MuiButton-root:hover { background: #3a4c5b !important }
:host(.play) button.MuiButton-root { background: #0072b2 !important }
:host(.play) button.MuiButton-root:hover { background: #0a86cc !important }
"""
SELECT = """
.MuiInputBase-root { color: #fff; font-size: 12px; background: #22303c; height: 31px }
.MuiOutlinedInput-notchedOutline { border-color: #3a4c5b !important }
.MuiInputLabel-root, .MuiSvgIcon-root { color: #9fb0be !important }
.MuiInputLabel-root { font-size: 12px }
.MuiMenu-paper { background: #22303c !important; color: #fff !important }
.MuiMenu-paper .MuiTypography-root { font-size: 12px; color: #fff }
"""
