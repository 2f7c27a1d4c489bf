"""A run's end of the protocol: its weight arrays on a chip, and the number of its last program."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from pathlib import Path

import numpy.typing as npt
import torch

from pcmsim import mapping
from pcmsim.array import ArrayView, DeviceReads, WeightArray, WeightReads, check_gain
from pcmsim.errors import FieldError, FileError
from pcmsim.foundation.bounds import NOT_NEGATIVE, State
from pcmsim.foundation.tensors import DOUBLE, SINGLE, WHOLE
from pcmsim.ledger import Ledger
from pcmsim.plan import Plan, PulsePlan
from training import memory
from training.chip import checks
from training.chip.base import (
    KINDS,
    PROTOCOL,
    TIMELESS,
    Chip,
    ChipError,
    ChipInfo,
    ChipReads,
    ChipWrittenError,
    LayerInfo,
    LayerRead,
)
from training.chip.loop import run
from training.network import LAYERS, Arrays, Loop, Reading
from training.records import LayerSnapshot

NUMBER = "chip/number"
"""What a checkpoint holds of the chip: the number of the run's last program."""

HELD = ("device.", "core.", "precision.")
"""Settings that are the chip's, as far as they are."""


class Link:
    """A run's link to the chip that holds its weights.

    The devices' state belongs to the chip; the run knows the number of its last program, and a checkpoint of the
    run goes on only with a chip that stands there.

    Parameters
    ----------
    chip : Chip
        The chip.
    digital : bool
        Whether the run changes digital weights.

    Attributes
    ----------
    arrays : Arrays
        The weights.
    number : torch.Tensor
        Number of the last program, int64, one element.

    Raises
    ------
    ChipError
        If the chip speaks another version of the protocol.
    FieldError
        If it is programmed in another way, or lacks a layer.
    """

    def __init__(self, chip: Chip, *, digital: bool) -> None:
        self.chip, self.info = chip, chip.info()
        _check_kind(self.info, digital)
        self.number = torch.tensor([self.info.number], **WHOLE)
        self.arrays = Arrays(*(ChipArray(self, name, checks.layer(self.info, name)) for name in LAYERS))

    def check_shape(self, shapes: Mapping[str, tuple[int, int]]) -> None:
        """Raise `FieldError` unless each of a run's matrices has the shape of the chip's."""
        for name, shape in shapes.items():
            if shape != self.info.layers[name].shape:
                raise FieldError(f"{name} weights", f"of the chip's shape {self.info.layers[name].shape}", shape)

    def check_unwritten(self) -> None:
        """Raise `ChipWrittenError` if a run has programmed the chip: a new one would begin on the weights it left."""
        if self.info.number:
            raise ChipWrittenError(
                f"chip {self.info.name}: another run has written to it ({self.info.number} programs), and a new one "
                "would begin on the weights that it left; expected a chip without programs"
            )

    def check_saved(self, origin: str | Path, tensors: Mapping[str, torch.Tensor]) -> None:
        """Raise `FileError` unless a checkpoint stands where the chip does."""
        if NUMBER not in tensors:
            raise FileError(origin, "holds its weights itself; expected a checkpoint of a run on a chip")
        saved, here = int(tensors[NUMBER]), int(self.number)
        if saved != here:
            raise FileError(origin, f"stands at program {saved}, the chip at {here}; expected the same")

    def program(self, layer: str, plan: Plan, now: float, key: int) -> None:
        """Have the next program carried out; it counts from when it is sent, as the schemes count it."""
        self.number += 1
        self.chip.program(layer, plan, now, key, int(self.number))


def check_alone(origin: str | Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Raise `FileError` if a checkpoint is of a run whose weights are on a chip."""
    if NUMBER in tensors:
        raise FileError(origin, "is of a run on a chip, which holds its weights; expected that chip (--chip ADDRESS)")


class ChipArray(WeightArray):
    """One weight array of a chip.

    Parameters
    ----------
    link : Link
        The run's link to it.
    layer : str
        Its name.
    info : LayerInfo
        Its shape and constants.
    """

    def __init__(self, link: Link, layer: str, info: LayerInfo) -> None:
        self.shape, self.info, self._link, self._layer = info.shape, info, link, layer
        self._stored, self._gain = torch.empty(0, **SINGLE), torch.tensor(1.0, **SINGLE)
        self._written_at = torch.tensor(info.written_at, **DOUBLE)
        self.row_reads = torch.zeros(info.rows, **WHOLE)

    @property
    def noisy(self) -> bool:
        """Whether sums carry noise."""
        return self.info.random

    @property
    def full_weight(self) -> float:
        """See `WeightArray.full_weight`."""
        return self.info.full_weight

    @property
    def largest_exponent(self) -> float:
        """See `WeightArray.largest_exponent`."""
        return self.info.exponent

    @property
    def reads_per_spike(self) -> int:
        """See `WeightArray.reads_per_spike`."""
        return 2 * self.info.devices * self.info.columns if self._on_devices else 0

    @property
    def total_reads(self) -> int:
        """Device reads of this run."""
        return int(self.row_reads.sum()) * self.reads_per_spike

    def reads(self, now: float, key: int) -> ChipReads:
        """How its rows read at `now` [s], for the loop."""
        return ChipReads(self._link.chip, self._layer, now, key, self._gain.numpy())

    def read(self, now: float) -> LayerRead:
        """How the array stands at `now` [s]."""
        return self._link.chip.read(self._layer, now)

    def moments(self, now: float) -> WeightReads:
        """Mean and variance of every effective weight at `now` [s]."""
        read = self.read(now)
        variance = torch.from_numpy(read.variance) * self._gain**2 if read.variance.size else None
        return WeightReads(torch.from_numpy(read.mean) * self._gain, variance)

    def device_reads(self, now: float) -> DeviceReads | None:
        """None: what single devices read is the chip's own affair."""
        return None

    def stored_weights(self) -> torch.Tensor:
        """Weights as stored, without drift and read noise."""
        stored = self._as_stored()
        return mapping.weights(stored, self.info.scale) if self._on_devices else stored

    def drift_gain(self, since: float, now: float) -> float:
        """See `Crossbar.drift_gain`; raises `ChipError` if the chip knows its present alone."""
        if not self._on_devices:
            return 1.0
        then, present = (self._total(time) for time in (since, now))
        return float(then.sum() / present.sum()) if present.sum() > 0.0 else 1.0

    def column_gains(self, since: float, now: float) -> torch.Tensor:
        """See `Crossbar.column_gains`; raises `ChipError` if the chip knows its present alone."""
        if not self._on_devices:
            return torch.ones(self.shape[1], **SINGLE)
        then, present = (self._total(time) for time in (since, now))
        return torch.where(present > 0.0, then / present, 1.0).float()

    def rescaled(self, gain: float | torch.Tensor) -> ChipArray:
        """A view for reading, its converted sums multiplied by `gain`, one number or ``post``.

        Raises
        ------
        FieldError
            Unless it is > 0.
        """
        check_gain(gain)
        view = copy.copy(self)
        view._gain = self._gain * torch.as_tensor(gain, **SINGLE)
        return view

    def view(self) -> ArrayView:
        """What an update scheme may know."""
        conductance = self._as_stored() if self._on_devices else torch.empty(0, **SINGLE)
        return ArrayView(self.shape, self.info.devices, self.info.scale, self.info.step, conductance)

    def apply(self, plan: Plan, now: float, *, generator: torch.Generator) -> None:
        """Have a plan carried out at device time `now` [s]; nothing is sent for one without pulses."""
        if isinstance(plan, PulsePlan) and plan.empty:
            return
        self._link.program(self._layer, plan, now, generator.initial_seed())
        self._written_at.fill_(now)
        self._stored = torch.empty(0, **SINGLE)

    def count_reads(self, spikes_per_row: torch.Tensor, conductance: float) -> None:
        """A spike reads each device of its row once; what the devices conducted is known when they are looked at."""
        self.row_reads += spikes_per_row

    def youngest_age(self, now: float) -> float:
        """Time since the latest write of any device [s]; infinite where nothing drifts."""
        return now - float(self._written_at) if self.info.exponent > 0.0 else math.inf

    def tensors(self) -> dict[str, torch.Tensor]:
        """How often this run read each row, and what it knows of the weights; all else is the chip's."""
        return {"row_reads": self.row_reads, "stored": self._as_stored(), "written_at": self._written_at}

    def bounds(self, now: float) -> State:
        """See `WeightArray.bounds`."""
        return {"row_reads": NOT_NEGATIVE}

    def _total(self, time: float) -> torch.Tensor:
        """Conductance of each column at a device time: ``post``, float64 [µS]."""
        if TIMELESS not in self._link.info.capabilities:
            raise ChipError("drift gain: the chip knows its present alone; expected one that is timeless")
        return torch.from_numpy(self.read(time).conductance).sum((0, 1, 2), dtype=torch.float64)

    @property
    def _on_devices(self) -> bool:
        return self._link.info.kind == "pulses"

    def _as_stored(self) -> torch.Tensor:
        """What `LayerRead.stored` says; asked for once after each program."""
        if not self._stored.numel():
            self._stored = torch.from_numpy(self.read(float(self._written_at)).stored)
        return self._stored


@memory.layer_snapshot.register
def _(array: ChipArray, now: float) -> LayerSnapshot:
    read = array.read(now)
    return LayerSnapshot(read.mean, read.conductance, read.age, read.sets, resets=read.resets, variance=read.variance)


@memory.ledger.register
def _(array: ChipArray, snapshot: LayerSnapshot) -> Ledger | None:
    if not array.reads_per_spike:
        return None
    reads, present = array.row_reads, mapping.row_conductance(torch.from_numpy(snapshot.conductance))
    read = (reads * present).sum()  # as if all had met the present conductances
    return Ledger(torch.from_numpy(snapshot.sets), torch.from_numpy(snapshot.resets), reads, read)


def _reads(array: WeightArray, now: float, read_mode: str, key: int, dtype: npt.DTypeLike) -> Reading:
    if not isinstance(array, ChipArray):
        raise TypeError(f"the chip's loop takes arrays of a chip, got {type(array).__name__}")
    return Reading(array.reads(now, key), None)  # a chip keeps its conductances to itself


ON_CHIP = Loop(_reads, run)
"""The time loop of a run on a chip."""


def _check_kind(info: ChipInfo, digital: bool) -> None:
    if info.protocol != PROTOCOL:
        raise ChipError(f"chip {info.name}: expected version {PROTOCOL} of the protocol, got {info.protocol}")
    expected = "weights" if digital else "pulses"
    if info.kind != expected:
        raise FieldError("scheme", f"one that programs {KINDS[info.kind].__name__}, as the chip is", expected)
