"""Lengths that the lists of an HDF5 data set claim, checked before any of them is read.

A list of variable length stands in the file as a descriptor: its length (4 bytes, little-endian), the address of the
heap that holds it, and its place in there (HDF5 File Format Specification 3.0, VIII.C: sequence in a global heap). The
library makes room for the length first and looks at the heap afterwards: four bytes ask for gigabytes.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from pcmsim.errors import FileError

LENGTH, PLACE = 4, 4
"""Bytes of a descriptor apart from its address: how long the list is, and where in its heap it lies."""


def check(dataset: Any, path: Path, name: str) -> None:
    """Refuse lists or texts of variable length that say they are longer than their file.

    Parameters
    ----------
    dataset : h5py.h5d.DatasetID
        Of lists, texts or anything else.
    path : Path
        Its file.
    name : str
        Its name, for the error.

    Raises
    ------
    FileError
        If one is.
    ValueError, zlib.error
        If their descriptors cannot be unpacked.
    """
    h5py = import_module("h5py")
    kind = dataset.get_type()
    lists = kind.get_class() == h5py.h5t.VLEN
    if not lists and not (kind.get_class() == h5py.h5t.STRING and kind.is_variable_str()):
        return
    size = LENGTH + h5py.h5i.get_file_id(dataset).get_create_plist().get_sizes()[0] + PLACE
    room = path.stat().st_size // (kind.get_super().get_size() if lists else 1)
    for piece in _pieces(h5py, dataset, path, size):
        lengths = np.frombuffer(piece[: len(piece) // size * size], np.uint8).reshape(-1, size)[:, :LENGTH].copy()
        longest = int(lengths.view("<u4").max(initial=0))
        if longest > room:
            raise FileError(path, f"{name} says that it has a list of {longest} entries; its file has no room for them")


def _pieces(h5py: Any, dataset: Any, path: Path, size: int) -> Iterator[bytes]:
    """The descriptors as bytes, of `size` each, chunk by chunk."""
    made = dataset.get_create_plist()
    if made.get_layout() == h5py.h5d.CHUNKED:
        filters = [made.get_filter(number)[0] for number in range(made.get_nfilters())]
        most = size * math.prod(made.get_chunk())
        for number in range(dataset.get_num_chunks()):
            skipped, piece = dataset.read_direct_chunk(dataset.get_chunk_info(number).chunk_offset)
            yield _unpacked(piece, [one for k, one in enumerate(filters) if not skipped >> k & 1], size, most)
    elif (begin := dataset.get_offset()) is not None:
        with path.open("rb") as file:
            file.seek(begin)
            yield file.read(min(dataset.get_storage_size(), path.stat().st_size))


def _unpacked(piece: bytes, filters: list[int], size: int, most: int) -> bytes:
    """A chunk without its filters, at most so many bytes of it."""
    for number in reversed(filters):
        if number not in UNPACKED:
            raise ValueError(f"lists are packed by filter {number}")
        piece = UNPACKED[number](piece, size, most)
    return piece


UNPACKED: dict[int, Callable[[bytes, int, int], bytes]] = {
    1: lambda piece, size, most: zlib.decompressobj().decompress(piece, most),
    2: lambda piece, size, most: _in_order(piece, size),
}
"""Functions that undo gzip and shuffle, by filter number; the library packs lists by no others."""


def _in_order(piece: bytes, size: int) -> bytes:
    """Shuffled bytes, all first ones before all second ones, as they were."""
    whole = len(piece) // size * size
    return np.frombuffer(piece[:whole], np.uint8).reshape(size, -1).T.tobytes() + piece[whole:]
