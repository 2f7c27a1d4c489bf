"""The token by which a chip's server knows its callers: from the environment, or a file for the user alone."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from pcmsim.errors import FileError, PCMLabError
from pcmsim.foundation.paths import expanded

VARIABLE = "PCMLAB_CHIP_TOKEN"


def default_file() -> Path:
    """Where a token is kept that nobody gave."""
    return expanded(os.environ.get("XDG_CONFIG_HOME") or "~/.config") / "pcmlab" / "chip-token"


def find(file: str | None = None) -> str:
    """The token: of `file`, else of the environment, else of the user's own file.

    Raises
    ------
    FileError
        If the file cannot be read, is empty, or others may read it.
    PCMLabError
        If there is no token at all.
    """
    if file is None and os.environ.get(VARIABLE):
        return os.environ[VARIABLE]
    if file is None and not default_file().exists():
        raise PCMLabError(
            f"token: expected in {VARIABLE}, in a file (--chip-token FILE) or in {default_file()}, got none"
        )
    return _kept(expanded(file) if file else default_file())


def ensure(file: str | None = None) -> tuple[str, str]:
    """The token of `find`, made and kept in the file if there is none; and where it is."""
    if file is None and os.environ.get(VARIABLE):
        return os.environ[VARIABLE], VARIABLE
    path = expanded(file) if file else default_file()
    if not path.exists():
        _keep(path, secrets.token_urlsafe(32))
    return _kept(path), str(path)


def _kept(path: Path) -> str:
    try:
        text, others = path.read_text(encoding="ascii").strip(), path.stat().st_mode & 0o077
    except (OSError, ValueError) as error:
        raise FileError(path, f"cannot be read as a token ({error})") from error
    if others or not text:
        raise FileError(path, "is empty or open to others; expected a token that its owner alone may read")
    return text


def _keep(path: Path, token: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(token + "\n")
    except OSError as error:
        raise FileError(path, f"cannot be written ({error.strerror})") from error
