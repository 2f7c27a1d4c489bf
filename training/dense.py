"""The same trial the way published code computes it: dense, device by device, step by step.

At every time step each device is drifted and read anew with fresh noise, and every synapse carries
its eligibility through time, in one of two forms:

- ``convolution``, as published: presynaptic traces times pseudo-derivatives are written out as one
  series per synapse, and the readout's filter is applied to each by convolution with its impulse
  response over the whole trial;
- ``recursive``, the frugal dense loop: the filter of every synapse is advanced step by step.

Slow on purpose, and exact: the physics and the learning rule are those of the compiled loop. It is
the baseline of the benchmarks and an independent check.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional

from pcmsim import mapping
from pcmsim.crossbar import Crossbar
from pcmsim.foundation.tensors import SINGLE
from pcmsim.registry import Registry
from training import spikes
from training.eprop import Gradients, leaky, pressure, rates
from training.neurons import Dynamics
from training.session import Session

Series = torch.Tensor
Eligible = Callable[[Series, Series, Series, Dynamics], torch.Tensor]

FORMS: Registry[Eligible] = Registry("dense form")


def read_devices(crossbar: Crossbar, now: float, *, generator: torch.Generator) -> torch.Tensor:
    """Weights of one read of every device with fresh noise at device time `now` [s]: ``pre, post``."""
    read = crossbar.model.read(crossbar.state, crossbar.spread, now)
    values = read.location
    if read.scale is not None:
        values = values + read.scale * torch.randn(values.shape, generator=generator, **SINGLE)
    return mapping.weights(values.clamp(min=read.lower).minimum(torch.as_tensor(read.upper, **SINGLE)), crossbar.scale)


def forward(
    session: Session, inputs: Series, now: float, *, generator: torch.Generator
) -> tuple[Series, Series, Series]:
    """Voltage, spikes and output, ``time, neuron`` each, with every device read at every step."""
    dynamics, dt = session.network.dynamics, session.config.network.dt
    alpha, gain, threshold = (torch.from_numpy(values) for values in dynamics.cell[:3])
    kappa, gain_out = (torch.from_numpy(values) for values in dynamics.out)
    crossbars = [array for array in session.arrays if isinstance(array, Crossbar)]
    v, y = torch.zeros_like(alpha), torch.zeros_like(kappa)
    z = torch.zeros_like(v)
    history = []
    for t in range(inputs.shape[0]):
        w_in, w_rec, w_out = (read_devices(c, now + (t + 0.5) * dt, generator=generator) for c in crossbars)
        v = alpha * v + gain * (inputs[t] @ w_in + z @ w_rec) - threshold * z
        z = (v > threshold).float()
        y = kappa * y + gain_out * (z @ w_out)
        history.append((v, z, y))
    voltage, spiked, output = (torch.stack(series) for series in zip(*history, strict=True))
    return voltage, spiked, output


@FORMS.register("convolution")
def by_convolution(trace: Series, slope: Series, signal: Series, dynamics: Dynamics) -> torch.Tensor:
    """Gradient ``pre, post`` from one eligibility series per synapse, filtered by convolution."""
    steps, rows = trace.shape
    columns = slope.shape[1]
    eligibility = (trace.T[:, None, :] * slope.T[None]).reshape(1, rows * columns, steps)
    response = dynamics.gain * dynamics.decay ** torch.arange(steps - 1, -1, -1.0, **SINGLE)
    kernel = response.expand(rows * columns, 1, steps)
    filtered = functional.conv1d(eligibility, kernel, padding=steps, groups=rows * columns)[0, :, 1 : steps + 1]
    return torch.einsum("ijt,tj->ij", filtered.view(rows, columns, steps), signal)


@FORMS.register("recursive")
def by_recursion(trace: Series, slope: Series, signal: Series, dynamics: Dynamics) -> torch.Tensor:
    """Gradient ``pre, post`` from one filter per synapse, advanced step by step."""
    filtered = torch.zeros((trace.shape[1], slope.shape[1]), **SINGLE)
    gradient = torch.zeros_like(filtered)
    for t in range(trace.shape[0]):
        filtered = dynamics.decay * filtered + dynamics.gain * (trace[t][:, None] * slope[t])
        gradient += signal[t] * filtered
    return gradient


def dense_step(session: Session, *, generator: torch.Generator, form: str = "convolution") -> float:
    """Train a session on PCM crossbars for one trial, densely.

    Parameters
    ----------
    session : Session
        Its arrays are written as its own step would write them.
    generator : torch.Generator
        Read noise.
    form : str
        Name in `FORMS`.

    Returns
    -------
    float
        Loss of the trial.
    """
    config = session.config
    sample = session.sampler.sample(session.trial)
    start = session.device_time + config.device.update_interval - config.task.duration
    inputs = torch.from_numpy(spikes.to_raster(sample.inputs, session.sampler.inputs)).float()
    voltage, spiked, output = forward(session, inputs, start, generator=generator)
    answer, said = session.sampler.objective, output.numpy()
    error = torch.from_numpy(answer.error(said, sample)).float()
    rate = rates(spikes.from_raster(spiked.numpy()), config.network.hidden, config.network.dt)
    signal = error @ session.feedback + torch.from_numpy(pressure(config.learning, rate)).float()
    gradients = _gradients(session.network.dynamics, FORMS[form], (inputs, voltage, spiked), signal, error)
    session.updates.apply(gradients, start + config.task.duration, session.trial)
    session.trial += 1
    session.device_time += config.device.update_interval
    return answer.loss(said, sample)


def _gradients(
    dynamics: Dynamics, eligible: Eligible, activity: tuple[Series, Series, Series], signal: Series, error: Series
) -> Gradients:
    inputs, voltage, spiked = activity
    alpha, gain = float(dynamics.cell.alpha[0]), float(dynamics.cell.gain[0])
    threshold, surrogate = (torch.from_numpy(values) for values in dynamics.cell[2:4])
    slope = surrogate * (1.0 - (voltage - threshold).abs() / threshold).clamp(min=0.0)
    before = torch.cat([torch.zeros_like(spiked[:1]), spiked[:-1]])
    g_in = eligible(leaky(inputs, alpha, gain), slope, signal, dynamics)
    g_rec = eligible(leaky(before, alpha, gain), slope, signal, dynamics).fill_diagonal_(0.0)
    g_out = leaky(spiked, float(dynamics.out.kappa[0]), float(dynamics.out.gain[0])).T @ error
    return g_in, g_rec, g_out
