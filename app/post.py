"""From a worker's process to its page: what is new, no more often than a page can show it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import fields, replace
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

from app.shot import Shot, Twin
from pcmsim.errors import PCMLabError, sentence
from training.records import TrialRecord

SPACING = 0.025
"""Seconds between two trials that are told of while training."""

HISTORIES_EVERY = 0.2
"""Seconds between two tellings of the histories while training: they are long, and their plots take turns."""

HISTORIES = ("curve", "drift")
FIELDS = tuple(field.name for field in fields(Shot) if field.name not in ("version", *HISTORIES))


class Post:
    """Sends what has changed; any thread may call it.

    A message is ``"shot", changes, notices`` or ``"answer", number, result, error``.

    Parameters
    ----------
    connection : multiprocessing.connection.Connection
        To the page's process.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._outbox: SimpleQueue[tuple[Any, ...]] = SimpleQueue()
        threading.Thread(target=self._deliver, name="pcmlab-post", daemon=True).start()
        self._seen: Shot | None = None
        self._sent: Shot | None = None
        self._due = self._histories_due = 0.0

    def shot(self, shot: Shot, notices: deque[str]) -> None:
        """Tell of a shot, unless it only has a further trial and the one before was told of just now.

        Parameters
        ----------
        shot : Shot
            The latest.
        notices : deque of str
            Sentences for the person; what is told is taken out.
        """
        now = time.monotonic()
        plain = _is_next_trial(self._seen, shot) and not notices
        self._seen = shot
        if plain and (now < self._due or not self._outbox.empty()):
            return
        changes = {name: getattr(shot, name) for name in FIELDS if self._is_news(name, shot)}
        if not plain or now >= self._histories_due:
            changes |= {name: getattr(shot, name) for name in HISTORIES}
            self._histories_due = now + HISTORIES_EVERY
        self._sent, self._due = shot, now + SPACING
        self._send("shot", {name: _light(value) for name, value in changes.items()}, _taken(notices))

    def answer(self, number: int, future: Future[Any]) -> None:
        """Tell of the end of something that was asked for."""
        error = future.exception()
        self._send("answer", number, None if error is not None else future.result(), _fit_to_travel(error))

    def _is_news(self, name: str, shot: Shot) -> bool:
        return self._sent is None or getattr(shot, name) is not getattr(self._sent, name)

    def _send(self, *message: Any) -> None:
        self._outbox.put(message)

    def _deliver(self) -> None:
        """Until the page has gone: a page that is slow to take a message must not hold up training."""
        with contextlib.suppress(OSError):
            while True:
                self._connection.send(self._outbox.get())


def _is_next_trial(before: Shot | None, shot: Shot) -> bool:
    """Whether a running run has simply gone on."""
    if before is None or shot.record is before.record:
        return False
    return before.running and shot.running and (before.run, before.config_version) == (shot.run, shot.config_version)


def _fit_to_travel(error: BaseException | None) -> BaseException | None:
    """Ours as it is, any other in words: what cannot be put together again would silence the page for good."""
    return error if error is None or isinstance(error, PCMLabError) else PCMLabError(sentence(error))


def _light(value: Any) -> Any:
    """Without voltages and thresholds of all neurons, of which a page shows none: they are most of a record."""
    if isinstance(value, TrialRecord):
        return replace(value, voltage=value.voltage[:0], raised=value.raised[:0])
    return replace(value, record=_light(value.record)) if isinstance(value, Twin) else value


def _taken(notices: deque[str]) -> list[str]:
    return [notices.popleft() for _ in range(len(notices))]
