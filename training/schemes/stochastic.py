"""One pulse with a probability that follows the gradient's size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from pcmsim.foundation.tensors import SINGLE
from pcmsim.plan import PulsePlan
from pcmsim.quantity import check, quantity
from training.schemes.base import SCHEMES, Asked, SchemeState, UpdateScheme


@SCHEMES.register("stochastic")
@dataclass(frozen=True)
class Stochastic(UpdateScheme):
    """Each device of the matching polarity gets one SET pulse with probability ``|dG| / probability_scale``.

    With the scale at the nominal step the expected change is the asked one, as long as the asked
    change stays below a step. Demirag et al. 2021 (arXiv:2108.01804).
    """

    summary: ClassVar[str] = "One pulse, drawn with a probability that follows the asked change."

    probability_scale: float = quantity(
        0.75,
        unit="µS",
        above=0.0,
        maximum=1e4,
        doc="Asked conductance change that is certain to give a pulse",
        source="the nominal step; Demirag 2021's README: 780",
    )

    def __post_init__(self) -> None:
        check(self)

    def plan(self, asked: Asked, state: SchemeState, *, generator: torch.Generator) -> PulsePlan:
        """See `UpdateScheme.plan`."""
        gradient, view = asked.gradient, asked.view
        probability = gradient.abs() * (asked.lr * view.scale / self.probability_scale)
        drawn = torch.rand((view.devices, *view.shape), generator=generator, **SINGLE) < probability
        device, pre, post = drawn.nonzero(as_tuple=True)
        polarity = (gradient[pre, post] > 0).long()
        flat = ((polarity * view.devices + device) * view.shape[0] + pre) * view.shape[1] + post
        return PulsePlan.build(flat)
