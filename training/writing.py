"""Files that are whole or not there, also after a power cut."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from pcmsim.errors import FileError


@contextlib.contextmanager
def replacing(
    path: Path, within: Path | None = None, move: Callable[[Path, Path], None] | None = None
) -> Iterator[Path]:
    """A file to be written beside its final place, which it takes in one step; if that fails, nothing is left of it.

    It stands in a folder of its own, so that whoever writes it makes it, with the permissions of any new file. It is
    on the disk before it takes its place, and its place before this is over: a power cut leaves the old or the new.

    Parameters
    ----------
    path : Path
        Its final place.
    within : Path, optional
        Where it is written, on the same file system; by default beside it. What a killed writer leaves lies there.
    move : callable, optional
        How it takes its place, such as `keeping` what is there; by default it replaces that.

    Yields
    ------
    Path
        Where to write it.

    Raises
    ------
    FileError
        If it cannot be written; a file that was there is untouched.
    """
    try:
        with tempfile.TemporaryDirectory(dir=within or path.parent, prefix=f".{path.name}.") as beside:
            yield (made := Path(beside) / path.name)
            onto_disk(made)
            (move or os.replace)(made, path)
            onto_disk(path.parent)
    except OSError as error:
        raise FileError(path, f"cannot be written ({error.strerror})") from error


def keeping(made: Path, path: Path) -> None:
    """Give a file its final place unless another process has put one there meanwhile."""
    try:
        os.link(made, path)
    except FileExistsError:
        pass
    except OSError:  # a file system without links
        os.replace(made, path)


def onto_disk(path: Path) -> None:
    """Force a file's content, or the names in a folder, onto the disk, where the file system knows how."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


def clear_leftovers(path: Path) -> None:
    """Remove what processes left beside a file that were killed while they wrote it; who calls is its only writer."""
    left = re.compile(rf"\.{re.escape(path.name)}\.[a-z0-9_]{{8}}")
    for found in path.parent.iterdir():
        if left.fullmatch(found.name) and found.is_dir():
            shutil.rmtree(found, ignore_errors=True)
