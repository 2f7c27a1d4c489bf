"""The parts of a NIR graph that make a network of ours: one recurrent spiking layer, a leaky readout."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from pcmsim.errors import FieldError
from training.neurons import Floats
from training.nir_graph import Dialect, Edge, is_a, unnested

if TYPE_CHECKING:
    from nir import NIRGraph

Matrix = npt.NDArray[np.float32]

OUT_OF_REACH = float(np.finfo(np.float32).max)
"""Threshold of units that never spike: infinity times no spike would not be a number."""

KNOWN = ("Input", "Output", "Linear", "Affine", "LIF", "CubaLIF", "LI")
ROLES = {"input": "Input node", "hidden": "LIF or CubaLIF node", "readout": "LI node", "output": "Output node"}

WIRING = {
    ("input", "hidden"): "input",
    ("hidden", "hidden"): "recurrent",
    ("hidden", "readout"): "output",
    ("readout", "output"): None,
}
"""Which weights lie on the way from one role to another; none from the readout to the output."""

CHAIN = "input, weights, neurons, weights, leaky integrators, output, and weights from the neurons back to them"


class Weights(NamedTuple):
    """Weights of the three layers, ``pre, post`` each."""

    input: Matrix
    recurrent: Matrix
    output: Matrix


class Steps(NamedTuple):
    """Constants per step of every hidden neuron and readout unit; see `training.neurons.Neurons`."""

    alpha: Floats
    gain: Floats
    threshold: Floats
    synapse: Floats
    kappa: Floats
    gain_out: Floats


class Parts(NamedTuple):
    """Weights by layer, and the two populations with their names."""

    weights: Weights
    hidden: tuple[str, Any]
    readout: tuple[str, Any]


def parts(graph: NIRGraph) -> Parts:
    """Find weights and populations in a graph, however its nodes are called and nested.

    Raises
    ------
    FieldError
        If there are other nodes, another wiring, or weights that are not finite or do not fit.
    """
    nodes, edges = unnested(graph)
    for name, node in nodes.items():
        if not is_a(node, *KNOWN):
            raise FieldError(f"NIRGraph.nodes.{name}", f"one of {', '.join(KNOWN)}", type(node).__name__)
    _check_output(nodes, edges)
    place = {role: _only(nodes, role) for role in ROLES}
    found = _on_the_way(nodes, edges, {name: role for role, name in place.items()})
    return Parts(_weights(nodes, found), *((place[role], nodes[place[role]]) for role in ("hidden", "readout")))


def steps(found: Parts, dialect: Dialect, step: float) -> Steps:
    """Constants per step of both populations.

    Parameters
    ----------
    found : Parts
        From `parts`.
    dialect : Dialect
        How the graph's author steps it.
    step : float
        The step that goes with the time constants [s].

    Raises
    ------
    FieldError
        If a constant is of the wrong size, not finite, or one that our neurons cannot have.
    """
    hidden = _Population(*found.hidden, found.weights.input.shape[1], dialect, step)
    readout = _Population(*found.readout, found.weights.output.shape[1], dialect, step)
    filtered = is_a(hidden.node, "CubaLIF")
    alpha, kappa = hidden.decay("tau_mem" if filtered else "tau"), readout.decay("tau")
    synapse = hidden.decay("tau_syn") if filtered else np.zeros_like(alpha)
    per_spike = hidden.values("w_in") * (1.0 - synapse) if filtered else 1.0
    hidden.at_rest("v_leak", "v_reset")
    readout.at_rest("v_leak")
    gain, gain_out = hidden.values("r") * (1.0 - alpha) * per_spike, readout.values("r") * (1.0 - kappa)
    return Steps(alpha, gain, hidden.values("v_threshold"), synapse, kappa, gain_out)


class _Population(NamedTuple):
    """A node with constants, and how to read them."""

    name: str
    node: Any
    size: int
    dialect: Dialect
    step: float

    def values(self, field: str) -> Floats:
        name = f"NIRGraph.nodes.{self.name}.{field}"
        values = numbers(name, getattr(self.node, field)).astype(np.float64).ravel()
        if values.size not in (1, self.size):
            raise FieldError(name, f"{self.size} values, one per unit", f"{values.size} of them")
        return np.broadcast_to(finite(name, values), self.size).copy()

    def decay(self, field: str) -> Floats:
        tau = self.values(field)
        decay = self.dialect.decay(tau, self.step) if tau.min() > 0.0 else tau
        if tau.min() <= 0.0 or decay.min() < 0.0:
            expected = f"above 0, and in forward Euler at least the step of {self.step:g} s"
            raise FieldError(f"NIRGraph.nodes.{self.name}.{field}", expected, float(tau.min()))
        return decay

    def at_rest(self, *fields: str) -> None:
        for field in fields:
            values = self.values(field)
            if values.any():
                worst = float(values[np.abs(values).argmax()])
                raise FieldError(f"NIRGraph.nodes.{self.name}.{field}", "0, where our neurons rest", worst)


def numbers(name: str, values: Any) -> npt.NDArray[Any]:
    """An array of real numbers, from an array or a tensor; raises `FieldError` if it holds anything else."""
    try:
        array = _array(values)
    except (RuntimeError, TypeError, ValueError) as error:
        raise FieldError(name, "real numbers", type(values).__name__) from error
    if array.dtype.kind not in "fiu":
        raise FieldError(name, "real numbers", str(array.dtype))
    return array


def _array(values: Any) -> npt.NDArray[Any]:
    """Of a tensor its numbers alone, in a type that NumPy has, wherever it lies and whatever is learned of it."""
    if not isinstance(values, torch.Tensor):
        return np.asarray(values)
    plain = values.detach().cpu()
    found: npt.NDArray[Any] = (plain.double() if plain.is_floating_point() else plain).numpy()
    return found


def finite(name: str, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The values themselves; raises `FieldError` if one is infinite or not a number."""
    wrong = values[~np.isfinite(values)]
    if wrong.size:
        raise FieldError(name, "finite", float(wrong[0]))
    return values


def _only(nodes: Mapping[str, Any], role: str) -> str:
    names = [name for name, node in nodes.items() if _role(node) == role]
    if len(names) != 1:
        found = f"{len(names)} of them{': ' * bool(names)}{', '.join(names)}"
        raise FieldError("NIRGraph.nodes", f"a graph with one {ROLES[role]}", found)
    return names[0]


def _check_output(nodes: Mapping[str, Any], edges: list[Edge]) -> None:
    """Raise `FieldError`, naming the node, if what an output shows is spikes: ours shows a voltage."""
    for source, target in edges:
        if is_a(nodes[target], "Output") and _role(nodes[source]) == "hidden":
            expected = "leaky integrators that do not spike (LI), as a readout here has no threshold"
            raise FieldError(f"NIRGraph.nodes.{source}", expected, type(nodes[source]).__name__)


def _role(node: Any) -> str | None:
    """What part a node plays; a neuron whose threshold is out of reach integrates only."""
    if is_a(node, "LIF", "CubaLIF"):
        silent = numbers("NIRGraph.nodes.v_threshold", node.v_threshold).min(initial=np.inf) >= OUT_OF_REACH
        return "readout" if silent and is_a(node, "LIF") else "hidden"
    return {"Input": "input", "Output": "output", "LI": "readout"}.get(type(node).__name__)


def _on_the_way(nodes: Mapping[str, Any], edges: list[Edge], roles: Mapping[str, str]) -> dict[str | None, str]:
    """Name of the node with the weights of each layer."""
    found: dict[str | None, str] = {}
    for source, between, target in _ways(nodes, edges):
        way = roles.get(source, ""), roles.get(target, "")
        layer = WIRING.get(way, "")
        if layer == "" or (layer is None) != (between == "") or layer in found:
            raise FieldError("NIRGraph.edges", CHAIN, f"{source} -> {target}")
        found[layer] = between
    for way, layer in WIRING.items():
        if layer not in found and layer != "recurrent":
            raise FieldError("NIRGraph.edges", CHAIN, f"no way from {way[0]} to {way[1]}")
    return found


def _ways(nodes: Mapping[str, Any], edges: list[Edge]) -> Iterator[tuple[str, str, str]]:
    """From where, over which weights or none, to where."""
    for a, b in edges:
        if is_a(nodes[a], "Linear", "Affine"):
            continue
        if is_a(nodes[b], "Linear", "Affine"):
            yield from ((a, b, target) for source, target in edges if source == b)
        else:
            yield a, "", b


def _weights(nodes: Mapping[str, Any], found: Mapping[str | None, str]) -> Weights:
    w_in, w_out = (_matrix(found[layer], nodes[found[layer]]) for layer in ("input", "output"))
    hidden, outputs = w_in.shape[1], w_out.shape[1]
    name = found.get("recurrent")
    w_rec = np.zeros((hidden, hidden), np.float32) if name is None else _matrix(name, nodes[name])
    for layer, weights, shape in (("recurrent", w_rec, (hidden, hidden)), ("output", w_out, (hidden, outputs))):
        if weights.shape != shape:
            raise FieldError(f"NIRGraph.nodes.{found[layer]}.weight", f"of shape {shape[::-1]}", weights.shape[::-1])
    return Weights(w_in, w_rec, w_out)


def _matrix(name: str, node: Any) -> Matrix:
    """Weights ``pre, post``."""
    name = f"NIRGraph.nodes.{name}"
    weight = numbers(f"{name}.weight", node.weight)
    if weight.ndim != 2:
        raise FieldError(f"{name}.weight", "a matrix, post x pre", weight.shape)
    if is_a(node, "Affine") and (bias := numbers(f"{name}.bias", node.bias)).any():
        raise FieldError(f"{name}.bias", "0, as our neurons have no bias", float(np.abs(bias).max()))
    return np.ascontiguousarray(finite(f"{name}.weight", weight.astype(np.float32)).T)
