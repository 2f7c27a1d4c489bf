"""How many bits weights, accumulators and gradients have."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from pcmsim.digital import WeightFormat, quantise
from pcmsim.quantity import check, quantity


@dataclass(frozen=True)
class PrecisionConfig:
    """Bits of the digital side; none means floating point.

    Raises
    ------
    FieldError
        If a number of bits lies outside 2 to 16.
    """

    weight_bits: int | None = quantity(
        4, optional=True, minimum=2, maximum=16,
        doc="Bits of a weight over its range: grain of digital weights, of accumulated transfers, of the ideal device",
        source="Demirag 2021: 4 bits (quantum 0.125)",
    )  # fmt: skip
    weight_range: float = quantity(
        1.0,
        above=0.0,
        maximum=1e3,
        doc="Largest magnitude of a digital weight; bits of weights and accumulators are spread over it",
        source="Demirag 2021: 1",
    )
    sign_magnitude: bool = quantity(
        False,
        doc="Digital weights are a sign and weight_bits bits of magnitude, 2^bits - 1 steps either side",
        source="BrainScaleS-2: 6 bits, -63 to 63 (Cramer 2022)",
    )
    shadow: bool = quantity(
        False,
        doc="Digital weights are read rounded while a floating-point copy gathers the updates",
        source="Cramer 2022 trains so in the loop; Demirag 2021: not",
    )
    accumulator_bits: int | None = quantity(
        None,
        kind=int,
        minimum=2,
        maximum=32,
        doc="Bits of the gradient accumulator over the weights' range",
        source="Demirag 2021: floating point",
    )
    gradient_bits: int | None = quantity(
        None,
        kind=int,
        minimum=2,
        maximum=16,
        doc="Bits of the gradient, over its own largest magnitude",
        source="Demirag 2021: floating point",
    )

    def __post_init__(self) -> None:
        check(self)

    @property
    def weight_format(self) -> WeightFormat:
        """How digital weights are stored."""
        return WeightFormat(self.weight_bits, self.weight_range, self.sign_magnitude, self.shadow)

    @property
    def weight_grain(self) -> float | None:
        """Smallest weight change that is expressed; None in floating point."""
        return None if self.weight_bits is None else 2.0 * self.weight_range / 2**self.weight_bits

    def round_gradient(self, gradient: torch.Tensor) -> torch.Tensor:
        """The gradient at its precision, scaled to its own largest magnitude."""
        largest = float(gradient.abs().max()) if self.gradient_bits is not None else 0.0
        return quantise(gradient, self.gradient_bits, largest) if largest > 0.0 else gradient
