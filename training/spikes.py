"""Spike trains as lists of events, one list per time step."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Spikes(NamedTuple):
    """Events of all neurons, sorted by time step (the row pointers of a sparse raster).

    Parameters
    ----------
    start : numpy.ndarray
        int64, ``steps + 1``: the events of step t are ``neuron[start[t]:start[t + 1]]``.
    neuron : numpy.ndarray
        int32: which neuron spiked.
    """

    start: npt.NDArray[np.int64]
    neuron: npt.NDArray[np.int32]

    @property
    def steps(self) -> int:
        """Number of time steps."""
        return self.start.size - 1


def from_raster(raster: npt.NDArray[np.generic]) -> Spikes:
    """Events of a ``time, neuron`` raster of zeros and ones.

    Examples
    --------
    >>> from_raster(np.array([[0, 1], [1, 1]])).neuron.tolist()
    [1, 0, 1]
    """
    times, neurons = np.nonzero(raster)
    start = np.concatenate(([0], np.cumsum(np.bincount(times, minlength=raster.shape[0]))))
    return Spikes(start.astype(np.int64), neurons.astype(np.int32))


def to_raster(spikes: Spikes, neurons: int) -> npt.NDArray[np.uint8]:
    """The ``time, neuron`` raster of zeros and ones."""
    raster = np.zeros((spikes.steps, neurons), dtype=np.uint8)
    raster[times(spikes), spikes.neuron] = 1
    return raster


def times(spikes: Spikes) -> npt.NDArray[np.int64]:
    """Time step of each event."""
    return np.repeat(np.arange(spikes.steps), np.diff(spikes.start))


def counts(spikes: Spikes, neurons: int) -> npt.NDArray[np.int64]:
    """Spikes per neuron, int64, ``neurons``."""
    return np.bincount(spikes.neuron, minlength=neurons)


def between(spikes: Spikes, first: int, last: int) -> Spikes:
    """The events of steps ``first`` to ``last - 1``."""
    start = spikes.start[first : last + 1]
    return Spikes(start - start[0], spikes.neuron[start[0] : start[-1]])


def joined(parts: list[Spikes]) -> Spikes:
    """Trains one after the other."""
    offsets = np.cumsum([0] + [part.neuron.size for part in parts])
    starts = [part.start[:-1] + offset for part, offset in zip(parts, offsets, strict=False)]
    return Spikes(
        np.concatenate([*starts, offsets[-1:]]).astype(np.int64), np.concatenate([part.neuron for part in parts])
    )
