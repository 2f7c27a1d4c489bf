"""Numbers as spike times: the larger or the nearer, the earlier."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from training.neurons import Floats
from training.spikes import Spikes

ROUNDING = 1e-9
"""Share of a step by which a time may miss its step through rounding alone."""

SMALLER = (("milliseconds", 1e-3), ("microseconds", 1e-6), ("nanoseconds", 1e-9))
"""Units that times of spikes come in, from large to small [s]."""


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


def steps_of(times: npt.NDArray[np.floating], dt: float) -> npt.NDArray[np.int64]:
    """The time step that each time lies in; a time on the grid ``k dt`` lies in step k, however it was rounded.

    Parameters
    ----------
    times : numpy.ndarray
        Times >= 0 [s], finite. Their type tells how far from its value each may be stored: half the distance to the
        next number.
    dt : float
        Time step [s]; step k lasts from ``k dt`` to ``(k + 1) dt``.

    Examples
    --------
    >>> steps_of(np.array([0.003, 0.0035], np.float32), 1e-3)
    array([3, 3])
    """
    position = times.astype(np.float64) / dt
    stored = 0.5 * np.spacing(times).astype(np.float64) / dt
    nearest = np.rint(position)
    on_grid = np.abs(position - nearest) <= np.maximum(stored, ROUNDING)
    return np.where(on_grid, nearest, np.floor(position)).astype(np.int64)


def other_unit(times: npt.NDArray[np.floating], longest: float) -> str:
    """What times that cannot be seconds look like, as the end of a sentence; empty where they can.

    Parameters
    ----------
    times : numpy.ndarray
        Times of spikes [s].
    longest : float
        What most of them lie before [s].

    Examples
    --------
    >>> other_unit(np.array([100.0, 200.0, 300.0]), 1.4)
    '; the times look like milliseconds, expected seconds'
    """
    middle = float(np.median(times)) if times.size else 0.0
    if middle <= longest:
        return ""
    unit = next((name for name, size in SMALLER if middle * size <= longest), SMALLER[-1][0])
    return f"; the times look like {unit}, expected seconds"


def losses(
    samples: npt.NDArray[np.integer],
    times: npt.NDArray[np.floating],
    channels: npt.NDArray[np.integer],
    steps: int,
    dt: float,
) -> tuple[str, ...]:
    """What becomes of spikes that trials do not show, a sentence each.

    Parameters
    ----------
    samples, times, channels : numpy.ndarray
        Of each spike: number of its sample, time [s], channel.
    steps, dt
        As in `events`.

    Examples
    --------
    >>> losses(np.array([0, 0, 0]), np.array([0.001, 0.0015, 0.5]), np.array([2, 2, 1]), 10, 1e-3)[0]
    '1 of 3 spikes come after the trial and are left out'
    """
    step = steps_of(times, dt)
    here = step < steps
    width = int(channels.max(initial=0)) + 1
    place = (samples[here].astype(np.int64) * steps + step[here]) * width + channels[here]
    late, merged = int((~here).sum()), place.size - np.unique(place).size
    told = (
        (late, "come after the trial and are left out"),
        (merged, "fall into the step of another one of their channel and count once with it"),
    )
    return tuple(f"{number} of {times.size} spikes {what}" for number, what in told if number)


def events(
    times: npt.NDArray[np.floating], steps: int, dt: float, channels: npt.NDArray[np.integer] | None = None
) -> Spikes:
    """Spike times as the events of a trial.

    Parameters
    ----------
    times : numpy.ndarray
        Spike times [s], in any order; those that are not finite, negative or after the trial are no spikes. In which
        step a time on the grid lies: see `steps_of`.
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
    heard = np.isfinite(times) & (times >= 0.0) & (times < (steps + 1) * dt)
    step, channels = steps_of(times[heard], dt), channels[heard]
    step, channels = step[step < steps], channels[step < steps]
    width = int(channels.max(initial=0)) + 1
    place = np.unique(step * width + channels)
    start = np.searchsorted(place, width * np.arange(steps + 1))
    return Spikes(start.astype(np.int64), (place % width).astype(np.int32))
