"""One pulse by the gradient's sign."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from pcmsim.plan import PulsePlan
from pcmsim.quantity import check, quantity
from training.schemes.base import SCHEMES, Asked, SchemeState, UpdateScheme, polarity_devices


@SCHEMES.register("sign")
@dataclass(frozen=True)
class Sign(UpdateScheme):
    """One SET pulse on every device of the matching polarity where ``|g|`` exceeds a threshold.

    No learning rate: a pulse is a pulse. Demirag et al. 2021 (arXiv:2108.01804).
    """

    summary: ClassVar[str] = "One pulse per update wherever the gradient is large enough; its size is ignored."

    threshold: float = quantity(
        0.9,
        minimum=0.0,
        maximum=1e4,
        doc="Gradient magnitude below which learning stops",
        source="Demirag 2021's README: 0.9",
    )

    def __post_init__(self) -> None:
        check(self)

    def plan(self, asked: Asked, state: SchemeState, *, generator: torch.Generator) -> PulsePlan:
        """See `UpdateScheme.plan`; a learning rate of 0 still switches the array off."""
        flat = asked.gradient.reshape(-1) * float(asked.lr > 0.0)
        synapses = (flat.abs() > self.threshold).nonzero().squeeze(1)
        return PulsePlan.build(polarity_devices(synapses, (flat[synapses] > 0).long(), asked.view))
