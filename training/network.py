"""The recurrent network on its weight arrays: one trial, with drift and read noise inside it."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from pcmsim.array import WeightArray
from pcmsim.core import no_converters
from pcmsim.counter import draw_key
from pcmsim.foundation.tensors import SINGLE
from pcmsim.streams import Streams
from training import kernels, spikes, torch_loop
from training.kernels import Activity, Carry, RowReads
from training.neurons import Dynamics, Floats, NetworkConfig, dynamics
from training.spikes import Spikes
from training.support.read_meter import ReadMeter

DRIFT_TOLERANCE = 1e-2
"""Largest relative change of a conductance that is ignored within one stretch of a trial."""

MOST_STRETCHES = 200


class Arrays(NamedTuple):
    """The three weight arrays of the network."""

    input: WeightArray
    recurrent: WeightArray
    output: WeightArray


LAYERS = Arrays._fields


class Stretch(NamedTuple):
    """Some steps of a trial during which drift changes nothing noticeable.

    Parameters
    ----------
    first, last : int
        First step, and one past the last.
    reads : tuple
        How input, recurrent and output weights read meanwhile; the noise's keys are still to come.
    conductance : tuple
        As in `Reading`, of each of them.
    """

    first: int
    last: int
    reads: tuple[Any, ...]
    conductance: tuple[Floats | None, ...]


class Reading(NamedTuple):
    """An array as a time loop reads it, and the conductance that is read: apart, since all a loop is handed slows it.

    Parameters
    ----------
    reads : object
        What the loop takes, such as `kernels.RowReads`.
    conductance : numpy.ndarray or None
        Mean read of each row's devices, added up [µS], ``pre``, float64; None without devices, or where unknown.
    """

    reads: Any
    conductance: Floats | None


class Loop(NamedTuple):
    """A time loop, and how it knows an array.

    Parameters
    ----------
    reads : callable
        As `reading`.
    run : callable
        As `kernels.simulate`, on the reads of three arrays.
    """

    reads: Callable[..., Reading]
    run: Callable[..., Activity]


@dataclass(frozen=True)
class ReadNoise:
    """All randomness of a trial's reads.

    Parameters
    ----------
    hidden, output : numpy.ndarray
        Standard normals, ``time, hidden`` and ``time, output``.
    keys : tuple of int
        Keys of the per-device noise of each array.
    """

    hidden: Floats
    output: Floats
    keys: tuple[int, int, int]

    @classmethod
    def draw(
        cls,
        shape: tuple[int, int, int],
        trial: int,
        *,
        streams: Streams,
        dtype: npt.DTypeLike = np.float32,
        purpose: str = "read",
    ) -> ReadNoise:
        """Draw for ``steps, hidden, outputs``; depends on seed, `trial` and `purpose` alone.

        Training reads for the purpose ``read``; who only looks names another, and so disturbs nothing.
        """
        steps, hidden, outputs = shape
        normal = [
            torch.randn((steps, width), generator=streams.at(f"{purpose}/{name}", trial), **SINGLE).numpy()
            for name, width in (("hidden", hidden), ("output", outputs))
        ]
        keys = [draw_key(streams.at(f"{purpose}/devices/{layer}", trial)) for layer in LAYERS]
        at_hidden, at_output = (values.astype(dtype, copy=False) for values in normal)
        return cls(at_hidden, at_output, (keys[0], keys[1], keys[2]))

    @classmethod
    def none(cls, shape: tuple[int, int, int], dtype: npt.DTypeLike = np.float32) -> ReadNoise:
        """No noise, for arrays that read exactly."""
        steps, hidden, outputs = shape
        return cls(np.zeros((steps, hidden), dtype), np.zeros((steps, outputs), dtype), (0, 0, 0))

    def between(self, first: int, last: int) -> tuple[Floats, Floats]:
        """The normals of steps ``first`` to ``last - 1``."""
        return self.hidden[first:last], self.output[first:last]


class Network:
    """Neurons with their mismatch, and the compiled loop that runs them.

    Parameters
    ----------
    config : NetworkConfig
        Neuron constants.
    outputs : int
        Readout units.
    streams : Streams
        Source of the neurons' fixed pattern.
    dtype : dtype
        float32, or float64 for comparisons.
    loop : Loop, optional
        In place of the configured one.
    """

    def __init__(
        self,
        config: NetworkConfig,
        outputs: int,
        *,
        streams: Streams,
        dtype: npt.DTypeLike = np.float32,
        loop: Loop | None = None,
    ) -> None:
        self.config, self.dtype = config, np.dtype(dtype)
        self.dynamics = dynamics(config, outputs, streams=streams, dtype=dtype)
        self._loop = loop or LOOPS[config.loop]
        self._nominal = dynamics(config.nominal, outputs, streams=streams, dtype=dtype)

    def assumed(self, eligibility: str) -> Dynamics:
        """The constants that learning assumes: ``nominal``, or each neuron's ``true`` ones."""
        return self.dynamics if eligibility == "true" else self._nominal

    def silenced(self, silent: npt.NDArray[np.bool_]) -> Network:
        """The same network with some hidden neurons, ``hidden``, that neither spike nor learn."""
        if not silent.any():
            return self
        muted = copy.copy(self)
        muted.dynamics, muted._nominal = _silenced(self.dynamics, silent), _silenced(self._nominal, silent)
        return muted

    def rest(self) -> Carry:
        """The state at the start of a trial: no voltage, no spike, no output, nothing adapted."""
        hidden, outputs = self.dynamics.cell.alpha.size, self.dynamics.out.kappa.size
        voltage, adaptation, current = np.zeros((3, hidden), self.dtype)
        output = np.zeros(outputs, self.dtype)
        return Carry(voltage, np.zeros(hidden, np.bool_), output, adaptation, np.zeros(hidden, np.int64), current)

    def run(
        self,
        arrays: Arrays,
        inputs: Spikes,
        noise: ReadNoise,
        now: float,
        *,
        read_mode: str = "output",
        span: tuple[int, int] | None = None,
        carry: Carry | None = None,
        meter: ReadMeter | None = None,
    ) -> Activity:
        """Run a trial, or the part of it in `span`.

        Parameters
        ----------
        arrays : Arrays
            The weights.
        inputs : Spikes
            Input events of the whole trial.
        noise : ReadNoise
            Read noise of the whole trial.
        now : float
            Device time at the trial's first step [s].
        read_mode : str
            ``output`` or ``device``.
        span : tuple of int, optional
            First step, and one past the last.
        carry : Carry, optional
            State to start from; overwritten with the state at the end.
        meter : ReadMeter, optional
            Takes down what is read.

        Returns
        -------
        Activity
        """
        return self.play(self.reads(arrays, now, span or (0, inputs.steps), read_mode), inputs, noise, carry, meter)

    def reads(self, arrays: Arrays, now: float, span: tuple[int, int], read_mode: str = "output") -> Iterator[Stretch]:
        """How the arrays read from stretch to stretch of a trial; arguments as in `run`."""
        for begin, end, moment in stretches(arrays, now, self.config.dt, *span):
            found = [self._loop.reads(array, moment, read_mode, 0, self.dtype) for array in arrays]
            yield Stretch(begin, end, tuple(one.reads for one in found), tuple(one.conductance for one in found))

    def play(
        self,
        parts: Iterable[Stretch],
        inputs: Spikes,
        noise: ReadNoise,
        carry: Carry | None = None,
        meter: ReadMeter | None = None,
    ) -> Activity:
        """Run the stretches that `reads` gives; other arguments as in `run`."""
        carry, played = carry or self.rest(), []
        for first, last, reads, conductance in parts:
            keyed = tuple(layer._replace(key=key) for layer, key in zip(reads, noise.keys, strict=True))
            here = spikes.between(inputs, first, last)
            before = carry.spiked.copy()
            played.append(self._loop.run(self.dynamics, keyed, here, noise.between(first, last), carry, first))
            if meter is not None:
                meter.note(conductance, here, played[-1].hidden, (before, carry.spiked))
        return played[0] if len(played) == 1 else joined(played)


def _silenced(constants: Dynamics, silent: npt.NDArray[np.bool_]) -> Dynamics:
    cell, dtype = constants.cell, constants.cell.alpha.dtype
    limit, surrogate = np.where(silent, np.inf, cell.limit), np.where(silent, 0.0, cell.surrogate)
    return constants._replace(cell=cell._replace(limit=limit.astype(dtype), surrogate=surrogate.astype(dtype)))


def joined(parts: list[Activity]) -> Activity:
    """Stretches one after the other."""
    return Activity(
        np.concatenate([part.voltage for part in parts]),
        spikes.joined([part.hidden for part in parts]),
        np.concatenate([part.output for part in parts]),
        np.concatenate([part.raised for part in parts]),
    )


def row_reads(array: WeightArray, now: float, read_mode: str, key: int, dtype: npt.DTypeLike) -> RowReads:
    """What the compiled loop needs to know of an array at device time `now` [s]."""
    found: RowReads = reading(array, now, read_mode, key, dtype).reads
    return found


def reading(array: WeightArray, now: float, read_mode: str, key: int, dtype: npt.DTypeLike) -> Reading:
    """The same, and what is read."""
    flat, deep = np.empty((0, 0), dtype), np.empty((0, 0, 0, 0), dtype)
    core = no_converters(dtype) if array.core is None else array.core.converters(dtype)
    devices = array.device_reads(now) if read_mode == "device" else None
    if devices is not None:
        upper = devices.upper.numpy() if devices.upper.is_contiguous() else np.ascontiguousarray(devices.upper.numpy())
        factor = flat if devices.factor is None else devices.factor.numpy().astype(dtype, copy=False)
        location, scale = devices.location.numpy(), devices.scale.numpy()
        kept = deep if devices.kept is None else devices.kept.numpy()
        rows = RowReads(flat, flat, location, scale, upper, devices.lower, key, factor, kept, core)
        return Reading(rows, _numpy(devices.conductance))
    reads = array.moments(now)
    variance = flat if reads.variance is None else reads.variance.numpy().astype(dtype, copy=False)
    mean = reads.mean.numpy().astype(dtype, copy=False)
    rows = RowReads(mean, variance, deep, deep, deep, 0.0, key, flat, deep, core)
    return Reading(rows, _numpy(reads.conductance))


def _numpy(conductance: torch.Tensor | None) -> Floats | None:
    return None if conductance is None else conductance.numpy()


LOOPS = {"compiled": Loop(reading, kernels.simulate), "torch": Loop(reading, torch_loop.run)}


def stretches(arrays: Arrays, now: float, dt: float, first: int, last: int) -> list[tuple[int, int, float]]:
    """Cut a span of steps so that drift changes no conductance noticeably within a stretch.

    The youngest device drifts fastest: its conductance changes by the exponent times the change of
    its log age. Stretches therefore grow with that age.

    Returns
    -------
    list of tuple
        First step, one past the last, and the device time [s] that stands for the stretch: the
        geometric mean of the youngest device's ages.
    """
    begin_time, end_time = now + first * dt, now + last * dt
    age = min(array.youngest_age(begin_time) for array in arrays)
    if math.isinf(age):
        return [(first, last, begin_time)]
    exponent = max(array.largest_exponent for array in arrays)
    age = max(age, dt / 2)
    change = exponent * math.log((age + end_time - begin_time) / age)
    number = min(max(1, math.ceil(change / DRIFT_TOLERANCE)), MOST_STRETCHES, last - first)
    if number == 1:
        return [(first, last, begin_time - age + math.sqrt(age * (age + end_time - begin_time)))]
    ages = np.geomspace(age, age + end_time - begin_time, number + 1)
    edges = np.unique(np.round((ages - age) / dt).astype(int) + first)
    written = begin_time - age
    return [
        (int(a), int(b), written + math.sqrt((age + (a - first) * dt) * (age + (b - first) * dt)))
        for a, b in itertools.pairwise(edges)
    ]
