"""Processes of our own: forked from one that has everything loaded, and free of the program that was started."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from typing import Any

import psutil

_method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
PROCESSES: Any = multiprocessing.get_context(_method)
"""Makes them; see `multiprocessing.get_context`."""

LOOK = 0.02
"""Seconds between two looks whether a process has ended of which nobody is told."""

PROCESSES.set_forkserver_preload(["training.prepared"])
_starting = threading.Lock()


@contextlib.contextmanager
def without_main() -> Iterator[None]:
    """To begin a process in: it does not see the program that was started.

    It would run that program again up to its guard, for seconds, or serve once more where there is none; none of ours
    needs anything of it.
    """
    with _starting:
        main, sys.modules["__main__"] = sys.modules["__main__"], types.ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main


class Helper:
    """A process that works for this one; it ends when it is told to, whatever became of the one it was forked from.

    That one alone learns how its processes end: once it has died, `multiprocessing` takes all of them for dead, and
    ends none. They go on, and are known by their number and the time at which they began.

    Parameters
    ----------
    target : callable
        What it does.
    arguments : tuple
        Of `target`.
    name : str
        Of the process.
    """

    def __init__(self, target: Callable[..., None], arguments: tuple[Any, ...], name: str) -> None:
        with without_main():
            self._process = PROCESSES.Process(target=target, args=arguments, name=name, daemon=True)
            self._process.start()
        self._known: psutil.Process | None = None
        with contextlib.suppress(psutil.NoSuchProcess):  # It may have ended already.
            self._known = psutil.Process(self._process.pid)

    @property
    def pid(self) -> int:
        """Its number."""
        return int(self._process.pid)

    @property
    def exit_code(self) -> int | None:
        """How it has ended; 255 where nobody knows, None while it lives."""
        code: int | None = self._process.exitcode
        return code

    def terminate(self) -> None:
        """Have it end."""
        if self._known is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                self._known.terminate()

    def kill(self) -> None:
        """End it at once."""
        if self._known is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                self._known.kill()

    def join(self) -> None:
        """Wait until it has ended."""
        self._process.join()
        while self._lives():
            time.sleep(LOOK)

    def _lives(self) -> bool:
        """Whether it does anything yet: one that has ended may stay in the list of processes if nobody asks how."""
        with contextlib.suppress(psutil.NoSuchProcess):
            known = self._known
            return known is not None and known.is_running() and known.status() != psutil.STATUS_ZOMBIE
        return False


def prepare() -> None:
    """Have the process from which others are forked load and compile what they need; return when it has."""
    with without_main():
        first = PROCESSES.Process(target=_nothing)
        first.start()
    first.join()


def end_with_parent() -> None:
    """In a process that works for another: end when that one has ended, however that was."""
    threading.Thread(target=_await_parent, daemon=True).start()


def _await_parent() -> None:
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(0)


def _nothing() -> None:
    pass
