"""What files hold, as digests: a name of a run that changes with them."""

from __future__ import annotations

import hashlib
import stat
from functools import lru_cache
from pathlib import Path

REMEMBERED = 64


def digest(path: Path) -> str | None:
    """Of a file's content; worked out again only when the file has changed. None where there is no file to read."""
    try:
        about = path.stat()
        return _digest(path.resolve(), about.st_size, about.st_mtime_ns) if stat.S_ISREG(about.st_mode) else None
    except (OSError, ValueError):  # a ValueError where the name holds a null
        return None


@lru_cache(REMEMBERED)
def _digest(path: Path, size: int, modified: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
