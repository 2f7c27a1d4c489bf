"""Ghosts on the learning plot: pinned runs, ideal weights, and how smooth all of them are."""

from __future__ import annotations

import numpy as np
import pytest
from browser_kit import WAIT, Live
from playwright.sync_api import expect

from app.history import SMOOTHING, Curve, Table
from app.pages.comparison import MOST_PINS
from app.theme import LIGHT
from app.views.learning import smoothed
from training.config import RunConfig
from training.presets import PRESETS
from training.session import Session
from training.twin import ideal

pytestmark = pytest.mark.browser

CONFIG = PRESETS["mixed-precision"].config


def learned(config: RunConfig, trials: int) -> Table:
    """The learning curve of so many trials."""
    curve, session = Curve(), Session(config)
    for record in session.run(trials):
        curve.append(record)
    return curve.columns()


def line(live: Live, colour: str) -> dict[str, list[float]]:
    """The ghost of a colour."""
    (found,) = live.drawn("Line", "trial", "smooth", colour=colour)
    return found


def run(live: Live) -> dict[str, list[float]]:
    """The run's own curve."""
    (found,) = live.drawn("Line", "trial", "loss", "smooth", colour=LIGHT.run)[:1]
    return found


def near(values: np.ndarray) -> object:
    """Equal but for the single precision of what is drawn."""
    return pytest.approx(values.tolist(), rel=1e-5)


def test_a_pinned_run_keeps_its_curve_through_reset_and_preset_until_it_is_removed(stay) -> None:
    live = stay()
    live.step_to(4)
    live.button("Pin run").click()
    live.says("Pinned: Mixed precision, 4 bit, seed 42.")
    live.becomes(lambda: line(live, LIGHT.ghosts[0])["trial"], [0, 1, 2, 3, 4])
    pinned = line(live, LIGHT.ghosts[0])
    assert pinned["smooth"] == near(smoothed(learned(CONFIG, 5), SMOOTHING)["smooth"])
    live.step_to(6)
    live.becomes(lambda: len(run(live)["trial"]), 7)
    assert line(live, LIGHT.ghosts[0]) == pinned
    live.begin()
    live.becomes(lambda: len(run(live)["trial"]), 1)
    assert line(live, LIGHT.ghosts[0]) == pinned
    live.begin("sign")
    live.step_to(2)
    live.becomes(lambda: len(run(live)["trial"]), 3)
    assert line(live, LIGHT.ghosts[0]) == pinned
    live.page.locator(".pin0 button").click()
    live.becomes(lambda: line(live, LIGHT.ghosts[0])["trial"], [])
    expect(live.page.locator(".pin0 button")).to_be_hidden(timeout=WAIT)


def test_of_too_many_pinned_runs_the_oldest_makes_room(visit) -> None:
    live = visit()
    for trial in range(MOST_PINS + 1):
        live.step_to(trial)
        live.button("Pin run").click()
        live.says("made room" if trial == MOST_PINS else "Pinned: Mixed precision")
        places = range(min(trial + 1, MOST_PINS))
        first = max(0, trial + 1 - MOST_PINS)
        for place in places:
            live.becomes(lambda place=place: len(line(live, LIGHT.ghosts[place])["trial"]), first + place + 1)
    for place in range(MOST_PINS):
        assert line(live, LIGHT.ghosts[place])["trial"] == list(range(place + 2))
    live.page.locator(".pin1 button").click()
    live.becomes(lambda: [len(line(live, LIGHT.ghosts[place])["trial"]) for place in range(MOST_PINS)], [2, 4, 5, 0])


def test_the_reference_is_the_run_on_ideal_weights_and_can_be_hidden(visit) -> None:
    live = visit("?seed=11")
    live.page.wait_for_function(
        "(colour) => [...Bokeh.documents[0]._all_models.values()].some((m) => m.type === 'GlyphRenderer'"
        " && JSON.stringify(m.glyph.line_color ?? '').includes(colour) && 'smooth' in m.data_source.data"
        " && m.data_source.data.smooth.length >= 40)",
        arg=LIGHT.target,
        timeout=4 * WAIT,  # The least urgent of all there is to compute.
    )
    shown = line(live, LIGHT.target)
    expected = smoothed(learned(ideal(CONFIG.with_values({"seed": 11})), 40), SMOOTHING)
    assert shown["trial"][:40] == expected["trial"].tolist()
    assert shown["smooth"][:40] == near(expected["smooth"])
    switch = live.page.get_by_role("switch", name="Ideal")
    switch.click()
    live.becomes(lambda: line(live, LIGHT.target)["trial"], [])
    switch.click()
    live.becomes(lambda: len(line(live, LIGHT.target)["trial"]) >= 40, True)


def test_digital_weights_need_no_reference(stay) -> None:
    live = stay()
    live.begin("float32")
    live.becomes(lambda: len(run(live)["trial"]), 1)
    live.step_to(2)
    live.becomes(lambda: len(run(live)["trial"]), 3)
    assert line(live, LIGHT.target)["trial"] == []


def test_the_slider_smooths_the_run_and_its_ghosts(stay) -> None:
    live = stay()
    live.begin("mixed-precision")
    live.step_to(8)
    live.button("Pin run").click()
    live.becomes(lambda: len(line(live, LIGHT.ghosts[0])["trial"]), 9)
    table = learned(CONFIG, 9)
    slider = live.page.get_by_role("slider", name="Smoothing")
    for key, trials in (("Home", 1), ("ArrowRight", 2), ("End", 200)):
        slider.focus()
        live.page.keyboard.press(key)
        expect(slider).to_have_attribute("aria-valuenow", str(trials), timeout=WAIT)
        last = smoothed(table, trials)["smooth"]
        live.becomes(lambda last=last: run(live)["smooth"][-1] == pytest.approx(last[-1], rel=1e-5), True)
        assert run(live)["smooth"] == near(last)
        live.becomes(lambda last=last: line(live, LIGHT.ghosts[0])["smooth"] == near(last), True)
        assert run(live)["loss"] == near(table["loss"])
