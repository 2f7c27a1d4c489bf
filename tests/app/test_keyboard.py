"""Keys call their actions, once per press."""

from __future__ import annotations

import pytest
from bokeh.document import Document

from app.keyboard import Keyboard


@pytest.fixture
def pressed() -> list[str]:
    return []


@pytest.fixture
def keyboard(pressed: list[str]) -> Keyboard:
    actions = {" ": lambda: pressed.append("toggle"), "ArrowRight": lambda: pressed.append("step")}
    return Keyboard(actions, lambda: pressed.append("touched"))


def test_each_press_calls_its_action_once(keyboard: Keyboard, pressed: list[str]) -> None:
    for count, key in enumerate([" ", " ", "ArrowRight"], start=1):
        keyboard.keys.data = {"key": [key], "count": [count]}
    assert pressed == ["toggle", "toggle", "step"]


def test_a_sign_that_somebody_is_there_does_nothing_else(keyboard: Keyboard, pressed: list[str]) -> None:
    keyboard.keys.data = {"key": [""], "count": [1]}
    assert pressed == ["touched"]


def test_the_browser_watches_the_keys_that_have_actions(keyboard: Keyboard) -> None:
    document = Document()
    keyboard.listen(document)
    (script,) = document.callbacks._js_event_callbacks["document_ready"]
    assert script.args["watched"] == [" ", "ArrowRight"]
    assert script.args["keys"] is keyboard.keys
