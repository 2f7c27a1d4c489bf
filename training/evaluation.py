"""How well a network answers, without learning: accuracy, confusion, loss, speed and spikes on samples held out."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from pcmsim.array import WeightArray
from pcmsim.foundation.tensors import usual_numerics
from pcmsim.streams import Streams
from training import memory, spikes
from training.config import RunConfig
from training.interrupts import undisturbed
from training.kernels import Activity
from training.network import Arrays, Network, ReadNoise, stretches
from training.objectives import UNDECIDED, Objective, Sample
from training.records import finite
from training.support.read_meter import ReadMeter
from training.tasks import Sampler
from training.tasks.base import MOST_SAMPLES

PURPOSE = "evaluate"
"""Read noise of whoever only looks: training never meets it."""

MOST_HELD = 16
"""Stretches of a trial whose reads are kept from sample to sample; memory bounds it."""


class Answering(Protocol):
    """A network that can be asked: a session, or one that was deployed."""

    @property
    def config(self) -> RunConfig:
        """Its configuration."""

    @property
    def sampler(self) -> Sampler:
        """Its task."""

    @property
    def network(self) -> Network:
        """Its neurons."""

    @property
    def arrays(self) -> Arrays:
        """Its weights."""

    @property
    def streams(self) -> Streams:
        """Where its read noise comes from."""

    @property
    def device_time(self) -> float:
        """Device time [s]."""


@dataclass(frozen=True)
class Evaluation:
    """What a network makes of samples that it does not learn from.

    Parameters
    ----------
    part : str
        ``validation`` or ``test``.
    held_out : bool
        Whether these samples are never trained on; otherwise they are the training set.
    samples : int
        How many were asked.
    loss : float
        Mean loss; 1e30 stands for one that is not finite.
    accuracy : float
        Share of right answers; not a number in regression.
    confusion : numpy.ndarray
        Samples by right class and answer, int64, ``class, answer``; empty in regression.
    latency : float
        Mean decision latency [s]; not a number in regression. See `decision_latency`.
    hidden_spikes : float
        Spikes per hidden neuron and inference.
    input_spikes : float
        Input spikes per inference.
    energy : float or None
        Energy of the device reads of an inference [J]; None where the weights have no energy model, and on a chip.
    duration : float
        Time that the simulated chip takes for an inference [s]: that of a trial.
    seconds : float
        Time that the simulation takes for it [s]; as fast as the machine is.
    """

    part: str
    held_out: bool
    samples: int
    loss: float
    accuracy: float
    confusion: npt.NDArray[np.int64]
    latency: float
    hidden_spikes: float
    input_spikes: float
    energy: float | None
    duration: float
    seconds: float


def evaluate(
    session: Answering, part: str = "test", most: int = MOST_SAMPLES, *, now: float | None = None
) -> Evaluation:
    """Ask the session's network about samples of a part, as the next trial would find its devices.

    Read noise has streams of its own, reads are not counted, nothing in the session changes: a run that
    is evaluated goes on as one that is not, to the bit.

    Parameters
    ----------
    session : Answering
        Only looked at.
    part : str
        ``validation``, to choose settings by, or ``test``, to report.
    most : int
        Samples that are asked at most, >= 1; fewer than there are come evenly from all over the part.
    now : float, optional
        Device time at the first step of each sample [s]; that of the next trial by default.

    Returns
    -------
    Evaluation

    Raises
    ------
    PCMLabError
        If there is no such part.

    Examples
    --------
    >>> from training.presets import PRESETS
    >>> from training.session import Session
    >>> found = evaluate(Session(PRESETS["digits"].config), most=50)
    >>> found.confusion.sum(), found.held_out
    (np.int64(50), True)
    """
    sampler, dt, began = session.sampler, session.config.network.dt, time.perf_counter()
    asked = thinned(sampler.evaluation(part), most)
    sums, count = _Sums(sampler.objective, len(sampler.classes), dt), len(asked)
    moment = next_trial(session, session.device_time) if now is None else now
    meter = ReadMeter([array.shape[0] for array in session.arrays])
    for sample, activity in answers(session, asked, moment, meter=meter):
        sums.add(sample, activity)
    costs, read = memory.costs(session.arrays, session.config), float(meter.conductance.sum())
    return Evaluation(
        part=part,
        held_out=sampler.held_out,
        samples=count,
        loss=finite(sums.loss / count),
        accuracy=float(np.trace(sums.confusion) / count) if sampler.classes else float("nan"),
        confusion=sums.confusion,
        latency=float(np.mean(sums.latencies)) if sums.latencies else float("nan"),
        hidden_spikes=sums.fired / (count * session.config.network.hidden),
        input_spikes=sums.arrived / count,
        energy=None if costs is None or read == 0.0 < sums.arrived else costs.read(read / count),
        duration=sampler.steps * dt,
        seconds=(time.perf_counter() - began) / count,
    )


class _Sums:
    """What comes together over the samples: loss, spikes of both kinds, decisions and their latencies [s]."""

    def __init__(self, objective: Objective, classes: int, dt: float) -> None:
        self._objective, self._dt = objective, dt
        self.loss, self.fired, self.arrived = 0.0, 0, 0
        self.confusion, self.latencies = np.zeros((classes, classes), np.int64), list[float]()

    def add(self, sample: Sample, activity: Activity) -> None:
        self.loss += self._objective.loss(activity.output, sample)
        self.fired += activity.hidden.neuron.size
        self.arrived += sample.inputs.neuron.size
        if sample.label != UNDECIDED:
            self.confusion[sample.label, self._objective.decide(activity.output, sample)] += 1
            self.latencies.append(decision_latency(self._objective, activity, sample) * self._dt)


def answers(
    session: Answering,
    samples: Sequence[Sample],
    now: float,
    arrays: Arrays | None = None,
    meter: ReadMeter | None = None,
) -> Iterator[tuple[Sample, Activity]]:
    """What the session's network does with each sample; nothing in the session changes.

    Parameters
    ----------
    session : Answering
        Only looked at.
    samples : sequence of Sample
        Their numbers address the read noise: whoever asks again meets the same.
    now : float
        Device time at the first step of each sample [s].
    arrays : Arrays, optional
        Weights in place of the session's.
    meter : ReadMeter, optional
        Takes down what is read.
    """
    arrays, network, mode = arrays or session.arrays, session.network, session.config.device.read_mode
    arrays = Arrays(*map(_uncounted, arrays))
    shape = (session.sampler.steps, session.config.network.hidden, session.sampler.outputs)
    noisy, exact = any(array.random for array in arrays), ReadNoise.none(shape)
    few = len(stretches(arrays, now, session.config.network.dt, 0, shape[0])) <= MOST_HELD
    held = list(network.reads(arrays, now, (0, shape[0]), mode)) if few else None
    for place in range(len(samples)):
        with undisturbed(), usual_numerics():
            sample = samples[place]
            noise = ReadNoise.draw(shape, sample.index, streams=session.streams, purpose=PURPOSE) if noisy else exact
            parts = held or network.reads(arrays, now, (0, shape[0]), mode)
            activity = network.play(parts, sample.inputs, noise, meter=meter)
        yield sample, activity


def _uncounted(array: WeightArray) -> WeightArray:
    """The same memory, behind converters that count elsewhere."""
    if array.core is None:
        return array
    view = copy.copy(array)
    view.core = array.core.uncounted()
    return view


def next_trial(session: Answering, device_time: float) -> float:
    """When a trial that follows `device_time` begins [s]: the latest pulses then have the age that training reads at.

    At `device_time` itself they are no older than a read delay, and read far too high.
    """
    return device_time + session.config.device.update_interval - session.config.task.duration


def decision_latency(objective: Objective, activity: Activity, sample: Sample) -> int:
    """Steps from the first input spike until the running decision is the final one and stays so.

    The running decision is what the network would answer if its window ended there. One that stands
    before the first spike has latency 0, and so has one without any input.
    """
    arrivals = spikes.times(sample.inputs)
    running = objective.running(activity.output, sample)
    others = np.flatnonzero(running != running[-1])
    settled = sample.window[0] + others[-1] + 1 if others.size else sample.window[0]
    return max(0, int(settled - arrivals[0])) if arrivals.size else 0


def thinned(samples: Sequence[Sample], most: int) -> Sequence[Sample]:
    """At most so many of the samples, evenly from all over."""
    count = len(samples)
    return samples if count <= most else [samples[place * count // most] for place in range(most)]
