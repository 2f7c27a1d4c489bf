"""The learning curve on ideal weights: what the devices cost is the distance to it.

Computed ahead of the run, in small portions, by one process of low priority that serves all pages;
pages that show the same task, network, seed and learning rates share one curve. What no page shows
any more, that process forgets, with the files that a visitor brought for it.
"""

from __future__ import annotations

import contextlib
import functools
import threading
import weakref
from collections import deque
from collections.abc import Callable, Collection
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

import yaml

from app import url
from app.history import Curve, Point
from app.priority import IDLE, be_modest
from app.processes import PROCESSES, end_with_parent, without_main
from training.config import RunConfig
from training.session import Session
from training.tasks import files
from training.twin import ideal

AHEAD = 250
"""Trials by which the reference is ahead of the run."""

PORTION = 10
"""Trials that are computed at once: all references take turns."""

LONGEST = 3000
"""Trials after which the reference stays where it is: it has converged by then."""

Answer = TypeVar("Answer")

_shared: weakref.WeakValueDictionary[str, Reference] = weakref.WeakValueDictionary()
_recent: deque[Reference] = deque(maxlen=4)
"""Kept for whoever comes next: a page that is loaded again, or the next visitor of the default preset."""

_sessions: dict[str, Session] = {}
"""In the process that computes: runs that wait for their next portion, by their configuration."""

_sharing = threading.Lock()


class Reference:
    """A run on ideal weights that keeps ahead of the runs that it is compared with.

    Parameters
    ----------
    config : RunConfig
        The ideal run; see `training.twin.ideal`.
    """

    def __init__(self, config: RunConfig) -> None:
        self.config, self.curve = config, Curve()
        self.done = 0
        """Trials done."""
        self._goal, self._asked = 0, False
        self._lock = threading.Lock()

    def keep_ahead(self, trial: int) -> None:
        """Go on until a portion beyond `trial`; returns at once."""
        with self._lock:
            self._goal = min(max(self._goal, trial + AHEAD), LONGEST)
            due = not self._asked and self.done < min(self._goal, trial + AHEAD // 2)
            self._asked = self._asked or due
        if due:
            self._ask()

    def stop(self) -> None:
        """Compute no further than the present portion, until more is wanted."""
        with self._lock:
            self._goal = 0

    def _ask(self) -> None:
        """Have the next portion computed; nobody waits for a reference that nobody holds."""
        owner, trials = weakref.ref(self), max(1, min(PORTION, self._goal - self.done))
        with contextlib.suppress(RuntimeError):  # The program ends.
            asked = _submit(portion, self.config.to_yaml(), self.done, trials, _used())
            asked.add_done_callback(lambda answer: _take(owner, answer))

    def _take(self, points: list[Point]) -> None:
        """Without points, the portion has failed: the next wish tries again."""
        for point in points:
            self.curve.append(point)
        with self._lock:
            self.done += len(points)
            self._asked = bool(points) and self.done < self._goal
        if self._asked:
            self._ask()


def reference(config: RunConfig) -> Reference:
    """The reference of a run; the same object for all runs that share it.

    A run that no address can ask for, such as one on a visitor's files, is kept for nobody who comes next.
    """
    wanted = ideal(config)
    with _sharing:
        found = _shared.get(key := wanted.to_yaml())
        if found is None:
            found = _shared[key] = Reference(wanted)
        if found not in _recent and url.live(config, url.DEFAULT_PRESET):
            _recent.append(found)
        return found


def tidy() -> None:
    """A page has let go of its reference: have forgotten what nobody holds any more."""
    with contextlib.suppress(RuntimeError):  # The program ends.
        _submit(keep, _used())


def _used() -> tuple[str, ...]:
    with _sharing:
        return tuple(_shared)


def _take(owner: weakref.ref[Reference], answer: Future[list[Point]]) -> None:
    if (mine := owner()) is not None:
        mine._take([] if answer.cancelled() or answer.exception() is not None else answer.result())


def _begin() -> None:
    end_with_parent()
    be_modest(IDLE)


@functools.cache
def _pool() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=PROCESSES, initializer=_begin)


def _submit(task: Callable[..., Answer], *arguments: Any) -> Future[Answer]:
    """Asked of the process that computes; of a new one, should the last have died."""
    with without_main():
        try:
            return _pool().submit(task, *arguments)
        except BrokenProcessPool:
            _pool.cache_clear()
            return _pool().submit(task, *arguments)


def keep(used: Collection[str]) -> None:
    """Forget all runs but those that are `used`, told by their configurations as YAML."""
    unused = _sessions.keys() - set(used)
    for config in unused:
        del _sessions[config]
    if unused:
        files.forget()


def portion(config: str, done: int, trials: int, used: Collection[str]) -> list[Point]:
    """The next trials of a run; its session waits here for the next portion.

    Parameters
    ----------
    config : str
        The run's configuration as YAML.
    done : int
        Trials that are known; a session that was forgotten, or is ahead, trains them again.
    trials : int
        How many.
    used : collection of str
        See `keep`.

    Returns
    -------
    list of Point
        The trials from `done` on.
    """
    keep(used)
    session = _sessions.get(config)
    if session is None or session.trial > done:
        session = _sessions[config] = Session(RunConfig.from_dict(yaml.safe_load(config)))
    for _ in session.run(done - session.trial):
        pass
    return [Point(**{name: getattr(record, name) for name in Point._fields}) for record in session.run(trials)]
