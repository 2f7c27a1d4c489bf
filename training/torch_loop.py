"""The time loop in torch: the reference for the compiled one, differentiable, and able to run on a GPU.

Same inputs, same noise, same result as `kernels.simulate`. With `detach`, autograd of a loss of the
output gives exactly the e-prop gradient with symmetric feedback: e-prop is what remains of
backpropagation through time when no gradient flows through the recurrent spikes and the reset
(Bellec et al. 2020).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch

from pcmsim.counter import normals_at
from pcmsim.foundation.tensors import WHOLE
from training import spikes as events
from training.kernels import Activity, Carry, RowReads
from training.neurons import Dynamics, Floats
from training.spikes import Spikes


class _Spike(torch.autograd.Function):
    """Heaviside step whose derivative is the pseudo-derivative: see `kernels.pseudo_derivative`."""

    @staticmethod
    def forward(ctx: Any, voltage: torch.Tensor, raised: torch.Tensor, cell: _Cells, steepness: float) -> torch.Tensor:
        ctx.save_for_backward(voltage, cell.threshold + raised)
        ctx.cell, ctx.steepness = cell, steepness
        return (voltage > cell.limit + raised).to(voltage.dtype)

    @staticmethod
    def backward(ctx: Any, *grad: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None, None]:
        voltage, limit = ctx.saved_tensors
        distance = (voltage - limit).abs() / ctx.cell.threshold
        slope = grad[0] * ctx.cell.surrogate * pseudo_derivative(distance, ctx.steepness)
        return slope, -slope, None, None


_spiked: Callable[[torch.Tensor, torch.Tensor, _Cells, float], torch.Tensor] = _Spike.apply


def pseudo_derivative(distance: torch.Tensor, steepness: float) -> torch.Tensor:
    """As `kernels.pseudo_derivative` of height 1, by the distance to the threshold over the threshold at rest."""
    return (1.0 + steepness * distance) ** -2 if steepness > 0.0 else (1.0 - distance).clamp(min=0.0)


class _Cells(NamedTuple):
    """`training.neurons.Neurons` as tensors."""

    alpha: torch.Tensor
    gain: torch.Tensor
    threshold: torch.Tensor
    surrogate: torch.Tensor
    rho: torch.Tensor
    beta: torch.Tensor
    synapse: torch.Tensor
    limit: torch.Tensor


class State(NamedTuple):
    """Of one time step: see `kernels.Carry`; and by how much each threshold is raised."""

    voltage: torch.Tensor
    spiked: torch.Tensor
    output: torch.Tensor
    adaptation: torch.Tensor
    resting: torch.Tensor
    current: torch.Tensor
    raised: torch.Tensor


class Receiver(Protocol):
    """Rows of one weight array, to which spikes come."""

    def receive(self, spikes: torch.Tensor, time: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Current from the rows that spiked, and its variance: each ``post``."""


class TorchReads:
    """The rows of one weight array, as tensors.

    Parameters
    ----------
    reads : RowReads
        What the compiled loop would use.
    device : torch.device
        Where to compute.
    """

    def __init__(self, reads: RowReads, device: torch.device | str = "cpu") -> None:
        self.per_device, self.key, self.lower = reads.location.size > 0, reads.key, reads.lower
        self.mean = torch.from_numpy(reads.mean).to(device)
        self.variance = torch.from_numpy(reads.variance).to(device) if reads.variance.size else None
        self.factor = torch.from_numpy(reads.factor).to(device) if reads.factor.size else None
        self.location, self.scale, self.upper = (
            torch.from_numpy(np.asarray(values)).to(device) for values in (reads.location, reads.scale, reads.upper)
        )

    def receive(self, spikes: torch.Tensor, time: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Current from the rows that spiked, and its variance: each ``post``."""
        if self.per_device:
            current = self._per_device(spikes, time)
            return current, torch.zeros_like(current)
        current = spikes @ self.mean
        if self.variance is None:
            return current, torch.zeros_like(current)
        return current, spikes.detach() @ self.variance

    def _per_device(self, spikes: torch.Tensor, time: int) -> torch.Tensor:
        _, devices, rows, columns = self.location.shape
        row = spikes.detach().cpu().nonzero().view(-1)
        device = torch.arange(devices, **WHOLE)[:, None, None]
        address = 2 * (((time * rows + row[:, None]) * devices + device) * columns + torch.arange(columns, **WHOLE))
        noise = normals_at(torch.stack([address, address + 1]), key=self.key).to(self.location)
        read = self.location[:, :, row] + self.scale[:, :, row] * noise
        read = read.clamp(min=self.lower).minimum(self.upper[:, :, row])
        total = (read[0] - read[1]).sum(0)
        return (total if self.factor is None else total * self.factor[row]).sum(0)


def simulate(
    dynamics: Dynamics,
    arrays: tuple[Receiver, Receiver, Receiver],
    inputs: torch.Tensor,
    noise: tuple[torch.Tensor, torch.Tensor],
    *,
    start: State | None = None,
    first_step: int = 0,
    detach: bool = False,
) -> State:
    """Run a stretch of a trial.

    Parameters
    ----------
    dynamics : Dynamics
        Constants of the hidden and readout layer.
    arrays : tuple of Receiver
        Input, recurrent and output weights; of `TorchReads`, set ``mean.requires_grad`` to differentiate.
    inputs : torch.Tensor
        ``time, input`` raster of zeros and ones, on the device and of the type to compute in.
    noise : tuple of torch.Tensor
        Output-referred read noise, ``time, hidden`` and ``time, output``.
    start : State, optional
        State to start from; at rest by default.
    first_step : int
        Index of the first step within the trial: the address of per-device noise.
    detach : bool
        Let no gradient flow through recurrent spikes and reset; what a neuron's own spikes do to its threshold stays.

    Returns
    -------
    State
        All of its steps, ``time`` first.
    """
    cell = _Cells._make(torch.from_numpy(values).to(inputs) for values in dynamics.cell)
    kappa, gain = (torch.from_numpy(values).to(inputs) for values in dynamics.out)
    state = start or rest(dynamics, inputs)
    history = []
    for t in range(inputs.shape[0]):
        z = state.spiked.detach() if detach else state.spiked
        current = _received(arrays, (z, inputs[t]), first_step + t, noise[0][t])
        if dynamics.filtered:
            current = cell.synapse * state.current + current
        v = cell.alpha * state.voltage + cell.gain * current - cell.threshold * z
        adaptation = cell.rho * state.adaptation + state.spiked
        resting = torch.where(state.spiked > 0.0, dynamics.refractory, state.resting).sub(1.0).clamp(min=0.0)
        raised = (cell.beta * adaptation).masked_fill(resting > 0.0, math.inf)
        z = _spiked(v, raised, cell, dynamics.steepness)
        drive, variance = arrays[2].receive(z, first_step + t)
        y = kappa * state.output + gain * (drive + variance.sqrt() * noise[1][t])
        state = State(v, z, y, adaptation, resting, current, raised)
        history.append(state)
    return State(*(torch.stack(series) for series in zip(*history, strict=True)))


def rest(dynamics: Dynamics, like: torch.Tensor) -> State:
    """The state at the start of a trial, in the type and place of `like`."""
    hidden, output = like.new_zeros(dynamics.cell.alpha.size), like.new_zeros(dynamics.out.kappa.size)
    return State(hidden, hidden, output, hidden, hidden, hidden, hidden)


def last(states: State) -> State:
    """The state at the end of a stretch."""
    return State(*(series[-1] for series in states))


def _received(
    arrays: tuple[Receiver, Receiver, Receiver],
    spiked: tuple[torch.Tensor, torch.Tensor],
    time: int,
    noise: torch.Tensor,
) -> torch.Tensor:
    z, x = spiked
    (current_in, variance_in), (current_rec, variance_rec) = arrays[0].receive(x, time), arrays[1].receive(z, time)
    return current_in + current_rec + (variance_in + variance_rec).sqrt() * noise


@torch.no_grad()
def run(
    dynamics: Dynamics,
    arrays: tuple[RowReads, RowReads, RowReads],
    inputs: Spikes,
    noise: tuple[Floats, Floats],
    carry: Carry,
    first_step: int,
) -> Activity:
    """What `kernels.simulate` does, by this loop: on a GPU if there is one.

    Parameters and result as there; `carry` is overwritten with the state at the end.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = carry.voltage.dtype
    raster = torch.from_numpy(events.to_raster(inputs, _rows(arrays[0])).astype(dtype)).to(device)
    begin = [torch.from_numpy(values.astype(dtype)).to(device) for values in carry]
    states = simulate(
        dynamics,
        (TorchReads(arrays[0], device), TorchReads(arrays[1], device), TorchReads(arrays[2], device)),
        raster,
        (torch.from_numpy(noise[0]).to(device), torch.from_numpy(noise[1]).to(device)),
        start=State._make([*begin, torch.zeros_like(begin[0])]),
        first_step=first_step,
    )
    series = State(*(values.cpu() for values in states))
    for kept, values in zip(carry, series, strict=False):
        kept[:] = values[-1].numpy()
    return activity(dynamics, series, dtype)


def activity(dynamics: Dynamics, states: State, dtype: npt.DTypeLike) -> Activity:
    """What the network did, as `kernels.simulate` tells it."""
    voltage, spiked, output, raised = (
        values.numpy() for values in (states.voltage, states.spiked, states.output, states.raised)
    )
    above = raised[: 0 if dynamics.plain else len(raised)].astype(dtype)
    return Activity(voltage.astype(dtype), events.from_raster(spiked), output.astype(dtype), above)


def _rows(reads: RowReads) -> int:
    return int(reads.location.shape[2] if reads.location.size else reads.mean.shape[0])
