"""Gradients gather digitally; whole quanta go to the devices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from pcmsim.array import ArrayView
from pcmsim.digital import quantise
from pcmsim.foundation.compiled import njit
from pcmsim.foundation.tensors import SINGLE
from pcmsim.plan import PulsePlan
from training.schemes.base import (
    SCHEMES,
    Asked,
    Indices,
    SchemeState,
    Singles,
    UpdateScheme,
    deal,
    selection,
    whole_number,
)


@SCHEMES.register("mixed-precision")
@dataclass(frozen=True)
class MixedPrecision(UpdateScheme):
    """An accumulator per synapse; what exceeds a quantum is written in whole pulses and subtracted.

    The quantum is the grain of the set weight precision (4 bits over [-1, 1]: 0.125), or one pulse in floating
    point; quanta and pulses are truncated toward zero, and a quantum smaller than a pulse stays in
    the accumulator until a pulse is due. Nandakumar et al. 2020 (doi:10.3389/fnins.2020.00406),
    Demirag et al. 2021 (arXiv:2108.01804).
    """

    uses_weight_bits: ClassVar[bool] = True
    summary: ClassVar[str] = "Gradients gather in a digital accumulator; only whole quanta are written to the devices."

    def init(self, view: ArrayView) -> SchemeState:
        """An empty accumulator [weight] and the counters of the next device."""
        return {"accumulator": torch.zeros(view.shape, **SINGLE), **selection(view)}

    def plan(self, asked: Asked, state: SchemeState, *, generator: torch.Generator) -> PulsePlan:
        """See `UpdateScheme.plan`."""
        view, precision = asked.view, asked.precision
        gathered = state["accumulator"].add_(asked.gradient, alpha=-asked.lr)
        if precision.accumulator_bits is not None:
            gathered.copy_(quantise(gathered, precision.accumulator_bits, precision.weight_range))
        quantum = precision.weight_grain or view.weight_step * view.devices
        synapses, pulses = _take_quanta(gathered.numpy().reshape(-1), quantum, view.weight_step)
        return deal(torch.from_numpy(synapses), torch.from_numpy(pulses), view, state)


@njit(nogil=True)
def _take_quanta(gathered: Singles, quantum: float, step: float) -> tuple[Indices, Singles]:
    """Subtract the whole quanta of all synapses where they make a pulse; which synapses, and how many pulses."""
    grain, pulse, due = np.float32(quantum), np.float32(step), np.float32(quantum * (1.0 - 1e-6))
    most, taken = np.count_nonzero(np.abs(gathered) >= due), 0
    synapses, pulses = np.empty(most, np.int64), np.empty(most, np.float32)
    for i in range(gathered.size):
        if abs(gathered[i]) >= due:
            quanta = whole_number(gathered[i] / grain) * grain
            number = whole_number(quanta / pulse)
            if number != 0.0:
                gathered[i] -= quanta
                synapses[taken], pulses[taken] = i, number
                taken += 1
    return synapses[:taken], pulses[:taken]
