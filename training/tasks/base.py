"""The protocol of tasks: settings that can be asked for the sample of any trial."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from pcmsim.registry import Registry
from pcmsim.streams import Streams
from training.neurons import Floats
from training.spikes import Spikes


@dataclass(frozen=True)
class Sample:
    """One trial's input and what the network should answer.

    Parameters
    ----------
    index : int
        Which sample of the training set.
    inputs : Spikes
        Input events.
    target : numpy.ndarray
        ``time, output``, float64.
    """

    index: int
    inputs: Spikes
    target: Floats


class Sampler(ABC):
    """A task made concrete by a seed."""

    inputs: int
    outputs: int
    steps: int

    @abstractmethod
    def sample(self, trial: int) -> Sample:
        """The sample of a trial: the same trial always gives the same sample."""


class Task(ABC):
    """A task's settings; its fields are bounded quantities, and `duration` [s] is among them."""

    summary: ClassVar[str]
    duration: float

    @abstractmethod
    def sampler(self, dt: float, *, streams: Streams) -> Sampler:
        """The task for a time step `dt` [s] and a seed's streams."""


TASKS: Registry[type[Task]] = Registry("task")
