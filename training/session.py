"""A training session: an iterator of records that can be changed, saved and resumed between trials."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from pcmsim.errors import PCMLabError, RestartRequiredError
from pcmsim.foundation.bounds import NOT_NEGATIVE, State
from pcmsim.foundation.tensors import SINGLE, usual_numerics
from pcmsim.streams import Streams
from training import batch, checkpoint, contents, eprop, footprint, memory, spikes
from training.checkpoint import Progress, Saved
from training.chip.array import HELD, NUMBER, ON_CHIP, Link, check_alone
from training.chip.base import Chip, ChipError
from training.config import RunConfig, restart_fields
from training.interrupts import undisturbed
from training.kernels import Activity
from training.learning import RULES, Lesson
from training.network import LAYERS, Arrays, Network, ReadNoise, joined
from training.neurons import Floats
from training.online import OnlineEprop
from training.records import Snapshot, TrialRecord, finite, judge
from training.support.read_meter import ReadMeter
from training.tasks import Sample
from training.update import Updater


class Learned(NamedTuple):
    """What a trial came to.

    Parameters
    ----------
    activity : Activity
        What the network did.
    error : numpy.ndarray
        ``time, output``: derivative of the loss by the output.
    sets, resets : int
        SET pulses and RESETs of its updates.
    """

    activity: Activity
    error: Floats
    sets: int
    resets: int


class Session:
    """A network that learns online, trial by trial, on its devices.

    Parameters
    ----------
    config : RunConfig
        Everything that decides the run.
    chip : Chip, optional
        Holds the weights; without one they are simulated here. The device settings are the chip's then.
    overwrite_chip : bool
        Begin on the weights that another run has left on the chip.

    Raises
    ------
    ChipError, FieldError
        If the chip does not fit the run, or another one has written to it; nothing is written to it.
    PCMLabError
        If the run takes more memory than there is, see `training.footprint`.

    Attributes
    ----------
    files : tuple of Content
        What the files held that the run reads, when it was made.

    Examples
    --------
    >>> session = Session(RunConfig())
    >>> [record.trial for record in session.run(2)]
    [0, 1]
    """

    @usual_numerics()
    def __init__(self, config: RunConfig, chip: Chip | None = None, *, overwrite_chip: bool = False) -> None:
        self.streams = Streams(config.seed)
        footprint.check(config)
        self.files = contents.of(config)
        self.sampler = config.task.sampler(config.network.dt, streams=self.streams)
        footprint.check(config, self.sampler)
        self._link = None if chip is None else Link(chip, digital=config.scheme.digital)
        self.trial, self.device_time = 0, 0.0 if chip is None else chip.clock()
        self.feedback = eprop.random_feedback(
            self.sampler.outputs, config.network.hidden, config.learning.feedback_gain, streams=self.streams
        )
        self.config = config
        self.arrays = self._linked(overwrite_chip) or memory.build(config, self.sampler, streams=self.streams)
        self._adopt(config)
        self.updates = Updater(self.arrays, self.feedback, config, streams=self.streams)
        self.batch = batch.build(config.learning, [array.shape for array in self.arrays])
        self._probed = memory.probed_devices(self.arrays.recurrent, streams=self.streams)
        self._within = False

    @property
    def whole(self) -> bool:
        """Whether it stands between trials, and not where something broke a trial off."""
        return not self._within

    def run(self, trials: int | None = None) -> Iterator[TrialRecord]:
        """Train, one record per trial; endlessly if `trials` is None.

        Stop iterating to pause; call again to go on.
        """
        done = 0
        while trials is None or done < trials:
            yield self.step()
            done += 1

    @undisturbed()
    @usual_numerics()
    def step(self) -> TrialRecord:
        """Train on one trial; what ends the program comes before it or after it.

        Raises
        ------
        PCMLabError
            If a trial was broken off, by a lost chip or a second Ctrl-C: the run goes on from its checkpoint alone.
        """
        began = time.perf_counter()
        self._check_whole()
        self._within = True
        sample = self.sampler.sample(self.trial)
        start = self.device_time + self.config.device.update_interval - self.config.task.duration
        noise = self._read_noise()
        network = self.network.silenced(self.dropped())
        learn = self._learn_online if self.config.learning.update_every else self._learn_after
        meter = ReadMeter([array.shape[0] for array in self.arrays]) if self._has_devices else None
        learned = learn(network, sample, noise, start, meter)
        self._count_reads(meter)
        self.device_time += self.config.device.update_interval
        if self._link is not None:
            self._link.chip.wait(self.device_time)
        record = self._record(sample, learned, began)
        self.trial += 1
        self._within = False
        return record

    @usual_numerics()
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
        FileError
            If the file with the devices' constants has changed since the run began; likewise.
        """
        restart = restart_fields(self.config, config, () if self._link is None else HELD)
        if restart:
            raise RestartRequiredError(restart)
        contents.check_same("this session", self.files, contents.of_devices(config))
        self._adopt(config)
        self.updates.configure(config)

    @usual_numerics()
    def snapshot(self) -> Snapshot:
        """Copies of weights, conductances, ages and event counts of every layer, at device time now."""
        return memory.snapshot(self.arrays, self.device_time, self.updates.watch)

    def probe(self, snapshot: Snapshot) -> Floats:
        """Drifted conductance of the probed devices in a snapshot [µS]: of a run on a chip, records do not have it."""
        return memory.probe_in(snapshot["recurrent"], self._probed)

    @usual_numerics()
    def observe(self) -> None:
        """Watch from now on what updates ask for and what the devices make of it; see `training.watch`.

        Snapshots, meters and the inspector then know it. The run stays the same, to the bit.
        """
        self.updates.observe()

    def fork(self, config: RunConfig | None = None) -> Session:
        """An independent copy of the run as it stands, that goes on with the same random numbers.

        Parameters
        ----------
        config : RunConfig, optional
            What the copy does differently from here on.

        Raises
        ------
        RestartRequiredError
            If a setting differs that decides the run's shape.
        ChipError
            If the run is on a chip, which cannot be copied.
        FileError
            If a file that the run reads has changed since it began.
        """
        if self._link is not None:
            raise ChipError(
                "fork: a run on a chip cannot be copied, because its devices cannot; expected a simulated one"
            )
        contents.check_same("this session", self.files, contents.of(self.config))
        copy = Session(self.config)
        copy._restore("the run", self._progress(), self._tensors())
        if config is not None:
            copy.configure(config)
        return copy

    def save(self, path: str | Path) -> None:
        """Write a checkpoint atomically.

        Raises
        ------
        FileError
            If the file cannot be written; a file that was there is untouched.
        """
        checkpoint.write(path, Saved(self.config, self._progress(), self._tensors(), self.files))

    @classmethod
    def resume(cls, path: str | Path, chip: Chip | None = None, *, accept_changed_files: bool = False) -> Session:
        """The session of a checkpoint; it goes on as if it had never stopped, to the bit.

        Parameters
        ----------
        path : str or Path
            The checkpoint. Of a run on a chip it holds the digital state and the number of the last program;
            the devices' state is the chip's.
        chip : Chip, optional
            The chip of the run, where it was left.
        accept_changed_files : bool
            Go on with what the files that the run reads hold now.

        Raises
        ------
        FileError
            If the file is missing, damaged, of another version or not a checkpoint, the chip stands elsewhere, or
            a file that the run reads has changed since.
        """
        saved = checkpoint.read(path)
        if not accept_changed_files:
            contents.check_same(path, saved.files, contents.of(saved.config))
        session = cls(saved.config, chip, overwrite_chip=True)  # if it stands where it should
        session._restore(path, saved.progress, saved.tensors)
        return session

    def _adopt(self, config: RunConfig) -> None:
        self.config = config
        loop = None if self._link is None else ON_CHIP
        self.network = Network(config.network, self.sampler.outputs, streams=self.streams, loop=loop)
        if self._link is None:
            memory.configure(self.arrays, config, streams=self.streams)

    def _linked(self, overwrite: bool) -> Arrays | None:
        """The arrays of the chip, if the run is on one that fits and is free."""
        if self._link is None:
            return None
        self._link.check_shape(memory.shapes(self.config, self.sampler))
        if not overwrite:
            self._link.check_unwritten()
        return self._link.arrays

    def _restore(self, origin: str | Path, progress: Progress, tensors: dict[str, torch.Tensor]) -> None:
        if self._link is None:
            check_alone(origin, tensors)
        else:
            self._link.check_saved(origin, tensors)
        tensors = {**self._counted_later(), **tensors}
        checkpoint.restore(origin, self._tensors(), tensors, self._bounds(progress.device_time))
        self.trial, self.device_time = progress.trial, progress.device_time
        self.updates.sets, self.updates.resets = progress.total_sets, progress.total_resets

    def _learn_after(
        self, network: Network, sample: Sample, noise: ReadNoise, start: float, meter: ReadMeter | None
    ) -> Learned:
        """Run the whole trial, then update once."""
        activity = network.run(
            self.arrays, sample.inputs, noise, start, read_mode=self.config.device.read_mode, meter=meter
        )
        error = self.sampler.objective.error(activity.output, sample)
        learning, feedback = self.config.learning, self.present_feedback()
        lesson = Lesson(learning, network, self.arrays, activity, sample.inputs, error, feedback)
        averaged = self.batch.add(RULES[learning.rule], lesson)
        if averaged is None:
            return Learned(activity, error, 0, 0)
        return Learned(activity, error, *self.updates.apply(averaged, start + self.config.task.duration, self.trial))

    def _learn_online(
        self, network: Network, sample: Sample, noise: ReadNoise, start: float, meter: ReadMeter | None
    ) -> Learned:
        """Run the trial in stretches of `update_every` steps, with an update after each."""
        learner = OnlineEprop(network, self.config.learning, self.sampler.inputs, self.sampler.steps)
        carry, parts, sets, resets, answer = network.rest(), [], 0, 0, self.sampler.objective
        for number, first in enumerate(range(0, self.sampler.steps, self.config.learning.update_every)):
            last = min(first + self.config.learning.update_every, self.sampler.steps)
            part = network.run(
                self.arrays, sample.inputs, noise, start,
                read_mode=self.config.device.read_mode, span=(first, last), carry=carry, meter=meter,
            )  # fmt: skip
            inputs = spikes.between(sample.inputs, first, last)
            error = answer.error_between(part.output, sample, first, last)
            learner.advance(part, inputs, error, self.present_feedback())
            now = start + last * self.config.network.dt
            update = self.updates.apply(learner.take_gradients(), now, self.trial, number)
            sets, resets = sets + update[0], resets + update[1]
            parts.append(part)
        activity = joined(parts)
        return Learned(activity, answer.error(activity.output, sample), sets, resets)

    def _read_noise(self) -> ReadNoise:
        shape = (self.sampler.steps, self.config.network.hidden, self.sampler.outputs)
        if any(array.random for array in self.arrays):
            return ReadNoise.draw(shape, self.trial, streams=self.streams)
        return ReadNoise.none(shape)

    def dropped(self) -> npt.NDArray[np.bool_]:
        """Which hidden neurons stay silent in the next trial, ``hidden``; see `LearningConfig.dropout`."""
        hidden, share = self.config.network.hidden, self.config.learning.dropout
        if share == 0.0:
            return np.zeros(hidden, np.bool_)
        drawn: npt.NDArray[np.bool_] = (
            torch.rand(hidden, generator=self.streams.at("dropout", self.trial), **SINGLE).numpy() < share
        )
        return drawn

    def present_feedback(self) -> Floats:
        """Weights by which errors reach the hidden neurons, ``output, hidden``."""
        if self.config.learning.feedback == "symmetric":
            return self.arrays.output.stored_weights().numpy().T
        return self.feedback.numpy()

    @property
    def _has_devices(self) -> bool:
        return self.arrays.input.reads_per_spike > 0

    def _count_reads(self, meter: ReadMeter | None) -> None:
        if meter is not None:
            for array, rows, conductance in zip(self.arrays, meter.rows, meter.conductance.tolist(), strict=True):
                array.count_reads(torch.from_numpy(rows), conductance)

    def _record(self, sample: Sample, learned: Learned, began: float) -> TrialRecord:
        answer, activity = self.sampler.objective, learned.activity
        loss, baseline = finite(answer.loss(activity.output, sample)), answer.baseline(sample)
        decision = answer.decide(activity.output, sample)
        per_step = activity.hidden.neuron.size / activity.voltage.size
        status, message = judge(loss, baseline, per_step, self.config.network.dt)
        return TrialRecord(
            trial=self.trial,
            sample=sample.index,
            loss=loss,
            baseline=baseline,
            rate=per_step / self.config.network.dt,
            label=sample.label,
            decision=decision,
            sets=learned.sets,
            resets=learned.resets,
            total_sets=self.updates.sets,
            total_resets=self.updates.resets,
            total_reads=sum(array.total_reads for array in self.arrays),
            device_time=self.device_time,
            seconds=time.perf_counter() - began,
            status=status,
            message=message,
            inputs=sample.inputs,
            hidden=activity.hidden,
            voltage=activity.voltage,
            raised=activity.raised,
            output=torch.from_numpy(activity.output).nan_to_num().numpy(),
            target=sample.target,
            error=learned.error,
            probe=memory.probe(self.arrays.recurrent, self._probed, self.device_time),
            channels=self.sampler.inputs,
            window=(sample.window[0], min(sample.window[1], self.sampler.steps)),
        )

    def _check_whole(self) -> None:
        if self._within:
            raise PCMLabError(f"run: trial {self.trial} was broken off; expected it resumed from its checkpoint")

    def _progress(self) -> Progress:
        self._check_whole()
        return Progress(self.trial, self.device_time, self.updates.sets, self.updates.resets)

    def _tensors(self) -> dict[str, torch.Tensor]:
        """Everything that changes while training, by name."""
        tensors = {"feedback": self.feedback}
        tensors |= {} if self._link is None else {NUMBER: self._link.number}
        tensors |= self._conversions()
        tensors |= {f"batch/{name}": value for name, value in self.batch.tensors().items()}
        for layer, array in zip(LAYERS, self.arrays, strict=True):
            tensors |= {f"{layer}/array/{name}": value for name, value in array.tensors().items()}
            tensors |= {f"{layer}/scheme/{name}": value for name, value in self.updates.state[layer].items()}
        return tensors

    def _bounds(self, now: float) -> State:
        """What these tensors may hold at device time `now` [s]; a trial's last update may lie a step beyond it."""
        bounds = dict.fromkeys((NUMBER, *self._conversions()), NOT_NEGATIVE)
        bounds |= {f"batch/{name}": allowed for name, allowed in self.batch.bounds().items()}
        for layer, array in zip(LAYERS, self.arrays, strict=True):
            latest = now + self.config.network.dt
            bounds |= {f"{layer}/array/{name}": allowed for name, allowed in array.bounds(latest).items()}
            bounds |= {f"{layer}/scheme/{name}": allowed for name, allowed in self.updates.bounds(array).items()}
        return bounds

    def _counted_later(self) -> dict[str, torch.Tensor]:
        """What checkpoints of earlier versions lack: conversions, and what was read; counted from here on then."""
        read = {f"{layer}/array/read_conductance" for layer in LAYERS}
        return {**self._conversions(), **{name: value for name, value in self._tensors().items() if name in read}}

    def _conversions(self) -> dict[str, torch.Tensor]:
        """What the converters of cores have counted."""
        cores = {layer: array.core for layer, array in zip(LAYERS, self.arrays, strict=True)}
        return {f"{layer}/core/histogram": torch.from_numpy(core.histogram) for layer, core in cores.items() if core}
