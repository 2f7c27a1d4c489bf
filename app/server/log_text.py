"""What the log holds: the gist of every line, and no more lines than a disk can bear.

Libraries log what a browser sent in full, megabytes of it, as often as it is sent.
"""

from __future__ import annotations

import logging
import time
import traceback
from typing import Any

LONGEST = 600
"""Characters of a line."""

LONGEST_TRACE = 1500
"""Characters of a traceback: its end, which says what went wrong."""

PER_MINUTE = 50_000
"""Characters of all lines in a minute."""

SOURCES = ("", "bokeh", "panel", "tornado", "asyncio")
"""Loggers whose handlers write."""


class Short(logging.Filter):
    """Shortens what passes, and lets a certain amount pass in a minute."""

    def __init__(self) -> None:
        super().__init__()
        self._began, self._written = -60.0, 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is written; what it says is cut to its length."""
        shorten(record)
        now = time.monotonic()
        if now - self._began > 60.0:
            self._began, self._written = now, 0
        before = self._written
        self._written += len(record.msg) + len(record.exc_text or "")
        if self._written <= PER_MINUTE:
            return True
        if before <= PER_MINUTE:
            record.msg, record.exc_info, record.exc_text = "further lines of this minute are left out", None, None
            return True
        return False


def shorten(record: logging.LogRecord) -> None:
    """Cut a record's text, and its traceback from the front.

    Parameters
    ----------
    record : logging.LogRecord
        Changed in place; shortened twice, it stays as it was.
    """
    text = record.getMessage()
    record.msg, record.args = text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…", None
    if record.exc_info and not record.exc_text:
        lines = "".join(traceback.format_exception(*record.exc_info)).rstrip()
        record.exc_text = lines if len(lines) <= LONGEST_TRACE else f"…{lines[1 - LONGEST_TRACE :]}"


_short = Short()


def install() -> None:
    """Shorten what the handlers of all `SOURCES` write, from now on; again, nothing changes."""
    handlers: list[Any] = [handler for name in SOURCES for handler in logging.getLogger(name).handlers]
    for handler in [*handlers, logging.lastResort]:
        if handler is not None and _short not in handler.filters:
            handler.addFilter(_short)
