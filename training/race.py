"""A race: several configurations side by side from the same seeds, samples and random numbers.

Every noise source draws from a stream that is named after it, the seed and the trial alone
(`pcmsim.streams`): lanes that differ in their update scheme therefore see the same samples in the
same order and, where their arrays have the same shape, the same initial devices and the same noise.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pcmsim.array import WeightArray
from pcmsim.crossbar import Crossbar
from pcmsim.errors import FieldError, UnknownNameError
from pcmsim.presets import is_file
from pcmsim.quantity import check, quantity
from pcmsim.streams import Streams
from training import loading, meters
from training.config import RunConfig
from training.files.unfinished import Unfinished
from training.jobs import METRICS, NAN, NONE, Job, Outcome, Point, Run, Trial, point, told
from training.presets import PRESETS
from training.schemes import SCHEMES

BINS = 41
EDGES: npt.NDArray[np.float64] = np.linspace(-1.0, 1.0, BINS + 1)
"""Of the histogram of weights, each as a share of the largest weight that its array can hold."""

RACING, FAILED = "racing", "failed"

MOST = 1000
"""Lanes, and seeds, of a race: all of its runs are held in memory at the same time."""


class Entry(NamedTuple):
    """One run of a race.

    Parameters
    ----------
    lane : str
        Its lane.
    seed : int
        Its seed.
    """

    lane: str
    seed: int


@dataclass(frozen=True)
class Race:
    """What is compared.

    Parameters
    ----------
    lanes : mapping of str to RunConfig
        Configurations by the name of their lane; their own seeds do not count.
    seeds : tuple of int
        Each lane runs once with each.

    Raises
    ------
    FieldError, UnknownNameError
        If there are no lanes or seeds, a seed comes twice, the lanes do not share one task, or the metric
        does not exist or says nothing of it.

    Examples
    --------
    >>> race = Race(entrants(["sign", "stochastic"]), seeds=(1, 2))
    >>> [entry.lane for entry in race.jobs()]
    ['sign', 'stochastic', 'sign', 'stochastic']
    """

    lanes: Mapping[str, RunConfig]
    seeds: tuple[int, ...] = (1, 2, 3)
    trials: int = quantity(750, minimum=1, maximum=10**9, doc="Trials of each run")
    every: int = quantity(
        30, unit="trials", minimum=1, maximum=10**9, doc="Trials of each point of a curve; the last point ranks"
    )
    judge: str = field(default=NONE)
    metric: str = field(default="loss")

    def __post_init__(self) -> None:
        check(self)
        for name, values in (("lanes", tuple(self.lanes)), ("seeds", self.seeds)):
            if not 0 < len(values) <= MOST or len(set(values)) < len(values):
                raise FieldError(f"Race.{name}", f"at least one and at most {MOST}, each once", values[:10])
        self.jobs()
        self._check_metric()
        first, *others = self.lanes.items()
        for name, config in others:
            if (config.task, config.network.dt) != (first[1].task, first[1].network.dt):
                raise FieldError("Race.lanes", f"of one task and time step, those of {first[0]}", name)

    def _check_metric(self) -> None:
        metric, config = METRICS[self.metric], next(iter(self.lanes.values()))
        if "held-out" in self.metric and self.judge == NONE:
            raise FieldError("Race.judge", f"validation or test for the metric {self.metric}", self.judge)
        if metric.on_curve == "accuracy":
            sampler = config.task.sampler(config.network.dt, streams=Streams(self.seeds[0]))
            if not sampler.classes:
                raise FieldError("Race.metric", "one of the loss: the task has no classes", self.metric)

    def jobs(self) -> dict[Entry, Job]:
        """All runs: the lanes of the first seed, those of the second, and so on."""
        return {
            Entry(lane, seed): Job(config.with_values({"seed": seed}), self.trials, self.every, self.judge)
            for seed in self.seeds
            for lane, config in self.lanes.items()
        }

    def about(self) -> dict[str, object]:
        """What was asked for, as plain values."""
        return {
            "lanes": list(self.lanes), "seeds": list(self.seeds), "trials": self.trials, "every": self.every,
            "judge": self.judge, "metric": self.metric,
        }  # fmt: skip


@dataclass(frozen=True)
class LaneReport:
    """How far a run of a race has come.

    Parameters
    ----------
    entry : Entry
        Which one.
    trial : int
        Trials done.
    point : Point or None
        Means over the trials since the report before; None where nothing was trained.
    recent : Point or None
        Means over as many of the latest trials as a point of the job's curve has.
    histogram : numpy.ndarray
        Weights of all layers by their share of the largest weight, see `EDGES`; empty where not known.
    saturated : float
        Share of differential pairs with one side above three quarters of the maximum conductance; not a
        number without devices.
    cosine : float
        Cosine between asked and applied weight change over recent updates; not a number before the first.
    status : str
        Of the latest trial, or ``failed``.
    message : str
        What to say about it; empty if all is well.
    outcome : Outcome or None
        What the run came to, when it is over.
    """

    entry: Entry
    trial: int = 0
    point: Point | None = None
    recent: Point | None = None
    histogram: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    saturated: float = NAN
    cosine: float = NAN
    status: str = RACING
    message: str = ""
    outcome: Outcome | None = None

    @property
    def over(self) -> bool:
        """Whether nothing more comes of this run."""
        return self.outcome is not None or self.status == FAILED

    def value(self, metric: str) -> float:
        """What the metric says of the run, so far if it is not over; not a number if it says nothing yet."""
        about = METRICS[metric]
        if self.outcome is not None:
            return about.value(self.outcome)
        known = self.recent is not None and about.on_curve is not None and self.status != FAILED
        return float(getattr(self.recent, about.on_curve or "")) if known else NAN


Reports = Mapping[Entry, LaneReport]


def values(race: Race, reports: Reports, *, finished: bool = False) -> dict[str, dict[int, float]]:
    """The metric by lane and seed, as far as it is known; of `finished` runs only, if asked."""
    found: dict[str, dict[int, float]] = {lane: {} for lane in race.lanes}
    for entry, report in reports.items():
        if report.over or not finished:
            found[entry.lane][entry.seed] = report.value(race.metric)
    return found


class Runner:
    """One run of a race under way. It is watched, which does not change it.

    Parameters
    ----------
    entry : Entry
        Which one.
    job : Job
        What it trains.
    unfinished : Unfinished, optional
        Where it is kept from time to time, and goes on if it was begun before.

    Raises
    ------
    PCMLabError
        If the run cannot be made.
    """

    def __init__(self, entry: Entry, job: Job, unfinished: Unfinished | None = None) -> None:
        self.entry, self._run = entry, Run(job, unfinished)
        self._watch = list(self._run.session.updates.observe().values())

    def advance(self, trials: int) -> LaneReport:
        """Train at most so many trials, and report."""
        chunk = list[Trial]()
        while len(chunk) < trials and not self._run.over:
            chunk.append(told(self._run.step()))
        record, arrays = self._run.record, self._run.session.arrays
        saturated = meters.share_saturated([array for array in arrays if isinstance(array, Crossbar)], 1)
        cosine = meters.cosine([w.asked for w in self._watch], [w.applied for w in self._watch])
        return LaneReport(
            entry=self.entry,
            trial=self._run.session.trial,
            point=point(chunk, record),
            recent=point(self._run.recent, record),
            histogram=histogram(arrays),
            saturated=NAN if saturated is None else saturated,
            cosine=NAN if cosine is None else cosine,
            status=record.status,
            message=record.message,
            outcome=self._outcome() if self._run.over else None,
        )

    def _outcome(self) -> Outcome:
        self._run.close()
        return self._run.outcome()


def histogram(arrays: Iterable[WeightArray]) -> npt.NDArray[np.int64]:
    """Number of weights by their share of the largest weight that their array can hold; see `EDGES`."""
    counts = np.zeros(BINS, np.int64)
    for array in arrays:
        shares = array.stored_weights().numpy().ravel() / array.full_weight
        counts += np.histogram(np.clip(shares, -1.0, 1.0), EDGES)[0]
    return counts


def kept(entry: Entry, outcome: Outcome) -> LaneReport:
    """The report of a run that was done before."""
    last = outcome.curve[-1]
    return LaneReport(
        entry, last.trial, None, last,
        saturated=outcome.saturated, status=outcome.status, message=outcome.message, outcome=outcome,
    )  # fmt: skip


def schemes() -> list[str]:
    """The update schemes that write to devices, by name."""
    return [name for name, scheme in SCHEMES.items() if not scheme.digital]


def entrants(names: Iterable[str] = (), task: str = "pattern") -> dict[str, RunConfig]:
    """Lanes by name: for a scheme its preset that is tuned for the task, else any preset, else a file.

    Parameters
    ----------
    names : iterable of str
        Schemes, presets, paths of YAML or JSON files; by default all schemes with a preset tuned for the task.
    task : str
        The task of the tuned presets.

    Raises
    ------
    FieldError
        If two lanes would have the same name.
    UnknownNameError, FileError
        If there is no such preset, or the file cannot be read.
    """
    asked = list(names) or [name for name in schemes() if f"{task}-{name}" in PRESETS] or schemes()
    labels = [Path(name).stem if is_file(name) else name for name in asked]
    if len(set(labels)) < len(labels):
        raise FieldError("lanes", "of different names", tuple(labels))
    return {label: configuration(name, task) for label, name in zip(labels, asked, strict=True)}


def configuration(name: str, task: str) -> RunConfig:
    """That of a lane; see `entrants`."""
    tuned = f"{task}-{name}"
    if name in SCHEMES and tuned not in PRESETS and task != "pattern":
        raise UnknownNameError("tuned preset", tuned, PRESETS)
    return loading.configuration(tuned if tuned in PRESETS else name)
