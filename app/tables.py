"""The data behind every plot, as tables in long form: one row per trial, spike, synapse or device."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from app.history import CURVE, Table
from app.shot import Shot
from app.views import cores
from training import spikes
from training.records import LayerSnapshot

Columns = Mapping[str, Any]
Curves = Sequence[tuple[str, Table]]


def learning(shot: Shot, curves: Curves) -> Columns:
    """Learning curves: this run, then the others by name; one row per trial; accuracies of classifiers."""
    every = [("this run", shot.curve.columns()), *curves]
    names = np.repeat([name for name, _ in every], [len(table["trial"]) for _, table in every])
    columns = {field: np.concatenate([table[field] for _, table in every]) for field in CURVE}
    return {"run": names, **{field: values for field, values in columns.items() if not np.isnan(values).all()}}


def output(shot: Shot, curves: Curves) -> Columns:
    """Output and target of the latest trial, one row per time step; columns per readout unit."""
    record, dt = shot.record, shot.config.network.dt
    series = {f"output_{k}": record.output[:, k] for k in range(record.output.shape[1])}
    series |= {f"target_{k}": record.target[:, k] for k in range(record.target.shape[1])}
    return {"time": np.arange(len(record.output)) * dt, **series}


def raster(shot: Shot, curves: Curves) -> Columns:
    """Spikes of the latest trial, one row each."""
    record, dt = shot.record, shot.config.network.dt
    trains = {"input": record.inputs, "hidden": record.hidden}
    return {
        "layer": np.repeat(list(trains), [train.neuron.size for train in trains.values()]),
        "neuron": np.concatenate([train.neuron for train in trains.values()]),
        "time": np.concatenate([spikes.times(train) * dt for train in trains.values()]),
    }


def synapses(shot: Shot, curves: Curves) -> Columns:
    """Weights, and what recent updates asked of and did to them; one row per synapse."""
    return _by_layer(shot, _synapses)


def devices(shot: Shot, curves: Curves) -> Columns:
    """Conductance, age and events of every device; empty for digital weights."""
    return _by_layer(shot, _devices)


def drift(shot: Shot, curves: Curves) -> Columns:
    """Conductance of the sampled devices against device time; one row per time."""
    table = shot.drift.table()
    return {"device_time": table[:, 0], **{f"device_{k}": table[:, k + 1] for k in range(table.shape[1] - 1)}}


def conversions(shot: Shot, curves: Curves) -> Columns:
    """Conversions of the cores by the sum that they stand for; one row per bin, empty without cores."""
    return _by_layer(shot, _conversions)


TABLES: dict[str, Callable[[Shot, Curves], Columns]] = {
    "learning": learning,
    "output": output,
    "spikes": raster,
    "synapses": synapses,
    "devices": devices,
    "drift": drift,
    "conversions": conversions,
}
"""Every table by name; each takes the run and the curves that it is compared with."""


def _by_layer(shot: Shot, rows: Callable[[LayerSnapshot], Columns]) -> Columns:
    parts = {layer: rows(taken) for layer, taken in (shot.snapshot or {}).items()}
    lengths = [len(next(iter(part.values()))) for part in parts.values()]
    fields = list(next(iter(parts.values()), {}))
    joined = {field: np.concatenate([part[field] for part in parts.values()]) for field in fields}
    return {"layer": np.repeat(list(parts), lengths), **joined}


def _synapses(layer: LayerSnapshot) -> Columns:
    pre, post = np.indices(layer.weights.shape).reshape(2, -1)
    nothing = np.zeros(layer.weights.size, np.float32)
    return {
        "pre": pre,
        "post": post,
        "weight": layer.weights.ravel(),
        "asked": layer.asked.ravel() if layer.asked.size else nothing,
        "applied": layer.applied.ravel() if layer.applied.size else nothing,
    }


def _conversions(layer: LayerSnapshot) -> Columns:
    if layer.core is None:
        return {"least": np.empty(0), "most": np.empty(0), "conversions": np.empty(0, np.int64)}
    edges = cores.edges(layer.core.adc_range)
    return {"least": edges[:-1], "most": edges[1:], "conversions": layer.core.histogram}


def _devices(layer: LayerSnapshot) -> Columns:
    sign, device, pre, post = np.indices(layer.conductance.shape).reshape(4, -1)
    return {
        "polarity": np.where(sign == 0, "+", "-"),
        "device": device,
        "pre": pre,
        "post": post,
        "conductance": layer.conductance.ravel(),
        "age": layer.age.ravel(),
        "sets": layer.sets.ravel(),
        "resets": layer.resets.ravel(),
    }
