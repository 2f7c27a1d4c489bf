"""What every device model can do, and the statistics of a clipped read."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch

from pcmsim.energy import EventCosts
from pcmsim.errors import FieldError
from pcmsim.foundation.compiled import njit
from pcmsim.foundation.tensors import SINGLE
from pcmsim.mismatch import Spread
from pcmsim.state import DeviceState

Floats = npt.NDArray[np.floating[Any]]
Indices = npt.NDArray[np.int64]
Near = tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]
Noise = Callable[[int], torch.Tensor]
"""Standard normals for the k-th random event of a write, one per device."""

SMALLEST_SCALE = 1e-9
"""Read noise of a device at 0 µS [µS] where noise is proportional: not 0, so that nothing divides by it."""

NEGLIGIBLE_TAIL = 6.0
INV_SQRT_2PI = 1.0 / math.sqrt(2.0 * math.pi)


@dataclass(frozen=True)
class ReadDistribution:
    """A single read of each device is a normal number clipped to bounds.

    Parameters
    ----------
    location : torch.Tensor
        Drifted conductance [µS].
    scale : torch.Tensor or None
        Standard deviation before clipping [µS]; None where reads are free of noise.
    lower : float
        Smallest conductance that a read returns [µS].
    upper : torch.Tensor or float
        Largest one [µS].
    """

    location: torch.Tensor
    scale: torch.Tensor | None
    lower: float
    upper: torch.Tensor | float

    def moments(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Mean [µS] and variance [µS²] of a read; the variance is None where reads are free of noise."""
        if self.scale is None:
            return self.location.clamp(self.lower, None).minimum(torch.as_tensor(self.upper, **SINGLE)), None
        return clipped_normal_moments(self.location, self.scale, self.lower, self.upper)

    def sample(self, number: int, *, generator: torch.Generator) -> torch.Tensor:
        """So many single reads of every device: ``read, ...`` [µS]."""
        drawn = self.location.expand(number, *self.location.shape)
        if self.scale is not None:
            drawn = drawn + self.scale * torch.randn(drawn.shape, generator=generator, **SINGLE)
        return drawn.clamp(min=self.lower).minimum(torch.as_tensor(self.upper, **SINGLE))


class DeviceModel(ABC):
    """One kind of phase-change memory: frozen constants and pure functions of the state.

    The functions work on device states of any shape and return new states.
    """

    g_min: float
    g_max: float
    nominal_step: float
    costs: EventCosts | None
    """What its events cost; None for a device that is no memory of any kind, such as the ideal one."""

    @abstractmethod
    def initial(self, mean: torch.Tensor, now: float, noise: Noise) -> DeviceState:
        """Devices programmed around `mean` [µS] at device time `now` [s]."""

    @abstractmethod
    def set_pulses(
        self, cells: DeviceState, counts: torch.Tensor, spread: Spread, now: float, noise: Noise
    ) -> DeviceState:
        """Devices after `counts` SET pulses each, all at device time `now` [s]."""

    @abstractmethod
    def reset(self, cells: DeviceState, now: float, noise: Noise) -> DeviceState:
        """Devices after a RESET at device time `now` [s]."""

    @abstractmethod
    def read(self, cells: DeviceState, spread: Spread, now: float) -> ReadDistribution:
        """Distribution of a single read at device time `now` [s]."""

    @abstractmethod
    def exponents(self, cells: DeviceState, spread: Spread) -> torch.Tensor:
        """Drift exponent of every device, shape of the state."""

    @property
    @abstractmethod
    def noisy(self) -> bool:
        """Whether reads carry noise."""

    @property
    @abstractmethod
    def largest_exponent(self) -> float:
        """A high value of the drift exponent, 0 without drift: how finely a trial is cut, to follow it."""


@runtime_checkable
class Programmable(Protocol):
    """Devices that can be programmed to a target and verified."""

    def programmed(self, target: torch.Tensor, now: float, noise: Noise, devices: int = 1) -> DeviceState:
        """Devices programmed to `target` [µS] at device time `now` [s], each one of so many of a polarity."""


def check_range(model: DeviceModel) -> None:
    """Raise `FieldError` unless the model's smallest conductance lies below its largest."""
    if model.g_min >= model.g_max:
        raise FieldError(f"{type(model).__name__}.g_min", f"below g_max, {model.g_max:g} µS", model.g_min)


def drift_factor(age: torch.Tensor, exponent: torch.Tensor | float, reference: float) -> torch.Tensor:
    """Power-law drift ``(age / reference) ** -exponent``.

    Parameters
    ----------
    age : torch.Tensor
        Time since the last write [s], positive.
    exponent : torch.Tensor or float
        Drift exponent of each device.
    reference : float
        Time after the write at which the stored conductance holds [s].

    Returns
    -------
    torch.Tensor
        Shape and dtype of `age`.
    """
    return (age / reference).log_().mul_(-exponent).exp_()


def clipped_normal_moments(
    location: torch.Tensor, scale: torch.Tensor, lower: float, upper: torch.Tensor | float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and variance of ``clip(location + scale * xi, lower, upper)``, xi standard normal.

    With ``a = (location - lower) / scale``, ``b = (upper - location) / scale``, Q the upper tail
    and ``d(x) = phi(x) - x Q(x)``, the standardised mean is ``d(a) - d(b)`` and the second moment
    ``1 - Q(a) - Q(b) - a d(a) - b d(b)``: written in tails, so that nothing cancels where the
    noise is far smaller than the distance to the bounds.

    Parameters
    ----------
    location, scale : torch.Tensor
        Any common shape.
    lower : float
        Lower bound.
    upper : torch.Tensor or float
        Upper bound.

    Returns
    -------
    mean, variance : torch.Tensor
        Shape and dtype of `location`.
    """
    place, width = location.numpy().reshape(-1), scale.numpy().reshape(-1)
    near, distance, tail, bell = _near(place, width, lower, np.asarray(upper, place.dtype).reshape(-1))
    torch.from_numpy(tail).erfc_()
    torch.from_numpy(bell).exp_()
    mean, variance = _moments(place, width, near, distance, tail, bell)
    return torch.from_numpy(mean.reshape(location.shape)), torch.from_numpy(variance.reshape(location.shape))


@njit(nogil=True, error_model="numpy")
def _near(location: Floats, scale: Floats, lower: float, upper: Floats) -> tuple[Near, Floats, Floats, Floats]:
    """Which locations are near the lower bound and which near the upper; distances x of the former, then the latter.

    And ``x / sqrt(2)`` and ``-x^2 / 2``.
    """
    dtype, size, last = location.dtype.type, location.size, upper.size - 1
    floor, negligible, root, half = dtype(lower), dtype(NEGLIGIBLE_TAIL), dtype(math.sqrt(0.5)), dtype(-0.5)
    low, high, lows, highs = np.empty(size, np.int32), np.empty(size, np.int32), 0, 0
    for i in range(size):
        reach = negligible * scale[i]
        if location[i] - floor < reach:
            low[lows] = i
            lows += 1
        if upper[min(i, last)] - location[i] < reach:
            high[highs] = i
            highs += 1
    distance = np.empty(lows + highs, location.dtype)
    for j in range(lows):
        distance[j] = (location[low[j]] - floor) / scale[low[j]]
    for j in range(highs):
        distance[lows + j] = (upper[min(high[j], last)] - location[high[j]]) / scale[high[j]]
    return (low[:lows], high[:highs]), distance, distance * root, distance * distance * half


@njit(nogil=True)
def _moments(
    location: Floats, scale: Floats, near: Near, distance: Floats, tail: Floats, bell: Floats
) -> tuple[Floats, Floats]:
    """Mean and variance, given ``tail = erfc(x / sqrt(2))`` and ``bell = exp(-x^2 / 2)`` of the distances x.

    Where no bound is near they are the location and the square of the scale.
    """
    dtype, (low, high) = location.dtype.type, near
    half, one, zero, density = dtype(0.5), dtype(1.0), dtype(0.0), dtype(INV_SQRT_2PI)
    excess, second = np.zeros_like(location), np.ones_like(location)
    for j in range(low.size):
        q, x = half * tail[j], distance[j]
        beyond = dtype(np.float64(bell[j] * density) - np.float64(x) * np.float64(q))
        excess[low[j]], second[low[j]] = beyond, one - (x * beyond + q)
    for j in range(low.size, distance.size):
        i, q, x = high[j - low.size], half * tail[j], distance[j]
        beyond = dtype(np.float64(bell[j] * density) - np.float64(x) * np.float64(q))
        second[i] = second[i] - q - x * beyond
        excess[i] -= beyond
    for i in range(location.size):
        second[i] = max(second[i] - excess[i] * excess[i], zero) * scale[i] * scale[i]
        excess[i] = excess[i] * scale[i] + location[i]
    return excess, second
