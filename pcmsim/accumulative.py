"""PCM written by blind SET pulses: state- and history-dependent steps, RESET, initial programming.

Constants as the published e-prop code of Demirag et al. (arXiv:2108.01804) attributes them to
Nandakumar et al., "A phase-change memory model for neuromorphic computing", J. Appl. Phys. 124,
152135 (2018), doi:10.1063/1.5042408.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from numba.extending import register_jitable

from pcmsim.energy import PCM_COSTS, EventCosts
from pcmsim.foundation.compiled import njit
from pcmsim.mismatch import Spread
from pcmsim.model import DeviceModel, Noise, check_range
from pcmsim.quantity import check, measured_factor, quantity
from pcmsim.state import DeviceState

Singles = npt.NDArray[np.float32]
Line = tuple[float, float, float]
"""A quantity linear in conductance and history: slope, value at 0 µS without history, share of the history."""

N18 = "Nandakumar 2018, as in Demirag 2021's code"


class Steps(NamedTuple):
    """SET steps for compiled code: single precision, one factor and ceiling for all devices or one for each."""

    mean: Singles
    sigma: Singles
    write_noise: np.float32
    fade: np.float32
    floor: np.float32
    factor: Singles
    ceiling: Singles


class Pulsed(NamedTuple):
    """What SET pulses change of a `DeviceState`, for compiled code."""

    conductance: Singles
    history: Singles
    written_at: npt.NDArray[np.float64]
    pulses: npt.NDArray[np.int32]


@dataclass(frozen=True)
class AccumulativeModel(DeviceModel):
    """Accumulative SET pulses with history and Gaussian spread; how devices age and read is left open.

    A SET pulse first fades the programming history, ``P <- P exp(-1 / history_decay)``, then adds
    a normal step of mean ``mu = step_slope G + step_offset + step_history P`` and standard
    deviation ``sigma = spread_slope G + spread_offset + spread_history P``, clipped to
    ``[g_min, g_max]``. Conductances in µS, times in s.

    Raises
    ------
    FieldError
        If a constant lies outside its bounds.
    """

    g_min: float = quantity(
        0.1, unit="µS", minimum=0.0, maximum=50.0, doc="Smallest conductance that a write or read returns", source=N18
    )
    g_max: float = quantity(
        12.0,
        unit="µS",
        above=0.0,
        maximum=200.0,
        doc="Largest conductance; 20 reproduces Nandakumar Fig. 5",
        source=N18,
    )
    step_slope: float = quantity(
        -0.084, minimum=-1.0, maximum=0.0, doc="Change of the mean SET step with conductance (m1)", source=N18
    )
    step_offset: float = quantity(
        0.880,
        unit="µS",
        minimum=0.0,
        maximum=50.0,
        doc="Mean SET step at G = 0 with the history exhausted (c1)",
        source=N18,
    )
    step_history: float = quantity(
        1.40, unit="µS", minimum=0.0, maximum=50.0, doc="Share of the history in the mean SET step (A1)", source=N18
    )
    spread_slope: float = quantity(
        0.091, minimum=0.0, maximum=1.0, doc="Change of the step's spread with conductance (m2)", source=N18
    )
    spread_offset: float = quantity(
        0.260,
        unit="µS",
        minimum=0.0,
        maximum=50.0,
        doc="Spread of the step at G = 0, history exhausted (c2)",
        source=N18,
    )
    spread_history: float = quantity(
        2.15, unit="µS", minimum=0.0, maximum=50.0, doc="Share of the history in the step's spread (A2)", source=N18
    )
    history_decay: float = quantity(
        2.6, unit="pulses", above=0.0, maximum=1e3, doc="SET pulses over which the history fades by 1/e", source=N18
    )
    nominal_step: float = quantity(
        0.75,
        unit="µS",
        above=0.0,
        maximum=50.0,
        doc="What an update scheme takes one SET pulse to add",
        source="Demirag 2021's code",
    )
    write_noise: float = measured_factor("Factor on the spread of a SET step; 0 writes the mean")
    reset_conductance: float = quantity(
        0.1, unit="µS", minimum=0.0, maximum=50.0, doc="Mean conductance after RESET", source=N18
    )
    reset_spread: float = quantity(
        0.01, unit="µS", minimum=0.0, maximum=10.0, doc="Standard deviation after RESET", source=N18
    )
    initial_spread: float = quantity(
        0.1,
        minimum=0.0,
        maximum=1.0,
        doc="Relative standard deviation of the initial conductance",
        source="Demirag 2021's code",
    )
    costs: EventCosts | None = PCM_COSTS

    def __post_init__(self) -> None:
        check(self)
        check_range(self)

    def initial(self, mean: torch.Tensor, now: float, noise: Noise) -> DeviceState:
        """Conductances of relative spread `initial_spread` around `mean` [µS], not below 0.01 µS."""
        return DeviceState.fresh((mean * (1.0 + self.initial_spread * noise(0))).clamp(0.01, self.g_max), now)

    def set_pulses(
        self, cells: DeviceState, counts: torch.Tensor, spread: Spread, now: float, noise: Noise
    ) -> DeviceState:
        """One noisy, history-dependent step per pulse."""
        most = int(counts.max()) if counts.numel() else 0
        if most == 0:
            return cells
        pulsed = Pulsed(*(getattr(cells, name).numpy().flatten() for name in Pulsed._fields))
        drawn = np.array([noise(k).numpy().reshape(-1) for k in range(most)], np.float32)
        _pulse(pulsed, counts.numpy().reshape(-1), now, drawn, self._steps(spread))
        shape = cells.conductance.shape
        after = {name: torch.from_numpy(values.reshape(shape)) for name, values in pulsed._asdict().items()}
        return DeviceState(**after, exponent_score=cells.exponent_score)

    def step(self, conductance: torch.Tensor, history: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and standard deviation of the next SET step [µS], given G [µS] and the faded history."""
        mean, sigma = (_at(line, conductance, history) for line in self._lines)
        return mean, sigma * self.write_noise

    @property
    def _lines(self) -> tuple[Line, Line]:
        """Mean and spread of a SET step."""
        mean = (self.step_slope, self.step_offset, self.step_history)
        return mean, (self.spread_slope, self.spread_offset, self.spread_history)

    def _steps(self, spread: Spread) -> Steps:
        """What compiled SET pulses need to know."""
        return Steps(*self._alike, _each(spread.step), _each(self._ceiling(spread)))

    @cached_property
    def _alike(self) -> tuple[Singles, Singles, np.float32, np.float32, np.float32]:
        """What `Steps` holds that is the same for all devices."""
        mean, sigma = (np.array(line, np.float32) for line in self._lines)
        fade = np.float32(math.exp(-1.0 / self.history_decay))
        return mean, sigma, np.float32(self.write_noise), fade, np.float32(self.g_min)

    def reset(self, cells: DeviceState, now: float, noise: Noise) -> DeviceState:
        """Back to the amorphous phase, history renewed."""
        g = (self.reset_conductance + self.reset_spread * noise(0)).clamp(0.01, self.g_max)
        return DeviceState.fresh(g, now)

    def _ceiling(self, spread: Spread) -> torch.Tensor | float:
        """Largest conductance of each device [µS]; mismatch never takes it below the smallest."""
        ceiling = self.g_max * spread.g_max
        return ceiling.clamp(min=self.g_min) if isinstance(ceiling, torch.Tensor) else ceiling


def _each(value: torch.Tensor | float) -> Singles:
    """One value for all devices, or one for each."""
    return np.asarray(value, np.float32).reshape(-1)


@register_jitable
def _at(line: Line | Singles, conductance: Any, history: Any) -> Any:
    """The value of a line."""
    return line[0] * conductance + line[1] + line[2] * history


@njit(nogil=True)
def _pulse(cells: Pulsed, counts: npt.NDArray[np.integer[Any]], now: float, noise: Singles, steps: Steps) -> None:
    """Give every device its SET pulses, in place; `noise` holds one row per pulse."""
    g, history = cells.conductance, cells.history
    for i in range(g.size):
        factor = steps.factor[min(i, steps.factor.size - 1)]
        ceiling = steps.ceiling[min(i, steps.ceiling.size - 1)]
        for k in range(counts[i]):
            history[i] *= steps.fade
            sigma = _at(steps.sigma, g[i], history[i]) * steps.write_noise
            stepped = g[i] + _at(steps.mean, g[i], history[i]) * factor + sigma * noise[k, i]
            g[i] = min(max(stepped, steps.floor), ceiling)
        if counts[i] > 0:
            cells.written_at[i] = now
            cells.pulses[i] += counts[i]
