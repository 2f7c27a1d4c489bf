"""Gradients gather digitally; whole quanta go to the devices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from pcmsim.array import ArrayView
from pcmsim.digital import quantise
from pcmsim.plan import PulsePlan
from training.schemes.base import SCHEMES, Asked, SchemeState, UpdateScheme, deal, selection, whole


@SCHEMES.register("mixed-precision")
@dataclass(frozen=True)
class MixedPrecision(UpdateScheme):
    """An accumulator per synapse; what exceeds a quantum is written in whole pulses and subtracted.

    The quantum is the grain of the set weight precision (4 bits: 0.125), or one pulse in floating
    point; quanta and pulses are truncated toward zero, and a quantum smaller than a pulse stays in
    the accumulator until a pulse is due. Nandakumar et al. 2020 (doi:10.3389/fnins.2020.00406),
    Demirag et al. 2021 (arXiv:2108.01804).
    """

    uses_weight_bits: ClassVar[bool] = True
    summary: ClassVar[str] = "Gradients gather in a digital accumulator; only whole quanta are written to the devices."

    def init(self, view: ArrayView) -> SchemeState:
        """An empty accumulator [weight] and the counters of the next device."""
        return {"accumulator": torch.zeros(view.shape), **selection(view)}

    def update(self, asked: Asked, state: SchemeState, *, generator: torch.Generator) -> PulsePlan:
        """See `UpdateScheme.update`."""
        view, precision = asked.view, asked.precision
        gathered = state["accumulator"].add_(asked.gradient, alpha=-asked.lr)
        if precision.accumulator_bits is not None:
            gathered.copy_(quantise(gathered, precision.accumulator_bits))
        quantum = precision.weight_grain or view.weight_step * view.devices
        flat = gathered.view(-1)
        synapses = (flat.abs() >= quantum * (1.0 - 1e-6)).nonzero().squeeze(1)
        quanta = whole(flat[synapses] / quantum) * quantum
        pulses = whole(quanta / view.weight_step)
        flat[synapses] -= torch.where(pulses != 0, quanta, 0.0)
        return deal(synapses, pulses, view, state)
