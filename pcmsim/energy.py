"""What a run costs its devices: energy by event, and wear against endurance.

Ledgers count events; here each event gets an energy, and the most written device an end. Converters,
wires and the digital side are not counted, nor the verifying reads and repeated pulses of devices
that are programmed to a target.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

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


@dataclass(frozen=True)
class EventCosts:
    """Energy of one event of one device, and how many writes a device survives.

    Raises
    ------
    FieldError
        If a value lies outside its bounds.
    """

    set_pulse: float = quantity(
        13.5e-12,
        unit="J",
        minimum=0.0,
        maximum=1e-6,
        doc="Energy of one SET pulse",
        source=f"{L09}: 13.5 pJ (150 µA for 150 ns); a short accumulating pulse may need less",
    )
    reset_pulse: float = quantity(
        19.2e-12,
        unit="J",
        minimum=0.0,
        maximum=1e-6,
        doc="Energy of one RESET",
        source=f"{L09}: 19.2 pJ (300 µA for 40 ns)",
    )
    read: float = quantity(
        0.1e-12,
        unit="J",
        minimum=0.0,
        maximum=1e-6,
        doc="Energy of one read of one device",
        source="estimate: V^2 G t = (0.2 V)^2 * 10 µS * 250 ns = 0.1 pJ, at high conductance and with the read time "
        "of IBM's analog hardware kit; the voltage is assumed",
    )
    endurance: float = quantity(
        1e8,
        unit="cycles",
        minimum=1.0,
        maximum=1e15,
        doc="Write events that a device survives, SETs and RESETs alike",
        source="estimate: reports range from about 1e6 to 1e9 cycles (1e9: doi:10.1155/2013/195325); a SET alone may "
        "wear a device less than a whole cycle",
    )

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class Budget:
    """Events, energy and wear of a run so far.

    Parameters
    ----------
    sets, resets, reads : int
        SET pulses, RESETs and device reads, all devices together.
    energy : mapping of str to float
        Energy of ``set_pulse``, ``reset_pulse`` and ``read`` events [J].
    most_written : int
        Write events (SETs and RESETs) of the device that has most of them.
    lifetime : float
        `most_written` over the endurance: 1 when the first device is worn out.
    updates_left : float
        Trials until the most written device reaches its endurance, at its mean rate so far; infinite
        before the first trial and where nothing was written.
    """

    sets: int = 0
    resets: int = 0
    reads: int = 0
    energy: Mapping[str, float] = field(default_factory=dict)
    most_written: int = 0
    lifetime: float = 0.0
    updates_left: float = math.inf

    @property
    def total(self) -> float:
        """Energy of all events [J]."""
        return math.fsum(self.energy.values())


def budget(ledgers: Iterable[Ledger], costs: EventCosts, trials: int) -> Budget:
    """Events, energy and wear of the crossbars that the ledgers belong to.

    Parameters
    ----------
    ledgers : iterable of Ledger
        One per crossbar; none where weights are digital.
    costs : EventCosts
        Energies [J] and endurance [cycles].
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
    reads = sum(each.total_reads for each in ledgers)
    most = int(_writes(ledgers).max(initial=0))
    return Budget(
        sets=sets,
        resets=resets,
        reads=reads,
        energy={
            "set_pulse": sets * costs.set_pulse,
            "reset_pulse": resets * costs.reset_pulse,
            "read": reads * costs.read,
        },
        most_written=most,
        lifetime=most / costs.endurance,
        updates_left=max(costs.endurance - most, 0.0) * trials / most if most and trials else math.inf,
    )


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
