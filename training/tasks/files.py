"""Files that users bring: what must hold before one is read."""

from __future__ import annotations

import stat
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from pcmsim.errors import FieldError, FileError
from pcmsim.foundation import confinement
from pcmsim.foundation.paths import expanded
from pcmsim.quantity import quantity
from training.support import limits

LARGEST = limits.FILE_BYTES.most
"""Bytes that a file may hold at most."""

REMEMBERED = 4
Content = TypeVar("Content")

_clearings: list[Callable[[], None]] = []


def path_field(doc: str, source: str = "") -> Any:
    """A task's field that names a file or folder; empty until the user names one."""
    return quantity("", structural=True, path=bool, doc=doc, source=source or "yours; nothing is downloaded")


def folder(field: str, text: str, expected: str) -> Path:
    """The folder that a field names.

    Parameters
    ----------
    field : str
        The field's name, for the error.
    text : str
        What stands in it.
    expected : str
        What the folder should hold, in words.

    Raises
    ------
    FieldError
        If the field is empty.
    FileError
        If there is no such folder, or it is none.
    """
    path = _named(field, text, f"the path of a folder with {expected}")
    if not stat.S_ISDIR(_mode(path, f"a folder with {expected}")):
        raise FileError(path, f"is not a folder; expected a folder with {expected}")
    return path


def file(field: str, text: str, expected: str) -> Path:
    """The file that a field names, checked by `checked`.

    Raises
    ------
    FieldError
        If the field is empty.
    FileError
        As `checked`.
    """
    return checked(_named(field, text, f"the path of {expected}"), expected)


def checked(path: Path, expected: str) -> Path:
    """`path`, if a file is there that holds something and not too much.

    Raises
    ------
    FileError
        If it is missing, no file, empty, or larger than 2 GB.
    """
    if not stat.S_ISREG(_mode(path, expected)):
        raise FileError(path, f"is not a file; expected {expected}")
    size = path.stat().st_size
    if size == 0:
        raise FileError(path, f"is empty; expected {expected}")
    if size > LARGEST:
        raise FileError(path, f"is too large, {size / 1e9:.1f} GB; at most {LARGEST / 1e9:.1f} GB are read")
    return path


def remembered(read: Callable[[Path], Content]) -> Callable[[Path], Content]:
    """Read a file once, and again when it has changed; the latest few stay."""

    @lru_cache(REMEMBERED)
    def known(path: Path, stamp: tuple[int, int]) -> Content:
        return read(path)

    _clearings.append(known.cache_clear)

    def once(path: Path) -> Content:
        about = path.stat()
        return known(path.resolve(), (about.st_mtime_ns, about.st_size))

    return once


def forget() -> None:
    """Let go of all files that are `remembered`: what is in use is held by its users, the next one reads anew."""
    for clear in _clearings:
        clear()


def _named(field: str, text: str, expected: str) -> Path:
    if not text:
        raise FieldError(field, expected, text)
    confinement.check(field, text)
    return expanded(text)


def _mode(path: Path, expected: str) -> int:
    try:
        return path.stat().st_mode
    except OSError as error:
        raise FileError(path, f"cannot be found ({error.strerror}); expected {expected}") from error
