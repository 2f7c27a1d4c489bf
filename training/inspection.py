"""One synapse or one neuron in detail."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import numpy.typing as npt
import torch

from pcmsim.crossbar import Crossbar
from pcmsim.errors import FieldError
from pcmsim.foundation.tensors import WHOLE
from training import spikes
from training.kernels import pseudo_derivative
from training.network import LAYERS
from training.neurons import Floats
from training.records import TrialRecord
from training.session import Session
from training.watch import EVENT

READS = 60
"""Reads of each device that a report draws."""


@dataclass(frozen=True)
class Device:
    """One device of a synapse.

    Parameters
    ----------
    polarity : str
        ``+`` or ``-``.
    number : int
        Which of its polarity, from 0.
    stored, drifted : float
        Conductance as written, and now [µS].
    history : float
        Programming history P: 1 after RESET, fading with each SET pulse.
    exponent : float
        Drift exponent.
    age : float
        Time since the last write [s].
    pulses, sets, resets : int
        SET pulses since the last RESET; SET pulses and RESETs in all.
    reads : numpy.ndarray
        What `READS` reads now would return [µS].
    events : numpy.ndarray
        Remembered writes, oldest first (`training.watch.EVENT`); empty unless the run is observed.
    """

    polarity: str
    number: int
    stored: float
    drifted: float
    history: float
    exponent: float
    age: float
    pulses: int
    sets: int
    resets: int
    reads: Floats
    events: npt.NDArray[np.void]


@dataclass(frozen=True)
class CellReport:
    """One synapse.

    Parameters
    ----------
    layer : str
        Its array.
    pre, post : int
        Its neurons.
    weight : float
        Effective weight now, without read noise.
    latest, asked, applied : float or None
        Weight change asked for by the latest update; by recent ones; made by the devices. None unless
        the run is observed.
    waiting : float or None
        What the scheme's accumulator holds back; None without one.
    devices : tuple of Device
        G+ devices, then G- devices; empty for digital weights.
    """

    layer: str
    pre: int
    post: int
    weight: float
    latest: float | None
    asked: float | None
    applied: float | None
    waiting: float | None
    devices: tuple[Device, ...]


@dataclass(frozen=True)
class NeuronReport:
    """One hidden neuron in one trial; series are ``time``.

    Parameters
    ----------
    neuron, trial : int
        Which, and when.
    threshold : float
        Its own threshold at rest, mismatch included.
    rate : float
        Its firing rate [Hz].
    spikes : numpy.ndarray
        Its spike times [s].
    time, voltage, limit : numpy.ndarray
        Time [s], membrane voltage, and the threshold as adapted; not a number while the neuron is refractory.
    surrogate : numpy.ndarray
        Pseudo-derivative psi.
    signal : numpy.ndarray
        Learning signal ``sum_k B_kj (y_k - y*_k)``.
    source : int
        Its most active input neuron.
    eligibility : numpy.ndarray
        Filtered eligibility trace of that input's synapse.
    """

    neuron: int
    trial: int
    threshold: float
    rate: float
    spikes: Floats
    time: Floats
    voltage: Floats
    limit: Floats
    surrogate: Floats
    signal: Floats
    source: int
    eligibility: Floats


def cell(session: Session, layer: str, pre: int, post: int) -> CellReport:
    """Look at one synapse; the run is not changed.

    Raises
    ------
    FieldError
        If there is no such layer or neuron.
    """
    if layer not in LAYERS:
        raise FieldError("cell.layer", f"one of {', '.join(LAYERS)}", layer)
    array = session.arrays[LAYERS.index(layer)]
    for name, value, size in zip(("pre", "post"), (pre, post), array.shape, strict=True):
        _check_neuron(f"cell.{name}", value, size)
    watch = (session.updates.watch or {}).get(layer)
    place = (pre, post)
    accumulator = session.updates.state[layer].get("accumulator")
    return CellReport(
        layer=layer,
        pre=pre,
        post=post,
        weight=float(array.moments(session.device_time).mean[place]),
        latest=None if watch is None else float(watch.latest[place]),
        asked=None if watch is None else float(watch.asked[place]),
        applied=None if watch is None else float(watch.applied[place]),
        waiting=None if accumulator is None else float(accumulator[place]),
        devices=_devices(session, layer, array, pre, post) if isinstance(array, Crossbar) else (),
    )


def neuron(session: Session, record: TrialRecord, number: int) -> NeuronReport:
    """Look at one hidden neuron in the trial of `record`; the run is not changed.

    Raises
    ------
    FieldError
        If there is no such neuron.
    """
    config = session.config.network
    _check_neuron("neuron", number, config.hidden)
    own = session.network.dynamics.cell
    voltage = record.voltage[:, number]
    assumed = session.network.assumed(session.config.learning.eligibility)
    raised = record.raised[:, number] if record.raised.size else np.zeros_like(voltage)
    threshold, height = assumed.cell.threshold[number], assumed.cell.surrogate[number]
    steps = zip(voltage, raised, strict=True)
    steepness = assumed.steepness
    surrogate = np.array([pseudo_derivative(v, threshold, rise, height, steepness) for v, rise in steps], np.float32)
    source = int(spikes.counts(record.inputs, session.sampler.inputs).argmax())
    arrived = spikes.to_raster(record.inputs, session.sampler.inputs)[:, source].astype(np.float32)
    current = _filtered(arrived, float(assumed.cell.synapse[number]), 1.0)
    presynaptic = _filtered(current, float(assumed.cell.alpha[number]), float(assumed.cell.gain[number]))
    rho, beta = float(assumed.cell.rho[number]), float(assumed.cell.beta[number])
    eligibility = _filtered(_eligible(presynaptic, surrogate, rho, beta), assumed.decay, assumed.gain)
    fired = spikes.times(record.hidden)[record.hidden.neuron == number] * config.dt
    return NeuronReport(
        neuron=number,
        trial=record.trial,
        threshold=float(own.threshold[number]),
        rate=fired.size / (len(voltage) * config.dt),
        spikes=fired,
        time=np.arange(len(voltage)) * config.dt,
        voltage=voltage,
        limit=np.where(np.isinf(raised), np.nan, own.threshold[number] + raised).astype(np.float32),
        surrogate=surrogate,
        signal=record.error @ session.present_feedback()[:, number],
        source=source,
        eligibility=eligibility,
    )


def _devices(session: Session, layer: str, array: Crossbar, pre: int, post: int) -> tuple[Device, ...]:
    shape = array.state.conductance.shape
    places = torch.arange(array.state.conductance.numel(), **WHOLE).view(shape)[:, :, pre, post].reshape(-1)
    cells, spread, now = array.state.take(places), array.spread.take(places), session.device_time
    read, exponents = array.model.read(cells, spread, now), array.model.exponents(cells, spread)
    reads = read.sample(READS, generator=session.streams.at(f"inspect/{layer}", session.trial))
    watch = (session.updates.watch or {}).get(layer)
    sets, resets = array.ledger.sets.view(-1)[places], array.ledger.resets.view(-1)[places]
    return tuple(
        Device(
            polarity="+-"[k // array.devices],
            number=k % array.devices,
            stored=float(cells.conductance[k]),
            drifted=float(read.location[k]),
            history=float(cells.history[k]),
            exponent=float(exponents[k]),
            age=now - float(cells.written_at[k]),
            pulses=int(cells.pulses[k]),
            sets=int(sets[k]),
            resets=int(resets[k]),
            reads=reads[:, k].numpy(),
            events=np.empty(0, EVENT) if watch is None else watch.events(int(places[k])),
        )
        for k in range(len(places))
    )


def _filtered(series: Floats, decay: float, gain: float) -> Floats:
    """``f[t] = decay f[t-1] + gain s[t]`` of one short series."""
    steps = accumulate((series * gain).tolist(), lambda state, added: decay * state + added)
    return np.fromiter(steps, np.float32, len(series))


def _eligible(presynaptic: Floats, surrogate: Floats, rho: float, beta: float) -> Floats:
    """``e[t] = psi[t] (p[t] - beta eps[t])``, ``eps[t+1] = rho eps[t] + e[t]`` of one short series."""
    rise, eligible = 0.0, np.empty_like(presynaptic)
    for t, (arrived, slope) in enumerate(zip(presynaptic.tolist(), surrogate.tolist(), strict=True)):
        eligible[t] = slope * (arrived - beta * rise)
        rise = rho * rise + float(eligible[t])
    return eligible


def _check_neuron(field: str, value: int, size: int) -> None:
    if not 0 <= value < size:
        raise FieldError(field, f"a neuron from 0 to {size - 1}", value)
