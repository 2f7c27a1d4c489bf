"""Ideal digital weights: floating point, or rounded to n bits over [-1, 1]."""

from __future__ import annotations

import math

import torch

from pcmsim.array import ArrayView, DeviceReads, WeightArray, WeightReads
from pcmsim.errors import FieldError
from pcmsim.plan import Plan, WeightPlan


def quantise(values: torch.Tensor, bits: int | None, full_scale: float = 1.0) -> torch.Tensor:
    """Round to the nearest of ``2**bits`` steps over ``[-full_scale, full_scale]``, both ends included.

    Parameters
    ----------
    values : torch.Tensor
        Any shape.
    bits : int or None
        None leaves the values as they are.
    full_scale : float
        Largest magnitude; values beyond it saturate.

    Returns
    -------
    torch.Tensor
        Shape and dtype of `values`.

    Examples
    --------
    >>> quantise(torch.tensor([0.30, -2.0]), bits=3).tolist()
    [0.25, -1.0]
    """
    if bits is None:
        return values
    step = 2.0 * full_scale / 2**bits
    levels: torch.Tensor = values / step
    return levels.round_().clamp_(-(2 ** (bits - 1)), 2 ** (bits - 1)).mul_(step)


class DigitalArray(WeightArray):
    """Weights that are read exactly and written exactly, up to their precision.

    Parameters
    ----------
    weights : torch.Tensor
        Initial weights, ``pre, post``.
    bits : int, optional
        Precision of the stored weights; None is floating point.
    """

    def __init__(self, weights: torch.Tensor, bits: int | None = None) -> None:
        self.bits = bits
        self.weights = quantise(weights, bits).clone()
        self.shape = (weights.shape[0], weights.shape[1])

    @property
    def largest_exponent(self) -> float:
        """0: nothing drifts."""
        return 0.0

    @property
    def noisy(self) -> bool:
        """False: reads are exact."""
        return False

    def moments(self, now: float) -> WeightReads:
        """The weights; no variance."""
        return WeightReads(self.weights, None)

    def device_reads(self, now: float) -> DeviceReads | None:
        """None: reads are exact."""
        return None

    def stored_weights(self) -> torch.Tensor:
        """The weights."""
        return self.weights

    def drift_gain(self, since: float, now: float) -> float:
        """1: nothing drifts."""
        return 1.0

    def rescaled(self, gain: float) -> DigitalArray:
        """The array itself; raises `FieldError` unless `gain` is 1, because there is no drift to make up for."""
        if gain != 1.0:
            raise FieldError("gain", "1 for digital weights, which do not drift", gain)
        return self

    def view(self) -> ArrayView:
        """One weight per synapse; a step is one level."""
        step = 0.0 if self.bits is None else 2.0 / 2**self.bits
        return ArrayView(self.shape, 1, 1.0, step, torch.empty(0))

    def apply(self, plan: Plan, now: float, *, generator: torch.Generator) -> None:
        """Add the asked change, keep weights within [-1, 1], round to the precision."""
        if not isinstance(plan, WeightPlan):
            raise TypeError(f"a digital array takes a WeightPlan, got {type(plan).__name__}")
        self.weights.copy_(quantise((self.weights + plan.change).clamp_(-1.0, 1.0), self.bits))

    def count_reads(self, spikes_per_row: torch.Tensor) -> None:
        """Digital reads are not counted: no device wears or spends energy."""

    def youngest_age(self, now: float) -> float:
        """Infinite: nothing drifts."""
        return math.inf

    def tensors(self) -> dict[str, torch.Tensor]:
        """The weights."""
        return {"weights": self.weights}
