"""Large arrays as pictures of bearable size: blocks of synapses become cells of a heat map."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

LARGEST = 128
"""Most cells along a side."""


def pooled(weights: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Means of equal blocks, so that no side is longer than 128.

    Parameters
    ----------
    weights : numpy.ndarray
        Any matrix.

    Returns
    -------
    numpy.ndarray
        float32.
    """
    pooled = np.nan_to_num(weights)
    for axis in (0, 1):
        size = pooled.shape[axis]
        if size > LARGEST:
            starts = np.arange(LARGEST) * size // LARGEST
            lengths = np.diff(np.append(starts, size))
            shape = (-1, 1) if axis == 0 else (1, -1)
            pooled = np.add.reduceat(pooled, starts, axis=axis) / lengths.reshape(shape)
    return np.ascontiguousarray(pooled, np.float32)


def cells(size: int) -> int:
    """Cells along a side of an array with `size` synapses along it."""
    return min(size, LARGEST)


def first_of(cell: int, size: int) -> int:
    """First place of an array's side that a cell shows."""
    return cell * size // cells(size)


def cell_of(place: int, size: int) -> int:
    """Cell that shows a place of an array's side.

    Examples
    --------
    >>> cell_of(7, 100), cell_of(7, 256), first_of(3, 256)
    (7, 3, 6)
    """
    return ((place + 1) * cells(size) - 1) // size
