"""Gradients of several trials, averaged for one update."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch

from pcmsim.foundation.bounds import Bounds, State
from pcmsim.foundation.tensors import SINGLE, WHOLE
from training.config import LearningConfig
from training.eprop import Gradients, pressure
from training.learning import Lesson, Rule

Shapes = Sequence[tuple[int, int]]


class Batch(ABC):
    """Gathers trials until there are enough for an update."""

    @abstractmethod
    def add(self, rule: Rule, lesson: Lesson) -> Gradients | None:
        """The batch's mean gradients if this trial completes it, else None.

        Parameters
        ----------
        rule : callable
            Learning rule, as in `training.learning.RULES`.
        lesson : Lesson
            The trial.
        """

    @abstractmethod
    def tensors(self) -> dict[str, torch.Tensor]:
        """Everything that changes, by name; nothing where each trial is a batch."""

    @abstractmethod
    def bounds(self) -> State:
        """What these tensors may hold; finite numbers where nothing is said."""


class Mean:
    """The mean of some matrices, as soon as all have come.

    Parameters
    ----------
    shapes : sequence of tuple of int
        Of the matrices of one trial.
    size : int
        Trials of a batch.
    """

    def __init__(self, shapes: Shapes, size: int) -> None:
        self._size = size
        self._sums = [torch.zeros(shape, **SINGLE) for shape in shapes]
        self._count = torch.zeros((), **WHOLE)

    def add(self, matrices: Sequence[torch.Tensor]) -> list[torch.Tensor] | None:
        """The mean if these complete the batch, else None."""
        if self._size == 1:
            return list(matrices)
        for total, matrix in zip(self._sums, matrices, strict=True):
            total.add_(matrix)
        self._count += 1
        if int(self._count) < self._size:
            return None
        mean = [total / self._size for total in self._sums]
        for kept in (*self._sums, self._count):
            kept.zero_()
        return mean

    def bounds(self) -> State:
        """What these tensors may hold."""
        return {"count": Bounds(0.0, self._size - 1)} if self._size > 1 else {}

    def tensors(self) -> dict[str, torch.Tensor]:
        """Sums and count by name; nothing where each trial is a batch."""
        named = {"count": self._count, **{f"sum{number}": total for number, total in enumerate(self._sums)}}
        return named if self._size > 1 else {}


class TrialRates(Batch):
    """Trials whose rate regularisation acts on the rates of each; parameters as in `Mean`."""

    def __init__(self, shapes: Shapes, size: int) -> None:
        self._mean = Mean(shapes, size)

    def add(self, rule: Rule, lesson: Lesson) -> Gradients | None:
        """See `Batch.add`."""
        mean = self._mean.add(rule(lesson))
        return None if mean is None else (mean[0], mean[1], mean[2])

    def tensors(self) -> dict[str, torch.Tensor]:
        """See `Batch.tensors`."""
        return self._mean.tensors()

    def bounds(self) -> State:
        """See `Batch.bounds`."""
        return self._mean.bounds()


class BatchRates(Batch):
    """Trials whose rate regularisation acts on the mean rates over the batch (Bellec et al. 2020's evidence script).

    The gradient of ``strength / 2 sum_j (f_j - f*)^2``, f_j the mean over the batch, is that mean's distance from the
    target times the mean eligibility, and the mean is known at the end. What a signal of 1 through the
    eligibility of the regularisation gives is therefore gathered beside the gradients of the loss.

    Parameters
    ----------
    shapes : sequence of tuple of int
        Of input, recurrent and output weights.
    size : int
        Trials of a batch.
    """

    def __init__(self, shapes: Shapes, size: int) -> None:
        hidden = shapes[1][0]
        self._loss, self._traces, self._rates = Mean(shapes, size), Mean(shapes[:2], size), Mean([(1, hidden)], size)

    def add(self, rule: Rule, lesson: Lesson) -> Gradients | None:
        """See `Batch.add`; strength and target are those of the last trial."""
        loss = self._loss.add(rule(lesson.without_rates()))
        traces = self._traces.add(rule(lesson.of_rates_alone())[:2])
        rates = self._rates.add([torch.from_numpy(lesson.rates)[None]])
        if loss is None or traces is None or rates is None:
            return None
        push = pressure(lesson.config, rates[0])
        g_in, g_rec = (gradient + push * trace for gradient, trace in zip(loss, traces, strict=False))
        return g_in, g_rec, loss[2]

    def tensors(self) -> dict[str, torch.Tensor]:
        """See `Batch.tensors`."""
        return {f"{name}{part}": value for name, mean in self._kept.items() for part, value in mean.tensors().items()}

    def bounds(self) -> State:
        """See `Batch.bounds`."""
        return {f"{name}{part}": value for name, mean in self._kept.items() for part, value in mean.bounds().items()}

    @property
    def _kept(self) -> dict[str, Mean]:
        return {"": self._loss, "traces/": self._traces, "rates/": self._rates}


def build(config: LearningConfig, shapes: Shapes) -> Batch:
    """The batch that a configuration describes, for weight matrices of these shapes."""
    over_batch = config.rate_over == "batch" and config.batch > 1
    return (BatchRates if over_batch else TrialRates)(shapes, config.batch)
