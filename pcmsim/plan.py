"""What an update scheme asks of the devices: which are RESET, which get how many SET pulses."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from pcmsim.foundation.tensors import WHOLE

NONE = torch.empty(0, **WHOLE)
"""No devices."""


@dataclass(frozen=True)
class PulsePlan:
    """Pulses for one crossbar, RESETs first; sparse, because programming is.

    Parameters
    ----------
    set_devices : torch.Tensor
        Flat indices into the device state (``sign, device, pre, post``), int64, without repeats.
    set_counts : torch.Tensor
        SET pulses for each of them, int64, positive.
    reset_devices : torch.Tensor
        Flat indices of the devices to RESET, int64, without repeats.
    """

    set_devices: torch.Tensor
    set_counts: torch.Tensor
    reset_devices: torch.Tensor

    @classmethod
    def build(
        cls,
        set_devices: torch.Tensor | None = None,
        set_counts: torch.Tensor | None = None,
        reset_devices: torch.Tensor | None = None,
    ) -> PulsePlan:
        """A plan from what is given; nothing else happens, and one pulse is the default count."""
        sets = NONE if set_devices is None else set_devices
        counts = torch.ones_like(sets) if set_counts is None else set_counts
        return cls(sets, counts, NONE if reset_devices is None else reset_devices)

    @property
    def empty(self) -> bool:
        """Whether nothing happens."""
        return self.set_devices.numel() == self.reset_devices.numel() == 0

    @property
    def sets(self) -> int:
        """Number of SET pulses."""
        return int(self.set_counts.numpy().sum())

    @property
    def resets(self) -> int:
        """Number of RESETs."""
        return self.reset_devices.numel()


@dataclass(frozen=True)
class WeightPlan:
    """Change asked of a digital weight memory.

    Parameters
    ----------
    change : torch.Tensor
        Added to the weights, ``pre x post``.
    """

    change: torch.Tensor


Plan = PulsePlan | WeightPlan
