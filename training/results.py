"""A run's folder: configuration, one line per trial, checkpoint."""

from __future__ import annotations

import csv
import dataclasses
import io
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pcmsim.errors import FileError
from training.evaluation import Evaluation
from training.records import SCALARS
from training.session import Session
from training.writing import replacing

CONFIG, TRIALS, CHECKPOINT = "config.yaml", "trials.csv", "checkpoint.safetensors"
EVALUATIONS = "evaluations.csv"
JUDGED = ("trial", *(f.name for f in dataclasses.fields(Evaluation) if f.name != "confusion"))
"""Columns of the table of evaluations."""


TABLES = {TRIALS: tuple(SCALARS), EVALUATIONS: JUDGED}
"""Their columns."""

Rows = list[dict[str, Any]]


class Folder(NamedTuple):
    """Where a run's results go.

    Parameters
    ----------
    path : Path
        The folder.
    earlier : dict of str to list of dict
        By table, the lines in it that a resumed run keeps.
    """

    path: Path
    earlier: dict[str, Rows]


def prepare(folder: str | Path, first: int = 0) -> Folder:
    """Make sure that results can be written to `folder`, before anything is computed.

    Parameters
    ----------
    folder : str or Path
        Made if need be.
    first : int
        The first trial that will be done: what the folder's tables say of the trials before it is kept.

    Raises
    ------
    FileError
        If the folder cannot be made or written to, or a table in it cannot be read or is none of ours.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise FileError(folder, f"cannot be written to ({error.strerror}); expected a writable folder") from error
    trials, evaluations = (_read(folder / name, columns) for name, columns in TABLES.items())
    return Folder(folder, {TRIALS: _until(first - 1, trials), EVALUATIONS: _until(first, evaluations)})


def judged(trial: int, evaluation: Evaluation) -> dict[str, Any]:
    """A line of the table of evaluations: `trial` trials had been trained then."""
    return {"trial": trial, **{name: getattr(evaluation, name) for name in JUDGED[1:]}}


def write(folder: Folder, session: Session, trials: Rows, evaluations: Sequence[dict[str, Any]] = ()) -> None:
    """Write checkpoint, configuration, trials, and evaluations if there are any, each atomically.

    Parameters
    ----------
    folder : Folder
        From `prepare`.
    session : Session
        Where the run stands.
    trials : list of dict
        Scalars of the finished trials (`TrialRecord.scalars`), below the earlier ones.
    evaluations : sequence of dict
        From `judged`, likewise. Where there are none, a table of another run's goes.

    Raises
    ------
    FileError
        If a file cannot be written.
    """
    session.save(folder.path / CHECKPOINT)
    _replace(folder.path / CONFIG, session.config.to_yaml())
    _replace(folder.path / TRIALS, _table(TRIALS, [*folder.earlier[TRIALS], *trials]))
    if asked := [*folder.earlier[EVALUATIONS], *evaluations]:
        _replace(folder.path / EVALUATIONS, _table(EVALUATIONS, asked))
    else:
        (folder.path / EVALUATIONS).unlink(missing_ok=True)


def _read(path: Path, columns: Sequence[str]) -> Rows:
    """The lines of a table, if it is there."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except FileNotFoundError:
        return []
    except (OSError, UnicodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise FileError(path, f"cannot be read ({reason}); expected a table of {path.stem}, or none") from error
    if any(list(row) != list(columns) for row in rows):
        raise FileError(path, f"is not a table of {path.stem}; expected the columns {', '.join(columns)}")
    return rows


def _until(last: int, rows: Rows) -> Rows:
    return [row for row in rows if row["trial"].isdecimal() and int(row["trial"]) <= last]


def _table(name: str, rows: Rows) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=TABLES[name], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _replace(path: Path, text: str) -> None:
    with replacing(path) as made:
        made.write_text(text, encoding="utf-8")
