"""The run store: a folder of Parquet files that pandas, Polars and DuckDB read directly.

``runs/`` holds one file of one row per run and ``curves/`` its learning curve, both named by the run's
key (`training.jobs.Job.key`), each written in one step: a run is there whole, once, or not at all,
whoever is killed. ``groups/`` says which runs belong to a race, a sweep or a study; one run may
belong to several. Files are written in ``unfinished/``, then moved. ``under-way/`` holds runs that are
not done, or were not when they were killed: they go on from there when they are asked for again.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from pcmsim.errors import FileError, UnknownNameError
from pcmsim.foundation.paths import expanded
from training import codec
from training.config import RunConfig
from training.files import parquet_rows
from training.files.group import Group
from training.files.interval import Interval
from training.files.unfinished import FOLDER as UNDER_WAY
from training.files.unfinished import Unfinished
from training.jobs import PACKAGES, Job, Outcome, Point, versions
from training.writing import replacing

FOLDER_VARIABLE = "PCMLAB_STORE"
RUNS, CURVES, GROUPS, UNFINISHED = "runs", "curves", "groups", "unfinished"
ABANDONED = 3600.0
"""Age after which what is unfinished was left by a killed writer [s]: a file takes milliseconds."""


RUN_COLUMNS: dict[str, type] = {
    "key": str, "scheme": str, "task": str, "device": str, "seed": int, "trials": int, "every": int, "judge": str,
    "loss": float, "accuracy": float, "best": float, "baseline": float,
    "held_out_loss": float, "held_out_accuracy": float,
    "rate": float, "sets": int, "resets": int, "reads": int, "saturated": float, "stuck": float,
    "device_time": float, "status": str, "message": str,
    "seconds": float, "finished": str, "python": str, **dict.fromkeys(PACKAGES, str), "config": str,
}  # fmt: skip
"""Columns of a run's row; ``config`` is the whole configuration as JSON, from which the run is made again."""

CURVE_COLUMNS: dict[str, type] = {
    "key": str,
    "trial": int,
    "loss": float,
    "accuracy": float,
    "rate": float,
    "sets": int,
    "resets": int,
}
MOMENT = ("seconds", "finished")
"""Columns that differ when a run is done again; no others do on the same machine and versions."""


class Store:
    """A folder of runs.

    Parameters
    ----------
    folder : str or Path
        Made if it does not exist, unless it is only read.
    read_only : bool
        Whether nothing is to be written: the folder may then belong to somebody else.

    Raises
    ------
    FileError
        If the folder cannot be made or written to.
    """

    def __init__(self, folder: str | Path, *, read_only: bool = False) -> None:
        self.folder = expanded(folder)
        if not read_only:
            self._prepare()

    @classmethod
    def found(cls, folder: str | Path) -> Store | None:
        """The store in a folder, to be read, if there is one: who mistypes its name shall not get an empty one."""
        return cls(folder, read_only=True) if (expanded(folder) / RUNS).is_dir() else None

    def __contains__(self, job: Job) -> bool:
        return self._run(job.key).exists()

    def keys(self) -> set[str]:
        """Keys of all finished runs."""
        return {path.stem for path in (self.folder / RUNS).glob("*.parquet")}

    def add(self, outcome: Outcome) -> None:
        """Keep a finished run; one that is there already is replaced.

        Raises
        ------
        FileError
            If it cannot be written; what is in the store is untouched.
        """
        curve = [{"key": outcome.job.key, **point._asdict()} for point in outcome.curve]
        self._write(self.folder / CURVES / f"{outcome.job.key}.parquet", curve, CURVE_COLUMNS)
        self._write(self._run(outcome.job.key), [row(outcome)], RUN_COLUMNS)
        self.unfinished().forget(outcome.job.key)

    def unfinished(self, interval: Interval | None = None) -> Unfinished:
        """Where runs that are under way are kept, and how often."""
        return Unfinished(self.folder / UNDER_WAY, interval or Interval())

    def runs(self, keys: Iterable[str] | None = None) -> pd.DataFrame:
        """Rows of the runs with these keys that are finished, or of all; the keys' order is kept.

        Raises
        ------
        FileError
            If a file is damaged.
        """
        wanted = sorted(self.keys()) if keys is None else [key for key in keys if self._run(key).exists()]
        return parquet_rows.read([self._run(key) for key in wanted], RUN_COLUMNS)

    def curves(self, keys: Iterable[str] | None = None) -> pd.DataFrame:
        """Learning curves of these runs, or of all, one below the other.

        Raises
        ------
        FileError
            If a file is damaged.
        """
        wanted = sorted(self.keys()) if keys is None else keys
        files = [self.folder / CURVES / f"{key}.parquet" for key in wanted]
        return parquet_rows.read([file for file in files if file.exists()], CURVE_COLUMNS)

    def key(self, beginning: str) -> str:
        """The whole key of the run whose key begins like this.

        Raises
        ------
        UnknownNameError
            If there is no such run, or there are several.
        """
        found = sorted(one for one in self.keys() if one.startswith(beginning))
        if len(found) != 1:
            raise UnknownNameError("run", beginning, found or sorted(self.keys())[:10])
        return found[0]

    def job(self, key: str) -> Job:
        """The job of a run, from its row: performed again, it gives the same row.

        It has another key where the run was made by another version, or from files that have changed since.

        Raises
        ------
        UnknownNameError
            If there is no such run, or several begin like this.
        FileError
            If its row is damaged.
        """
        whole = self.key(key)
        with parquet_rows.failing_as_damaged(self._run(whole)):
            line = self.runs([whole]).iloc[0]
            config = RunConfig.from_dict(json.loads(line["config"]))
            return Job(config, int(line["trials"]), int(line["every"]), str(line["judge"]))

    def outcomes(self, jobs: Iterable[Job]) -> Iterator[Outcome]:
        """The finished ones among some jobs, as they were performed."""
        for job in jobs:
            if job in self:
                yield self._outcome(job)

    def group(self, name: str) -> Group:
        """A race, sweep or study by name.

        Raises
        ------
        UnknownNameError
            If there is none.
        FileError
            If its file is damaged.
        """
        if name not in (known := self.groups()):  # nor one that leads elsewhere
            raise UnknownNameError("group of runs", name, known)
        path = self._group_file(name)
        try:
            held = json.loads(path.read_text("utf-8"))
            return Group(**{**held, "keys": tuple(held["keys"])})
        except (KeyError, TypeError, ValueError) as error:
            raise FileError(path, "is damaged; expected a group of runs written by pcmlab") from error

    def groups(self) -> list[str]:
        """Names of all groups, the latest last."""
        files = sorted((self.folder / GROUPS).glob("*.json"), key=lambda path: path.stat().st_mtime)
        return [path.stem for path in files]

    def keep_group(self, name: str, kind: str, about: Mapping[str, Any], jobs: Iterable[Job]) -> Group:
        """Write down which runs belong together; again, it replaces what the name stood for.

        Raises
        ------
        FileError
            If it cannot be written, or the name is not a plain one.
        """
        path = self._group_file(name)
        group = Group(name, kind, _now(), about, tuple(job.key for job in jobs))
        with replacing(path, self.folder / UNFINISHED) as temporary:
            temporary.write_text(json.dumps(asdict(group), indent=1), encoding="utf-8")
        return group

    def forget(self, name: str) -> None:
        """Take a group out of the store; its runs stay.

        Raises
        ------
        FileError
            If the store cannot be written to.
        """
        with _failing_as("cannot be written to", self.folder):
            self._group_file(name).unlink(missing_ok=True)

    def remove(self, keys: Iterable[str]) -> int:
        """Take runs out of the store; how many there were.

        Raises
        ------
        FileError
            If the store cannot be written to.
        """
        found = [key for key in keys if self._run(key).exists()]
        with _failing_as("cannot be written to", self.folder):
            for key in found:
                self._run(key).unlink()
                (self.folder / CURVES / f"{key}.parquet").unlink(missing_ok=True)
        return len(found)

    def _group_file(self, name: str) -> Path:
        """Where a group stands; no name leads out of its folder."""
        path = self.folder / GROUPS / f"{name}.json"
        if path.parent != self.folder / GROUPS or name.startswith("."):
            raise FileError(path, "is not a plain name")
        return path

    def _prepare(self) -> None:
        """Make the folders and see that they can be written to; what killed writers left long ago goes."""
        with _failing_as("cannot be written to", self.folder):
            for part in (RUNS, CURVES, GROUPS, UNFINISHED):
                (self.folder / part).mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryFile(dir=self.folder / part):
                    pass
        for left in (self.folder / UNFINISHED).iterdir():
            with contextlib.suppress(FileNotFoundError):  # another one has done it
                if time.time() - left.stat().st_mtime > ABANDONED:
                    shutil.rmtree(left, ignore_errors=True)
        self.unfinished().tidy(self.keys())

    def _write(self, path: Path, rows: list[dict[str, Any]], columns: Mapping[str, type]) -> None:
        with replacing(path, self.folder / UNFINISHED) as temporary:
            parquet_rows.write(temporary, rows, columns)

    def _run(self, key: str) -> Path:
        return self.folder / RUNS / f"{key}.parquet"

    def _outcome(self, job: Job) -> Outcome:
        with parquet_rows.failing_as_damaged(self._run(job.key)):
            line = self.runs([job.key]).iloc[0].to_dict()
            curve = tuple(Point(*(kind(one[name]) for name, kind in list(CURVE_COLUMNS.items())[1:]))
                          for one in self.curves([job.key]).to_dict("records"))  # fmt: skip
            own = {f.name: line[f.name] for f in fields(Outcome) if f.name not in ("job", "curve")}
            return Outcome(job=job, curve=curve, **own)


def folder() -> Path:
    """Where runs are kept unless told otherwise: ``PCMLAB_STORE``, else ``pcmlab-runs`` in the present folder."""
    return expanded(os.environ.get(FOLDER_VARIABLE) or "pcmlab-runs")


def row(outcome: Outcome) -> dict[str, Any]:
    """What the store keeps of a run, by column."""
    job, last = outcome.job, outcome.curve[-1]
    return {
        "key": job.key, "scheme": codec.name_of(job.config.scheme), "task": codec.name_of(job.config.task),
        "device": job.config.device.preset, "seed": job.config.seed,
        "trials": job.trials, "every": job.every, "judge": job.judge,
        "loss": last.loss, "accuracy": last.accuracy, "rate": last.rate, "sets": last.sets, "resets": last.resets,
        **{f.name: getattr(outcome, f.name) for f in fields(outcome) if f.name not in ("job", "curve")},
        "finished": _now(), "python": platform.python_version(),
        **versions(), "config": json.dumps(job.config.to_dict()),
    }  # fmt: skip


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@contextlib.contextmanager
def _failing_as(problem: str, path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FileError(path, f"{problem} ({error.strerror})") from error
