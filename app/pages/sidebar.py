"""The sidebar of the Live page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import panel as pn
import panel_material_ui as pmui

from app.controls import (
    CELLS,
    FINE_PERCENT,
    OHM,
    PERCENT,
    POWER,
    POWER_SECONDS,
    POWER_TIMES,
    STYLE,
    TIMES,
    WIDE,
    Controls,
    Picker,
    heading,
    responsive,
)
from app.settings import Settings, device_presets, label
from app.shot import Twin
from app.views.status import duration
from app.words import Words
from training.aging import SPANS, Aging
from training.schemes import SCHEMES
from training.twin import NON_IDEALITIES

FIRST_SCHEMES = ("mixed-precision", "sign", "stochastic", "multi-memristor", "update-ready", "float32")
BITS = {"FP32": None, "8": 8, "7": 7, "6": 6, "5": 5, "4": 4, "3": 3, "2": 2}
GATHERED = {"FP32": None, "16": 16, "12": 12, "8": 8, "6": 6}
ASKED = {"FP32": None, "8": 8, "6": 6, "4": 4, "3": 3, "2": 2}
ADC = {"exact": None, "12": 12, "10": 10, "8": 8, "6": 6, "4": 4, "3": 3}
DAC = {"exact": None, "8": 8, "6": 6, "4": 4, "2": 2}
READS = {"off": 0, "4": 4, "16": 16, "64": 64, "256": 256}
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
    "wire_resistance",
)
NO_TWIN = ""
NO_DEVICES = "These weights are kept in digital memory: there are no devices to set."


class Sidebar:
    """Update, Device, Cores, Task and network.

    Parameters
    ----------
    settings : Settings
        What the widgets show and change.
    controls : Controls
        Builds and binds them.
    age : callable
        Leaves the chip alone for so many seconds.
    pair : callable
        Lets a twin without the named non-ideality go beside the run, or none.
    bring : callable
        Asks for data of the person's own.
    """

    def __init__(
        self,
        settings: Settings,
        controls: Controls,
        age: Callable[[float], object],
        pair: Callable[[str | None], object],
        bring: Callable[[], None],
    ) -> None:
        self._settings, self._controls, self._age, self._bring = settings, controls, age, bring
        twins = {f"without {known.label.lower()}": name for name, known in NON_IDEALITIES.items()}
        self.twin = pmui.Select(
            label="Twin",
            options={"none": NO_TWIN, **twins},
            value=NO_TWIN,
            size="small",
            sizing_mode="stretch_width",
            margin=(9, 0, 3, 0),
            stylesheets=[STYLE],
            description="Runs beside the run from now on: same state, same random numbers, one non-ideality off.",
        )
        self._twins = Picker(self.twin, lambda name: pair(name or None))
        self.aged = Words(html="", sizing_mode="stretch_width", margin=0, stylesheets=[AGED])
        self.ages: list[Any] = []
        self._hint = pn.pane.HTML(
            NO_DEVICES, margin=(0, 0, 2, 0), sizing_mode="stretch_width", visible=False,
            styles={"font-size": "calc(11.5px * var(--text, 1))", "color": "var(--panel-on-secondary-color)"},
        )  # fmt: skip
        self.view = pn.Column(*self._update(), margin=(4, 14, 10, 14), sizing_mode="stretch_width")

    def complete(self) -> None:
        """Add the sections below the first; left for later, so that the plots can be drawn sooner."""
        self.view.extend([*self._device(), *self._cores(), *self._network(), *self._aging(), *self._costs()])
        self._settings.param.watch(self._adapt, ["scheme", "device_preset"])
        self._settings.param.watch(self._unfold_converters, "cores")
        self._unfold_converters()
        self._adapt()

    def _update(self) -> list[Any]:
        names = {label(name): name for name in dict.fromkeys((*FIRST_SCHEMES, *SCHEMES))}
        controls = self._controls
        return [
            heading("Update"),
            *controls.metered("scheme", controls.choice("scheme", "Scheme", names, [WIDE])),
            *controls.metered("weight_bits", controls.choice("weight_bits", "Bit precision", BITS)),
            *self._digital(),
            controls.log_slider("rate_factor", "Learning rates", POWER_TIMES),
            *self._rates(),
        ]

    def _digital(self) -> list[Any]:
        """A button that unfolds the bits of what the digital side computes with."""
        controls = self._controls
        return self._folded(
            "More: bits of updates",
            lambda: [
                controls.choice("accumulator_bits", "Accumulator bits", GATHERED),
                controls.choice("gradient_bits", "Gradient bits", ASKED),
            ],
        )

    def _rates(self) -> list[Any]:
        """A button that unfolds one slider per array."""
        names = {"lr_input": "Input weights", "lr_recurrent": "Recurrent weights", "lr_output": "Output weights"}
        return self._folded(
            "More: one rate per array", lambda: [self._controls.log_slider(name, text) for name, text in names.items()]
        )

    def _folded(self, label: str, build: Callable[[], list[Any]]) -> list[Any]:
        """A button that unfolds widgets; they are built when first wanted."""
        folded = pn.Column(sizing_mode="stretch_width", margin=0, visible=False)
        more = pmui.Button(label=label, icon="expand_more", **FOLD)

        def toggle(_: Any) -> None:
            if not folded.objects:
                folded.objects = build()
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
            *controls.metered("mismatch", controls.slider("mismatch", "Mismatch level", 0.01, PERCENT)),
            *controls.metered("write_noise", controls.slider("write_noise", "Write noise", 0.05, TIMES)),
            *controls.metered("read_noise", controls.slider("read_noise", "Read noise", 0.05, TIMES)),
            *controls.metered("drift_exponent", controls.slider("drift_exponent", "Drift exponent ν", 0.005)),
            *controls.metered("drift_scale", controls.slider("drift_scale", "Drift", 0.05, TIMES)),
            *controls.metered("devices", controls.choice("devices", "Devices per polarity", POLARITIES)),
            *controls.metered("refresh", controls.switch("refresh", "Refresh saturated pairs")),
            self.twin,
        ]

    def _cores(self) -> list[Any]:
        self._converting = pn.Column(sizing_mode="stretch_width", margin=0, visible=False)
        switch = self._controls.switch("cores", "Cores and converters")
        return [heading("Cores"), *self._controls.metered("cores", switch), self._converting]

    def _converters(self) -> list[Any]:
        controls = self._controls
        return [
            *controls.metered("adc_range", controls.log_slider("adc_range", "ADC range", CELLS)),
            *controls.metered("adc_bits", controls.choice("adc_bits", "ADC bits", ADC)),
            *controls.metered("dac_bits", controls.choice("dac_bits", "DAC bits", DAC)),
            *controls.metered("mvm_noise", controls.slider("mvm_noise", "Conversion noise", 0.001, FINE_PERCENT)),
            *controls.metered(
                "converter_spread", controls.slider("converter_spread", "Gain and offset spread", 0.01, PERCENT)
            ),
            *controls.metered("calibration", controls.choice("calibration", "Calibration reads", READS)),
            *controls.metered("wire_resistance", controls.slider("wire_resistance", "Wire resistance", 0.5, OHM)),
        ]

    def _unfold_converters(self, *_: Any) -> None:
        """What converters have to set is there while there are converters; it is built when first wanted."""
        if self._settings.cores and not self._converting.objects:
            self._converting.objects = self._converters()
            self._adapt()
        self._converting.visible = self._settings.cores

    def _network(self) -> list[Any]:
        controls = self._controls
        return [
            heading("Task and network"),
            self._bringing(),
            controls.choice("rule", "Learning rule", {"e-prop": "e-prop", "BPTT": "bptt"}),
            controls.integer("seed", "Seed"),
            controls.slider("hidden", "Hidden neurons", 10),
            controls.log_slider("threshold", "Firing threshold", POWER),
            *controls.metered("neuron_mismatch", controls.slider("neuron_mismatch", "Neuron mismatch", 0.01, PERCENT)),
            controls.log_slider("update_interval", "Time between updates", POWER_SECONDS),
        ]

    def _bringing(self) -> Any:
        button = pmui.Button(
            label="Data of your own", icon="upload_file", size="small", variant="outlined", margin=(2, 0, 8, 0),
            sizing_mode="stretch_width",
            description="Train on MNIST, SHD or spikes of your own; the tasks that need no files are presets.",
            stylesheets=[AGE],
        )  # fmt: skip
        button.on_click(lambda _: self._bring())
        return responsive(button)

    def _aging(self) -> list[Any]:
        """Buttons that leave the chip alone for a while, and what was left of the accuracy afterwards."""
        buttons = [self._age_button(name, seconds) for name, seconds in SPANS.items()]
        return [
            heading("Fast-forward drift"),
            pn.pane.HTML("Leave the chip alone for", margin=0, stylesheets=[HINT]),
            pn.Row(*buttons, sizing_mode="stretch_width", margin=0),
            self.aged,
        ]

    def _age_button(self, name: str, seconds: float) -> Any:
        button = pmui.Button(
            label=name, size="small", variant="outlined", sizing_mode="stretch_width", margin=(2, 1),
            description=f"Age the chip by {name} without training; learning goes on afterwards.", stylesheets=[AGE],
        )  # fmt: skip
        button.on_click(lambda _: self._age(seconds))
        self.ages.append(responsive(button))
        return button

    def show_meters(self, lines: Mapping[str, str]) -> None:
        """What each setting does right now, below its control."""
        self._controls.show(lines)

    def show_twin(self, twin: Twin | None) -> None:
        """The twin that goes beside the run, if any does."""
        self._twins.show(NO_TWIN if twin is None else twin.name)

    def show_aging(self, aging: Aging | None) -> None:
        """What the latest fast-forward left of the accuracy."""
        self.aged.show("" if aging is None else aging_html(aging))

    def _costs(self) -> list[Any]:
        """A button that unfolds the energy of each event, to be edited."""
        controls = self._controls
        return self._folded(
            "Energy and endurance",
            lambda: [
                controls.number("set_pulse", "SET pulse (pJ)"),
                controls.number("reset_pulse", "RESET (pJ)"),
                controls.number("read_voltage", "Read voltage (V)"),
                controls.number("read_time", "Read time (ns)"),
                controls.number("endurance", "Endurance (writes)"),
            ],
        )

    def _adapt(self, *_: Any) -> None:
        """Show the drift that the device has; without devices, say so."""
        widgets, settings = self._controls.widgets, self._settings
        for name in ("drift_exponent", "drift_scale"):
            widgets[name].visible = name == settings.drift_name
            self._controls.meters[name].visible = name == settings.drift_name
        analog = (widgets[name] for name in ANALOG if name in widgets)
        for widget in (*analog, self.twin, *self.ages):
            widget.disabled = settings.digital
        self._hint.visible = settings.digital


def aging_html(aging: Aging) -> str:
    """What a fast-forward left of the accuracy, in words and numbers."""
    rows = (("before", aging.before), ("now", aging.after), ("with drift compensation", aging.compensated))
    facts = "".join(f"<dt>{label}</dt><dd>{value:.3g}</dd>" for label, value in rows)
    return f"<p>Error after {duration(aging.seconds)} alone:</p><dl>{facts}</dl>"


HINT = ":host { font-size: calc(12px * var(--text, 1)); color: var(--panel-on-secondary-color) }"
AGE = """
button.MuiButton-root { text-transform: none; font-size: calc(11.5px * var(--text, 1));
  padding: 2px 0; min-width: 0; line-height: 1.5;
  white-space: nowrap; letter-spacing: -.01em }
"""
AGED = """
.words { font-size: calc(12px * var(--text, 1)); color: var(--panel-on-surface-color) } p { margin: 3px 0 1px }
dl { display: grid; grid-template-columns: auto auto; gap: 0 10px; margin: 0 } dd { margin: 0; text-align: right }
dt { color: var(--panel-on-secondary-color) }
"""

FOLD: dict[str, Any] = {
    "variant": "text", "size": "small", "margin": 0, "width": 190,
    "stylesheets": [
        """
button.MuiButton-root { text-transform: none; font-size: calc(11.5px * var(--text, 1));
  font-weight: 400; padding: 0; line-height: 1.5;
  color: var(--mui-palette-text-secondary); justify-content: flex-start; min-height: 20px }
"""
    ],
}  # fmt: skip
