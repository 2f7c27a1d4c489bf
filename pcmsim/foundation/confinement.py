"""Which files a configuration may name, in this process: any, or those in some folders alone.

A command line and a library may name what their user may read. A server sets bounds, once, before anything is built:
what comes to it by a page, an address or an upload then names nothing outside its own folders.
"""

from __future__ import annotations

import threading
from pathlib import Path

from pcmsim.errors import FieldError, FileError
from pcmsim.foundation.paths import expanded

EXPECTED = "the path of a file that was uploaded here"

_lock = threading.Lock()
_folders: set[Path] | None = None


def confine(*folders: str | Path) -> None:
    """From now on, only paths in these folders may be named in this process; in none of them, no path at all."""
    global _folders  # noqa: PLW0603
    with _lock:
        _folders = {Path(folder).resolve() for folder in folders}


def release() -> None:
    """Let paths be free again, as they are in the beginning."""
    global _folders  # noqa: PLW0603
    with _lock:
        _folders = None


def confined() -> bool:
    """Whether there are bounds."""
    return _folders is not None


def admit(folder: str | Path) -> None:
    """Let paths in one more folder be named; without bounds nothing changes."""
    with _lock:
        if _folders is not None:
            _folders.add(Path(folder).resolve())


def dismiss(folder: str | Path) -> None:
    """Take back what `admit` gave."""
    with _lock:
        if _folders is not None:
            _folders.discard(Path(folder).resolve())


def check(field: str, text: str | Path) -> None:
    """Refuse a path outside the bounds; nothing is opened.

    Parameters
    ----------
    field : str
        What holds the path, for the error.
    text : str or Path
        The path; links in it are followed, and so are ``~`` and ``..``.

    Raises
    ------
    FieldError
        If it leads out of the folders.
    """
    if not confined():
        return
    try:
        place = expanded(text).resolve()
    except (FileError, OSError, RuntimeError):  # the home of nobody, a null, a circle of links
        place = None
    with _lock:
        folders = _folders or ()
        if place is None or not any(place.is_relative_to(folder) for folder in folders):
            raise FieldError(field, EXPECTED, str(text))
