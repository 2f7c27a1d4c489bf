"""Leaky integrate-and-fire neurons: settings, per-neuron constants, mismatch.

One step of the hidden layer (Bellec et al., Nat. Commun. 11:3625, 2020, Methods)::

    v[t] = alpha v[t-1] + gain (x[t] W_in + z[t-1] W_rec) - threshold z[t-1]
    z[t] = 1 if v[t] > threshold else 0
    y[t] = kappa y[t-1] + gain_out z[t] W_out

with ``alpha = exp(-dt / tau_membrane)``, ``kappa = exp(-dt / tau_readout)``; the gains are 1, or
``1 - alpha`` and ``1 - kappa`` where the current is normalised. The pseudo-derivative is
``psi = dampening max(0, 1 - |v - threshold| / threshold)``, over the threshold if normalised.

Synapses may filter: the membrane is then driven by ``i[t] = synapse i[t-1] + x[t] W_in + z[t-1] W_rec``
with ``synapse = exp(-dt / tau_synapse)`` (Cramer et al., PNAS 119, e2109194119, 2022), where it is
driven by the two products alone otherwise.

Adaptive neurons compare v with ``threshold + beta b[t]``, where ``b[t] = rho b[t-1] + z[t-1]`` and
``rho = exp(-dt / tau_adaptation)``. A refractory neuron neither spikes nor learns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from pcmsim.foundation.tensors import SINGLE, WHOLE
from pcmsim.mismatch import factors
from pcmsim.quantity import check, quantity
from pcmsim.streams import Streams

Floats = npt.NDArray[np.floating]


@dataclass(frozen=True)
class NetworkConfig:
    """Size and neuron constants of the recurrent network.

    Raises
    ------
    FieldError
        If a value lies outside its bounds.
    """

    hidden: int = quantity(
        100, minimum=1, maximum=4096, structural=True, doc="Recurrent neurons", source="Demirag 2021"
    )
    dt: float = quantity(
        1e-3, unit="s", above=0.0, maximum=1.0, structural=True, doc="Time step", source="Demirag 2021"
    )
    tau_membrane: float = quantity(
        30e-3, unit="s", above=0.0, maximum=100.0, doc="Membrane time constant", source="Demirag 2021"
    )
    tau_readout: float = quantity(
        30e-3, unit="s", above=0.0, maximum=100.0, doc="Readout time constant", source="Demirag 2021"
    )
    tau_synapse: float = quantity(
        0.0,
        unit="s",
        minimum=0.0,
        maximum=100.0,
        doc="Time constant of the synaptic current; 0 lets a spike act in its own step alone",
        source="Demirag 2021 and Bellec 2020: none; Cramer 2022 has one",
    )
    threshold: float = quantity(0.1, above=0.0, maximum=1e3, doc="Firing threshold", source="Demirag 2021")
    dampening: float = quantity(
        0.3, minimum=0.0, maximum=10.0, doc="Height of the pseudo-derivative (gamma)", source="Bellec 2020"
    )
    surrogate_normalised: bool = quantity(
        False, doc="Divide the pseudo-derivative by the threshold", source="Bellec 2020; not in Demirag 2021"
    )
    input_normalised: bool = quantity(
        False, doc="Scale the membrane's input by 1 - alpha", source="Bellec 2020's pattern script; not in Demirag 2021"
    )
    readout_normalised: bool = quantity(
        False, doc="Scale the readout's input by 1 - kappa", source="Bellec 2020's scripts; not in Demirag 2021"
    )
    steepness: float = quantity(
        0.0,
        minimum=0.0,
        maximum=1e4,
        doc="Steepness of SuperSpike's pseudo-derivative per distance to the threshold in thresholds; 0 is a triangle",
        source="Zenke 2018: 1 / (1 + steepness |v - threshold|)^2; Bellec 2020: triangle",
    )
    initial_gain: float = quantity(
        0.1,
        minimum=0.0,
        maximum=100.0,
        structural=True,
        doc="Digital weights start normal with standard deviation gain * sqrt(2 / fan-in)",
        source="Demirag 2021",
    )
    recurrent_gain: float | None = quantity(
        None,
        kind=float,
        minimum=0.0,
        maximum=100.0,
        structural=True,
        doc="The same of the recurrent weights; none is as the others",
        source="Frenkel's eprop-PyTorch: 0.1, beside 0.5",
    )
    tau_mismatch: float = quantity(
        0.0,
        minimum=0.0,
        maximum=0.5,
        doc="Standard deviation of the time constants, neuron to neuron, as a share",
        source="Cramer 2022 scans 0 to 0.5",
    )
    synapse_mismatch: float | None = quantity(
        None,
        kind=float,
        minimum=0.0,
        maximum=0.5,
        doc="The same of the synaptic time constant alone; none: as the others",
        source="Cramer 2022: as the membrane's",
    )
    readout_mismatch: float | None = quantity(
        None,
        kind=float,
        minimum=0.0,
        maximum=0.5,
        doc="The same of the readout's time constant alone; none: as the others",
        source="none: as the membrane's",
    )
    gain_mismatch: float = quantity(
        0.0,
        minimum=0.0,
        maximum=0.5,
        doc="Standard deviation of the gain of the synaptic current, neuron to neuron, as a share",
        source="mixed-signal neurons; no published level",
    )
    dead: float = quantity(
        0.0,
        minimum=0.0,
        maximum=1.0,
        doc="Share of the hidden neurons that never spike",
        source="Cramer 2022 silences 0.15",
    )
    threshold_mismatch: float = quantity(
        0.0,
        minimum=0.0,
        maximum=0.5,
        doc="Standard deviation of the threshold, neuron to neuron, as a share",
        source="Cramer 2022 scans 0 to 0.5",
    )
    adaptive: float = quantity(
        0.0,
        minimum=0.0,
        maximum=1.0,
        structural=True,
        doc="Share of the hidden neurons, the last ones, whose threshold adapts",
        source="Bellec 2020: 0.5 for evidence accumulation",
    )
    tau_adaptation: float = quantity(
        2.0, unit="s", above=0.0, maximum=1000.0, doc="Time constant of the adapting threshold", source="Bellec 2020"
    )
    adaptation: float = quantity(
        0.0174241,
        minimum=0.0,
        maximum=1e3,
        doc="Rise of an adapting threshold per spike (beta)",
        source="Bellec 2020: 1.7 (1 - rho) / (1 - alpha) at a membrane of 20 ms",
    )
    refractory: float = quantity(
        0.0,
        unit="s",
        minimum=0.0,
        maximum=1.0,
        doc="Shortest time from a spike to the next",
        source="Bellec 2020: 5 ms for evidence accumulation",
    )
    loop: str = quantity(
        "compiled",
        choices=("compiled", "torch"),
        doc="Time loop: compiled and event-driven, or torch, on a GPU if there is one; same numbers",
        source="held to each other by a test",
    )
    mismatch_distribution: str = quantity(
        "normal", choices=("normal", "log-normal"), doc="Shape of the neuron mismatch", source="Cramer 2022: normal"
    )

    def __post_init__(self) -> None:
        check(self)

    @property
    def nominal(self) -> NetworkConfig:
        """The same network without neuron mismatch."""
        ideal: dict[str, Any] = dict(IDEAL_NEURONS)
        return replace(self, **ideal)


IDEAL_NEURONS: dict[str, float | None] = {
    "tau_mismatch": 0.0,
    "synapse_mismatch": None,
    "readout_mismatch": None,
    "gain_mismatch": 0.0,
    "threshold_mismatch": 0.0,
    "dead": 0.0,
}
"""Settings under which all neurons are alike and alive."""


class Neurons(NamedTuple):
    """Constants of each hidden neuron, ``hidden``.

    Parameters
    ----------
    alpha : numpy.ndarray
        Share of the voltage that is left after a step.
    gain : numpy.ndarray
        Voltage per synaptic current.
    threshold : numpy.ndarray
        Firing threshold at rest, and what the reset takes away.
    surrogate : numpy.ndarray
        Height of the pseudo-derivative.
    rho, beta : numpy.ndarray
        Decay of the adapting threshold and its rise per spike; `beta` is 0 where the threshold does not adapt.
    synapse : numpy.ndarray
        Share of the synaptic current that is left after a step; 0 where synapses do not filter.
    limit : numpy.ndarray
        Voltage at which it spikes while at rest: the threshold, or infinity where the neuron is dead.
    """

    alpha: Floats
    gain: Floats
    threshold: Floats
    surrogate: Floats
    rho: Floats
    beta: Floats
    synapse: Floats
    limit: Floats


class Readout(NamedTuple):
    """Constants of each readout unit, ``outputs``."""

    kappa: Floats
    gain: Floats


class Dynamics(NamedTuple):
    """All constants of a network: its neurons, its readout, and the filter of its eligibility traces.

    Parameters
    ----------
    cell, out : Neurons, Readout
        Per-neuron constants.
    decay, gain : float
        The eligibility filter's, ``ebar[t] = decay ebar[t-1] + gain e[t]``.
    refractory : int
        Steps from a spike to the earliest next one; up to 1 there is no pause.
    plain : bool
        Whether no neuron adapts or pauses.
    filtered : bool
        Whether synaptic currents outlast their step.
    steepness : float
        Of SuperSpike's pseudo-derivative; 0 where it is a triangle.
    """

    cell: Neurons
    out: Readout
    decay: float
    gain: float
    refractory: int
    plain: bool
    filtered: bool
    steepness: float


def dynamics(config: NetworkConfig, outputs: int, *, streams: Streams, dtype: npt.DTypeLike = np.float32) -> Dynamics:
    """Constants of a network with `outputs` readout units; other arguments as in `neurons`.

    The eligibility filter is the nominal readout's.
    """
    kappa = math.exp(-config.dt / config.tau_readout)
    gain = 1.0 - kappa if config.readout_normalised else 1.0
    cell = neurons(config, streams=streams, dtype=dtype)
    out = readout(config, outputs, streams=streams, dtype=dtype)
    refractory = round(config.refractory / config.dt)
    plain = refractory <= 1 and not cell.beta.any()
    return Dynamics(cell, out, kappa, gain, refractory, plain, bool(cell.synapse.any()), config.steepness)


def neurons(config: NetworkConfig, *, streams: Streams, dtype: npt.DTypeLike = np.float32) -> Neurons:
    """Constants of the hidden neurons, mismatch included.

    Parameters
    ----------
    config : NetworkConfig
        Nominal constants and mismatch levels.
    streams : Streams
        Source of the fixed pattern; depends on the seed only.
    dtype : dtype
        Floating type of the result.

    Returns
    -------
    Neurons
    """
    tau = config.tau_membrane * _spread(config, config.tau_mismatch, config.hidden, streams, "tau_membrane")
    threshold = config.threshold * _spread(config, config.threshold_mismatch, config.hidden, streams, "threshold")
    alpha = np.exp(-config.dt / tau)
    surrogate = (
        config.dampening / threshold if config.surrogate_normalised else np.full(config.hidden, config.dampening)
    )
    gain = 1.0 - alpha if config.input_normalised else np.ones(config.hidden)
    gain = gain * _spread(config, config.gain_mismatch, config.hidden, streams, "gain")
    rho = np.full(config.hidden, math.exp(-config.dt / config.tau_adaptation))
    adapts = np.arange(config.hidden) >= config.hidden - round(config.adaptive * config.hidden)
    beta, synapse = config.adaptation * adapts, _synapse(config, streams)
    limit = np.where(_dead(config, streams), np.inf, threshold)
    constants = (alpha, gain, threshold, surrogate, rho, beta, synapse, limit)
    return Neurons(*(values.astype(dtype) for values in constants))


def _dead(config: NetworkConfig, streams: Streams) -> npt.NDArray[np.bool_]:
    order = torch.randperm(config.hidden, generator=streams.at("mismatch/neurons/dead"), **WHOLE).numpy()
    dead: npt.NDArray[np.bool_] = order < round(config.dead * config.hidden)
    return dead


def _synapse(config: NetworkConfig, streams: Streams) -> npt.NDArray[np.float64]:
    if config.tau_synapse == 0.0:
        return np.zeros(config.hidden)
    level = config.tau_mismatch if config.synapse_mismatch is None else config.synapse_mismatch
    tau = config.tau_synapse * _spread(config, level, config.hidden, streams, "tau_synapse")
    decay: npt.NDArray[np.float64] = np.exp(-config.dt / tau)
    return decay


def readout(config: NetworkConfig, outputs: int, *, streams: Streams, dtype: npt.DTypeLike = np.float32) -> Readout:
    """Constants of the readout units, mismatch included; arguments as in `neurons`."""
    level = config.tau_mismatch if config.readout_mismatch is None else config.readout_mismatch
    tau = config.tau_readout * _spread(config, level, outputs, streams, "tau_readout")
    kappa = np.exp(-config.dt / tau)
    gain = 1.0 - kappa if config.readout_normalised else np.ones(outputs)
    return Readout(kappa.astype(dtype), gain.astype(dtype))


def _spread(config: NetworkConfig, level: float, count: int, streams: Streams, name: str) -> npt.NDArray[np.float64]:
    generator = streams.at(f"mismatch/neurons/{name}")
    factor = factors(level, (count,), generator=generator, distribution=config.mismatch_distribution)
    return np.asarray(factor * torch.ones(count, **SINGLE), dtype=np.float64)
