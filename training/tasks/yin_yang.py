"""Yin-yang: which part of the figure a point lies in, from the times of five spikes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from pcmsim.errors import FieldError
from pcmsim.foundation.tensors import DOUBLE
from pcmsim.quantity import check, quantity
from pcmsim.streams import Streams
from training.coding import events, linear
from training.neurons import Floats
from training.objectives import READOUTS, Sample
from training.tasks.base import TASKS, Task
from training.tasks.data import DataSampler, Indices, Parts, asked_field, labelled, readout_field

CLASSES = ("yin", "yang", "dot")
SOURCE = "Kriener 2022"


def _size(default: int, doc: str) -> Any:
    return quantity(
        default, unit="samples", minimum=3, maximum=100_000, structural=True, doc=doc, source="Kriener 2022"
    )


@TASKS.register("yin-yang")
@dataclass(frozen=True)
class YinYang(Task):
    """Each sample: a point of the yin-yang figure; its two halves and its two dots are the classes.

    Five spikes: at x, y, 1 - x, 1 - y, each ``early + value (late - early)``, and one at a fixed time.
    Kriener, Göltz and Petrovici 2022 (doi:10.1145/3517343.3517380): radius 0.5, dots of radius 0.1, as many
    points of each class; the code is Wunderlich and Pehle's (2021, doi:10.1038/s41598-021-91786-z).
    """

    summary: ClassVar[str] = "Tell the parts of a yin-yang figure apart from the times of five spikes: three classes."
    inputs: ClassVar[int] = 5

    duration: float = quantity(
        0.1, unit="s", above=0.0, maximum=10.0, structural=True, doc="Duration of a trial", source="chosen by hand"
    )
    early: float = quantity(
        5e-3,
        unit="s",
        minimum=0.0,
        maximum=10.0,
        structural=True,
        doc="When the spike of a 0 comes",
        source="code: Wunderlich 2021; value: chosen by hand",
    )
    late: float = quantity(
        65e-3,
        unit="s",
        above=0.0,
        maximum=10.0,
        structural=True,
        doc="When the spike of a 1 comes",
        source="code: Wunderlich 2021; value: chosen by hand",
    )
    bias: float = quantity(
        5e-3,
        unit="s",
        minimum=0.0,
        maximum=10.0,
        structural=True,
        doc="When the spike comes that all samples have",
        source="code: Wunderlich 2021; value: chosen by hand",
    )
    r_big: float = quantity(
        0.5, above=0.0, maximum=0.5, structural=True, doc="Radius of the figure, about (r, r)", source=SOURCE
    )
    r_small: float = quantity(0.1, minimum=0.02, maximum=0.25, structural=True, doc="Radius of the dots", source=SOURCE)
    train: int = _size(5000, "Training samples")
    validation: int = _size(1000, "Validation samples")
    test: int = _size(1000, "Test samples")
    asked: float = asked_field()
    readout: str = readout_field("sum")

    def __post_init__(self) -> None:
        check(self)
        if self.r_small >= self.r_big / 2.0:
            raise FieldError("YinYang.r_small", f"< r_big / 2, {self.r_big / 2.0:g}", self.r_small)
        for name in ("early", "late", "bias"):
            if getattr(self, name) >= self.duration:
                raise FieldError(f"YinYang.{name}", f"< duration, {self.duration:g} s", getattr(self, name))

    def sampler(self, dt: float, *, streams: Streams) -> YinYangSampler:
        """See `Task.sampler`."""
        return YinYangSampler(self, dt, streams)


class YinYangSampler(DataSampler):
    """The points of a seed; each part has its own stream."""

    def __init__(self, task: YinYang, dt: float, streams: Streams) -> None:
        self.inputs, self.outputs, self.classes = task.inputs, len(CLASSES), CLASSES
        self.steps = max(1, round(task.duration / dt))
        self.objective = READOUTS[task.readout]
        self._task, self._dt, self._begin = task, dt, round(task.asked / dt)
        sizes = {name: getattr(task, name) for name in Parts._fields}
        drawn = [draw(size, task.r_big, task.r_small, streams.at(f"task/{name}")) for name, size in sizes.items()]
        self.points = np.concatenate([points for points, _ in drawn])
        self.labels = np.concatenate([labels for _, labels in drawn])
        parts = np.split(np.arange(self.labels.size), np.cumsum(list(sizes.values()))[:-1])
        super().__init__(Parts(*parts), self._encoded, streams)

    def _encoded(self, index: int) -> Sample:
        x, y = self.points[index]
        times = linear([x, y, 1.0 - x, 1.0 - y, 0.0], self._task.early, self._task.late)
        times[-1] = self._task.bias
        inputs = events(times, self.steps, self._dt)
        return labelled(index, inputs, int(self.labels[index]), len(CLASSES), self._begin)


def classify(points: Floats, r_big: float, r_small: float) -> Indices:
    """Part of the figure that each point lies in: 0 yin, 1 yang, 2 a dot.

    Parameters
    ----------
    points : numpy.ndarray
        ``point, 2``, within the circle of radius `r_big` about (`r_big`, `r_big`).
    r_big, r_small : float
        Radius of the figure and of its dots.

    Returns
    -------
    numpy.ndarray
        int64, ``point``.
    """
    left = np.hypot(points[:, 0] - 0.5 * r_big, points[:, 1] - r_big)
    right = np.hypot(points[:, 0] - 1.5 * r_big, points[:, 1] - r_big)
    # The upper half, with the left bulge and without the right one.
    yang = (left <= 0.5 * r_big) | ((points[:, 1] > r_big) & (right > 0.5 * r_big))
    return np.where(np.minimum(left, right) <= r_small, 2, yang.astype(np.int64))


def draw(count: int, r_big: float, r_small: float, generator: torch.Generator) -> tuple[Floats, Indices]:
    """Points uniform within each class, the classes in turn, ``point, 2``, and their labels."""
    labels = np.arange(count) % len(CLASSES)
    points = np.empty((count, 2))
    missing = np.ones(count, bool)
    while missing.any():
        offered = 2.0 * r_big * torch.rand((2 * count, 2), generator=generator, **DOUBLE).numpy()
        offered = offered[np.hypot(*(offered - r_big).T) <= r_big]
        found = classify(offered, r_big, r_small)
        for label in range(len(CLASSES)):
            places, fitting = np.flatnonzero(missing & (labels == label)), offered[found == label]
            filled = places[: len(fitting)]
            points[filled] = fitting[: filled.size]
            missing[filled] = False
    return points, labels
