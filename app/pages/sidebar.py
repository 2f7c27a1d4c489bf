"""The sidebar of the Live page."""

from __future__ import annotations

from typing import Any

import panel as pn
import panel_material_ui as pmui

from app.controls import PERCENT, POWER, POWER_SECONDS, POWER_TIMES, TIMES, WIDE, Controls, heading
from app.settings import Settings, device_presets, label
from training.schemes import SCHEMES

FIRST_SCHEMES = ("mixed-precision", "sign", "stochastic", "multi-memristor", "update-ready", "float32")
BITS = {"FP32": None, "8": 8, "6": 6, "4": 4, "3": 3, "2": 2}
POLARITIES = {"1": 1, "2": 2, "4": 4, "8": 8}
ANALOG = (
    "device_preset",
    "mismatch",
    "write_noise",
    "read_noise",
    "drift_exponent",
    "drift_scale",
    "devices",
    "refresh",
)
NO_DEVICES = "Float32 keeps its weights in digital memory: there are no devices to set."


class Sidebar:
    """Update, Device, Task and network.

    Parameters
    ----------
    settings : Settings
        What the widgets show and change.
    controls : Controls
        Builds and binds them.
    """

    def __init__(self, settings: Settings, controls: Controls) -> None:
        self._settings, self._controls = settings, controls
        self._hint = pn.pane.HTML(
            NO_DEVICES, margin=(0, 0, 2, 0), sizing_mode="stretch_width", visible=False,
            styles={"font-size": "11.5px", "color": "var(--panel-on-secondary-color)"},
        )  # fmt: skip
        self.view = pn.Column(*self._update(), margin=(4, 14, 10, 14), sizing_mode="stretch_width")

    def complete(self) -> None:
        """Add the sections below the first; left for later, so that the plots can be drawn sooner."""
        self.view.extend([*self._device(), *self._network()])
        self._settings.param.watch(self._adapt, ["scheme", "device_preset"])
        self._adapt()

    def _update(self) -> list[Any]:
        schemes = dict.fromkeys((*FIRST_SCHEMES, *SCHEMES))
        controls = self._controls
        return [
            heading("Update"),
            controls.choice("scheme", "Scheme", {label(name): name for name in schemes}, [WIDE]),
            controls.choice("weight_bits", "Bit precision", BITS),
            controls.log_slider("rate_factor", "Learning rates", POWER_TIMES),
            *self._rates(),
        ]

    def _rates(self) -> list[Any]:
        """A button that unfolds one slider per array; they are built when first wanted."""
        folded = pn.Column(sizing_mode="stretch_width", margin=0, visible=False)
        more = pmui.Button(label="More: one rate per array", icon="expand_more", **FOLD)

        def toggle(_: Any) -> None:
            if not folded.objects:
                names = {
                    "lr_input": "Input weights",
                    "lr_recurrent": "Recurrent weights",
                    "lr_output": "Output weights",
                }
                folded.objects = [self._controls.log_slider(name, text) for name, text in names.items()]
            folded.visible = not folded.visible
            more.param.update(icon="expand_less" if folded.visible else "expand_more")

        more.on_click(toggle)
        return [more, folded]

    def _device(self) -> list[Any]:
        controls, shown = self._controls, self._settings.config()
        return [
            heading("Device"),
            self._hint,
            controls.select("device_preset", "Device model", {name: name for name in device_presets(shown)}),
            controls.slider("mismatch", "Mismatch level", 0.01, PERCENT),
            controls.slider("write_noise", "Write noise", 0.05, TIMES),
            controls.slider("read_noise", "Read noise", 0.05, TIMES),
            controls.slider("drift_exponent", "Drift exponent ν", 0.005),
            controls.slider("drift_scale", "Drift", 0.05, TIMES),
            controls.choice("devices", "Devices per polarity", POLARITIES),
            controls.switch("refresh", "Refresh saturated pairs"),
        ]

    def _network(self) -> list[Any]:
        controls = self._controls
        return [
            heading("Task and network"),
            controls.integer("seed", "Seed"),
            controls.slider("hidden", "Hidden neurons", 10),
            controls.log_slider("threshold", "Firing threshold", POWER),
            controls.log_slider("update_interval", "Time between updates", POWER_SECONDS),
        ]

    def _adapt(self, *_: Any) -> None:
        """Show the drift that the device has; without devices, say so."""
        widgets, settings = self._controls.widgets, self._settings
        for name in ("drift_exponent", "drift_scale"):
            widgets[name].visible = name == settings.drift_name
        for name in ANALOG:
            widgets[name].disabled = settings.digital
        self._hint.visible = settings.digital


FOLD: dict[str, Any] = {
    "variant": "text", "size": "small", "margin": 0, "width": 190,
    "stylesheets": [
        """
button.MuiButton-root { text-transform: none; font-size: 11.5px; font-weight: 400; padding: 0; line-height: 1.5;
  color: var(--mui-palette-text-secondary); justify-content: flex-start; min-height: 20px }
"""
    ],
}  # fmt: skip
