"""Truly online e-prop: per-synapse traces that advance step by step.

The whole-trial gradient of `eprop.trial_gradients` needs the trial to end; these traces do not, so
that weights can change inside a trial. Both give the same numbers when the update waits.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from pcmsim.foundation.compiled import njit
from training import spikes
from training.config import LearningConfig
from training.eprop import Gradients, pressure
from training.kernels import Activity, slopes
from training.network import Network
from training.neurons import Dynamics, Floats
from training.spikes import Spikes


class Traces(NamedTuple):
    """Per-synapse state of truly online e-prop, for one weight array, ``pre, post`` each.

    Parameters
    ----------
    current : numpy.ndarray
        Presynaptic spikes through the synapse's filter; empty where synapses do not filter.
    membrane : numpy.ndarray
        The same through the postsynaptic membrane's filter.
    rise : numpy.ndarray
        What those spikes contributed to the postsynaptic neuron's adaptation.
    filtered : numpy.ndarray
        Eligibility through the readout's filter.
    by_signal : numpy.ndarray
        Sum over time of learning signal times filtered eligibility.
    sum_filtered, sum_unfiltered : numpy.ndarray
        Sums over time of filtered and unfiltered eligibility, for the rate regularisation.
    """

    current: Floats
    membrane: Floats
    rise: Floats
    filtered: Floats
    by_signal: Floats
    sum_filtered: Floats
    sum_unfiltered: Floats


class OnlineState(NamedTuple):
    """Everything that truly online e-prop carries from step to step.

    Parameters
    ----------
    input, recurrent : Traces
        Per-synapse traces.
    spiked : numpy.ndarray
        ``hidden``: who spiked in the step before.
    readout_trace : numpy.ndarray
        ``hidden, output``: hidden spikes through the readout's filter.
    by_error : numpy.ndarray
        ``hidden, output``: gradient of the output weights so far.
    """

    input: Traces
    recurrent: Traces
    spiked: npt.NDArray[np.bool_]
    readout_trace: Floats
    by_error: Floats


@njit(nogil=True)
def _advance(traces: Traces, dynamics: Dynamics, slope: Floats, signal: Floats, arrived: npt.NDArray[np.bool_]) -> None:
    cell = dynamics.cell
    rows, columns = traces.membrane.shape
    filtered = dynamics.filtered
    for i in range(rows):
        if filtered:
            for j in range(columns):
                traces.current[i, j] = cell.synapse[j] * traces.current[i, j] + (1.0 if arrived[i] else 0.0)
                traces.membrane[i, j] = cell.alpha[j] * traces.membrane[i, j] + cell.gain[j] * traces.current[i, j]
        else:
            for j in range(columns):
                spike = cell.gain[j] if arrived[i] else 0.0
                traces.membrane[i, j] = cell.alpha[j] * traces.membrane[i, j] + spike
        for j in range(columns):
            through = traces.membrane[i, j] - cell.beta[j] * traces.rise[i, j]
            eligibility = slope[j] * through
            traces.rise[i, j] = cell.rho[j] * traces.rise[i, j] + eligibility
            traces.filtered[i, j] = dynamics.decay * traces.filtered[i, j] + dynamics.gain * eligibility
            traces.by_signal[i, j] += signal[j] * traces.filtered[i, j]
            traces.sum_filtered[i, j] += traces.filtered[i, j]
            traces.sum_unfiltered[i, j] += eligibility


@njit(nogil=True)
def _advance_readout(state: OnlineState, dynamics: Dynamics, error: Floats) -> None:
    out = dynamics.out
    for j in range(state.spiked.size):
        for k in range(error.size):
            arrived = out.gain[k] if state.spiked[j] else 0.0
            state.readout_trace[j, k] = out.kappa[k] * state.readout_trace[j, k] + arrived
            state.by_error[j, k] += error[k] * state.readout_trace[j, k]


@njit(nogil=True)
def _mark(spikes: Spikes, t: int, arrived: npt.NDArray[np.bool_]) -> None:
    arrived[:] = False
    for e in range(spikes.start[t], spikes.start[t + 1]):
        arrived[spikes.neuron[e]] = True


@njit(nogil=True)
def _advance_all(
    dynamics: Dynamics, error: Floats, feedback: Floats, activity: Activity, inputs: Spikes, state: OnlineState
) -> None:
    """Advance truly online e-prop over a stretch of time, step by step, in place.

    Parameters
    ----------
    dynamics : Dynamics
        Constants that the eligibility assumes.
    error, feedback : numpy.ndarray
        ``time, output`` and ``output, hidden``.
    activity : Activity
        The stretch.
    inputs : Spikes
        Its input events.
    state : OnlineState
        Traces and sums, overwritten.
    """
    cell = dynamics.cell
    width, outputs = state.readout_trace.shape
    arrived = np.zeros(state.input.membrane.shape[0], np.bool_)
    level = np.zeros(width, cell.alpha.dtype)
    slope, signal = np.empty_like(level), np.empty_like(level)
    for t in range(activity.voltage.shape[0]):
        _mark(inputs, t, arrived)
        slopes(dynamics, activity, t, level, slope)
        for j in range(width):
            signal[j] = 0.0
            for k in range(outputs):
                signal[j] += feedback[k, j] * error[t, k]
        _advance(state.input, dynamics, slope, signal, arrived)
        _advance(state.recurrent, dynamics, slope, signal, state.spiked)
        _mark(activity.hidden, t, state.spiked)
        _advance_readout(state, dynamics, error[t])


class OnlineEprop:
    """Truly online e-prop: per-synapse traces that advance step by step.

    Give it the trial in stretches, in order; ask for the gradient whenever an update is due. Asked
    once at the end, it equals `trial_gradients`.

    Parameters
    ----------
    network : Network
        Constants of neurons and traces.
    config : LearningConfig
        Learning settings.
    fan_in : int
        Number of input neurons.
    steps : int
        Time steps of the whole trial, over which the rate regularisation averages the unfiltered trace.
    """

    def __init__(self, network: Network, config: LearningConfig, fan_in: int, steps: int) -> None:
        self._config, self._dt, self._dtype, self._whole = config, network.config.dt, network.dtype, steps
        self._dynamics = network.assumed(config.eligibility)
        hidden, outputs = network.dynamics.cell.alpha.size, network.dynamics.out.kappa.size
        self._state = OnlineState(
            _blank(fan_in, hidden, self._dynamics.filtered, network.dtype),
            _blank(hidden, hidden, self._dynamics.filtered, network.dtype),
            np.zeros(hidden, np.bool_),
            np.zeros((hidden, outputs), network.dtype),
            np.zeros((hidden, outputs), network.dtype),
        )
        self._spike_counts, self._steps = np.zeros(hidden, np.int64), 0

    def advance(self, activity: Activity, inputs: Spikes, error: Floats, feedback: Floats) -> None:
        """Move all traces over one stretch of the trial."""
        error, feedback = (np.ascontiguousarray(values, self._dtype) for values in (error, feedback))
        _advance_all(self._dynamics, error, feedback, activity, inputs, self._state)
        self._spike_counts += spikes.counts(activity.hidden, self._spike_counts.size)
        self._steps += activity.voltage.shape[0]

    def take_gradients(self) -> Gradients:
        """Gradients since the last call; traces go on, sums start anew.

        Over a trial they sum to the whole-trial gradient, but for the rate, which counts the spikes so far.
        """
        rate = self._spike_counts / (self._steps * self._dt)
        by_rate, state = pressure(self._config, rate), self._state
        g_in, g_rec = (torch.from_numpy(self._gathered(t, by_rate)) for t in (state.input, state.recurrent))
        g_out = torch.from_numpy(state.by_error.copy())
        for sums in (state.by_error, *_sums(state.input), *_sums(state.recurrent)):
            sums[:] = 0.0
        return g_in, g_rec.fill_diagonal_(0.0), g_out

    def _gathered(self, traces: Traces, by_rate: Floats) -> Floats:
        through = traces.sum_filtered if self._config.rate_trace == "filtered" else traces.sum_unfiltered / self._whole
        gathered: Floats = (traces.by_signal + by_rate * through).astype(self._dtype)
        return gathered


def _sums(traces: Traces) -> tuple[Floats, ...]:
    return traces.by_signal, traces.sum_filtered, traces.sum_unfiltered


def _blank(rows: int, columns: int, filtered: bool, dtype: npt.DTypeLike) -> Traces:
    traces = Traces(*(np.zeros((rows, columns), dtype) for _ in Traces._fields))
    return traces if filtered else traces._replace(current=np.empty((0, 0), dtype))
