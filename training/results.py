"""A run's folder: configuration, one line per trial, checkpoint; whoever is killed, it goes on from its checkpoint.

Lines go on the disk first, then the checkpoint replaces the one before in one step: no line of a trial that the
checkpoint has can be missing, and lines of later trials are cut off when the run goes on.
"""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pcmsim.errors import FileError
from pcmsim.foundation.paths import expanded
from training.chip import command as chip_command
from training.chip.base import Chip
from training.evaluation import Evaluation
from training.files.interval import Interval
from training.files.tables import Row, Table
from training.interrupts import undisturbed
from training.records import SCALARS, TrialRecord
from training.session import Session
from training.support.locks import alone
from training.writing import clear_leftovers, onto_disk, replacing

if TYPE_CHECKING:
    from training.chip.journal import JournaledChip

CONFIG, TRIALS, CHECKPOINT = "config.yaml", "trials.csv", "checkpoint.safetensors"
EVALUATIONS, JOURNAL = "evaluations.csv", "chip.journal"
JUDGED = ("trial", *(f.name for f in dataclasses.fields(Evaluation) if f.name != "confusion"))
"""Columns of the table of evaluations."""


class RunFolder:
    """The folder of a run, while this process writes to it.

    Nothing is written before `begin` or `take_up`; a folder that is neither begins with the first `keep`.

    Parameters
    ----------
    path : str or Path
        The folder.
    interval : Interval
        How often the run is kept.

    Attributes
    ----------
    trials, evaluations : Table
        Its tables.
    """

    def __init__(self, path: str | Path, interval: Interval | None = None) -> None:
        self.path, self._interval = expanded(path), interval or Interval()
        self.trials = Table(self.path / TRIALS, tuple(SCALARS))
        self.evaluations = Table(self.path / EVALUATIONS, JUDGED)
        self._noted, self._judged = list[Row](), list[Row]()
        self._open, self._locked, self._begun = contextlib.ExitStack(), False, False
        self._kept_at, self._kept_trial = time.monotonic(), 0
        self._journal: JournaledChip | None = None

    def __enter__(self) -> RunFolder:
        self.lock()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def lock(self) -> None:
        """Make the folder, and be the only one who writes there.

        Raises
        ------
        FileError
            If it cannot be made or written to, or another process writes there.
        """
        if self._locked:
            return
        _writable(self.path)
        self._open.enter_context(alone(self.path))
        self._locked = True
        for name in (CONFIG, CHECKPOINT):
            clear_leftovers(self.path / name)

    def close(self) -> None:
        """Let others write there."""
        if self._journal is not None:
            self._journal.close()
        self._open.close()
        self._locked = False

    def journaled(self, chip: Chip, trial: int | None = None) -> Chip:
        """The chip of the run, whose answers go to the folder: killed inside a trial, the run goes on all the same.

        Parameters
        ----------
        chip : Chip
            The chip.
        trial : int, optional
            Trials of the checkpoint that the run goes on from; without it, it is new.
        """
        self._journal = chip_command.journaled(chip, self.path / JOURNAL, trial)
        return self._journal

    def begin(self, session: Session) -> None:
        """A new run takes the folder over: its tables are empty, and it can go on from where it begins.

        Raises
        ------
        FileError
            If a table that is there cannot be read or is none of ours, or something cannot be written.
        """
        there = [table for table in (self.trials, self.evaluations) if table.check()]
        with undisturbed():
            _replace(self.path / CONFIG, session.config.to_yaml())
            self._forget_checkpoint()
            for table in there:
                table.path.unlink()
            self.trials.begin()
            self._begun = True
            self._save(session)

    def take_up(self, session: Session) -> Iterator[dict[str, str]]:
        """Go on with the run: the lines of its trials; lines after its checkpoint are cut off once they are read.

        Raises
        ------
        FileError
            If trials that the checkpoint has are missing from the table, or a table is damaged.
        """
        due = -1
        for row in self.trials.rows(session.trial - 1):
            trial = int(row["trial"])
            if due not in (-1, trial):
                raise self._missing(session.trial, f"{trial} where {due} was due")
            due = trial + 1
            yield row
        if due != session.trial and session.trial > 0 and (due >= 0 or self.held):
            raise self._missing(session.trial, f"{due - 1} as the last" if due >= 0 else "none")
        with undisturbed():
            self._goes_on(session)

    def judged_before(self, trial: int) -> list[dict[str, str]]:
        """The evaluations up to a trial; later ones are cut off."""
        rows = list(self.evaluations.rows(trial))
        self.evaluations.cut()
        return rows

    def note(self, record: TrialRecord) -> None:
        """Take down a trial."""
        self._noted.append(record.scalars())

    def judge(self, row: Row) -> None:
        """Take down an evaluation, from `judged`."""
        self._judged.append(row)

    def due(self, trial: int) -> bool:
        """Whether so many trials, or seconds, have passed since the run was kept that it should be again."""
        trials, seconds = self._interval.trials, time.monotonic() - self._kept_at
        return seconds >= self._interval.seconds or (trials is not None and trial - self._kept_trial >= trials)

    @property
    def held(self) -> bool:
        """Whether there is a checkpoint to go on from."""
        return (self.path / CHECKPOINT).is_file()

    def keep(self, session: Session) -> None:
        """Write down what was done: the lines first, then the checkpoint.

        Raises
        ------
        FileError
            If a file cannot be written.
        """
        if not self._begun:
            self.lock()
            self.begin(session)
        with undisturbed():
            self.keep_lines()
            self._save(session)

    def keep_lines(self) -> None:
        """Write down the lines alone, of a run that broke off in the middle of a trial."""
        for table, rows in ((self.trials, self._noted), (self.evaluations, self._judged)):
            table.append(rows)
            rows.clear()

    def _save(self, session: Session) -> None:
        journal = self._journal
        if journal is not None and journal.replaying:
            return  # The checkpoint from which it catches up is the one that the journal belongs to.
        with contextlib.nullcontext() if journal is None else journal.checkpoint(session.trial):
            session.save(self.path / CHECKPOINT)
        self._kept_at, self._kept_trial = time.monotonic(), session.trial

    def _forget_checkpoint(self) -> None:
        """Before the tables: the checkpoint of another run must not meet ours."""
        try:
            (self.path / CHECKPOINT).unlink(missing_ok=True)
            onto_disk(self.path)
        except OSError as error:
            raise FileError(self.path / CHECKPOINT, f"cannot be written ({error.strerror})") from error

    def _goes_on(self, session: Session) -> None:
        self.trials.cut()
        if not self.trials.check():
            self.trials.begin()
        _replace(self.path / CONFIG, session.config.to_yaml())
        if self._journal is not None:
            self._journal.go_on(session.trial)
        self._begun, self._kept_trial = True, session.trial

    def _missing(self, trials: int, came: str) -> FileError:
        return FileError(
            self.trials.path, f"lacks trials that the checkpoint has; expected all up to {trials - 1}, got {came}"
        )


def judged(trial: int, evaluation: Evaluation) -> dict[str, Any]:
    """A line of the table of evaluations: `trial` trials had been trained then."""
    return {"trial": trial, **{name: getattr(evaluation, name) for name in JUDGED[1:]}}


def _writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise FileError(folder, f"cannot be written to ({error.strerror}); expected a writable folder") from error


def _replace(path: Path, text: str) -> None:
    with replacing(path) as made:
        made.write_text(text, encoding="utf-8")
