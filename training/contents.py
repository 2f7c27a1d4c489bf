"""What the files hold that a run reads, as digests: a run's name and its checkpoint follow them."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from pcmsim.errors import FileError
from pcmsim.foundation.paths import expanded
from pcmsim.presets import is_file
from training.config import RunConfig
from training.support.limits import FILE_BYTES

REMEMBERED = 64


class Content(NamedTuple):
    """A file that a run may read.

    Parameters
    ----------
    path : str
        Where it is.
    digest : str or None
        Of its content, SHA-256; None where there is no file to read.
    """

    path: str
    digest: str | None


def of(config: RunConfig) -> tuple[Content, ...]:
    """All files that the run of a configuration reads, whether they exist or not."""
    return (*of_devices(config), *(Content(str(path), digest(path)) for path in config.task.files()))


def of_devices(config: RunConfig) -> tuple[Content, ...]:
    """The file that the device preset names; none where it is a name."""
    preset = config.device.preset
    return (Content(preset, digest(expanded(preset))),) if is_file(preset) else ()


def check_same(origin: str | Path, before: Sequence[Content], now: Sequence[Content]) -> None:
    """Raise `FileError`, naming the file, if one holds something else than it did for the run of `origin`.

    Files are compared in order, so that they may have moved.
    """
    for then, present in zip(before, now, strict=False):
        if then.digest != present.digest:
            change = "is gone" if present.digest is None else "has changed"
            expected = (
                "expected what it held then, or that the change is accepted (pcmlab resume --accept-changed-files)"
            )
            raise FileError(present.path, f"{change} since the run of {origin} read it; {expected}")


def digest(path: Path) -> str | None:
    """Of a file's content; worked out again only when the file has changed. None where no run reads such a file."""
    try:
        about = path.stat()
        read = stat.S_ISREG(about.st_mode) and about.st_size <= FILE_BYTES.most
        return _digest(path.resolve(), about.st_size, about.st_mtime_ns) if read else None
    except (OSError, ValueError):  # a ValueError where the name holds a null
        return None


@lru_cache(REMEMBERED)
def _digest(path: Path, size: int, modified: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
