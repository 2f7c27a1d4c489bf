"""The weight arrays of a run: built from a configuration, reconfigured, looked at."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import singledispatch

import numpy as np
import torch

from pcmsim.array import WeightArray
from pcmsim.core import Core
from pcmsim.crossbar import Crossbar
from pcmsim.digital import DigitalArray
from pcmsim.energy import EventCosts
from pcmsim.foundation.tensors import SINGLE, WHOLE
from pcmsim.ledger import Ledger
from pcmsim.mismatch import spread, weight_factors
from pcmsim.plan import PulsePlan
from pcmsim.streams import Streams
from training.config import RunConfig
from training.network import LAYERS, Arrays
from training.neurons import Floats
from training.records import CoreSnapshot, LayerSnapshot, Snapshot
from training.tasks import Sampler
from training.watch import LayerWatch

PROBED = 64
"""Devices of the recurrent array whose conductance every record carries."""


def build(config: RunConfig, sampler: Sampler, *, streams: Streams) -> Arrays:
    """Input, recurrent and output weights at device time 0, for a task's inputs and outputs."""
    make = _digital if config.scheme.digital else _crossbar
    arrays = Arrays(*(make(config, layer, shape, streams) for layer, shape in shapes(config, sampler).items()))
    _disconnect_self(arrays.recurrent, streams=streams)
    return arrays


def shapes(config: RunConfig, sampler: Sampler) -> dict[str, tuple[int, int]]:
    """``pre, post`` of each layer, for a task's inputs and outputs."""
    hidden = config.network.hidden
    return dict(zip(LAYERS, ((sampler.inputs, hidden), (hidden, hidden), (hidden, sampler.outputs)), strict=True))


def configure(arrays: Arrays, config: RunConfig, *, streams: Streams) -> None:
    """Give the arrays the device constants, scale, mismatch, precision and cores of `config`."""
    model = config.device.model(config.precision.weight_bits)
    for layer, array in zip(LAYERS, arrays, strict=True):
        array.factor = weight_factors(config.device.mismatch, array.shape, streams=streams, name=layer)
        if isinstance(array, Crossbar):
            array.model, array.scale = model, config.device.scale
            array.spread = spread(config.device.mismatch, array.state.conductance.shape, streams=streams, name=layer)
        elif isinstance(array, DigitalArray):
            array.form = config.precision.weight_format
        if not config.core.enabled:
            array.core = None
        elif array.core is None or not array.core.fits(config.core, array.full_weight):
            array.core = _core(config, layer, array, streams)


def snapshot(arrays: Arrays, now: float, watch: Mapping[str, LayerWatch] | None = None) -> Snapshot:
    """Copies of weights, conductances, ages and event counts of every layer at device time `now` [s].

    With a watch, recent updates too.
    """
    taken = {layer: layer_snapshot(array, now) for layer, array in zip(LAYERS, arrays, strict=True)}
    if watch is None:
        return taken
    return {
        layer: replace(shown, asked=watch[layer].asked.numpy().copy(), applied=watch[layer].applied.numpy().copy())
        for layer, shown in taken.items()
    }


def _digital(config: RunConfig, layer: str, shape: tuple[int, int], streams: Streams) -> WeightArray:
    normal = torch.randn(shape, generator=streams.at(f"initial/{layer}"), **SINGLE)
    network = config.network
    own = network.recurrent_gain if layer == "recurrent" else None
    weights = normal * ((network.initial_gain if own is None else own) * math.sqrt(2.0 / shape[0]))
    return DigitalArray(weights, form=config.precision.weight_format)


def _crossbar(config: RunConfig, layer: str, shape: tuple[int, int], streams: Streams) -> WeightArray:
    return Crossbar(
        shape,
        config.device.model(config.precision.weight_bits),
        devices=config.device.devices,
        scale=config.device.scale,
        initial_conductance=config.device.initial_conductance,
        generator=streams.at(f"initial/{layer}"),
    )


def _core(config: RunConfig, layer: str, array: WeightArray, streams: Streams) -> Core:
    return Core(config.core, array.shape, array.full_weight, generator=streams.at(f"core/{layer}"))


def _disconnect_self(array: WeightArray, *, streams: Streams) -> None:
    """No neuron drives itself: RESET the diagonal pairs, or zero the digital weights; learning never asks for them."""
    if isinstance(array, DigitalArray):
        array.weights.fill_diagonal_(0.0)
    if isinstance(array, Crossbar):
        places = torch.arange(array.state.conductance.numel(), **WHOLE).view(array.state.conductance.shape)
        diagonal = places.diagonal(dim1=2, dim2=3).reshape(-1)
        array.apply(PulsePlan.build(reset_devices=diagonal), 0.0, generator=streams.at("initial/diagonal"))


def probed_devices(array: WeightArray, *, streams: Streams) -> torch.Tensor:
    """Flat indices of the devices whose conductance is followed; none for digital weights."""
    number = array.reads_per_spike * array.shape[0]
    return torch.randint(max(number, 1), (PROBED if number else 0,), generator=streams.at("probe"), **WHOLE)


def probe(array: WeightArray, devices: torch.Tensor, now: float) -> Floats:
    """Drifted conductance of the probed devices at device time `now` [s]: [µS].

    Empty for a chip, which would be asked for a whole array in every trial: snapshots have it, see `probe_in`.
    """
    if not isinstance(array, Crossbar):
        return np.empty(0, np.float32)
    return array.model.read(array.state.take(devices), array.spread.take(devices), now).location.numpy()


def probe_in(layer: LayerSnapshot, devices: torch.Tensor) -> Floats:
    """Drifted conductance of the probed devices in an array's snapshot: [µS]."""
    probed: Floats = layer.conductance.reshape(-1)[devices.numpy()]
    return probed


@singledispatch
def layer_snapshot(array: WeightArray, now: float) -> LayerSnapshot:
    """Copies of an array's weights and, where it has devices, of their state at device time `now` [s]."""
    empty = np.empty((0, 0, *array.shape), np.float32)
    none = empty.astype(np.int32)
    return LayerSnapshot(
        array.stored_weights().numpy().copy(), empty, empty, none, none, core=_core_snapshot(array.core)
    )


@singledispatch
def ledger(array: WeightArray, snapshot: LayerSnapshot) -> Ledger | None:
    """How often each device of an array was written and read, its snapshot at hand; None without devices."""
    return None


def costs(arrays: Arrays, config: RunConfig) -> EventCosts | None:
    """What events of a run's devices cost: their own costs, or those that are set; None without an energy model."""
    first = arrays.input
    if not first.reads_per_spike:
        return None
    if isinstance(first, Crossbar):
        return config.costs.over(first.model.costs)
    return config.costs.over(config.device.model(None).costs)  # a chip has the devices that its run names


@ledger.register
def _(array: Crossbar, snapshot: LayerSnapshot) -> Ledger | None:
    return array.ledger


@layer_snapshot.register
def _(array: Crossbar, now: float) -> LayerSnapshot:
    conductance, reads = array.conductance(now), array.moments(now)
    return LayerSnapshot(
        weights=reads.mean.numpy().copy(),
        variance=np.empty((0, 0), np.float32) if reads.variance is None else reads.variance.numpy(),
        conductance=conductance.numpy().copy(),
        age=(now - array.state.written_at).float().numpy(),
        sets=array.ledger.sets.numpy().copy(),
        resets=array.ledger.resets.numpy().copy(),
        core=_core_snapshot(array.core),
    )


def _core_snapshot(core: Core | None) -> CoreSnapshot | None:
    if core is None:
        return None
    return CoreSnapshot(
        tiles=core.tiles,
        size=(core.config.rows, core.config.columns),
        utilisation=core.utilisation,
        adc_range=core.config.adc_range,
        histogram=core.histogram.copy(),
        gain_error=float(core.gain_error.std(correction=0)),
        offset_error=float(core.offset_error.std(correction=0)),
    )
