"""How often each device was SET, RESET and read."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from pcmsim.foundation.tensors import COUNT, DOUBLE, WHOLE


@dataclass
class Ledger:
    """Event counts of one crossbar since it was made.

    Parameters
    ----------
    sets, resets : torch.Tensor
        Per device, ``sign, device, pre, post``, int32.
    row_reads : torch.Tensor
        Reads per presynaptic row, int64: a spike reads each device of its row once.
    read_conductance : torch.Tensor
        Conductance at each read of each device, added up [µS], float64, one element: times ``V^2 t`` their energy.
    """

    sets: torch.Tensor
    resets: torch.Tensor
    row_reads: torch.Tensor
    read_conductance: torch.Tensor

    @classmethod
    def empty(cls, shape: tuple[int, ...]) -> Ledger:
        """No events yet, for a device state of `shape`."""
        return cls(
            torch.zeros(shape, **COUNT),
            torch.zeros(shape, **COUNT),
            torch.zeros(shape[2], **WHOLE),
            torch.zeros((), **DOUBLE),
        )

    @property
    def reads(self) -> torch.Tensor:
        """Reads per device, shape of `sets`, int64."""
        return self.row_reads[:, None].expand(self.sets.shape)

    @property
    def total_sets(self) -> int:
        """SET pulses over all devices."""
        return int(self.sets.sum())

    @property
    def total_resets(self) -> int:
        """RESETs over all devices."""
        return int(self.resets.sum())

    @property
    def total_reads(self) -> int:
        """Device reads over all devices."""
        return int(self.row_reads.numpy().sum()) * (self.sets.numel() // self.row_reads.numel())

    def read(self, rows: torch.Tensor, conductance: float) -> None:
        """Add reads, so many of each row, and the conductance of all devices that were read [µS]."""
        self.row_reads += rows
        self.read_conductance += conductance

    def count(self, set_devices: torch.Tensor, set_counts: torch.Tensor, reset_devices: torch.Tensor) -> None:
        """Add the events of one plan; indices are flat and without repeats."""
        self.sets.numpy().reshape(-1)[set_devices.numpy()] += set_counts.numpy()
        if reset_devices.numel():
            self.resets.put_(reset_devices, torch.ones_like(reset_devices, dtype=torch.int32), accumulate=True)
