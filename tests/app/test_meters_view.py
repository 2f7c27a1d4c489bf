"""Effect meters in words: each control speaks of its own meter, and says when there is nothing to measure."""

from __future__ import annotations

import dataclasses

import pytest

from app.settings import SETTINGS
from app.views import meters as view
from app.views.meters import words
from training import meters
from training.config import RunConfig
from training.core_meters import CoreMeters
from training.meters import Meters
from training.presets import PRESETS
from training.session import Session

SMALL = {
    "network.hidden": 20,
    "network.threshold": 0.02,
    "task": {"name": "pattern", "inputs": 10, "duration": 0.1, "rate": 100.0},
}
BITTEN = RunConfig().with_values({"device.preset": "ideal"})
"""A run whose device has as many steps as the bits say."""

OWN = {
    "scheme": ("cosine", -0.256, "asked and applied change: cosine -0.26"),
    "weight_bits": ("rounding", 0.984, "rounding misses the asked change by 98%"),
    "mismatch": ("mismatch", 0.1234, "this chip: SD 12.3% of the SET step"),
    "write_noise": ("write_error", 1.5, "writes miss the asked step by 150%"),
    "read_noise": ("read_noise", 0.333, "noise is 33% of the input's spread"),
    "drift_exponent": ("drift", 0.0456, "4.6% of the conductance has drifted away"),
    "drift_scale": ("drift", 0.0456, "4.6% of the conductance has drifted away"),
    "devices": ("saturated", 0.125, "12.5% of the pairs have a saturated side"),
    "refresh": ("stuck", 0.001, "0.1% of the pairs have both sides saturated"),
    "neuron_mismatch": ("threshold_mismatch", 0.2, "this chip: SD 20.0% of the threshold"),
}

CONVERTERS = {
    "cores": ("used", 0.153, "weights fill 15.3% of the cores' cells"),
    "adc_range": ("clipped", 0.0042, "0.4% of the conversions saturate"),
    "adc_bits": ("rounding", 0.031, "rounding is 3.1% of the input's spread"),
    "mvm_noise": ("noise", 0.187, "noise is 18.7% of the input's spread"),
    "converter_spread": ("gain_spread", 0.071, "this chip: SD 7.1% of the gain"),
    "calibration": ("gain_error", 0.00138, "it leaves SD 0.14% of the gain"),
    "wire_resistance": ("wire_loss", 0.05, "wires take 5.0% of the cells' currents"),
}


@pytest.mark.parametrize("control", OWN)
def test_each_control_speaks_of_its_own_meter_alone(control: str) -> None:
    meter, value, said = OWN[control]
    nothing = words(Meters(), BITTEN)
    alone = words(dataclasses.replace(Meters(), **{meter: value}), BITTEN)
    changed = {name for name in alone if alone[name] != nothing[name]}
    assert alone[control] == said
    assert changed == {name for name, (other, *_) in OWN.items() if other == meter}


@pytest.mark.parametrize("control", CONVERTERS)
def test_each_control_of_the_cores_speaks_of_its_own_meter_alone(control: str) -> None:
    meter, value, said = CONVERTERS[control]
    usual = CoreMeters(used=0.5)
    nothing, alone = (
        words(Meters(core=core), BITTEN) for core in (usual, dataclasses.replace(usual, **{meter: value}))
    )
    assert alone[control] == said
    assert {name for name in alone if alone[name] != nothing[name]} == {control}


def test_without_cores_their_lines_say_off() -> None:
    said = words(Meters(), BITTEN)
    assert said["cores"] == "off: sums are exact"
    assert said["dac_bits"] == "no effect here: a spike is full scale"
    exact = words(Meters(core=CoreMeters(used=0.5)), BITTEN.with_values({"core.adc_bits": None}))
    assert exact["adc_range"] == "off: exact sums do not saturate"


def test_the_lines_belong_to_controls_that_there_are() -> None:
    assert set(OWN) | set(CONVERTERS) == set(view.SAYINGS) == set(view.NOTHING) <= {*SETTINGS, "scheme"}


def test_zero_is_measured_and_not_nothing() -> None:
    said = words(Meters(saturated=0.0, stuck=0.0, rounding=0.0, drift=0.0), BITTEN)
    assert said["devices"] == "0.0% of the pairs have a saturated side"
    assert said["weight_bits"] == "rounding misses the asked change by 0%"
    assert said["drift_scale"] == "0.0% of the conductance has drifted away"


@pytest.mark.parametrize(
    ("values", "acts"),
    [
        ({}, True),
        ({"scheme": "sign"}, False),
        ({"scheme": "sign", "device.preset": "ideal"}, True),
        ({"scheme": "float32"}, True),
    ],
)
def test_bits_that_change_nothing_are_called_so(values: dict[str, str], acts: bool) -> None:
    config = RunConfig().with_values(values)
    said = words(Meters(rounding=0.5), config)["weight_bits"]
    assert (said == "rounding misses the asked change by 50%") == acts
    assert (said == view.NO_BITS) == (not acts)


def test_switched_off_noise_says_off_and_switched_on_noise_gives_a_share() -> None:
    for level, off in ((0.0, True), (1.0, False)):
        session = Session(PRESETS["sign"].config.with_values({**SMALL, "device.constants.read_noise": level}))
        session.observe()
        record = session.step()
        measured = meters.measure(session, record)
        said = words(measured, session.config)
        assert (said["read_noise"] == "off: reads are exact") == off
        assert off or said["read_noise"] == f"noise is {round(100 * measured.read_noise)}% of the input's spread"
        assert said["mismatch"] == "off: all devices alike"


def test_digital_weights_have_no_devices_to_speak_of() -> None:
    session = Session(PRESETS["float32"].config.with_values(SMALL))
    session.observe()
    said = words(meters.measure(session, session.step()), session.config)
    assert (said["devices"], said["refresh"]) == ("no devices", "no devices")
    assert (said["read_noise"], said["drift_exponent"]) == ("no devices", "no devices")
