"""The learning curve on ideal weights: what the devices cost is the distance to it.

Computed beside the run by a thread of low priority, ahead of it and in small portions; pages that
show the same task, network, seed and learning rates share one.
"""

from __future__ import annotations

import atexit
import contextlib
import threading
import weakref
from collections import deque
from collections.abc import Iterator

from app.history import Curve
from app.priority import IDLE, be_modest
from training.config import RunConfig
from training.session import Session
from training.twin import ideal

PORTION = 250
"""Trials by which the reference is ahead of the run."""

LONGEST = 3000
"""Trials after which the reference stays where it is: it has converged by then."""

_shared: weakref.WeakValueDictionary[str, Reference] = weakref.WeakValueDictionary()
_recent: deque[Reference] = deque(maxlen=4)
"""Kept for whoever comes next: a page that is loaded again, or the next visitor of the default preset."""

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
        self._goal = 0
        self._session: Session | None = None
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def keep_ahead(self, trial: int) -> None:
        """Go on until a portion beyond `trial`; returns at once."""
        with self._lock:
            self._goal = min(max(self._goal, trial + PORTION), LONGEST)
            if self._thread is None and self.done < min(self._goal, trial + PORTION // 2):
                self._thread = threading.Thread(target=_train, args=(weakref.ref(self),), daemon=True)
                self._thread.start()

    def stop(self, timeout: float = 1.0) -> None:
        """End the thread after its present trial, until more is wanted; wait up to `timeout` [s] for it."""
        with self._lock:
            self._goal, thread = 0, self._thread
        if thread is not None:
            thread.join(timeout)

    @property
    def done(self) -> int:
        """Trials done."""
        return 0 if self._session is None else self._session.trial

    def step(self) -> None:
        """Train on one more trial; only ever one thread at a time."""
        self._session = self._session or Session(self.config)
        self.curve.append(self._session.step())

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        """A trial that fails ends the thread, not the reference: the next wish begins another."""
        try:
            yield
        except BaseException:
            with self._lock:
                self._thread = None
            raise

    def _take(self) -> bool:
        """Whether another trial is due; without one, the thread ends."""
        with self._lock:
            due = self.done < self._goal
            self._thread = self._thread if due else None
            return due


def reference(config: RunConfig) -> Reference:
    """The reference of a run; the same object for all runs that share it."""
    wanted = ideal(config)
    with _sharing:
        found = _shared.get(key := wanted.to_yaml())
        if found is None:
            found = _shared[key] = Reference(wanted)
        if found not in _recent:
            _recent.append(found)
        return found


@atexit.register
def _stop_all() -> None:
    """A thread that still computes while the interpreter is taken down would abort the process."""
    for found in list(_shared.values()):
        found.stop()


def _train(owner: weakref.ref[Reference]) -> None:
    """Train as long as somebody holds the reference and more trials are wanted."""
    be_modest(IDLE)
    while (mine := owner()) is not None and mine._take():
        with mine._failing():
            mine.step()
        del mine
