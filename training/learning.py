"""Learning rules: from what a trial was to the change that each weight asks for. One registry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from pcmsim.registry import Registry
from training import bptt, eprop
from training.config import LearningConfig
from training.eprop import Gradients
from training.kernels import Activity, Signals
from training.network import Arrays, Network
from training.neurons import Dynamics, Floats
from training.spikes import Spikes


@dataclass(frozen=True)
class Lesson:
    """One trial, as a learning rule sees it.

    Parameters
    ----------
    config : LearningConfig
        Learning settings.
    network : Network
        The neurons.
    arrays : Arrays
        The weights.
    activity : Activity
        What the network did.
    inputs : Spikes
        Input events.
    error : numpy.ndarray
        ``time, output``: derivative of the loss by the output.
    feedback : numpy.ndarray
        ``output, hidden``: weights of the feedback that is set.
    by_rate : numpy.ndarray, optional
        ``hidden``: learning signal of the rate regularisation; by default that of the trial's own rates.
    """

    config: LearningConfig
    network: Network
    arrays: Arrays
    activity: Activity
    inputs: Spikes
    error: Floats
    feedback: Floats
    by_rate: Floats | None = None

    @property
    def assumed(self) -> Dynamics:
        """Neuron constants that learning assumes."""
        return self.network.assumed(self.config.eligibility)

    @property
    def fan_in(self) -> int:
        """Number of input neurons."""
        return self.arrays.input.shape[0]

    def signals(self, feedback: Floats) -> Signals:
        """What drives learning, with errors coming back by `feedback`; a large output is an error too."""
        error = self.error + readout_pressure(self.config, self.activity.output)
        return eprop.signals(self.config, feedback, error, self.activity, self.network.config.dt, self.by_rate)

    @property
    def rates(self) -> Floats:
        """Firing rate of each hidden neuron [Hz]."""
        return eprop.rates(self.activity.hidden, self.activity.voltage.shape[1], self.network.config.dt)

    def without_rates(self) -> Lesson:
        """The same trial without a rate regularisation."""
        return replace(self, by_rate=np.zeros(self.activity.voltage.shape[1]))

    def of_rates_alone(self) -> Lesson:
        """The same trial with a signal of 1 through the eligibility of the rate regularisation, and nothing else."""
        alone, width = replace(self.config, readout_strength=0.0), self.activity.voltage.shape[1]
        return replace(self, config=alone, error=np.zeros_like(self.error), by_rate=np.ones(width))


Rule = Callable[[Lesson], Gradients]

RULES: Registry[Rule] = Registry("learning rule")


@RULES.register("e-prop")
def by_eprop(lesson: Lesson) -> Gradients:
    """Whole-trial e-prop (Bellec et al. 2020): errors through the feedback, no path through later spikes."""
    driving = lesson.signals(lesson.feedback)
    return eprop.trial_gradients(lesson.assumed, driving, lesson.activity, lesson.inputs, lesson.fan_in)


@RULES.register("bptt")
def by_backpropagation(lesson: Lesson) -> Gradients:
    """Surrogate gradients in the loop (Cramer et al. 2022): all paths, by the weights as stored."""
    recurrent, output = (array.stored_weights().numpy() for array in lesson.arrays[1:])
    driving = lesson.signals(output.T)
    return bptt.trial_gradients(lesson.assumed, driving, recurrent, lesson.activity, lesson.inputs, lesson.fan_in)


def readout_pressure(config: LearningConfig, output: Floats) -> Floats | float:
    """Derivative of ``strength / 2 * mean_k (max_t |y_k|)^2`` by the output, ``time, output``; 0 without strength."""
    if config.readout_strength == 0.0:
        return 0.0
    pressure = np.zeros_like(output)
    peak, outputs = np.abs(output).argmax(0), np.arange(output.shape[1])
    pressure[peak, outputs] = config.readout_strength / outputs.size * output[peak, outputs]
    return pressure
