"""A training session: an iterator of records that can be changed, saved and resumed between trials."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from pcmsim.array import WeightArray
from pcmsim.crossbar import Crossbar
from pcmsim.errors import RestartRequiredError
from pcmsim.plan import Plan, PulsePlan
from pcmsim.streams import Streams
from training import checkpoint, eprop, memory, spikes
from training.checkpoint import Progress
from training.config import RunConfig, restart_fields
from training.eprop import Gradients
from training.kernels import Activity
from training.network import LAYERS, Network, ReadNoise, joined
from training.neurons import Floats
from training.online import OnlineEprop
from training.records import Snapshot, TrialRecord, finite, judge
from training.schemes import SchemeState, UpdateScheme, WithRefresh
from training.schemes.base import Asked
from training.tasks import Sample


class Session:
    """A network that learns online, trial by trial, on its devices.

    Parameters
    ----------
    config : RunConfig
        Everything that decides the run.

    Examples
    --------
    >>> session = Session(RunConfig())
    >>> [record.trial for record in session.run(2)]
    [0, 1]
    """

    def __init__(self, config: RunConfig) -> None:
        self.streams = Streams(config.seed)
        self.sampler = config.task.sampler(config.network.dt, streams=self.streams)
        self.trial, self.device_time = 0, 0.0
        self.feedback = eprop.random_feedback(
            self.sampler.outputs, config.network.hidden, config.learning.feedback_gain, streams=self.streams
        )
        self.config = config
        self.arrays = memory.build(config, self.sampler, streams=self.streams)
        self._adopt(config)
        self.scheme_state = self._fresh_scheme_state()
        self._probed = memory.probed_devices(self.arrays.recurrent, streams=self.streams)
        self.total_sets, self.total_resets = 0, 0

    def run(self, trials: int | None = None) -> Iterator[TrialRecord]:
        """Train, one record per trial; endlessly if `trials` is None.

        Stop iterating to pause; call again to go on.
        """
        done = 0
        while trials is None or done < trials:
            yield self.step()
            done += 1

    def step(self) -> TrialRecord:
        """Train on one trial."""
        began = time.perf_counter()
        sample = self.sampler.sample(self.trial)
        start = self.device_time + self.config.device.update_interval - self.config.task.duration
        noise = self._read_noise()
        learn = self._learn_online if self.config.learning.update_every else self._learn_after
        activity, sets, resets = learn(sample, noise, start)
        self._count_reads(sample, activity)
        self.device_time += self.config.device.update_interval
        record = self._record(sample, activity, sets, resets, began)
        self.trial += 1
        return record

    def configure(self, config: RunConfig) -> None:
        """Change settings between trials; the run lives on.

        Parameters
        ----------
        config : RunConfig
            The configuration from the next trial on.

        Raises
        ------
        RestartRequiredError
            If a setting differs that decides the run's shape; nothing has changed then.
        """
        restart = restart_fields(self.config, config)
        if restart:
            raise RestartRequiredError(restart)
        renewed = config.scheme != self.config.scheme or config.refresh != self.config.refresh
        self._adopt(config)
        if renewed:
            self.scheme_state = self._fresh_scheme_state()

    def snapshot(self) -> Snapshot:
        """Copies of weights, conductances, ages and pulse counts of every layer, at device time now."""
        return memory.snapshot(self.arrays, self.device_time)

    def save(self, path: str | Path) -> None:
        """Write a checkpoint atomically.

        Raises
        ------
        FileError
            If the file cannot be written; a file that was there is untouched.
        """
        progress = Progress(self.trial, self.device_time, self.total_sets, self.total_resets)
        checkpoint.write(path, self.config, progress, self._tensors())

    @classmethod
    def resume(cls, path: str | Path) -> Session:
        """The session of a checkpoint; it goes on as if it had never stopped, to the bit.

        Raises
        ------
        FileError
            If the file is missing, damaged, of another version or not a checkpoint.
        """
        config, progress, tensors = checkpoint.read(path)
        session = cls(config)
        checkpoint.restore(path, session._tensors(), tensors)
        session.trial, session.device_time = progress.trial, progress.device_time
        session.total_sets, session.total_resets = progress.total_sets, progress.total_resets
        return session

    def _adopt(self, config: RunConfig) -> None:
        self.config = config
        self.network = Network(config.network, self.sampler.outputs, streams=self.streams)
        self.scheme: UpdateScheme = config.scheme
        if config.refresh.enabled and not config.scheme.digital:
            self.scheme = WithRefresh(config.scheme, config.refresh)
        memory.configure(self.arrays, config, streams=self.streams)

    def _fresh_scheme_state(self) -> dict[str, SchemeState]:
        return {layer: self.scheme.init(array.view()) for layer, array in zip(LAYERS, self.arrays, strict=True)}

    def _learn_after(self, sample: Sample, noise: ReadNoise, start: float) -> tuple[Activity, int, int]:
        """Run the whole trial, then update once."""
        activity = self.network.run(self.arrays, sample.inputs, noise, start, read_mode=self.config.device.read_mode)
        driving = eprop.signals(
            self.config.learning, self._feedback(), activity.output - sample.target, activity, self.config.network.dt
        )
        assumed = self.network.assumed(self.config.learning.eligibility)
        gradients = eprop.trial_gradients(assumed, driving, activity, sample.inputs, self.sampler.inputs)
        return activity, *self.update(gradients, start + self.config.task.duration)

    def _learn_online(self, sample: Sample, noise: ReadNoise, start: float) -> tuple[Activity, int, int]:
        """Run the trial in stretches of `update_every` steps, with an update after each."""
        learner = OnlineEprop(self.network, self.config.learning, self.sampler.inputs)
        carry, parts, sets, resets = self.network.rest(), [], 0, 0
        for number, first in enumerate(range(0, self.sampler.steps, self.config.learning.update_every)):
            last = min(first + self.config.learning.update_every, self.sampler.steps)
            part = self.network.run(
                self.arrays, sample.inputs, noise, start,
                read_mode=self.config.device.read_mode, span=(first, last), carry=carry,
            )  # fmt: skip
            inputs = spikes.between(sample.inputs, first, last)
            learner.advance(part, inputs, part.output - sample.target[first:last], self._feedback())
            update = self.update(learner.take_gradients(), start + last * self.config.network.dt, number)
            sets, resets = sets + update[0], resets + update[1]
            parts.append(part)
        return joined(parts), sets, resets

    def _read_noise(self) -> ReadNoise:
        shape = (self.sampler.steps, self.config.network.hidden, self.sampler.outputs)
        if any(array.noisy for array in self.arrays):
            return ReadNoise.draw(shape, self.trial, streams=self.streams)
        return ReadNoise.none(shape)

    def _feedback(self) -> Floats:
        if self.config.learning.feedback == "symmetric":
            return self.arrays.output.stored_weights().numpy().T
        return self.feedback.numpy()

    def update(self, gradients: Gradients, now: float, number: int = 0) -> tuple[int, int]:
        """Have the scheme turn gradients into plans and the arrays carry them out.

        Parameters
        ----------
        gradients : tuple of torch.Tensor
            Of input, recurrent and output weights, ``pre, post`` each.
        now : float
            Device time [s].
        number : int
            Which update of the trial.

        Returns
        -------
        tuple of int
            SET pulses and RESETs of this update.
        """
        learning = self.config.learning
        rates = (learning.lr_input, learning.lr_recurrent, learning.lr_output)
        sets = resets = 0
        for layer, array, gradient, lr in zip(LAYERS, self.arrays, gradients, rates, strict=True):
            adapts = layer == "output" and learning.feedback == "adaptive"
            limited = self._limited(gradient)
            wanted = self._adapt_feedback(limited, lr) if adapts else limited
            plan = self._plan(layer, array, wanted, lr, number)
            array.apply(plan, now, generator=self.streams.at(f"write/{layer}", self.trial, number))
            if isinstance(plan, PulsePlan):
                sets, resets = sets + plan.sets, resets + plan.resets
        self.total_sets, self.total_resets = self.total_sets + sets, self.total_resets + resets
        return sets, resets

    def _limited(self, gradient: torch.Tensor) -> torch.Tensor:
        """The gradient clipped, and rounded to its precision."""
        clip = self.config.learning.gradient_clip
        return self.config.precision.round_gradient(torch.nan_to_num(gradient, 0.0).clamp_(-clip, clip))

    def _plan(self, layer: str, array: WeightArray, gradient: torch.Tensor, lr: float, number: int) -> Plan:
        asked = Asked(gradient, lr, array.view(), self.config.precision)
        generator = self.streams.at(f"scheme/{layer}", self.trial, number)
        return self.scheme.update(asked, self.scheme_state[layer], generator=generator)

    def _adapt_feedback(self, gradient: torch.Tensor, lr: float) -> torch.Tensor:
        """Move the feedback as the output weights are asked to move; both fade."""
        decay = self.config.learning.feedback_decay
        self.feedback.sub_(lr * gradient.T + decay * self.feedback)
        return gradient + decay * self.arrays.output.stored_weights() / lr if lr > 0.0 else gradient

    def _count_reads(self, sample: Sample, activity: Activity) -> None:
        arrived = torch.from_numpy(spikes.counts(sample.inputs, self.sampler.inputs))
        fired = torch.from_numpy(spikes.counts(activity.hidden, self.config.network.hidden))
        for array, reads in zip(self.arrays, (arrived, fired, fired), strict=True):
            array.count_reads(reads)

    def _record(self, sample: Sample, activity: Activity, sets: int, resets: int, began: float) -> TrialRecord:
        loss = finite(float(np.mean((activity.output - sample.target) ** 2)))
        baseline = float(np.mean(sample.target**2))
        per_step = activity.hidden.neuron.size / activity.voltage.size
        status, message = judge(loss, baseline, per_step, self.config.network.dt)
        return TrialRecord(
            trial=self.trial,
            sample=sample.index,
            loss=loss,
            baseline=baseline,
            rate=per_step / self.config.network.dt,
            sets=sets,
            resets=resets,
            total_sets=self.total_sets,
            total_resets=self.total_resets,
            total_reads=sum(a.ledger.total_reads for a in self.arrays if isinstance(a, Crossbar)),
            device_time=self.device_time,
            seconds=time.perf_counter() - began,
            status=status,
            message=message,
            inputs=sample.inputs,
            hidden=activity.hidden,
            voltage=activity.voltage,
            output=np.nan_to_num(activity.output),
            target=sample.target,
            probe=memory.probe(self.arrays.recurrent, self._probed, self.device_time),
        )

    def _tensors(self) -> dict[str, torch.Tensor]:
        """Everything that changes while training, by name."""
        tensors = {"feedback": self.feedback}
        for layer, array in zip(LAYERS, self.arrays, strict=True):
            tensors |= {f"{layer}/array/{name}": value for name, value in array.tensors().items()}
            tensors |= {f"{layer}/scheme/{name}": value for name, value in self.scheme_state[layer].items()}
        return tensors
