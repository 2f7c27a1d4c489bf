"""What a device remembers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from pcmsim.foundation.bounds import NOT_NEGATIVE, Bounds, State
from pcmsim.foundation.tensors import COUNT, DOUBLE, SINGLE

REACH = 20.0
"""Conductance of a device over the nominal largest one, at most: six deviations of the widest mismatch that can be set
make 17, and programming errs by less than one. The settings may have changed since the device was written.
"""

LARGEST_SCORE = 16.0
"""No normal number in single precision lies further out."""


@dataclass(frozen=True)
class DeviceState:
    """State of an array of devices; every field has the same shape.

    In a crossbar the axes are ``sign, device, pre, post``: sign 0 is G+, sign 1 is G-, and a row
    of the crossbar (one presynaptic line) is contiguous, because a spike reads one row.

    Parameters
    ----------
    conductance : torch.Tensor
        Conductance at the model's reference time after the last write [µS], float32.
    history : torch.Tensor
        Programming history P of the pulse model, 1 after RESET, float32.
    exponent_score : torch.Tensor
        Standard score of the device's drift exponent, drawn at each write where the model has a spread, float32.
    written_at : torch.Tensor
        Device time of the last SET or RESET [s], float64.
    pulses : torch.Tensor
        SET pulses since the last RESET, int32.
    """

    conductance: torch.Tensor
    history: torch.Tensor
    exponent_score: torch.Tensor
    written_at: torch.Tensor
    pulses: torch.Tensor

    FIELDS: ClassVar[tuple[str, ...]] = ("conductance", "history", "exponent_score", "written_at", "pulses")

    @classmethod
    def fresh(cls, conductance: torch.Tensor, now: float) -> DeviceState:
        """Devices of a given conductance [µS], last written at device time `now` [s]."""
        return cls(
            conductance=conductance.to(torch.float32),
            history=torch.ones(conductance.shape, **SINGLE),
            exponent_score=torch.zeros(conductance.shape, **SINGLE),
            written_at=torch.full(conductance.shape, now, **DOUBLE),
            pulses=torch.zeros(conductance.shape, **COUNT),
        )

    def take(self, indices: torch.Tensor) -> DeviceState:
        """The devices at flat `indices`, as a one-dimensional state."""
        return DeviceState(**{name: value.take(indices) for name, value in self.items()})

    def put(self, indices: torch.Tensor, cells: DeviceState) -> None:
        """Write `cells` back at flat `indices`, in place."""
        places = indices.numpy()
        for name, value in self.items():
            value.numpy().put(places, getattr(cells, name).numpy())  # cheaper than torch's for a few devices

    def age(self, now: float, shortest: float) -> torch.Tensor:
        """Time since the last write [s] at device time `now` [s], not below `shortest`; float32."""
        ages = np.asarray(np.subtract(now, self.written_at.numpy()), np.float32)
        return torch.from_numpy(np.maximum(ages, np.float32(shortest), out=ages))

    def copy(self) -> DeviceState:
        """An independent copy, contiguous."""
        contiguous = torch.contiguous_format
        return DeviceState(**{name: value.clone(memory_format=contiguous) for name, value in self.items()})

    @staticmethod
    def bounds(g_max: float, now: float) -> State:
        """What the fields may hold, for devices of at most about `g_max` [µS], at device time `now` [s]."""
        return {
            "conductance": Bounds(0.0, REACH * g_max),
            "history": Bounds(0.0, 1.0),
            "exponent_score": Bounds(-LARGEST_SCORE, LARGEST_SCORE),
            "written_at": Bounds(0.0, now),
            "pulses": NOT_NEGATIVE,
        }

    def items(self) -> list[tuple[str, torch.Tensor]]:
        """Field names and tensors."""
        return [(name, getattr(self, name)) for name in self.FIELDS]
