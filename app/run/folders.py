"""Where a process keeps the files of its sessions, and what processes that were killed have left there."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import tempfile
from collections.abc import Iterator
from multiprocessing.util import Finalize
from pathlib import Path

from pcmsim.errors import FileError
from training.support.locks import LOCK, alone

PREFIX = "pcmlab-"
SESSION = "session-"
AFTER_MULTIPROCESSING = -200


def session_folder() -> Path:
    """A new folder for the files of a session; its owner removes it."""
    folder = own_folder()
    folder.mkdir(mode=0o700, exist_ok=True)  # The system may have cleaned up behind a server that runs for weeks.
    return Path(tempfile.mkdtemp(prefix=SESSION, dir=folder))


@functools.cache
def own_folder() -> Path:
    """The folder of this process: gone when it ends, found by the next one where it was killed.

    A lock that the process holds tells that it lives.
    """
    remove_left()
    folder, held = _begun()
    # The folder of multiprocessing lies in it and is removed with priority -100: not to find it would be an error.
    Finalize(None, _leave, (folder, held), exitpriority=AFTER_MULTIPROCESSING)
    return folder


def remove_left() -> None:
    """Remove what this person's killed processes have left."""
    for folder in _left():
        with contextlib.suppress(FileError), alone(folder):  # Else its process lives.
            shutil.rmtree(folder, ignore_errors=True)


def _left() -> Iterator[Path]:
    with os.scandir(tempfile.gettempdir()) as entries:
        for entry in entries:
            mine = entry.name.startswith(PREFIX) and entry.is_dir(follow_symlinks=False)
            if mine and entry.stat(follow_symlinks=False).st_uid == os.getuid() and Path(entry, LOCK).is_file():
                yield Path(entry)


def _begun() -> tuple[Path, contextlib.ExitStack]:
    """A folder and its lock; another process that begins may take one away before it is locked."""
    while True:
        folder, held = Path(tempfile.mkdtemp(prefix=PREFIX)), contextlib.ExitStack()
        with contextlib.suppress(FileError):
            held.enter_context(alone(folder))
            return folder, held


def _leave(folder: Path, held: contextlib.ExitStack) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    held.close()
