"""What tasks share that draw from a fixed set of samples: parts, order of epochs, one-hot targets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from pcmsim.errors import FieldError
from pcmsim.foundation.tensors import WHOLE
from pcmsim.quantity import quantity
from pcmsim.streams import Streams
from training.neurons import Floats
from training.objectives import READOUTS, UNDECIDED, Sample
from training.spikes import Spikes
from training.tasks.base import Lazy, Sampler, check_part

REMEMBERED = 8192
"""Samples that stay encoded at most."""

MEMORY = 2**26
"""Bytes that they take at most, about."""

Indices = npt.NDArray[np.int64]
Varied = Callable[[int, torch.Generator], Sample]


class Parts(NamedTuple):
    """Numbers of the samples of each part; no sample is in two."""

    train: Indices
    validation: Indices
    test: Indices


class DataSampler(Sampler):
    """Samples of a fixed set: each once per epoch, in an order that each epoch draws anew.

    `steps` and `outputs` must be known before: they decide how many samples stay encoded.

    Parameters
    ----------
    parts : Parts
        Which samples train and which judge.
    make : callable
        The sample of a number; called lazily, the latest ones are kept.
    streams : Streams
        Source of the orders, and of what varies.
    vary : callable, optional
        The sample of a number as a trial shows it, from a generator that is the trial's own; without it all
        trials show it alike. What judges is never varied.
    """

    def __init__(
        self, parts: Parts, make: Callable[[int], Sample], streams: Streams, vary: Varied | None = None
    ) -> None:
        self.parts, self._streams, self._vary = parts, streams, vary
        self.held_out = parts.test.size > 0
        size = 8 * self.steps * (self.outputs + 1)
        self._make = lru_cache(min(REMEMBERED, max(1, MEMORY // size)))(make)
        self._order = lru_cache(2)(self._drawn_order)

    def sample(self, trial: int) -> Sample:
        """See `Sampler.sample`."""
        epoch, place = divmod(trial, self.parts.train.size)
        number = int(self._order(epoch)[place])
        if self._vary is None:
            return self._make(number)
        return self._vary(number, self._streams.at("task/vary", trial))

    def evaluation(self, part: str = "test") -> Sequence[Sample]:
        """See `Sampler.evaluation`; samples are made when they are looked at."""
        check_part(part)
        numbers: Indices = getattr(self.parts, part) if self.held_out else self.parts.train
        if not numbers.size:
            expected = "a share that gives samples: > 0, with a class of two or more outside the test part"
            raise FieldError("task.validation", expected, "no samples")
        return Lazy(numbers, self._make)

    def _drawn_order(self, epoch: int) -> Indices:
        order = torch.randperm(self.parts.train.size, generator=self._streams.at("task/order", epoch), **WHOLE)
        drawn: Indices = self.parts.train[order.numpy()]
        return drawn


def labelled(index: int, inputs: Spikes, label: int, classes: int, begin: int = 0) -> Sample:
    """A sample whose right answer is a class, asked for from step `begin` on.

    Its target is one row, seen once per step: it takes no memory and cannot be written.
    """
    right = (np.arange(classes) == label).astype(np.float64)
    window = (min(begin, inputs.steps - 1), inputs.steps)
    return Sample(index, inputs, np.broadcast_to(right, (inputs.steps, classes)), label, window)


def stratified(numbers: Indices, labels: Indices, share: float, generator: torch.Generator) -> tuple[Indices, Indices]:
    """Take a share of each class at random: one at least, and one at least stays, where it has two.

    Parameters
    ----------
    numbers : numpy.ndarray
        Samples to take from.
    labels : numpy.ndarray
        Class of every sample there is; all alike where there are no classes.
    share : float
        From 0 to 1.
    generator : torch.Generator
        Decides which.

    Returns
    -------
    rest, taken : numpy.ndarray
        In ascending order.
    """
    shuffled = numbers[torch.randperm(numbers.size, generator=generator, **WHOLE).numpy()]
    groups = [shuffled[labels[shuffled] == label] for label in np.unique(labels[shuffled])]
    taken = np.concatenate([group[: _number(share, group.size)] for group in groups] or [shuffled])
    return np.setdiff1d(numbers, taken), np.sort(taken)


def _number(share: float, size: int) -> int:
    return min(max(1, round(share * size)), size - 1) if share else 0


def parts_with_validation(train: Indices, test: Indices, labels: Indices, share: float, streams: Streams) -> Parts:
    """Carve the validation part from the training part."""
    rest, validation = stratified(train, labels, share, streams.at("task/validation"))
    return Parts(rest, validation, test)


def unlabelled(count: int) -> Indices:
    """Labels of samples without classes."""
    return np.full(count, UNDECIDED, np.int64)


def readout_field(default: str) -> Any:
    """A task's field for how the answer is read."""
    return quantity(
        default,
        choices=tuple(READOUTS),
        structural=True,
        doc="How the answer is read from the outputs: at every step, from their mean, or from their maximum",
        source="Bellec 2020: at every step; Cramer 2022: the maximum",
    )


def asked_field() -> Any:
    """A task's field for when the answer begins to count."""
    return quantity(
        0.0,
        unit="s",
        minimum=0.0,
        maximum=10.0,
        structural=True,
        doc="When the answer begins to count; at the latest in the last step",
        source="Bellec 2020: in the recall window",
    )


def validation_field() -> Any:
    """A task's field for the share of the training part that is held out to choose settings by."""
    return quantity(
        0.1,
        minimum=0.0,
        maximum=0.5,
        structural=True,
        doc="Share of the training part that is not trained on, drawn by the seed, to choose settings by",
        source="common practice",
    )


def tau_in_field() -> Any:
    """A task's field for the time constant of latency coding."""
    return quantity(
        20e-3,
        unit="s",
        above=0.0,
        maximum=10.0,
        structural=True,
        doc="Time constant of the input's latency code",
        source="code: Cramer 2022; value: chosen by hand",
    )


def theta_in_field() -> Any:
    """A task's field for the intensity below which nothing spikes."""
    return quantity(
        0.2,
        above=0.0,
        maximum=0.99,
        structural=True,
        doc="Intensity, of 1, up to which an input stays silent",
        source="code: Cramer 2022; value: chosen by hand",
    )


def picture(values: npt.NDArray[np.generic], largest: float) -> Floats:
    """An image scaled to the range from 0 to 1."""
    scaled: Floats = values.astype(np.float64) / largest
    return scaled
