"""What the converters of in-memory-computing cores do to a run right now; see `training.meters`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from pcmsim.array import WeightArray
from pcmsim.core import Core, saturated
from pcmsim.crossbar import Crossbar
from training.drive import Raster, arriving, strength
from training.network import LAYERS
from training.records import Snapshot, TrialRecord
from training.session import Session


@dataclass(frozen=True)
class CoreMeters:
    """Effects of the cores at one moment; None where there is nothing to measure.

    Parameters
    ----------
    used : float
        Share of the cores' cells that hold weights.
    clipped : float or None
        Share of conversions that saturated, since the cores' settings changed.
    rounding, noise : float or None
        Standard deviation of what the rounding to codes, and the converters' noise, add to the hidden
        neurons' input current, over the standard deviation of that current in time.
    gain_spread : float or None
        Realised standard deviation of the converters' gains as built.
    gain_error : float or None
        The same after calibration.
    wire_loss : float or None
        Share of the cells' currents that the columns' wires take while all rows are active.
    """

    used: float
    clipped: float | None = None
    rounding: float | None = None
    noise: float | None = None
    gain_spread: float | None = None
    gain_error: float | None = None
    wire_loss: float | None = None


def measure(session: Session, record: TrialRecord, snapshot: Snapshot) -> CoreMeters | None:
    """Meters of a run's cores after a trial; None where sums are exact."""
    cores = {layer: array.core for layer, array in zip(LAYERS, session.arrays, strict=True) if array.core is not None}
    if not cores:
        return None
    every, rasters = list(cores.values()), arriving(session, record)
    signal = strength(rasters, snapshot)
    rounded, noisy = (
        _added(rasters, cores, squares, signal)
        for squares in ({n: c.step**2 / 12.0 for n, c in cores.items()}, {n: _noise(c) ** 2 for n, c in cores.items()})
    )
    return CoreMeters(
        used=sum(math.prod(c.shape) for c in every) / sum(math.prod(c.shape) / c.utilisation for c in every),
        clipped=saturated(np.sum([c.histogram for c in every], axis=0)),
        rounding=rounded,
        noise=noisy,
        gain_spread=_spread([c.gain for c in every]),
        gain_error=_spread([c.gain_error for c in every]),
        wire_loss=wire_loss(session.arrays, session.device_time),
    )


def conversions(raster: Raster, core: Core) -> np.ndarray:
    """Mean number of conversions of a column per step, for each row of cores; silent cores convert nothing."""
    edges = range(0, core.shape[0], core.config.rows)
    return np.array([raster[:, first : first + core.config.rows].any(1).mean() for first in edges])


def wire_loss(arrays: Sequence[WeightArray], now: float) -> float | None:
    """Share of the cells' currents at device time `now` [s] that wires take; None where they take nothing."""
    wired = [(a, a.core) for a in arrays if isinstance(a, Crossbar) and a.core is not None]
    held = [(array.conductance(now), core) for array, core in wired if core.config.wire_resistance > 0.0]
    whole = sum(float(conductance.sum()) for conductance, _ in held)
    return 1.0 - sum(float(core.drop(g).sum()) for g, core in held) / whole if whole > 0.0 else None


def _added(
    rasters: dict[str, Raster], cores: dict[str, Core], squares: dict[str, float], signal: float
) -> float | None:
    """Root of what each conversion adds, a variance by layer, over the variance of the current."""
    total = 0.0
    for layer, raster in rasters.items():
        factor = cores[layer].converters(np.float64).scale ** 2
        total += squares[layer] * float((conversions(raster, cores[layer])[:, None] * factor).sum(0).mean())
    return math.sqrt(total / signal) if total > 0.0 and signal > 0.0 else None


def _noise(core: Core) -> float:
    return core.config.mvm_noise * core.range


def _spread(values: Sequence[torch.Tensor]) -> float | None:
    spread = float(torch.cat([value.reshape(-1) for value in values]).std(correction=0))
    return spread if spread > 1e-6 else None
