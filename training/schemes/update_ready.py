"""RESET a device before it would run out of range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from pcmsim import mapping
from pcmsim.array import ArrayView
from pcmsim.plan import PulsePlan
from pcmsim.quantity import check, quantity
from training.schemes.base import SCHEMES, Asked, SchemeState, UpdateScheme, deal, polarity_devices, selection, whole


@SCHEMES.register("update-ready")
@dataclass(frozen=True)
class UpdateReady(UpdateScheme):
    """Pulses as asked, but a polarity without headroom is RESET first and the difference rewritten.

    Where the asked change exceeds ``headroom - G`` of the polarity to be pulsed, its devices are
    RESET and the pulses are those that lead from there to the asked difference. Demirag et al. 2021
    (arXiv:2108.01804), library only.
    """

    summary: ClassVar[str] = "Whole pulses, with a RESET first where the device would run out of range."

    headroom: float = quantity(
        10.0,
        unit="µS",
        above=0.0,
        maximum=200.0,
        doc="Conductance up to which a device is taken to respond",
        source="Demirag 2021's code",
    )

    def __post_init__(self) -> None:
        check(self)

    def init(self, view: ArrayView) -> SchemeState:
        """Counters of the next device."""
        return selection(view)

    def plan(self, asked: Asked, state: SchemeState, *, generator: torch.Generator) -> PulsePlan:
        """See `UpdateScheme.plan`."""
        view = asked.view
        per_pulse = view.step / view.devices
        change = asked.change * view.scale
        synapses = whole(change / per_pulse).nonzero().squeeze(1)
        change = change[synapses]
        plus, minus = mapping.over_devices(view.conductance).reshape(2, -1)[:, synapses] / view.devices
        spent = change.abs() > self.headroom - torch.where(change > 0, plus, minus)
        kept = torch.where(change > 0, -minus, plus)
        needed = torch.where(spent, plus - minus + change - kept, change)
        dealt = deal(synapses, whole(needed / per_pulse), view, state)
        resets = polarity_devices(synapses[spent], (change[spent] < 0).long(), view)
        return PulsePlan.build(dealt.set_devices, dealt.set_counts, resets)
