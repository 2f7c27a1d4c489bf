"""HDF5 files of other people: nothing of one leads out of it, runs foreign code or grows beyond what it is.

The format can name other files (external links, external storage, virtual data sets), load filters as plug-ins, hold
itself in circles, and claim a size that nothing of it has. All of that is found in the structure, before any data is
read; files of the tasks and of NIR use none of it.
"""

from __future__ import annotations

import contextlib
import math
import zlib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from pcmsim.errors import FileError
from training.support import hdf5_lists, limits

BUILT_IN = {1: "gzip", 2: "shuffle", 3: "fletcher32", 6: "scaleoffset", 32_000: "lzf"}
"""Filters that come with the library; numbers of the HDF Group's registry."""


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Any]:
    """The file, open for reading, once nothing was found in it that is refused.

    Parameters
    ----------
    path : Path
        An HDF5 file.

    Returns
    -------
    h5py.File
        As a context.

    Raises
    ------
    FileError
        If it is no HDF5, leads to other files, needs a plug-in, or claims more than `training.support.limits` allows.
    """
    try:
        with import_module("h5py").File(path, "r") as file:
            _check(file, path)
            yield file
    except FileError:
        raise
    except (OSError, RuntimeError, LookupError, TypeError, ValueError, zlib.error) as error:
        raise FileError(path, f"cannot be read as HDF5 ({' '.join(str(error).split())[:200]})") from error


def check(path: Path) -> None:
    """Refuse what `opened` refuses, and lists that share their content: of a file that another library opens."""
    with opened(path) as file:
        length = 0
        for dataset in _datasets(file):
            for entry in _lists(dataset):
                length += len(entry)
                if length > path.stat().st_size:
                    raise FileError(path, "holds lists that share their content; expected each for itself")


def _check(file: Any, path: Path) -> None:
    """Walk through all groups; each object is met once, so that there is no circle and nothing counts twice."""
    h5py = import_module("h5py")
    waiting, seen, claimed = [(file.id, 0)], {_address(file.id)}, 0
    while waiting:
        group, depth = waiting.pop()
        limits.HDF5_DEPTH.check(path, depth)
        for name in group:
            _check_link(h5py, group, name, path)
            found = h5py.h5o.open(group, name)
            if (address := _address(found)) in seen:
                raise FileError(path, f"holds {_told(name)} twice; expected each object in one place")
            seen.add(address)
            limits.HDF5_OBJECTS.check(path, len(seen))
            if isinstance(found, h5py.h5g.GroupID):
                waiting.append((found, depth + 1))
            elif isinstance(found, h5py.h5d.DatasetID):
                claimed += _claimed(h5py, found, _told(name), path)
                limits.HDF5_BYTES.check(path, claimed)
                hdf5_lists.check(found, path, _told(name))


def _address(found: Any) -> tuple[int, int]:
    about = import_module("h5py").h5o.get_info(found)
    return about.fileno, about.addr


def _check_link(h5py: Any, group: Any, name: bytes, path: Path) -> None:
    if group.links.get_info(name).type != h5py.h5l.TYPE_HARD:
        raise FileError(path, f"{_told(name)} is a link to another place; expected the data themselves")


def _claimed(h5py: Any, dataset: Any, name: str, path: Path) -> int:
    """Bytes that a data set would take in memory, its largest chunk included; nothing of it is read."""
    made = dataset.get_create_plist()
    if made.get_external_count() or made.get_layout() == h5py.h5d.VIRTUAL:
        raise FileError(path, f"{name} lies in other files; expected the data themselves")
    if not _plain(h5py, dataset.get_type()):
        raise FileError(path, f"{name} holds values that are neither numbers, texts nor lists of them")
    filters = [made.get_filter(number)[0] for number in range(made.get_nfilters())]
    for number in filters:
        if number not in BUILT_IN:
            expected = ", ".join(BUILT_IN.values())
            raise FileError(path, f"{name} needs filter {number}; expected one of {expected}")
    each, shape = max(dataset.get_type().get_size(), dataset.dtype.itemsize), dataset.shape or ()
    if made.get_layout() != h5py.h5d.CHUNKED:
        return int(each * math.prod(shape))
    chunk = made.get_chunk()
    limits.HDF5_CHUNKS.check(path, math.prod(-(-size // part) for size, part in zip(shape, chunk, strict=True)))
    return int(each * max(math.prod(shape), math.prod(chunk)))


def _plain(h5py: Any, kind: Any) -> bool:
    """Whether a type is of numbers or texts, or of lists of one of them."""
    if kind.get_class() == h5py.h5t.VLEN:
        kind = kind.get_super()
    return kind.get_class() in (h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.STRING, h5py.h5t.ENUM)


def _told(name: bytes) -> str:
    return "/" + name.decode("utf-8", "replace")[:40]


def _datasets(group: Any) -> Iterator[Any]:
    for found in group.values():
        if hasattr(found, "values"):
            yield from _datasets(found)
        elif hasattr(found, "dtype"):
            yield found


def _lists(dataset: Any) -> Iterator[Any]:
    """Entries of variable length, one by one: several may stand for the same megabytes."""
    if dataset.dtype.kind == "O" and dataset.shape is not None:
        yield from (dataset[place] for place in np.ndindex(dataset.shape))
