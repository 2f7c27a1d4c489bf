"""Matrix-vector products on in-memory-computing cores: signed inputs, all effects, any batch."""

from __future__ import annotations

import numpy as np
import torch
from numba import njit

from pcmsim.array import WeightReads
from pcmsim.core import Converters, Core, Received, convert
from pcmsim.errors import FieldError
from pcmsim.model import Floats


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
        self._core, self._converters = core, core.converters()
        none = np.empty((reads.mean.shape[0], 0), np.float32)
        self._reads = reads.mean.numpy(), none if reads.variance is None else reads.variance.numpy()

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
        check_inputs(inputs, self._core.shape[0])
        sums = np.zeros((len(inputs), self._core.shape[1]), np.float32)
        for place, (plane, worth) in enumerate(self._core.planes(inputs)):
            _add_product(self._converters, self._reads, plane.float().numpy(), (key, place, worth), sums)
        return torch.from_numpy(sums)


@njit(nogil=True, cache=True)
def _add_product(
    core: Converters, reads: Received, inputs: Floats, noise: tuple[int, int, float], sums: Floats
) -> None:
    """Add what one pulse of the rows gives, all cores together, times what the pulse is worth."""
    mean, variance = reads
    key, place, worth = noise
    tiles, (batch, outputs) = core.gain.shape[0], sums.shape
    none, converted = np.zeros(outputs, sums.dtype), np.empty(outputs, sums.dtype)
    for tile in range(tiles):
        rows = slice(tile * core.rows, (tile + 1) * core.rows)
        part = np.ascontiguousarray(inputs[:, rows])
        totals = np.dot(part, mean[rows])
        spreads = np.dot(part * part, variance[rows]) if variance.size > 0 else totals
        for b in range(batch):
            converted[:] = 0.0
            address = ((place * tiles + tile) * batch + b) * outputs
            convert(core, tile, (totals[b], spreads[b] if variance.size > 0 else none), (key, address), converted)
            for j in range(outputs):
                sums[b, j] += worth * converted[j]


def check_inputs(inputs: torch.Tensor, rows: int) -> None:
    """Raise `FieldError` unless the inputs are finite, within [-1, 1] and as many as there are rows."""
    if inputs.dim() != 2 or inputs.shape[1] != rows:
        raise FieldError("inputs", f"a tensor of shape (batch, {rows})", tuple(inputs.shape))
    if not bool((inputs.abs() <= 1.0).all()):
        raise FieldError("inputs", "finite numbers from -1 to 1", "others")
