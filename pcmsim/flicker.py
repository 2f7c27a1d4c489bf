"""Reads of devices that drift by a power law and flicker: 1/f noise, which grows with the logarithm of time.

The form that IBM's analog hardware kit documents for its phase-change memories, after Nandakumar et
al., "Phase-change memory models for deep learning training and inference", ICECS (2019),
IEEE document 8964852.
"""

from __future__ import annotations

import math
from typing import Protocol

import torch

from pcmsim.mismatch import Spread
from pcmsim.model import SMALLEST_SCALE, ReadDistribution, drift_factor
from pcmsim.state import DeviceState

SMALLEST_RATIO = 1e-6


class Flickering(Protocol):
    """What a device model must know for such reads."""

    @property
    def g_min(self) -> float:
        """Smallest conductance that a read returns [µS]."""

    @property
    def drift_reference(self) -> float:
        """Time after a write at which the stored conductance holds [s]; ages count from then on."""

    @property
    def read_time(self) -> float:
        """Duration of a read [s]."""

    @property
    def read_noise(self) -> float:
        """Factor on the read noise; 0 reads exactly."""

    def exponents(self, cells: DeviceState, spread: Spread) -> torch.Tensor:
        """Drift exponent of every device."""

    def quality(self, conductance: torch.Tensor) -> torch.Tensor:
        """Strength Q of the 1/f noise of devices of these stored conductances [µS]."""


def flicker_factor(since: torch.Tensor, read_time: float) -> torch.Tensor:
    """Growth of 1/f noise with time, ``sqrt(ln((t + t_read) / (2 t_read)))``.

    Parameters
    ----------
    since : torch.Tensor
        Time t since the write [s], at least `read_time`.
    read_time : float
        Duration of a read [s].

    Returns
    -------
    torch.Tensor
        Shape and dtype of `since`; times Q it is the relative standard deviation of a read.
    """
    return torch.log((since + read_time) / (2.0 * read_time)).sqrt()


def ratio(conductance: torch.Tensor, g_max: float) -> torch.Tensor:
    """Conductance [µS] as a share of `g_max` [µS], not below 1e-6: its logarithm is finite."""
    return (conductance / g_max).clamp(min=SMALLEST_RATIO)


def drawn_exponent(mean: torch.Tensor, spread: torch.Tensor, score: torch.Tensor) -> torch.Tensor:
    """Drift exponent of standard score `score`, the normal folded at zero."""
    return (mean + spread * score).abs()


def flickering_read(model: Flickering, cells: DeviceState, spread: Spread, now: float) -> ReadDistribution:
    """Drifted conductance with 1/f noise, at device time `now` [s].

    The stored conductance holds at the reference time t_0 after the write, so that
    ``t = age + t_0``: ``G_d = G (t / t_0) ** -nu``, and the standard deviation is
    ``G_d Q sqrt(ln((t + t_read) / (2 t_read)))``. Each read draws anew, with the variance that the
    source gives for the time since the write.
    """
    since = cells.age(now, model.read_time) + model.drift_reference
    drifted = cells.conductance * drift_factor(since, model.exponents(cells, spread), model.drift_reference)
    scale = None
    if model.read_noise > 0.0:
        quality = model.quality(cells.conductance)
        scale = model.read_noise * drifted * quality * flicker_factor(since, model.read_time)
        scale = scale.clamp_(min=SMALLEST_SCALE)
    return ReadDistribution(drifted, scale, model.g_min, math.inf)
