"""The time loop that meets its weights on a chip: the neurons step here, sums come from there.

Inputs of all steps of a stretch are known, so their sums are asked for in one batch; what recurrent spikes
send is asked for step by step, because each step decides who spikes next; the readout's sums come in one
batch at the end. Same order of additions as `kernels.simulate`, therefore the same numbers, which a test holds;
its steps stand here once more because taken out of its loop they cost a tenth of its speed.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from pcmsim.foundation.compiled import njit
from training.chip.base import ChipReads
from training.kernels import Activity, Carry, filter_currents, raise_thresholds
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
        count = _hidden_step(dynamics, received, carry, voltage[t], raised[t : t + 1], events[start[t] :])
        start[t + 1] = start[t] + count
        fired = events[start[t] : start[t + 1]]
    spikes = Spikes(start, events[: start[-1]].copy())
    w_out.add(spikes, first_step, drive)
    return Activity(voltage, spikes, _readout(dynamics, drive, noise[1], carry), raised)


def _one_step(fired: npt.NDArray[np.int32]) -> Spikes:
    return Spikes(np.array([0, fired.size], np.int64), fired)


@njit(nogil=True)
def _hidden_step(
    dynamics: Dynamics,
    received: tuple[Floats, Floats, Floats],
    carry: Carry,
    voltage: Floats,
    raised: Floats,
    fired: npt.NDArray[np.int32],
) -> int:
    """One step of the hidden neurons.

    Parameters
    ----------
    dynamics : Dynamics
        Constants.
    received : tuple of numpy.ndarray
        What arrives at each neuron, its variance, and standard normals, ``hidden``; overwritten.
    carry : Carry
        State; advances.
    voltage : numpy.ndarray
        ``hidden``; filled.
    raised : numpy.ndarray
        ``1, hidden``, filled; no rows where neurons neither adapt nor pause.
    fired : numpy.ndarray
        Filled from its start with the neurons that spike.

    Returns
    -------
    int
        How many spike.
    """
    cell, plain = dynamics.cell, dynamics.plain
    current, variance, noise = received
    v, z = carry.voltage, carry.spiked
    if dynamics.filtered:
        filter_currents(dynamics, carry, current, variance, noise)
    for j in range(v.size):
        arriving = current[j] + math.sqrt(variance[j]) * noise[j]
        v[j] = cell.alpha[j] * v[j] + cell.gain[j] * arriving - (cell.threshold[j] if z[j] else 0.0)
        voltage[j] = v[j]
    if not plain:
        raise_thresholds(dynamics, carry, raised[0])
    count = 0
    for j in range(v.size):
        z[j] = v[j] > (cell.limit[j] if plain else cell.limit[j] + raised[0, j])
        if z[j]:
            fired[count] = j
            count += 1
    return count


@njit(nogil=True)
def _readout_step(dynamics: Dynamics, received: tuple[Floats, Floats, Floats], carry: Carry, output: Floats) -> None:
    """One step of the readout, ``output``; arguments as in `_hidden_step`."""
    drive, variance, noise = received
    y, out = carry.output, dynamics.out
    for k in range(y.size):
        arriving = drive[k] + math.sqrt(variance[k]) * noise[k]
        y[k] = out.kappa[k] * y[k] + out.gain[k] * arriving
        output[k] = y[k]


@njit(nogil=True)
def _readout(dynamics: Dynamics, drive: Floats, noise: Floats, carry: Carry) -> Floats:
    output, exact = np.empty_like(drive), np.zeros(drive.shape[1], drive.dtype)
    for t in range(drive.shape[0]):
        _readout_step(dynamics, (drive[t], exact, noise[t]), carry, output[t])
    return output
