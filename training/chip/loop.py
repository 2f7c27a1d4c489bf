"""The time loop that meets its weights on a chip: the neurons step here, sums come from there.

Inputs of all steps of a stretch are known, so their sums are asked for in one batch; what recurrent spikes
send is asked for step by step, because each step decides who spikes next; the readout's sums come in one
batch at the end. Same order of additions as `kernels.simulate`, therefore the same numbers.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from training.chip.base import ChipReads
from training.kernels import Activity, Carry, hidden_step, readout_step
from training.neurons import Dynamics, Floats
from training.spikes import Spikes


def run(
    dynamics: Dynamics,
    arrays: tuple[ChipReads, ChipReads, ChipReads],
    inputs: Spikes,
    noise: tuple[Floats, Floats],
    carry: Carry,
    first_step: int,
) -> Activity:
    """What `kernels.simulate` does, on a chip; parameters and result as there."""
    w_in, w_rec, w_out = arrays
    dtype, hidden, outputs = carry.voltage.dtype, carry.voltage.size, carry.output.size
    current, drive = np.zeros((inputs.steps, hidden), dtype), np.zeros((inputs.steps, outputs), dtype)
    voltage = np.empty((inputs.steps, hidden), dtype)
    raised = np.empty((0 if dynamics.plain else inputs.steps, hidden), dtype)
    w_in.add(inputs, first_step, current)
    start, events = np.zeros(inputs.steps + 1, np.int64), np.empty(inputs.steps * hidden, np.int32)
    fired = np.flatnonzero(carry.spiked).astype(np.int32)
    for t in range(inputs.steps):
        w_rec.add(_one_step(fired), first_step + t, current[t : t + 1])
        received = (current[t], np.zeros(hidden, dtype), noise[0][t])
        count = hidden_step(dynamics, received, carry, voltage[t], raised[t : t + 1], events[start[t] :])
        start[t + 1] = start[t] + count
        fired = events[start[t] : start[t + 1]]
    spikes = Spikes(start, events[: start[-1]].copy())
    w_out.add(spikes, first_step, drive)
    return Activity(voltage, spikes, _readout(dynamics, drive, noise[1], carry), raised)


def _one_step(fired: npt.NDArray[np.int32]) -> Spikes:
    return Spikes(np.array([0, fired.size], np.int64), fired)


@njit(nogil=True, cache=True)
def _readout(dynamics: Dynamics, drive: Floats, noise: Floats, carry: Carry) -> Floats:
    output, exact = np.empty_like(drive), np.zeros(drive.shape[1], drive.dtype)
    for t in range(drive.shape[0]):
        readout_step(dynamics, (drive[t], exact, noise[t]), carry, output[t])
    return output
