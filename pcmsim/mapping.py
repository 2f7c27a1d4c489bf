"""Weights on differential pairs: ``W = (mean of G+ - mean of G-) / scale``.

The mean over the devices of a polarity, in the forward pass and in the targets alike, keeps the
range of the weights the same for any number of devices.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from pcmsim.foundation.compiled import njit
from pcmsim.model import Floats


def weights(conductance: torch.Tensor, scale: float) -> torch.Tensor:
    """Effective weights of differential pairs.

    Parameters
    ----------
    conductance : torch.Tensor
        ``sign, device, pre, post`` [µS].
    scale : float
        Conductance that stands for weight 1 [µS].

    Returns
    -------
    torch.Tensor
        ``pre, post``, dimensionless.
    """
    plus, minus = _sides(conductance)
    difference = plus - minus
    difference /= scale * conductance.shape[1]
    return torch.from_numpy(difference)


def weight_variance(variance: torch.Tensor, scale: float) -> torch.Tensor:
    """Variance of the effective weights, given that of each device's read [µS²], same shapes."""
    plus, minus = _sides(variance)
    total = plus + minus
    total /= (scale * variance.shape[1]) ** 2
    return torch.from_numpy(total)


def over_devices(values: torch.Tensor) -> torch.Tensor:
    """Sum over the devices of each polarity: ``sign, pre, post``."""
    return torch.from_numpy(_sides(values))


def row_conductance(conductance: torch.Tensor) -> torch.Tensor:
    """Conductance [µS] of all devices of a row, added up: ``pre``, float64, of ``sign, device, pre, post``."""
    devices = np.ascontiguousarray(conductance.numpy()).reshape(-1, *conductance.shape[2:])
    return torch.from_numpy(_row_sums(devices))


@njit(nogil=True, cache=True, fastmath=True)
def _row_sums(devices: Floats) -> npt.NDArray[np.float64]:
    sums = np.zeros(devices.shape[1])
    for d in range(devices.shape[0]):
        for i in range(devices.shape[1]):
            row, total = devices[d, i], 0.0
            for j in range(row.size):
                total += row[j]
            sums[i] += total
    return sums


def _sides(values: torch.Tensor) -> Floats:
    """The same as an array, whose calls are cheaper than torch's on small arrays."""
    sides: Floats = values.numpy()[:, 0] if values.shape[1] == 1 else values.sum(1).numpy()
    return sides
