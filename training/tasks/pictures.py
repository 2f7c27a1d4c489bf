"""What tasks on pictures share; pictures turned at random: as if more people had written them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numba import njit

from pcmsim.quantity import quantity
from training.neurons import Floats


def turned(image: Floats, angle: float) -> Floats:
    """An image turned about its centre, read between pixels bilinearly; outside it is dark.

    Parameters
    ----------
    image : numpy.ndarray
        ``height, width``, float64.
    angle : float
        Angle [rad], counter-clockwise as images are shown: first row on top.

    Returns
    -------
    numpy.ndarray
        Same shape; at angle 0 the same values.

    Examples
    --------
    >>> turned(np.array([[0.0, 1.0], [0.0, 0.0]]), math.pi / 2).round(9).tolist()
    [[1.0, 0.0], [0.0, 0.0]]
    """
    read: Floats = _read(image, math.cos(angle), math.sin(angle))
    return read


def randomly_turned(image: Floats, rotation: float, generator: torch.Generator) -> Floats:
    """An image turned by a random angle, uniform up to `rotation` [deg] either way."""
    share = 2.0 * float(torch.rand((), dtype=torch.float64, generator=generator)) - 1.0
    return turned(image, math.radians(rotation) * share)


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
    return quantity(
        0.0,
        unit="deg",
        minimum=0.0,
        maximum=180.0,
        structural=True,
        doc="Training images are turned by random angles of up to this either way, anew at each trial; 0: never",
        source="Cramer 2022 turns training images at random",
    )


@njit(nogil=True, cache=True)
def _read(image: Floats, cosine: float, sine: float) -> Floats:
    """The image turned; places are measured from its first pixel."""
    height, width = image.shape
    middle, centre = (height - 1) / 2, (width - 1) / 2
    framed, read = np.zeros((height + 2, width + 2)), np.zeros((height, width))
    framed[1:-1, 1:-1] = image
    for row in range(height):
        for column in range(width):
            down = middle + cosine * (row - middle) + sine * (column - centre)
            right = centre + cosine * (column - centre) - sine * (row - middle)
            if -1.0 < down < height and -1.0 < right < width:
                read[row, column] = _between(framed, down + 1.0, right + 1.0)
    return read


@njit(nogil=True, cache=True)
def _between(framed: Floats, down: float, right: float) -> float:
    """Bilinear interpolation at a place inside."""
    row, column = int(down), int(right)
    low, far = down - row, right - column
    above = (1.0 - far) * framed[row, column] + far * framed[row, column + 1]
    below = (1.0 - far) * framed[row + 1, column] + far * framed[row + 1, column + 1]
    between: float = (1.0 - low) * above + low * below
    return between
