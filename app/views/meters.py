"""Effect meters in words: what each control's non-ideality does right now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from training.config import RunConfig
from training.meters import Meters

SAYINGS: dict[str, tuple[Callable[[Meters], float | None], str]] = {
    "scheme": (lambda m: m.cosine, "asked and applied change: cosine {:z.2f}"),
    "weight_bits": (lambda m: m.rounding, "rounding misses the asked change by {:.0%}"),
    "mismatch": (lambda m: m.mismatch, "this chip: SD {:z.1%} of the SET step"),
    "write_noise": (lambda m: m.write_error, "writes miss the asked step by {:.0%}"),
    "read_noise": (lambda m: m.read_noise, "noise is {:.0%} of the input's spread"),
    "drift_exponent": (lambda m: m.drift, "{:z.1%} of the conductance has drifted away"),
    "drift_scale": (lambda m: m.drift, "{:z.1%} of the conductance has drifted away"),
    "devices": (lambda m: m.saturated, "{:z.1%} of the pairs have a saturated side"),
    "refresh": (lambda m: m.stuck, "{:z.1%} of the pairs have both sides saturated"),
    "neuron_mismatch": (lambda m: m.threshold_mismatch, "this chip: SD {:z.1%} of the threshold"),
    "cores": (lambda m: m.core and m.core.used, "weights fill {:z.1%} of the cores' cells"),
    "adc_range": (lambda m: m.core and m.core.clipped, "{:z.1%} of the conversions saturate"),
    "adc_bits": (lambda m: m.core and m.core.rounding, "rounding is {:.1%} of the input's spread"),
    "mvm_noise": (lambda m: m.core and m.core.noise, "noise is {:.1%} of the input's spread"),
    "converter_spread": (lambda m: m.core and m.core.gain_spread, "this chip: SD {:z.1%} of the gain"),
    "calibration": (lambda m: m.core and m.core.gain_error, "it leaves SD {:.2%} of the gain"),
    "wire_resistance": (lambda m: m.core and m.core.wire_loss, "wires take {:z.1%} of the cells' currents"),
}
"""By control: which meter, and how to say it."""

NOTHING = {
    "scheme": "no change yet",
    "weight_bits": "nothing rounded yet",
    "mismatch": "off: all devices alike",
    "write_noise": "nothing written lately",
    "read_noise": "off: reads are exact",
    "drift_exponent": "off: nothing drifts",
    "drift_scale": "off: nothing drifts",
    "devices": "no devices",
    "refresh": "no devices",
    "neuron_mismatch": "off: all neurons alike",
    "cores": "off: sums are exact",
    "adc_range": "nothing converted yet",
    "adc_bits": "off: sums are not rounded",
    "mvm_noise": "off: conversions are exact",
    "converter_spread": "off: all converters alike",
    "calibration": "nothing to correct",
    "wire_resistance": "off: wires take nothing",
}
"""What to say where there is nothing to measure."""

CONVERTERS = ("cores", "adc_range", "adc_bits", "mvm_noise", "converter_spread", "calibration")
DIGITAL = ("scheme", "weight_bits", "neuron_mismatch", *CONVERTERS)
"""Controls that act without devices."""

NETWORK = ("scheme", "weight_bits", "neuron_mismatch")
"""Controls of what is never on a chip."""

FULL_SCALE = "no effect here: a spike is full scale"
NO_BITS = "no effect here: this scheme and device move by whole pulses"


HELD_BY_CHIP = "the chip's own"


def words(meters: Meters, config: RunConfig, *, on_chip: bool = False) -> dict[str, str]:
    """One short line per control.

    Parameters
    ----------
    meters : Meters
        What was measured.
    config : RunConfig
        The run.
    on_chip : bool
        Whether a chip holds the weights: what cannot be measured is not off then.

    Returns
    -------
    dict of str to str
        By the setting's name.
    """
    lines = {name: _say(meters, name) for name in SAYINGS} | {"dac_bits": FULL_SCALE}
    if config.core.adc_bits is None:
        lines["adc_range"] = "off: exact sums do not saturate"
    if on_chip:
        unseen = [name for name, (value, _) in SAYINGS.items() if name not in NETWORK and value(meters) is None]
        lines |= dict.fromkeys(unseen, HELD_BY_CHIP)
    elif config.scheme.digital:
        lines |= {name: "no devices" for name in SAYINGS if name not in DIGITAL}
    return lines if bits_act(config) else {**lines, "weight_bits": NO_BITS}


def bits_act(config: RunConfig) -> bool:
    """Whether the weight precision acts: in the scheme, or as the device's own step."""
    return config.scheme.uses_weight_bits or config.device.model(2) != config.device.model(8)


def _say(meters: Meters, name: str) -> str:
    value, saying = SAYINGS[name]
    measured: Any = value(meters)
    return NOTHING[name] if measured is None else saying.format(measured)
