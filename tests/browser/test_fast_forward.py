"""Leaving the chip alone: errors before and after are the library's, the clock moves, and learning goes on."""

from __future__ import annotations

import re

import pytest
from browser_kit import WAIT
from library_kit import float32, trained
from playwright.sync_api import Locator, expect

from app.views.status import duration
from training.aging import SPANS, fast_forward
from training.config import RunConfig

pytestmark = pytest.mark.browser

TRIAL, PRESET = 4, "sign"


def button(live, span: str) -> Locator:
    return live.page.get_by_role("button", name=span, exact=True)


def errors(live) -> list[str]:
    """What is said below the buttons."""
    said = live.page.locator(".words", has_text="Error after")
    return said.locator("p, dt, dd").all_inner_texts() if said.count() else []


def test_errors_clock_and_further_learning(stay) -> None:
    live = stay()
    live.begin(PRESET)
    live.step_to(TRIAL)
    session, records = trained(TRIAL, PRESET)
    assert errors(live) == []
    waited = 0.0
    for span, seconds in SPANS.items():
        assert button(live, span).inner_text() == span
        button(live, span).click()
        aged = fast_forward(session, seconds)
        told = [
            f"Error after {duration(seconds)} alone:",
            "before", f"{aged.before:.3g}",
            "now", f"{aged.after:.3g}",
            "with drift compensation", f"{aged.compensated:.3g}",
        ]  # fmt: skip
        live.becomes(lambda told=told: errors(live), told)
        records.append(session.step())
        live.step_to(session.trial - 1)
        waited += seconds
        clock = session.trial * session.config.device.update_interval + waited
        assert session.device_time == pytest.approx(clock)
        expect(live.status("device time")).to_have_text(f"{duration(clock)} of device time", timeout=WAIT)
    losses = float32([record.loss for record in records])
    live.becomes(lambda: live.drawn("Line", "trial", "loss", "smooth")[0]["loss"], losses)
    expect(live.status("pulses")).to_have_text(re.compile(rf"^{records[-1].total_sets:,} SET"), timeout=WAIT)
    assert records[-1].total_sets > records[-2].total_sets > records[TRIAL].total_sets


def test_the_clock_moves_at_once_in_a_paused_run_and_a_new_run_begins_at_zero(stay) -> None:
    live = stay()
    live.begin("mixed-precision")
    interval, aged = RunConfig().device.update_interval, SPANS["1 d"]
    clock, drift = live.status("device time"), live.slider("Drift exponent ν")
    expect(clock).to_have_text(f"{duration(interval)} of device time", timeout=WAIT)
    button(live, "1 d").click()
    live.becomes(lambda: errors(live)[:1], [f"Error after {duration(aged)} alone:"])
    drifted = live.below(drift)
    live.begin()
    live.becomes(lambda: errors(live), [])
    live.becomes(lambda: live.below(drift) != drifted, True)
    expect(clock).to_have_text(f"{duration(interval)} of device time", timeout=WAIT)
    button(live, "1 d").click()
    expect(clock).to_have_text(f"{duration(interval + aged)} of device time", timeout=WAIT)


def test_digital_weights_do_not_age(stay) -> None:
    live = stay()
    live.begin("float32")
    for span in SPANS:
        expect(button(live, span)).to_be_disabled(timeout=WAIT)
