"""A text means what the type of its field says, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from pcmsim.foundation.texts import Text, plain
from pcmsim.quantity import Quantity

WORD, COUNT, SIZE, SWITCH = Quantity(str), Quantity(int), Quantity(float), Quantity(bool)
BITS, SHARE = Quantity(int, optional=True), Quantity(float, optional=True)

READ: list[tuple[Quantity, str, Any]] = [
    *((WORD, text, text) for text in ("010", "1:30", "yes", "none", "2024-01-01", "only here #2", " a ", "", "{a}")),
    (COUNT, "010", 10),
    (COUNT, "+7", 7),
    *((COUNT, text, text) for text in ("1:30", "0x10", "1_000", "1e3", "4.0", "٣", "", "yes", "9" * 5000)),
    (SIZE, "1e-4", 1e-4),
    (SIZE, ".5e1", 5.0),
    (SIZE, "010", 10.0),
    *((SIZE, text, text) for text in ("1:30", "inf", ".nan", "1,5", "1_0.0", "none", "9" * 5000)),
    *((SWITCH, text, True) for text in ("true", "True", "yes", "on")),
    *((SWITCH, text, False) for text in ("false", "No", "off")),
    *((SWITCH, text, text) for text in ("1", "y", "", "none")),
    *((BITS, text, None) for text in ("none", "None", "null", "~", "")),
    *((SHARE, text, None) for text in ("none", "null")),
]


@pytest.mark.parametrize(("about", "text", "value"), READ)
def test_the_type_of_the_field_decides(about: Quantity, text: str, value: Any) -> None:
    found = about.read(Text(text))
    assert found == value
    assert type(found) is type(value)


def test_what_is_no_text_is_left_alone() -> None:
    assert COUNT.read("7") == "7"  # in quotes: text
    assert SIZE.read(True) is True


def test_without_a_field_numbers_and_true_and_false_are_read_and_nothing_else() -> None:
    written = {"a": Text("4"), Text("b"): [Text("1e3"), Text("true"), Text("yes"), Text("1:30")], "c": Text("none")}
    assert plain(written) == {"a": 4, "b": [1000.0, True, "yes", "1:30"], "c": None}
    assert {type(name) for name in plain(written)} == {str}
