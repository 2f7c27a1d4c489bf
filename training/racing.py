"""A race under way: worker processes of which each takes turns with all of its runs."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Generator, Iterator, Mapping
from datetime import UTC, datetime
from multiprocessing.connection import Connection, wait

import torch
from threadpoolctl import threadpool_limits

from pcmsim.errors import sentence
from training.files.interval import Interval
from training.files.unfinished import Unfinished
from training.interrupts import leave_to_parent
from training.jobs import Job
from training.processes import PROCESSES, Helper
from training.race import FAILED, Entry, LaneReport, Race, Runner, kept
from training.store import Store

NAME = "pcmlab-race"
KIND = "race"
CHUNK = 10
"""Trials of a turn: some 70 ms, and a page shows a lane as often."""

PATIENCE = 0.5
"""Seconds after which a race looks whether it has been stopped."""

MOST_DEATHS = 3
"""Ends of worker processes after which a race gives up what they had to do."""

Jobs = dict[Entry, Job]


class Racing:
    """A race under way: whoever iterates over it gets its reports as they come, until all runs are over.

    The runs advance together, in turns of a few trials, over worker processes. What a worker that was
    killed had to do is done again, and comes to the same. No process outlives the iteration, nor
    the process that iterates, however that ends.

    Parameters
    ----------
    race : Race
        What is compared.
    workers : int
        Processes.
    store : Store, optional
        Runs that it has are not done again; what is finished is kept there, before it is reported.
    nice : int
        By how much the workers' priority is lowered.
    interval : Interval, optional
        How often runs that are under way are kept in the store; one that was begun before goes on.

    Attributes
    ----------
    latest : dict of Entry to LaneReport
        The latest report of each run.

    Examples
    --------
    >>> from training.race import entrants
    >>> race = Race(entrants(["sign"]), seeds=(1,), trials=2)
    >>> [report.trial for report in Racing(race, workers=1)]
    [2]
    """

    def __init__(
        self,
        race: Race,
        *,
        workers: int = 2,
        store: Store | None = None,
        nice: int = 0,
        interval: Interval | None = None,
    ) -> None:
        self.race, self._store, self._nice = race, store, nice
        self._unfinished = None if store is None else store.unfinished(interval)
        self.latest: dict[Entry, LaneReport] = {}
        jobs = race.jobs()
        self._kept = {entry: job for entry, job in jobs.items() if store is not None and job in store}
        self._shares = shares(race, {entry: jobs[entry] for entry in jobs if entry not in self._kept}, workers)
        self._crews: list[_Crew] = []
        self._deaths = 0
        self._going, self._stopped = True, False

    @property
    def running(self) -> bool:
        """Whether it is neither paused nor stopped."""
        return self._going and not self._stopped

    def keep(self, store: Store, name: str) -> None:
        """Keep what is finished from now on in a store, as a group of this name.

        Raises
        ------
        FileError
            If the store cannot be written to; while iterating, too.
        """
        store.keep_group(name, KIND, self.race.about(), self.race.jobs().values())
        self._store = store

    def __iter__(self) -> Generator[LaneReport]:
        yield from map(self._noted, self._from_store())
        try:
            self._crews += [self._crew(share) for share in self._shares]
            self._tell()
            while self._crews and not self._stopped:
                for crew in wait_for(self._crews):
                    yield from map(self._noted, self._told_by(crew))
        finally:
            self.stop()
            for crew in self._crews:
                crew.process.join()

    def pause(self) -> None:
        """Have every run finish its turn and wait; any thread may ask."""
        self._go(False)

    def resume(self) -> None:
        """Go on."""
        self._go(True)

    def stop(self) -> None:
        """End all processes, in the middle of a trial if need be; what is finished stays in the store."""
        self._stopped = True
        for crew in self._crews:
            crew.process.terminate()

    def _go(self, going: bool) -> None:
        self._going = going
        self._tell()

    def _tell(self) -> None:
        for crew in list(self._crews):  # Another thread may end or replace one meanwhile.
            crew.go(self._going)

    def _crew(self, jobs: Jobs) -> _Crew:
        return _Crew(jobs, self._nice, self._unfinished, going=self._going)

    def _from_store(self) -> Iterator[LaneReport]:
        for entry, job in self._kept.items():
            yield from (kept(entry, outcome) for outcome in (self._store.outcomes([job]) if self._store else ()))

    def _noted(self, report: LaneReport) -> LaneReport:
        self.latest[report.entry] = report
        return report

    def _told_by(self, crew: _Crew) -> Iterator[LaneReport]:
        """What a worker says; what it has said before its forerunner died is left out."""
        try:
            report: LaneReport = crew.connection.recv()
        except (EOFError, OSError):
            yield from self._ended(crew)
            return
        if report.over:
            del crew.jobs[report.entry]
        if report.outcome is not None and self._store is not None:
            self._store.add(report.outcome)
        before = self.latest.get(report.entry)
        if before is None or report.over or report.trial > before.trial:
            yield report

    def _ended(self, crew: _Crew) -> Iterator[LaneReport]:
        """A worker is gone: because it had nothing left to do, or what it had is begun anew by another one."""
        self._crews.remove(crew)
        crew.process.join()
        if not crew.jobs or self._stopped:
            return
        self._deaths += 1
        if self._deaths <= MOST_DEATHS:
            self._crews.append(self._crew(crew.jobs))
            self._tell()
            return
        why = f"its process has ended {self._deaths} times (exit code {crew.process.exit_code})"
        yield from (LaneReport(entry, status=FAILED, message=why) for entry in crew.jobs)


def new_name() -> str:
    """A name for a race that nobody has named: the time."""
    return datetime.now(UTC).strftime(f"{KIND}-%Y%m%d-%H%M%S")


def shares(race: Race, jobs: Mapping[Entry, Job], workers: int) -> list[Jobs]:
    """The runs of each worker: every lane and every seed spread over all of them.

    Examples
    --------
    >>> from training.race import entrants
    >>> race = Race(entrants(["sign", "stochastic"]), seeds=(1, 2))
    >>> [[(*entry,) for entry in share] for share in shares(race, race.jobs(), 2)]
    [[('sign', 1), ('stochastic', 2)], [('stochastic', 1), ('sign', 2)]]
    """
    lanes, parts = list(race.lanes), [Jobs() for _ in range(max(1, workers))]
    for entry, job in jobs.items():
        parts[(lanes.index(entry.lane) + race.seeds.index(entry.seed)) % len(parts)][entry] = job
    return [part for part in parts if part]


def wait_for(crews: list[_Crew]) -> list[_Crew]:
    """Those of them that have something to say, before long."""
    ready = wait([crew.connection for crew in crews], PATIENCE)
    return [crew for crew in crews if crew.connection in ready]


class _Crew:
    """A worker process, as the race sees it.

    Parameters
    ----------
    jobs : dict of Entry to Job
        What it has to do; what is over is taken out.
    nice : int
        By how much its priority is lowered.
    unfinished : Unfinished or None
        Where its runs are kept from time to time.
    going : bool
        Whether it begins at once.
    """

    def __init__(self, jobs: Jobs, nice: int, unfinished: Unfinished | None, *, going: bool) -> None:
        self.jobs = dict(jobs)
        self.connection, theirs = PROCESSES.Pipe()
        self.process = Helper(work, (theirs, dict(jobs), nice, unfinished, going), NAME)
        theirs.close()

    def go(self, going: bool) -> None:
        """Pause, or go on; one that has ended does neither."""
        with contextlib.suppress(OSError):
            self.connection.send(going)


def work(connection: Connection, jobs: Jobs, nice: int, unfinished: Unfinished | None, going: bool) -> None:
    """What a worker process does: the run that is furthest behind has its turn, until none is left.

    Parameters
    ----------
    connection : multiprocessing.connection.Connection
        Takes reports; brings whether to go on; when it is closed, the process ends at once.
    jobs : dict of Entry to Job
        Its runs.
    nice : int
        By how much to lower the priority.
    unfinished : Unfinished or None
        Where its runs are kept from time to time.
    going : bool
        Whether to begin at once.
    """
    leave_to_parent()
    torch.set_num_threads(1)
    threadpool_limits(1, user_api="blas")
    if nice and hasattr(os, "nice"):
        os.nice(nice)
    gate = threading.Event()
    threading.Thread(target=_obey, args=(connection, gate, going), daemon=True).start()
    with contextlib.suppress(OSError):  # Nobody listens any more.
        _take_turns(connection, jobs, gate, unfinished)


def _take_turns(connection: Connection, jobs: Jobs, gate: threading.Event, unfinished: Unfinished | None) -> None:
    done, runners = dict.fromkeys(jobs, 0), dict[Entry, Runner]()
    while done:
        gate.wait()
        entry = min(done, key=done.__getitem__)
        report = _advanced(entry, jobs[entry], runners, unfinished)
        done[entry] = report.trial
        if report.over:
            del done[entry]
            runners.pop(entry, None)
        connection.send(report)


def _obey(connection: Connection, gate: threading.Event, going: bool) -> None:
    """Open and close the gate as told; without anybody to tell, end."""
    try:
        while True:
            (gate.set if going else gate.clear)()
            going = connection.recv()
    except (EOFError, OSError):
        os._exit(0)


def _advanced(entry: Entry, job: Job, runners: dict[Entry, Runner], unfinished: Unfinished | None) -> LaneReport:
    """A turn of a run; what goes wrong in it ends this run alone."""
    try:
        if entry not in runners:
            runners[entry] = Runner(entry, job, unfinished)
        return runners[entry].advance(CHUNK)
    except Exception as error:
        return LaneReport(entry, status=FAILED, message=sentence(error))
