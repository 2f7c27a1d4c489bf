"""NIR files and graphs as plain wiring: dialects of its time constants, reading, writing, unnesting.

NIR (Pedersen et al., Nat. Commun. 15:8122, 2024, doi:10.1038/s41467-024-52259-9) describes neurons by
differential equations in continuous time, ``tau v' = v_leak - v + r i``, and leaves it to each simulator
how to step them. What two simulators that step a linear filter agree on is the share that it keeps of its
voltage per step; a `Dialect` is the rule that leads from ``tau`` to that share.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from pcmsim.errors import FieldError, FileError
from pcmsim.foundation.paths import expanded
from pcmsim.foundation.quoting import reason
from pcmsim.registry import Registry
from training.neurons import Floats
from training.support import hdf5, limits
from training.writing import replacing

if TYPE_CHECKING:
    from nir import NIRGraph

Edge = tuple[str, str]

UNREADABLE = (OSError, RuntimeError, AssertionError, AttributeError, IndexError, LookupError, TypeError, ValueError)
"""What ``nir.read`` raises on files that are no NIR graph."""


@dataclass(frozen=True)
class Dialect:
    """How a simulator steps a leaky integrator, ``v[t] = decay v[t-1] + (1 - decay) r i[t]``.

    Parameters
    ----------
    summary : str
        Whose dialect it is.
    decay : callable
        Share of the voltage that is left after a step, from time constant and step [s].
    tau : callable
        The way back: time constant [s] from that share and the step [s].
    step : float or None
        Step that the simulator takes whatever is simulated [s]; None is the network's own.
    narrow : bool
        Whether its importer knows spiking neurons alone, with one threshold and one gain for all; leaky integrators
        are then written as neurons whose threshold is out of reach.
    """

    summary: str
    decay: Callable[[Floats, float], Floats]
    tau: Callable[[Floats, float], Floats]
    step: float | None = None
    narrow: bool = False


def _exact_decay(tau: Floats, step: float) -> Floats:
    decay: Floats = np.exp(-step / tau)
    return decay


def _exact_tau(decay: Floats, step: float) -> Floats:
    return -step / np.log(np.maximum(decay, np.finfo(np.float64).tiny))


def _euler_decay(tau: Floats, step: float) -> Floats:
    return 1.0 - step / tau


def _euler_tau(decay: Floats, step: float) -> Floats:
    return step / (1.0 - decay)


DIALECTS: Registry[Dialect] = Registry("dialect of NIR")

for _name, _dialect in (
    ("exact", Dialect("exact within a step, exp(-dt / tau): NIR's equations at our dt", _exact_decay, _exact_tau)),
    ("euler", Dialect("forward Euler, 1 - dt / tau, at our dt", _euler_decay, _euler_tau)),
    ("snntorch", Dialect("snnTorch: forward Euler at 0.1 ms, no LI", _euler_decay, _euler_tau, 1e-4, True)),
):
    DIALECTS.register(_name)(_dialect)


def read(path: str | Path) -> NIRGraph:
    """The graph of a NIR file.

    Raises
    ------
    FileError
        If the file is missing, no HDF5 or one that `training.support.hdf5` refuses, or no NIR graph of known nodes
        whose shapes fit.
    """
    path = expanded(path)
    if not path.is_file():
        raise FileError(path, "does not exist; expected a NIR file")
    limits.NIR_BYTES.check(path, path.stat().st_size)
    hdf5.check(path)
    try:
        return import_module("nir").read(path)
    except UNREADABLE as error:
        raise FileError(path, f"cannot be read as a NIR graph ({reason(error)})") from error


def write(path: str | Path, graph: NIRGraph) -> None:
    """Write a NIR file beside its final place, then move it there in one step.

    Raises
    ------
    FileError
        If the file cannot be written.
    """
    path, content = expanded(path), io.BytesIO()
    import_module("nir").write(content, graph)
    with replacing(path) as made:
        made.write_bytes(content.getvalue())


def unnested(graph: NIRGraph) -> tuple[dict[str, Any], list[Edge]]:
    """Nodes and edges without subgraphs: an inner node is called ``outer.inner``, inner ports are bridged.

    Raises
    ------
    FieldError
        If a subgraph has not one input and one output.
    """
    nodes, edges = dict(_nodes(graph, "")), list(_edges(graph, ""))
    for port in [name for name, node in nodes.items() if "." in name and is_a(node, "Input", "Output")]:
        before, after = [a for a, b in edges if b == port], [b for a, b in edges if a == port]
        edges = [edge for edge in edges if port not in edge] + list(product(before, after))
        del nodes[port]
    return nodes, edges


def is_a(node: Any, *kinds: str) -> bool:
    """Whether a node is of one of NIR's types, by name."""
    return type(node).__name__ in kinds


def metadata(graph: NIRGraph, name: str) -> Any:
    """An entry of the graph's metadata as a plain value, or None; an array or tensor of one number is that number.

    Raises
    ------
    FieldError
        If the metadata are no mapping, or the entry is more than one value.
    """
    if not isinstance(graph.metadata, Mapping):
        raise FieldError("NIRGraph.metadata", "entries by name", type(graph.metadata).__name__)
    value = graph.metadata.get(name)
    if isinstance(value, np.generic | np.ndarray | torch.Tensor):
        value = _one(f"NIRGraph.metadata.{name}", value)
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _one(name: str, values: Any) -> Any:
    if math.prod(values.shape) != 1:
        raise FieldError(name, "one value", f"an array of shape {tuple(values.shape)}")
    return values.item()


def _nodes(graph: NIRGraph, prefix: str) -> Iterator[tuple[str, Any]]:
    for name, node in graph.nodes.items():
        if is_a(node, "NIRGraph"):
            yield from _nodes(node, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", node


def _edges(graph: NIRGraph, prefix: str) -> Iterator[Edge]:
    for name, node in graph.nodes.items():
        if is_a(node, "NIRGraph"):
            yield from _edges(node, f"{prefix}{name}.")
    for a, b in graph.edges:
        yield _port(graph, a, prefix, "Output"), _port(graph, b, prefix, "Input")


def _port(graph: NIRGraph, name: str, prefix: str, kind: str) -> str:
    """The node itself, or the subgraph's port of that kind."""
    node, place = graph.nodes[name], f"{prefix}{name}"
    if not is_a(node, "NIRGraph"):
        return place
    ports = [inner for inner, part in node.nodes.items() if is_a(part, kind)]
    if len(ports) != 1:
        raise FieldError(f"NIRGraph.nodes.{place}", f"a subgraph with one {kind} node", f"{len(ports)} of them")
    return f"{place}.{ports[0]}"
