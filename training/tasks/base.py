"""The protocol of tasks: settings that can be asked for the sample of any trial."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from pcmsim.registry import Registry
from pcmsim.streams import Streams
from training.objectives import Objective, Sample, SquaredError

MOST_SAMPLES = 1000


class Sampler(ABC):
    """A task made concrete by a seed."""

    inputs: int
    outputs: int
    steps: int
    objective: Objective = SquaredError()

    @abstractmethod
    def sample(self, trial: int) -> Sample:
        """The sample of a trial: the same trial always gives the same sample."""

    def evaluation(self) -> Sequence[Sample]:
        """The samples by which a network is judged: each of the training set once, unless the task has others."""
        seen: dict[int, Sample] = {}
        for trial in range(MOST_SAMPLES):
            sample = self.sample(trial)
            if sample.index in seen:
                break
            seen[sample.index] = sample
        return list(seen.values())


class Task(ABC):
    """A task's settings; its fields are bounded quantities."""

    summary: ClassVar[str]

    @property
    @abstractmethod
    def duration(self) -> float:
        """Duration of a trial [s]; may be a field."""

    @abstractmethod
    def sampler(self, dt: float, *, streams: Streams) -> Sampler:
        """The task for a time step `dt` [s] and a seed's streams."""


TASKS: Registry[type[Task]] = Registry("task")
