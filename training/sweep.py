"""Grids and lists over any settings and seeds: the runs, how long they take, and what they came to."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
import math
import re
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pcmsim.errors import FieldError, PCMLabError, UnknownNameError
from pcmsim.foundation.documents import DocumentError, parse_yaml, read_mapping
from pcmsim.foundation.texts import plain
from pcmsim.quantity import Quantity, quantities
from training import grid, loading
from training.config import RunConfig
from training.files.group import Group
from training.files.interval import Interval
from training.jobs import METRICS, Job, Outcome
from training.session import Session
from training.store import Store
from training.studies import STATISTICS
from training.workers import Pool, performed

Values = Mapping[str, Any]
LIMIT = 10_000
"""Runs above which a sweep must be confirmed."""

NAME = re.compile(r"\w[\w .+-]*")
REMEMBERED = 2_000
"""Cells up to which their configurations are made once: together they take some ten megabytes."""

CASE, SEED = "case", "seed"
WARM_UP, TIMED = 2, 5
JOBS = {name: quantities(Job)[name] for name in ("trials", "every", "judge")}
WRITTEN = {**dict.fromkeys(("name", "preset", "metric"), Quantity(str)), **JOBS}
"""How the texts of the entries with one value are read."""


@dataclass(frozen=True)
class Sweep:
    """Runs that differ in some settings: every combination of them, or named cases, or both; each for every seed.

    Parameters
    ----------
    name : str
        Of the group in the run store.
    preset : str
        Preset name, or path of a YAML or JSON file: where all runs begin.
    set : mapping
        Values that hold in all runs, by dotted name.
    fields : mapping
        By dotted name, a list of values or ``{from, to, number, log}``; several names with commas between take the
        same value.
    cases : mapping
        By name, values that belong together, by dotted name; ``preset`` among them begins from another preset.
    seeds : sequence of int or mapping
        A list, or ``{from, number}``.
    trials, every, judge
        As in `training.jobs.Job`.
    metric : str
        Name in `training.jobs.METRICS`.

    Raises
    ------
    FieldError, UnknownNameError, FileError
        If a name does not exist, a list is empty or a value is not allowed; before anything runs.

    Examples
    --------
    >>> sweep = Sweep("grain", fields={"precision.weight_bits": [2, 4, 8]}, seeds={"from": 1, "number": 5})
    >>> sweep.size, sweep.varied
    (15, ['precision.weight_bits'])
    """

    name: str = "sweep"
    preset: str = "mixed-precision"
    set: Values = field(default_factory=dict)
    fields: Values = field(default_factory=dict)
    cases: Mapping[str, Values] = field(default_factory=dict)
    seeds: Sequence[int] | Values = (1, 2, 3, 4, 5)
    trials: int = 750
    every: int = 30
    judge: str = "none"
    metric: str = "loss"

    def __post_init__(self) -> None:
        for name, about in WRITTEN.items():
            object.__setattr__(self, name, about.read(getattr(self, name)))
        if not isinstance(self.name, str) or not NAME.fullmatch(self.name):
            raise FieldError("Sweep.name", "letters, digits, spaces and .+-_", self.name)
        if not isinstance(self.preset, str):
            raise FieldError("Sweep.preset", "the name of a preset, or of a file", self.preset)
        for name in ("set", "fields", "cases"):
            if not isinstance(getattr(self, name), Mapping):
                raise FieldError(f"Sweep.{name}", "a mapping of names to values", getattr(self, name))
        try:
            self._read()
        except RecursionError as error:
            raise FieldError("Sweep.fields", "values that do not hold themselves", "a circle") from error
        METRICS[self.metric]
        if self.metric.startswith("held-out") and self.judge == "none":
            raise FieldError("Sweep.judge", f"validation or test for the metric {self.metric}", self.judge)
        self._check()

    @classmethod
    def from_dict(cls, data: Values) -> Sweep:
        """Build from plain values by name.

        Raises
        ------
        UnknownNameError
            If there is no such entry; else as the class.
        """
        known = [f.name for f in dataclasses.fields(cls)]
        for name in data:
            if name not in known:
                raise UnknownNameError("entry of a sweep", name, known)
        return cls(**data)

    @classmethod
    def from_text(cls, text: str) -> Sweep:
        """Build from YAML text; see `from_dict`."""
        try:
            data = parse_yaml(text)
        except DocumentError as error:
            raise PCMLabError(f"sweep: {error}") from error
        if not isinstance(data, dict):
            raise FieldError("sweep", "a mapping of names to values", data)
        return cls.from_dict(data)

    @classmethod
    def from_yaml(cls, path: str | Path) -> Sweep:
        """Read a YAML or JSON file, whose name is the sweep's unless it has one; see `from_dict`."""
        return cls.from_dict({"name": Path(path).stem, **read_mapping(path)})

    def to_dict(self) -> dict[str, Any]:
        """Plain values, from which `from_dict` builds it again."""
        held = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        built: dict[str, Any] = json.loads(json.dumps(held, default=list))
        return built

    @functools.cached_property
    def axes(self) -> tuple[grid.Axis, ...]:
        """What varies, without the cases."""
        return tuple(grid.axis(name, values) for name, values in self.fields.items())

    @functools.cached_property
    def seed_values(self) -> Sequence[int]:
        """The seeds."""
        return grid.seeds(self.seeds)

    @property
    def varied(self) -> list[str]:
        """Names of what varies, apart from the seed: columns of the tables."""
        return [CASE] * bool(self.cases) + [axis.names[0] for axis in self.axes]

    @property
    def size(self) -> int:
        """Number of runs."""
        return math.prod([len(axis.values) for axis in self.axes]) * max(1, len(self.cases)) * len(self.seed_values)

    def jobs(self, *, confirmed: bool = False) -> Iterator[Job]:
        """All runs, made as they are asked for; the first seed of all cells comes first.

        Raises
        ------
        FieldError
            If there are more than `LIMIT` and nobody confirmed that.
        """
        if self.size > LIMIT and not confirmed:
            raise FieldError("Sweep.size", f"at most {LIMIT} runs unless confirmed", self.size)
        return (job for _, job in self.runs())

    def runs(self) -> Iterator[tuple[dict[str, Any], Job]]:
        """Each run with what it has of each varied setting, and its seed."""
        for seed in self.seed_values:
            for labels, config in self._few_cells or self._cells():
                yield {**labels, SEED: seed}, self._job(dataclasses.replace(config, seed=seed))

    def estimate(self, workers: int = 1) -> float:
        """How long so many workers will take, from a few trials of the first run and of the last [s]."""
        bases = list(self._bases().values())
        ends = (self._config(bases[end], [axis.values[end] for axis in self.axes]) for end in (0, -1))
        seconds = [_trial(config) for config in ends]
        return float(np.mean(seconds)) * self.trials * self.size / min(workers, self.size)

    def table(self, store: Store) -> pd.DataFrame:
        """One row per finished run: what varies, the seed, then the columns of the run store."""
        rows = store.runs(self.by_key).set_index("key", drop=False)
        labels = pd.DataFrame([self.by_key[key] for key in rows.index], rows.index, [*self.varied, SEED])
        return labels.join(rows.drop(columns=[*labels.columns], errors="ignore")).reset_index(drop=True)

    def summary(self, store: Store, metric: str | None = None) -> pd.DataFrame:
        """Mean, standard deviation, extremes and number over the seeds, per cell with finished runs."""
        return summarised(self.table(store), self.varied, metric or self.metric)

    def _cells(self) -> Iterator[tuple[dict[str, Any], RunConfig]]:
        """What is run for every seed, with what it has of each varied setting."""
        for case, base in self._bases().items():
            for values in itertools.product(*(axis.values for axis in self.axes)):
                yield self._labels(case, values), self._config(base, values)

    @functools.cached_property
    def _few_cells(self) -> list[tuple[dict[str, Any], RunConfig]]:
        """All cells, made once, where they are few; else none."""
        return list(self._cells()) if self.size <= REMEMBERED * len(self.seed_values) else []

    @functools.cached_property
    def by_key(self) -> dict[str, dict[str, Any]]:
        """What each run has of each varied setting, and its seed, by its key."""
        return {job.key: labels for labels, job in self.runs()}

    def _bases(self) -> dict[str, RunConfig]:
        """Where the cells of each case begin; without cases, of the one that has no name."""
        base = loading.configuration(self.preset).with_values(self.set)
        return {name: _case(base, values, self.set) for name, values in self.cases.items()} or {"": base}

    def _config(self, base: RunConfig, values: Sequence[Any]) -> RunConfig:
        return base.with_values(
            {name: value for axis, value in zip(self.axes, values, strict=True) for name in axis.names}
        )

    def _job(self, config: RunConfig) -> Job:
        return Job(config, self.trials, self.every, self.judge)

    def _labels(self, case: str, values: Sequence[Any]) -> dict[str, Any]:
        named = {CASE: case} if self.cases else {}
        return {**named, **{axis.names[0]: grid.told(v) for axis, v in zip(self.axes, values, strict=True)}}

    def _read(self) -> None:
        """Texts of settings become what the settings of the first case take."""
        bases = self._bases()
        fixed = grid.typed(next(iter(bases.values())), self.set)
        fields = grid.typed(next(iter(bases.values())), self.fields)
        cases = {name: grid.typed(bases[name], case) for name, case in self.cases.items()}
        for name, read in {"set": fixed, "fields": fields, "cases": cases, "seeds": plain(self.seeds)}.items():
            object.__setattr__(self, name, read)

    def _check(self) -> None:
        """Each value singly, with the first ones of all others: a sweep of ten millions is checked at once."""
        names = [name for axis in self.axes for name in axis.names]
        for name in names:
            if name in self.set or names.count(name) > 1 or name == SEED:
                raise FieldError(f"Sweep.fields.{name}", "named once (seeds under seeds)", name)
        first = [axis.values[0] for axis in self.axes]
        for base in self._bases().values():
            for seed in (self.seed_values[0], self.seed_values[-1]):
                self._job(dataclasses.replace(self._config(base, first), seed=seed))
            for place, axis in enumerate(self.axes):
                for value in axis.values[1:]:
                    self._config(base, [*first[:place], value, *first[place + 1 :]])


def run(
    sweep: Sweep,
    store: Store,
    pool: Pool,
    *,
    confirmed: bool = False,
    stopped: Callable[[], bool] = lambda: False,
    interval: Interval | None = None,
) -> Generator[Outcome, None, None]:
    """Do what is not done yet, as a group of the store; see `training.workers.performed`."""
    keep(sweep, store, confirmed=confirmed)
    return performed(sweep.jobs(confirmed=confirmed), store, pool, stopped, interval)


def keep(sweep: Sweep, store: Store, *, confirmed: bool = False) -> Group:
    """Write down in the store what belongs to the sweep; of more than `LIMIT` runs, what was asked for alone."""
    jobs = sweep.jobs(confirmed=confirmed)
    return store.keep_group(sweep.name, "sweep", sweep.to_dict(), jobs if sweep.size <= LIMIT else ())


def summarised(table: pd.DataFrame, varied: Sequence[str], metric: str) -> pd.DataFrame:
    """Mean, standard deviation, extremes and number of a metric's values, per cell of a sweep's table."""
    METRICS[metric]
    found = table.groupby(list(varied) or np.zeros(len(table)), sort=False, dropna=False)[metric.replace("-", "_")]
    columns = [found.mean(), found.std().fillna(0.0), found.min(), found.max(), found.count()]
    return pd.concat(columns, axis=1, keys=STATISTICS).reset_index(drop=not varied)


def _case(base: RunConfig, values: Any, fixed: Values) -> RunConfig:
    """Where the cells of a case begin."""
    if not isinstance(values, Mapping):
        raise FieldError("Sweep.cases", "a mapping of values for each", values)
    own = dict(values)
    if (preset := own.pop("preset", None)) is not None:
        base = loading.configuration(str(preset)).with_values(fixed)
    return base.with_values(own)


def _trial(config: RunConfig) -> float:
    """Seconds of a trial."""
    session = Session(config)
    for _ in session.run(WARM_UP):
        pass
    began = time.perf_counter()
    for _ in session.run(TIMED):
        pass
    return (time.perf_counter() - began) / TIMED
