"""Paths that people name: in options, in the environment, in files of settings."""

from __future__ import annotations

from pathlib import Path

from pcmsim.errors import FileError


def expanded(named: str | Path) -> Path:
    """The path that was named, with a home directory for ``~`` or ``~user`` at its beginning.

    Raises
    ------
    FileError
        If that home directory is not known, or the name can be no file's.

    Examples
    --------
    >>> expanded("runs/first").as_posix()
    'runs/first'
    """
    if "\0" in str(named):
        raise FileError(str(named).replace("\0", "\\0"), "is not a file name; expected one without null characters")
    try:
        return Path(named).expanduser()
    except RuntimeError as error:
        raise FileError(named, "begins with a home directory that is not known; expected the whole path") from error
