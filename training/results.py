"""A run's folder: configuration, one line per trial, checkpoint."""

from __future__ import annotations

import csv
import io
import os
import tempfile
from pathlib import Path
from typing import Any

from pcmsim.errors import FileError
from training.records import SCALARS
from training.session import Session

CONFIG, TRIALS, CHECKPOINT = "config.yaml", "trials.csv", "checkpoint.safetensors"


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


def write(folder: Path, session: Session, trials: list[dict[str, Any]]) -> None:
    """Write configuration, trials and checkpoint, each atomically.

    Parameters
    ----------
    folder : Path
        From `prepare`.
    session : Session
        Where the run stands.
    trials : list of dict
        Scalars of the finished trials (`TrialRecord.scalars`); a resumed run keeps the trials
        that stand in the folder before the first of them.

    Raises
    ------
    FileError
        If a file cannot be written.
    """
    table = _table(_earlier(folder / TRIALS, trials), trials)
    _replace(folder / CONFIG, session.config.to_yaml())
    _replace(folder / TRIALS, table)
    session.save(folder / CHECKPOINT)


def _table(earlier: list[dict[str, Any]], trials: list[dict[str, Any]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=list(SCALARS), lineterminator="\n")
    writer.writeheader()
    writer.writerows([*earlier, *trials])
    return text.getvalue()


def _earlier(path: Path, trials: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if not path.exists() or not trials:
        return []
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if rows and list(rows[0]) != list(SCALARS):
        raise FileError(path, f"is not a table of trials; expected the columns {', '.join(SCALARS)}")
    return [row for row in rows if row["trial"].isdigit() and int(row["trial"]) < trials[0]["trial"]]


def _replace(path: Path, text: str) -> None:
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)
    except OSError as error:
        raise FileError(path, f"cannot be written ({error.strerror})") from error
