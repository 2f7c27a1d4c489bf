"""What a run is compared with: pinned runs, the twin, ideal weights; and how smooth curves are drawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import panel as pn
import panel_material_ui as pmui

from app.controls import responsive
from app.history import SMOOTHING, Table
from app.reference import Reference, reference, tidy
from app.settings import label, scheme_name
from app.shot import Shot
from app.views.learning import Ghost
from training.config import RunConfig
from training.twin import NON_IDEALITIES

MOST_PINS = 4

NEWS = 50
"""Trials of the reference that are drawn at once where the run itself stands still."""


class Comparison:
    """The learning plot's companions and their controls.

    Parameters
    ----------
    changed : callable
        Called when the plot should be drawn anew.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._pins: list[tuple[str, Table]] = []
        self._reference: Reference | None = None
        self._of: RunConfig | None = None
        look: dict[str, Any] = {"size": "small", "stylesheets": [SMALL]}
        self.ideal = responsive(pmui.Switch(label="Ideal", value=True, margin=(2, 0, 0, 4), **look))
        self.smoothing = responsive(
            pmui.IntSlider(
                label="Smoothing",
                value=round(SMOOTHING),
                start=1,
                end=200,
                width=88,
                margin=(0, 6),
                tooltips=False,
                **look,
            )
        )
        for widget in (self.ideal, self.smoothing):
            widget.param.watch(lambda _: changed(), "value")
        self.chips = [self._chip(place) for place in range(MOST_PINS)]
        self.pins = pn.Row(*self.chips, sizing_mode="stretch_width", margin=(0, 8), visible=False, height=24)

    @property
    def news(self) -> int:
        """Grows as the reference gets on: a run that stands still has it drawn all the same."""
        return 0 if self._reference is None else self._reference.done // NEWS

    @property
    def trials(self) -> float:
        """Trials over which curves are smoothed."""
        return float(self.smoothing.value)

    def pin(self, shot: Shot) -> str:
        """Keep the present curve as a ghost; what to tell the person."""
        name = describe(shot.config)
        self._pins.append((name, {key: values.copy() for key, values in shot.curve.columns().items()}))
        dropped = self._pins.pop(0)[0] if len(self._pins) > MOST_PINS else ""
        self._show_pins()
        return f"Pinned: {name}." + (f" {dropped} made room." if dropped else "")

    def ghosts(self, shot: Shot) -> list[Ghost]:
        """What to draw behind the run's own curve."""
        shown = [Ghost(name, table, "pin") for name, table in self._pins]
        if shot.twin is not None and shot.twin.record is not None:
            named = f"without {NON_IDEALITIES[shot.twin.name].label.lower()}"
            shown.append(Ghost(named, shot.twin.curve.columns(), "twin"))
        if self.ideal.value and not shot.config.scheme.digital and shot.record is not None:
            shown.append(Ghost("ideal weights", self._follow(shot, shot.record.trial).curve.columns(), "reference"))
        return [ghost for ghost in shown if len(ghost.table["trial"])]

    def close(self) -> None:
        """Nobody looks any more."""
        if self._reference is not None:
            self._reference = None
            tidy()

    def _follow(self, shot: Shot, trial: int) -> Reference:
        if self._reference is None or self._of != shot.config:
            self._of, self._reference = shot.config, reference(shot.config)
        self._reference.keep_ahead(trial)
        return self._reference

    def _show_pins(self) -> None:
        for place, chip in enumerate(self.chips):
            chip.visible = place < len(self._pins)
            if chip.visible:
                chip.label = self._pins[place][0]
        self.pins.visible = bool(self._pins)
        self._changed()

    def _unpin(self, place: int) -> None:
        del self._pins[place]
        self._show_pins()

    def _chip(self, place: int) -> Any:
        chip = pmui.Button(
            label="pin", end_icon="close", size="small", variant="text", visible=False, margin=(0, 2),
            description="Remove this pinned run", css_classes=["pin", f"pin{place}"], stylesheets=[CHIP],
        )  # fmt: skip
        chip.on_click(lambda _: self._unpin(place))
        return responsive(chip)


def describe(config: RunConfig) -> str:
    """A run in a few words: scheme, bits, mismatch, seed.

    Examples
    --------
    >>> describe(RunConfig())
    'Mixed precision, 4 bit, seed 42'
    """
    bits = config.precision.weight_bits
    precision = [] if not config.scheme.uses_weight_bits else ["FP32" if bits is None else f"{bits} bit"]
    mismatch = [f"{config.device.mismatch.step:.0%} mismatch"] if config.device.mismatch.step else []
    return ", ".join([label(scheme_name(config)), *precision, *mismatch, f"seed {config.seed}"])


SMALL = """
.MuiFormControlLabel-label, .MuiFormLabel-root { font-size: calc(12px * var(--text, 1));
  color: var(--mui-palette-text-secondary) }
.MuiSlider-root { padding: 3px 0 !important; display: block }
.MuiFormLabel-root { line-height: 1.1 }
"""
CHIP = """
button.MuiButton-root { text-transform: none; font-size: calc(12px * var(--text, 1));
  padding: 0 6px; line-height: 1.5; min-height: 22px }
.MuiButton-endIcon svg, .MuiButton-endIcon span { font-size: calc(13px * var(--text, 1)) !important }
"""
