"""What a chip may be asked: every argument of its calls is checked before anything is done."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from pcmsim.errors import FieldError, UnknownNameError
from pcmsim.plan import Plan, PulsePlan, WeightPlan
from pcmsim.quantity import Quantity
from training.chip.base import KINDS, ChipInfo, LayerInfo
from training.spikes import Spikes

LONGEST = 10**6
"""Steps of one batch, and pulses on one device, at most."""

LARGEST_ANSWER = 2**29
"""Bytes of sums that one call may ask for."""

MOMENT = Quantity(float, unit="s", minimum=0.0, maximum=1e18, doc="Device time; beyond, an age is no float32 number")


def layer(info: ChipInfo, name: Any) -> LayerInfo:
    """The layer of that name; raises `UnknownNameError` if the chip has none."""
    if not isinstance(name, str) or name not in info.layers:
        raise UnknownNameError("layer", str(name), info.layers)
    return info.layers[name]


def moment(name: str, value: Any) -> float:
    """A device time; raises `FieldError` unless it is a finite number within `MOMENT`."""
    if not MOMENT.accepts(value):
        raise FieldError(name, MOMENT.allowed, value)
    return float(value)


def whole(name: str, value: Any, least: int = 0, most: int = 2**63 - 1) -> int:
    """A whole number; raises `FieldError` unless it lies within its bounds."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise FieldError(name, f"a whole number from {least} to {most}", value)
    return value


def later(now: float, clock: float) -> None:
    """Raise `FieldError` if a program would be earlier than the chip's clock [s]."""
    if now < clock:
        raise FieldError("now", f"at least the chip's clock, {clock!r} s", now)


def plan(info: ChipInfo, name: str, asked: Plan) -> None:
    """Raise `FieldError` unless a plan is of the chip's kind, fits the layer and is finite."""
    here = layer(info, name)
    if not isinstance(asked, KINDS[info.kind]):
        raise FieldError(f"{name}.plan", f"a {KINDS[info.kind].__name__}", type(asked).__name__)
    if isinstance(asked, WeightPlan):
        _change(name, here, asked.change)
    else:
        _pulses(name, here, asked)


def rows(info: ChipInfo, name: str, asked: Spikes, first: int) -> None:
    """Raise `FieldError` unless the active rows of a batch of steps exist and are in order."""
    here = layer(info, name)
    whole("first", first, 0, 2**40)
    if not isinstance(asked, Spikes):
        raise FieldError("rows", "the events of each step", type(asked).__name__)
    start, neuron = _vector("rows.start", asked.start, np.int64), _vector("rows.neuron", asked.neuron, np.int32)
    if not 2 <= start.size <= LONGEST + 1:
        raise FieldError("rows", f"1 to {LONGEST} steps", start.size - 1)
    size = 8 * (start.size - 1) * math.ceil(here.rows / info.core_rows) * here.columns
    if size > LARGEST_ANSWER:
        raise FieldError("rows", f"so few steps that their sums take at most {LARGEST_ANSWER} bytes", start.size - 1)
    if start[0] != 0 or start[-1] != neuron.size or (np.diff(start) < 0).any():
        raise FieldError("rows.start", "places of the steps' events, from 0 to their number", "others")
    _within(f"{name}.rows", neuron, here.rows)


def _pulses(name: str, here: LayerInfo, asked: PulsePlan) -> None:
    cells = 2 * here.devices * here.rows * here.columns
    for field in ("set_devices", "reset_devices"):
        devices = _vector(f"{name}.{field}", _numbers(getattr(asked, field)), np.int64)
        _within(f"{name}.{field}", devices, cells)
        if np.unique(devices).size != devices.size:
            raise FieldError(f"{name}.{field}", "each device once", "repeats")
    counts = _vector(f"{name}.set_counts", _numbers(asked.set_counts), np.int64)
    if counts.size != asked.set_devices.numel():
        raise FieldError(f"{name}.set_counts", f"{asked.set_devices.numel()} counts", counts.size)
    if counts.size and not (counts.min() >= 1 and counts.max() <= LONGEST):
        raise FieldError(f"{name}.set_counts", f"from 1 to {LONGEST}", f"{counts.min()} to {counts.max()}")


def _change(name: str, here: LayerInfo, change: Any) -> None:
    if not isinstance(change, torch.Tensor):
        raise FieldError(f"{name}.change", "a tensor", type(change).__name__)
    if tuple(change.shape) != here.shape or change.dtype != torch.float32:
        expected = f"float32 of at most the chip's shape {here.shape}"
        raise FieldError(f"{name}.change", expected, f"{change.dtype} of shape {tuple(change.shape)}")
    if not bool(torch.isfinite(change).all()):
        raise FieldError(f"{name}.change", "finite numbers", "others")


def _numbers(values: Any) -> Any:
    return values.numpy() if isinstance(values, torch.Tensor) else None


def _vector(name: str, values: Any, dtype: type[np.integer[Any]]) -> np.ndarray[Any, np.dtype[Any]]:
    if not isinstance(values, np.ndarray) or values.dtype != dtype or values.ndim != 1:
        raise FieldError(name, f"one-dimensional {np.dtype(dtype)} numbers", type(values).__name__)
    return values


def _within(name: str, places: np.ndarray[Any, np.dtype[Any]], size: int) -> None:
    if places.size and not (places.min() >= 0 and places.max() < size):
        raise FieldError(name, f"from 0 to {size - 1}, within the chip", f"{places.min()} to {places.max()}")
