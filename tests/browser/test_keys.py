"""The keyboard alone: what a key does, and where it must do nothing."""

from __future__ import annotations

import pytest
from browser_kit import WAIT, Live
from playwright.sync_api import Locator, expect

pytestmark = pytest.mark.browser


def inspector(live: Live) -> Locator:
    """The inspector, with a synapse in it."""
    live.pick(0.5, 0.5)
    shown = live.page.locator(".inspector")
    expect(shown.get_by_text("50 → 50 · recurrent")).to_be_visible(timeout=WAIT)
    return shown


def test_space_plays_and_pauses(stay) -> None:
    live = stay()
    live.page.keyboard.press("Space")
    live.wait("trial > 5")
    expect(live.button("Pause")).to_be_visible()
    live.page.keyboard.press("Space")
    trial = live.idle()
    expect(live.button("Play")).to_be_visible(timeout=WAIT)
    live.page.keyboard.press("ArrowRight")
    live.wait(f"trial === {trial + 1}")


def test_right_arrow_runs_one_trial_each_and_pauses_a_running_run(stay) -> None:
    live = stay()
    begun = live.idle()
    for expected in (1, 2, 3):
        live.page.keyboard.press("ArrowRight")
        live.wait(f"trial === {begun + expected}")
    live.page.keyboard.press("Space")
    live.wait(f"trial > {begun + 8}")
    live.page.keyboard.press("ArrowRight")
    trial = live.idle()
    live.page.keyboard.press("ArrowRight")
    live.wait(f"trial === {trial + 1}")
    assert live.idle() == trial + 1


def test_escape_closes_a_dialog_and_leaves_the_inspector_behind_it(stay) -> None:
    live, name = stay(), "Export"
    shown = inspector(live)
    live.button(name).click()
    dialog = live.page.get_by_role("dialog", name=name)
    expect(dialog).to_be_visible(timeout=WAIT)
    live.page.keyboard.press("Escape")
    expect(dialog).to_be_hidden(timeout=WAIT)
    live.step_to(live.idle() + 2)
    expect(shown).to_be_visible()
    live.page.keyboard.press("Escape")
    expect(shown).to_be_hidden(timeout=WAIT)


def test_help_tells_the_keys_which_do_nothing_to_the_run_while_a_dialog_or_a_list_is_open(stay) -> None:
    live = stay()
    begun = live.idle()
    live.page.keyboard.press("?")
    dialog = live.page.get_by_role("dialog", name="Help")
    expect(dialog).to_be_visible(timeout=WAIT)
    expect(dialog.locator("kbd")).to_have_text(["Space", "→", "Esc", "?"], timeout=WAIT)
    for key in ("Space", "ArrowRight"):
        live.page.keyboard.press(key)
    live.page.keyboard.press("Escape")
    expect(dialog).to_be_hidden(timeout=WAIT)
    live.page.get_by_role("combobox", name="Tempo").click()
    live.page.get_by_role("menuitem", name="10 trials/s", exact=True).focus()
    live.page.keyboard.press("ArrowRight")
    live.page.keyboard.press("Space")
    live.page.keyboard.press("Escape")
    expect(live.page.get_by_role("menuitem", name="10 trials/s", exact=True)).to_be_hidden(timeout=WAIT)
    live.button("Step").click()
    live.wait(f"trial > {begun}")
    assert live.idle() == begun + 1


def test_keys_belong_to_what_has_the_focus_and_to_the_browser(stay) -> None:
    live = stay()
    begun = live.idle()
    seed = live.page.get_by_role("textbox", name="Seed")
    seed.fill("42")
    for key in ("Space", "?", "ArrowRight", "Backspace", "Backspace"):
        seed.press(key)
    expect(seed).to_have_value("42")
    expect(live.page.get_by_role("dialog")).to_have_count(0)
    live.button("Step").click()
    live.wait(f"trial > {begun}")
    assert live.idle() == begun + 1
    live.button("Step").focus()
    for key in ("Space", "Control+ArrowRight"):
        live.page.keyboard.press(key)
    live.wait(f"trial > {begun + 1}")
    assert live.idle() == begun + 2


def test_after_a_slider_was_dragged_space_plays_while_arrows_move_it(stay) -> None:
    live = stay()
    trial = live.idle()
    slider = live.page.get_by_role("slider", name="Write noise")
    slider.focus()
    live.page.keyboard.press("Space")
    live.wait(f"trial > {trial + 3}")
    live.page.keyboard.press("Space")
    trial, value = live.idle(), slider.input_value()
    live.page.keyboard.press("ArrowRight")
    expect(slider).not_to_have_value(value)
    assert live.idle() == trial
    switch = live.page.get_by_role("switch").or_(live.page.get_by_role("checkbox")).first
    switch.focus()
    live.page.keyboard.press("ArrowRight")
    live.wait(f"trial === {trial + 1}")


def test_any_click_tells_the_server_that_somebody_is_there(stay) -> None:
    live = stay()
    signs = "Bokeh.documents[0].get_model_by_name('keys').data.count[0]"
    live.page.wait_for_timeout(1100)  # At most one a second is told.
    before = live.page.evaluate(signs)
    live.page.mouse.click(720, 6)
    live.page.mouse.click(720, 6)
    live.page.wait_for_function(f"{signs} === {before + 1}", timeout=WAIT)
