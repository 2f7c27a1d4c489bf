"""Entries of a file that only grows, each in a frame by which one that a crash cut short is told from a damaged one."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from pcmsim.errors import FileError

FRAME = struct.Struct("<III")
"""Before each entry: its length, once more with all bits turned, and its checksum."""

ONES = 2**32 - 1
LARGEST_ENTRY = 2**28
"""Bytes of an entry: more than the largest request of a chip's server."""


def framed(data: bytes) -> bytes:
    """An entry in its frame."""
    return FRAME.pack(len(data), len(data) ^ ONES, zlib.crc32(data)) + data


def entries(path: Path) -> Iterator[tuple[bytes, int]]:
    """Whole entries and where each ends; a last one that a crash cut short is left out.

    Raises
    ------
    FileError
        If the file cannot be read, or is damaged before its end.
    """
    try:
        with path.open("rb") as file:
            while len(head := file.read(FRAME.size)) == FRAME.size:
                length, again, checksum = FRAME.unpack(head)
                whole = length ^ again == ONES and length <= LARGEST_ENTRY
                data = file.read(length if whole else 0)
                if not whole or (len(data) == length and zlib.crc32(data) != checksum):
                    raise FileError(path, f"is damaged before byte {file.tell()}; expected a log of a chip")
                if len(data) == length:
                    yield data, file.tell()
    except OSError as error:
        raise FileError(path, f"cannot be read ({error.strerror})") from error
