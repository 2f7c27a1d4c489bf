"""Numbers as spike times: the larger or the nearer, the earlier."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from training.neurons import Floats
from training.spikes import Spikes

ROUNDING = 1e-9
"""Share of a step by which a time may miss its step through rounding alone."""


def latency(values: npt.ArrayLike, tau: float, threshold: float) -> Floats:
    """First spike of a leaky integrator under a constant current: the stronger, the earlier.

    ``t = tau log(x / (x - threshold))``, the time at which ``x (1 - exp(-t / tau))`` reaches the threshold
    (Cramer et al., PNAS 119, e2109194119, 2022, doi:10.1073/pnas.2109194119).

    Parameters
    ----------
    values : array_like
        Intensities x, any shape, the largest usually 1.
    tau : float
        Time constant [s].
    threshold : float
        Intensity that is never reached, > 0.

    Returns
    -------
    numpy.ndarray
        Spike times [s], same shape; infinite, for no spike, where ``x <= threshold``.

    Examples
    --------
    >>> latency([1.0, 0.1], 20e-3, 0.2).round(5).tolist()
    [0.00446, inf]
    """
    intensity = np.asarray(values, np.float64)
    over = intensity > threshold
    times = np.full(intensity.shape, np.inf)
    times[over] = tau * np.log(intensity[over] / (intensity[over] - threshold))
    return times


def linear(values: npt.ArrayLike, early: float, late: float) -> Floats:
    """``t = early + value (late - early)`` [s]: 0 comes early, 1 late.

    Wunderlich and Pehle, Sci. Rep. 11, 12829, 2021, doi:10.1038/s41598-021-91786-z.

    Examples
    --------
    >>> linear([0.0, 0.5], 0.01, 0.03).round(6).tolist()
    [0.01, 0.02]
    """
    times: Floats = early + np.asarray(values, np.float64) * (late - early)
    return times


def events(times: Floats, steps: int, dt: float, channels: npt.NDArray[np.integer] | None = None) -> Spikes:
    """Spike times as the events of a trial.

    Parameters
    ----------
    times : numpy.ndarray
        Spike times [s], in any order; those that are not finite, negative or after the trial are no spikes.
    steps : int
        Time steps of the trial.
    dt : float
        Time step [s]; step k lasts from ``k dt`` to ``(k + 1) dt``.
    channels : numpy.ndarray, optional
        Channel of each spike; without it, each channel has one time.

    Returns
    -------
    Spikes
        Sorted by step, then channel; several spikes of a channel in one step are one.

    Examples
    --------
    >>> events(np.array([0.002, np.inf, 0.0]), 3, 1e-3)
    Spikes(start=array([0, 1, 1, 2]), neuron=array([2, 0], dtype=int32))
    """
    channels = np.arange(times.size) if channels is None else channels.astype(np.int64)
    heard = np.isfinite(times) & (times >= 0.0) & (times < steps * dt)
    step = np.minimum(np.floor(times[heard] / dt + ROUNDING).astype(np.int64), steps - 1)
    width = int(channels.max(initial=0)) + 1
    place = np.unique(step * width + channels[heard])
    start = np.searchsorted(place, width * np.arange(steps + 1))
    return Spikes(start.astype(np.int64), (place % width).astype(np.int32))
