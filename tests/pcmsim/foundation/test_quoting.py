"""Messages shorten what they quote."""

from __future__ import annotations

from typing import Any

import pytest

from pcmsim.errors import FieldError, FileError, UnknownNameError, sentence
from pcmsim.foundation.quoting import quoted, reason


def deep(levels: int) -> list[Any]:
    inner: list[Any] = []
    for _ in range(levels):
        inner = [inner]
    return inner


LONG = {
    "digits": 10**5000,
    "text": "x" * 10**6,
    "list": list(range(10**5)),
    "mapping": {str(n): n for n in range(10**4)},
    "nested": [["y" * 1000] * 100] * 100,
    "deep": deep(10**5),
    "bytes": b"z" * 10**6,
}


@pytest.mark.parametrize("value", LONG.values(), ids=LONG)
def test_no_message_is_longer_for_a_longer_value(value: Any) -> None:
    assert len(quoted(value)) <= 240
    for error in (FieldError("a.b", "short", value), UnknownNameError("name", value, ["a", "b"])):
        assert len(str(error)) < 300


def test_a_text_is_cut_at_its_end_and_a_path_in_its_middle() -> None:
    assert quoted("x" * 81) == repr("x" * 79 + "…")
    assert quoted("x" * 80) == repr("x" * 80)
    message = str(FileError("/runs/" + "a" * 5000 + "/first.yaml", "is missing"))
    assert message.startswith("/runs/aaa")
    assert message.endswith("aaa/first.yaml: is missing")
    assert len(message) < 350


def test_no_message_holds_what_a_terminal_acts_on() -> None:
    assert str(FileError("a\x1b[2J\n.yaml", "is missing")) == r"a\x1b[2J\n.yaml: is missing"


def test_other_libraries_are_quoted_in_a_line() -> None:
    assert reason(ValueError("a\n  b")) == "a b"
    assert len(sentence(ValueError("a" * 10**6))) < 400
