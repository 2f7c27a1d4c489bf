"""Our neurons' constants as NIR nodes, and those of NIR nodes as a network's configuration."""

from __future__ import annotations

from typing import Any

import numpy as np

from pcmsim.errors import FieldError
from pcmsim.streams import Streams
from training.config import RunConfig
from training.neurons import IDEAL_NEURONS, Dynamics, Floats, NetworkConfig, dynamics
from training.nir_graph import DIALECTS, Dialect
from training.nir_parts import OUT_OF_REACH, Matrix, Steps, Weights

ROUNDING = 1e-6
"""Relative difference that passes for rounding."""


def expressible(network: NetworkConfig, constants: Dynamics, spoken: Dialect) -> None:
    """Raise `FieldError` if the network asks for what NIR, or the importer of the dialect, does not know."""
    cell, out = constants.cell, constants.out
    if cell.beta.any():
        raise FieldError("NetworkConfig.adaptive", "0 for NIR, whose thresholds do not adapt", network.adaptive)
    if constants.refractory > 1:
        expected = "at most one step for NIR, whose neurons do not pause"
        raise FieldError("NetworkConfig.refractory", expected, network.refractory)
    if spoken.narrow:
        for name, values in (("threshold", cell.limit), ("gain", cell.gain), ("readout's gain", out.gain)):
            _alike(name, values)
        if constants.filtered and cell.gain[0] != 1.0:
            raise FieldError("NetworkConfig.input_normalised", "false where synapses filter, in this dialect", True)


def _alike(name: str, values: Floats) -> None:
    if np.unique(values).size > 1:
        expected = f"without mismatch or death that touches the {name}: this dialect has one for all"
        raise FieldError("NetworkConfig", expected, f"{values.min():g} to {values.max():g}")


def spiking(nir: Any, constants: Dynamics, spoken: Dialect, dt: float) -> Any:
    """The hidden neurons as a LIF node, or a CubaLIF node where synapses filter."""
    cell, step = constants.cell, spoken.step or dt
    rest = np.zeros_like(cell.alpha)
    shared = {
        "r": cell.gain / (1.0 - cell.alpha),
        "v_leak": rest,
        "v_threshold": np.minimum(cell.limit, OUT_OF_REACH),
        "v_reset": rest,
    }
    tau = spoken.tau(cell.alpha, step)
    if not constants.filtered:
        return nir.LIF(tau=tau, **shared)
    synapse = spoken.tau(cell.synapse, step)
    return nir.CubaLIF(tau_syn=synapse, tau_mem=tau, w_in=1.0 / (1.0 - cell.synapse), **shared)


def leaky(nir: Any, constants: Dynamics, spoken: Dialect, dt: float) -> Any:
    """The readout as an LI node, or as neurons that never spike."""
    kappa, gain = constants.out
    rest = np.zeros_like(kappa)
    shared = {"tau": spoken.tau(kappa, spoken.step or dt), "r": gain / (1.0 - kappa), "v_leak": rest}
    if not spoken.narrow:
        return nir.LI(**shared)
    return nir.LIF(v_threshold=np.full_like(kappa, OUT_OF_REACH), v_reset=rest, **shared)


def check_same(steps: Steps, config: RunConfig) -> None:
    """Raise `FieldError` unless the constants are those of the configuration."""
    cell, out = dynamics(config.network, steps.kappa.size, streams=Streams(config.seed), dtype=np.float64)[:2]
    limit = np.minimum(cell.limit, OUT_OF_REACH)
    own = Steps(cell.alpha, cell.gain, limit, cell.synapse, out.kappa, out.gain)
    for name, mine, theirs in zip(Steps._fields, own, steps, strict=True):
        if mine.shape != theirs.shape or not np.allclose(mine, theirs, rtol=ROUNDING, atol=1e-12):
            expected = f"that of the neurons beside it in the graph ({name} differs)"
            raise FieldError("NIRGraph.metadata.pcmlab", expected, "another configuration")


def uniform(steps: Steps, weights: Weights, dt: float) -> tuple[Weights, dict[str, Any]]:
    """The network's constants; gains that it does not have go into the weights."""
    exact, filtered = DIALECTS["exact"], bool(steps.synapse.any())
    gain, normalised = _gain(steps.gain, steps.alpha)
    gain_out, normalised_out = _gain(steps.gain_out, steps.kappa)
    network: dict[str, Any] = {
        "hidden": steps.alpha.size,
        "dt": dt,
        "tau_membrane": _one("tau_membrane", exact.tau(steps.alpha, dt)),
        "tau_readout": _one("tau_readout", exact.tau(steps.kappa, dt)),
        "tau_synapse": _one("tau_synapse", exact.tau(steps.synapse, dt)) if filtered else 0.0,
        "threshold": _one("threshold", steps.threshold),
        "input_normalised": normalised,
        "readout_normalised": normalised_out,
        "adaptive": 0.0,
        "refractory": 0.0,
        **IDEAL_NEURONS,
    }
    NetworkConfig(**network)
    w_in, w_rec, w_out = weights
    return Weights(_times(w_in, gain), _times(w_rec, gain), _times(w_out, gain_out)), network


def _one(name: str, values: Floats) -> float:
    """The value that all share, to twelve digits."""
    if not np.allclose(values, values[0], rtol=ROUNDING, atol=0.0):
        expected = "the same in all units, whose differences are drawn from the seed here"
        raise FieldError(f"NetworkConfig.{name}", expected, f"{values.min():g} to {values.max():g}")
    return float(f"{values[0]:.12g}")


def _gain(gain: Floats, decay: Floats) -> tuple[Floats, bool]:
    """What is left of the gain beside the network's own, and whether that is normalised."""
    for own, normalised in ((np.ones_like(decay), False), (1.0 - decay, True)):
        if np.allclose(gain, own, rtol=ROUNDING, atol=0.0):
            return np.ones_like(decay), normalised
    return gain, False


def _times(weights: Matrix, gain: Floats) -> Matrix:
    return weights if (gain == 1.0).all() else (weights * gain).astype(np.float32)
