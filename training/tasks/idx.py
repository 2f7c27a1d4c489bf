"""The idx format of MNIST: a big-endian header of magic number and sizes, then bytes (LeCun's description)."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import numpy.typing as npt

from pcmsim.errors import FileError
from pcmsim.foundation.quoting import reason
from training.support import limits, ram
from training.tasks.files import checked, remembered

IMAGES, LABELS = 2051, 2049
WORDS = {IMAGES: "images", LABELS: "labels"}
SIZE = np.dtype(">u4")
PIECE = 2**20
"""Bytes that are unpacked at once."""

Bytes = npt.NDArray[np.uint8]


def images(path: Path) -> Bytes:
    """Images, ``image, row, column``, from 0 to 255.

    Raises
    ------
    FileError
        If the file is no such file, damaged, cut short, too long, or too large.
    """
    return _images(checked(path, "an idx file of images"))


def labels(path: Path) -> Bytes:
    """Labels, one for each image; errors as `images`."""
    return _labels(checked(path, "an idx file of labels"))


def _read(path: Path, magic: int, sizes: int) -> Bytes:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            return _content(path, cast(BinaryIO, stream), magic, sizes)
    except (OSError, EOFError, zlib.error) as error:
        raise FileError(path, f"cannot be read or unpacked ({reason(error)})") from error


def _content(path: Path, stream: BinaryIO, magic: int, sizes: int) -> Bytes:
    header = stream.read((1 + sizes) * SIZE.itemsize)
    found, *shape = np.frombuffer(header.ljust((1 + sizes) * SIZE.itemsize, b"\0"), SIZE).tolist()
    if found != magic:
        raise FileError(path, f"is not an idx file of {WORDS[magic]}: magic number {found}, expected {magic}")
    promised, most = math.prod(shape), limits.UNPACKED_BYTES.most
    if not 0 < promised <= most:
        raise FileError(path, f"promises {promised} bytes of {WORDS[magic]}; expected 1 to {most}")
    limits.SAMPLES.check(path, shape[0])
    ram.check(str(path), promised)
    content = np.empty(promised, np.uint8)
    length = _filled(memoryview(content), stream)
    if length != promised or stream.read(1):
        problem = "is cut short" if length < promised else "is longer than it says"
        raise FileError(path, f"{problem}: its header promises {promised} bytes of {WORDS[magic]}")
    return content.reshape(shape)


def _filled(content: memoryview, stream: BinaryIO) -> int:
    """Unpack piece by piece into what is there, and no more; how many bytes came."""
    length = 0
    while piece := stream.read(min(PIECE, len(content) - length)):
        content[length : length + len(piece)] = piece
        length += len(piece)
    return length


_images = remembered(lambda path: _read(path, IMAGES, 3))
_labels = remembered(lambda path: _read(path, LABELS, 1))
