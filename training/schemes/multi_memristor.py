"""Several devices per polarity, pulsed in turn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from pcmsim.array import ArrayView
from pcmsim.foundation.tensors import WHOLE
from pcmsim.plan import PulsePlan
from pcmsim.quantity import check, quantity
from training.schemes.base import LONGEST_TRAIN, SCHEMES, Asked, SchemeState, UpdateScheme, deal, selection, whole


@SCHEMES.register("multi-memristor")
@dataclass(frozen=True)
class MultiMemristor(UpdateScheme):
    """As many pulses as the asked change holds, dealt over the devices of the polarity.

    A pulse on one of N devices moves the weight by a N-th of a step. The device is chosen by a
    counter: per synapse and polarity (Demirag et al. 2021, arXiv:2108.01804), or one for the whole
    array, so that a single device per synapse is programmed at each update (Boybat et al. 2018,
    doi:10.1038/s41467-018-04933-y).
    """

    summary: ClassVar[str] = "The asked change in whole pulses, dealt over several devices in turn."

    counter: str = quantity(
        "synapse",
        choices=("synapse", "global"),
        doc="Which counter picks the next device",
        source="Demirag 2021: synapse; Boybat 2018: global",
    )

    def __post_init__(self) -> None:
        check(self)

    def init(self, view: ArrayView) -> SchemeState:
        """Counters of the next device."""
        return {"selection": torch.zeros(1, **WHOLE)} if self.counter == "global" else selection(view)

    def plan(self, asked: Asked, state: SchemeState, *, generator: torch.Generator) -> PulsePlan:
        """See `UpdateScheme.plan`."""
        pulses = whole(asked.change / asked.view.weight_step)
        synapses = pulses.nonzero().squeeze(1)
        if self.counter == "synapse":
            return deal(synapses, pulses[synapses], asked.view, state)
        return self._on_one_device(synapses, pulses[synapses].long(), asked.view, state)

    def _on_one_device(
        self, synapses: torch.Tensor, pulses: torch.Tensor, view: ArrayView, state: SchemeState
    ) -> PulsePlan:
        device = int(state["selection"])
        state["selection"].fill_((device + 1) % view.devices)
        cells = view.shape[0] * view.shape[1]
        flat = ((pulses < 0).long() * view.devices + device) * cells + synapses
        return PulsePlan.build(flat, pulses.abs().clamp(max=LONGEST_TRAIN))
