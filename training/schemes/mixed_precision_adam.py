"""Adam's steps gather digitally; whole quanta go to the devices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pcmsim.array import ArrayView
from pcmsim.foundation.bounds import State
from training.schemes.adam import Adam
from training.schemes.base import SCHEMES, SchemeState, UpdateScheme
from training.schemes.mixed_precision import MixedPrecision
from training.schemes.moments import BOUNDS, Moments


@SCHEMES.register("mixed-precision-adam")
@dataclass(frozen=True)
class MixedPrecisionAdam(Moments, MixedPrecision):
    """Mixed precision whose accumulators gather Adam's steps; see `MixedPrecision` and `Moments`.

    For tasks whose gradients differ so much between weights that plain descent learns them slowly. Two further
    digital numbers per synapse are the price. What is asked of a weight is the whole of Adam's step: adaptive
    feedback, which is digital, takes it as the accumulator does, so that it goes along with the weight and what waits
    for the weight. The written quanta are no more than that sum, cut to what a pulse can express.
    """

    summary: ClassVar[str] = (
        "As mixed precision, but Adam's steps gather: the digital side holds three numbers a weight."
    )

    @property
    def ideal(self) -> UpdateScheme:
        """See `UpdateScheme.ideal`."""
        return Adam(self.momentum, self.memory, self.epsilon)

    def init(self, view: ArrayView) -> SchemeState:
        """See `UpdateScheme.init`."""
        return {**super().init(view), **self.nothing_seen(view.shape)}

    def bounds(self, view: ArrayView) -> State:
        """See `UpdateScheme.bounds`."""
        return {**super().bounds(view), **BOUNDS}
