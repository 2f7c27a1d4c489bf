"""The page's side of a race: a thread that takes what the worker processes report, and a single slot to look at.

The page waits for nothing: to begin, to pause and to end are wishes, and the latest state is always there.
"""

from __future__ import annotations

import threading
import time
from array import array
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from app.priority import MODEST
from pcmsim.errors import PCMLabError, sentence
from training.race import Entry, LaneReport, Race, values
from training.racing import Racing, new_name
from training.ranking import Standing, rank
from training.store import Store, folder

RANK_EVERY = 0.5
"""Seconds between two rankings while racing: resampling takes a few milliseconds."""

FIELDS = ("trial", "loss", "accuracy", "rate", "sets", "resets")


class Track:
    """The learning curve of one run, as fine as it is reported."""

    def __init__(self) -> None:
        self._columns = {name: array("d") for name in FIELDS}

    def append(self, report: LaneReport) -> None:
        """Take a report's point, if it has one."""
        for name in FIELDS if report.point is not None else ():
            self._columns[name].append(getattr(report.point, name))

    def column(self, name: str) -> npt.NDArray[np.float64]:
        """A field of its points so far, one of ``FIELDS``."""
        return np.array(self._columns[name])

    def __len__(self) -> int:
        return len(self._columns[FIELDS[-1]])


@dataclass(frozen=True)
class Heat:
    """Everything that the page may know of a race at one moment.

    Parameters
    ----------
    version : int
        Counts every change of what is published.
    race : Race or None
        What is compared; None before the first.
    number : int
        Counts races.
    running : bool
        Whether it goes on.
    over : bool
        Whether nothing more will come.
    reports : mapping of Entry to LaneReport
        The latest of each run.
    tracks : mapping of Entry to Track
        Their curves; they grow while the race goes on.
    standings : tuple of Standing
        The ranking, at most half a second old.
    name : str
        Of the race in the run store; empty where it is not kept.
    seconds : float
        Time that it has run, pauses left out [s].
    """

    version: int = 0
    race: Race | None = None
    number: int = 0
    running: bool = False
    over: bool = True
    reports: Mapping[Entry, LaneReport] = field(default_factory=dict)
    tracks: Mapping[Entry, Track] = field(default_factory=dict)
    standings: tuple[Standing, ...] = ()
    name: str = ""
    seconds: float = 0.0

    @property
    def done(self) -> int:
        """Trials done by all runs."""
        most = 0 if self.race is None else self.race.trials
        return sum(most if report.over else report.trial for report in tuple(self.reports.values()))

    @property
    def total(self) -> int:
        """Trials of all runs."""
        return 0 if self.race is None else self.race.trials * len(self.race.lanes) * len(self.race.seeds)


def _nothing() -> None:
    pass


class Racer:
    """Has a race run, and holds what it came to so far.

    Attributes
    ----------
    latest : Heat
        What was published last.
    notices : deque of str
        Sentences for the person, oldest first; the page takes them out.
    changed : callable
        Called on the race's thread when a person's wish has been fulfilled.
    """

    def __init__(self) -> None:
        self.latest = Heat()
        self.notices: deque[str] = deque(maxlen=20)
        self.changed: Callable[[], None] = _nothing
        self._racing: Racing | None = None
        self._lock = threading.Lock()
        self._ranked = self._resumed = 0.0

    def show(self, race: Race) -> None:
        """Publish what would be raced, before it begins; a race under way is not disturbed."""
        if self.latest.over and not self.latest.reports:
            self._publish(race=race)

    def begin(self, race: Race) -> None:
        """Begin a race; the one before ends where it is."""
        self.stop()
        racing = Racing(race, nice=MODEST)
        tracks = {entry: Track() for entry in race.jobs()}
        heat = Heat(self.latest.version + 1, race, self.latest.number + 1, True, False, racing.latest, tracks)
        self._racing, self.latest, self._resumed, self._ranked = racing, heat, time.monotonic(), 0.0
        threading.Thread(target=self._follow, args=(racing,), name="pcmlab-race", daemon=True).start()

    def pause(self) -> None:
        """Have all runs wait after their turn."""
        if self._racing is not None and self.latest.running:
            self._racing.pause()
            self._publish(running=False, seconds=self._elapsed())

    def resume(self) -> None:
        """Go on after a pause."""
        if self._racing is not None and not self.latest.over and not self.latest.running:
            self._resumed = time.monotonic()
            self._racing.resume()
            self._publish(running=True)

    def stop(self) -> None:
        """End the race at once; runs that are finished are kept."""
        if self._racing is not None:
            racing, self._racing = self._racing, None
            racing.stop()
            self._publish(running=False, over=True, seconds=self._elapsed())

    def _follow(self, racing: Racing) -> None:
        """On its own thread: take reports as they come, until the race is over or another one has begun."""
        try:
            self._keep(racing)
            for report in racing:
                self._take(racing, report)
        except Exception as error:
            self.notices.append(sentence(error))
        finally:
            self._end(racing)

    def _keep(self, racing: Racing) -> None:
        """Have its runs kept in the run store; without one the race is run all the same."""
        try:
            racing.keep(Store(folder()), name := new_name())
        except PCMLabError as error:
            self.notices.append(f"This race is not kept: {error}")
        else:
            self._publish(racing, name=name)

    def _take(self, racing: Racing, report: LaneReport) -> None:
        self.latest.tracks[report.entry].append(report)
        news = {"seconds": self._elapsed()} if self.latest.running else {}
        if (now := time.monotonic()) - self._ranked > RANK_EVERY:
            self._ranked = now
            news["standings"] = rank(values(racing.race, dict(racing.latest)), racing.race.metric)
        self._publish(racing, **news)

    def _end(self, racing: Racing) -> None:
        standings = rank(values(racing.race, dict(racing.latest)), racing.race.metric)
        self._publish(racing, running=False, over=True, standings=standings, seconds=self._elapsed())
        self.changed()

    def _elapsed(self) -> float:
        now, before = time.monotonic(), self.latest.seconds
        if not self.latest.running:
            return before
        spent, self._resumed = now - self._resumed, now
        return before + spent

    def _publish(self, racing: Racing | None = None, **news: object) -> None:
        """Replace parts of what is known; what comes of an earlier race is left out."""
        with self._lock:
            if racing is None or racing is self._racing:
                self.latest = replace(self.latest, version=self.latest.version + 1, **news)
