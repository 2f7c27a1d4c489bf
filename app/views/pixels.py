"""Spikes as pictures: bits on their way to the browser, where they become coloured pixels.

As pixels they were nine tenths of what a frame sends; Bokeh's own colour maps would take the browser far longer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from bokeh.core.property.vectorization import Expr
from bokeh.models import ColumnDataSource, CustomJSExpr, ImageRGBA
from bokeh.plotting import figure

from app.theme import rgba
from training.spikes import Spikes, times

COLUMNS, MOST_ROWS = 500, 128

UNPACK = """
const {bits, across, colour} = this.data
return bits.map((words, i) => {
  const [rows, stride] = words.shape, width = across[i]
  const image = new words.constructor(rows * width, [rows, width])
  for (let row = 0; row < rows; row++) for (let column = 0; column < width; column++)
    image[row * width + column] = (words[row * stride + (column >> 5)] >>> (column & 31) & 1) * colour[i]
  return image
})
"""


def drawn(plot: figure, low: Sequence[float], height: Sequence[float]) -> ColumnDataSource:
    """Have a figure draw pictures one above the other.

    Parameters
    ----------
    plot : figure
        The figure.
    low, height : sequence of float
        Where each picture begins, and how high it is.

    Returns
    -------
    ColumnDataSource
        For what `packed` gives, the width ``dw`` and the number of ``neurons`` of each picture.
    """
    ones, zeros = [1 for _ in low], [0 for _ in low]
    empty = {"bits": [np.zeros((1, 1), np.uint32) for _ in low], "across": ones, "colour": zeros}
    source = ColumnDataSource({**empty, "neurons": ones, "x": zeros, "y": low, "dw": ones, "dh": height})
    plot.add_glyph(source, ImageRGBA(image=Expr(CustomJSExpr(code=UNPACK)), x="x", y="y", dw="dw", dh="dh"))
    return source


def packed(images: Sequence[tuple[npt.NDArray[np.uint8], str]]) -> dict[str, list[Any]]:
    """Columns of the source of `drawn`.

    Parameters
    ----------
    images : sequence of tuple
        Pictures of zeros and ones, as of `raster`, and the colour of the ones.

    Returns
    -------
    dict of str to list
        ``bits``, ``across``: how many columns they are, and ``colour``.
    """
    return {
        "bits": [bits(image) for image, _ in images],
        "across": [image.shape[1] for image, _ in images],
        "colour": [int(rgba(colour)) for _, colour in images],
    }


def raster(spikes: Spikes, neurons: int) -> npt.NDArray[np.uint8]:
    """Spikes as an image, at most 128 x 500: 1 where a neuron of the row spiked within the column's time.

    Parameters
    ----------
    spikes : Spikes
        The events.
    neurons : int
        How many neurons there are.

    Returns
    -------
    numpy.ndarray
        uint8, ``row, column``.
    """
    rows, across = min(neurons, MOST_ROWS), min(spikes.steps, COLUMNS)
    image = np.zeros((rows, across), np.uint8)
    image[spikes.neuron.astype(np.int64) * rows // neurons, times(spikes) * across // spikes.steps] = 1
    return image


def bits(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint32]:
    """An image of zeros and ones as bits.

    Parameters
    ----------
    image : numpy.ndarray
        Of `raster`.

    Returns
    -------
    numpy.ndarray
        uint32, ``row, word``: 32 columns to a word, the first one in its lowest bit.

    Examples
    --------
    >>> bits(np.eye(2, 40, k=31, dtype=np.uint8)).tolist()
    [[2147483648, 0], [0, 1]]
    """
    rows, across = image.shape
    whole = np.zeros((rows, -(-across // 32) * 32), np.uint8)
    whole[:, :across] = image
    return np.packbits(whole, axis=1, bitorder="little").view("<u4")
