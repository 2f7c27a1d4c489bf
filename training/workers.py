"""Jobs done by other processes: on this machine's cores, or on a Dask cluster; each once, whoever is killed."""

from __future__ import annotations

import contextlib
import importlib
import os
import queue
import signal
import threading
import traceback
from abc import abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from pcmsim.errors import FieldError, FileError, PCMLabError
from training.jobs import Job, Outcome, perform, versions
from training.processes import PROCESSES, end_with_parent, without_main
from training.store import Store

T = TypeVar("T")
TRIES = 5
"""How often a job is begun before it is held to be what kills its workers."""

NAME = "pcmlab-worker"
"""Of each process of this machine that does jobs."""

PATIENCE = 0.25
"""Seconds after which who waits for jobs looks whether to stop."""


class WorkerDiedError(PCMLabError):
    """The worker that did a call has gone, without an answer."""


class UnfitWorkerError(PCMLabError):
    """A worker cannot do what is asked, whatever the job."""


class FailedJobsError(PCMLabError):
    """Some jobs could not be done; all others are.

    Parameters
    ----------
    failures : sequence of (Job, PCMLabError)
        Which, and why.
    """

    def __init__(self, failures: Sequence[tuple[Job, PCMLabError]]) -> None:
        self.failures = list(failures)
        job, error = failures[0]
        super().__init__(f"{len(failures)} of the runs failed; the first, {job.key} (seed {job.config.seed}): {error}")


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
            desk.join()

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
        with without_main():
            self._process = PROCESSES.Process(target=_answer, args=(theirs, nice), name=NAME, daemon=True)
            self._process.start()
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
    """What a process does; Ctrl-C is for its parent, which ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
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


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def pool(workers: int | None = None, scheduler: str | None = None, *, nice: int = 0) -> Iterator[Pool]:
    """Workers for a while; none is left behind afterwards.

    Parameters
    ----------
    workers : int, optional
        Processes of this machine; by default one per core.
    scheduler : str, optional
        Address of a Dask scheduler, such as ``tcp://host:8786``, whose workers are taken instead. They are started by
        ``dask scheduler`` and ``dask worker ADDRESS --nworkers 2 --nthreads 1``.
    nice : int
        By how much the priority of this machine's processes is lowered.

    Yields
    ------
    Pool

    Raises
    ------
    FieldError
        If the number of workers is not one.
    PCMLabError
        If the scheduler cannot be reached, or has no workers.
    """
    if workers is not None and workers < 1:
        raise FieldError("workers", "a whole number >= 1", workers)
    made: Pool = LocalPool(workers or cores(), nice) if scheduler is None else _cluster(scheduler)
    try:
        yield made
    finally:
        made.shutdown(cancel_futures=True)


def _cluster(address: str) -> Pool:
    """Dask takes half a second to load: only who asks for it waits."""
    made: Pool = importlib.import_module("training.cluster").ClusterPool(address)
    return made


def performed(
    jobs: Iterable[Job], store: Store, pool: Pool, stopped: Callable[[], bool] = lambda: False
) -> Generator[Outcome, None, None]:
    """Do the jobs that the store does not have, and keep each outcome as soon as there is one.

    Parameters
    ----------
    jobs : iterable of Job
        Taken as they are needed: there may be millions.
    store : Store
        Where outcomes are kept, and looked for.
    pool : Pool
        From `pool`.
    stopped : callable
        Asked several times a second; once it says so nothing more is done, and what is under way is dropped.

    Yields
    ------
    Outcome
        In the order in which they finish; each is in the store by then. A job whose worker died is begun again.

    Raises
    ------
    FailedJobsError
        At the end, if jobs failed with a `PCMLabError` or killed `TRIES` workers.
    UnfitWorkerError
        If a worker has other versions of what decides a run.
    FileError
        If an outcome cannot be written.
    """
    wanted, under_way = (job for job in jobs if job not in store), _UnderWay(store, pool)
    try:
        while not stopped() and under_way.fill(wanted):
            yield from under_way.collect()
    finally:
        under_way.abandon()
    if under_way.failures:
        raise FailedJobsError(under_way.failures)


class _UnderWay:
    """Jobs that were handed out: enough that no worker waits, no more."""

    def __init__(self, store: Store, pool: Pool) -> None:
        self._store, self._pool = store, pool
        self._tries: dict[Future[Outcome], tuple[Job, int]] = {}
        self.failures: list[tuple[Job, PCMLabError]] = []

    def fill(self, wanted: Iterator[Job]) -> bool:
        """Hand out more; whether any are under way."""
        for job in islice(wanted, max(0, 2 * self._pool.width - len(self._tries))):
            self._begin(job, 1)
        return bool(self._tries)

    def collect(self) -> list[Outcome]:
        """Wait a while for some to finish; what they came to is in the store."""
        done, _ = wait(self._tries, PATIENCE, return_when=FIRST_COMPLETED)
        return [outcome for future in done if (outcome := self._settle(future)) is not None]

    def abandon(self) -> None:
        """Cancel what is left; what has finished meanwhile is kept."""
        for future in self._tries:
            if not future.cancel() and future.done() and future.exception() is None:
                with contextlib.suppress(FileError):
                    self._store.add(future.result())

    def _settle(self, future: Future[Outcome]) -> Outcome | None:
        job, number = self._tries[future]
        try:
            outcome = future.result()
        except UnfitWorkerError:
            raise
        except WorkerDiedError as error:
            self._again(job, number, error)
        except PCMLabError as error:
            self.failures.append((job, error))
        else:
            self._store.add(outcome)
            del self._tries[future]
            return outcome
        del self._tries[future]
        return None

    def _again(self, job: Job, number: int, error: WorkerDiedError) -> None:
        if number < TRIES:
            self._begin(job, number + 1)
        else:
            self.failures.append((job, WorkerDiedError(f"{error}, {number} times")))

    def _begin(self, job: Job, number: int) -> None:
        self._tries[self._pool.submit(perform_alike, job, versions())] = job, number


def perform_alike(job: Job, expected: Mapping[str, str]) -> Outcome:
    """Train a job where the versions are those of who asked; with others the run would be another one.

    Raises
    ------
    UnfitWorkerError
        If they are not.
    """
    for name, version in versions().items():
        if expected[name] != version:
            raise UnfitWorkerError(f"a worker has {name} {version}, expected {expected[name]} as here")
    return perform(job)
