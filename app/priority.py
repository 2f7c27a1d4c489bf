"""Computing threads give way to the page."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections import deque

import torch

MODEST, IDLE = 10, 19
"""Of a thread that trains, and of one whose work can wait."""


class Turns:
    """Lets so many threads compute at a time, in the order of asking: a context manager.

    A semaphore of the standard library would be taken again at once by the thread that has just released it.

    Parameters
    ----------
    places : int
        How many.
    """

    def __init__(self, places: int) -> None:
        self._free = places
        self._lock = threading.Lock()
        self._waiting: deque[threading.Lock] = deque()

    def __enter__(self) -> None:
        """Wait for a place."""
        with self._lock:
            if self._free > 0:
                self._free -= 1
                return
            mine = threading.Lock()
            mine.acquire()
            self._waiting.append(mine)
        mine.acquire()

    def __exit__(self, *_: object) -> None:
        """Hand the place to who has waited longest."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._free += 1


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


TURN = Turns(max(1, _processors() - 1))
"""To train in: a processor is left to the pages, and trials that would only hold each other up wait."""


def be_modest(niceness: int = MODEST) -> None:
    """Leave the processor to the page: one compute thread, low priority where the system has it per thread."""
    torch.set_num_threads(1)
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            usual = os.getpriority(os.PRIO_PROCESS, os.getpid())
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), usual + niceness)
