"""Adam's step: the gradient over the root of its running square, for whoever carries it out."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch

from pcmsim.foundation.bounds import NOT_NEGATIVE, State
from pcmsim.foundation.tensors import SINGLE, WHOLE
from pcmsim.quantity import check, quantity
from training.schemes.base import Asked, SchemeState

BOUNDS: State = {"second": NOT_NEGATIVE, "steps": NOT_NEGATIVE}
"""What saved moments may hold: a mean of squares is not negative."""


@dataclass(frozen=True)
class Moments:
    """Steps scaled by running moments of the gradient (Kingma and Ba 2015, arXiv:1412.6980).

    In the order of their efficient form: epsilon joins the second moment before that is corrected for its
    start, as in Bellec et al. 2020's scripts.
    """

    momentum: float = quantity(0.9, minimum=0.0, maximum=0.9999, doc="Decay of the first moment", source="Kingma 2015")
    memory: float = quantity(
        0.999, minimum=0.0, maximum=0.999999, doc="Decay of the second moment", source="Kingma 2015"
    )
    epsilon: float = quantity(
        1e-8, above=0.0, maximum=1.0, doc="Added to the root of the second moment", source="Kingma 2015"
    )

    def __post_init__(self) -> None:
        check(self)

    def nothing_seen(self, shape: tuple[int, int]) -> SchemeState:
        """Moments before the first gradient, and the number of gradients."""
        first, second = torch.zeros((2, *shape), **SINGLE)
        return {"first": first, "second": second, "steps": torch.zeros((), **WHOLE)}

    def step(self, asked: Asked, state: SchemeState) -> Asked:
        """See `UpdateScheme.step`: Adam's step in place of gradient and learning rate."""
        steps = int(state["steps"].add_(1))
        first = state["first"].mul_(self.momentum).add_(asked.gradient, alpha=1.0 - self.momentum)
        second = state["second"].mul_(self.memory).addcmul_(asked.gradient, asked.gradient, value=1.0 - self.memory)
        rate = asked.lr * math.sqrt(1.0 - self.memory**steps) / (1.0 - self.momentum**steps)
        return replace(asked, gradient=first / second.sqrt().add_(self.epsilon), lr=rate)
