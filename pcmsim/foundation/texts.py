"""Text as people write it: what it means is up to the declared type of the field that it is for.

The command line, an address, a widget and a YAML file all hand over texts. ``010`` is a folder's name where
a folder is asked for, and the number 10 where a number is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

WHOLE = re.compile(r"[+-]?[0-9]+")
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
LONGEST_NUMBER = 300
"""Characters of a number: every whole one that is read fits into floating point."""

NOTHING = frozenset({"", "~", "null", "none"})
FLAGS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


class Text(str):
    """A value as it was written; `pcmsim.quantity.Quantity.read` tells what a field takes it for."""

    __slots__ = ()


def whole(text: str) -> int | str:
    """A whole number, always decimal; what is none stays text.

    Examples
    --------
    >>> whole("010"), whole("1:30")
    (10, '1:30')
    """
    word = text.strip()
    return int(word) if WHOLE.fullmatch(word) and len(word) <= LONGEST_NUMBER else str(text)


def real(text: str) -> float | str:
    """A number in decimal; what is none stays text.

    Examples
    --------
    >>> real("1e-4"), real("nan")
    (0.0001, 'nan')
    """
    word = text.strip()
    return float(word) if NUMBER.fullmatch(word) and len(word) <= LONGEST_NUMBER else str(text)


def number(text: str) -> float | str:
    """A whole number or a number; what is none stays text."""
    found = whole(text)
    return real(text) if isinstance(found, str) else found


def flag(text: str) -> bool | str:
    """True or false, yes or no, on or off; what is neither stays text."""
    return FLAGS.get(text.strip().casefold(), str(text))


READERS: dict[type, Callable[[str], Any]] = {bool: flag, int: whole, float: real, str: str}
"""How a text is read for each kind of field; what means nothing stays text, which no number's bounds allow."""


def is_nothing(text: str) -> bool:
    """Whether a text leaves an optional field empty."""
    return text.strip().casefold() in NOTHING


def plain(value: Any) -> Any:
    """A value for which no field is declared, however deep: whole numbers, numbers, true and false, none, else text.

    Examples
    --------
    >>> plain([Text("4"), Text("1e3"), Text("true"), Text("none"), Text("2024-01-01"), "4"])
    [4, 1000.0, True, None, '2024-01-01', '4']
    """
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(plain, value))
    return _plain(value) if isinstance(value, Text) else value


def _plain(text: Text) -> Any:
    if is_nothing(text):
        return None
    return {"true": True, "false": False}.get(text.strip().casefold(), number(text))
