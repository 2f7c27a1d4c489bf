"""E-prop: learning signals, eligibility and gradients (Bellec et al., Nat. Commun. 11:3625, 2020).

The gradient of weight i -> j is ``sum_t L_j[t] ebar_ji[t]`` with the learning signal
``L_j = sum_k B_kj (y_k - y*_k)`` and the eligibility trace ``ebar = kappa-filter(psi_j p_i)``,
``p_i = alpha-filter(presynaptic spikes)``. A rate regularisation adds
``strength (rate_j - target)`` to L, or, through the unfiltered trace, averaged over the trial.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from pcmsim.foundation.tensors import SINGLE
from pcmsim.streams import Streams
from training import kernels, spikes, torch_loop
from training.config import LearningConfig
from training.kernels import Activity, Signals
from training.neurons import Dynamics, Floats
from training.spikes import Spikes

Gradients = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def random_feedback(outputs: int, hidden: int, gain: float, *, streams: Streams) -> torch.Tensor:
    """Random feedback weights, ``output, hidden``: normal, standard deviation gain * sqrt(2 / hidden)."""
    normal = torch.randn((outputs, hidden), generator=streams.at("feedback"), **SINGLE)
    return normal * (gain * math.sqrt(2.0 / hidden))


def rates(hidden: Spikes, width: int, dt: float) -> Floats:
    """Firing rate of each hidden neuron [Hz], from its spikes so far."""
    rate: Floats = spikes.counts(hidden, width) / (hidden.steps * dt)
    return rate


def pressure(config: LearningConfig, rate: Any) -> Any:
    """``strength (rate - target)``, the learning signal of the rate regularisation at these rates [Hz]."""
    return config.rate_strength * (rate - config.rate_target)


def signals(
    config: LearningConfig,
    feedback: Floats,
    error: Floats,
    activity: Activity,
    dt: float,
    by_rate: Floats | None = None,
) -> Signals:
    """What drives learning over a whole trial.

    Parameters
    ----------
    config : LearningConfig
        Strength, target and form of the rate regularisation.
    feedback : numpy.ndarray
        ``output, hidden``.
    error : numpy.ndarray
        ``time, output``: derivative of the loss by the output.
    activity : Activity
        The trial.
    dt : float
        Time step [s].
    by_rate : numpy.ndarray, optional
        ``hidden``: learning signal of the rate regularisation; by default that of the trial's own rates.

    Returns
    -------
    Signals
    """
    steps, width = activity.voltage.shape
    dtype = activity.voltage.dtype
    constant = pressure(config, rates(activity.hidden, width, dt)) if by_rate is None else by_rate
    constant = constant.astype(dtype)
    none = np.zeros_like(constant)
    filtered, unfiltered = (constant, none) if config.rate_trace == "filtered" else (none, constant / dtype.type(steps))
    return Signals(np.ascontiguousarray(error, dtype), np.ascontiguousarray(feedback, dtype), filtered, unfiltered)


def trial_gradients(dynamics: Dynamics, driving: Signals, activity: Activity, inputs: Spikes, fan_in: int) -> Gradients:
    """Whole-trial gradients of input, recurrent and output weights, ``pre, post`` each.

    Parameters
    ----------
    dynamics : Dynamics
        Constants that the eligibility assumes (`Network.assumed`).
    driving : Signals
        From `signals`.
    activity : Activity
        The trial.
    inputs : Spikes
        Its input events.
    fan_in : int
        Number of input neurons.
    """
    g_in, g_rec, g_out = kernels.gradients(dynamics, driving, activity, inputs, fan_in)
    return torch.from_numpy(g_in), torch.from_numpy(g_rec), torch.from_numpy(g_out)


def matrix_gradients(
    dynamics: Dynamics, driving: Signals, activity: Activity, inputs: Spikes, fan_in: int
) -> Gradients:
    """The same gradients as the dense product ``p^T (psi M)``, in torch: the reference.

    Holds only where all hidden neurons share their time constants and gain. Arguments as in
    `trial_gradients`.
    """
    cell, out = dynamics.cell, dynamics.out
    v = torch.from_numpy(activity.voltage)
    threshold, surrogate = torch.from_numpy(cell.threshold), torch.from_numpy(cell.surrogate)
    psi = surrogate * torch_loop.pseudo_derivative((v - threshold).abs() / threshold, dynamics.steepness)
    x = torch.from_numpy(spikes.to_raster(inputs, fan_in)).to(v.dtype)
    z = torch.from_numpy(spikes.to_raster(activity.hidden, v.shape[1])).to(v.dtype)
    before = torch.cat([torch.zeros_like(z[:1]), z[:-1]])
    error = torch.from_numpy(driving.error)
    signal = error @ torch.from_numpy(driving.feedback) + torch.from_numpy(driving.filtered)
    later = leaky(signal.flip(0), dynamics.decay, dynamics.gain).flip(0) + torch.from_numpy(driving.unfiltered)
    alpha, gain, synapse = float(cell.alpha[0]), float(cell.gain[0]), float(cell.synapse[0])
    g_in = leaky(leaky(x, synapse, 1.0), alpha, gain).T @ (psi * later)
    g_rec = (leaky(leaky(before, synapse, 1.0), alpha, gain).T @ (psi * later)).fill_diagonal_(0.0)
    return g_in, g_rec, leaky(z, float(out.kappa[0]), float(out.gain[0])).T @ error


def leaky(series: torch.Tensor, decay: float, gain: float) -> torch.Tensor:
    """``f[t] = decay f[t-1] + gain s[t]`` along the first axis."""
    filtered = torch.empty_like(series)
    state = torch.zeros_like(series[0])
    for t in range(series.shape[0]):
        state = decay * state + gain * series[t]
        filtered[t] = state
    return filtered
