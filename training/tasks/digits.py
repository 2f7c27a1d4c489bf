"""Scikit-learn's handwritten digits, one spike per pixel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from pcmsim.errors import PCMLabError
from pcmsim.quantity import check, quantity
from pcmsim.registry import Registry
from pcmsim.streams import Streams
from training.coding import events, latency
from training.neurons import Floats
from training.objectives import READOUTS, Sample
from training.tasks.base import TASKS, Task
from training.tasks.data import (
    DataSampler,
    Indices,
    asked_field,
    labelled,
    parts_with_validation,
    picture,
    readout_field,
    stratified,
    tau_in_field,
    theta_in_field,
    validation_field,
)
from training.tasks.pictures import duration_field, randomly_moved, rotation_field, shift_field

BRIGHTEST, CLASSES = 16.0, 10
TEST_SHARE = 0.2

Split = Callable[[Indices, Streams], tuple[Indices, Indices]]
SPLITS: Registry[Split] = Registry("split")
"""Ways to tell training and test samples apart: labels and streams in, numbers of the samples out."""


@TASKS.register("digits")
@dataclass(frozen=True)
class Digits(Task):
    """Each sample: an 8 x 8 image of a digit, each pixel a spike that comes the earlier the brighter it is.

    1797 images that scikit-learn carries (`sklearn.datasets.load_digits`, from the UCI repository: Alpaydin
    and Kaynak 1998, doi:10.24432/C50P49). The split ``half`` trains on the first half and tests on the
    second, in the order of the file, as scikit-learn's own example does; their writers differ.
    """

    summary: ClassVar[str] = "Read handwritten digits, 8 x 8 pixels, from the times of 64 spikes: ten classes."
    inputs: ClassVar[int] = 64

    duration: float = duration_field()
    split: str = quantity(
        "half",
        choices=("half", "stratified"),
        structural=True,
        doc="First half against second half, or a fifth of each class, drawn by the seed, as test",
        source="scikit-learn's example: half",
    )
    validation: float = validation_field()
    tau_in: float = tau_in_field()
    theta_in: float = theta_in_field()
    rotation: float = rotation_field()
    shift: float = shift_field()
    asked: float = asked_field()
    readout: str = readout_field("sum")

    def __post_init__(self) -> None:
        check(self)

    def sampler(self, dt: float, *, streams: Streams) -> DigitsSampler:
        """See `Task.sampler`."""
        return DigitsSampler(self, dt, streams)


class DigitsSampler(DataSampler):
    """The images of a seed's parts."""

    def __init__(self, task: Digits, dt: float, streams: Streams) -> None:
        self._images, self._labels = _load()
        self.inputs, self.outputs = task.inputs, CLASSES
        self.classes = tuple(map(str, range(CLASSES)))
        self.steps = max(1, round(task.duration / dt))
        self.objective = READOUTS[task.readout]
        self._task, self._dt, self._begin = task, dt, round(task.asked / dt)
        train, test = SPLITS[task.split](self._labels, streams)
        parts = parts_with_validation(train, test, self._labels, task.validation, streams)
        super().__init__(parts, self._encoded, streams, self._moved if task.rotation or task.shift else None)

    def image(self, sample: Sample) -> Floats:
        """See `Sampler.image`; never moved."""
        shown: Floats = self._images[sample.index]
        return shown

    def _encoded(self, index: int) -> Sample:
        return self._spiking(index, self._images[index])

    def _moved(self, index: int, generator: torch.Generator) -> Sample:
        image = randomly_moved(self._images[index], self._task.rotation, self._task.shift, generator)
        return self._spiking(index, image)

    def _spiking(self, index: int, image: Floats) -> Sample:
        times = latency(image.ravel(), self._task.tau_in, self._task.theta_in)
        inputs = events(times, self.steps, self._dt)
        return labelled(index, inputs, int(self._labels[index]), CLASSES, self._begin)


@lru_cache(1)
def _load() -> tuple[Floats, Indices]:
    """Images from 0 to 1, ``sample, height, width``, and labels.

    Read from the file that scikit-learn brings along: to import scikit-learn for it would take seconds.
    """
    home = find_spec("sklearn")
    if home is None or home.origin is None:
        raise PCMLabError("digits: scikit-learn, which brings the images along, is not installed")
    rows = np.loadtxt(Path(home.origin).parent / "datasets" / "data" / "digits.csv.gz", delimiter=",")
    images, labels = picture(rows[:, :-1].reshape(-1, 8, 8), BRIGHTEST), rows[:, -1].astype(np.int64)
    images.flags.writeable = labels.flags.writeable = False
    return images, labels


@SPLITS.register("half")
def _half(labels: Indices, streams: Streams) -> tuple[Indices, Indices]:
    numbers = np.arange(labels.size)
    return numbers[: labels.size // 2], numbers[labels.size // 2 :]


@SPLITS.register("stratified")
def _stratified(labels: Indices, streams: Streams) -> tuple[Indices, Indices]:
    return stratified(np.arange(labels.size), labels, TEST_SHARE, streams.at("task/split"))
