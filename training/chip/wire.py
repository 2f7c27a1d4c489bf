"""Calls and answers as bytes: msgpack, with arrays as raw buffers and a closed list of records. Never pickled."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np
import torch

from pcmsim.errors import PCMLabError
from pcmsim.foundation.quoting import quoted
from pcmsim.plan import PulsePlan, WeightPlan
from training.chip.base import ChipError, ChipInfo, LayerInfo, LayerRead
from training.chip.extra import msgpack
from training.spikes import Spikes

ARRAY, TENSOR, RECORD = 1, 2, 3
DEEPEST = 8
"""Records in each other: a chip's layers lie two deep. Without a bound, a message of kilobytes exhausts the stack."""

DTYPES = ("<f4", "<f8", "<i4", "<i8", "|b1")
RECORDS: dict[str, type[Any]] = {
    kind.__name__: kind for kind in (PulsePlan, WeightPlan, Spikes, ChipInfo, LayerInfo, LayerRead)
}


def pack(value: Any) -> bytes:
    """Plain values, arrays, tensors and records as bytes.

    Examples
    --------
    >>> unpack(pack([1, np.arange(3)]))
    [1, array([0, 1, 2])]
    """
    packed: bytes = msgpack.packb(value, default=_encoded, strict_types=True)
    return packed


def unpack(message: bytes, depth: int = 0) -> Any:
    """What was packed.

    Parameters
    ----------
    message : bytes
        As `pack` makes them.
    depth : int
        In how many records this one lies.

    Raises
    ------
    ChipError
        If the bytes are anything else, or hold records in records more than `DEEPEST` times.
    """
    if depth > DEEPEST:
        raise ChipError(f"message: expected records at most {DEEPEST} deep in each other, got deeper ones")
    try:
        return msgpack.unpackb(message, ext_hook=functools.partial(_decoded, depth=depth))
    except PCMLabError:
        raise
    except Exception as error:  # msgpack raises a dozen kinds on foreign bytes
        raise ChipError(f"message: expected one of the chip protocol, got {len(message)} bytes that are not") from error


def _encoded(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return msgpack.ExtType(TENSOR, _buffer(value.numpy()))
    if isinstance(value, np.ndarray):
        return msgpack.ExtType(ARRAY, _buffer(value))
    if isinstance(value, np.generic | tuple) and type(value).__name__ not in RECORDS:
        return list(value) if isinstance(value, tuple) else value.item()
    fields = value._asdict() if isinstance(value, Spikes) else _fields(value)
    return msgpack.ExtType(RECORD, pack([type(value).__name__, fields]))


def _fields(value: Any) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


def _buffer(values: np.ndarray[Any, np.dtype[Any]]) -> bytes:
    packed: bytes = msgpack.packb([values.dtype.str, list(values.shape), values.tobytes()])
    return packed


def _decoded(code: int, data: bytes, depth: int) -> Any:
    if code == RECORD:
        name, fields = unpack(data, depth + 1)
        return RECORDS[name](**fields)
    kind, shape, buffer = msgpack.unpackb(data)
    if code not in (ARRAY, TENSOR) or kind not in DTYPES:
        raise ChipError(f"message: expected numbers of type {', '.join(DTYPES)}, got {quoted(kind)}")
    values = np.frombuffer(buffer, kind).reshape(shape).copy()
    return torch.from_numpy(values) if code == TENSOR else values
