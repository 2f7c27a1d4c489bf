"""What mismatch costs: networks trained on a mismatched chip beside networks that are loaded onto one.

Levels times arms times seeds, on any classification task. In the loop, the chip's own activity drives
learning while its derivatives stay those of nominal neurons (Cramer et al., PNAS 119, e2109194119, 2022:
neurons; Büchel et al. 2022: weights, of networks trained without mismatch and loaded onto many chips).
A level is a standard deviation as a share, not three of them.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from pcmsim.errors import FieldError
from pcmsim.foundation.tensors import WHOLE
from pcmsim.registry import Registry
from pcmsim.streams import Streams
from training import codec, jobs, memory, studies
from training.config import RunConfig
from training.evaluation import evaluate
from training.files.unfinished import Unfinished
from training.jobs import digest_of
from training.network import Network
from training.pools import LocalPool
from training.session import Session

Values = Mapping[str, Any]

IDEAL = "ideal"


@dataclass(frozen=True)
class Arm:
    """One way for a network to come onto a mismatched chip.

    Parameters
    ----------
    summary : str
        One sentence for people.
    in_loop : bool
        Whether it is trained there; else it is trained without mismatch and then loaded.
    values : mapping
        Further settings of the training.
    """

    summary: str
    in_loop: bool
    values: Values


ARMS: Registry[Arm] = Registry("arm")
ARMS.register("in-the-loop")(Arm("Trained on the chip; learning assumes nominal neurons.", True, {}))
ARMS.register("true-eligibility")(
    Arm("Trained on the chip; learning knows each neuron's constants.", True, {"learning.eligibility": "true"})
)
ARMS.register("transferred")(Arm("Trained without mismatch, then loaded onto the chip.", False, {}))

PARAMETERS: Registry[tuple[str, ...]] = Registry("mismatched parameter")
PARAMETERS.register("time-constants")(("network.tau_mismatch",))
PARAMETERS.register("threshold")(("network.threshold_mismatch",))
PARAMETERS.register("gain")(("network.gain_mismatch",))
PARAMETERS.register("all")(("network.tau_mismatch", "network.threshold_mismatch"))
PARAMETERS.register("weights")(("device.mismatch.weight",))


@dataclass(frozen=True)
class Study:
    """What is compared.

    Parameters
    ----------
    base : RunConfig
        Task, network, learning and memory of all runs, without the mismatch under study.
    trials : int
        Trials of each training.
    levels : tuple of float
        Mismatch levels above 0; the ideal chip is always measured too.
    parameters, arms : tuple of str
        Names in `PARAMETERS` and `ARMS`.
    seeds : tuple of int
        One network each.
    chips : int
        Chips onto which each transferred network is loaded; the first is that of its seed.

    Raises
    ------
    FieldError, UnknownNameError
        If a name does not exist, a number is not allowed, or the task has no classes.
    """

    base: RunConfig
    trials: int
    levels: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5)
    parameters: tuple[str, ...] = ("time-constants", "threshold", "all")
    arms: tuple[str, ...] = ("in-the-loop", "transferred")
    seeds: tuple[int, ...] = (1, 2, 3, 4, 5)
    chips: int = 1

    def __post_init__(self) -> None:
        for name in ("trials", "chips"):
            if getattr(self, name) < 1:
                raise FieldError(f"Study.{name}", "a whole number >= 1", getattr(self, name))
        for name in ("levels", "parameters", "arms", "seeds"):
            values = getattr(self, name)
            if not values or len(set(values)) < len(values):
                raise FieldError(f"Study.{name}", "at least one, each once", values)
        if min(self.levels) <= 0.0:
            raise FieldError("Study.levels", "above 0; the ideal chip is measured anyway", self.levels)
        sampler = self.base.task.sampler(self.base.network.dt, streams=Streams(self.base.seed))
        if sampler.sample(0).label < 0:
            raise FieldError("Study.base.task", "a classification task", type(self.base.task).__name__)
        self.jobs()

    def jobs(self) -> list[Job]:
        """All trainings, with the exams of each."""
        return [job for seed in self.seeds for job in self._jobs(self.base.with_values({"seed": seed}))]

    def _jobs(self, ideal: RunConfig) -> list[Job]:
        loaded, trained = [Exam(IDEAL, IDEAL, 0.0, ideal, 1)], []
        for name in self.arms:
            arm = ARMS[name]
            for parameter in self.parameters:
                for level in self.levels:
                    chip = ideal.with_values(dict.fromkeys(PARAMETERS[parameter], level))
                    exam = Exam(parameter, name, level, chip, 1 if arm.in_loop else self.chips)
                    if arm.in_loop:
                        trained.append(Job(chip.with_values(arm.values), self.trials, (exam,)))
                    else:
                        loaded.append(exam)
        return [Job(ideal, self.trials, tuple(loaded)), *trained]


@dataclass(frozen=True)
class Exam:
    """A chip, or several of a kind, on which a network is judged."""

    parameter: str
    arm: str
    level: float
    config: RunConfig
    chips: int


@dataclass(frozen=True)
class Job:
    """One training and its exams."""

    config: RunConfig
    trials: int
    exams: tuple[Exam, ...]

    @property
    def training(self) -> jobs.Job:
        """The training as a job."""
        return jobs.Job(self.config, self.trials)

    @property
    def key(self) -> str:
        """Name of its results: a hash of all that decides them."""
        return digest_of([self.training.key, *(codec.encode(exam) for exam in self.exams)])


@dataclass(frozen=True)
class Result:
    """Accuracy of one network on one chip.

    Parameters
    ----------
    parameter, arm : str
        What was mismatched, and how the network came there; both ``ideal`` without mismatch.
    level : float
        Standard deviation of the mismatch, as a share.
    seed, chip : int
        Which network, and which chip of its kind.
    accuracy : float
        Share of the held-out samples that it decided rightly.
    """

    parameter: str
    arm: str
    level: float
    seed: int
    chip: int
    accuracy: float


def run(study: Study, workers: int = 1, unfinished: Unfinished | None = None) -> Iterator[list[Result]]:
    """Train and test, each training in one of so many processes; results per training, in the order of `Study.jobs`.

    Parameters
    ----------
    study : Study
        What is compared.
    workers : int
        Processes.
    unfinished : Unfinished, optional
        Where trainings and their results are kept; what was done before is not done again.

    Yields
    ------
    list of Result
    """
    if workers == 1:
        yield from (perform(job, unfinished) for job in study.jobs())
        return
    pool = LocalPool(workers)
    try:
        yield from pool.map(_perform_alone, study.jobs(), itertools.repeat(unfinished))
    finally:
        pool.shutdown(cancel_futures=True)


def perform(job: Job, unfinished: Unfinished | None = None) -> list[Result]:
    """One training and its exams, unless they are kept from before."""
    if unfinished is None:
        return _performed(job, None)
    found = unfinished.part(job.key, lambda: list(map(asdict, _performed(job, unfinished))))
    unfinished.forget(job.training.key)
    return [Result(**values) for values in found]


def _performed(job: Job, unfinished: Unfinished | None) -> list[Result]:
    with contextlib.closing(jobs.Run(job.training, unfinished)) as run:
        for _ in run.records():
            pass
        return [_result(run.session, exam, chip) for exam in job.exams for chip in range(exam.chips)]


def _perform_alone(job: Job, unfinished: Unfinished | None) -> list[Result]:
    """In a process that leaves the other cores to others."""
    torch.set_num_threads(1)
    return perform(job, unfinished)


def _result(session: Session, exam: Exam, chip: int) -> Result:
    accuracy = evaluate(on_chip(session, exam, chip)).accuracy
    return Result(exam.parameter, exam.arm, exam.level, session.config.seed, chip, accuracy)


def on_chip(session: Session, exam: Exam, chip: int) -> Session:
    """A copy of a trained session on a chip of the exam's kind; chip 0 is that of the session's seed."""
    copy = session.fork(exam.config)
    if chip > 0:
        drawn = torch.randint(2**62, (), generator=session.streams.at("mismatch lab/chip", chip), **WHOLE)
        streams = Streams(int(drawn))
        copy.network = Network(exam.config.network, copy.sampler.outputs, streams=streams)
        memory.configure(copy.arrays, exam.config, streams=streams)
    return copy


def summary(results: Sequence[Result]) -> studies.Columns:
    """Mean, standard deviation and extremes over seeds and chips, by parameter, arm and level, as columns."""
    return studies.summary(results, ("parameter", "arm", "level"), "accuracy")
