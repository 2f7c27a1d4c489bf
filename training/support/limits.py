"""How much is read from a file: one table, with reasons.

A few kilobytes can claim gigabytes. What a header claims is held against these numbers before anything of that size is
allocated, and what was read is held against them again. Beyond them comes what a machine or a server grants at all, see
`training.support.ram`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pcmsim.errors import FileError

MIB, GIB = 2**20, 2**30


@dataclass(frozen=True)
class FileLimit:
    """How much of something a file may hold.

    Parameters
    ----------
    what : str
        Of what, in the plural.
    most : int
        How many at most.
    why : str
        What the number comes from.
    """

    what: str
    most: int
    why: str

    def check(self, path: Path, number: int) -> None:
        """Refuse what is more.

        Parameters
        ----------
        path : Path
            The file, for the error.
        number : int
            How many it holds, or says it does.

        Raises
        ------
        FileError
            Saying how many there are and how many are read.
        """
        if number > self.most:
            raise FileError(path, f"holds {number:,} {self.what}; at most {self.most:,} are read")


FILE_BYTES = FileLimit("bytes", 2 * GIB, "SHD's recordings, the largest of all tasks, take some hundred megabytes")
UNPACKED_BYTES = FileLimit("bytes unpacked", GIB, "EMNIST's images, the largest in the idx format, take 0.64 GB")
SAMPLES = FileLimit("samples", 10**6, "EMNIST, the largest set in these formats, has 0.8 million")
HDF5_OBJECTS = FileLimit("groups and data sets", 10_000, "SHD has 12, a NIR graph some ten for each node")
HDF5_DEPTH = FileLimit("groups within each other", 32, "NIR nests a graph in a graph in three levels")
HDF5_BYTES = FileLimit("bytes of data, unpacked", GIB, "4096 neurons' recurrent weights in float64 take 0.13 GB")
HDF5_CHUNKS = FileLimit("chunks in a data set", 10**6, "each takes microseconds to look up, written or not")
CSV_HEADER = FileLimit("characters in its header", 10_000, "the tables have three or four columns")
NIR_BYTES = FileLimit("bytes", GIB, "as HDF5's: NIR packs little")

LIMITS = {name: limit for name, limit in globals().items() if isinstance(limit, FileLimit)}
"""All of them, by name."""
