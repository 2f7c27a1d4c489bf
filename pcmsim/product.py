"""Matrix-vector products on in-memory-computing cores: signed inputs, all effects, any batch."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch

from pcmsim.array import WeightReads
from pcmsim.core import BINS, Core, Received, Singles
from pcmsim.counter import fill
from pcmsim.errors import FieldError
from pcmsim.foundation.compiled import njit
from pcmsim.model import Floats

BLOCK = 64
"""Vectors that are multiplied at a time, on however many threads: their number does not change a bit of the result."""

Counts = npt.NDArray[np.int64]
Columns = tuple[Floats, Floats, Floats, Floats]
"""Gain, offset, scale and shift of the converters."""

Constants = tuple[float, float, int]
"""Noise, step and highest code of the converters."""


class Product:
    """Matrix-vector products on cores whose devices stand still.

    Parameters
    ----------
    core : Core
        Converters.
    reads : WeightReads
        The array's weights at one device time.

    Examples
    --------
    >>> from pcmsim.core import CoreConfig
    >>> weights = torch.eye(4)
    >>> exact = CoreConfig(True, adc_bits=None, mvm_noise=0.0, gain_spread=0.0, offset_spread=0.0, calibration=0)
    >>> core = Core(exact, (4, 4), 1.0, generator=torch.Generator())
    >>> Product(core, WeightReads(weights, None))(torch.tensor([[1.0, 0.5, -0.25, 0.0]]), key=0).tolist()
    [[1.0, 0.5039370059967041, -0.25196850299835205, 0.0]]
    """

    def __init__(self, core: Core, reads: WeightReads) -> None:
        self._core, self._histogram = core, core.histogram
        mean = reads.mean.contiguous().numpy()
        variance = None if reads.variance is None else reads.variance.contiguous().numpy()
        rows = [slice(first, first + core.config.rows) for first in range(0, len(mean), core.config.rows)]
        self._tiles = [(tile, mean[tile], None if variance is None else variance[tile]) for tile in rows]
        # Plain tuples: a named one takes as long on its way into compiled code as a product of a vector.
        gain, offset, scale, shift, _, noise, step, highest, _ = core.converters()
        self._columns: Columns = (gain, offset, scale, shift)
        self._constants: Constants = (noise, step, highest)

    def __call__(self, inputs: torch.Tensor, *, key: int) -> torch.Tensor:
        """Inputs times weights, converted.

        Parameters
        ----------
        inputs : torch.Tensor
            ``batch, pre``, from -1 to 1.
        key : int
            Of the conversions' noise.

        Returns
        -------
        torch.Tensor
            ``batch, post``, in units of weight.

        Raises
        ------
        FieldError
            If the inputs have another shape, are not finite, or lie outside -1 to 1.
        """
        vectors = inputs.float().contiguous().numpy()
        check_inputs(vectors, self._core.shape[0])
        sums = np.zeros((len(vectors), self._core.shape[1]), np.float32)
        counts = _shared(partial(self._add, key, vectors, sums), len(vectors))
        self._histogram += sum(counts)
        return torch.from_numpy(sums)

    def _add(self, key: int, inputs: Singles, sums: Singles, share: tuple[int, int]) -> Counts:
        """Add what some vectors give, block by block; how many conversions fell in which bin."""
        counts, batch = np.zeros(BINS, np.int64), len(inputs)
        for first in range(*share, BLOCK):
            block = slice(first, min(first + BLOCK, share[1]))
            for place, (plane, worth) in enumerate(self._core.planes(inputs[block])):
                for tile, received in enumerate(self._received(plane)):
                    address = (place * len(self._tiles) + tile) * batch + first
                    _convert(self._columns, self._constants, received, (tile, key, address, worth), sums[block], counts)
        return counts

    def _received(self, plane: Singles) -> Iterator[tuple[Singles, Singles]]:
        """Sums of each row of cores, and their variance."""
        for rows, mean, variance in self._tiles:
            part = plane[:, rows]
            total = part @ mean
            yield total, np.zeros_like(total) if variance is None else (part * part) @ variance


def check_inputs(inputs: Singles, rows: int) -> None:
    """Raise `FieldError` unless the inputs are finite, within [-1, 1] and as many as there are rows."""
    if inputs.ndim != 2 or inputs.shape[1] != rows:
        raise FieldError("inputs", f"a tensor of shape (batch, {rows})", inputs.shape)
    if not _within(inputs.reshape(-1)):
        raise FieldError("inputs", "finite numbers from -1 to 1", "others")


def _shared(work: Callable[[tuple[int, int]], Counts], vectors: int) -> list[Counts]:
    """What work gives on each thread's share of the vectors, of whole blocks; the caller's thread takes the first."""
    if vectors <= BLOCK:
        return [work((0, vectors))]
    blocks = math.ceil(vectors / BLOCK)
    threads = min(torch.get_num_threads(), blocks)
    edges = [min(vectors, BLOCK * (blocks * k // threads)) for k in range(threads + 1)]
    mine, *others = pairwise(edges)
    asked = [_pool(threads - 1).submit(work, share) for share in others]
    return [work(mine), *(share.result() for share in asked)]


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, "product")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # a child has none of its parent's threads


@njit(nogil=True)
def _within(inputs: Singles) -> bool:
    """Whether all are finite and from -1 to 1; with single numbers throughout it becomes vector instructions."""
    outside = np.int32(0)
    for value in inputs:
        outside |= np.int32(0) if abs(value) <= np.float32(1.0) else np.int32(1)
    return bool(outside == 0)


@njit(nogil=True)
def _convert(
    columns: Columns,
    constants: Constants,
    received: Received,
    where: tuple[int, int, int, float],
    sums: Floats,
    counts: Counts,
) -> None:
    """Convert what one pulse gives on one row of cores and add it, times the pulse's worth, vector by vector.

    As `pcmsim.core.convert` does, to the bit, in passes over many columns that are vector instructions each.
    """
    (gain, offset, scale, shift), (noise, step, highest) = columns, constants
    (totals, variances), (tile, key, first, worth) = received, where
    outputs = sums.shape[1]
    values, places = np.zeros(outputs), np.empty(outputs, np.int32)
    noisy = noise > 0.0 or (variances > 0.0).any()
    for b in range(len(sums)):
        if noisy:
            fill(key, (first + b) * outputs, values)
        _sense((gain[tile], offset[tile], noise), totals[b], variances[b], values)
        if step > 0.0:
            _round(step, highest, values, places)
            for place in places:
                counts[place] += 1
        _correct((scale[tile], shift[tile]), worth, values, sums[b])


@njit(nogil=True)
def _sense(levels: tuple[Floats, Floats, float], total: Floats, variance: Floats, values: Floats) -> None:
    """Replace standard normal numbers by what the converters meet."""
    gain, offset, noise = levels
    least = noise * noise
    for j in range(values.size):
        sigma = math.sqrt(least + variance[j])
        values[j] = (gain[j] * total[j] + offset[j]) + (sigma * values[j] if sigma > 0.0 else 0.0)


@njit(nogil=True, error_model="numpy")
def _round(step: float, highest: int, values: Floats, places: npt.NDArray[np.int32]) -> None:
    """Round values to codes and say in which bin each counts: what is not a number stays so, in the lowest."""
    most, slope = float(highest), float(BINS - 3)
    for j in range(values.size):
        code = np.rint(values[j] / step)
        place = (code + most) * slope / (2.0 * most) + 0.5 if code >= -most else -1.0
        places[j] = 1 + np.int32(BINS - 2.0 if code > most else place)
        code = most if code > most else code
        values[j] = (-most if code < -most else code) * step


@njit(nogil=True)
def _correct(digital: tuple[Floats, Floats], worth: float, values: Floats, sums: Singles) -> None:
    """Add corrected values, times what they are worth, to the sums."""
    scale, shift = digital
    for j in range(sums.size):
        sums[j] += worth * np.float32(scale[j] * values[j] + shift[j])
