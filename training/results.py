"""A run's folder: configuration, one line per trial, checkpoint."""

from __future__ import annotations

import csv
import dataclasses
import io
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pcmsim.errors import FileError
from training.evaluation import Evaluation
from training.records import SCALARS
from training.session import Session

CONFIG, TRIALS, CHECKPOINT = "config.yaml", "trials.csv", "checkpoint.safetensors"
EVALUATIONS = "evaluations.csv"
JUDGED = ("trial", *(f.name for f in dataclasses.fields(Evaluation) if f.name != "confusion"))
"""Columns of the table of evaluations."""


def prepare(folder: str | Path) -> Path:
    """Make sure that results can be written to `folder`, before anything is computed.

    Raises
    ------
    FileError
        If the folder cannot be made or written to.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise FileError(folder, f"cannot be written to ({error.strerror}); expected a writable folder") from error


def judged(trial: int, evaluation: Evaluation) -> dict[str, Any]:
    """A line of the table of evaluations: `trial` trials had been trained then."""
    return {"trial": trial, **{name: getattr(evaluation, name) for name in JUDGED[1:]}}


def write(
    folder: Path, session: Session, trials: list[dict[str, Any]], evaluations: Sequence[dict[str, Any]] = ()
) -> None:
    """Write configuration, trials, evaluations if there are any, and checkpoint, each atomically.

    Parameters
    ----------
    folder : Path
        From `prepare`.
    session : Session
        Where the run stands.
    trials : list of dict
        Scalars of the finished trials (`TrialRecord.scalars`); a resumed run keeps the trials
        that stand in the folder before the first of them.
    evaluations : sequence of dict
        From `judged`; earlier ones are kept likewise.

    Raises
    ------
    FileError
        If a file cannot be written.
    """
    first = trials[0]["trial"] if trials else 0
    tables = {TRIALS: (tuple(SCALARS), trials), EVALUATIONS: (JUDGED, evaluations)}
    made = {name: _table(folder / name, *table, first) for name, table in tables.items() if name == TRIALS or table[1]}
    _replace(folder / CONFIG, session.config.to_yaml())
    for name, text in made.items():
        _replace(folder / name, text)
    session.save(folder / CHECKPOINT)


def _table(path: Path, columns: Sequence[str], rows: Sequence[dict[str, Any]], first: int) -> str:
    """The rows below those that stand in the file for trials before `first`."""
    earlier = _earlier(path, columns, first) if rows and path.exists() else []
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows([*earlier, *rows])
    return text.getvalue()


def _earlier(path: Path, columns: Sequence[str], first: int) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if rows and list(rows[0]) != list(columns):
        raise FileError(path, f"is not a table of {path.stem}; expected the columns {', '.join(columns)}")
    return [row for row in rows if row["trial"].isdigit() and int(row["trial"]) <= first - (path.name == TRIALS)]


def _replace(path: Path, text: str) -> None:
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)
    except OSError as error:
        raise FileError(path, f"cannot be written ({error.strerror})") from error
