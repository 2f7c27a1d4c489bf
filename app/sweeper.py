"""The page's side of a sweep: a thread that has the runs done, and a single slot to look at.

The page waits for nothing: to begin and to end are wishes, and the latest state is always there.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from app import sweep_text
from app.cells import Cells
from app.priority import MODEST, be_modest
from app.scout import Draft, check
from app.shelves import InStore, Shelf
from pcmsim.errors import sentence
from training.jobs import Outcome
from training.store import Store, row
from training.sweep import Sweep
from training.workers import Pool, performed, pool


@dataclass(frozen=True)
class Means:
    """What a sweep is done with.

    Parameters
    ----------
    folder : str
        Of the run store.
    workers : int
        Processes of this machine.
    scheduler : str
        Address of a Dask scheduler whose workers do it instead; empty for none.
    """

    folder: str
    workers: int = 1
    scheduler: str = ""


@dataclass(frozen=True)
class Harvest:
    """Everything that the page may know of a sweep at one moment.

    Parameters
    ----------
    version : int
        Counts every change of what is published.
    number : int
        Counts sweeps that were begun.
    running : bool
        Whether it goes on.
    sweep : Sweep or None
        What is or was done, or would be; None before anything is known.
    cells : Cells or None
        What it came to; grows while the sweep goes on.
    text : str
        As the person wrote it.
    metrics : tuple of str
        What can be measured of it.
    folder : str
        Of the run store.
    begun : bool
        Whether it was begun here.
    width : int
        Runs that are under way at the same time.
    began : int
        Runs that were finished when it was begun.
    since : float
        When the work began, on the clock ``time.monotonic`` [s].
    seconds : float
        Time that it took, once it is over [s].
    """

    version: int = 0
    number: int = 0
    running: bool = False
    sweep: Sweep | None = None
    cells: Cells | None = None
    text: str = ""
    metrics: tuple[str, ...] = ("loss",)
    folder: str = ""
    begun: bool = False
    width: int = 0
    began: int = 0
    since: float = 0.0
    seconds: float = 0.0

    @property
    def over(self) -> bool:
        """Whether a sweep was begun, and goes on no more."""
        return self.begun and not self.running

    def elapsed(self) -> float:
        """Seconds of work so far."""
        return time.monotonic() - self.since if self.running and self.since else self.seconds

    def left(self) -> float | None:
        """Seconds of work to come, from those so far; None before a run is finished."""
        fresh = 0 if self.cells is None else self.cells.finished - self.began
        return self.elapsed() / fresh * (self.cells.total - self.cells.finished) if fresh and self.cells else None


def _nothing() -> None:
    pass


class Sweeper:
    """Has a sweep done, and holds what it came to so far.

    Parameters
    ----------
    shelf : Shelf, optional
        Where it is kept what was begun; by default in the store.

    Attributes
    ----------
    latest : Harvest
        What was published last.
    notices : deque of str
        Sentences for the person, oldest first; the page takes them out.
    changed : callable
        Called on the sweep's thread when a person's wish has been fulfilled.
    """

    def __init__(self, *, shelf: Shelf | None = None) -> None:
        self.latest, self._shelf = Harvest(), shelf or InStore()
        self.notices: deque[str] = deque(maxlen=20)
        self.changed: Callable[[], None] = _nothing
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def show(self, draft: Draft) -> None:
        """Publish what would be done; a sweep under way is not disturbed."""
        if not self.latest.running and draft.cells is not self.latest.cells:
            self._publish(
                sweep=draft.sweep, cells=draft.cells, text=draft.text, metrics=draft.metrics, folder=draft.folder,
                begun=False, seconds=0.0,
            )  # fmt: skip

    def begin(self, text: str, means: Means) -> None:
        """Begin a sweep; the one before ends where it is."""
        self.stop()
        thread = threading.Thread(target=self._follow, args=(text, means), name="pcmlab-sweep", daemon=True)
        self._thread = thread
        number = self.latest.number + 1
        self._publish(number=number, running=True, begun=True, folder=means.folder, width=0, since=0.0, seconds=0.0)
        thread.start()

    def stop(self) -> None:
        """End the sweep; runs that are finished are kept, those under way are dropped."""
        if self._thread is not None:
            self._thread = None
            self._publish(running=False, seconds=self.latest.elapsed())

    def complain(self, sentence: str) -> None:
        """Have the person told what went wrong."""
        self.notices.append(sentence)
        self._publish()
        self.changed()

    def _stopped(self, thread: threading.Thread) -> bool:
        return self._thread is not thread

    def _follow(self, text: str, means: Means) -> None:
        """On its own thread: have the runs done, until all are or something else is wanted."""
        me = threading.current_thread()
        be_modest()
        try:
            self._do(me, text, means)
        except Exception as error:
            if not self._stopped(me):
                self.complain(sentence(error))
        finally:
            self._end(me)

    def _do(self, me: threading.Thread, text: str, means: Means) -> None:
        sweep, store = sweep_text.read(text), Store(means.folder)
        check(sweep)
        cells = Cells(sweep)
        cells.find(sweep)
        cells.look_up(store)
        self._adopt(me, sweep, cells, text)
        with pool(means.workers, means.scheduler or None, nice=MODEST) as workers:
            self._publish(me, width=min(workers.width, sweep.size), since=time.monotonic())
            for outcome in self._performed(me, sweep, store, workers):
                cells.take(row(outcome))
                self._publish(me)

    def _adopt(self, me: threading.Thread, sweep: Sweep, cells: Cells, text: str) -> None:
        """Publish it; addresses that were found for the same cells stay."""
        known = self.latest.cells
        if known is not None and self.latest.text == text:
            cells.urls = known.urls
        self._publish(me, sweep=sweep, cells=cells, text=text, began=cells.finished)

    def _performed(self, me: threading.Thread, sweep: Sweep, store: Store, workers: Pool) -> Iterator[Outcome]:
        self._shelf.keep(sweep, store)
        with contextlib.closing(performed(sweep.jobs(), store, workers, lambda: self._stopped(me))) as done:
            yield from done

    def _end(self, me: threading.Thread) -> None:
        if not self._stopped(me):
            self._publish(me, running=False, seconds=self.latest.elapsed())
            self._thread = None
        self.changed()

    def _publish(self, me: threading.Thread | None = None, **news: object) -> None:
        """Replace parts of what is known; what comes of an earlier sweep is left out."""
        with self._lock:
            if me is None or not self._stopped(me):
                self.latest = replace(self.latest, version=self.latest.version + 1, **news)
