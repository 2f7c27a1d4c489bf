"""Files from a browser, received under limits.

panel-material-ui 0.16 checks sizes in the browser alone. Its Python side makes bytes of whatever comes as a piece, of a
number as many zeros, keeps pieces of as many files as are begun, in any order, and joins them one by one. Here the
pieces of a widget's files come in order, are counted, and take no more memory than all files of all visitors may.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, ClassVar
from weakref import WeakSet

from pcmsim.errors import PCMLabError

MIB = 2**20
LARGEST, ALL = 500 * MIB, 700 * MIB
"""Bytes of one file, and of all that are brought together: SHD's two files take some hundred megabytes."""

EVERYBODYS = 1400 * MIB
"""Bytes that uploads of all visitors take at the same time, until they lie on the disk."""

MOST_FILES = 8
LONGEST_NAME = 255
FORGOTTEN = 120.0
"""Seconds without a piece after which an upload gives way to somebody else's."""


def receive(widget: Any, endings: tuple[str, ...], warn: Callable[[str], None]) -> None:
    """Have a widget take files under limits.

    Parameters
    ----------
    widget : panel_material_ui.FileInput
        Gets ``value``, ``filename`` and ``mime_type`` when all files are there, as it does by itself.
    endings : tuple of str
        One of which each file's name must have, in small letters.
    warn : callable
        Says to the person what is refused.
    """
    widget._handle_msg = Reception(widget, endings, warn).take


class Reception:
    """Takes the messages of one widget; parameters as in `receive`."""

    _all: ClassVar[WeakSet[Reception]] = WeakSet()

    def __init__(self, widget: Any, endings: tuple[str, ...], warn: Callable[[str], None]) -> None:
        self._widget, self._endings, self._warn = widget, endings, warn
        self._clear()
        self._all.add(self)

    @property
    def size(self) -> int:
        """Bytes that are held, whether they are all there or not."""
        whole = self._widget.value or []
        return self._size + sum(map(len, whole if isinstance(whole, list) else [whole]))

    def take(self, message: Any) -> None:
        """One message of the browser's; what does not fit ends the upload and is told."""
        try:
            self._take(message)
        except PCMLabError as error:
            self._clear()
            self._widget._send_msg({"status": "error", "error": str(error)})
            self._warn(str(error))

    def _take(self, message: Any) -> None:
        status = message.get("status") if isinstance(message, dict) else None
        if status == "initializing":
            self._clear()
        elif status == "upload_event":
            self._piece(message)
        elif status == "finished":
            self._finish()
        elif status != "error":  # that the browser itself refuses a file
            raise PCMLabError("upload: the browser sent something else than files")

    def _piece(self, message: dict[str, Any]) -> None:
        name, number, total, data = (message.get(key) for key in ("name", "chunk", "total_chunks", "data"))
        if not isinstance(name, str) or not isinstance(data, bytes | memoryview):
            raise PCMLabError("upload: the browser sent something else than files")
        self._check_name(name)
        pieces = self._files.setdefault(name, [])
        if number != len(pieces) + 1 or not isinstance(total, int) or number > total:
            raise PCMLabError("upload: a piece of a file is missing; try again")
        self._check_size(pieces, len(data))
        pieces.append(bytes(data))
        self._size, self._at = self._size + len(data), time.monotonic()
        self._missing[name] = total - number

    def _check_name(self, name: str) -> None:
        if len(name) > LONGEST_NAME or not name.isprintable() or not name.lower().endswith(self._endings):
            raise PCMLabError(f"upload: expected a file whose name ends with {' or '.join(self._endings)}")
        if len(self._files) >= MOST_FILES and name not in self._files:
            raise PCMLabError(f"upload: at most {MOST_FILES} files at once")

    def _check_size(self, pieces: list[bytes], more: int) -> None:
        if sum(map(len, pieces)) + more > LARGEST:
            raise PCMLabError(f"upload: a file has at most {LARGEST // MIB} MiB")
        if self._size + more > ALL:
            raise PCMLabError(f"upload: all files have at most {ALL // MIB} MiB together")
        for other in self._all - {self}:
            if self._held() + more > EVERYBODYS and time.monotonic() - other._at > FORGOTTEN:
                other._clear()
        if self._held() + more > EVERYBODYS:
            raise PCMLabError("upload: others are bringing files; try again in a minute")

    @classmethod
    def _held(cls) -> int:
        return sum(each.size for each in cls._all)

    def _finish(self) -> None:
        if any(self._missing.values()):
            raise PCMLabError("upload: a piece of a file is missing; try again")
        files = {name: b"".join(pieces) for name, pieces in self._files.items()}
        self._clear()
        names, contents = [*files], [*files.values()]
        several = self._widget.multiple
        self._widget.param.update(
            filename=names if several else (names or [None])[0],
            mime_type=[""] * len(names) if several else "",
            value=contents if several else (contents or [None])[0],
        )
        self._widget._send_msg({"status": "finished"})

    def _clear(self) -> None:
        self._files: dict[str, list[bytes]] = {}
        self._missing: dict[str, int] = {}
        self._size, self._at = 0, time.monotonic()
