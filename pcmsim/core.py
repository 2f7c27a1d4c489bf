"""The periphery of in-memory-computing cores: what stands between spikes, devices and sums.

A core holds 256 x 256 unit cells. Inputs reach its rows as pulses whose width a digital-to-analog
converter sets; the current of each column goes through an analog-to-digital converter of its own; a
local digital unit corrects gain and offset and adds the partial sums of cores that share columns.
Khaddam-Aljameh et al., JSSC 57(4), 1027 (2022), doi:10.1109/JSSC.2022.3140414.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from pcmsim.counter import normal
from pcmsim.foundation.compiled import njit
from pcmsim.foundation.tensors import SINGLE
from pcmsim.model import Floats
from pcmsim.quantity import check, quantity

HERMES = "Khaddam-Aljameh 2022 (HERMES core)"
Singles = npt.NDArray[np.float32]
Received = tuple[Floats, Floats]
BINS = 64
"""Bins of the histogram of conversions: the outermost for those that saturated, the others end to end of the range."""


@dataclass(frozen=True)
class CoreConfig:
    """How weights sit on cores, and how well the cores' converters work.

    Raises
    ------
    FieldError
        If a value lies outside its bounds.
    """

    enabled: bool = quantity(False, doc="Whether sums pass through the converters of cores", source="ours")
    rows: int = quantity(256, minimum=1, maximum=4096, doc="Inputs of a core", source=HERMES)
    columns: int = quantity(256, minimum=1, maximum=4096, doc="Outputs of a core", source=HERMES)
    dac_bits: int | None = quantity(
        8,
        optional=True,
        minimum=1,
        maximum=16,
        doc="Bits of an input and its sign; a spike is full scale",
        source=HERMES,
    )
    bit_serial: bool = quantity(
        False, doc="Inputs arrive bit by bit, each converted and added digitally; else as one pulse", source=HERMES
    )
    adc_bits: int | None = quantity(
        8, optional=True, minimum=2, maximum=16, doc="Bits of a column's sum", source=HERMES
    )
    adc_range: float = quantity(
        2.0,
        unit="cells",
        above=0.0,
        maximum=4096.0,
        doc="Largest sum that a converter holds, in fully conducting cells; beyond it saturates",
        source="ours: few rows are active in a step",
    )
    mvm_noise: float = quantity(
        0.0125,
        minimum=0.0,
        maximum=1.0,
        doc="Noise of one conversion, as a share of the range",
        source="fitted: with read noise and 8 bits an error of 1.94 % (HERMES, measured)",
    )
    gain_spread: float = quantity(
        0.07, minimum=0.0, maximum=0.5, doc="Spread of the converters' gains before calibration", source=HERMES
    )
    offset_spread: float = quantity(
        0.07,
        minimum=0.0,
        maximum=0.5,
        doc="Spread of the converters' offsets before calibration, as a share of the range",
        source="taken like the gains'",
    )
    calibration: int = quantity(
        256,
        unit="reads",
        minimum=0,
        maximum=10**6,
        doc="Reads averaged at each of two known currents to correct gains and offsets; 0 corrects nothing",
        source="ours",
    )
    wire_resistance: float = quantity(
        0.0,
        unit="ohm",
        minimum=0.0,
        maximum=100.0,
        doc="Resistance of a column's wire from cell to cell; 0 has no IR drop",
        source="first-order option; a few ohm in scaled metal",
    )

    def __post_init__(self) -> None:
        check(self)


class Converters(NamedTuple):
    """What compiled code knows of an array's converters; without any, `gain` is empty.

    Parameters
    ----------
    gain, offset : numpy.ndarray
        Of each column of each core, ``core row, post``; offsets in units of weight.
    scale, shift : numpy.ndarray
        Digital correction of a converted sum, same shape.
    rows : int
        Rows of a core.
    noise : float
        Standard deviation of a conversion's noise, in units of weight.
    step : float
        Weight of one code; 0 converts exactly.
    highest : int
        Highest code, and the negative of the lowest.
    histogram : numpy.ndarray
        Conversions so far by code, `BINS` bins; the outermost hold those that saturated.
    """

    gain: Floats
    offset: Floats
    scale: Floats
    shift: Floats
    rows: int
    noise: float
    step: float
    highest: int
    histogram: npt.NDArray[np.int64]


def saturated(histogram: npt.NDArray[np.int64]) -> float | None:
    """Share of counted conversions that saturated; None where none was counted.

    Examples
    --------
    >>> counted = np.zeros(BINS, np.int64)
    >>> counted[[0, 32, -1]] = 1, 7, 2
    >>> saturated(counted)
    0.3
    """
    total = int(histogram.sum())
    return int(histogram[0] + histogram[-1]) / total if total else None


def no_converters(dtype: npt.DTypeLike) -> Converters:
    """For an array whose sums are exact."""
    none = np.empty((0, 0), dtype)
    return Converters(none, none, none, none, 1, 0.0, 0.0, 1, np.empty(0, np.int64))


class Core:
    """The cores of one weight array.

    Parameters
    ----------
    config : CoreConfig
        Their converters.
    shape : tuple of int
        ``pre, post`` of the array.
    full : float
        Weight of a fully conducting cell.
    generator : torch.Generator
        The chip's own stream: fixed pattern of its converters, and their calibration.

    Attributes
    ----------
    gain, offset : torch.Tensor
        As built, ``core row, post``; offset as a share of the range.
    gain_error, offset_error : torch.Tensor
        What calibration leaves of them, same shape.
    histogram : numpy.ndarray
        See `Converters`.
    """

    def __init__(self, config: CoreConfig, shape: tuple[int, int], full: float, *, generator: torch.Generator) -> None:
        self.config, self.shape, self.range = config, shape, config.adc_range * full
        cells = (self.tiles[0], shape[1])
        self.gain = (1.0 + config.gain_spread * torch.randn(cells, generator=generator, **SINGLE)).clamp(min=0.05)
        self.offset = config.offset_spread * torch.randn(cells, generator=generator, **SINGLE)
        self._scale, self._shift = self._calibrated(generator)
        self.amplification: torch.Tensor | float = 1.0
        self.histogram = np.zeros(BINS, np.int64)

    def fits(self, config: CoreConfig, full: float) -> bool:
        """Whether cores with these constants would be the very same, so that these can go on counting."""
        return config == self.config and config.adc_range * full == self.range

    @property
    def tiles(self) -> tuple[int, int]:
        """Cores along the inputs and along the outputs."""
        rows, columns = self.config.rows, self.config.columns
        return math.ceil(self.shape[0] / rows), math.ceil(self.shape[1] / columns)

    @property
    def utilisation(self) -> float:
        """Share of the cores' cells that hold weights."""
        return math.prod(self.shape) / (math.prod(self.tiles) * self.config.rows * self.config.columns)

    @property
    def noisy(self) -> bool:
        """Whether conversions carry noise."""
        return self.config.mvm_noise > 0.0

    @property
    def step(self) -> float:
        """Weight of one code; 0 where conversions are exact."""
        return 0.0 if self.config.adc_bits is None else self.range / self.highest

    @property
    def highest(self) -> int:
        """Highest code; the lowest is its negative."""
        return 1 if self.config.adc_bits is None else 2 ** (self.config.adc_bits - 1) - 1

    @property
    def gain_error(self) -> torch.Tensor:
        """Gains that are left after digital correction, minus 1."""
        return self.gain * self._scale - 1.0

    @property
    def offset_error(self) -> torch.Tensor:
        """Offsets that are left after digital correction, as a share of the range."""
        return self.offset * self._scale + self._shift

    def amplified(self, factor: torch.Tensor | float) -> Core:
        """The same cores with converted sums multiplied by a number, or one per output: drift compensation."""
        view = copy.copy(self)
        view.amplification = self.amplification * factor
        return view

    def uncounted(self) -> Core:
        """The same cores for who only looks: its conversions are none of the run's."""
        view = copy.copy(self)
        view.histogram = np.zeros_like(self.histogram)
        return view

    def converters(self, dtype: npt.DTypeLike = np.float32) -> Converters:
        """For compiled code."""
        factor = torch.as_tensor(self.amplification, **SINGLE)
        arrays = (self.gain, self.offset * self.range, self._scale * factor, self._shift * self.range * factor)
        gain, offset, scale, shift = (values.numpy().astype(dtype) for values in arrays)
        noise = self.config.mvm_noise * self.range
        return Converters(gain, offset, scale, shift, self.config.rows, noise, self.step, self.highest, self.histogram)

    def planes(self, inputs: Singles) -> list[tuple[Singles, float]]:
        """What reaches the rows, one after another, and what each is worth: one pulse, or the bits of the inputs."""
        bits = self.config.dac_bits
        if bits is None or bits == 1:
            return [(inputs if bits is None else np.rint(inputs), 1.0)]
        highest = 2 ** (bits - 1) - 1
        codes = np.rint(inputs * np.float32(highest))
        if not self.config.bit_serial:
            return [(codes / np.float32(highest), 1.0)]
        magnitude, sign = np.abs(codes).astype(np.int32), np.sign(codes)
        return [((magnitude >> b & 1).astype(np.float32) * sign, 2.0**b / highest) for b in range(bits - 1)]

    def drop(self, conductance: torch.Tensor) -> torch.Tensor:
        """Conductances [µS] as the columns see them, less the voltage that their wires lose; see `kept`."""
        kept = self.kept(conductance)
        return conductance if kept is None else conductance * kept

    def kept(self, conductance: torch.Tensor) -> torch.Tensor | None:
        """Share of each cell's current that is left by the voltage that the columns' wires lose.

        With r the wire's resistance from cell to cell, the ground at the row 0's end and unit voltage at
        every active row, the current of row k loses the share ``r sum_i min(i + 1, k + 1) G_i`` to first
        order in r: the drop that it causes at each cell i of its column. The devices of a polarity share a wire.

        Parameters
        ----------
        conductance : torch.Tensor
            ``sign, device, pre, post`` [µS].

        Returns
        -------
        torch.Tensor or None
            ``sign, 1, pre, post``, not below 0; None where the wires lose nothing.
        """
        if self.config.wire_resistance == 0.0:
            return None
        parts = torch.split(conductance.sum(1, keepdim=True), self.config.rows, 2)
        return torch.cat([self._kept(part) for part in parts], dim=2)

    def _kept(self, load: torch.Tensor) -> torch.Tensor:
        place = torch.arange(1, load.shape[2] + 1, **SINGLE)[:, None]
        near = (load * place).cumsum(2)
        far = load.sum(2, keepdim=True) - load.cumsum(2)
        return (1.0 - 1e-6 * self.config.wire_resistance * (near + place * far)).clamp(min=0.0)

    def _calibrated(self, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Digital scale and shift from averaged conversions at plus and minus half the range."""
        if self.config.calibration == 0:
            return torch.ones_like(self.gain), torch.zeros_like(self.offset)
        rounding = 0.0 if self.config.adc_bits is None else 1.0 / (self.highest * math.sqrt(12.0))
        spread = math.hypot(self.config.mvm_noise, rounding) / math.sqrt(self.config.calibration)
        high, low = (
            self.gain * level + self.offset + spread * torch.randn(self.gain.shape, generator=generator, **SINGLE)
            for level in (0.5, -0.5)
        )
        scale = 1.0 / (high - low).clamp(min=0.05)
        return scale, -0.5 * (high + low) * scale


@njit(nogil=True)
def convert(core: Converters, tile: int, received: Received, noise: tuple[int, int], sums: Floats) -> None:
    """Convert the columns of one row of cores and add them to `sums`.

    Parameters
    ----------
    core : Converters
        The converters.
    tile : int
        Which row of cores.
    received : tuple of numpy.ndarray
        Mean of each column's sum and the variance of its devices' reads, ``post``, in units of weight.
    noise : tuple of int
        Key of the noise and its address at the first column.
    sums : numpy.ndarray
        ``post``.
    """
    total, variance = received
    key, address = noise
    least, bins, highest = core.noise * core.noise, core.histogram.size, core.highest
    for j in range(sums.size):
        sigma = math.sqrt(least + variance[j])
        value = core.gain[tile, j] * total[j] + core.offset[tile, j]
        if sigma > 0.0:
            value += sigma * normal(key, address + j)
        if core.step > 0.0:
            code, place = np.rint(value / core.step), 0
            if code > highest:
                code, place = highest, bins - 1
            elif code >= -highest:
                place = 1 + int((code + highest) * (bins - 3) / (2 * highest) + 0.5)
            elif code < -highest:  # what is not a number stays so, and counts here
                code = -highest
            core.histogram[place] += 1
            value = code * core.step
        sums[j] += core.scale[tile, j] * value + core.shift[tile, j]
