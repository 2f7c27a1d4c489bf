"""PCM programmed to a target by program-and-verify: the statistical model of Joshi et al. 2020.

Programming error, state-dependent drift and 1/f read noise, calibrated on an array of a million
devices: Joshi et al., "Accurate deep neural network inference using computational phase-change
memory", Nat. Commun. 11, 2473 (2020), doi:10.1038/s41467-020-16108-9, with the polynomial forms
documented in IBM's analog hardware kit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from pcmsim.energy import PCM_COSTS, EventCosts
from pcmsim.flicker import drawn_exponent, flickering_read, ratio
from pcmsim.foundation.tensors import SINGLE
from pcmsim.mismatch import Spread
from pcmsim.model import DeviceModel, Noise, ReadDistribution, check_range
from pcmsim.quantity import check, measured_factor, quantity
from pcmsim.state import DeviceState

J20 = "Joshi 2020, as documented in IBM's analog hardware kit"
CALIBRATED_G_MAX = 25.0


@dataclass(frozen=True)
class ClosedLoopModel(DeviceModel):
    """Each write moves the device to a target and verifies it; what remains is a known error.

    With ``r = G / g_max``: programming error
    ``sigma = (g_max / 25) max(0.26348 + 1.9650 r - 1.1731 r^2, 0)`` µS; drift exponent normal with
    mean ``clip(-0.0155 ln r + 0.0244, 0.049, 0.1)`` and spread
    ``clip(-0.0125 ln r - 0.0059, 0.008, 0.045)``, redrawn at each write; read noise
    ``G_d Q sqrt(ln((t + t_read) / (2 t_read)))`` with ``Q = min(0.0088 / r^0.65, 0.2)``.

    A plan's n SET pulses mean "n nominal steps more": one programming operation to that target.
    The read noise of the source is slow (1/f); here each read draws anew, with the variance that
    the source gives for the time since programming.

    Raises
    ------
    FieldError
        If a constant lies outside its bounds.
    """

    g_min: float = quantity(
        0.0, unit="µS", minimum=0.0, maximum=50.0, doc="Smallest conductance that a read returns", source=J20
    )
    g_max: float = quantity(25.0, unit="µS", above=0.0, maximum=200.0, doc="Largest target conductance", source=J20)
    nominal_step: float = quantity(
        1.5625, unit="µS", above=0.0, maximum=50.0, doc="Target increment of one asked step", source="4 bits of 25 µS"
    )
    write_noise: float = measured_factor("Factor on the programming error")
    drift_scale: float = measured_factor("Factor on the drift exponent; 0 stops drift")
    drift_reference: float = quantity(
        20.0,
        unit="s",
        above=0.0,
        maximum=1e6,
        doc="Time after programming at which the target holds (t_0); 27.36 s in another reading",
        source=J20,
    )
    read_time: float = quantity(250e-9, unit="s", above=0.0, maximum=1.0, doc="Duration of a read", source=J20)
    read_noise: float = measured_factor("Factor on the read noise; 0 reads exactly")
    costs: EventCosts | None = PCM_COSTS

    def __post_init__(self) -> None:
        check(self)
        check_range(self)

    @property
    def largest_exponent(self) -> float:
        """See `DeviceModel.largest_exponent`."""
        return 0.1 * self.drift_scale

    @property
    def noisy(self) -> bool:
        """See `DeviceModel.noisy`."""
        return self.read_noise > 0.0

    def initial(self, mean: torch.Tensor, now: float, noise: Noise) -> DeviceState:
        """Devices programmed to `mean` [µS], or to the largest target where that is less."""
        return self.programmed(mean.clamp(max=self.g_max), now, noise)

    def programmed(self, target: torch.Tensor, now: float, noise: Noise, devices: int = 1) -> DeviceState:
        """Devices programmed to `target` [µS]; each errs by itself, however many a polarity has."""
        return self._program(DeviceState.fresh(target, now), target, now, noise)

    def set_pulses(
        self, cells: DeviceState, counts: torch.Tensor, spread: Spread, now: float, noise: Noise
    ) -> DeviceState:
        """One programming operation to a target `counts` nominal steps above the present value."""
        target = cells.conductance + self.nominal_step * spread.step * counts.float()
        target = target.minimum(torch.as_tensor(self.g_max * spread.g_max, **SINGLE))
        written = self._program(replace(cells, pulses=cells.pulses + counts.int()), target, now, noise)
        return DeviceState(
            **{name: torch.where(counts > 0, value, getattr(cells, name)) for name, value in written.items()}
        )

    def reset(self, cells: DeviceState, now: float, noise: Noise) -> DeviceState:
        """Programmed to zero."""
        zero = torch.zeros_like(cells.conductance)
        return self._program(DeviceState.fresh(zero, now), zero, now, noise)

    def programming_spread(self, target: torch.Tensor) -> torch.Tensor:
        """Standard deviation of the programmed conductance [µS] around `target` [µS]."""
        r = target / self.g_max
        return (self.g_max / CALIBRATED_G_MAX) * (0.26348 + 1.9650 * r - 1.1731 * r * r).clamp(min=0.0)

    def exponents(self, cells: DeviceState, spread: Spread) -> torch.Tensor:
        """State-dependent, redrawn at each write, times mismatch."""
        log_r = torch.log(ratio(cells.conductance, self.g_max))
        mean = (-0.0155 * log_r + 0.0244).clamp(0.049, 0.1)
        width = (-0.0125 * log_r - 0.0059).clamp(0.008, 0.045)
        return drawn_exponent(mean, width, cells.exponent_score) * self.drift_scale * spread.drift_exponent

    def quality(self, conductance: torch.Tensor) -> torch.Tensor:
        """Strength Q of the 1/f noise of devices of these conductances [µS]."""
        return (0.0088 / ratio(conductance, self.g_max).pow(0.65)).clamp(max=0.2)

    def read(self, cells: DeviceState, spread: Spread, now: float) -> ReadDistribution:
        """Drifted conductance with 1/f noise that grows with the logarithm of time."""
        return flickering_read(self, cells, spread, now)

    def _program(self, cells: DeviceState, target: torch.Tensor, now: float, noise: Noise) -> DeviceState:
        error = self.write_noise * self.programming_spread(target) * noise(0)
        return replace(
            cells,
            conductance=(target + error).clamp(min=0.0).float(),
            exponent_score=noise(1).float(),
            written_at=torch.full_like(cells.written_at, now),
        )
