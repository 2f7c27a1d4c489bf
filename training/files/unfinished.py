"""Runs and parts of studies that are not done: kept under the names of what they are, so that whoever comes goes on."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pcmsim.errors import FileError
from pcmsim.foundation.paths import expanded
from training.files.interval import Interval
from training.results import RunFolder
from training.writing import replacing

FOLDER = "under-way"
Values = dict[str, Any]


@dataclass(frozen=True)
class Unfinished:
    """Where what is not done is kept, and how often.

    Parameters
    ----------
    folder : Path
        Its folder; made when there is something to keep.
    interval : Interval
        How often a run is kept.
    """

    folder: Path
    interval: Interval = field(default_factory=Interval)

    def run(self, key: str) -> RunFolder:
        """Where a run is kept; nothing is written yet."""
        return RunFolder(self.folder / key, self.interval)

    def forget(self, key: str) -> None:
        """Remove a run that is done, or is not to be."""
        shutil.rmtree(self.folder / key, ignore_errors=True)

    def tidy(self, done: Container[str]) -> None:
        """Remove runs that are done: who kept them was killed between the two."""
        for left in self.folder.iterdir() if self.folder.is_dir() else ():
            if left.name in done:
                self.forget(left.name)

    def clear(self) -> None:
        """Remove all: what was asked for is done."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def part(self, name: str, work: Callable[[], list[Values]]) -> list[Values]:
        """Results of a part of a study, as plain values: as they are kept, else worked out now and kept.

        Raises
        ------
        FileError
            If they cannot be written.
        """
        path = self.folder / f"{name}.json"
        with contextlib.suppress(OSError, ValueError):
            kept: list[Values] = json.loads(path.read_text("utf-8"))
            return kept
        found = work()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FileError(self.folder, f"cannot be written ({error.strerror})") from error
        with replacing(path) as made:
            made.write_text(json.dumps(found), encoding="utf-8")
        return found


def beside(out: str | None, interval: Interval) -> Unfinished | None:
    """Where a study is kept whose table goes to a file, if to any: in a folder beside it."""
    return None if out is None else Unfinished(expanded(f"{out}.{FOLDER}"), interval)
