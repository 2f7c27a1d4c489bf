"""Looks ahead while a person writes a sweep: whether it is one, how large, what is finished, how long it will take.

All of that takes from a tenth of a second to many: a thread does it, for the latest text alone.
"""

from __future__ import annotations

import dataclasses
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass, replace
from itertools import islice
from typing import NamedTuple

from app import sweep_text, url
from app.cells import Cells
from app.limits import check_size
from app.priority import IDLE, be_modest
from app.shelves import InStore, Shelf
from pcmsim.errors import PCMLabError
from pcmsim.streams import Streams
from training.jobs import METRICS
from training.presets import PRESETS
from training.store import Store
from training.sweep import LIMIT, Sweep
from training.workers import pool

MOST_ADDRESSES = 400
"""Cells with an address, which takes milliseconds each."""

LOOK = 0.1
"""Seconds after which a long wait asks whether something else is wanted."""


class Wish(NamedTuple):
    """What to look at: a text, or the earlier sweep that is called `opened`, or the store in `folder` alone."""

    text: str | None
    folder: str
    opened: str = ""


@dataclass(frozen=True)
class Draft:
    """What is known of a text.

    Parameters
    ----------
    version : int
        Counts every change of what is published.
    text : str
        The text.
    folder : str
        Of the store where finished runs were looked for.
    problem : str
        Why it is no sweep that can be run here; empty if it is.
    sweep : Sweep or None
        The sweep; of a text with a problem, the one before.
    cells : Cells or None
        Its cells, with what is finished.
    metrics : tuple of str
        What can be measured of it.
    seconds : float
        How long all of it takes one worker; not a number while that is not known [s].
    opened : str
        Name of the sweep whose text this is, if it was asked for by name.
    earlier : tuple of str
        Sweeps that were begun before, the latest first.
    """

    version: int = 0
    text: str = ""
    folder: str = ""
    problem: str = ""
    sweep: Sweep | None = None
    cells: Cells | None = None
    metrics: tuple[str, ...] = ("loss",)
    seconds: float = float("nan")
    opened: str = ""
    earlier: tuple[str, ...] = ()


def _nothing() -> None:
    pass


class Scout:
    """Looks at the latest wish.

    Parameters
    ----------
    busy : callable
        Whether the processor has better to do than to estimate times.
    shelf : Shelf, optional
        Where earlier sweeps are; by default in the store.

    Attributes
    ----------
    latest : Draft
        What was published last.
    changed : callable
        Called on the scout's thread when something was published.
    """

    def __init__(self, *, busy: Callable[[], bool] = lambda: False, shelf: Shelf | None = None) -> None:
        self.latest, self._busy, self._shelf = Draft(), busy, shelf or InStore()
        self.changed: Callable[[], None] = _nothing
        self._wishes: queue.SimpleQueue[Wish | None] = queue.SimpleQueue()
        threading.Thread(target=self._serve, name="pcmlab-scout", daemon=True).start()

    def look(self, wish: Wish) -> None:
        """Look at something else."""
        self._wishes.put(wish)

    def stop(self) -> None:
        """Look at nothing more."""
        self._wishes.put(None)

    def _serve(self) -> None:
        be_modest()
        while (wish := self._wishes.get()) is not None:
            if not self._wishes.empty():
                continue
            try:
                self._scout(wish)
            except Exception as error:  # whatever a text does, the next one is looked at all the same
                known = isinstance(error, PCMLabError)
                self._publish(text=wish.text or "", problem=str(error) if known else repr(error), opened="")

    def _scout(self, wish: Wish) -> None:
        store = Store.found(wish.folder)
        self._publish(earlier=self._shelf.names(store))
        if wish.opened:
            wish = wish._replace(text=sweep_text.written(self._shelf.about(wish.opened, store)))
        if wish.text is None:
            return
        sweep = sweep_text.read(wish.text)
        check(sweep)
        cells, about = Cells(sweep), {"sweep": sweep, "metrics": metrics(sweep), "opened": wish.opened}
        self._publish(text=wish.text, folder=wish.folder, problem="", cells=cells, seconds=float("nan"), **about)
        cells.find(sweep)
        if store is not None:
            cells.look_up(store)
        self._publish()
        self._address(sweep, cells)
        self._estimate(sweep)

    def _address(self, sweep: Sweep, cells: Cells) -> None:
        """Find out where Live opens the cells, as far as that is wanted."""
        for cell, config, preset in islice(cells.beginnings(sweep), MOST_ADDRESSES):
            cells.urls[cell] = url.live(config, preset if preset in PRESETS else url.DEFAULT_PRESET)
            if not self._wishes.empty():
                return
        self._publish()

    def _estimate(self, sweep: Sweep) -> None:
        """Find out how long it takes: in a process of its own, which ends as soon as something else is wanted."""
        if self._busy() or not self._wishes.empty():
            return
        with pool(1, nice=IDLE) as one:
            future: Future[float] = one.submit(Sweep.estimate, dataclasses.replace(sweep))
            while not future.done() and self._wishes.empty() and not self._busy():
                wait([future], LOOK)
            if future.done():
                self._publish(seconds=future.result())

    def _publish(self, **news: object) -> None:
        self.latest = replace(self.latest, version=self.latest.version + 1, **news)
        self.changed()


def check(sweep: Sweep) -> None:
    """Refuse a sweep that is too large for the page, or has a run that is.

    Raises
    ------
    PCMLabError
        Saying so.
    """
    if sweep.size > LIMIT:
        raise PCMLabError(f"a sweep on the page may have at most {LIMIT:,} runs, got {sweep.size:,}: see pcmlab sweep")
    for _, job in islice(sweep.runs(), sweep.size // len(sweep.seed_values)):
        check_size(job.config)


def metrics(sweep: Sweep) -> tuple[str, ...]:
    """What can be measured of a sweep: no accuracy without classes, nothing held out without a judge."""
    config = next(sweep.jobs()).config
    classes = config.task.sampler(config.network.dt, streams=Streams(1)).classes
    known = [name for name in METRICS if sweep.judge != "none" or not name.startswith("held-out")]
    return tuple(name for name in known if classes or not name.endswith("accuracy"))
