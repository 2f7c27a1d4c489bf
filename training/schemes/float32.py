"""Digital weights: the reference without devices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from pcmsim.plan import WeightPlan
from training.schemes.base import SCHEMES, Asked, SchemeState, UpdateScheme


@SCHEMES.register("float32")
@dataclass(frozen=True)
class Float32(UpdateScheme):
    """Plain gradient descent, ``W <- clip(W - lr g, -1, 1)``, on weights of the set precision."""

    digital: ClassVar[bool] = True
    uses_weight_bits: ClassVar[bool] = True
    summary: ClassVar[str] = "Digital weights, plain gradient descent: what the devices are measured against."

    def plan(self, asked: Asked, state: SchemeState, *, generator: torch.Generator) -> WeightPlan:
        """See `UpdateScheme.plan`."""
        return WeightPlan(asked.gradient * -asked.lr)
