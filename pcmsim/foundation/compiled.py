"""Numba's compiler with a cache that may fail: a disk that is full or only read ends no run."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import numba
from numba.core.caching import FunctionCache

VARIABLE = "NUMBA_CACHE_DIR"
"""Where Numba is told to keep what is compiled."""


class _Cache(FunctionCache):
    """Numba's cache of one function; what cannot be written or read is compiled again.

    Numba itself (0.68) passes over such failures on Windows alone; elsewhere they end the call.
    """

    @contextlib.contextmanager
    def _guard_against_spurious_io_errors(self) -> Iterator[None]:
        with contextlib.suppress(OSError):
            yield


def njit(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function, as `numba.njit` does, and keep what was compiled for the next process.

    Parameters
    ----------
    options
        Those of `numba.njit`, without ``cache``.

    Returns
    -------
    callable
        The decorator.
    """

    def compiled(function: Callable[..., Any]) -> Any:
        dispatcher = numba.njit(**options)(function)
        with contextlib.suppress(OSError):  # not even a folder for a while: each process compiles for itself
            dispatcher._cache = _cache(function)
        return dispatcher

    return compiled


def _cache(function: Callable[..., Any]) -> FunctionCache:
    try:
        return _Cache(function)
    except RuntimeError:  # neither beside the function nor in the home directory can anything be written
        _keep_for_a_while()
        return _Cache(function)


@functools.cache
def _keep_for_a_while() -> None:
    """Have this process and those that it starts share a folder of their own, which goes when it ends."""
    folder, owner = tempfile.mkdtemp(prefix="pcmlab-compiled-"), os.getpid()
    os.environ[VARIABLE] = folder
    numba.config.reload_config()
    atexit.register(lambda: shutil.rmtree(folder, ignore_errors=True) if os.getpid() == owner else None)
