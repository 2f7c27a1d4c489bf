"""Ideal digital weights: floating point, or rounded to n bits over a range."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from pcmsim.array import ArrayView, DeviceReads, WeightArray, WeightReads
from pcmsim.errors import FieldError
from pcmsim.foundation.tensors import DOUBLE, SINGLE, usual_numerics
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


@dataclass(frozen=True)
class WeightFormat:
    """How a digital weight is stored.

    Parameters
    ----------
    bits : int or None
        Its bits; None is floating point.
    full_scale : float
        Largest magnitude.
    sign_magnitude : bool
        A sign beside `bits` bits of magnitude, ``2^bits - 1`` steps either side, as on BrainScaleS-2
        (6 bits: -63 to 63); else ``2^bits`` steps from end to end.
    shadow : bool
        A floating-point copy gathers the updates, and the memory holds it rounded.

    Examples
    --------
    >>> six = WeightFormat(6, full_scale=63.0, sign_magnitude=True)
    >>> six.rounded(torch.tensor([-80.0, 0.4, 1.6])).tolist()
    [-63.0, 0.0, 2.0]
    """

    bits: int | None = None
    full_scale: float = 1.0
    sign_magnitude: bool = False
    shadow: bool = False

    @property
    def step(self) -> float:
        """Distance of neighbouring weights; 0 in floating point."""
        if self.bits is None:
            return 0.0
        return self.full_scale / (2.0**self.bits - 1.0 if self.sign_magnitude else 2.0 ** (self.bits - 1))

    def clipped(self, weights: torch.Tensor) -> torch.Tensor:
        """The weights within the full scale."""
        return weights.clamp(-self.full_scale, self.full_scale)

    def rounded(self, weights: torch.Tensor) -> torch.Tensor:
        """The nearest weights that can be stored; any in floating point."""
        if self.bits is None or not self.sign_magnitude:
            return quantise(weights, self.bits, self.full_scale)
        levels = 2**self.bits - 1
        return (weights / self.step).round_().clamp_(-levels, levels).mul_(self.step)

    def kept(self, weights: torch.Tensor) -> torch.Tensor:
        """What an update leaves behind: the weights as stored, or their floating-point copy."""
        return weights if self.shadow else self.rounded(weights)


class DigitalArray(WeightArray):
    """Weights that are read exactly and written exactly, up to their precision.

    Parameters
    ----------
    weights : torch.Tensor
        Initial weights, ``pre, post``.
    bits : int, optional
        Precision of the stored weights, unless `form` says more; None is floating point.
    form : WeightFormat, optional
        How weights are stored.
    """

    @usual_numerics()
    def __init__(self, weights: torch.Tensor, bits: int | None = None, *, form: WeightFormat | None = None) -> None:
        self.form = form or WeightFormat(bits)
        self.weights = self.form.kept(weights).clone()
        self.shape = (weights.shape[0], weights.shape[1])

    @property
    def largest_exponent(self) -> float:
        """0: nothing drifts."""
        return 0.0

    @property
    def noisy(self) -> bool:
        """False: reads are exact."""
        return False

    @property
    def full_weight(self) -> float:
        """The largest weight."""
        return self.form.full_scale

    @property
    def reads_per_spike(self) -> int:
        """0: there are no devices."""
        return 0

    @property
    def total_reads(self) -> int:
        """0: there are no devices."""
        return 0

    def moments(self, now: float) -> WeightReads:
        """The weights, times their mismatch; no variance."""
        return WeightReads(self.stored_weights(), None).times(self.factor)

    def device_reads(self, now: float) -> DeviceReads | None:
        """None: reads are exact."""
        return None

    def stored_weights(self) -> torch.Tensor:
        """The weights as the memory holds them."""
        return self.form.rounded(self.weights) if self.form.shadow else self.weights

    def drift_gain(self, since: float, now: float) -> float:
        """1: nothing drifts."""
        return 1.0

    def column_gains(self, since: float, now: float) -> torch.Tensor:
        """Ones: nothing drifts."""
        return torch.ones(self.shape[1], **SINGLE)

    def rescaled(self, gain: float | torch.Tensor) -> DigitalArray:
        """The array itself; raises `FieldError` unless `gain` is 1, because there is no drift to make up for."""
        if not bool((torch.as_tensor(gain, **DOUBLE) == 1.0).all()):
            raise FieldError("gain", "1 for digital weights, which do not drift", gain)
        return self

    def view(self) -> ArrayView:
        """One weight per synapse; a step is one level."""
        return ArrayView(self.shape, 1, 1.0, self.form.step, torch.empty(0, **SINGLE))

    def apply(self, plan: Plan, now: float, *, generator: torch.Generator) -> None:
        """Add the asked change, keep weights within the full scale, round to the precision."""
        if not isinstance(plan, WeightPlan):
            raise TypeError(f"a digital array takes a WeightPlan, got {type(plan).__name__}")
        self.weights.copy_(self.form.kept(self.form.clipped(self.weights + plan.change)))

    def count_reads(self, spikes_per_row: torch.Tensor, conductance: float) -> None:
        """Digital reads are not counted: no device wears or spends energy."""

    def youngest_age(self, now: float) -> float:
        """Infinite: nothing drifts."""
        return math.inf

    def tensors(self) -> dict[str, torch.Tensor]:
        """The weights; where there is a floating-point copy, that."""
        return {"weights": self.weights}
