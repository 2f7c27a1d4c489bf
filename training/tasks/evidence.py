"""Evidence accumulation: count the cues on either side, answer after a delay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch

from pcmsim.errors import FieldError
from pcmsim.foundation.tensors import DOUBLE, SINGLE
from pcmsim.quantity import check, quantity
from pcmsim.streams import Streams
from training.neurons import Floats
from training.objectives import READOUTS, Sample
from training.spikes import from_raster
from training.tasks.base import MOST_SAMPLES, TASKS, Lazy, Sampler, Task, check_part

GROUPS = 4
SOURCE = "Bellec 2020"
LEFT, RIGHT, RECALL, BACKGROUND = range(GROUPS)


@TASKS.register("evidence")
@dataclass(frozen=True)
class Evidence(Task):
    """Each trial: cues on the left or right, a delay, then the question which side had more.

    A quarter of the channels each carry cues on the left, cues on the right, the question, and noise
    throughout. The side of a cue is drawn with a probability that favours one side, which is drawn for
    each trial. Bellec et al. 2020 (Nat. Commun. 11:3625), the authors' script: 40 channels, 2250 ms.
    """

    summary: ClassVar[str] = "Count cues, wait, answer which side had more: classification with a long memory."

    channels: int = quantity(
        40, minimum=GROUPS, maximum=4096, structural=True, doc="Input channels, four equal groups", source=SOURCE
    )
    cues: int = quantity(
        7, minimum=1, maximum=99, structural=True, doc="Cues; odd, so that one side has more", source=SOURCE
    )
    cue: float = quantity(
        0.1, unit="s", above=0.0, maximum=10.0, structural=True, doc="Duration of a cue", source=SOURCE
    )
    gap: float = quantity(
        0.05, unit="s", minimum=0.0, maximum=10.0, structural=True, doc="Silence before each cue", source=SOURCE
    )
    delay: float = quantity(
        1.05,
        unit="s",
        minimum=0.0,
        maximum=100.0,
        structural=True,
        doc="From the last cue to the question",
        source=SOURCE,
    )
    recall: float = quantity(
        0.15, unit="s", above=0.0, maximum=10.0, structural=True, doc="Duration of the question", source=SOURCE
    )
    rate: float = quantity(
        40.0, unit="Hz", minimum=0.0, maximum=1000.0, structural=True, doc="Rate of cues and question", source=SOURCE
    )
    background: float = quantity(
        10.0, unit="Hz", minimum=0.0, maximum=1000.0, structural=True, doc="Rate of the noise", source=SOURCE
    )
    favour: float = quantity(
        0.7, minimum=0.5, maximum=1.0, structural=True, doc="Probability of a cue on the favoured side", source=SOURCE
    )
    readout: str = quantity(
        "window",
        choices=("window", "sum", "max"),
        structural=True,
        doc="How the answer is read from the outputs: at every step, from their mean, or from their maximum",
        source="Bellec 2020: at every step",
    )
    evaluated: int = quantity(
        100,
        minimum=1,
        maximum=MOST_SAMPLES,
        structural=True,
        doc="Trials of an evaluation, none of which is trained on",
        source="Frenkel's eprop-PyTorch",
    )

    def __post_init__(self) -> None:
        check(self)
        if self.cues % 2 == 0:
            raise FieldError("Evidence.cues", "odd, so that one side has more", self.cues)

    @property
    def duration(self) -> float:
        """Duration of a trial [s]."""
        return self.cues * (self.cue + self.gap) + self.delay + self.recall

    @property
    def inputs(self) -> int:
        """Input channels."""
        return self.channels

    def sampler(self, dt: float, *, streams: Streams) -> EvidenceSampler:
        """See `Task.sampler`."""
        return EvidenceSampler(self, dt, streams)


class EvidenceSampler(Sampler):
    """Fresh trials, without end."""

    def __init__(self, task: Evidence, dt: float, streams: Streams) -> None:
        self.inputs, self.outputs = task.channels, 2
        self.classes, self.held_out = ("left", "right"), True
        self.objective = READOUTS[task.readout]
        self._task, self._dt, self._streams = task, dt, streams
        self._cue, self._gap, self._recall = (max(0, round(t / dt)) for t in (task.cue, task.gap, task.recall))
        if self._recall < 1:
            raise FieldError("Evidence.recall", f"at least a time step, {dt:g} s, in which to answer", task.recall)
        self.steps = max(1, round(task.duration / dt))

    def sample(self, trial: int) -> Sample:
        """See `Sampler.sample`."""
        return self._drawn(trial, self._streams.at("task/input", trial))

    def evaluation(self, part: str = "test") -> Lazy:
        """Trials of the part's own stream: none of them is trained on."""
        check_part(part)
        return Lazy(
            range(self._task.evaluated), lambda index: self._drawn(index, self._streams.at(f"task/{part}", index))
        )

    def _drawn(self, index: int, generator: torch.Generator) -> Sample:
        task = self._task
        favoured = torch.rand((), generator=generator, **SINGLE) < 0.5
        with_it = torch.rand(task.cues, generator=generator, **SINGLE) < task.favour
        right = (with_it == favoured).numpy()
        rates = self._rates(right)
        raster = torch.rand(rates.shape, generator=generator, **DOUBLE).numpy() < rates * self._dt
        label = int(2 * right.sum() > task.cues)
        window = (self.steps - self._recall, self.steps)
        target = np.zeros((self.steps, 2))
        target[slice(*window), label] = 1.0
        return Sample(index, from_raster(raster), target, label, window)

    def _rates(self, right: npt.NDArray[np.bool_]) -> Floats:
        """Rate of each channel at each step [Hz]."""
        task, group = self._task, np.arange(self.inputs) * GROUPS // self.inputs
        rates = np.zeros((self.steps, self.inputs))
        for number, side in enumerate(right):
            begin = number * (self._cue + self._gap) + self._gap
            rates[begin : begin + self._cue, group == (RIGHT if side else LEFT)] = task.rate
        rates[self.steps - self._recall :, group == RECALL] = task.rate
        rates[:, group == BACKGROUND] = task.background
        return rates
