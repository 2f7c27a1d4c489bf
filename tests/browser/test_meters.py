"""Effect meters: the line below each control says what the library measures in the same run."""

from __future__ import annotations

import re
from typing import Any

import pytest
from library_kit import trained
from playwright.sync_api import Locator, expect

from app.views.meters import CONVERTERS, words
from training import meters

pytestmark = pytest.mark.browser

TRIAL, FIRST_WRITES = 9, 24
HIDDEN = {"drift_scale", *CONVERTERS, "dac_bits", "wire_resistance"} - {"cores"}
"""Lines of another device's drift, and of converters while there are none."""

MISMATCH = {f"device.mismatch.{name}": 0.05 for name in ("step", "g_max", "drift_exponent")}


def controls(live) -> dict[str, Locator]:
    return {
        "scheme": live.button("Mixed precision"),
        "weight_bits": live.button("FP32"),
        "mismatch": live.slider("Mismatch level"),
        "write_noise": live.slider("Write noise"),
        "read_noise": live.slider("Read noise"),
        "drift_exponent": live.slider("Drift exponent ν"),
        "devices": live.button("8").last,
        "refresh": live.page.get_by_role("switch", name="Refresh saturated pairs"),
        "cores": live.page.get_by_role("switch", name="Cores and converters"),
        "neuron_mismatch": live.slider("Neuron mismatch"),
    }


def shown(live) -> dict[str, str]:
    return {name: live.below(control) for name, control in controls(live).items()}


def said(session, record) -> dict[str, str]:
    lines = words(meters.measure(session, record), session.config)
    return {name: line for name, line in lines.items() if name not in HIDDEN}


@pytest.mark.parametrize("preset", ["sign", "float32", "mixed-precision"])
def test_every_line_is_what_the_library_measures(stay, preset: str) -> None:
    live = stay()
    live.begin(preset)
    live.step_to(TRIAL)
    session, records = trained(TRIAL, preset)
    live.becomes(lambda: shown(live), said(session, records[-1]))
    numbers = [name for name, line in shown(live).items() if re.search(r"\d", line)]
    assert len(numbers) == {"mixed-precision": 5, "sign": 6, "float32": 2}[preset]


def press(live, name: str, key: str, times: int = 1) -> None:
    live.slider(name).focus()
    for _ in range(times):
        live.page.keyboard.press(key)


KNOBS: dict[str, tuple[tuple[str, str, int], dict[str, Any], str]] = {
    "read_noise": (("Read noise", "Home", 1), {"device.constants.read_noise": 0.0}, "off: reads are exact"),
    "drift_exponent": (
        ("Drift exponent ν", "Home", 1),
        {"device.constants.drift_exponent": 0.0},
        "off: nothing drifts",
    ),
    "mismatch": (("Mismatch level", "ArrowRight", 5), MISMATCH, r"this chip: SD [45]\.\d% of the SET step"),
}


def test_each_knob_moves_its_line_at_once(visit) -> None:
    live = visit()
    live.step_to(TRIAL)
    session, records = trained(TRIAL)
    before = said(session, records[-1])
    live.becomes(lambda: shown(live), before)
    for name, ((label, key, times), values, expected) in KNOBS.items():
        press(live, label, key, times)
        session.configure(session.config.with_values(values))
        after = said(session, records[-1])
        live.becomes(lambda after=after: shown(live), after)
        assert before[name] != after[name]
        assert re.fullmatch(expected, after[name])
    assert live.frame("trial") == TRIAL


def miss(line: str) -> int:
    return int(re.search(r"(\d+)%", line)[1])


def test_without_write_noise_the_first_writes_miss_less(visit) -> None:
    live = visit()
    live.becomes(lambda: shown(live)["write_noise"], "nothing written lately")
    press(live, "Write noise", "Home")
    live.wait("config === 1")
    live.step_to(FIRST_WRITES)
    session, _ = trained(0)
    session.configure(session.config.with_values({"device.constants.write_noise": 0.0}))
    record = list(session.run(FIRST_WRITES))[-1]
    live.becomes(lambda: shown(live), said(session, record))
    noisy, records = trained(FIRST_WRITES)
    assert miss(shown(live)["write_noise"]) < miss(said(noisy, records[-1])["write_noise"]) - 30


def test_the_other_device_has_its_own_drift_line(stay) -> None:
    live = stay()
    live.begin("closed-loop")
    expect(live.slider("Drift exponent ν")).not_to_be_visible()
    live.step_to(TRIAL)
    session, records = trained(TRIAL, "closed-loop")
    drift = live.slider("Drift")
    live.becomes(lambda: live.below(drift), words(meters.measure(session, records[-1]), session.config)["drift_scale"])
    assert re.search(r"\d", live.below(drift))
    press(live, "Drift", "Home")
    live.becomes(lambda: live.below(drift), "off: nothing drifts")
