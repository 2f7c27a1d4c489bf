"""What a run leaves behind for the plots: bounded in memory, readable while it grows.

One thread writes, others read without a lock: rows below the published count never change, and
thinning publishes a new array instead of changing the old one.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from training.records import TrialRecord

SMOOTHING = 30.0
"""Trials over which the smoothed loss forgets."""

CURVE = ("trial", "loss", "smooth", "baseline", "rate", "correct", "held")


class Point(NamedTuple):
    """What a learning curve keeps of a trial; `training.records.TrialRecord` has the same fields."""

    trial: int
    loss: float
    baseline: float
    rate: float
    correct: float


Table = dict[str, npt.NDArray[np.float64]]


class _Rows:
    """Rows of numbers: append by one writer, read by anybody."""

    def __init__(self, width: int, capacity: int) -> None:
        self._published = (np.empty((capacity, width)), 0)

    def append(self, row: npt.ArrayLike) -> None:
        rows, count = self._published
        rows[count] = row
        self._published = (rows, count + 1)

    def thin(self) -> None:
        rows, count = self._published
        kept = rows[:count:2]
        thinned = np.empty_like(rows)
        thinned[: len(kept)] = kept
        self._published = (thinned, len(kept))

    def __getstate__(self) -> tuple[npt.NDArray[np.float64], int]:
        return self.read(), len(self._published[0])

    def __setstate__(self, state: tuple[npt.NDArray[np.float64], int]) -> None:
        """The rows, and room for as many as before."""
        kept, capacity = state
        rows = np.empty((capacity, kept.shape[1]))
        rows[: len(kept)] = kept
        self._published = (rows, len(kept))

    @property
    def full(self) -> bool:
        rows, count = self._published
        return count == len(rows)

    def read(self) -> npt.NDArray[np.float64]:
        rows, count = self._published
        return rows[:count]


class Curve:
    """Loss, firing rate and accuracy against trials; when full, every second point goes.

    Of decisions, a point keeps the share that was right since the point before.

    Parameters
    ----------
    capacity : int
        Most points kept.
    """

    def __init__(self, capacity: int = 2048) -> None:
        self._rows = _Rows(len(CURVE), capacity)
        self._tip = np.empty((0, len(CURVE)))
        self._every, self._seen = 1, 0
        self._loss, self._weight, self._baseline = 0.0, 0.0, 0.0
        self._correct, self._decisions = 0.0, 0

    def append(self, record: TrialRecord | Point, held: float = math.nan) -> None:
        """Take in the next trial.

        Parameters
        ----------
        record : TrialRecord or Point
            The trial.
        held : float
            Accuracy on samples held out; not a number where none is known.
        """
        self._smooth(record)
        level, smooth = self._baseline / self._seen, self._loss / self._weight
        correct = self._correct / self._decisions
        row = (record.trial, record.loss, smooth, level, record.rate, correct, held)
        if (self._seen - 1) % self._every == 0:
            self._keep(row)
        self._tip = np.array([row])

    def columns(self) -> Table:
        """The points by name of `CURVE`, the latest trial last."""
        rows, tip = self._rows.read(), self._tip
        if len(rows) and len(tip) and tip[0, 0] > rows[-1, 0]:
            rows = np.concatenate((rows, tip))
        return {name: rows[:, place] for place, name in enumerate(CURVE)}

    def _smooth(self, record: TrialRecord | Point) -> None:
        keep = math.exp(-1.0 / SMOOTHING)
        self._loss = keep * self._loss + (1.0 - keep) * record.loss
        self._weight = keep * self._weight + (1.0 - keep)
        self._baseline += record.baseline
        self._seen += 1
        self._correct += record.correct
        self._decisions += 1

    def _keep(self, row: tuple[float, ...]) -> None:
        if self._rows.full:
            self._rows.thin()
            self._every *= 2
        if (self._seen - 1) % self._every == 0:
            self._rows.append(row)
            self._correct, self._decisions = 0.0, 0


class Drift:
    """Conductance of the probed devices at device times that grow by a constant factor.

    Parameters
    ----------
    spacing : float
        Smallest ratio of neighbouring device times.
    capacity : int
        Most points kept.
    """

    def __init__(self, spacing: float = 1.01, capacity: int = 2048) -> None:
        self._spacing, self._capacity = spacing, capacity
        self._rows: _Rows | None = None
        self._next = 0.0
        self._tip = np.empty((0, 0))

    def append(self, record: TrialRecord) -> None:
        """Take in the next trial."""
        row = np.concatenate(([record.device_time], record.probe))
        if self._rows is None:
            self._rows = _Rows(row.size, self._capacity)
        if record.device_time >= self._next:
            if self._rows.full:
                self._rows.thin()
                self._spacing **= 2
            self._rows.append(row)
            self._next = record.device_time * self._spacing
        self._tip = row[None]

    def table(self) -> npt.NDArray[np.float64]:
        """Device time [s], then one column per device [µS]; the latest trial last."""
        tip = self._tip
        if self._rows is None or not len(tip):
            return np.empty((0, 1))
        rows = self._rows.read()
        return np.concatenate((rows, tip)) if tip[0, 0] > rows[-1, 0] else rows
