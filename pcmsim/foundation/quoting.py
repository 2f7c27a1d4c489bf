"""What a message quotes, short enough for a line: values, paths, the words of other libraries."""

from __future__ import annotations

import reprlib
from pathlib import Path

LONGEST = 80
"""Characters of a quoted value."""

LONGEST_REASON = 300
"""Characters of another library's words, and of a path."""

GAP = "…"


class _Short(reprlib.Repr):
    """Values as Python writes them, with the middle of long ones left out."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxlong = 4, 40
        self.maxother = LONGEST
        self.maxdict = self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = 10

    def repr_str(self, x: str, level: int) -> str:
        """A text, cut at its end."""
        return repr(x if len(x) <= LONGEST else f"{x[: LONGEST - 1]}…")

    def repr_int(self, x: int, level: int) -> str:
        """A whole number; of one with thousands of digits, which Python does not write, only that."""
        try:
            return super().repr_int(x, level)
        except ValueError:
            return f"a whole number of {x.bit_length()} bits"


_SHORT = _Short()


def quoted(value: object) -> str:
    """A value as a message shows it.

    Examples
    --------
    >>> quoted("many"), quoted(10**5000), quoted("9" * 5000) == quoted("9" * 6000)
    ("'many'", 'a whole number of 16610 bits', True)
    """
    return _middle_left_out(_SHORT.repr(value), 3 * LONGEST)


def path_shown(path: str | Path) -> str:
    r"""A path as a message shows it: its end always, and no character that a terminal would act on.

    Examples
    --------
    >>> path_shown("runs" + chr(0))
    'runs\\x00'
    """
    text = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in str(path))
    return _middle_left_out(text, LONGEST_REASON)


def reason(error: BaseException) -> str:
    """What another library says is wrong, in one short line.

    Examples
    --------
    >>> reason(ValueError("no such" + chr(10) + "  column")), reason(RecursionError())
    ('no such column', 'RecursionError')
    """
    return one_line(str(error), LONGEST_REASON) or type(error).__name__


def one_line(text: str, longest: int) -> str:
    """A text in one line of so many characters, its end left out where it is longer."""
    words = " ".join(text.split())
    return words if len(words) <= longest else f"{words[:longest]}{GAP}"


def _middle_left_out(text: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    half = (longest - len(GAP)) // 2
    return f"{text[:half]}{GAP}{text[-half:]}"
