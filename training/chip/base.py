"""The chip protocol: six calls that are all a run needs of the hardware that holds its weights.

A chip holds the three weight arrays of a network on in-memory-computing cores. A run tells it which rows spike
and which devices get pulses; it answers with converted column sums. Randomness arrives as keys, so that
simulated chips, wherever they run, give the same numbers as the compiled loop; real ones ignore them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pcmsim.core import HERMES
from pcmsim.errors import PCMLabError
from pcmsim.plan import Plan, PulsePlan, WeightPlan
from pcmsim.quantity import check, quantity
from training.neurons import Floats
from training.spikes import Spikes

PROTOCOL = 1
"""Version of the calls and of their encoding."""

KINDS: dict[str, type[Plan]] = {"pulses": PulsePlan, "weights": WeightPlan}
"""What programs a chip: pulses on devices, or changes of digital weights."""

DETERMINISTIC, TIMELESS = "deterministic", "timeless"
"""Capabilities: the same key and steps give the same sums; answers hold for any device time that is asked about."""


class ChipError(PCMLabError):
    """A chip refuses a call, or cannot carry it out; nothing was written."""


class ChipWrittenError(ChipError):
    """A chip holds what another run has written."""


class ChipLostError(ChipError):
    """A chip does not answer. The call may be repeated: what was carried out already is not done twice."""


@dataclass(frozen=True)
class LayerInfo:
    """One weight array of a chip.

    Raises
    ------
    FieldError
        If a value lies outside its bounds.
    """

    rows: int = quantity(1, minimum=1, maximum=10**6, doc="Inputs", source="the chip")
    columns: int = quantity(1, minimum=1, maximum=10**6, doc="Outputs", source="the chip")
    devices: int = quantity(1, minimum=1, maximum=64, doc="Devices per polarity", source="the chip")
    scale: float = quantity(
        1.0, unit="µS", above=0.0, maximum=1e6, doc="Conductance that stands for weight 1", source="the chip"
    )
    step: float = quantity(
        1.0, unit="µS", minimum=0.0, maximum=1e6, doc="What a SET pulse is taken to add", source="the chip"
    )
    full_weight: float = quantity(
        1.0, above=0.0, maximum=1e6, doc="Weight of a cell that conducts fully", source="the chip"
    )
    exponent: float = quantity(
        0.0,
        minimum=0.0,
        maximum=1.0,
        doc="A high value of the drift exponent; 0 where nothing drifts",
        source="the chip",
    )
    random: bool = quantity(False, doc="Whether sums carry noise", source="the chip")
    written_at: float = quantity(
        0.0, unit="s", minimum=0.0, doc="Device time of the last program that wrote", source="the chip"
    )

    def __post_init__(self) -> None:
        check(self)

    @property
    def shape(self) -> tuple[int, int]:
        """``pre, post``."""
        return self.rows, self.columns


@dataclass(frozen=True)
class ChipInfo:
    """What a chip is, and where it stands.

    Parameters
    ----------
    layers : mapping of str to LayerInfo
        Its weight arrays by name: input, recurrent, output.
    capabilities : tuple of str
        Of `DETERMINISTIC`, `TIMELESS`.

    Raises
    ------
    FieldError
        If a value lies outside its bounds.
    """

    layers: Mapping[str, LayerInfo]
    capabilities: tuple[str, ...] = ()
    name: str = quantity("chip", doc="Name for people", source="the chip")
    protocol: int = quantity(PROTOCOL, minimum=1, doc="Version of the protocol", source="ours")
    kind: str = quantity("pulses", choices=tuple(KINDS), doc="What programs it", source="the chip")
    core_rows: int = quantity(256, minimum=1, maximum=4096, doc="Inputs of a core", source=HERMES)
    core_columns: int = quantity(256, minimum=1, maximum=4096, doc="Outputs of a core", source=HERMES)
    cores: int = quantity(
        64, minimum=1, maximum=10**6, doc="Cores", source="Le Gallo 2023 (doi:10.1038/s41928-023-01010-1): 64"
    )
    number: int = quantity(0, minimum=0, doc="Number of the last program that was carried out", source="the chip")

    def __post_init__(self) -> None:
        check(self)
        object.__setattr__(self, "capabilities", tuple(self.capabilities))


@dataclass(frozen=True)
class LayerRead:
    """How one weight array stands.

    Parameters
    ----------
    mean : numpy.ndarray
        Effective weights, ``pre, post``, float32.
    variance : numpy.ndarray
        Variance of one read of each, same shape; ``0, 0`` where reads are exact.
    stored : numpy.ndarray
        Conductances as last written [µS], ``sign, device, pre, post``, or what comes nearest to them; digital
        weights, ``pre, post``.
    conductance : numpy.ndarray
        Present conductances [µS], ``sign, device, pre, post``; nothing for digital weights.
    age : numpy.ndarray
        Time since the last write [s], same shape.
    sets, resets : numpy.ndarray
        SET pulses and RESETs so far, same shape, int32.
    """

    mean: npt.NDArray[np.float32]
    variance: npt.NDArray[np.float32]
    stored: npt.NDArray[np.float32]
    conductance: npt.NDArray[np.float32]
    age: npt.NDArray[np.float32]
    sets: npt.NDArray[np.int32]
    resets: npt.NDArray[np.int32]


class Chip(ABC):
    """Hardware that holds the weights of a run. A lab writes one subclass for its own; `contract.check` tests it.

    A chip comes prepared: its devices at their initial conductance, and no conducting device on the diagonal of
    the recurrent array. Every call checks what it is given (`training.chip.checks`) before it does anything.
    """

    @abstractmethod
    def info(self) -> ChipInfo:
        """What the chip is, and the number of the last program that it carried out."""

    @abstractmethod
    def program(self, layer: str, plan: Plan, now: float, key: int, number: int) -> int:
        """RESET, then SET the devices of a plan, or change digital weights.

        Parameters
        ----------
        layer : str
            Which array.
        plan : PulsePlan or WeightPlan
            What `ChipInfo.kind` names.
        now : float
            Device time [s], not before `clock`.
        key : int
            Seed of the write noise; real devices bring their own.
        number : int
            Number of this program, from 1. One that has been carried out already is acknowledged, not repeated.

        Returns
        -------
        int
            Number of the last program that was carried out.

        Raises
        ------
        FieldError
            If an argument is not allowed, or `number` leaves one out; nothing is written then.
        """

    @abstractmethod
    def mvm(self, layer: str, rows: Spikes, first: int, now: float, key: int) -> Floats:
        """Sums of the rows that are active in each of a batch of steps, at full-scale input.

        Parameters
        ----------
        layer : str
            Which array.
        rows : Spikes
            Which rows are active in each step.
        first : int
            Index of the first step within the trial: with `key` the address of the noise.
        now : float
            Device time [s].
        key : int
            Key of the noise.

        Returns
        -------
        numpy.ndarray
            Converted, corrected sums of each row of cores, ``step, core row, post``, float64, in units of weight;
            0 where no row of those cores is active. Whoever asks adds them up.

        Raises
        ------
        FieldError
            If an argument is not allowed.
        """

    @abstractmethod
    def read(self, layer: str, now: float) -> LayerRead:
        """Weights, their read noise, conductances and wear of an array at device time `now` [s]."""

    @abstractmethod
    def clock(self) -> float:
        """Device time [s]: of the latest program, or the end of the latest wait."""

    @abstractmethod
    def wait(self, until: float) -> float:
        """Let device time pass until `until` [s], nothing if it has passed; return the clock."""


CALLS = tuple(sorted(Chip.__abstractmethods__))


class ChipReads(NamedTuple):
    """How the rows of one weight array read during a stretch of a trial.

    Parameters
    ----------
    chip : Chip
        Where it is.
    layer : str
        Its name.
    now : float
        Device time [s].
    key : int
        Key of the noise.
    gain : numpy.ndarray
        Factor on every converted sum, one number or ``post``, float32.
    """

    chip: Chip
    layer: str
    now: float
    key: int
    gain: Floats

    def add(self, rows: Spikes, first: int, totals: Floats) -> None:
        """Add the sums of a batch of steps to ``step, post``, one row of cores after another; silence asks nothing."""
        if rows.neuron.size:
            sums = self.chip.mvm(self.layer, rows, first, self.now, self.key)
            for core_row in range(sums.shape[1]):
                totals += self.gain * sums[:, core_row]
