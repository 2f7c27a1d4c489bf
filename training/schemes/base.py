"""The protocol of update schemes: from the change that e-prop asks for to pulses.

A scheme never touches a conductance. It sees the gradient and what may be known of the array, and
returns a plan; the array carries it out.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch

from pcmsim.array import ArrayView
from pcmsim.foundation.bounds import Bounds, State
from pcmsim.foundation.compiled import njit
from pcmsim.foundation.tensors import WHOLE
from pcmsim.plan import Plan, PulsePlan
from pcmsim.registry import Registry
from training.precision import PrecisionConfig

SchemeState = dict[str, torch.Tensor]
Indices = npt.NDArray[np.int64]
Singles = npt.NDArray[np.float32]

LONGEST_TRAIN = 100
"""SET pulses that one device gets in one update at most: by then it is saturated."""

ALMOST_ONE = np.float32(1e-4)


@dataclass(frozen=True)
class Asked:
    """What e-prop asks of one array.

    Parameters
    ----------
    gradient : torch.Tensor
        Gradient of the loss, ``pre, post``.
    lr : float
        Learning rate of this array.
    view : ArrayView
        What may be known of the array.
    precision : PrecisionConfig
        Bits of weights and accumulators.
    """

    gradient: torch.Tensor
    lr: float
    view: ArrayView
    precision: PrecisionConfig

    @property
    def change(self) -> torch.Tensor:
        """Asked weight change, ``pre * post``."""
        return self.gradient.reshape(-1) * -self.lr


class UpdateScheme(ABC):
    """A rule that turns gradients into plans; its fields are the rule's settings."""

    digital: ClassVar[bool] = False
    """Whether the weights live in digital memory instead of on devices."""

    uses_weight_bits: ClassVar[bool] = False
    """Whether the weight precision acts in the scheme; elsewhere the device's own pulse is the grain."""

    summary: ClassVar[str]
    """One sentence for people."""

    @property
    def ideal(self) -> UpdateScheme:
        """What does the same on digital weights: plain descent, unless the scheme has a step of its own."""
        return SCHEMES["float32"]()

    def init(self, view: ArrayView) -> SchemeState:
        """State to start from: tensors by name, updated in place; stateless by default."""
        return {}

    def bounds(self, view: ArrayView) -> State:
        """What saved state may hold; finite numbers where nothing is said. Counters of the next device by default."""
        return {"selection": Bounds(0.0, view.devices - 1)}

    def step(self, asked: Asked, state: SchemeState) -> Asked:
        """What the scheme's optimiser asks of the weights: plain descent, ``-lr gradient``, unless it has its own.

        Parameters
        ----------
        asked : Asked
            Gradient and learning rate, array and precision.
        state : SchemeState
            From `init`; changed in place.

        Returns
        -------
        Asked
            With the optimiser's gradient and learning rate. Adaptive feedback takes the same step.
        """
        return asked

    @abstractmethod
    def plan(self, asked: Asked, state: SchemeState, *, generator: torch.Generator) -> Plan:
        """The plan that carries out a step.

        Parameters
        ----------
        asked : Asked
            From `step`.
        state : SchemeState
            From `init`; changed in place.
        generator : torch.Generator
            Stream of the scheme's own randomness.

        Returns
        -------
        PulsePlan or WeightPlan
        """

    def update(self, asked: Asked, state: SchemeState, *, generator: torch.Generator) -> Plan:
        """The plan for one update: that of the optimiser's step; arguments as in `step` and `plan`."""
        return self.plan(self.step(asked, state), state, generator=generator)


SCHEMES: Registry[type[UpdateScheme]] = Registry("update scheme")


@njit(nogil=True)
def whole_number(ratio: Any) -> Any:
    """Truncated toward zero, forgiving a rounding error just below a whole number."""
    return np.trunc(ratio + ALMOST_ONE * np.sign(ratio))


@njit(nogil=True)
def _whole(ratios: Singles) -> Singles:
    whole = np.empty_like(ratios)
    for i in range(ratios.size):
        whole[i] = whole_number(ratios[i])
    return whole


def whole(ratios: torch.Tensor) -> torch.Tensor:
    """The `whole_number` of each of some ratios, one-dimensional, float32."""
    return torch.from_numpy(_whole(ratios.numpy()))


def selection(view: ArrayView) -> SchemeState:
    """Counters that say which device of a polarity is next, per synapse and polarity."""
    return {"selection": torch.zeros((2, *view.shape), **WHOLE)} if view.devices > 1 else {}


def deal(synapses: torch.Tensor, pulses: torch.Tensor, view: ArrayView, state: SchemeState) -> PulsePlan:
    """Deal signed pulses to the devices of the matching polarity in turn.

    Parameters
    ----------
    synapses : torch.Tensor
        Flat synapse indices (``pre, post``), int64, without repeats.
    pulses : torch.Tensor
        Whole numbers, float32: positive go to G+, negative to G-, none where 0.
    view : ArrayView
        Shape and number of devices.
    state : SchemeState
        With the counters of `selection`; advanced in place.

    Returns
    -------
    PulsePlan
    """
    cells = view.shape[0] * view.shape[1]
    upcoming = state["selection"].numpy().reshape(-1) if view.devices > 1 else np.empty(0, np.int64)
    devices, counts = _dealt(synapses.numpy(), pulses.numpy(), view.devices, cells, upcoming)
    return PulsePlan.build(torch.from_numpy(devices), torch.from_numpy(counts))


@njit(nogil=True)
def _dealt(synapses: Indices, pulses: Singles, devices: int, cells: int, upcoming: Indices) -> tuple[Indices, Indices]:
    """Flat devices and their counts, in the order of the devices; `upcoming` counters advance in place."""
    flat, counts = np.empty(devices * synapses.size, np.int64), np.empty(devices * synapses.size, np.int64)
    given = 0
    for device in range(devices):
        for i in range(synapses.size):
            side, number = cells * int(pulses[i] < 0.0), int(abs(pulses[i]))
            first = upcoming[side + synapses[i]] if devices > 1 else 0
            count = (number + devices - 1 - (device - first) % devices) // devices
            if count > 0:
                flat[given] = side * devices + device * cells + synapses[i]
                counts[given] = min(count, LONGEST_TRAIN)
                given += 1
    for i in range(synapses.size if devices > 1 else 0):
        place = cells * int(pulses[i] < 0.0) + synapses[i]
        upcoming[place] = (upcoming[place] + int(abs(pulses[i]))) % devices
    return flat[:given], counts[:given]


def polarity_devices(synapses: torch.Tensor, polarity: torch.Tensor, view: ArrayView) -> torch.Tensor:
    """Flat indices of all devices of one polarity (0: G+, 1: G-) of each synapse."""
    each = torch.arange(view.devices, **WHOLE)[:, None]
    return ((polarity * view.devices + each) * (view.shape[0] * view.shape[1]) + synapses).reshape(-1)
