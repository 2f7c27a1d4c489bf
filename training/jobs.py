"""One run as a job: what to train, for how long, and the few numbers that it comes to.

A job is a value: whoever has it, in this process, another or on another machine, gets the same
outcome, to the bit. Studies, races and sweeps are lists of jobs.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from typing import NamedTuple

import numpy as np
import torch

from pcmsim.crossbar import Crossbar
from pcmsim.quantity import check, quantity
from pcmsim.registry import Registry
from training import contents, meters
from training.config import RunConfig
from training.evaluation import evaluate
from training.records import TrialRecord
from training.session import Session

NONE = "none"
NAN = float("nan")
PACKAGES = ("pcmlab", "numpy", "torch", "numba")
"""Packages whose versions decide a run's last digits."""


@functools.cache
def versions() -> Mapping[str, str]:
    """Versions of `PACKAGES` in this process."""
    return {name: metadata.version(name) for name in PACKAGES}


Trial = tuple[float, float, float]
"""Loss, accuracy and firing rate [Hz] of one trial: a whole record is a megabyte."""


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
        text = json.dumps(decides, sort_keys=True, separators=(",", ":"), default=str)
        object.__setattr__(self, "key", hashlib.sha256(text.encode()).hexdigest()[:20])


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
        The loss of a silent network, at the last trial.
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


class Run:
    """A job under way: trained trial by trial, at whatever pace, it comes to the same outcome.

    Parameters
    ----------
    job : Job
        What to train.

    Attributes
    ----------
    session : Session
        The run itself.
    curve : list of Point
        Its learning curve so far.
    record : TrialRecord
        The latest trial; missing before the first.

    Raises
    ------
    PCMLabError
        If the run cannot be made.
    """

    def __init__(self, job: Job) -> None:
        began = time.perf_counter()
        self.job, self.session = job, Session(job.config)
        if job.judge != NONE:
            self.session.sampler.evaluation(job.judge)
        self.curve = list[Point]()
        self.record: TrialRecord
        self._best, self._done = math.inf, list[Trial]()
        self._seconds = time.perf_counter() - began

    @property
    def over(self) -> bool:
        """Whether all trials are done."""
        return self.session.trial >= self.job.trials

    def step(self) -> TrialRecord:
        """Train one trial; where it completes a point, the curve has it."""
        began, job = time.perf_counter(), self.job
        self.record = record = self.session.step()
        self._done.append(told(record))
        self._best = min(self._best, record.loss)
        if self.over or (len(self._done) >= job.every and (job.trials - self.session.trial) % job.every == 0):
            self.curve.append(point(self._done, record))
            self._done = []
        self._seconds += time.perf_counter() - began
        return record

    def records(self) -> Iterator[TrialRecord]:
        """Train what is left, one record per trial."""
        while not self.over:
            yield self.step()

    def outcome(self) -> Outcome:
        """What the job came to; of a run that is over."""
        return _outcome(self.job, self.session, self.record, self.curve, self._best, self._seconds)


def perform(job: Job, tell: Callable[[Point], None] | None = None) -> Outcome:
    """Train a job.

    Parameters
    ----------
    job : Job
        What to train.
    tell : callable, optional
        Is told each point of the curve; may raise to end the run.

    Returns
    -------
    Outcome

    Raises
    ------
    PCMLabError
        If the run cannot be made.
    """
    torch.set_num_threads(1)
    run = Run(job)
    while not run.over:
        known = len(run.curve)
        run.step()
        if tell is not None and len(run.curve) > known:
            tell(run.curve[-1])
    return run.outcome()


def told(record: TrialRecord) -> Trial:
    """Of a trial, what the curve's means are taken of: loss, accuracy and rate."""
    return record.loss, record.correct, record.rate


def point(done: Sequence[Trial], last: TrialRecord) -> Point:
    """The point of a curve that some trials make, the last of them in full."""
    loss, accuracy, rate = np.mean(done, axis=0)
    return Point(last.trial + 1, float(loss), float(accuracy), float(rate), last.total_sets, last.total_resets)


def _outcome(
    job: Job, session: Session, record: TrialRecord, curve: Sequence[Point], best: float, seconds: float
) -> Outcome:
    began = time.perf_counter()
    judged = None if job.judge == NONE else evaluate(session, job.judge)
    crossbars = [array for array in session.arrays if isinstance(array, Crossbar)]
    saturated, stuck = (meters.share_saturated(crossbars, sides) for sides in (1, 2))
    return Outcome(
        job=job,
        curve=tuple(curve),
        best=best,
        baseline=record.baseline,
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
