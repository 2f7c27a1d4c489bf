"""Colours between colours, evenly spaced to the eye.

OKLab: B. Ottosson, "A perceptual color space for image processing" (2020), https://bottosson.github.io/posts/oklab/.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

FROM_RGB = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
FROM_CONE = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
TO_CONE, TO_RGB = np.linalg.inv(FROM_CONE), np.linalg.inv(FROM_RGB)
"""OKLab: linear sRGB to cone responses, their cube roots to lightness and two opponent axes; and back."""

LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
"""Of linear sRGB, as WCAG 2.2 defines it."""

EVEN = 1.05**0.5 * 0.05**0.5 - 0.05
"""Luminance on which black and white contrast alike."""


@lru_cache(maxsize=32)
def ramp(begin: str, end: str, count: int) -> list[str]:
    """Colours from `begin` to `end` that look evenly spaced, and differ in lightness.

    A straight line in OKLab.

    Parameters
    ----------
    begin, end : str
        ``#rrggbb``.
    count : int
        How many.

    Returns
    -------
    list of str
        Shared: do not change it.

    Examples
    --------
    >>> ramp("#000000", "#ffffff", 3)
    ['#000000', '#636363', '#ffffff']
    """
    first, last = oklab(begin), oklab(end)
    mixed = first + np.linspace(0.0, 1.0, count)[:, None] * (last - first)
    linear = np.clip((mixed @ TO_CONE.T) ** 3 @ TO_RGB.T, 0.0, 1.0)
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return ["#{:02x}{:02x}{:02x}".format(*rgb) for rgb in np.rint(255.0 * srgb).astype(int).tolist()]


def oklab(colour: str) -> npt.NDArray[np.float64]:
    """Lightness and two opponent axes of a colour ``#rrggbb``."""
    return np.cbrt(FROM_RGB @ _linear(colour)) @ FROM_CONE.T


def legible(on: str) -> str:
    """Black or white, whichever can be read better on a colour ``#rrggbb``: at least 4.5 to 1 (WCAG 2.2, 1.4.3).

    Examples
    --------
    >>> legible("#ffffff"), legible("#767676"), legible("#00007f")
    ('#000000', '#000000', '#ffffff')
    """
    return "#000000" if float(LUMINANCE @ _linear(on)) > EVEN else "#ffffff"


def _linear(colour: str) -> npt.NDArray[np.float64]:
    srgb = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255.0
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
