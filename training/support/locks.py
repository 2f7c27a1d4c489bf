"""Locks on places that one process at a time may write to; none outlives the process that holds it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from pcmsim.errors import FileError

LOCK = ".lock"
"""Name of the lock file in a folder."""

UNKNOWN = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EINVAL)
"""What a file system answers that has no locks: whoever writes there is on their own."""


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Be the only process that writes to a file or folder, by a lock file in it or beside it.

    The lock file goes when this is over; one that a killed process left is nobody's, and is taken over.

    Parameters
    ----------
    path : Path
        A folder that is there, or a file that need not be.

    Raises
    ------
    FileError
        If another process holds it, or the lock file cannot be made.
    """
    place = path / LOCK if path.is_dir() else path.parent / f".{path.name}.lock"
    try:
        handle = _locked(place)
    except BlockingIOError as error:
        raise FileError(path, "is being written by another run; expected a place of its own") from error
    except OSError as error:
        raise FileError(path, f"cannot be written ({error.strerror})") from error
    try:
        yield
    finally:
        place.unlink(missing_ok=True)
        os.close(handle)


@contextlib.contextmanager
def among_others(path: Path) -> Iterator[contextlib.AbstractContextManager[bool]]:
    """Be one of the processes that work with a file, by a lock file beside it, which stays.

    Parameters
    ----------
    path : Path
        The file; it need not be there.

    Yields
    ------
    context manager of bool
        To do first: whether nobody else works with it; as long as that lasts, nobody begins to.

    Raises
    ------
    FileError
        If the lock file cannot be made.
    """
    place = path.parent / f".{path.name}.lock"
    try:
        handle = os.open(place, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise FileError(place, f"cannot be written ({error.strerror})") from error
    try:
        yield _entering(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _entering(handle: int) -> Iterator[bool]:
    try:
        _lock(handle)
        alone_here = True
    except BlockingIOError:
        alone_here = False
    try:
        yield alone_here
    finally:
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_SH)


def _locked(place: Path) -> int:
    """The lock file, open and ours: one that its holder removed meanwhile is made anew."""
    while True:
        handle = os.open(place, os.O_RDWR | os.O_CREAT, 0o666)
        with contextlib.ExitStack() as stack:
            stack.callback(os.close, handle)
            _lock(handle)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.stat(place), os.fstat(handle)):
                    stack.pop_all()
                    return handle


def _lock(handle: int) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in UNKNOWN:
            raise
