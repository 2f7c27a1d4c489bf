"""Adam on digital weights: the optimiser of the software references."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from pcmsim.array import ArrayView
from pcmsim.foundation.bounds import State
from pcmsim.plan import WeightPlan
from training.schemes.base import SCHEMES, Asked, SchemeState, UpdateScheme
from training.schemes.moments import BOUNDS, Moments


@SCHEMES.register("adam")
@dataclass(frozen=True)
class Adam(Moments, UpdateScheme):
    """Steps scaled by running moments of the gradient, on weights of the set precision; see `Moments`."""

    digital: ClassVar[bool] = True
    uses_weight_bits: ClassVar[bool] = True
    summary: ClassVar[str] = "Digital weights, Adam: the software reference of classification tasks."

    @property
    def ideal(self) -> UpdateScheme:
        """See `UpdateScheme.ideal`."""
        return self

    def init(self, view: ArrayView) -> SchemeState:
        """See `UpdateScheme.init`."""
        return self.nothing_seen(view.shape)

    def bounds(self, view: ArrayView) -> State:
        """See `UpdateScheme.bounds`."""
        return {**super().bounds(view), **BOUNDS}

    def plan(self, asked: Asked, state: SchemeState, *, generator: torch.Generator) -> WeightPlan:
        """See `UpdateScheme.plan`."""
        return WeightPlan(asked.gradient * -asked.lr)
