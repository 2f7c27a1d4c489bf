"""The protocol of tasks: settings that can be asked for the sample of any trial."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar, overload

import numpy as np
import numpy.typing as npt

from pcmsim.errors import UnknownNameError
from pcmsim.registry import Registry
from pcmsim.streams import Streams
from training.neurons import Floats
from training.objectives import Objective, Sample, SquaredError

MOST_SAMPLES = 1000
PARTS = ("validation", "test")
"""Parts of a task by which a network can be judged: one to choose settings by, one to report."""


class Sampler(ABC):
    """A task made concrete by a seed.

    Attributes
    ----------
    inputs, outputs, steps : int
        Input channels, readout units, time steps of a trial.
    objective : Objective
        How answers are judged.
    classes : tuple of str
        Names of the classes; empty in regression.
    held_out : bool
        Whether `evaluation` gives samples that are never trained on; otherwise it gives the training set.
    remarks : tuple of str
        What the user should know of their files, a sentence each, such as how many spikes are left out.
    """

    inputs: int
    outputs: int
    steps: int
    objective: Objective = SquaredError()
    classes: tuple[str, ...] = ()
    held_out: bool = False
    remarks: tuple[str, ...] = ()

    @abstractmethod
    def sample(self, trial: int) -> Sample:
        """The sample of a trial: the same trial always gives the same sample."""

    def evaluation(self, part: str = "test") -> Sequence[Sample]:
        """The samples by which a network is judged: each of the training set once, unless the task has others.

        Parameters
        ----------
        part : str
            ``validation`` or ``test``; their samples differ where there are any held out.

        Raises
        ------
        UnknownNameError
            If there is no such part.
        """
        check_part(part)
        seen: dict[int, Sample] = {}
        for trial in range(MOST_SAMPLES):
            sample = self.sample(trial)
            if sample.index in seen:
                break
            seen[sample.index] = sample
        return list(seen.values())

    def image(self, sample: Sample) -> Floats | None:
        """What a sample shows, ``height, width`` from 0 to 1; none where it shows nothing."""
        return None


class Task(ABC):
    """A task's settings; its fields are bounded quantities."""

    summary: ClassVar[str]

    @property
    @abstractmethod
    def duration(self) -> float:
        """Duration of a trial [s]; may be a field."""

    def files(self) -> Sequence[Path]:
        """Files of the user's that samples are read from, whether they exist or not; none where they are drawn."""
        return ()

    @abstractmethod
    def sampler(self, dt: float, *, streams: Streams) -> Sampler:
        """The task for a time step `dt` [s] and a seed's streams.

        Files are read here, and not before.

        Raises
        ------
        PCMLabError
            If the settings do not fit together or a file is not what it should be.
        """


class Lazy(Sequence[Sample]):
    """Samples by their numbers, made when they are looked at."""

    def __init__(self, numbers: Sequence[int] | npt.NDArray[np.int64], make: Callable[[int], Sample]) -> None:
        self._numbers, self._make = numbers, make

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, place: int) -> Sample: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Sample]: ...

    def __getitem__(self, place: int | slice) -> Sample | Sequence[Sample]:
        if isinstance(place, slice):
            return Lazy(self._numbers[place], self._make)
        return self._make(int(self._numbers[place]))


def check_part(part: str) -> None:
    """Raise `UnknownNameError` if `part` is none of `PARTS`."""
    if part not in PARTS:
        raise UnknownNameError("part", part, PARTS)


TASKS: Registry[type[Task]] = Registry("task")
