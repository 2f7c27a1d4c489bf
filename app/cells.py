"""What a sweep came to so far, cell by cell: arrays that its thread fills and the page reads."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from training import grid
from training.jobs import METRICS
from training.store import Store
from training.sweep import CASE, Sweep

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

TROUBLE = ("diverged", "silent", "saturated")
"""States in which a run did not end well; see `training.records.TrialRecord`."""


@dataclass(frozen=True)
class Look:
    """What of a sweep is looked at.

    Parameters
    ----------
    metric : str
        Name in `training.jobs.METRICS`.
    across, down : str
        Varied settings along the two axes; empty for none.
    rest : mapping of str to int
        Place of the value of each other varied setting.
    """

    metric: str = "loss"
    across: str = ""
    down: str = ""
    rest: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Statistics:
    """Of each cell: mean and standard deviation of the runs that have a number, and how many are finished."""

    mean: Floats
    sd: Floats
    number: Whole


class Cells:
    """Results of a sweep by cell and seed.

    Parameters
    ----------
    sweep : Sweep
        The sweep; nothing of it is finished.

    Attributes
    ----------
    names : tuple of str
        What varies.
    values : tuple of tuple
        Values of each, as they stand in tables.
    done : numpy.ndarray
        Whether a run is finished, ``cells x seeds``.
    urls : list of str
        Where Live opens each cell; empty where that is not known.
    notes : dict of int to str
        What the library says of a run that did not end well, by cell.

    Examples
    --------
    >>> cells = Cells(Sweep("grain", fields={"precision.weight_bits": [2, 4, 8]}, seeds=[1, 2]))
    >>> cells.shape, cells.labels(1)
    ((3,), {'precision.weight_bits': 4})
    """

    def __init__(self, sweep: Sweep) -> None:
        cases = (tuple(sweep.cases),) if sweep.cases else ()
        self.names = tuple(sweep.varied)
        self.values = (*cases, *(tuple(map(grid.told, axis.values)) for axis in sweep.axes))
        self.together = {axis.names[0]: axis.names for axis in sweep.axes}
        self.seeds = tuple(sweep.seed_values)
        self.number = math.prod(self.shape)
        size = (self.number, len(self.seeds))
        self.done = np.zeros(size, bool)
        self.urls, self.notes = [""] * self.number, dict[int, str]()
        self._scores = {name: np.full(size, np.nan) for name in METRICS}
        self._places: dict[str, list[int]] = {}

    @property
    def shape(self) -> tuple[int, ...]:
        """How many values each varied setting has."""
        return tuple(map(len, self.values))

    @property
    def total(self) -> int:
        """Number of runs."""
        return int(self.done.size)

    @property
    def finished(self) -> int:
        """Number of finished runs."""
        return int(self.done.sum())

    def find(self, sweep: Sweep) -> None:
        """Learn where each run belongs; takes a millisecond per run."""
        places: dict[str, list[int]] = {}
        for place, (_, job) in enumerate(sweep.runs()):
            places.setdefault(job.key, []).append(place)
        self._places = places

    def look_up(self, store: Store) -> None:
        """Take what the store has."""
        for row in store.runs(self._places).to_dict("records"):
            self.take(row)

    def take(self, row: Mapping[str, Any]) -> None:
        """Take a finished run: a row of the store, see `training.store.row`."""
        for place in self._places.get(row["key"], ()):
            seed, cell = divmod(place, self.number)
            for name, scores in self._scores.items():
                scores[cell, seed] = row[name.replace("-", "_")]
            if row["status"] in TROUBLE:
                self.notes[cell] = f"seed {self.seeds[seed]}: {row['message']}"
            self.done[cell, seed] = True

    def labels(self, cell: int) -> dict[str, Any]:
        """What a cell has of each varied setting."""
        places = np.unravel_index(cell, self.shape) if self.shape else ()
        return {name: self.values[n][place] for n, (name, place) in enumerate(zip(self.names, places, strict=True))}

    def plane(self, look: Look) -> Whole:
        """Cells by row and column, as they are looked at."""
        index: Whole = np.arange(self.number).reshape(self.shape)
        kept = [name for name in self.names if name in (look.across, look.down)]
        part = index[tuple(slice(None) if name in kept else look.rest.get(name, 0) for name in self.names)]
        order = [kept.index(name) for name in (look.down, look.across) if name]
        return part.transpose(order).reshape(len(self.along(look.down)), len(self.along(look.across)))

    def along(self, name: str) -> tuple[Any, ...]:
        """Values of a varied setting; of none, a single one."""
        return self.values[self.names.index(name)] if name else ("",)

    def statistics(self, metric: str) -> Statistics:
        """Of all cells; what is not a number counts as finished, and in no mean."""
        scores, done = self._scores[metric], self.done.copy()
        known = done & ~np.isnan(scores)
        count = known.sum(1)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.where(known, scores, 0.0).sum(1) / count
            squares = np.where(known, (scores - mean[:, None]) ** 2, 0.0).sum(1)
            sd = np.where(count > 1, np.sqrt(squares / np.maximum(count - 1, 1)), np.where(count, 0.0, np.nan))
        return Statistics(mean, sd, done.sum(1))

    def beginnings(self, sweep: Sweep) -> Iterator[tuple[int, Any, str]]:
        """Each cell's place, its configuration with the first seed, and the preset where it begins."""
        labelled = sweep.runs()
        for cell in range(self.number):
            labels, job = next(labelled)
            case = sweep.cases.get(labels.get(CASE, ""), {})
            yield cell, job.config, str(case.get("preset", sweep.preset))
