"""Files that are whole or not there."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pcmsim.errors import FileError


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file to be written beside its final place, which it takes in one step; if that fails, nothing is left of it.

    It stands in a folder of its own, so that whoever writes it makes it, with the permissions of any new file.

    Raises
    ------
    FileError
        If it cannot be written; a file that was there is untouched.
    """
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as beside:
            yield (made := Path(beside) / path.name)
            os.replace(made, path)
    except OSError as error:
        raise FileError(path, f"cannot be written ({error.strerror})") from error
