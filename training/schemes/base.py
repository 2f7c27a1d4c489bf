"""The protocol of update schemes: from the change that e-prop asks for to pulses.

A scheme never touches a conductance. It sees the gradient and what may be known of the array, and
returns a plan; the array carries it out.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch

from pcmsim.array import ArrayView
from pcmsim.plan import Plan, PulsePlan
from pcmsim.registry import Registry
from training.precision import PrecisionConfig

SchemeState = dict[str, torch.Tensor]

LONGEST_TRAIN = 100
"""SET pulses that one device gets in one update at most: by then it is saturated."""

ALMOST_ONE = 1e-4


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

    def init(self, view: ArrayView) -> SchemeState:
        """State to start from: tensors by name, updated in place; stateless by default."""
        return {}

    @abstractmethod
    def update(self, asked: Asked, state: SchemeState, *, generator: torch.Generator) -> Plan:
        """The plan for one update.

        Parameters
        ----------
        asked : Asked
            Gradient, learning rate, array and precision.
        state : SchemeState
            From `init`; changed in place.
        generator : torch.Generator
            Stream of the scheme's own randomness.

        Returns
        -------
        PulsePlan or WeightPlan
        """


SCHEMES: Registry[type[UpdateScheme]] = Registry("update scheme")


def whole(ratio: torch.Tensor) -> torch.Tensor:
    """Truncated toward zero, forgiving a rounding error just below a whole number."""
    return (ratio + ALMOST_ONE * ratio.sign()).trunc()


def selection(view: ArrayView) -> SchemeState:
    """Counters that say which device of a polarity is next, per synapse and polarity."""
    return {"selection": torch.zeros((2, *view.shape), dtype=torch.int64)} if view.devices > 1 else {}


def deal(synapses: torch.Tensor, pulses: torch.Tensor, view: ArrayView, state: SchemeState) -> PulsePlan:
    """Deal signed pulses to the devices of the matching polarity in turn.

    Parameters
    ----------
    synapses : torch.Tensor
        Flat synapse indices (``pre, post``), without repeats.
    pulses : torch.Tensor
        Whole numbers: positive go to G+, negative to G-.
    view : ArrayView
        Shape and number of devices.
    state : SchemeState
        With the counters of `selection`; advanced in place.

    Returns
    -------
    PulsePlan
    """
    asked = pulses != 0
    synapses, pulses = synapses[asked], pulses[asked].long()
    if synapses.numel() == 0:
        return PulsePlan.build()
    cells = view.shape[0] * view.shape[1]
    polarity, number = (pulses < 0).long(), pulses.abs()
    place = polarity * cells + synapses
    first = state["selection"].view(-1)[place] if view.devices > 1 else torch.zeros_like(place)
    turn = (torch.arange(view.devices)[:, None] - first) % view.devices
    counts = (number + view.devices - 1 - turn) // view.devices
    devices = (polarity * view.devices + torch.arange(view.devices)[:, None]) * cells + synapses
    if view.devices > 1:
        state["selection"].view(-1)[place] = (first + number) % view.devices
    given = counts > 0
    return PulsePlan.build(devices[given], counts[given].clamp(max=LONGEST_TRAIN))


def polarity_devices(synapses: torch.Tensor, polarity: torch.Tensor, view: ArrayView) -> torch.Tensor:
    """Flat indices of all devices of one polarity (0: G+, 1: G-) of each synapse."""
    each = torch.arange(view.devices)[:, None]
    return ((polarity * view.devices + each) * (view.shape[0] * view.shape[1]) + synapses).reshape(-1)
