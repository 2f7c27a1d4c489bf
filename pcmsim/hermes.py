"""PCM of the 14 nm HERMES chip: programmed and verified for deployment, pulsed blindly while it learns.

Chip: Khaddam-Aljameh et al., IEEE J. Solid-State Circuits 57, 1027 (2022), doi:10.1109/JSSC.2022.3140414;
Le Gallo et al., Nat. Electron. 6, 680 (2023), doi:10.1038/s41928-023-01010-1. The fits of
programming error, drift and 1/f noise are those that IBM's analog hardware kit documents for it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch

from pcmsim.accumulative import AccumulativeModel
from pcmsim.energy import EventCosts
from pcmsim.errors import FieldError
from pcmsim.flicker import drawn_exponent, flickering_read, ratio
from pcmsim.mismatch import Spread
from pcmsim.model import Noise, ReadDistribution
from pcmsim.quantity import measured_factor, quantity
from pcmsim.state import DeviceState

KIT = "HERMES chip, as documented in IBM's analog hardware kit"
CALIBRATED_G_MAX = 10.35
LARGEST_MEAN_EXPONENT = 0.13
PROGRAMMING = {1: (0.158, 2.324, -2.163, 0.688), 2: (0.166, 4.718, -8.481, 4.690)}
"""Standard deviation [µS] of the summed conductance of so many devices, as a polynomial in g / g_max, ascending."""

HERMES_COSTS = EventCosts(read_time=128e-9)
"""Those of phase-change memory; a full pulse lasts 128 ns, read second hand."""

EXPONENT_EVENT = 2**15
"""Random event from which a pulsed device's drift exponent comes: far above the events of the pulses themselves."""


@dataclass(frozen=True)
class HermesModel(AccumulativeModel):
    """A single device of a unit cell, of which each polarity has two.

    No statistics of single blind pulses of this chip are published. Online updates therefore take
    the steps, the RESET and the initial spread of the older devices of Nandakumar et al. 2018,
    clipped to this chip's range; the rest is the chip's own. With ``r = G / g_max``, held within 0
    and 1, where the fits were made:

    - `programmed`: normal error, ``sigma = (g_max / 10.35) (0.158 + 2.324 r - 2.163 r^2 + 0.688 r^3)`` µS;
    - drift ``(t / t_0) ** -nu``, nu normal and redrawn at each write, with mean
      ``clip(-0.0387 ln r - 0.0182, 0.072, 0.13)`` below r = 0.0945 and
      ``0.0736 - 0.0126 r - 0.0436 r^2`` above, spread ``clip(-0.0120 ln r - 0.0023, 0.0124, 0.04)``
      below r = 0.3039 and ``0.0104 + 0.0116 r - 0.0165 r^2`` above;
    - read noise ``G_d Q sqrt(ln((t + t_read) / (2 t_read)))`` with
      ``Q = clip(-0.0078 ln r + 0.0038, 0.0179, 0.04)`` below r = 0.1591 and
      ``0.0088 + 0.0768 r - 0.1352 r^2 + 0.0664 r^3`` above.

    Raises
    ------
    FieldError
        If a constant lies outside its bounds.
    """

    g_min: float = quantity(
        0.0, unit="µS", minimum=0.0, maximum=50.0, doc="Smallest conductance that a pulse or read returns", source=KIT
    )
    g_max: float = quantity(
        CALIBRATED_G_MAX,
        unit="µS",
        above=0.0,
        maximum=200.0,
        doc="Largest conductance of one device; a polarity's two reach twice that",
        source=KIT,
    )
    write_noise: float = measured_factor(
        "Factor on the spread of a SET step and on the programming error; 0 writes the mean"
    )
    iterations: int = quantity(
        1,
        minimum=1,
        maximum=1000,
        doc="Rounds of programming; after the first, only devices whose verify read missed are programmed anew",
        source="1 is the published routine's own result; more are our extension",
    )
    tolerance: float = quantity(
        0.05,
        above=0.0,
        maximum=1.0,
        doc="How far from its target a verify read may lie, as a share of g_max",
        source="ours: the size of the published programming error",
    )
    readback_bits: int = quantity(
        8,
        minimum=2,
        maximum=16,
        doc="Bits of a verify read over 0 to g_max",
        source="the chip's converters resolve a little over 8 bits",
    )
    drift_scale: float = measured_factor("Factor on the drift exponent; 0 stops drift")
    drift_reference: float = quantity(
        200.0,
        unit="s",
        above=0.0,
        maximum=1e6,
        doc="Time after a write at which the stored conductance holds (t_0); 300 s with two devices",
        source=KIT,
    )
    read_time: float = quantity(512e-9, unit="s", above=0.0, maximum=1.0, doc="Duration of a read", source=KIT)
    read_noise: float = measured_factor("Factor on the read noise; 0 reads exactly")
    costs: EventCosts | None = HERMES_COSTS

    @property
    def largest_exponent(self) -> float:
        """See `DeviceModel.largest_exponent`."""
        return LARGEST_MEAN_EXPONENT * self.drift_scale

    @property
    def noisy(self) -> bool:
        """See `DeviceModel.noisy`."""
        return self.read_noise > 0.0

    def initial(self, mean: torch.Tensor, now: float, noise: Noise) -> DeviceState:
        """Conductances of relative spread `initial_spread` around `mean` [µS], each with an exponent of its own."""
        return _redrawn(super().initial(mean, now, noise), noise)

    def set_pulses(
        self, cells: DeviceState, counts: torch.Tensor, spread: Spread, now: float, noise: Noise
    ) -> DeviceState:
        """One noisy, history-dependent step per pulse; what is pulsed drifts with a new exponent."""
        pulsed = super().set_pulses(cells, counts, spread, now, noise)
        score = torch.where(counts > 0, _redrawn(pulsed, noise).exponent_score, cells.exponent_score)
        return replace(pulsed, exponent_score=score)

    def reset(self, cells: DeviceState, now: float, noise: Noise) -> DeviceState:
        """Back to the amorphous phase, history renewed, with a new exponent."""
        return _redrawn(super().reset(cells, now, noise), noise)

    def programmed(self, target: torch.Tensor, now: float, noise: Noise, devices: int = 1) -> DeviceState:
        """Devices programmed to `target` and verified, at device time `now` [s].

        A first round programs all devices. Each further one, up to `iterations`, programs anew those whose
        verify read lay off by more than `tolerance`; a device that passed is left alone. A verify read has
        `readback_bits` and the noise of the model's own reads, which is that at t_0 after programming.
        Conductances may end above g_max, as the published error does.

        Parameters
        ----------
        target : torch.Tensor
            Target of each device [µS], any shape; held within 0 and g_max.
        now : float
            Device time [s].
        noise : Noise
            Round k takes events 3k (error), 3k + 1 (drift exponent) and 3k + 2 (verify read after it).
        devices : int
            1, or 2 for a polarity's pair, both of whose devices get the same target: each then errs by the
            published spread of their sum, over ``sqrt(2)``, and the sum errs as published.

        Returns
        -------
        DeviceState
            Shape of `target`.

        Raises
        ------
        FieldError
            If `devices` is neither 1 nor 2.
        """
        target = target.float().clamp(0.0, self.g_max)
        sigma = self.write_noise * self.programming_spread(target, devices) / math.sqrt(devices)
        cells = DeviceState.fresh(target, now)
        missed = torch.ones_like(target, dtype=torch.bool)
        for k in range(0, 3 * self.iterations, 3):
            written = (target + sigma * noise(k)).clamp(min=0.0).float()
            cells = replace(
                cells,
                conductance=torch.where(missed, written, cells.conductance),
                exponent_score=torch.where(missed, noise(k + 1).float(), cells.exponent_score),
            )
            missed &= (self._verified(cells, now, noise(k + 2)) - target).abs() > self.tolerance * self.g_max
            if not missed.any():
                break
        return cells

    def programming_spread(self, target: torch.Tensor, devices: int = 1) -> torch.Tensor:
        """Standard deviation [µS] of the summed conductance of 1 or 2 devices, each programmed to `target` [µS].

        Raises
        ------
        FieldError
            If `devices` is neither 1 nor 2.
        """
        if devices not in PROGRAMMING:
            raise FieldError("devices", "1 or 2 per polarity, as in the chip's unit cell", devices)
        r, (a, b, c, d) = target / self.g_max, PROGRAMMING[devices]
        return (self.g_max / CALIBRATED_G_MAX) * (a + r * (b + r * (c + r * d)))

    def exponents(self, cells: DeviceState, spread: Spread) -> torch.Tensor:
        """State-dependent, redrawn at each write, times mismatch."""
        r = ratio(cells.conductance, self.g_max).clamp(max=1.0)
        low = -r.log()
        mean = torch.where(r < 0.0945, (0.0387 * low - 0.0182).clamp(0.072, 0.13), 0.0736 - r * (0.0126 + 0.0436 * r))
        width = torch.where(r < 0.3039, (0.0120 * low - 0.0023).clamp(0.0124, 0.04), 0.0104 + r * (0.0116 - 0.0165 * r))
        return drawn_exponent(mean, width, cells.exponent_score) * self.drift_scale * spread.drift_exponent

    def quality(self, conductance: torch.Tensor) -> torch.Tensor:
        """Strength Q of the 1/f noise of devices of these conductances [µS]."""
        r = ratio(conductance, self.g_max).clamp(max=1.0)
        high = 0.0088 + r * (0.0768 + r * (0.0664 * r - 0.1352))
        return torch.where(r < 0.1591, (0.0038 - 0.0078 * r.log()).clamp(0.0179, 0.04), high)

    def read(self, cells: DeviceState, spread: Spread, now: float) -> ReadDistribution:
        """Drifted conductance with 1/f noise that grows with the logarithm of time."""
        return flickering_read(self, cells, spread, now)

    def _verified(self, cells: DeviceState, now: float, noise: torch.Tensor) -> torch.Tensor:
        """One read of each device [µS], rounded to the nearest of the converter's levels."""
        distribution = self.read(cells, Spread(), now)
        read = distribution.location
        if distribution.scale is not None:
            read = read + distribution.scale * noise
        level = self.g_max / ((1 << self.readback_bits) - 1)
        return (read.clamp(0.0, self.g_max) / level).round() * level


def _redrawn(cells: DeviceState, noise: Noise) -> DeviceState:
    """The devices with new drift exponents."""
    return replace(cells, exponent_score=noise(EXPONENT_EVENT).float())
