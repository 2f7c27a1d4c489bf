"""One run as a job: what to train, for how long, and the few numbers that it comes to.

A job is a value: whoever has it, in this process, another or on another machine, gets the same
outcome, to the bit. Studies, races and sweeps are lists of jobs.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any, NamedTuple

import numpy as np
import torch

from pcmsim.crossbar import Crossbar
from pcmsim.errors import FileError, PCMLabError
from pcmsim.quantity import check, quantity
from pcmsim.registry import Registry
from training import contents, meters
from training.config import RunConfig
from training.evaluation import evaluate
from training.files.unfinished import Unfinished
from training.interrupts import undisturbed
from training.records import TrialRecord
from training.results import CHECKPOINT, RunFolder
from training.session import Session

NONE = "none"
NAN = float("nan")
PACKAGES = ("pcmlab", "numpy", "torch", "numba")
"""Packages whose versions decide a run's last digits."""


@functools.cache
def versions() -> Mapping[str, str]:
    """Versions of `PACKAGES` in this process."""
    return {name: metadata.version(name) for name in PACKAGES}


Trial = tuple[float, float, float, float]
"""Loss, accuracy, firing rate [Hz] and a silent network's loss of one trial: a whole record is a megabyte."""


@dataclass(frozen=True)
class Job:
    """A run to be trained.

    Attributes
    ----------
    key : str
        Name of the run: a hash of all that decides it, the version of this package included, and the content
        that the files which it names have when the job is made.

    Raises
    ------
    FieldError
        If a value lies outside its bounds, or the task has no samples to judge by.

    Examples
    --------
    >>> Job(RunConfig(), trials=30).key == Job(RunConfig(), trials=60).key
    False
    """

    config: RunConfig = field(default_factory=RunConfig)
    trials: int = quantity(750, minimum=1, maximum=10**9, doc="Trials to train")
    every: int = quantity(
        30, unit="trials", minimum=1, maximum=10**9, doc="Trials of each point of the curve, counted from the end"
    )
    judge: str = quantity(
        NONE, choices=(NONE, "validation", "test"), doc="Samples, never trained on, that judge the network at the end"
    )
    key: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check(self)
        decides = [versions()["pcmlab"], self.trials, self.every, self.judge, self.config.to_dict()]
        decides += [content.digest for content in contents.of(self.config)]
        object.__setattr__(self, "key", digest_of(decides))


def digest_of(values: Any) -> str:
    """A name for plain values: a hash of them."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


class Point(NamedTuple):
    """A point of a learning curve: means over the trials since the point before.

    Parameters
    ----------
    trial : int
        Trials done.
    loss : float
        Mean loss.
    accuracy : float
        Share of right decisions; not a number in regression.
    rate : float
        Firing rate of the hidden neurons [Hz].
    sets, resets : int
        Events so far.
    """

    trial: int
    loss: float
    accuracy: float
    rate: float
    sets: int
    resets: int


@dataclass(frozen=True)
class Outcome:
    """What a job came to.

    Parameters
    ----------
    job : Job
        The job.
    curve : tuple of Point
        Its learning curve; the last point is what a run is ranked by.
    best : float
        Lowest loss of a trial.
    baseline : float
        The loss of a silent network, mean over the trials of the last point, as the loss of the run there.
    held_out_loss, held_out_accuracy : float
        On the samples that judge; not numbers without any.
    reads : int
        Device reads.
    saturated, stuck : float
        Share of differential pairs with one side, and with both, above three quarters of the maximum
        conductance; not a number without devices.
    device_time : float
        Device time at the end [s].
    status, message : str
        Of the last trial.
    seconds : float
        Wall time; the only thing that differs when a job is done again.
    """

    job: Job
    curve: tuple[Point, ...]
    best: float
    baseline: float
    held_out_loss: float
    held_out_accuracy: float
    reads: int
    saturated: float
    stuck: float
    device_time: float
    status: str
    message: str
    seconds: float


@dataclass(frozen=True)
class Metric:
    """A number by which runs are ranked.

    Parameters
    ----------
    summary : str
        One sentence for people.
    direction : str
        ``minimize`` or ``maximize``.
    value : callable
        From an outcome to the number.
    on_curve : str or None
        Field of `Point` that shows it while training; None where only the end does.
    """

    summary: str
    direction: str
    value: Callable[[Outcome], float]
    on_curve: str | None


METRICS: Registry[Metric] = Registry("metric")
METRICS.register("loss")(Metric("Mean loss of the last trials", "minimize", lambda o: o.curve[-1].loss, "loss"))
METRICS.register("accuracy")(
    Metric("Share of right decisions in the last trials", "maximize", lambda o: o.curve[-1].accuracy, "accuracy")
)
METRICS.register("held-out-loss")(
    Metric("Mean loss on samples never trained on", "minimize", lambda o: o.held_out_loss, "loss")
)
METRICS.register("held-out-accuracy")(
    Metric(
        "Share of right decisions on samples never trained on", "maximize", lambda o: o.held_out_accuracy, "accuracy"
    )
)


class Line(NamedTuple):
    """What a job takes of a trial: of its record, or of its line in a table.

    Parameters
    ----------
    trial : int
        Its number.
    loss, correct, rate, baseline : float
        See `training.records.TrialRecord`.
    total_sets, total_resets : int
        Events so far.
    status : str
        How the run stood.
    """

    trial: int
    loss: float
    correct: float
    rate: float
    baseline: float
    total_sets: int
    total_resets: int
    status: str

    @classmethod
    def of(cls, row: Mapping[str, str]) -> Line:
        """That of a line in a table of trials."""
        right = float("nan") if int(row["label"]) < 0 else float(row["decision"] == row["label"])
        numbers = int(row["trial"]), float(row["loss"]), right, float(row["rate"]), float(row["baseline"])
        return cls(*numbers, int(row["total_sets"]), int(row["total_resets"]), row["status"])


class Run:
    """A job under way: trained trial by trial, at whatever pace, it comes to the same outcome.

    Parameters
    ----------
    job : Job
        What to train.
    unfinished : Unfinished, optional
        Where the run is kept from time to time, and goes on if it was begun before; without it, nowhere.

    Attributes
    ----------
    session : Session
        The run itself.
    curve : list of Point
        Its learning curve so far.
    statuses : list of str
        How the run stood at each point of it.
    recent : deque of Trial
        The latest trials, as many as a point of the curve has.
    record : TrialRecord
        The latest trial; missing before the first.

    Raises
    ------
    PCMLabError
        If the run cannot be made.
    """

    def __init__(self, job: Job, unfinished: Unfinished | None = None) -> None:
        began = time.perf_counter()
        self.job = job
        self._folder: RunFolder | None = None if unfinished is None else unfinished.run(job.key)
        self._forget_all()
        self.record: TrialRecord
        self.session = self._taken_up() or Session(job.config)
        if job.judge != NONE:
            self.session.sampler.evaluation(job.judge)
        self._seconds += time.perf_counter() - began

    @property
    def over(self) -> bool:
        """Whether all trials are done."""
        return self.session.trial >= self.job.trials

    def step(self) -> TrialRecord:
        """Train one trial; where it completes a point, the curve has it."""
        began = time.perf_counter()
        with undisturbed():
            self.record = record = self.session.step()
            self._take(record)
            if self._folder is not None:
                self._folder.note(record)
        if self._folder is not None and not self.over and self._folder.due(self.session.trial):
            self._keep(self._folder)
        self._seconds += time.perf_counter() - began
        return record

    def records(self) -> Iterator[TrialRecord]:
        """Train what is left, one record per trial."""
        while not self.over:
            yield self.step()

    def outcome(self) -> Outcome:
        """What the job came to; of a run that is over."""
        silent = float(np.mean([baseline for *_, baseline in self.recent]))
        return _outcome(self.job, self.session, self.record, self.curve, (self._best, silent), self._seconds)

    def close(self) -> None:
        """Let others go on with what is kept."""
        if self._folder is not None:
            self._folder.close()

    def _forget_all(self) -> None:
        self.curve, self.statuses = list[Point](), list[str]()
        self.recent = deque[Trial](maxlen=min(self.job.every, self.job.trials))
        self._best, self._done, self._seconds = math.inf, list[Trial](), 0.0

    def _taken_up(self) -> Session | None:
        """The run as it was kept, if it was. What is damaged, or somebody else's now, is trained anew."""
        if self._folder is None or not self._folder.held:
            return None
        try:
            self._folder.lock()
            session = Session.resume(self._folder.path / CHECKPOINT)
            for row in self._folder.take_up(session):
                self._take(Line.of(row))
                self._seconds += float(row["seconds"])
            return session
        except (PCMLabError, ValueError):
            self._folder.close()
            self._folder = None
            self._forget_all()
            return None

    def _take(self, trial: TrialRecord | Line) -> None:
        job, done = self.job, trial.trial + 1
        self._done.append(told(trial))
        self.recent.append(told(trial))
        self._best = min(self._best, trial.loss)
        if done >= job.trials or (len(self._done) >= job.every and (job.trials - done) % job.every == 0):
            self.curve.append(point(self._done, trial))
            self.statuses.append(trial.status)
            self._done = []

    def _keep(self, folder: RunFolder) -> None:
        """Keep the run as it stands; one that cannot be kept goes on without."""
        try:
            folder.keep(self.session)
        except FileError:
            folder.close()
            self._folder = None


def perform(job: Job, tell: Callable[[Point], None] | None = None, unfinished: Unfinished | None = None) -> Outcome:
    """Train a job.

    Parameters
    ----------
    job : Job
        What to train.
    tell : callable, optional
        Is told each point of the curve; may raise to end the run.
    unfinished : Unfinished, optional
        Where it is kept from time to time, and goes on if it was begun before.

    Returns
    -------
    Outcome

    Raises
    ------
    PCMLabError
        If the run cannot be made.
    """
    torch.set_num_threads(1)
    with contextlib.closing(Run(job, unfinished)) as run:
        while not run.over:
            known = len(run.curve)
            run.step()
            if tell is not None and len(run.curve) > known:
                tell(run.curve[-1])
        return run.outcome()


def told(record: TrialRecord | Line) -> Trial:
    """Of a trial, what means are taken of: loss, accuracy, rate and a silent network's loss."""
    return record.loss, record.correct, record.rate, record.baseline


def point(done: Sequence[Trial], last: TrialRecord | Line) -> Point:
    """The point of a curve that some trials make, the last of them in full."""
    loss, accuracy, rate, _ = np.mean(done, axis=0)
    return Point(last.trial + 1, float(loss), float(accuracy), float(rate), last.total_sets, last.total_resets)


def _outcome(
    job: Job,
    session: Session,
    record: TrialRecord,
    curve: Sequence[Point],
    losses: tuple[float, float],
    seconds: float,
) -> Outcome:
    """What a run came to; `losses`: its lowest, and a silent network's."""
    began = time.perf_counter()
    judged = None if job.judge == NONE else evaluate(session, job.judge)
    crossbars = [array for array in session.arrays if isinstance(array, Crossbar)]
    saturated, stuck = (meters.share_saturated(crossbars, sides) for sides in (1, 2))
    return Outcome(
        job=job,
        curve=tuple(curve),
        best=losses[0],
        baseline=losses[1],
        held_out_loss=judged.loss if judged else NAN,
        held_out_accuracy=judged.accuracy if judged else NAN,
        reads=record.total_reads,
        saturated=NAN if saturated is None else saturated,
        stuck=NAN if stuck is None else stuck,
        device_time=record.device_time,
        status=record.status,
        message=record.message,
        seconds=seconds + time.perf_counter() - began,
    )
