"""PCM written by blind SET pulses, with power-law drift and read noise that is linear in conductance.

Constants as the published e-prop code of Demirag et al. (arXiv:2108.01804) attributes them to
Nandakumar et al., "A phase-change memory model for neuromorphic computing", J. Appl. Phys. 124,
152135 (2018), doi:10.1063/1.5042408.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from pcmsim.accumulative import N18, AccumulativeModel
from pcmsim.mismatch import Spread
from pcmsim.model import SMALLEST_SCALE, ReadDistribution, drift_factor
from pcmsim.quantity import measured_factor, quantity
from pcmsim.state import DeviceState


@dataclass(frozen=True)
class PulseModel(AccumulativeModel):
    """Accumulative SET pulses, one drift exponent for all devices, read noise that is new at each read.

    Between writes ``G_d = G ((t - t_p) / drift_reference) ** -drift_exponent``. A read returns
    ``G_d`` plus normal noise of standard deviation ``read_slope G_d + read_offset``, clipped to
    ``[g_min, g_max]``. Conductances in µS, times in s.

    Raises
    ------
    FieldError
        If a constant lies outside its bounds.
    """

    drift_exponent: float = quantity(0.04, minimum=0.0, maximum=0.3, doc="Drift exponent nu", source=N18)
    drift_reference: float = quantity(
        38.6,
        unit="s",
        above=0.0,
        maximum=1e6,
        doc="Time after a pulse at which the stored conductance holds (T0)",
        source=N18,
    )
    read_slope: float = quantity(0.03, minimum=0.0, maximum=1.0, doc="Read noise per conductance", source=N18)
    read_offset: float = quantity(
        0.13, unit="µS", minimum=0.0, maximum=10.0, doc="Read noise at zero conductance", source=N18
    )
    read_noise: float = measured_factor("Factor on the read noise; 0 reads exactly")
    read_delay: float = quantity(
        0.5e-3,
        unit="s",
        above=0.0,
        maximum=10.0,
        doc="Shortest time between a write and a read",
        source="Demirag 2021's code",
    )

    @property
    def largest_exponent(self) -> float:
        """See `DeviceModel.largest_exponent`."""
        return self.drift_exponent

    @property
    def noisy(self) -> bool:
        """See `DeviceModel.noisy`."""
        return self.read_noise > 0.0 and (self.read_slope > 0.0 or self.read_offset > 0.0)

    def read(self, cells: DeviceState, spread: Spread, now: float) -> ReadDistribution:
        """Drifted conductance with noise that grows linearly with it."""
        location, ceiling = cells.conductance, self._ceiling(spread)
        if self.drift_exponent > 0.0:
            age = cells.age(now, self.read_delay)
            factor = drift_factor(age, self.drift_exponent * spread.drift_exponent, self.drift_reference)
            location = factor.mul_(location)
        if not self.noisy:
            return ReadDistribution(location, None, self.g_min, ceiling)
        offset = max(self.read_offset * self.read_noise, SMALLEST_SCALE)
        scale = location.numpy() * np.float32(self.read_slope * self.read_noise)
        scale += np.float32(offset)
        return ReadDistribution(location, torch.from_numpy(scale), self.g_min, ceiling)

    def exponents(self, cells: DeviceState, spread: Spread) -> torch.Tensor:
        """One exponent for all, up to mismatch."""
        return torch.ones_like(cells.conductance) * (self.drift_exponent * spread.drift_exponent)
