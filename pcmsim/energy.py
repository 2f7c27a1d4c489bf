"""What a run costs its devices: energy by event, and wear against endurance.

Ledgers count events and add up what was read; here each event gets an energy, and the most written device an end. A
device that conducts G takes ``V^2 G t`` of a read at voltage V that lasts t; a spike is a full pulse, on cores too.
Converters, wires and the digital side are not counted, nor the verifying reads and repeated pulses of devices
that are programmed to a target.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from pcmsim.errors import FieldError
from pcmsim.ledger import Ledger
from pcmsim.quantity import check, quantity

L09 = (
    "estimate: figure commonly quoted from Lee et al. 2009 (doi:10.1145/1555754.1555758) for a 90 nm binary cell, "
    "read second hand"
)

PREFIXES = {-15: "f", -12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k"}
"""SI prefixes by power of ten."""


ABOUT: dict[str, dict[str, Any]] = {
    "set_pulse": {
        "unit": "J",
        "minimum": 0.0,
        "maximum": 1e-6,
        "doc": "Energy of one SET pulse",
        "source": f"{L09}: 13.5 pJ (150 µA for 150 ns); a short accumulating pulse may need less",
    },
    "reset_pulse": {
        "unit": "J",
        "minimum": 0.0,
        "maximum": 1e-6,
        "doc": "Energy of one RESET",
        "source": f"{L09}: 19.2 pJ (300 µA for 40 ns)",
    },
    "read_voltage": {
        "unit": "V",
        "minimum": 0.0,
        "maximum": 5.0,
        "doc": "Voltage V of a read, which takes V^2 G t of each device that conducts G",
        "source": "estimate: 0.2 V, assumed: low enough to disturb nothing",
    },
    "read_time": {
        "unit": "s",
        "minimum": 0.0,
        "maximum": 1.0,
        "doc": "Duration t of the pulse of a spike",
        "source": "estimate: 250 ns, the read time of IBM's analog hardware kit; HERMES: 128 ns, read second hand",
    },
    "endurance": {
        "unit": "cycles",
        "minimum": 1.0,
        "maximum": 1e15,
        "doc": "Write events that a device survives, SETs and RESETs alike",
        "source": "estimate: reports range from about 1e6 to 1e9 cycles (1e9: doi:10.1155/2013/195325); a SET alone "
        "may wear a device less than a whole cycle",
    },
}
"""What is known of each cost."""


@dataclass(frozen=True)
class EventCosts:
    """Energy of one event of one device, and how many writes a device survives: a device model's own, if it has any.

    Raises
    ------
    FieldError
        If a value lies outside its bounds.

    Examples
    --------
    >>> f"{EventCosts().read(10.0):.3g}"
    '1e-13'
    """

    set_pulse: float = quantity(13.5e-12, **ABOUT["set_pulse"])
    reset_pulse: float = quantity(19.2e-12, **ABOUT["reset_pulse"])
    read_voltage: float = quantity(0.2, **ABOUT["read_voltage"])
    read_time: float = quantity(250e-9, **ABOUT["read_time"])
    endurance: float = quantity(1e8, **ABOUT["endurance"])

    def __post_init__(self) -> None:
        check(self)

    def read(self, conductance: float) -> float:
        """Energy of reads whose conductances [µS] sum to this: ``V^2 G t`` [J]."""
        return self.read_voltage**2 * conductance * 1e-6 * self.read_time


PCM_COSTS = EventCosts()
"""Of phase-change memory."""


@dataclass(frozen=True)
class CostConfig:
    """Costs in place of the device's own, where they are set.

    Raises
    ------
    FieldError
        If a value lies outside its bounds.
    """

    set_pulse: float | None = quantity(None, kind=float, **ABOUT["set_pulse"])
    reset_pulse: float | None = quantity(None, kind=float, **ABOUT["reset_pulse"])
    read_voltage: float | None = quantity(None, kind=float, **ABOUT["read_voltage"])
    read_time: float | None = quantity(None, kind=float, **ABOUT["read_time"])
    endurance: float | None = quantity(None, kind=float, **ABOUT["endurance"])

    def __post_init__(self) -> None:
        check(self)

    def over(self, own: EventCosts | None) -> EventCosts | None:
        """A device's own costs with those that are set; None if it has none and not all are set."""
        values = {name: value for name, value in vars(self).items() if value is not None}
        if own is None and values.keys() != ABOUT.keys():
            return None
        return replace(own or EventCosts(), **values)


FORMER = {"set_pulse": 13.5e-12, "reset_pulse": 19.2e-12, "read": 0.1e-12, "endurance": 1e8}
"""Costs that every file held from when a read cost the same whatever it read."""


def as_set(costs: Any) -> Any:
    """The costs of a file, of which an earlier version wrote all down: those that had been changed.

    Raises
    ------
    FieldError
        If one of them is the energy of a read.
    """
    if not isinstance(costs, Mapping) or "read" not in costs:
        return costs
    if costs["read"] != FORMER["read"]:
        raise FieldError("costs.read", "left out: read_voltage and read_time decide what a read costs", costs["read"])
    return {name: value for name, value in costs.items() if value != FORMER.get(name)}


@dataclass(frozen=True)
class Budget:
    """Events, energy and wear of a run so far.

    Parameters
    ----------
    sets, resets, reads : int
        SET pulses, RESETs and device reads, all devices together.
    energy : mapping of str to float, or None
        Energy of ``set_pulse``, ``reset_pulse`` and ``read`` events [J]; None where the weights have no energy model.
    most_written : int
        Write events (SETs and RESETs) of the device that has most of them.
    lifetime : float or None
        `most_written` over the endurance: 1 when the first device is worn out; None where it has none.
    updates_left : float or None
        Trials until the most written device reaches its endurance, at its mean rate so far; infinite
        before the first trial and where nothing was written; None without an endurance.
    """

    sets: int = 0
    resets: int = 0
    reads: int = 0
    energy: Mapping[str, float] | None = None
    most_written: int = 0
    lifetime: float | None = None
    updates_left: float | None = None

    @property
    def total(self) -> float | None:
        """Energy of all events [J]; None without an energy model."""
        return None if self.energy is None else math.fsum(self.energy.values())


def budget(ledgers: Iterable[Ledger], costs: EventCosts | None, trials: int) -> Budget:
    """Events, energy and wear of the crossbars that the ledgers belong to.

    Parameters
    ----------
    ledgers : iterable of Ledger
        One per crossbar; none where weights are digital.
    costs : EventCosts or None
        Energies and endurance; None for weights without an energy model, whose events are counted alone.
    trials : int
        Trials in which the events happened.

    Returns
    -------
    Budget

    Raises
    ------
    FieldError
        If `trials` is negative.
    """
    if trials < 0:
        raise FieldError("trials", "a whole number >= 0", trials)
    ledgers = list(ledgers)
    sets, resets = sum(each.total_sets for each in ledgers), sum(each.total_resets for each in ledgers)
    counted = Budget(sets, resets, sum(each.total_reads for each in ledgers), most_written=_most(ledgers))
    if costs is None:
        return counted
    most, read = counted.most_written, sum(float(each.read_conductance) for each in ledgers)
    return replace(
        counted,
        energy={
            "set_pulse": sets * costs.set_pulse,
            "reset_pulse": resets * costs.reset_pulse,
            "read": costs.read(read),
        },
        lifetime=most / costs.endurance,
        updates_left=max(costs.endurance - most, 0.0) * trials / most if most and trials else math.inf,
    )


def _most(ledgers: Sequence[Ledger]) -> int:
    return int(_writes(ledgers).max(initial=0))


def wear(ledgers: Iterable[Ledger]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Histogram of write events (SETs and RESETs) per device.

    Bins are 0, 1, 2, 3 to 4, 5 to 8, 9 to 16 and so on, as far as needed, at least 0 and 1.

    Parameters
    ----------
    ledgers : iterable of Ledger
        One per crossbar.

    Returns
    -------
    tuple of numpy.ndarray
        Lower edges of the bins, and devices in them; the devices sum to all devices.

    Examples
    --------
    >>> ledger = Ledger.empty((2, 1, 1, 3))
    >>> ledger.sets.view(-1)[:2] = torch.tensor([1, 7], dtype=torch.int32)
    >>> [part.tolist() for part in wear([ledger])]
    [[0, 1, 2, 3, 5], [4, 1, 0, 0, 1]]
    """
    writes = _writes(list(ledgers))
    doublings = (max(int(writes.max(initial=0)), 1) - 1).bit_length()
    edges = np.array([0, 1, *(1 + 2**power for power in range(doublings))], dtype=np.int64)
    places = np.searchsorted(edges, writes, side="right") - 1
    return edges, np.bincount(places, minlength=edges.size).astype(np.int64)


def quantity_text(energy: float) -> str:
    """An energy with three figures and the SI prefix that leaves at most two digits before the point.

    Parameters
    ----------
    energy : float
        Energy [J].

    Returns
    -------
    str

    Examples
    --------
    >>> quantity_text(4.9e-7), quantity_text(13.5e-12), quantity_text(0.0)
    ('0.49 µJ', '13.5 pJ', '0 J')
    """
    if energy == 0.0 or not math.isfinite(energy):
        return f"{energy:g} J"
    figures, exponent = f"{energy:.2e}".split("e")
    power = min(max(3 * ((int(exponent) + 1) // 3), min(PREFIXES)), max(PREFIXES))
    return f"{float(figures) * 10.0 ** (int(exponent) - power):.3g} {PREFIXES[power]}J"


def _writes(ledgers: Sequence[Ledger]) -> npt.NDArray[np.int64]:
    """Write events of every device, flat."""
    counts = [(each.sets.long() + each.resets).reshape(-1) for each in ledgers]
    return torch.cat(counts).numpy() if counts else np.empty(0, np.int64)
