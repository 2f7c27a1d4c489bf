"""Device-to-device mismatch: a fixed pattern, drawn once per chip.

A parameter p of a device becomes ``p * (1 + level * xi)`` with one standard normal xi per device
and parameter, truncated so that the parameter stays positive; the log-normal option has the same
coefficient of variation and is right-skewed, as measured silicon is. `level` is the standard
deviation, not three of them.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from pcmsim.foundation.tensors import SINGLE
from pcmsim.quantity import check, quantity
from pcmsim.streams import Streams

SMALLEST_FACTOR = 0.05


@dataclass(frozen=True)
class DeviceMismatch:
    """How much devices of one chip differ from each other.

    Parameters
    ----------
    step, g_max, drift_exponent : float
        Relative standard deviation of the mean SET step, the maximum conductance and the drift exponent.
    distribution : str
        ``normal`` (truncated) or ``log-normal``.
    weight : float
        Relative standard deviation of the factor by which a synapse reads its weight wrong.

    Raises
    ------
    FieldError
        If a level lies outside 0 to 0.5, or the distribution is unknown.
    """

    step: float = quantity(
        0.0,
        minimum=0.0,
        maximum=0.5,
        doc="Standard deviation of the mean SET step, device to device, as a share of it",
        source="aihwkit's PCM training preset uses 0.2; Gong 2018: a third of the variability is device to device",
    )
    g_max: float = quantity(
        0.0,
        minimum=0.0,
        maximum=0.5,
        doc="Standard deviation of the maximum conductance, device to device, as a share of it",
        source="aihwkit's PCM training preset uses 0.1",
    )
    drift_exponent: float = quantity(
        0.0,
        minimum=0.0,
        maximum=0.5,
        doc="Standard deviation of the drift exponent, device to device, as a share of it",
        source="Joshi 2020 finds 0.008/0.049 = 0.16 at high conductance, more at low",
    )
    distribution: str = quantity(
        "normal",
        choices=("normal", "log-normal"),
        doc="Shape of the spread; log-normal has the same coefficient of variation",
        source="measured silicon is right-skewed",
    )
    weight: float = quantity(
        0.0,
        minimum=0.0,
        maximum=0.5,
        doc="Standard deviation of the factor by which each weight, digital or on devices, reads wrong",
        source="Büchel 2022 scans 0.1 to 0.5",
    )

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class Spread:
    """Factors by which each device differs from the nominal model; 1 where there is no mismatch.

    Parameters
    ----------
    step, g_max, drift_exponent : torch.Tensor or float
        Factor per device, shape of the device state, or one number for all.
    """

    step: torch.Tensor | float = 1.0
    g_max: torch.Tensor | float = 1.0
    drift_exponent: torch.Tensor | float = 1.0

    FIELDS: ClassVar[tuple[str, ...]] = ("step", "g_max", "drift_exponent")

    def take(self, indices: torch.Tensor) -> Spread:
        """The factors of the devices at flat `indices`."""
        every = (self.step, self.g_max, self.drift_exponent)
        return Spread(*(value.take(indices) if isinstance(value, torch.Tensor) else value for value in every))


def factors(
    level: float, shape: tuple[int, ...], *, generator: torch.Generator, distribution: str = "normal"
) -> torch.Tensor | float:
    """Factors of mean 1 and relative standard deviation `level`.

    Parameters
    ----------
    level : float
        Relative standard deviation.
    shape : tuple of int
        Shape of the result.
    generator : torch.Generator
        The chip's own stream; the same stream at another level scales the same pattern.
    distribution : str
        ``normal`` or ``log-normal``.

    Returns
    -------
    torch.Tensor or float
        Shape `shape`, float32, at least 0.05 (which leaves 0.487 of a normal spread of 0.5); the number 1
        if `level` is 0.
    """
    if level == 0.0:
        return 1.0
    score = torch.randn(shape, generator=generator, **SINGLE)
    if distribution == "log-normal":
        sigma = math.sqrt(math.log1p(level**2))
        return torch.exp(sigma * score - 0.5 * sigma**2).clamp(min=SMALLEST_FACTOR)
    return (1.0 + level * score).clamp(min=SMALLEST_FACTOR)


def spread(mismatch: DeviceMismatch, shape: tuple[int, ...], *, streams: Streams, name: str) -> Spread:
    """The fixed pattern of one array.

    Parameters
    ----------
    mismatch : DeviceMismatch
        Levels.
    shape : tuple of int
        Shape of the array's device state.
    streams : Streams
        The pattern depends on the seed and the array's name alone, not on the levels.
    name : str
        Name of the array.

    Returns
    -------
    Spread
    """
    levels = dataclasses.asdict(mismatch)
    return Spread(
        **{
            field: factors(
                levels[field],
                shape,
                generator=streams.at(f"mismatch/{name}/{field}"),
                distribution=mismatch.distribution,
            )
            for field in Spread.FIELDS
        }
    )


def weight_factors(
    mismatch: DeviceMismatch, shape: tuple[int, int], *, streams: Streams, name: str
) -> torch.Tensor | None:
    """Factors by which the weights of one array read wrong, ``pre, post``; None where they read right.

    Büchel et al. 2022 perturb trained weights as ``w (1 + level xi)``; here a factor stays positive. Other
    arguments as in `spread`.
    """
    generator = streams.at(f"mismatch/{name}/weight")
    drawn = factors(mismatch.weight, shape, generator=generator, distribution=mismatch.distribution)
    return drawn if isinstance(drawn, torch.Tensor) else None
