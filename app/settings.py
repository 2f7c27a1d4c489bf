"""The settings that the page exposes, as a Param class over `RunConfig`.

Ranges, units, meanings and sources come from the metadata of the library's fields. No Panel here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import param

from pcmsim.closed_loop import ClosedLoopModel
from pcmsim.core import CoreConfig
from pcmsim.energy import ABOUT, PCM_COSTS, PREFIXES, EventCosts
from pcmsim.mismatch import DeviceMismatch
from pcmsim.model import DeviceModel
from pcmsim.presets import DEVICES, device_model
from pcmsim.pulse import PulseModel
from pcmsim.quantity import Quantity, quantities
from training.config import DeviceConfig, LearningConfig, RunConfig
from training.learning import RULES
from training.neurons import NetworkConfig
from training.precision import PrecisionConfig
from training.presets import PRESETS
from training.schemes import SCHEMES, RefreshConfig


@dataclass(frozen=True)
class Setting:
    """Where a setting lives.

    Parameters
    ----------
    path : str
        Dotted name in `RunConfig`.
    owner : type
        The dataclass that declares it.
    typical : tuple of float, optional
        The part of the allowed range that a slider covers.
    prefix : int
        Power of ten of the SI prefix with which the page shows it.
    """

    path: str
    owner: type
    typical: tuple[float, float] | None = None
    prefix: int = 0

    @property
    def field(self) -> str:
        """Name within the owner."""
        return self.path.rsplit(".", 1)[-1]

    @property
    def about(self) -> Quantity:
        """What the library knows of it."""
        return quantities(self.owner)[self.field]

    @property
    def scale(self) -> float:
        """What 1 on the page is in the library's unit."""
        return 10.0**self.prefix

    @property
    def shown(self) -> Quantity:
        """What the library knows of it, in the unit that the page shows."""
        bounds = {name: getattr(self.about, name) for name in ("minimum", "maximum", "above")}
        scaled = {name: None if bound is None else bound / self.scale for name, bound in bounds.items()}
        return replace(self.about, unit=PREFIXES[self.prefix] + self.about.unit, **scaled)


RATES = ("lr_input", "lr_recurrent", "lr_output")
NOISES = ("write_noise", "read_noise")
DRIFTS = ("drift_exponent", "drift_scale")

SETTINGS: dict[str, Setting] = {
    "weight_bits": Setting("precision.weight_bits", PrecisionConfig),
    "accumulator_bits": Setting("precision.accumulator_bits", PrecisionConfig),
    "gradient_bits": Setting("precision.gradient_bits", PrecisionConfig),
    "lr_input": Setting("learning.lr_input", LearningConfig, (1e-7, 1e-1)),
    "lr_recurrent": Setting("learning.lr_recurrent", LearningConfig, (1e-7, 1e-1)),
    "lr_output": Setting("learning.lr_output", LearningConfig, (1e-7, 1e-1)),
    "device_preset": Setting("device.preset", DeviceConfig),
    "mismatch": Setting("device.mismatch.step", DeviceMismatch),
    "write_noise": Setting("device.constants.write_noise", PulseModel, (0.0, 3.0)),
    "read_noise": Setting("device.constants.read_noise", PulseModel, (0.0, 3.0)),
    "drift_exponent": Setting("device.constants.drift_exponent", PulseModel, (0.0, 0.15)),
    "drift_scale": Setting("device.constants.drift_scale", ClosedLoopModel, (0.0, 3.0)),
    "devices": Setting("device.devices", DeviceConfig),
    "refresh": Setting("refresh.enabled", RefreshConfig),
    "cores": Setting("core.enabled", CoreConfig),
    "adc_bits": Setting("core.adc_bits", CoreConfig),
    "dac_bits": Setting("core.dac_bits", CoreConfig),
    "adc_range": Setting("core.adc_range", CoreConfig, (0.02, 20.0)),
    "mvm_noise": Setting("core.mvm_noise", CoreConfig, (0.0, 0.1)),
    "converter_spread": Setting("core.gain_spread", CoreConfig, (0.0, 0.2)),
    "calibration": Setting("core.calibration", CoreConfig),
    "wire_resistance": Setting("core.wire_resistance", CoreConfig, (0.0, 20.0)),
    "seed": Setting("seed", RunConfig),
    "hidden": Setting("network.hidden", NetworkConfig, (10, 300)),
    "threshold": Setting("network.threshold", NetworkConfig, (0.01, 1.0)),
    "neuron_mismatch": Setting("network.tau_mismatch", NetworkConfig),
    "rule": Setting("learning.rule", LearningConfig),
    "update_interval": Setting("device.update_interval", DeviceConfig, (1.0, 1e6)),
    "set_pulse": Setting("costs.set_pulse", EventCosts, prefix=-12),
    "reset_pulse": Setting("costs.reset_pulse", EventCosts, prefix=-12),
    "read_voltage": Setting("costs.read_voltage", EventCosts),
    "read_time": Setting("costs.read_time", EventCosts, prefix=-9),
    "endurance": Setting("costs.endurance", EventCosts),
}
"""Every single field that the page exposes; the scheme and the learning-rate factor are apart."""

LEVELS = {
    "mismatch": ("device.mismatch.step", "device.mismatch.g_max", "device.mismatch.drift_exponent"),
    "neuron_mismatch": ("network.tau_mismatch", "network.threshold_mismatch"),
    "converter_spread": ("core.gain_spread", "core.offset_spread"),
}
"""Settings that move several fields together; the first is shown."""

FACTOR_RANGE = (0.01, 100.0)


def describe(name: str) -> str:
    """Meaning, unit, allowed and typical range, and source of a setting, for a tooltip."""
    if name == "scheme":
        return " ".join(f"{label(known)}: {scheme.summary}" for known, scheme in SCHEMES.items())
    if name == "mismatch":
        return f"One level for SET step, maximum conductance and drift exponent. {_tooltip(SETTINGS[name])}"
    if name == "neuron_mismatch":
        return f"One level for all time constants and the threshold. {_tooltip(SETTINGS[name])}"
    if name == "converter_spread":
        return f"One level for gains, and for offsets as a share of the range. {_tooltip(SETTINGS[name])}"
    if name == "rate_factor":
        return "Moves all three learning rates together, by the same factor."
    return _tooltip(SETTINGS[name])


def _tooltip(setting: Setting) -> str:
    about = setting.shown
    typical = "" if setting.typical is None else f" Typical: {setting.typical[0]:g} to {setting.typical[1]:g}."
    allowed = "" if about.kind in (str, bool) else f" Allowed: {about.allowed}."
    restart = " A change restarts the run." if about.structural else ""
    return f"{about.doc}.{allowed}{typical} Source: {about.source}.{restart}"


def label(name: str) -> str:
    """A registered name as people write it."""
    return {"float32": "Float32", "mixed-precision-adam": "Mixed precision, Adam"}.get(
        name, name.replace("-", " ").capitalize()
    )


def _number(name: str) -> param.Parameter:
    setting = SETTINGS[name]
    about, default = setting.about, setting.owner.__dataclass_fields__[setting.field].default
    kind = param.Integer if about.kind is int else param.Number
    low = about.minimum if about.above is None else about.above
    return kind(
        default,
        bounds=(low, about.maximum),
        inclusive_bounds=(about.above is None, True),
        softbounds=setting.typical,
        allow_None=about.optional,
        doc=describe(name),
    )


class Settings(param.Parameterized):
    """What the controls show; `config` is the run that they describe.

    Parameters
    ----------
    config : RunConfig
        The configuration to begin with; what the page does not expose stays as it is there.
    """

    scheme = param.Selector(objects=list(SCHEMES), doc=describe("scheme"))
    weight_bits = _number("weight_bits")
    accumulator_bits = _number("accumulator_bits")
    gradient_bits = _number("gradient_bits")
    rate_factor = param.Number(1.0, bounds=FACTOR_RANGE, doc=describe("rate_factor"))
    lr_input = _number("lr_input")
    lr_recurrent = _number("lr_recurrent")
    lr_output = _number("lr_output")
    device_preset = param.Selector(objects=list(DEVICES), check_on_set=False, doc=describe("device_preset"))
    mismatch = _number("mismatch")
    write_noise = _number("write_noise")
    read_noise = _number("read_noise")
    drift_exponent = _number("drift_exponent")
    drift_scale = _number("drift_scale")
    devices = _number("devices")
    refresh = param.Boolean(False, doc=describe("refresh"))
    cores = param.Boolean(False, doc=describe("cores"))
    adc_bits = _number("adc_bits")
    dac_bits = _number("dac_bits")
    adc_range = _number("adc_range")
    mvm_noise = _number("mvm_noise")
    converter_spread = _number("converter_spread")
    calibration = _number("calibration")
    wire_resistance = _number("wire_resistance")
    seed = _number("seed")
    hidden = _number("hidden")
    threshold = _number("threshold")
    neuron_mismatch = _number("neuron_mismatch")
    rule = param.Selector(objects=list(RULES), doc=describe("rule"))
    update_interval = _number("update_interval")
    set_pulse = _number("set_pulse")
    reset_pulse = _number("reset_pulse")
    read_voltage = _number("read_voltage")
    read_time = _number("read_time")
    endurance = _number("endurance")

    def __init__(self, config: RunConfig) -> None:
        super().__init__()
        self._loading = False
        self._analog_bits: int | None = None
        self.load(config)

    @property
    def digital(self) -> bool:
        """Whether the chosen scheme keeps its weights in digital memory."""
        return SCHEMES[self.scheme].digital

    @property
    def drift_name(self) -> str:
        """Which of the two drift settings the chosen device has."""
        return next(name for name in DRIFTS if hasattr(device_model(self.device_preset), name))

    def load(self, config: RunConfig) -> None:
        """Show a configuration.

        Parameters
        ----------
        config : RunConfig
            The configuration; `config()` gives it back.
        """
        self._base, self._analog_bits = config, None
        self._rates = {name: getattr(config.learning, name) for name in RATES}
        self._loading = True
        try:
            self.param.update(**_values(config), scheme=scheme_name(config), rate_factor=1.0)
        finally:
            self._loading = False

    def config(self) -> RunConfig:
        """The run that the settings describe.

        Raises
        ------
        PCMLabError
            If they do not fit together.
        """
        shown = _values(self._base)
        shown |= shown_costs(self._base, device_model(self.device_preset))
        values = {
            SETTINGS[name].path: getattr(self, name)
            for name in SETTINGS
            if name not in (*NOISES, *DRIFTS, *LEVELS) and getattr(self, name) != shown[name]
        }
        for level, paths in LEVELS.items():
            if getattr(self, level) != shown[level]:
                values |= dict.fromkeys(paths, getattr(self, level))
        if self.scheme != scheme_name(self._base):
            values["scheme"] = scheme_values(self.scheme)
        return self._base.with_values({**values, **self._device_values()})

    def _device_values(self) -> dict[str, Any]:
        same = self.device_preset == self._base.device.preset
        constants = dict(self._base.device.constants) if same else {}
        plain = device_model(self.device_preset)
        for name in (*NOISES, self.drift_name):
            constants.pop(name, None)
            if getattr(self, name) != getattr(plain, name):
                constants[name] = getattr(self, name)
        return {"device.constants": constants, **({} if same else _array_values(self.device_preset))}

    @param.depends("rate_factor", watch=True)
    def _scale_rates(self) -> None:
        if not self._loading:
            limits = {name: self.param[name].bounds[1] for name in RATES}
            scaled = {name: min(rate * self.rate_factor, limits[name]) for name, rate in self._rates.items()}
            self._loading = True
            self.param.update(**scaled)
            self._loading = False

    @param.depends(*RATES, watch=True)
    def _rate_chosen(self) -> None:
        """A rate set by hand is the new value at the present factor."""
        if not self._loading:
            self._rates = {name: getattr(self, name) / self.rate_factor for name in RATES}

    @param.depends("scheme", watch=True)
    def _match_precision(self) -> None:
        """Floating-point weights with the digital scheme; the bits of before when devices return."""
        if self._loading:
            return
        if self.digital and self.weight_bits is not None:
            self._analog_bits, self.weight_bits = self.weight_bits, None
        elif not self.digital and self._analog_bits is not None:
            self.weight_bits, self._analog_bits = self._analog_bits, None

    @param.depends("device_preset", watch=True)
    def _match_device(self) -> None:
        """Another device comes with its own noise and drift."""
        if not self._loading:
            plain = device_model(self.device_preset)
            names = (*NOISES, self.drift_name)
            costs = shown_costs(self._base, plain)
            self.param.update(**{name: getattr(plain, name) for name in names}, **costs)


def shown_costs(config: RunConfig, device: DeviceModel) -> dict[str, float]:
    """What events of a device cost in a run, those of phase-change memory where it has no energy model."""
    costs = config.costs.over(device.costs) or PCM_COSTS
    return {name: getattr(costs, name) for name in ABOUT}


def scheme_name(config: RunConfig) -> str:
    """The registered name of a configuration's scheme."""
    return next(name for name, scheme in SCHEMES.items() if type(config.scheme) is scheme)


def scheme_values(name: str) -> dict[str, Any]:
    """A scheme with the settings of the run preset of the same name, where there is one."""
    preset = PRESETS[name].config if name in PRESETS else None
    if preset is not None and isinstance(preset.scheme, SCHEMES[name]):
        return dict(preset.to_dict()["scheme"])
    return {"name": name}


def device_presets(config: RunConfig) -> list[str]:
    """The known devices, and that of the configuration if it is a file."""
    return list(dict.fromkeys([*DEVICES, config.device.preset]))


def _array_values(preset: str) -> dict[str, Any]:
    """Scale and initial conductance of the first run preset on that device."""
    for known in PRESETS.values():
        config = known.config
        if config.device.preset == preset and not config.scheme.digital:
            return {
                "device.scale": config.device.scale,
                "device.initial_conductance": config.device.initial_conductance,
            }
    return {}


def _values(config: RunConfig) -> dict[str, Any]:
    """The settings' values in a configuration; a drift that its device does not have keeps its default."""
    model = config.device.model(None)
    values = {
        name: _look_up(config, setting.path) for name, setting in SETTINGS.items() if "constants" not in setting.path
    }
    values |= shown_costs(config, model)
    for name in (*NOISES, *DRIFTS):
        default = SETTINGS[name].owner().__getattribute__(SETTINGS[name].field)
        values[name] = getattr(model, SETTINGS[name].field, default)
    return values


def _look_up(config: RunConfig, path: str) -> Any:
    value: Any = config
    for part in path.split("."):
        value = getattr(value, part)
    return value
