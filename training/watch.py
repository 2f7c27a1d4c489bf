"""What recent updates asked for, and what the devices made of it.

A watch only looks: a watched run and an unwatched one are the same run, to the bit. Its memory is
bounded: sums that forget, and a ring of the latest write events.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from pcmsim.array import ArrayView, WeightArray
from pcmsim.foundation.tensors import SINGLE
from pcmsim.plan import Plan, PulsePlan

WINDOW = 30.0
"""Updates over which the sums forget."""

CAPACITY = 20_000
"""Write events of one layer that are remembered."""

EVENT = np.dtype(
    [("device", "i8"), ("trial", "i8"), ("time", "f8"), ("sets", "i4"), ("reset", "?"), ("conductance", "f4")]
)
"""One write event: flat device index, trial, device time [s], SET pulses, whether RESET first, G afterwards [µS]."""


class Update(NamedTuple):
    """One update of one layer.

    Parameters
    ----------
    change : torch.Tensor
        Weight change that e-prop asks for, ``pre, post``.
    plan : Plan
        What the scheme made of it.
    now : float
        Device time [s].
    trial : int
        Trial number.
    """

    change: torch.Tensor
    plan: Plan
    now: float
    trial: int


@dataclass
class Touched:
    """Devices that a plan writes to, and their conductance before.

    Parameters
    ----------
    devices : torch.Tensor
        Flat indices, without repeats.
    sets : torch.Tensor
        SET pulses of each.
    before : torch.Tensor
        Conductance before the write [µS].
    """

    devices: torch.Tensor
    sets: torch.Tensor
    before: torch.Tensor


class LayerWatch:
    """The watch of one weight array.

    Parameters
    ----------
    shape : tuple of int
        ``pre, post``.

    Attributes
    ----------
    latest : torch.Tensor
        Change asked for by the latest update, ``pre, post``.
    asked, planned, applied : torch.Tensor
        Forgetting sums over recent updates, ``pre, post``: weight change asked for by e-prop, stood for
        by the pulses of the plans, and made by the devices.
    largest : float
        Largest single change that a recent update asked for; forgets.
    error, effort : float
        Forgetting sums of squares [µS²], over pulsed devices: of (change made - change asked), and of
        the change asked.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self.latest, self.asked, self.planned, self.applied = (torch.zeros(shape, **SINGLE) for _ in range(4))
        self.largest = self.error = self.effort = 0.0
        self._ring = np.zeros(CAPACITY, EVENT)
        self._written = 0

    @contextlib.contextmanager
    def writing(self, array: WeightArray, update: Update) -> Iterator[None]:
        """Around the call that carries the plan out."""
        view = array.view()
        touched = _touched(update.plan, view)
        stored = array.stored_weights().clone() if touched is None else torch.empty(0, **SINGLE)
        yield
        self._forget()
        self.latest = update.change
        self.asked += update.change
        self.largest = max(self.largest, float(update.change.abs().max()))
        if touched is None or not isinstance(update.plan, PulsePlan):
            change = array.stored_weights() - stored
            self.applied += change
            self.planned += change
        elif touched.devices.numel():
            reset = torch.isin(touched.devices, update.plan.reset_devices)
            self._pulsed(touched, reset, array.view(), update)

    def events(self, devices: npt.ArrayLike) -> npt.NDArray[np.void]:
        """The remembered write events of some devices (flat indices), oldest first: an array of `EVENT`."""
        start = self._written % CAPACITY if self._written > CAPACITY else 0
        ring = np.roll(self._ring, -start) if start else self._ring[: min(self._written, CAPACITY)]
        found: npt.NDArray[np.void] = ring[np.isin(ring["device"], devices)]
        return found

    def _forget(self) -> None:
        keep = math.exp(-1.0 / WINDOW)
        for series in (self.asked, self.planned, self.applied):
            series.mul_(keep)
        self.largest, self.error, self.effort = keep * self.largest, keep * self.error, keep * self.effort

    def _pulsed(self, touched: Touched, reset: torch.Tensor, view: ArrayView, update: Update) -> None:
        after = view.conductance.view(-1)[touched.devices]
        made = after - touched.before
        asked = touched.sets.float() * view.step - torch.where(reset, touched.before, 0.0)
        self._add(self.applied, touched.devices, made, view)
        self._add(self.planned, touched.devices, asked, view)
        pulsed = ~reset
        self.error += float((made - asked)[pulsed].square().sum())
        self.effort += float(asked[pulsed].square().sum())
        self._remember(touched, reset, after, update)

    @staticmethod
    def _add(total: torch.Tensor, devices: torch.Tensor, change: torch.Tensor, view: ArrayView) -> None:
        cells = view.shape[0] * view.shape[1]
        sign = 1.0 - 2.0 * (devices // (view.devices * cells)).float()
        total.view(-1).index_add_(0, devices % cells, sign * change / (view.scale * view.devices))

    def _remember(self, touched: Touched, reset: torch.Tensor, after: torch.Tensor, update: Update) -> None:
        kept = slice(max(0, touched.devices.numel() - CAPACITY), None)
        rows = np.empty(touched.devices[kept].numel(), EVENT)
        rows["device"], rows["sets"] = touched.devices[kept].numpy(), touched.sets[kept].numpy()
        rows["reset"], rows["conductance"] = reset[kept].numpy(), after[kept].numpy()
        rows["trial"], rows["time"] = update.trial, update.now
        places = (self._written + np.arange(rows.size)) % CAPACITY
        self._ring[places] = rows
        self._written += rows.size


def _touched(plan: Plan, view: ArrayView) -> Touched | None:
    """The devices that a plan writes to; None for digital memory."""
    if not isinstance(plan, PulsePlan):
        return None
    devices, sets = plan.set_devices, plan.set_counts
    if plan.reset_devices.numel():
        devices, place = torch.unique(torch.cat([plan.reset_devices, devices]), return_inverse=True)
        counts = torch.cat([torch.zeros_like(plan.reset_devices), sets])
        sets = torch.zeros_like(devices).index_add_(0, place, counts)
    return Touched(devices, sets, view.conductance.view(-1)[devices].clone())
