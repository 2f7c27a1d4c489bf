"""The page as axe-core judges it: names, roles and contrast, with each of its dialogs open, in both modes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from browser_kit import WAIT, Live
from playwright.sync_api import Browser, expect

pytestmark = pytest.mark.browser


def open_nothing(live: Live) -> None:
    """The page as it is."""


def open_dialog(name: str) -> Callable[[Live], None]:
    """Opens a dialog from the top bar."""

    def press(live: Live) -> None:
        live.button(name).click()
        expect(live.page.get_by_role("dialog", name=name)).to_be_visible(timeout=WAIT)

    return press


def open_inspector(live: Live) -> None:
    """With a synapse picked."""
    live.pick(0.5, 0.5)
    expect(live.page.get_by_text("waiting in the accumulator")).to_be_visible(timeout=WAIT)


STATES = {"page": open_nothing, "help": open_dialog("Help"), "export": open_dialog("Export"), "synapse": open_inspector}


@pytest.fixture(scope="module", params=["light", "dark"])
def still(request: pytest.FixtureRequest, address: str, browser: Browser) -> Iterator[Live]:
    """A paused page in one mode, without animations."""
    live = Live(browser, address, reduced_motion="reduce")
    live.darken(request.param == "dark")
    live.step_to(1)
    yield live
    complaints = live.complaints
    live.close()
    assert complaints == []


@pytest.mark.parametrize("state", STATES)
def test_axe_finds_nothing_grave(still: Live, state: str) -> None:
    STATES[state](still)
    try:
        still.becomes(still.grave, [])  # A part that is late in taking on a mode is no finding, unless it stays so.
    finally:
        still.page.keyboard.press("Escape")
        expect(still.page.get_by_role("dialog")).to_have_count(0, timeout=WAIT)
