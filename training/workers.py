"""Jobs done by other processes: on this machine's cores, or on a Dask cluster; each once, whoever is killed."""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from itertools import islice

from pcmsim.errors import FieldError, FileError, PCMLabError, sentence
from training.files.interval import Interval
from training.files.unfinished import Unfinished
from training.interrupts import undisturbed
from training.jobs import Job, Outcome, perform, versions
from training.pools import LocalPool, Pool, UnfitWorkerError, WorkerDiedError
from training.store import Store

__all__ = [
    "TRIES", "FailedJobsError", "LocalPool", "Pool", "UnfitWorkerError", "WorkerDiedError",
    "cores", "perform_alike", "performed", "pool",
]  # fmt: skip

TRIES = 5
"""How often a job is begun before it is held to be what kills its workers."""

PATIENCE = 0.25
"""Seconds after which who waits for jobs looks whether to stop."""


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
    jobs: Iterable[Job],
    store: Store,
    pool: Pool,
    stopped: Callable[[], bool] = lambda: False,
    interval: Interval | None = None,
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
    interval : Interval, optional
        How often runs that are under way are kept in the store; one that was begun before goes on.

    Yields
    ------
    Outcome
        In the order in which they finish; each is in the store by then. A job whose worker died is begun again.

    Raises
    ------
    FailedJobsError
        At the end, if jobs failed, whatever with, or killed `TRIES` workers.
    UnfitWorkerError
        If a worker has other versions of what decides a run.
    FileError
        If an outcome cannot be written.
    """
    wanted, under_way = (job for job in jobs if job not in store), _UnderWay(store, pool, store.unfinished(interval))
    try:
        while not stopped() and under_way.fill(wanted):
            yield from under_way.collect()
    finally:
        under_way.abandon()
    if under_way.failures:
        raise FailedJobsError(under_way.failures)


class _UnderWay:
    """Jobs that were handed out: enough that no worker waits, no more."""

    def __init__(self, store: Store, pool: Pool, unfinished: Unfinished) -> None:
        self._store, self._pool, self._unfinished = store, pool, unfinished
        self._tries: dict[Future[Outcome], tuple[Job, int]] = {}
        self.failures: list[tuple[Job, PCMLabError]] = []

    def fill(self, wanted: Iterator[Job]) -> bool:
        """Hand out more; whether any are under way."""
        for job in islice(wanted, max(0, 2 * self._pool.width - len(self._tries))):
            self._begin(job, 1)
        return bool(self._tries)

    def collect(self) -> list[Outcome]:
        """Wait a while for some to finish; what they came to is in the store."""
        with undisturbed():
            done, _ = wait(self._tries, PATIENCE, return_when=FIRST_COMPLETED)
            settled = [self._settle(future) for future in list(self._tries) if future in done]
        return [outcome for outcome in settled if outcome is not None]

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
        except Exception as error:  # whatever it is, the others go on
            self.failures.append((job, _told(error)))
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
        self._tries[self._pool.submit(perform_alike, job, versions(), self._unfinished)] = job, number


def _told(error: Exception) -> PCMLabError:
    """What a job failed with; of what nobody foresaw, the kind too."""
    if isinstance(error, PCMLabError):
        return error
    told = PCMLabError(sentence(error))
    told.__cause__ = error
    return told


def perform_alike(job: Job, expected: Mapping[str, str], unfinished: Unfinished | None = None) -> Outcome:
    """Train a job where the versions are those of who asked; with others the run would be another one.

    Parameters
    ----------
    job : Job
        What to train.
    expected : mapping of str to str
        The versions.
    unfinished : Unfinished, optional
        Where the run is kept from time to time, if the store in which that is can be seen from here.

    Raises
    ------
    UnfitWorkerError
        If they are not.
    """
    for name, version in versions().items():
        if expected[name] != version:
            raise UnfitWorkerError(f"a worker has {name} {version}, expected {expected[name]} as here")
    seen = unfinished if unfinished is not None and unfinished.folder.parent.is_dir() else None
    return perform(job, unfinished=seen)
