"""Several processes at one study."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path

import optuna

from training.files.interval import Interval
from training.interrupts import undisturbed
from training.search import Search
from training.store import Store
from training.tuning_study import WORKER, at_work, finished, hand_back, opened, work
from training.workers import TRIES, Pool, WorkerDiedError

Call = tuple[Search, str, Path | None, Interval | None]
"""What a process evaluates: the search, its database, where runs are kept, and how often."""

LOOK = 0.3
"""How often the study is looked at while others work [s]."""


def searched(
    search: Search,
    url: str,
    store: Store | None = None,
    pool: Pool | None = None,
    interval: Interval | None = None,
) -> Iterator[int]:
    """Evaluate until a study's budget is spent.

    Parameters
    ----------
    search : Search
        What is tuned.
    url : str
        Database of the study; see `training.tuning_study.opened`.
    store : Store, optional
        Where the runs of evaluations in full are kept.
    pool : Pool, optional
        Processes that evaluate, as many at a time as it has; without any this one does.
    interval : Interval, optional
        How often runs that are under way are kept in the store.

    Yields
    ------
    int
        Evaluations that are finished, whenever there are more.

    Raises
    ------
    PCMLabError
        If the database or the store fails, or workers die again and again.
    """
    study = opened(search, url)
    with at_work(study, url):
        if pool is None:
            yield from work(search, study, store, interval=interval)
            return
        team = _Team((search, url, None if store is None else store.folder, interval), pool, study)
        try:
            yield from team.watched()
        finally:
            team.abandon()


class _Team:
    """Calls that evaluate until the budget is spent, one for each process of a pool."""

    def __init__(self, call: Call, pool: Pool, study: optuna.Study) -> None:
        self._call = call
        self._pool, self._study, self._tries = pool, study, pool.width + TRIES
        self._names: dict[Future[None], str] = {}
        for _ in range(pool.width):
            self._begin()

    def watched(self) -> Iterator[int]:
        """The number of finished evaluations, as it grows."""
        known = finished(self._study)
        while self._names:
            with undisturbed():
                for future in wait(self._names, LOOK, FIRST_COMPLETED).done:
                    self._settle(future)
            if (now := finished(self._study)) > known:
                yield (known := now)

    def abandon(self) -> None:
        """End the processes; what they were at is to be done again."""
        if self._names:
            self._pool.shutdown(cancel_futures=True)
        for name in self._names.values():
            self._hand_back(name)

    def _begin(self) -> None:
        self._tries -= 1
        name = uuid.uuid4().hex
        self._names[self._pool.submit(evaluated, self._call, name)] = name

    def _settle(self, future: Future[None]) -> None:
        name = self._names.pop(future)
        try:
            future.result()
        except WorkerDiedError:
            self._hand_back(name)
            if self._tries == 0:
                raise
            self._begin()

    def _hand_back(self, name: str) -> None:
        hand_back(self._study, lambda trial: trial.user_attrs.get(WORKER) == name)


def evaluated(call: Call, name: str) -> None:
    """What one process does: evaluate until the budget is spent."""
    search, url, folder, interval = call
    store = None if folder is None else Store(folder)
    for _ in work(search, opened(search, url), store, name, interval):
        pass
