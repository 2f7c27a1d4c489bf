"""Pattern generation: frozen Poisson spikes in, a sum of sines out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from pcmsim.errors import FieldError
from pcmsim.foundation.tensors import DOUBLE, SINGLE, WHOLE
from pcmsim.quantity import check, quantity
from pcmsim.streams import Streams
from training.neurons import Floats
from training.objectives import Sample
from training.spikes import Spikes, from_raster
from training.tasks.base import TASKS, Sampler, Task

FREQUENCIES = (1.0, 2.0, 3.0, 5.0)
LOWEST_AMPLITUDE, HIGHEST_AMPLITUDE = 0.5, 2.0


@TASKS.register("pattern")
@dataclass(frozen=True)
class Pattern(Task):
    """Each sample: a frozen Poisson input and the sum of sines of 1, 2, 3 and 5 Hz as target.

    Amplitudes are uniform in [0.5, 2], phases in [0, 2 pi], the sum is scaled to magnitude 1;
    samples come in random order, each once per epoch. Demirag et al. 2021 (arXiv:2108.01804);
    with one sample and `from_zero`, Bellec et al. 2020.
    """

    summary: ClassVar[str] = "Turn a frozen spike pattern into a wave: regression, one readout."

    inputs: int = quantity(100, minimum=1, maximum=4096, structural=True, doc="Input channels", source="Demirag 2021")
    rate: float = quantity(
        50.0, unit="Hz", minimum=0.0, maximum=1000.0, structural=True, doc="Input rate", source="Demirag 2021"
    )
    duration: float = quantity(
        1.0, unit="s", above=0.0, maximum=100.0, structural=True, doc="Duration of a trial", source="Demirag 2021"
    )
    samples: int = quantity(
        3, minimum=1, maximum=1000, structural=True, doc="Samples in the training set", source="Demirag 2021: 3"
    )
    from_zero: bool = quantity(
        False,
        structural=True,
        doc="Shift each target so that it starts at 0, then scale it",
        source="Bellec 2020's tutorial",
    )

    def __post_init__(self) -> None:
        check(self)

    def sampler(self, dt: float, *, streams: Streams) -> PatternSampler:
        """See `Task.sampler`."""
        return PatternSampler(self, dt, streams)


class PatternSampler(Sampler):
    """The training set of a seed, in an order that each epoch draws anew."""

    def __init__(self, task: Pattern, dt: float, streams: Streams) -> None:
        self.inputs, self.outputs = task.inputs, 1
        self.steps = max(1, round(task.duration / dt))
        if task.from_zero and self.steps == 1:
            raise FieldError("Pattern.duration", "more than one time step where targets start at 0", task.duration)
        self._streams = streams
        self._samples = [self._draw(task, dt, index) for index in range(task.samples)]

    def _draw(self, task: Pattern, dt: float, index: int) -> Sample:
        inputs = _poisson(task, self.steps, dt, self._streams.at("task/input", index))
        return Sample(index, inputs, _target(task, self.steps, dt, self._streams.at("task/target", index)))

    def sample(self, trial: int) -> Sample:
        """See `Sampler.sample`."""
        epoch, place = divmod(trial, len(self._samples))
        order = torch.randperm(len(self._samples), generator=self._streams.at("task/order", epoch), **WHOLE)
        return self._samples[int(order[place])]


def _poisson(task: Pattern, steps: int, dt: float, generator: torch.Generator) -> Spikes:
    raster = torch.rand((steps, task.inputs), generator=generator, **SINGLE) < task.rate * dt
    return from_raster(raster.numpy())


def _target(task: Pattern, steps: int, dt: float, generator: torch.Generator) -> Floats:
    amplitude, phase = torch.rand((2, len(FREQUENCIES)), generator=generator, **DOUBLE).numpy()
    amplitude = LOWEST_AMPLITUDE + (HIGHEST_AMPLITUDE - LOWEST_AMPLITUDE) * amplitude
    time = np.arange(steps)[:, None] * dt
    wave = (amplitude * np.sin(2.0 * math.pi * (np.asarray(FREQUENCIES) * time + phase))).sum(1)
    wave = wave - wave[0] if task.from_zero else wave
    scaled: Floats = (wave / np.abs(wave).max())[:, None]
    return scaled
