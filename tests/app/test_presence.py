"""What nobody watches pauses; when its browser is back it goes on, or says why it does not."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from app_kit import Clock
from bokeh.document import Document
from bokeh.events import DocumentReady

from app.attention import Attention
from app.pages.presence import Presence


class Page:
    """A run, its browser, and what was done to the run."""

    def __init__(self) -> None:
        self.clock, self.stream, self.running = Clock(), SimpleNamespace(deserted=False), True
        self.said: list[str] = []
        attention = Attention(idle=2.0, clock=self.clock.monotonic)
        self.presence = Presence(self.stream, attention, self.pause, self.resume, self.said.append)
        self.document = Document()
        self.presence.attach(self.document)
        self.attend()

    def pause(self) -> None:
        self.running = False

    def resume(self) -> None:
        self.running = True

    def attend(self, seconds: float = 0.0, outstanding: bool = False) -> bool:
        """Let time pass and look; whether it runs."""
        self.clock.now += seconds
        self.presence.attend(self.running, outstanding)
        return self.running

    def comes(self) -> None:
        """A browser has the page."""
        self.document.callbacks.trigger_event(DocumentReady())


@pytest.fixture
def page() -> Page:
    return Page()


def test_a_run_waits_for_a_browser_that_is_lost_without_a_word(page: Page) -> None:
    page.stream.deserted = True
    assert not page.attend(1.0)
    assert not page.attend(1000.0)
    page.comes()
    page.stream.deserted = False
    assert page.attend()
    assert page.said == []


def test_a_run_that_was_paused_stays_paused(page: Page) -> None:
    page.running = False
    for deserted in (True, False):
        page.stream.deserted = deserted
        page.comes()
        assert not page.attend(1.0)


def test_a_machine_that_slept_finds_its_run_going(page: Page) -> None:
    """Nobody heard that it went: its frames were only never painted."""
    page.attend(outstanding=True)
    assert not page.attend(61.0, outstanding=True)
    assert page.said == ["Paused after 60 s in a hidden tab: no picture was seen. Press Play to go on."]
    page.comes()
    assert page.running


def test_why_an_idle_run_was_paused_is_said_again_to_a_browser_that_comes_back_once(page: Page) -> None:
    assert not page.attend(121.0)
    idle = "Paused after 2 minutes without a key or a click: nobody seems to be here. Press Play to go on."
    assert page.said == [idle]
    page.comes()
    page.comes()
    assert page.said == [idle, idle]
    assert not page.running


def test_a_run_that_was_begun_again_by_hand_and_paused_is_nobodys_to_go_on_with(page: Page) -> None:
    page.attend(outstanding=True)
    page.attend(61.0, outstanding=True)
    page.resume()
    page.attend()
    page.pause()
    page.attend()
    page.comes()
    assert not page.running
