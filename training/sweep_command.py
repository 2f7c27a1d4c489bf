"""The options of ``pcmlab sweep``, and what it does."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
from collections.abc import Callable, Iterator

import pandas as pd

from pcmsim.errors import PCMLabError
from training import benchmark, export, loading, studies, sweep
from training.files import interval
from training.files.interval import Interval
from training.store import Store, folder
from training.sweep import LIMIT, Sweep
from training.workers import FailedJobsError, Pool, pool

UNITS = (("days", 86400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0))
MOST_LINES = 200


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``pcmlab sweep``."""
    parser.add_argument("file", help="YAML file of the sweep")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of all runs; repeatable"
    )
    add_workers(parser)
    add_store(parser)
    interval.add_options(parser)
    parser.add_argument("--yes", action="store_true", help=f"do not ask, even for more than {LIMIT} runs")
    parser.add_argument("--out", metavar="FILE", help="write the table of all runs there: .parquet or .csv")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def add_workers(parser: argparse.ArgumentParser) -> None:
    """Options that say who does the work."""
    parser.add_argument("--workers", type=benchmark.count, metavar="N", help="processes (default: one per core)")
    parser.add_argument("--scheduler", metavar="ADDRESS", help="Dask scheduler, host:port, whose workers do it instead")


def add_store(parser: argparse.ArgumentParser) -> None:
    """The option that says where runs are kept."""
    parser.add_argument("--store", metavar="FOLDER", help="run store (default PCMLAB_STORE, else pcmlab-runs)")


def command(options: argparse.Namespace) -> int:
    """``pcmlab sweep``: the exit code."""
    asked = read(options)
    with studies.table_writer(options.out) as write:
        store, code, failed = Store(options.store or folder()), 0, None
        with pool(options.workers, options.scheduler) as workers:
            confirm(asked, workers, yes=options.yes)
            try:
                _follow(asked, store, workers, interval.asked(options), quiet=options.quiet)
            except KeyboardInterrupt:
                code = studies.INTERRUPTED
            except FailedJobsError as error:
                failed = error
        if asked.size <= LIMIT or write is not None:
            _report(asked, asked.table(store), write)
    if failed is not None:
        raise failed
    return code


def read(options: argparse.Namespace) -> Sweep:
    """What the file and the options ask for."""
    asked = Sweep.from_yaml(options.file)
    return dataclasses.replace(asked, set={**asked.set, **loading.settings(options.set)})


def confirm(asked: Sweep, workers: Pool, *, yes: bool) -> None:
    """Ask whether a sweep of very many runs is meant.

    Raises
    ------
    PCMLabError
        If it is not, or nobody can be asked.
    """
    if asked.size <= LIMIT or yes:
        return
    time = duration(asked.estimate(workers.width))
    what = f"sweep {asked.name}: {asked.size} runs, about {time} on {workers.width} workers"
    if not studies.agreed(what, yes=False):
        raise PCMLabError(f"sweep {asked.name}: not begun")


def _follow(asked: Sweep, store: Store, workers: Pool, often: Interval, *, quiet: bool) -> None:
    there = len(store.keys().intersection(asked.by_key)) if asked.size <= LIMIT else 0
    known = f"{there} of them in {store.folder} already" if asked.size <= LIMIT else f"kept in {store.folder}"
    print(f"{asked.name}: {asked.size} runs, {known}", flush=True)
    with contextlib.closing(sweep.run(asked, store, workers, confirmed=True, interval=often)) as done:
        for _ in studies.followed(done, asked.size, "run", quiet=quiet, initial=there):
            pass


def _report(asked: Sweep, table: pd.DataFrame, write: Callable[[export.Columns], None] | None) -> None:
    if table.empty:
        return
    if write is not None:
        write({name: table[name].tolist() for name in table})
    print("\n".join(lines(asked, sweep.summarised(table, asked.varied, asked.metric))))


def lines(asked: Sweep, summary: pd.DataFrame) -> Iterator[str]:
    """The summary as people read it."""
    yield f"{asked.metric}: mean, standard deviation and number of runs"
    heads = [*asked.varied, "mean", "sd", "number"]
    yield from studies.aligned(heads, summary[heads].head(MOST_LINES).itertuples(index=False))
    if len(summary) > MOST_LINES:
        yield f"... and {len(summary) - MOST_LINES} more; --out writes all"


def duration(seconds: float) -> str:
    """A time as people say it."""
    unit, size = next(((unit, size) for unit, size in UNITS if seconds >= size), UNITS[-1])
    return f"{seconds / size:.3g} {unit}"
