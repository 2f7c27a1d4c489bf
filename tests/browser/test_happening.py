"""What is happening: a run driven into a state is told so, with what to try; the words are the library's."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from browser_kit import WAIT
from library_kit import smooth, trained
from playwright.sync_api import expect

from training import meters, rules
from training.rules import Finding, Situation

pytestmark = pytest.mark.browser

TRIAL = 5


def sentences(live) -> list[str]:
    return live.page.locator(".happening p").all_inner_texts()


def found(session, records) -> list[Finding]:
    loss, silence = smooth([r.loss for r in records]), float(np.mean([r.baseline for r in records]))
    measured = meters.measure(session, records[-1])
    situation = Situation(records[-1], measured, session.config, loss, len(records), silence)
    return rules.findings(situation)[:2]


def told(findings: list[Finding]) -> list[str]:
    first, *others = findings
    return [
        f"{first.happened} {first.advice}",
        *(f"{f.happened} {f.advice}" if f.severity else f.happened for f in others),
    ]


def rates(rate: float) -> dict[str, Any]:
    return {f"learning.{name}": rate for name in ("lr_input", "lr_recurrent", "lr_output")}


DRIVEN: dict[str, tuple[str, dict[str, Any], str]] = {
    "diverged": ("float32-mixed", rates(0.1), 'Lower "Learning rates" and reset the run.'),
    "saturated-neurons": ("mixed-precision", rates(0.03), 'Raise "Firing threshold".'),
    "slow": ("mixed-precision", rates(1e-7), 'Raise "Learning rates".'),
    "lost": ("multi-memristor", rates(1e-7), 'Raise "Learning rates" 1,9'),
}


@pytest.mark.parametrize("name", DRIVEN)
def test_a_run_driven_into_a_state_is_told_what_to_try(visit, name: str) -> None:
    preset, values, advice = DRIVEN[name]
    query = "&".join(f"{key}={value}" for key, value in values.items())
    live = visit(f"?preset={preset}&{query}")
    live.step_to(TRIAL)
    session, records = trained(TRIAL, preset, values)
    findings = found(session, records)
    assert findings[0].name == name
    live.becomes(lambda: sentences(live), told(findings))
    assert live.page.locator(".happening p").first.get_attribute("data-rule") == name
    assert advice in sentences(live)[0]


def test_the_first_trials_say_how_to_go_on_and_silence_is_told_while_it_lasts(visit) -> None:
    live = visit()
    session, records = trained(0)
    live.becomes(lambda: sentences(live), told(found(session, records)))
    assert re.match(r"First trials done, error 0\.\d+; .* Play \(space\) trains on", sentences(live)[-1])
    for key, threshold in (("End", 1.0), ("Home", 0.01)):
        version = live.frame("config_version")
        live.slider("Firing threshold").focus()
        live.page.keyboard.press(key)
        live.wait(f"config > {version}")
        live.step_to(session.trial)
        session.configure(session.config.with_values({"network.threshold": threshold}))
        records.append(session.step())
        live.becomes(lambda: sentences(live), told(found(session, records)))
        assert live.page.locator(".happening.alarm").count() == (records[-1].status != "ok")
        assert sentences(live)[0].startswith("None of the 100 hidden neurons spiked: 0 Hz.") == (key == "End")


def test_what_was_learned_and_is_lost_is_told_until_it_is_mended(visit) -> None:
    """A network on floating-point weights learns a third of the way, is silenced, and is let go on."""
    live = visit("?preset=float32&network.hidden=20")
    last = live.page.locator(".happening p").last
    live.button("Play").click()
    expect(last).to_have_text(re.compile(r"(3[2-9]|[4-9]\d) % of the way|has learned"), timeout=WAIT)
    for name, key in (
        ("Learning rates", "Home"),
        ("Firing threshold", "End"),
    ):  # Else it would soon have learned again.
        live.slider(name).focus()
        live.page.keyboard.press(key)
    expect(last).to_have_attribute("data-rule", "forgotten", timeout=WAIT)
    assert re.match(
        r"The error was down to 0\.\d+ and is 0\.\d+, .* what was learned is lost again\.", sentences(live)[-1]
    )
