"""Processes of our own: forked from one that has everything loaded, and free of the program that was started."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
import threading
import types
from collections.abc import Iterator
from typing import Any

_method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
PROCESSES: Any = multiprocessing.get_context(_method)
"""Makes them; see `multiprocessing.get_context`."""

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
