"""Backpropagation through time by surrogate gradients, with the substrate in the loop.

The forward pass is whatever the substrate did: its spikes and voltages, with read noise, drift and
mismatch. The backward pass is the nominal model's, at those values: each derivative is that of
homogeneous neurons with the stored weights, evaluated at what was recorded (Cramer et al., PNAS 119,
e2109194119, 2022). With adjoints ``d.[t]`` of voltage v, synaptic current i, adaptation b and spike z::

    dz[t] = W_out dy[t] + W_rec di[t+1] - threshold dv[t+1] + db[t+1] + firing-rate term
    dv[t] = alpha dv[t+1] + psi[t] dz[t]
    db[t] = rho db[t+1] - beta psi[t] dz[t]
    di[t] = synapse di[t+1] + gain dv[t]

where ``dy[t] = kappa dy[t+1] + gain_out error[t]`` holds the readout's gain already. The gradient of a
weight is the sum of its target's di over the spikes that arrive. E-prop is what is left without the
terms of later spikes and of the reset, and with other feedback than W_out.
"""

from __future__ import annotations

import numpy as np
import torch

from pcmsim.foundation.compiled import njit
from training.eprop import Gradients
from training.kernels import Activity, Signals, gather, no_self, slopes
from training.neurons import Dynamics, Floats
from training.spikes import Spikes


@njit(nogil=True)
def _spread_back(weights: Floats, later: Floats, by_spike: Floats) -> None:
    """Add ``weights^T later``, without the targets that say nothing."""
    for k in range(later.size):
        if later[k] != 0.0:
            for j in range(by_spike.size):
                by_spike[j] += weights[k, j] * later[k]


@njit(nogil=True)
def _gradients(
    dynamics: Dynamics, signals: Signals, recurrent: Floats, activity: Activity, inputs: Spikes, fan_in: int
) -> tuple[Floats, Floats, Floats]:
    cell, out, dtype = dynamics.cell, dynamics.out, dynamics.cell.alpha.dtype
    steps, width = activity.voltage.shape
    outputs = out.kappa.size
    g_in, g_rec = np.zeros((fan_in, width), dtype), np.zeros((width, width), dtype)
    g_out = np.zeros((width, outputs), dtype)
    by_voltage, by_current, by_rise = np.zeros(width, dtype), np.zeros(width, dtype), np.zeros(width, dtype)
    by_output, by_spike = np.zeros(outputs, dtype), np.empty(width, dtype)
    level, slope = np.zeros(width, dtype), np.empty(width, dtype)
    later_one = dtype.type(0.0)
    for t in range(steps - 1, -1, -1):
        later_one = dtype.type(dynamics.decay * later_one + dynamics.gain)
        for k in range(outputs):
            by_output[k] = out.kappa[k] * by_output[k] + out.gain[k] * signals.error[t, k]
        for j in range(width):
            own = by_rise[j] - cell.threshold[j] * by_voltage[j]
            by_spike[j] = own + signals.filtered[j] * later_one + signals.unfiltered[j]
        _spread_back(signals.feedback, by_output, by_spike)
        _spread_back(recurrent, by_current, by_spike)
        slopes(dynamics, activity, t, level, slope)
        for j in range(width):
            through = slope[j] * by_spike[j]
            by_voltage[j] = cell.alpha[j] * by_voltage[j] + through
            by_rise[j] = cell.rho[j] * by_rise[j] - cell.beta[j] * through
            by_current[j] = cell.synapse[j] * by_current[j] + cell.gain[j] * by_voltage[j]
        gather(inputs, t, by_current, g_in)
        if t > 0:
            gather(activity.hidden, t - 1, by_current, g_rec)
        gather(activity.hidden, t, by_output, g_out)
    no_self(g_rec)
    return g_in, g_rec, g_out


def trial_gradients(
    dynamics: Dynamics, driving: Signals, recurrent: Floats, activity: Activity, inputs: Spikes, fan_in: int
) -> Gradients:
    """Whole-trial gradients of input, recurrent and output weights, ``pre, post`` each.

    Parameters
    ----------
    dynamics : Dynamics
        Constants that the backward pass assumes (`Network.assumed`).
    driving : Signals
        From `eprop.signals`, with the output weights as feedback.
    recurrent : numpy.ndarray
        Recurrent weights, ``pre, post``.
    activity : Activity
        What the substrate did.
    inputs : Spikes
        Input events of the trial.
    fan_in : int
        Number of input neurons.
    """
    back = np.ascontiguousarray(recurrent.T, activity.voltage.dtype)
    g_in, g_rec, g_out = _gradients(dynamics, driving, back, activity, inputs, fan_in)
    return torch.from_numpy(g_in), torch.from_numpy(g_rec), torch.from_numpy(g_out)
