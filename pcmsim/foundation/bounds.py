"""What saved state may hold: finite numbers, within bounds that its owner declares."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch


class Bounds(NamedTuple):
    """Closed bounds of every number of a tensor; all must be finite.

    Examples
    --------
    >>> Bounds(0.0).hold(torch.tensor([0.0, 2.0])), Bounds(0.0).hold(torch.tensor([math.inf]))
    (True, False)
    >>> print(Bounds(0.0, 1.0), FINITE)
    finite numbers from 0 to 1 finite numbers
    """

    low: float = -math.inf
    high: float = math.inf

    def hold(self, values: torch.Tensor) -> bool:
        """Whether all values are finite and within the bounds."""
        return bool((values.isfinite() & (values >= self.low) & (values <= self.high)).all())

    def __str__(self) -> str:
        words = [f"{word} {bound:g}" for word, bound in (("from", self.low), ("to", self.high)) if math.isfinite(bound)]
        return " ".join(["finite numbers", *words])


FINITE = Bounds()
NOT_NEGATIVE = Bounds(0.0)
"""Counters, and sums of squares."""

State = dict[str, Bounds]
"""Bounds by the names of tensors; those that are not named must be finite."""
