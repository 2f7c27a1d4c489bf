"""What a network may ask of its weight memory, whatever that is made of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from pcmsim.errors import FieldError
from pcmsim.foundation.bounds import State
from pcmsim.foundation.tensors import DOUBLE
from pcmsim.plan import Plan

if TYPE_CHECKING:
    from pcmsim.core import Core


@dataclass(frozen=True)
class WeightReads:
    """How effective weights read at one device time.

    Parameters
    ----------
    mean : torch.Tensor
        Mean effective weight, ``pre, post``, float32.
    variance : torch.Tensor or None
        Variance of one read of it; None where reads are exact.
    conductance : torch.Tensor or None
        Mean read of a row's devices, added up [µS]: ``pre``, float64; None without devices.
    """

    mean: torch.Tensor
    variance: torch.Tensor | None
    conductance: torch.Tensor | None = None

    def times(self, factor: torch.Tensor | None) -> WeightReads:
        """The same with each weight multiplied by a fixed factor."""
        if factor is None:
            return self
        variance = None if self.variance is None else self.variance * factor**2
        return replace(self, mean=self.mean * factor, variance=variance)


@dataclass(frozen=True)
class DeviceReads:
    """How each device reads at one device time, in units of weight.

    A read of the synapse is ``sum_d clip(location + scale xi)`` over its G+ devices minus the same
    over its G- devices.

    Parameters
    ----------
    location, scale : torch.Tensor
        ``sign, device, pre, post``, float32.
    lower : float
        Lower bound of a read.
    upper : torch.Tensor
        Upper bound per device, broadcast to the shape of `location`.
    factor : torch.Tensor or None
        Fixed factor of each synapse's read, ``pre, post``; None where there is none.
    kept : torch.Tensor or None
        Share of each read that the wires' resistance leaves, ``sign, 1, pre, post``; None where it is all.
    conductance : torch.Tensor or None
        As in `WeightReads`.
    """

    location: torch.Tensor
    scale: torch.Tensor
    lower: float
    upper: torch.Tensor
    factor: torch.Tensor | None = None
    kept: torch.Tensor | None = None
    conductance: torch.Tensor | None = None


@dataclass(frozen=True)
class ArrayView:
    """What an update scheme may know of the array that it writes to.

    Parameters
    ----------
    shape : tuple of int
        ``pre, post``.
    devices : int
        Devices per polarity.
    scale : float
        Conductance of weight 1 [µS].
    step : float
        What one SET pulse is taken to add to a device [µS].
    conductance : torch.Tensor
        Stored conductances [µS], ``sign, device, pre, post``; empty for digital memory.
    """

    shape: tuple[int, int]
    devices: int
    scale: float
    step: float
    conductance: torch.Tensor

    @property
    def weight_step(self) -> float:
        """Weight change that one SET pulse on one device is taken to make."""
        return self.step / (self.scale * self.devices)


def check_gain(gain: float | torch.Tensor) -> None:
    """Raise `FieldError` unless every gain is a finite number > 0."""
    gains = torch.as_tensor(gain, **DOUBLE)
    wrong = gains[~(gains.isfinite() & (gains > 0.0))]
    if wrong.numel():
        raise FieldError("gain", "a finite number > 0", wrong.flatten()[0].item())


class WeightArray(ABC):
    """A memory of ``pre x post`` weights that can be read and written.

    Attributes
    ----------
    shape : tuple of int
        ``pre, post``.
    factor : torch.Tensor or None
        Fixed factor by which each weight reads wrong, ``pre, post``; None where all read right.
    core : Core or None
        Converters through which its sums pass; None where sums are exact.
    """

    shape: tuple[int, int]
    factor: torch.Tensor | None = None
    core: Core | None = None

    @property
    def random(self) -> bool:
        """Whether what a spike adds to its targets is random: reads that carry noise, or conversions."""
        return self.noisy or (self.core is not None and self.core.noisy)

    @property
    @abstractmethod
    def full_weight(self) -> float:
        """Weight of a cell that conducts fully."""

    @property
    @abstractmethod
    def largest_exponent(self) -> float:
        """A high value of the drift exponent; 0 where nothing drifts."""

    @property
    @abstractmethod
    def noisy(self) -> bool:
        """Whether reads carry noise."""

    @property
    @abstractmethod
    def reads_per_spike(self) -> int:
        """Devices that a spike reads: those of its row; 0 for digital memory."""

    @property
    @abstractmethod
    def total_reads(self) -> int:
        """Device reads so far."""

    @abstractmethod
    def moments(self, now: float) -> WeightReads:
        """Mean and variance of every effective weight at device time `now` [s]."""

    @abstractmethod
    def device_reads(self, now: float) -> DeviceReads | None:
        """Read distribution of every device at `now` [s]; None where reads are exact."""

    @abstractmethod
    def stored_weights(self) -> torch.Tensor:
        """Weights as stored, without drift and read noise: ``pre, post``."""

    @abstractmethod
    def drift_gain(self, since: float, now: float) -> float:
        """Gain that makes up for the mean drift between device times `since` and `now` [s]; 1 where nothing drifts."""

    @abstractmethod
    def column_gains(self, since: float, now: float) -> torch.Tensor:
        """The same for each output by itself: ``post``, float32."""

    @abstractmethod
    def rescaled(self, gain: float | torch.Tensor) -> WeightArray:
        """The same memory, read with its weights multiplied by `gain`, one number or ``post``: a view for reading.

        Raises
        ------
        FieldError
            If this memory cannot be read with such a gain.
        """

    @abstractmethod
    def view(self) -> ArrayView:
        """What an update scheme may know."""

    @abstractmethod
    def apply(self, plan: Plan, now: float, *, generator: torch.Generator) -> None:
        """Carry out a plan at device time `now` [s]."""

    @abstractmethod
    def count_reads(self, spikes_per_row: torch.Tensor, conductance: float) -> None:
        """Note that each row was read as often as its presynaptic neuron spiked.

        Parameters
        ----------
        spikes_per_row : torch.Tensor
            ``pre``, int64.
        conductance : float
            Conductance at each of these reads of each device, added up [µS].
        """

    @abstractmethod
    def youngest_age(self, now: float) -> float:
        """Time since the latest write of any device [s]; infinite where nothing drifts."""

    @abstractmethod
    def tensors(self) -> dict[str, torch.Tensor]:
        """All state, by name, for saving; the tensors themselves, not copies."""

    def bounds(self, now: float) -> State:
        """What these tensors may hold at device time `now` [s]; finite numbers where nothing is said."""
        return {}

    def load(self, tensors: dict[str, torch.Tensor]) -> None:
        """Overwrite all state with saved tensors of the same names and shapes."""
        for name, mine in self.tensors().items():
            if tensors[name].shape != mine.shape:
                raise FieldError(name, f"a tensor of shape {tuple(mine.shape)}", tuple(tensors[name].shape))
            mine.copy_(tensors[name])
