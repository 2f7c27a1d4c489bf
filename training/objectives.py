"""What a network should answer: the loss, its derivative by the output, and the decision.

The derivative drives e-prop and is written out by hand; the loss in torch is what autograd sees, and the
two are held to each other by a test.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from pcmsim.errors import PCMLabError
from pcmsim.registry import Registry
from training.neurons import Floats
from training.spikes import Spikes

UNDECIDED = -1


@dataclass(frozen=True)
class Sample:
    """One trial's input and what the network should answer.

    Parameters
    ----------
    index : int
        Which sample of the task's data.
    inputs : Spikes
        Input events.
    target : numpy.ndarray
        ``time, output``, float64: values; or 1 for the right class while it is asked for.
    label : int
        The right class; -1 in regression.
    window : tuple of int
        First step in which the answer counts, and one past the last; all steps where it is left out.
    """

    index: int
    inputs: Spikes
    target: Floats
    label: int = UNDECIDED
    window: tuple[int, int] = field(default=(0, 2**31))

    def asked(self, first: int, last: int) -> npt.NDArray[np.bool_]:
        """In which of the steps ``first`` to ``last - 1`` the answer counts."""
        steps = np.arange(first, last)
        counts: npt.NDArray[np.bool_] = (steps >= self.window[0]) & (steps < self.window[1])
        return counts


class Objective(ABC):
    """How an answer is judged."""

    @abstractmethod
    def error(self, output: Floats, sample: Sample) -> Floats:
        """Derivative of the training loss by the output, ``time, output``."""

    def error_between(self, output: Floats, sample: Sample, first: int, last: int) -> Floats:
        """The same for the steps ``first`` to ``last - 1``, when the output of no other step is known.

        Raises
        ------
        PCMLabError
            If the loss is no sum over steps.
        """
        raise PCMLabError("task.readout: its loss is known only after the trial; set learning.update_every to 0")

    @abstractmethod
    def total(self, output: torch.Tensor, sample: Sample) -> torch.Tensor:
        """The training loss, for autograd."""

    @abstractmethod
    def loss(self, output: Floats, sample: Sample) -> float:
        """The loss that people read."""

    @abstractmethod
    def baseline(self, sample: Sample) -> float:
        """The same of a silent network."""

    def decide(self, output: Floats, sample: Sample) -> int:
        """The class that the network answers; -1 in regression."""
        return UNDECIDED

    def running(self, output: Floats, sample: Sample) -> npt.NDArray[np.int64]:
        """The class that it would answer if the window ended with each of its steps; empty in regression."""
        return np.empty(0, np.int64)


class SquaredError(Objective):
    """Regression: half the sum of squares over the window trains, their mean over it is read."""

    def error(self, output: Floats, sample: Sample) -> Floats:
        """See `Objective.error`."""
        return self.error_between(output, sample, 0, len(output))

    def error_between(self, output: Floats, sample: Sample, first: int, last: int) -> Floats:
        """See `Objective.error_between`."""
        error: Floats = output - sample.target[first:last]
        error[~sample.asked(first, last)] = 0.0
        return error

    def total(self, output: torch.Tensor, sample: Sample) -> torch.Tensor:
        """See `Objective.total`."""
        asked = slice(*sample.window)
        return 0.5 * ((output[asked] - torch.from_numpy(sample.target[asked])) ** 2).sum()

    def loss(self, output: Floats, sample: Sample) -> float:
        """See `Objective.loss`."""
        asked = slice(*sample.window)
        return float(np.mean((output[asked] - sample.target[asked]) ** 2))

    def baseline(self, sample: Sample) -> float:
        """See `Objective.baseline`."""
        return float(np.mean(sample.target[slice(*sample.window)] ** 2))


class CrossEntropy(Objective):
    """Classification by the cross-entropy of a softmax at each step of the window, averaged (Bellec et al. 2020)."""

    def error(self, output: Floats, sample: Sample) -> Floats:
        """See `Objective.error`."""
        error = np.zeros_like(output)
        asked = output[slice(*sample.window)]
        error[slice(*sample.window)] = (_softmax(asked) - _one_hot(output, sample)) / len(asked)
        return error

    def error_between(self, output: Floats, sample: Sample, first: int, last: int) -> Floats:
        """See `Objective.error_between`."""
        asked, counting = sample.asked(first, last), len(sample.target[slice(*sample.window)])
        error: Floats = asked[:, None] * (_softmax(output) - _one_hot(output, sample)) / counting
        return error

    def total(self, output: torch.Tensor, sample: Sample) -> torch.Tensor:
        """See `Objective.total`."""
        return -torch.log_softmax(output[slice(*sample.window)], 1)[:, sample.label].mean()

    def loss(self, output: Floats, sample: Sample) -> float:
        """See `Objective.loss`."""
        return float(self.total(torch.from_numpy(output), sample))

    def baseline(self, sample: Sample) -> float:
        """See `Objective.baseline`."""
        return float(np.log(sample.target.shape[1]))

    def decide(self, output: Floats, sample: Sample) -> int:
        """The class with the largest output on average over the window."""
        return int(output[slice(*sample.window)].mean(0).argmax())

    def running(self, output: Floats, sample: Sample) -> npt.NDArray[np.int64]:
        """See `Objective.running`."""
        leading: npt.NDArray[np.int64] = output[slice(*sample.window)].cumsum(0).argmax(1)
        return leading


class SummedCrossEntropy(CrossEntropy):
    """Classification by the softmax of each output's mean over the window."""

    error_between = Objective.error_between

    def error(self, output: Floats, sample: Sample) -> Floats:
        """See `Objective.error`."""
        error = np.zeros_like(output)
        asked = output[slice(*sample.window)]
        error[slice(*sample.window)] = (_softmax(asked.mean(0)) - _one_hot(output, sample)) / len(asked)
        return error

    def total(self, output: torch.Tensor, sample: Sample) -> torch.Tensor:
        """See `Objective.total`."""
        return -torch.log_softmax(output[slice(*sample.window)].mean(0), 0)[sample.label]


class LargestCrossEntropy(CrossEntropy):
    """Classification by the softmax of each output's largest value in the window (Cramer et al. 2022)."""

    error_between = Objective.error_between

    def error(self, output: Floats, sample: Sample) -> Floats:
        """See `Objective.error`: it acts where each output is largest."""
        error = np.zeros_like(output)
        asked = output[slice(*sample.window)]
        where = asked.argmax(0)
        classes = np.arange(output.shape[1])
        error[slice(*sample.window)][where, classes] = _softmax(asked[where, classes]) - _one_hot(output, sample)
        return error

    def total(self, output: torch.Tensor, sample: Sample) -> torch.Tensor:
        """See `Objective.total`."""
        return -torch.log_softmax(output[slice(*sample.window)].max(0).values, 0)[sample.label]

    def decide(self, output: Floats, sample: Sample) -> int:
        """The class whose output gets largest in the window."""
        return int(output[slice(*sample.window)].max(0).argmax())

    def running(self, output: Floats, sample: Sample) -> npt.NDArray[np.int64]:
        """See `Objective.running`."""
        leading: npt.NDArray[np.int64] = np.maximum.accumulate(output[slice(*sample.window)]).argmax(1)
        return leading


READOUTS: Registry[Objective] = Registry("readout")
"""Objectives of classification, by how they read the output."""

READOUTS.register("window")(CrossEntropy())
READOUTS.register("sum")(SummedCrossEntropy())
READOUTS.register("max")(LargestCrossEntropy())


def _softmax(values: Floats) -> Floats:
    raised = np.exp(values - values.max(-1, keepdims=True))
    chance: Floats = raised / raised.sum(-1, keepdims=True)
    return chance


def _one_hot(output: Floats, sample: Sample) -> Floats:
    right: Floats = np.eye(output.shape[1], dtype=output.dtype)[sample.label]
    return right
