"""How late the event loop is: one loop serves every page of a process, so its lag is what all of them feel."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import psutil
from tornado.web import RequestHandler

PERIOD = 0.02
SPAN = 60.0
FRESH = 1.0


@dataclass(frozen=True)
class Lag:
    """Lateness of a timer over the last minute.

    Parameters
    ----------
    median, p95, max : float
        Median, 95th percentile and maximum [s].
    """

    median: float
    p95: float
    max: float


class LoopMonitor:
    """Sets a timer again and again, and notes how late it goes off.

    A stall counts as one late timer however long it lasts, so look at the maximum too.

    Parameters
    ----------
    period : float
        Seconds from one timer to the next.
    span : float
        Seconds that `lag` looks back.
    """

    def __init__(self, period: float = PERIOD, span: float = SPAN) -> None:
        self.period, self.span = period, span
        # Not in objects: fifty a second, kept for a minute, they would keep the memory around them from being freed.
        self._moments, self._late = np.full((2, round(span / period)), -np.inf)
        self._count = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        # An empty one: the present one may hold a visitor's document, and the timer never ends.
        self._context = contextvars.Context()

    def start(self) -> None:
        """Begin to watch the running event loop; a loop that is watched already stays so.

        Raises
        ------
        RuntimeError
            If no loop is running in this thread.
        """
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop = loop
            self._moments.fill(-np.inf)
            self._set(loop)

    def lag(self) -> Lag:
        """The lag over the last `span` seconds; zeros before anything was measured."""
        if self._loop is None:
            return Lag(0.0, 0.0, 0.0)
        oldest = self._loop.time() - self.span
        late = self._late[self._moments >= oldest]
        return Lag(*np.quantile(late, (0.5, 0.95, 1.0)).tolist()) if late.size else Lag(0.0, 0.0, 0.0)

    def _set(self, loop: asyncio.AbstractEventLoop) -> None:
        due = loop.time() + self.period
        loop.call_at(due, self._went_off, loop, due, context=self._context)

    def _went_off(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        if loop is self._loop:
            now = loop.time()
            self._note(now, max(0.0, now - due))
            self._set(loop)

    def _note(self, moment: float, lateness: float) -> None:
        place = self._count % len(self._moments)
        self._moments[place], self._late[place] = moment, lateness
        self._count += 1


class Vitals:
    """Threads and memory of this process and of those that it has started, and the lag of its loop.

    The system takes some 20 ms to tell the memory of a process: another thread waits for that, and who asks again
    within `FRESH` seconds gets the same figures.

    Parameters
    ----------
    monitor : LoopMonitor
        Watches the loop.
    """

    def __init__(self, monitor: LoopMonitor) -> None:
        self._monitor = monitor
        self._reading: asyncio.Future[dict[str, int]] | None = None
        self._began = 0.0

    async def read(self) -> dict[str, Any]:
        """The figures.

        Returns
        -------
        dict
            ``threads``; ``rss_bytes``; ``children_bytes``, the memory of all processes that this one has
            begun; ``lag_ms`` with ``median``, ``p95`` and ``max`` over the last minute [ms].
        """
        loop = asyncio.get_running_loop()
        if self._reading is None or (self._reading.done() and loop.time() - self._began > FRESH):
            self._reading, self._began = loop.run_in_executor(None, _processes), loop.time()
        figures = await asyncio.shield(self._reading)
        lag = vars(self._monitor.lag())
        return {**figures, "lag_ms": {name: round(1000.0 * value, 3) for name, value in lag.items()}}


def _processes() -> dict[str, int]:
    process = psutil.Process()
    return {
        "threads": process.num_threads(),
        "rss_bytes": process.memory_info().rss,
        "children_bytes": sum(map(_held, process.children(recursive=True))),
    }


def _held(process: psutil.Process) -> int:
    """Memory of a process, what it shares with others divided among them; of one that has just ended, nothing."""
    with contextlib.suppress(psutil.Error):
        memory = process.memory_full_info()
        return int(getattr(memory, "pss", memory.uss))
    return 0


class Health(RequestHandler):
    """Answers ``GET /health`` with JSON: is the server well, how many does it serve, how late is its loop.

    Beside what `report` gives, ``documents`` counts the browser sessions that the server still keeps: live
    ones, refused ones, and those whose browser has gone a moment ago.
    """

    def initialize(self, report: Callable[[], Awaitable[dict[str, Any]]]) -> None:
        """Take the source of the figures; called by Tornado for each request."""
        self._report = report

    async def get(self) -> None:
        """Write the report."""
        self.set_header("Cache-Control", "no-store")
        documents = sum(len(self.application.get_sessions(path)) for path in self.application.app_paths)
        self.write({**await self._report(), "documents": documents})

    head = get
