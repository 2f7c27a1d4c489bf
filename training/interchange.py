"""Trained networks to and from other simulators, as NIR graphs.

The network is written as ``input -> w_in -> hidden -> w_out -> readout -> output``; `hidden` is a subgraph in
which the neurons ``lif`` and the recurrent weights ``w_rec`` form a cycle, the form that importers know.
Matrices are NIR's, post x pre. With ``v[t] = alpha v[t-1] + gain i[t] - threshold z[t-1]`` ours and
``tau v' = -v + r i`` NIR's, both agree where

- a step turns ``tau`` into alpha as the dialect says (`DIALECTS`): ``exp(-dt / tau)``, or ``1 - dt / tau``;
- the input is held over a step, and thus enters with ``1 - alpha``: ``r = gain / (1 - alpha)``, and likewise
  ``w_in = 1 / (1 - synapse)`` of a filtered synapse, whose current of step t drives the voltage of step t;
- a spike is ``v > v_threshold``; it reaches the readout in its own step and the recurrent weights in the next;
- the threshold is subtracted a step after the spike, not the voltage set to ``v_reset``: NIR's LIF has no field
  for it, so that the graph's metadata says ``reset: subtract``, and the simulator must be told.

In snnTorch 1.0 the last point is its default neuron, put in place of what its importer makes::

    net = import_from_nir(to_nir(session, "snntorch"))
    made = net.hidden.lif
    net.hidden.lif = snntorch.Leaky(made.beta, made.threshold, init_hidden=True)

and the readout's voltage is ``net.readout.mem``, over the readout's gain where that is not 1. Adapting thresholds
and refractory periods are beyond NIR; whatever only learning uses travels in our own configuration, as metadata.
"""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from pcmsim.array import WeightArray
from pcmsim.digital import DigitalArray
from pcmsim.errors import FieldError
from pcmsim.foundation.documents import DocumentError, parse_json
from training import codec, nir_graph, nir_network, nir_parts
from training.config import RunConfig
from training.network import LAYERS
from training.neurons import dynamics
from training.nir_graph import DIALECTS, metadata
from training.nir_network import ROUNDING
from training.nir_parts import Matrix, Weights, finite
from training.session import Session

if TYPE_CHECKING:
    from nir import NIRGraph

SUBTRACTS = "subtract"

RESET_NOTE = (
    "the graph does not say that a spike subtracts the threshold; here it does, a step after the spike, "
    "where NIR's own text sets the voltage to v_reset"
)


@dataclass(frozen=True)
class Imported:
    """A network from a NIR graph.

    Parameters
    ----------
    weights : Weights
        With gains that `network` cannot say.
    network : mapping of str to object
        The values of `NetworkConfig` that the graph decides.
    config : RunConfig or None
        The configuration in a graph of our own.
    notes : tuple of str
        What the graph leaves open or says otherwise, in sentences.
    """

    weights: Weights
    network: dict[str, Any]
    config: RunConfig | None
    notes: tuple[str, ...] = ()

    def run_config(self, base: RunConfig | None = None) -> RunConfig:
        """The configuration to begin a session with.

        Parameters
        ----------
        base : RunConfig, optional
            Task, learning and all else that a graph does not say; the graph's neurons and digital floating-point
            weights take the place of its own. None is the configuration in the graph, or else the default.
        """
        if base is None and self.config is not None:
            return self.config
        base = base or RunConfig()
        largest = max(float(np.abs(weights).max(initial=0.0)) for weights in self.weights)
        values = {f"network.{name}": value for name, value in self.network.items()}
        seed = {} if self.config is None else {"seed": self.config.seed}  # decides the neurons' mismatch
        weights = {
            "scheme": "float32",
            "precision.weight_bits": None,
            "precision.weight_range": max(base.precision.weight_range, largest),
            "device.mismatch.weight": 0.0,
        }
        return base.with_values({**seed, **values, **weights})


def to_nir(session: Session, dialect: str = "exact") -> NIRGraph:
    """The session's network as a NIR graph.

    Parameters
    ----------
    session : Session
        Only looked at. Weights are those stored, without drift and read noise, times their mismatch.
    dialect : str
        Name in `DIALECTS`: how the simulator that reads the graph steps it.

    Raises
    ------
    UnknownNameError
        If there is no such dialect.
    FieldError
        If thresholds adapt, neurons pause after a spike, they differ where the dialect has them alike, or a weight
        is not finite.

    Examples
    --------
    >>> graph = to_nir(Session(RunConfig()))
    >>> list(graph.nodes)
    ['input', 'w_in', 'hidden', 'w_out', 'readout', 'output']
    >>> graph.nodes["hidden"].nodes["lif"].tau[0].round(6)
    np.float64(0.03)
    """
    nir, spoken, network = import_module("nir"), DIALECTS[dialect], session.config.network
    constants = dynamics(network, session.sampler.outputs, streams=session.streams, dtype=np.float64)
    nir_network.expressible(network, constants, spoken)
    w_in, w_rec, w_out = (
        nir.Linear(_effective(layer, array)) for layer, array in zip(LAYERS, session.arrays, strict=True)
    )
    neurons = nir_network.spiking(nir, constants, spoken, network.dt)
    nodes = {
        "input": nir.Input([session.sampler.inputs]),
        "w_in": w_in,
        "hidden": _cycle(nir, neurons, w_rec, network.hidden),
        "w_out": w_out,
        "readout": nir_network.leaky(nir, constants, spoken, network.dt),
        "output": nir.Output([session.sampler.outputs]),
    }
    about = {
        "dt": network.dt,
        "dialect": dialect,
        "reset": SUBTRACTS,
        "pcmlab": json.dumps(session.config.to_dict()),
    }
    return nir.NIRGraph(nodes, list(pairwise(nodes)), about)


def save_nir(session: Session, path: str | Path, dialect: str = "exact") -> None:
    """Write the session's network to a NIR file, atomically; see `to_nir`.

    Raises
    ------
    FileError
        If the file cannot be written; a file that was there is untouched.
    """
    nir_graph.write(path, to_nir(session, dialect))


def from_nir(graph: NIRGraph | str | Path, dt: float | None = None, dialect: str | None = None) -> Imported:
    """A network of one recurrent spiking layer and a leaky readout, from a NIR graph.

    Parameters
    ----------
    graph : NIRGraph, str or Path
        The graph or its file.
    dt : float, optional
        Our time step [s]; None is what the graph's metadata say. A dialect with a step of its own keeps its
        decay per step, so that time constants change with this.
    dialect : str, optional
        Name in `DIALECTS`: how the graph's author steps it; None is what the metadata say, else ``exact``.

    Raises
    ------
    FileError
        If the file is missing or no NIR graph.
    UnknownNameError
        If there is no such dialect.
    FieldError
        If the graph holds other nodes, wiring, shapes or constants than the network can have, or a graph of our
        own holds other neurons than the configuration beside them.
    """
    if isinstance(graph, str | Path):
        graph = nir_graph.read(graph)
    spoken = DIALECTS[str(dialect or metadata(graph, "dialect") or "exact")]
    config = _own_config(graph)
    dt = _time_step(graph, dt, config)
    found = nir_parts.parts(graph)
    steps = nir_parts.steps(found, spoken, spoken.step or dt)
    notes = () if metadata(graph, "reset") == SUBTRACTS else (RESET_NOTE,)
    if config is None:
        return Imported(*nir_network.uniform(steps, found.weights, dt), None, notes)
    nir_network.check_same(steps, config)
    return Imported(found.weights, dataclasses.asdict(config.network), config, notes)


def load(session: Session, imported: Imported) -> None:
    """Write imported weights into a session; all or nothing.

    Parameters
    ----------
    session : Session
        On digital weights that can hold them, such as that of ``imported.run_config()``.
    imported : Imported
        From `from_nir`.

    Raises
    ------
    FieldError
        If the session's weights are devices, are of other shapes, or cannot hold these as they are.
    """
    for layer, array, weights in zip(LAYERS, session.arrays, imported.weights, strict=True):
        _check_holds(session.config, layer, array, torch.from_numpy(weights))
    for array, weights in zip(session.arrays, imported.weights, strict=True):
        array.load({"weights": torch.from_numpy(weights)})


def _cycle(nir: Any, neurons: Any, w_rec: Any, hidden: int) -> Any:
    """Spiking neurons and the recurrent weights between them, as a graph of its own."""
    return nir.NIRGraph(
        {"input": nir.Input([hidden]), "lif": neurons, "w_rec": w_rec, "output": nir.Output([hidden])},
        [("input", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output")],
    )


def _effective(layer: str, array: WeightArray) -> Matrix:
    """Weights as stored, times their mismatch: ``post, pre``."""
    stored = array.stored_weights()
    weights = stored if array.factor is None else stored * array.factor
    return np.ascontiguousarray(finite(f"weights.{layer}", weights.numpy()).T)


def _time_step(graph: NIRGraph, dt: float | None, config: RunConfig | None) -> float:
    said = metadata(graph, "dt") if config is None else config.network.dt
    if dt is None and said is None:
        raise FieldError("dt", "given in seconds, as the graph does not say it", None)
    if config is not None and dt is not None and not math.isclose(dt, config.network.dt):
        raise FieldError("dt", f"{config.network.dt:g} s, as in the graph's own configuration", dt)
    given = said if dt is None else dt
    if isinstance(given, bool) or not isinstance(given, float | int) or not 0.0 < given <= 1.0:
        raise FieldError("dt", "above 0 and at most 1 s", given)
    return float(given)


def _own_config(graph: NIRGraph) -> RunConfig | None:
    text = metadata(graph, "pcmlab")
    if text is None:
        return None
    try:
        return RunConfig.from_dict(parse_json(text))
    except (DocumentError, TypeError) as error:
        raise FieldError("NIRGraph.metadata.pcmlab", "a configuration as JSON", str(text)[:40]) from error


def _check_holds(config: RunConfig, layer: str, array: WeightArray, weights: torch.Tensor) -> None:
    """Raise `FieldError` unless the array takes these weights as they are."""
    if not isinstance(array, DigitalArray):
        expected = "float32, with precision.weight_bits none: the weights of a crossbar must be programmed"
        raise FieldError("RunConfig.scheme", expected, codec.name_of(config.scheme))
    if tuple(weights.shape) != array.shape:
        expected = f"of shape {array.shape}, as task and network ask for"
        raise FieldError(f"weights.{layer}", expected, tuple(weights.shape))
    if array.factor is not None:
        expected = "0, as imported weights hold their mismatch"
        raise FieldError("DeviceMismatch.weight", expected, config.device.mismatch.weight)
    largest = float(weights.abs().max()) if weights.numel() else 0.0
    if largest > array.form.full_scale * (1.0 + ROUNDING):
        expected = f"at least {largest:g}, the largest imported weight"
        raise FieldError("PrecisionConfig.weight_range", expected, array.form.full_scale)
    if not torch.allclose(array.form.rounded(weights), weights, rtol=ROUNDING, atol=0.0):
        expected = "none, or enough for the imported weights"
        raise FieldError("PrecisionConfig.weight_bits", expected, array.form.bits)
