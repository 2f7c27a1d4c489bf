"""What tasks on pictures share; pictures moved at random: as if more people had written them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from pcmsim.foundation.compiled import njit
from pcmsim.foundation.tensors import DOUBLE
from pcmsim.quantity import quantity
from training.neurons import Floats


def moved(image: Floats, angle: float, down: float = 0.0, right: float = 0.0) -> Floats:
    """An image turned about its centre, then shifted, read between pixels bilinearly; outside it is dark.

    Parameters
    ----------
    image : numpy.ndarray
        ``height, width``, float64.
    angle : float
        Angle [rad], counter-clockwise as images are shown: first row on top.
    down, right : float
        Shift [pixels].

    Returns
    -------
    numpy.ndarray
        Same shape; at angle 0 without a shift the same values.

    Examples
    --------
    >>> moved(np.array([[0.0, 1.0], [0.0, 0.0]]), math.pi / 2).round(9).tolist()
    [[1.0, 0.0], [0.0, 0.0]]
    >>> moved(np.array([[0.0, 1.0], [0.0, 0.0]]), 0.0, down=0.25).tolist()
    [[0.0, 0.75], [0.0, 0.25]]
    """
    read: Floats = _read(image, math.cos(angle), math.sin(angle), down, right)
    return read


def randomly_moved(image: Floats, rotation: float, shift: float, generator: torch.Generator) -> Floats:
    """An image at a random angle and place, uniform up to `rotation` [deg] and `shift` [pixels] either way."""
    angle, down, right = (2.0 * torch.rand(3, generator=generator, **DOUBLE) - 1.0).tolist()
    return moved(image, math.radians(rotation) * angle, shift * down, shift * right)


def duration_field() -> Any:
    """A task's field for how long a trial with a picture lasts."""
    return quantity(
        0.06,
        unit="s",
        above=0.0,
        maximum=10.0,
        structural=True,
        doc="Duration of a trial",
        source="chosen by hand: nearly all pixels spike within 40 ms",
    )


def rotation_field() -> Any:
    """A task's field for how far its training images are turned."""
    return _at_random("turned by angles of up to this either way", "deg", 180.0, "Cramer 2022 turns training images")


def shift_field() -> Any:
    """A task's field for how far its training images are shifted."""
    return _at_random("shifted by up to this along both sides", "pixels", 8.0, "ours: writers do not meet the middle")


def _at_random(what: str, unit: str, maximum: float, source: str) -> Any:
    doc = f"Training images are {what}, at random, anew at each trial; 0: never"
    return quantity(0.0, unit=unit, minimum=0.0, maximum=maximum, structural=True, doc=doc, source=source)


@njit(nogil=True)
def _read(image: Floats, cosine: float, sine: float, down: float, right: float) -> Floats:
    """The image moved; places are measured from its first pixel."""
    height, width = image.shape
    middle, centre = (height - 1) / 2, (width - 1) / 2
    framed, read = np.zeros((height + 2, width + 2)), np.zeros((height, width))
    framed[1:-1, 1:-1] = image
    for row in range(height):
        for column in range(width):
            y, x = row - down - middle, column - right - centre
            above, left = middle + cosine * y + sine * x, centre + cosine * x - sine * y
            if -1.0 < above < height and -1.0 < left < width:
                read[row, column] = _between(framed, above + 1.0, left + 1.0)
    return read


@njit(nogil=True)
def _between(framed: Floats, down: float, right: float) -> float:
    """Bilinear interpolation at a place inside."""
    row, column = int(down), int(right)
    low, far = down - row, right - column
    above = (1.0 - far) * framed[row, column] + far * framed[row, column + 1]
    below = (1.0 - far) * framed[row + 1, column] + far * framed[row + 1, column + 1]
    between: float = (1.0 - low) * above + low * below
    return between
