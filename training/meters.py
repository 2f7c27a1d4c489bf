"""What each non-ideality does right now, as a number beside its knob.

Meters are computed from what a run leaves behind anyway; measuring never changes the run.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from pcmsim import mapping
from pcmsim.crossbar import Crossbar
from training import core_meters, spikes
from training.core_meters import CoreMeters
from training.drive import arriving, strength
from training.records import Snapshot, TrialRecord
from training.session import Session
from training.watch import LayerWatch

SATURATED = 0.75
"""Share of the maximum conductance above which a device hardly responds: 9 µS of 12, as refresh takes it."""

BUSIEST = 0.1
"""Share of the neurons that `Meters.busiest` is about."""


@dataclass(frozen=True)
class Meters:
    """Effects of the non-idealities at one moment; None where there is nothing to measure.

    Parameters
    ----------
    write_error : float or None
        Norm of (conductance change made - change asked), over that of the change asked, for the pulsed
        devices of recent updates.
    read_noise : float or None
        Standard deviation of the read noise in the hidden neurons' input current, over the standard
        deviation of that current in time.
    drift : float or None
        Share of the stored conductance that has drifted away since the last writes.
    rounding : float or None
        Norm of (change asked by e-prop - change that the pulses stand for), over that of the change
        asked, over recent updates.
    saturated, stuck : float or None
        Share of differential pairs with one side, and with both sides, above three quarters of the
        maximum conductance.
    mismatch : float or None
        Realised standard deviation of the devices' mean SET step, as a share of its mean.
    threshold_mismatch : float or None
        The same of the neurons' thresholds.
    cosine : float or None
        Cosine between asked and applied weight change over recent updates, all layers together.
    asked_pulses : float or None
        Largest weight change that one recent update asked for, in SET pulses.
    silent : float
        Share of hidden neurons without a spike in the trial.
    busiest : float
        Share of all hidden spikes that the busiest tenth of the neurons fired; 0 without spikes.
    core : CoreMeters or None
        Effects of the cores' converters; None where sums are exact.
    """

    write_error: float | None = None
    read_noise: float | None = None
    drift: float | None = None
    rounding: float | None = None
    saturated: float | None = None
    stuck: float | None = None
    mismatch: float | None = None
    threshold_mismatch: float | None = None
    cosine: float | None = None
    asked_pulses: float | None = None
    silent: float = 0.0
    busiest: float = 0.0
    core: CoreMeters | None = None


def measure(session: Session, record: TrialRecord, snapshot: Snapshot | None = None) -> Meters:
    """Meters of a run after a trial.

    Parameters
    ----------
    session : Session
        The run, where the trial left it; observed (`Session.observe`), or the meters of recent
        updates are None.
    record : TrialRecord
        The trial.
    snapshot : Snapshot, optional
        From `Session.snapshot` at this moment, if there is one already.

    Returns
    -------
    Meters
    """
    snapshot = snapshot or session.snapshot()
    watch = list((session.updates.watch or {}).values())
    crossbars = [array for array in session.arrays if isinstance(array, Crossbar)]
    silent, busiest = shares(spikes.counts(record.hidden, session.config.network.hidden))
    return Meters(
        write_error=ratio((w.error, w.effort) for w in watch) if crossbars else None,
        read_noise=read_noise(session, record, snapshot),
        drift=drifted(crossbars, snapshot),
        rounding=rounding(watch),
        saturated=share_saturated(crossbars, 1),
        stuck=share_saturated(crossbars, 2),
        mismatch=relative_spread(c.spread.step for c in crossbars),
        threshold_mismatch=relative_spread([torch.from_numpy(session.network.dynamics.cell.threshold)]),
        cosine=cosine([w.asked for w in watch], [w.applied for w in watch]),
        asked_pulses=asked_pulses(crossbars, watch),
        silent=silent,
        busiest=busiest,
        core=core_meters.measure(session, record, snapshot),
    )


def ratio(squares: Iterable[tuple[float, float]]) -> float | None:
    """Root of (summed first) over (summed second); None where the second is zero."""
    above, below = (sum(part) for part in zip(*squares, strict=True)) if (squares := list(squares)) else (0.0, 0.0)
    return math.sqrt(above / below) if below > 0.0 else None


def rounding(watch: Sequence[LayerWatch]) -> float | None:
    """Norm of (asked - planned) over that of the asked change."""
    return ratio((float((w.asked - w.planned).square().sum()), float(w.asked.square().sum())) for w in watch)


def cosine(asked: Sequence[torch.Tensor], applied: Sequence[torch.Tensor]) -> float | None:
    """Cosine between two lists of tensors, each taken as one vector; None where one of them is zero."""
    products = [(a * b).sum() for a, b in zip(asked, applied, strict=True)]
    norms = math.sqrt(sum(float(a.square().sum()) for a in asked) * sum(float(b.square().sum()) for b in applied))
    return float(sum(products)) / norms if norms > 0.0 else None


def asked_pulses(crossbars: Sequence[Crossbar], watch: Sequence[LayerWatch]) -> float | None:
    """Largest single change that recent updates asked for, in SET pulses."""
    asked = [w.largest / c.view().weight_step for c, w in zip(crossbars, watch, strict=False)]
    return max(asked, default=None)


def drifted(crossbars: Sequence[Crossbar], snapshot: Snapshot) -> float | None:
    """Share of the stored conductance that is gone by the time of the snapshot; None where nothing drifts."""
    stored = sum(float(c.state.conductance.sum()) for c in crossbars)
    drifts = any(c.largest_exponent > 0.0 for c in crossbars)
    left = sum(float(layer.conductance.sum()) for layer in snapshot.values())
    return 1.0 - left / stored if drifts and stored > 0.0 else None


def share_saturated(crossbars: Sequence[Crossbar], sides: int) -> float | None:
    """Share of differential pairs with at least so many sides above three quarters of the maximum."""
    if not crossbars:
        return None
    high = [mapping.over_devices(c.state.conductance) / c.devices > SATURATED * c.model.g_max for c in crossbars]
    return float(sum((side.sum(0) >= sides).sum() for side in high)) / sum(side[0].numel() for side in high)


def relative_spread(factors: Iterable[torch.Tensor | float]) -> float | None:
    """Standard deviation of all values over their mean; None where nothing differs."""
    tensors = [factor.reshape(-1).double() for factor in factors if isinstance(factor, torch.Tensor)]
    if not tensors:
        return None
    values = torch.cat(tensors)
    spread = float(values.std(correction=0) / values.mean())
    return spread if spread > 1e-6 else None


def shares(counts: npt.NDArray[np.int64]) -> tuple[float, float]:
    """Share of silent neurons, and share of all spikes that the busiest tenth of the neurons fired.

    Examples
    --------
    >>> shares(np.array([0, 1, 1, 2, 0, 0, 0, 0, 0, 0]))
    (0.7, 0.5)
    """
    total, busiest = float(counts.sum()), np.sort(counts)[-math.ceil(BUSIEST * counts.size) :]
    return float((counts == 0).mean()), float(busiest.sum()) / total if total else 0.0


def read_noise(session: Session, record: TrialRecord, snapshot: Snapshot) -> float | None:
    """Noise of the hidden neurons' input current over the current's standard deviation in time.

    The current of neuron j is the sum of the weights of all arriving spikes. Its noise variance is
    the mean over time of the summed read variances; both are averaged over neurons before the root.
    None where reads are exact or no spike arrives.
    """
    rasters = arriving(session, record)
    noise = sum(
        float((raster.mean(0) @ snapshot[layer].variance).mean())
        for layer, raster in rasters.items()
        if snapshot[layer].variance.size
    )
    signal = strength(rasters, snapshot)
    return math.sqrt(noise / signal) if noise > 0.0 and signal > 0.0 else None
