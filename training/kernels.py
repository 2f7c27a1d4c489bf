"""The compiled time loops: event-driven, free of the GIL, all randomness passed in.

Forward, only the rows of neurons that spiked are read. Backward, the e-prop gradient
``sum_t L_j[t] ebar_ji[t]`` is rearranged until nothing synapse-sized depends on time: run two
filters backwards over time, ``M = kappa-filter(L)`` and ``Q_j = alpha_j-filter(psi_j M_j)``; then
the gradient is the sum of ``Q_j[t]`` over the presynaptic spikes that arrive at t. Its cost
follows the spikes, not the synapses times the steps. For adaptive neurons the trace's recursion
``eps[t] = psi[t-1] p[t-1] + (rho - psi[t-1] beta) eps[t-1]``, ``e = psi (p - beta eps)`` runs backwards
the same way, once per neuron: ``R[t] = rho R[t+1] - beta psi[t] (M[t] + R[t+1])`` joins M[t]. Where
synapses filter, p is filtered twice forward, and so is Q backward: ``S = synapse-filter(Q)`` is summed.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pcmsim.core import Converters, convert
from pcmsim.counter import normal
from pcmsim.foundation.compiled import njit
from training.neurons import Dynamics, Floats, Neurons
from training.spikes import Spikes


class RowReads(NamedTuple):
    """How the rows of one weight array read.

    Parameters
    ----------
    mean : numpy.ndarray
        Mean effective weights, ``pre, post``; used unless `location` is given.
    variance : numpy.ndarray
        Variance of one read, ``pre, post``; empty where reads are exact.
    location, scale, upper : numpy.ndarray
        Read distribution of every device, ``sign, device, pre, post``; empty unless reads are
        drawn per device.
    lower : float
        Lower bound of a read.
    key : int
        Key of the per-device noise.
    factor : numpy.ndarray
        Fixed factor of what a synapse's devices read together, ``pre, post``; empty where there is none.
    kept : numpy.ndarray
        Share of a device's read that is left, ``sign, 1, pre, post``; empty where it is all.
    core : Converters
        What the sums of its columns pass through.
    """

    mean: Floats
    variance: Floats
    location: Floats
    scale: Floats
    upper: Floats
    lower: float
    key: int
    factor: Floats
    kept: Floats
    core: Converters


class Carry(NamedTuple):
    """What one stretch of a trial hands to the next.

    Parameters
    ----------
    voltage, spiked, output : numpy.ndarray
        Of the last step, ``hidden``, ``hidden`` and ``output``.
    adaptation : numpy.ndarray
        Decaying count of each neuron's spikes, ``hidden``.
    resting : numpy.ndarray
        Steps for which each neuron stays silent, ``hidden``.
    current : numpy.ndarray
        Synaptic current, ``hidden``; unused where synapses do not filter.
    """

    voltage: Floats
    spiked: npt.NDArray[np.bool_]
    output: Floats
    adaptation: Floats
    resting: npt.NDArray[np.int64]
    current: Floats


class Activity(NamedTuple):
    """What the network did.

    Parameters
    ----------
    voltage : numpy.ndarray
        ``time, hidden``.
    hidden : Spikes
        Hidden events.
    output : numpy.ndarray
        ``time, output``.
    raised : numpy.ndarray
        By how much adaptation raised each threshold, infinite while a neuron is refractory: ``time, hidden``; empty
        where neurons do neither.
    """

    voltage: Floats
    hidden: Spikes
    output: Floats
    raised: Floats


class Signals(NamedTuple):
    """What drives learning.

    Parameters
    ----------
    error : numpy.ndarray
        ``time, output``: derivative of the loss by the output.
    feedback : numpy.ndarray
        ``output, hidden``.
    filtered : numpy.ndarray
        ``hidden``: learning signal that is constant over the trial, through the filtered trace.
    unfiltered : numpy.ndarray
        ``hidden``: the same through the unfiltered trace.
    """

    error: Floats
    feedback: Floats
    filtered: Floats
    unfiltered: Floats


@njit(nogil=True)
def _read_devices(reads: RowReads, row: int, time: int, current: Floats) -> None:
    _, devices, rows, columns = reads.location.shape
    base = (np.int64(time) * rows + row) * columns * devices
    for d in range(devices):
        for j in range(columns):
            address = 2 * (base + d * columns + j)
            up = reads.location[0, d, row, j] + reads.scale[0, d, row, j] * normal(reads.key, address)
            down = reads.location[1, d, row, j] + reads.scale[1, d, row, j] * normal(reads.key, address + 1)
            up = min(max(up, reads.lower), reads.upper[0, d, row, j])
            down = min(max(down, reads.lower), reads.upper[1, d, row, j])
            if reads.kept.size > 0:
                up, down = up * reads.kept[0, 0, row, j], down * reads.kept[1, 0, row, j]
            current[j] += up - down if reads.factor.size == 0 else reads.factor[row, j] * (up - down)


@njit(nogil=True)
def _add(total: Floats, row: Floats) -> None:
    """Add a row of a matrix; as a function of its own it becomes vector instructions."""
    for j in range(total.size):
        total[j] += row[j]


@njit(nogil=True)
def _read_row(reads: RowReads, row: int, time: int, current: Floats, variance: Floats) -> None:
    if reads.location.size > 0:
        _read_devices(reads, row, time, current)
        return
    _add(current, reads.mean[row])
    if reads.variance.size > 0:
        _add(variance, reads.variance[row])


@njit(nogil=True)
def _receive_core(
    reads: RowReads, rows: npt.NDArray[np.int32], time: int, tile: int, sums: Floats, held: Floats
) -> None:
    """Add what one row of cores makes of the rows that spiked."""
    held[:] = 0.0
    active = False
    for row in rows:
        if row // reads.core.rows == tile:
            active = True
            _read_row(reads, row, time, held[0], held[1])
    if active:
        address = -((np.int64(time) * reads.core.gain.shape[0] + tile + 1) * sums.size)
        convert(reads.core, tile, (held[0], held[1]), (reads.key, address), sums)


@njit(nogil=True)
def partial_sums(reads: RowReads, spikes: Spikes, first_step: int, sums: Floats) -> None:
    """Add what each row of cores makes of the rows that spiked in each step, before any of it is added up.

    Parameters
    ----------
    reads : RowReads
        An array on cores.
    spikes : Spikes
        Events of its rows.
    first_step : int
        Index of the first step within the trial: the address of the noise.
    sums : numpy.ndarray
        ``time, core row, post``, float64: what a sum in single precision adds step by step, it adds alike.
    """
    held = np.empty((2, sums.shape[2]), reads.core.gain.dtype)
    for t in range(sums.shape[0]):
        rows = spikes.neuron[spikes.start[t] : spikes.start[t + 1]]
        for tile in range(sums.shape[1]):
            _receive_core(reads, rows, first_step + t, tile, sums[t, tile], held)


@njit(nogil=True)
def _through_cores(reads: RowReads, rows: npt.NDArray[np.int32], time: int, current: Floats, held: Floats) -> None:
    """Add what the rows that spiked send through their cores; one whose rows are all silent converts nothing."""
    for tile in range(reads.core.gain.shape[0]):
        _receive_core(reads, rows, time, tile, current, held)


@njit(nogil=True, inline="always")
def _receive(
    reads: RowReads, rows: npt.NDArray[np.int32], time: int, current: Floats, variance: Floats, held: Floats
) -> None:
    """Add what the rows that spiked send to each target; `held`, ``2, post``, is working memory for cores."""
    if reads.core.gain.size > 0:
        _through_cores(reads, rows, time, current, held)
    else:
        for row in rows:
            _read_row(reads, row, time, current, variance)


@njit(nogil=True)
def raise_thresholds(dynamics: Dynamics, carry: Carry, raised: Floats) -> None:
    """Let thresholds adapt and neurons pause, by who spiked in the step before; into `raised`, ``hidden``."""
    cell = dynamics.cell
    for j in range(raised.size):
        carry.adaptation[j] *= cell.rho[j]
        if carry.spiked[j]:
            carry.adaptation[j] += 1.0
            carry.resting[j] = dynamics.refractory
        carry.resting[j] = max(carry.resting[j] - 1, 0)
        raised[j] = np.inf if carry.resting[j] > 0 else cell.beta[j] * carry.adaptation[j]


@njit(nogil=True)
def filter_currents(dynamics: Dynamics, carry: Carry, current: Floats, variance: Floats, noise: Floats) -> None:
    """Let what arrives, noise included, pass through the synapses."""
    for j in range(current.size):
        arriving = current[j] + math.sqrt(variance[j]) * noise[j]
        carry.current[j] = dynamics.cell.synapse[j] * carry.current[j] + arriving
        current[j] = carry.current[j]
        variance[j] = 0.0


@njit(nogil=True)
def simulate(
    dynamics: Dynamics,
    arrays: tuple[RowReads, RowReads, RowReads],
    inputs: Spikes,
    noise: tuple[Floats, Floats],
    carry: Carry,
    first_step: int,
) -> Activity:
    """Run the network over a stretch of time.

    Parameters
    ----------
    dynamics : Dynamics
        Constants of the hidden and readout layer.
    arrays : tuple of RowReads
        Input, recurrent and output weights.
    inputs : Spikes
        Input events of this stretch.
    noise : tuple of numpy.ndarray
        Standard normals of the output-referred read noise: ``time, hidden`` and ``time, output``.
    carry : Carry
        State to start from; overwritten with the state at the end.
    first_step : int
        Index of the first step within the trial: the address of per-device noise.

    Returns
    -------
    Activity
    """
    cell, out = dynamics.cell, dynamics.out
    w_in, w_rec, w_out = arrays
    noise_hidden, noise_out = noise
    steps, hidden, outputs = inputs.start.size - 1, cell.alpha.size, out.kappa.size
    plain = dynamics.plain
    voltage = np.empty((steps, hidden), cell.alpha.dtype)
    raised = np.empty((0 if plain else steps, hidden), cell.alpha.dtype)
    output = np.empty((steps, outputs), cell.alpha.dtype)
    start = np.zeros(steps + 1, np.int64)
    events = np.empty(steps * hidden, np.int32)
    current, variance = np.empty(hidden, cell.alpha.dtype), np.empty(hidden, cell.alpha.dtype)
    drive, drive_variance = np.empty(outputs, cell.alpha.dtype), np.empty(outputs, cell.alpha.dtype)
    held, held_out = np.empty((2, hidden), cell.alpha.dtype), np.empty((2, outputs), cell.alpha.dtype)
    v, z, y = carry.voltage, carry.spiked, carry.output
    fired = np.flatnonzero(z).astype(np.int32)
    count = 0
    for t in range(steps):
        current[:] = 0.0
        variance[:] = 0.0
        _receive(w_in, inputs.neuron[inputs.start[t] : inputs.start[t + 1]], first_step + t, current, variance, held)
        _receive(w_rec, fired, first_step + t, current, variance, held)
        if dynamics.filtered:
            filter_currents(dynamics, carry, current, variance, noise_hidden[t])
        for j in range(hidden):
            received = current[j] + math.sqrt(variance[j]) * noise_hidden[t, j]
            v[j] = cell.alpha[j] * v[j] + cell.gain[j] * received - (cell.threshold[j] if z[j] else 0.0)
            voltage[t, j] = v[j]
        if not plain:
            raise_thresholds(dynamics, carry, raised[t])
        drive[:] = 0.0
        drive_variance[:] = 0.0
        for j in range(hidden):
            z[j] = v[j] > (cell.limit[j] if plain else cell.limit[j] + raised[t, j])
            if z[j]:
                events[count] = j
                count += 1
        start[t + 1] = count
        fired = events[start[t] : count]
        _receive(w_out, fired, first_step + t, drive, drive_variance, held_out)
        for k in range(outputs):
            received = drive[k] + math.sqrt(drive_variance[k]) * noise_out[t, k]
            y[k] = out.kappa[k] * y[k] + out.gain[k] * received
            output[t, k] = y[k]
    return Activity(voltage, Spikes(start, events[:count].copy()), output, raised)


@njit(nogil=True, error_model="numpy")
def pseudo_derivative(voltage: float, threshold: float, raised: Any, surrogate: float, steepness: float) -> float:
    """Stand-in for the derivative of the spike, of height `surrogate`.

    With d the distance to the present threshold over the threshold at rest: the triangle
    ``max(0, 1 - d)`` where `steepness` is 0, else SuperSpike's ``1 / (1 + steepness d)^2``.
    """
    distance = abs(voltage - (threshold + raised)) / threshold
    if steepness > 0.0:
        return surrogate / (1.0 + steepness * distance) ** 2
    return surrogate * max(0.0, 1.0 - distance)


@njit(nogil=True, error_model="numpy")
def _slopes(cell: Neurons, steepness: float, voltage: Floats, raised: Floats, slope: Floats) -> None:
    for j in range(slope.size):
        slope[j] = pseudo_derivative(voltage[j], cell.threshold[j], raised[j], cell.surrogate[j], steepness)


@njit(nogil=True)
def slopes(dynamics: Dynamics, activity: Activity, t: int, level: Floats, slope: Floats) -> None:
    """Pseudo-derivative of every hidden neuron at step t, into `slope`; `level`: zeros, for thresholds at rest."""
    raised = level if activity.raised.shape[0] == 0 else activity.raised[t]
    _slopes(dynamics.cell, dynamics.steepness, activity.voltage[t], raised, slope)


@njit(nogil=True)
def gather(spikes: Spikes, t: int, arriving: Floats, gradient: Floats) -> None:
    """Add what arrives at each target to the row of every source that spiked at step t."""
    for e in range(spikes.start[t], spikes.start[t + 1]):
        _add(gradient[spikes.neuron[e]], arriving)


@njit(nogil=True)
def no_self(gradient: Floats) -> None:
    """No gradient from a neuron to itself."""
    for j in range(gradient.shape[0]):
        gradient[j, j] = 0.0


@njit(nogil=True)
def gradients(
    dynamics: Dynamics, signals: Signals, activity: Activity, inputs: Spikes, fan_in: int
) -> tuple[Floats, Floats, Floats]:
    """Whole-trial e-prop gradients, by two backward filters and the presynaptic events.

    Parameters
    ----------
    dynamics : Dynamics
        Constants that the eligibility assumes: nominal or true.
    signals : Signals
        What drives learning.
    activity : Activity
        The trial.
    inputs : Spikes
        Its input events.
    fan_in : int
        Number of input neurons.

    Returns
    -------
    tuple of numpy.ndarray
        Gradients of input, recurrent and output weights, ``pre, post`` each.
    """
    cell, out, decay, gain = dynamics.cell, dynamics.out, dynamics.decay, dynamics.gain
    hidden = activity.hidden
    steps, width = activity.voltage.shape
    outputs = out.kappa.size
    dtype = cell.alpha.dtype
    g_in, g_rec = np.zeros((fan_in, width), dtype), np.zeros((width, width), dtype)
    g_out = np.zeros((width, outputs), dtype)
    q, psi_m, later_rise = np.zeros(width, dtype), np.zeros(width, dtype), np.zeros(width, dtype)
    level, slope = np.zeros(width, dtype), np.empty(width)
    arriving = np.zeros(width, dtype) if dynamics.filtered else q
    later_error, later_error_out = np.zeros(outputs, dtype), np.zeros(outputs, dtype)
    later_one = dtype.type(0.0)
    for t in range(steps - 1, -1, -1):
        later_one = dtype.type(decay * later_one + gain)
        for k in range(outputs):
            later_error[k] = decay * later_error[k] + gain * signals.error[t, k]
            later_error_out[k] = out.kappa[k] * later_error_out[k] + out.gain[k] * signals.error[t, k]
        for j in range(width):
            psi_m[j] = signals.filtered[j] * later_one + signals.unfiltered[j]
        for k in range(outputs):
            feedback, later = signals.feedback[k], later_error[k]
            for j in range(width):
                psi_m[j] += feedback[j] * later
        slopes(dynamics, activity, t, level, slope)
        for j in range(width):
            signal = psi_m[j] + later_rise[j]
            q[j] = cell.alpha[j] * q[j] + cell.gain[j] * slope[j] * signal
            later_rise[j] = cell.rho[j] * later_rise[j] - slope[j] * cell.beta[j] * signal
        if dynamics.filtered:
            for j in range(width):
                arriving[j] = cell.synapse[j] * arriving[j] + q[j]
        gather(inputs, t, arriving, g_in)
        if t > 0:
            gather(hidden, t - 1, arriving, g_rec)
        gather(hidden, t, later_error_out, g_out)
    no_self(g_rec)
    return g_in, g_rec, g_out
