"""What a heat map of a crossbar can show: one number per synapse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.theme import Palette
from training.records import LayerSnapshot

Matrix = npt.NDArray[np.float32]

YOUNGEST = 1e-3
"""Age below which all devices look alike [s]."""


@dataclass(frozen=True)
class Kind:
    """One quantity.

    Parameters
    ----------
    label : str
        Its name on the page.
    unit : str
        Its unit; empty for pure numbers.
    values : callable
        From an array's snapshot, and the largest conductance of its device model [µS], to ``pre, post``;
        zero where there are no devices.
    ramp : callable
        Its colours, by palette.
    diverging : bool
        Whether it has a sign: the scale is symmetric then.
    log : bool
        Whether the colours follow its decimal logarithm.
    least : float
        Smallest end of the colour scale.
    most : float or None
        Fixed end of the colour scale; None where it follows the values.
    """

    label: str
    unit: str
    values: Callable[[LayerSnapshot, float], Matrix]
    ramp: Callable[[Palette], list[str]] = lambda colours: colours.rising
    diverging: bool = False
    log: bool = False
    least: float = 1e-3
    most: float | None = None


def side(layer: LayerSnapshot, sign: int) -> Matrix:
    """Mean conductance of the devices of one polarity [µS], ``pre, post``; 0 is G+, 1 is G-."""
    return layer.conductance[sign].mean(0) if layer.conductance.size else np.zeros_like(layer.weights)


def youngest(layer: LayerSnapshot) -> Matrix:
    """Time since any device of the synapse was last written [s]."""
    return layer.age.min((0, 1)) if layer.age.size else np.zeros_like(layer.weights)


def pulses(layer: LayerSnapshot) -> Matrix:
    """SET pulses of all devices of the synapse."""
    return layer.sets.sum((0, 1)).astype(np.float32) if layer.sets.size else np.zeros_like(layer.weights)


def saturation(layer: LayerSnapshot, g_max: float) -> Matrix:
    """Conductance of the larger side as a share of `g_max` [µS]."""
    return np.maximum(side(layer, 0), side(layer, 1)) / np.float32(g_max)


KINDS: dict[str, Kind] = {
    "weight": Kind("weight", "", lambda layer, _: layer.weights, lambda colours: colours.diverging, diverging=True),
    "G+": Kind("G+", "µS", lambda layer, _: side(layer, 0), lambda colours: colours.rising_plus, least=0.1),
    "G-": Kind("G−", "µS", lambda layer, _: side(layer, 1), lambda colours: colours.rising_minus, least=0.1),
    "age": Kind("age", "s", lambda layer, _: youngest(layer), log=True),
    "pulses": Kind("SET pulses", "", lambda layer, _: pulses(layer), least=5.0),
    "saturation": Kind("saturation", "", saturation, most=1.0),
}
"""Everything that can be shown, by name."""
