"""Weights on differential pairs: ``W = (mean of G+ - mean of G-) / scale``.

The mean over the devices of a polarity, in the forward pass and in the targets alike, keeps the
range of the weights the same for any number of devices.
"""

from __future__ import annotations

import torch


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
    plus, minus = over_devices(conductance)
    difference: torch.Tensor = plus - minus
    return difference.div_(scale * conductance.shape[1])


def weight_variance(variance: torch.Tensor, scale: float) -> torch.Tensor:
    """Variance of the effective weights, given that of each device's read [µS²], same shapes."""
    plus, minus = over_devices(variance)
    total: torch.Tensor = plus + minus
    return total.div_((scale * variance.shape[1]) ** 2)


def over_devices(values: torch.Tensor) -> torch.Tensor:
    """Sum over the devices of each polarity: ``sign, pre, post``."""
    return values[:, 0] if values.shape[1] == 1 else values.sum(1)
