"""Files that a visitor brings for a task: kept in a folder of the session's own, and what they make of a run."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pcmsim.errors import FieldError, PCMLabError
from pcmsim.registry import Registry
from training.config import RunConfig
from training.presets import PRESETS

PREFIX = "data-"
LEFT_FREE = 2**30
"""Bytes of the disk that uploads leave to all else."""

Files = Mapping[str, bytes]
"""Contents by the names that the visitor's files have."""


@dataclass(frozen=True)
class Kind:
    """A kind of data.

    Parameters
    ----------
    label : str
        What people call it.
    expected : str
        Which files it takes, in a sentence.
    preset : str
        The preset whose network and learning it begins with.
    task : callable
        The task's settings, from the folder and the names of the files in it.
    """

    label: str
    expected: str
    preset: str
    task: Callable[[Path, list[str]], dict[str, Any]]


KINDS: Registry[Kind] = Registry("kind of data")
KINDS.register("mnist")(
    Kind(
        "MNIST images",
        "Four idx files, plain or .gz: train-images, train-labels, t10k-images and t10k-labels.",
        "digits",
        lambda folder, names: {"name": "mnist", "folder": str(folder)},
    )
)
KINDS.register("shd")(
    Kind(
        "SHD spoken digits",
        "Two HDF5 files: shd_train.h5 and shd_test.h5.",
        "digits",
        lambda folder, names: {"name": "shd", "folder": str(folder)},
    )
)
KINDS.register("csv")(
    Kind(
        "Spikes of your own",
        "Two CSV tables: one with the columns sample,time,channel, the other, with targets in its name, with "
        "sample,label or with sample,time,output,value. Times are in seconds.",
        "digits",
        lambda folder, names: {"name": "csv", **_tables(folder, names)},
    )
)


class Uploads:
    """The files of one visitor.

    Parameters
    ----------
    home : Path
        The visitor's folder: with it they go.
    """

    def __init__(self, home: Path) -> None:
        self._home = home

    def take(self, kind: str, files: Files, used: Iterable[RunConfig] = ()) -> RunConfig:
        """Keep the files and begin a configuration with them; nothing has read them yet.

        Earlier files go, except those of runs that are `used`: should the new ones be no good, these go on.

        Parameters
        ----------
        kind : str
            A name of `KINDS`.
        files : mapping of str to bytes
            What was uploaded; of a name only the last part counts.
        used : iterable of RunConfig
            What is in force or about to be.

        Raises
        ------
        FieldError
            If there are no files, or which is which cannot be told.
        PCMLabError
            If the disk has no room for them.
        """
        if not files:
            raise FieldError("files", "at least one file", "none")
        self._tidy(list(used))
        check_room(self._home, sum(map(len, files.values())))
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=self._home))
        try:
            return _kept(folder, KINDS[kind], files)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def _tidy(self, used: list[RunConfig]) -> None:
        for folder in self._home.glob(f"{PREFIX}*"):
            if not any(_names(config, folder) for config in used):
                shutil.rmtree(folder, ignore_errors=True)


def check_room(folder: Path, size: int) -> None:
    """Refuse an upload after which the disk would be nearly full, for everybody.

    Parameters
    ----------
    folder : Path
        Where it is to lie.
    size : int
        How large it is [bytes].

    Raises
    ------
    PCMLabError
        If less than `LEFT_FREE` would be left.
    """
    if shutil.disk_usage(folder).free - size < LEFT_FREE:
        raise PCMLabError(f"upload: the disk of this server has no room for {size / 1e6:,.1f} MB more")


def _names(config: RunConfig, folder: Path) -> bool:
    return any(str(folder) in str(value) for value in asdict(config.task).values())


def _kept(folder: Path, kind: Kind, files: Files) -> RunConfig:
    names = [Path(name).name for name in files]
    task = kind.task(folder, names)
    for name, content in zip(names, files.values(), strict=True):
        (folder / name).write_bytes(content)
    return PRESETS[kind.preset].config.with_values({"task": task})


def _tables(folder: Path, names: list[str]) -> dict[str, str]:
    """Which of two tables holds the targets."""
    targets = [name for name in names if "target" in name.lower() or "label" in name.lower()]
    spikes = [name for name in names if name not in targets]
    if len(targets) != 1 or len(spikes) != 1:
        expected = "two CSV tables, one of them with 'target' or 'label' in its name"
        raise FieldError("files", expected, ", ".join(names))
    return {"spikes": str(folder / spikes[0]), "targets": str(folder / targets[0])}
