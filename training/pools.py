"""Processes that answer calls; one that dies is replaced, and takes no more than its own call along."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import traceback
from abc import abstractmethod
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, NamedTuple, TypeVar

from pcmsim.errors import PCMLabError
from training.interrupts import leave_to_parent
from training.processes import PROCESSES, Helper, end_with_parent

T = TypeVar("T")
NAME = "pcmlab-pool"
"""Of each process of this machine that answers calls."""

FAREWELL = 5.0
"""Seconds for the threads to end once their processes are killed, should one wait for a future that is locked for ever;
see `training.interrupts`."""


class WorkerDiedError(PCMLabError):
    """The worker that did a call has gone, without an answer."""


class UnfitWorkerError(PCMLabError):
    """A worker cannot do what is asked, whatever the job."""


class Pool(Executor):
    """Processes that answer calls; the functions must live in modules that they can import."""

    @property
    @abstractmethod
    def width(self) -> int:
        """How many calls are answered at the same time."""


class LocalPool(Pool):
    """Processes of this machine; one that dies takes its own call along, no other, and is replaced.

    Parameters
    ----------
    workers : int
        How many.
    nice : int
        By how much their priority is lowered.
    """

    def __init__(self, workers: int, nice: int = 0) -> None:
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._desks = [_Desk(self._calls, nice) for _ in range(workers)]

    @property
    def width(self) -> int:
        """The number of processes."""
        return len(self._desks)

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Have a function called; see `concurrent.futures.Executor.submit`."""
        future: Future[T] = Future()
        self._calls.put(_Call(future, fn, args, kwargs))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes: after the calls that wait, or at once where these are cancelled."""
        if cancel_futures:
            self._cancel()
        for _ in self._desks:
            self._calls.put(None)
        for desk in self._desks if wait else ():
            desk.join(FAREWELL if cancel_futures else None)

    def _cancel(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                if (call := self._calls.get_nowait()) is not None:
                    call.future.cancel()
        for desk in self._desks:
            desk.close()


class _Call(NamedTuple):
    future: Future[Any]
    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def answer(self, staffed: Callable[[], _Worker]) -> None:
        """Have it answered, whatever the answer is."""
        try:
            fine, value = staffed().ask((self.function, self.args, self.kwargs))
        except Exception as error:  # the future's owner is told; the desk goes on
            fine, value = False, error
        (self.future.set_result if fine else self.future.set_exception)(value)


class _Desk(threading.Thread):
    """Where calls wait for one process: it is begun with the first of them, and again after it has died."""

    def __init__(self, calls: queue.SimpleQueue[_Call | None], nice: int) -> None:
        super().__init__(daemon=True)
        self._calls, self._nice, self._closed, self._lock = calls, nice, False, threading.Lock()
        self._worker: _Worker | None = None
        self.start()

    def run(self) -> None:
        """Serve until there is nothing more."""
        while (call := self._calls.get()) is not None:
            if call.future.set_running_or_notify_cancel():
                call.answer(self._staffed)
        self.close()

    def close(self) -> None:
        """End the process, whatever it does; the call that it was doing fails."""
        with self._lock:
            self._closed = True
            if self._worker is not None:
                self._worker.end()

    def _staffed(self) -> _Worker:
        with self._lock:
            if self._closed:
                raise WorkerDiedError("the workers were told to end before the run was done")
            if self._worker is None or not self._worker.alive:
                self._worker = _Worker(self._nice)
            return self._worker


class _Worker:
    """A process that answers one call after another."""

    def __init__(self, nice: int) -> None:
        self._pipe, theirs = PROCESSES.Pipe()
        self._process = Helper(_answer, (theirs, nice), NAME)
        theirs.close()
        self.alive = True

    def ask(self, call: tuple[Any, ...]) -> tuple[bool, Any]:
        """What the process answers: whether it went well, and the value or the error."""
        try:
            self._pipe.send(call)
            answer: tuple[bool, Any] = self._pipe.recv()
        except (EOFError, OSError) as error:
            self.end()
            raise WorkerDiedError(f"worker process {self._process.pid} has ended before its run was done") from error
        return answer

    def end(self) -> None:
        self.alive = False
        self._process.kill()
        self._process.join()


def _answer(pipe: Any, nice: int) -> None:
    """What a process does; signals are for its parent, which ends it."""
    leave_to_parent()
    end_with_parent()
    if nice and hasattr(os, "nice"):
        os.nice(nice)
    with contextlib.suppress(EOFError, OSError):
        while True:
            function, args, kwargs = pipe.recv()
            pipe.send(_tried(function, args, kwargs))


def _tried(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[bool, Any]:
    try:
        return True, function(*args, **kwargs)
    except Exception as error:
        error.add_note(f"In a worker process:\n{traceback.format_exc()}")
        return False, error
