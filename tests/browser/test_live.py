"""The Live page, clicked for real: what is asserted is the state of the run, not the presence of a widget."""

from __future__ import annotations

import re

import pytest
from browser_kit import WAIT
from playwright.sync_api import expect

from app.theme import DARK, LIGHT

pytestmark = pytest.mark.browser


def test_opens_with_the_first_trial_drawn_and_paused(stay) -> None:
    live = stay()
    assert live.idle() == 0
    expect(live.status("trial")).to_have_text("trial 0")
    filled = """() => [...Bokeh.documents[0]._all_models.values()]
        .filter(m => m.type === 'Figure').map(m => m.renderers.some(r => r.data_source.get_length() > 0))"""
    live.becomes(lambda: live.page.evaluate(filled), [True] * 8)


def test_plays_paints_and_pauses(stay) -> None:
    live = stay()
    live.button("Play").click()
    live.wait("trial > 20 && painted > 20")
    expect(live.status("state")).to_have_text("running")
    live.button("Pause").click()
    trial = live.idle()
    live.button("Step").click()
    live.wait(f"trial === {trial + 1}")
    assert live.idle() == trial + 1


def test_step_trains_exactly_one_trial_and_reset_begins_anew(stay) -> None:
    live = stay()
    begun = live.idle()
    for expected in (1, 2, 3):
        live.button("Step").click()
        live.wait(f"trial === {begun + expected}")
    run = live.frame("run")
    live.button("Reset").click()
    live.wait(f"run === {run + 1} && trial === 0")


def test_same_seed_same_picture_after_a_reset(stay) -> None:
    live = stay()
    outputs = []
    for _ in range(2):
        for expected in (1, 2):
            live.button("Step").click()
            live.wait(f"trial === {expected}")
        outputs.append(live.page.evaluate(OUTPUT))
        live.button("Reset").click()
        live.wait("trial === 0")
    assert outputs[0] == outputs[1]
    assert len(set(outputs[0])) > 10


OUTPUT = """() => { const s = [...Bokeh.documents[0]._all_models.values()]
    .find(m => m.type === 'ColumnDataSource' && m.data.output?.length > 10); return [...s.data.output] }"""

LIVE_SLIDERS = [
    "Learning rates", "Mismatch level", "Write noise", "Read noise", "Drift exponent ν", "Firing threshold", "Time between updates",
]  # fmt: skip


def test_live_sliders_change_the_running_run_without_losing_it(visit) -> None:
    live = visit("?autoplay=1")
    live.wait("trial > 5")
    run = live.frame("run")
    for name in LIVE_SLIDERS:
        version, trial = live.frame("config_version"), live.frame("trial")
        live.slider(name).focus()
        live.page.keyboard.press("ArrowRight")
        live.wait(f"config > {version} && trial > {trial}")
        assert live.frame("run") == run, name


def test_bits_refresh_and_single_rates_are_live(visit) -> None:
    live = visit()
    live.button("3").first.click()
    live.wait("config === 1")
    live.page.get_by_role("switch", name="Refresh saturated pairs").click()
    live.wait("config === 2")
    live.button("More: one rate per array").click()
    live.slider("Recurrent weights").focus()
    live.page.keyboard.press("ArrowLeft")
    live.wait("config === 3")
    assert live.frame("run") == 1


def test_the_heat_map_shows_each_layer_in_light_and_dark(stay) -> None:
    live = stay()
    sizes = "() => { const map = [...Bokeh.documents[0]._all_models.values()].find((m) => m.data?.dw && m.data.kind); return [map.data.dw[0], map.data.dh[0]] }"
    for layer, expected in (("input", [100, 100]), ("output", [100, 1]), ("recurrent", [100, 100])):
        live.button(layer).click()
        expect(live.button(layer)).to_have_attribute("aria-pressed", "true")
        live.becomes(lambda: live.page.evaluate(sizes), expected)
    colours = (
        "() => [...Bokeh.documents[0]._all_models.values()].find((m) => m.type === 'LinearAxis').axis_label_text_color"
    )
    light = live.page.evaluate(colours)
    assert light == LIGHT.muted
    live.page.get_by_role("button", name=re.compile("theme|dark|mode", re.IGNORECASE)).click()
    live.becomes(lambda: live.page.evaluate(colours), DARK.muted)
    live.step_to(live.idle() + 1)


def test_schemes_change_live_but_digital_weights_restart(visit) -> None:
    live = visit()
    for name in ("Sign", "Stochastic", "Multi memristor", "Update ready", "Mixed precision"):
        version = live.frame("config_version")
        live.button(name).click()
        live.wait(f"config > {version}")
        assert live.frame("run") == 1
    live.button("Step").click()
    live.wait("trial === 1")
    live.button("Float32").click()
    live.says("New run: scheme")
    live.wait("run === 2 && trial === 0")
    expect(live.page.get_by_text("there are no devices and no conductances")).to_be_visible()
    expect(live.slider("Write noise")).to_be_disabled()
    live.button("Mixed precision").click()
    live.wait("run === 3 && trial === 0")
    expect(live.page.get_by_text("there are no devices and no conductances")).not_to_be_visible()


def test_structural_settings_are_marked_and_restart(visit) -> None:
    live = visit()
    live.button("4").last.click()
    live.says("New run: device.devices changed.")
    live.wait("run === 2 && trial === 0")
    live.select("Device model", "ideal")
    live.wait("run === 3")
    live.slider("Hidden neurons").focus()
    live.page.keyboard.press("ArrowLeft")
    live.says("New run: network.hidden changed.")
    live.wait("run === 4")


def test_seed_is_typed_and_nonsense_is_refused_in_words(visit) -> None:
    live = visit("?autoplay=1")
    seed = live.page.get_by_role("textbox", name="Seed")
    seed.fill("7")
    seed.press("Enter")
    expect(live.status("seed")).to_have_text("seed 7", timeout=WAIT)
    run = live.frame("run")
    for nonsense in ("-3", "many", "1e400"):
        seed.fill(nonsense)
        seed.press("Enter")
        expect(seed).to_have_value("7", timeout=WAIT)
    live.says("whole number >= 0")
    trial = live.frame("trial")
    live.wait(f"run === {run} && trial > {trial}")


def test_preset_from_the_list_and_from_the_address(visit) -> None:
    live = visit("?preset=sign")
    live.select("Preset", "ideal-4bit")
    live.says("ideal-4bit:")
    live.wait("run === 2 && trial === 0")
    shown = live.page.get_by_role("combobox", name=re.compile("^Preset"))
    expect(shown).to_have_text("ideal-4bit")
    live.slider("Firing threshold").focus()
    live.page.keyboard.press("Home")
    expect(shown).to_have_text("ideal-4bit *")
    live.select("Preset", "ideal-4bit")
    live.wait("run === 3 && trial === 0")
    expect(shown).to_have_text("ideal-4bit")


def test_tempo_limits_the_run(stay) -> None:
    live = stay()
    live.select("Tempo", "3 trials/s")
    begun = live.idle()
    live.button("Play").click()
    live.wait(f"trial >= {begun + 4}")
    expect(live.status("speed")).to_have_text(re.compile(r"^[23]\.\d trials/s"), timeout=WAIT)


def test_a_run_that_goes_wrong_is_told_in_words_and_lives_on(visit) -> None:
    live = visit("?network.threshold=100")
    silence = live.page.get_by_text("None of the 100 hidden neurons spiked")
    live.button("Play").click()
    expect(silence).to_be_visible(timeout=WAIT)
    slider = live.slider("Firing threshold")
    slider.focus()
    live.page.keyboard.press("Home")
    expect(silence).not_to_be_visible(timeout=WAIT)
