"""The options of ``pcmlab runs``, and what it does: finished runs listed, shown, compared, pruned, exported."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from pcmsim.errors import FieldError, PCMLabError
from training import benchmark, codec, deploy_report, studies
from training.chip.base import Chip
from training.files.group import Group
from training.store import FOLDER_VARIABLE, Store, folder

SHORT = 8
"""Letters of a key that are shown: enough to tell apart a million runs."""

COLUMNS = ("finished", "task", "scheme", "device", "seed", "trials", "loss", "accuracy", "status")
RESULTS = (
    "trials", "judge", "loss", "accuracy", "best", "baseline", "held_out_loss", "held_out_accuracy", "rate",
    "sets", "resets", "reads", "saturated", "stuck", "device_time", "status", "seconds",
)  # fmt: skip


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``pcmlab runs`` and of its commands."""
    _shared(parser, None)
    parser.add_argument("--last", type=benchmark.count, metavar="N", help="the latest N alone")
    commands = parser.add_subparsers(metavar="COMMAND")
    _part(commands, "groups", _groups, "list races, sweeps and studies")
    show = _part(commands, "show", _show, "print a run's configuration as YAML, for pcmlab run")
    show.add_argument("key", help="key of a run, or how it begins")
    compare = _part(commands, "compare", _compare, "the settings in which runs differ, and what they came to")
    compare.add_argument("keys", nargs="+", metavar="key", help="keys of runs, or how they begin")
    prune = _part(commands, "prune", _prune, "remove runs")
    prune.add_argument("--older-than", type=deploy_report.time, metavar="TIME", help="such as 30 d or 1 year")
    prune.add_argument("--status", help="how they ended, such as diverged")
    prune.add_argument("--yes", action="store_true", help="do not ask")
    export = _part(commands, "export", _export, "write the table of runs to a file")
    export.add_argument("--out", required=True, metavar="FILE", help=".parquet or .csv")
    export.add_argument("--curves", action="store_true", help="their learning curves instead")


def _part(commands: Any, name: str, function: Any, summary: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=summary, description=summary)
    parser.set_defaults(command=function)
    _shared(parser, argparse.SUPPRESS)
    return parser


def _shared(parser: argparse.ArgumentParser, default: Any) -> None:
    text = "run store (default PCMLAB_STORE, else pcmlab-runs)"
    parser.add_argument("--store", metavar="FOLDER", default=default, help=text)
    parser.add_argument("--group", metavar="NAME", default=default, help="those of a race, sweep or study alone")


def keeping(path: str | None, chip: Chip | None) -> Store | None:
    """Where a single run is kept when it is finished, if anywhere: only a whole one that its row can repeat.

    Raises
    ------
    PCMLabError
        If it is asked for and cannot be.
    """
    if path is not None and chip is not None:
        raise PCMLabError("--store: keeps runs that can be made again; one on a chip cannot")
    wanted = path or os.environ.get(FOLDER_VARIABLE)
    return Store(wanted) if wanted and chip is None else None


def listed(options: argparse.Namespace) -> None:
    """``pcmlab runs``: a line per run, the latest last."""
    rows = _rows(_store(options), options).sort_values("finished", kind="stable")
    rows = rows.tail(options.last or len(rows))
    shown = ([row.key[:SHORT], *(getattr(row, name) for name in COLUMNS)] for row in rows.itertuples())
    _print(studies.aligned(("key", *COLUMNS), shown))


def _groups(options: argparse.Namespace) -> None:
    store = _store(options)
    finished, groups = store.keys(), [store.group(name) for name in store.groups()]
    rows = ([g.name, g.kind, g.created, f"{len(finished.intersection(g.keys))} of {len(g.keys)}"] for g in groups)
    _print(studies.aligned(("name", "kind", "created", "finished"), rows))


def _show(options: argparse.Namespace) -> None:
    store = _store(options)
    key = store.key(options.key)
    job, results = store.job(key), store.runs([key]).iloc[0]
    told = ", ".join(f"{name} {results[name]}" for name in RESULTS[2:] if not pd.isna(results[name]))
    print(f"# run {key}: pcmlab run THIS-FILE.yaml --trials {job.trials}\n# {told}")
    print(job.config.to_yaml(), end="")


def _compare(options: argparse.Namespace) -> None:
    store = _store(options)
    keys = [store.key(key) for key in options.keys]
    jobs = [store.job(key) for key in keys]
    settings = [dict(codec.flat(job.config.to_dict())) for job in jobs]
    names = dict.fromkeys(name for one in settings for name in one)
    rows = [[name, *(one.get(name, "") for one in settings)] for name in names]
    results = store.runs(keys)
    came = [[name, *results[name]] for name in RESULTS]
    heads = ["", *(key[:SHORT] for key in keys)]
    _print(studies.aligned(heads, [*(row for row in rows if any(one != row[1] for one in row[2:])), *came]))


def _prune(options: argparse.Namespace) -> None:
    store = _store(options)
    if options.group is None and options.older_than is None and options.status is None:
        raise FieldError("runs prune", "told which: --group, --older-than or --status", None)
    rows = _rows(store, options)
    if options.older_than is not None:
        age = datetime.now(UTC) - pd.to_datetime(rows["finished"], utc=True)
        rows = rows[age.dt.total_seconds() > options.older_than]
    if options.status is not None:
        rows = rows[rows["status"] == options.status]
    whole = options.group is not None and options.older_than is None and options.status is None
    _remove(store, list(rows["key"]), options, options.group if whole else None)


def _remove(store: Store, keys: Sequence[str], options: argparse.Namespace, group: str | None) -> None:
    """Remove runs, and the group; a run that another group names too stays when it is the group that goes."""
    others = [one for name in store.groups() if name != options.group and (one := store.group(name))]
    held = {key for one in others for key in one.keys}
    going = [key for key in keys if options.group is None or key not in held]
    what = f"{len(going)} of {len(store.keys())} runs in {store.folder} will be removed{_told(others, going)}"
    if (going or group) and studies.agreed(what, yes=options.yes):
        store.remove(going)
        if group is not None:
            store.forget(group)
        print(f"{len(going)} runs removed")
    elif not going:
        print("no run is like that")


def _told(groups: Sequence[Group], going: Sequence[str]) -> str:
    """Which groups will miss some."""
    names = [group.name for group in groups if not {*going}.isdisjoint(group.keys)]
    return f", some of them of {', '.join(names)}" if names else ""


def _export(options: argparse.Namespace) -> None:
    store = _store(options)
    keys = None if options.group is None else store.group(options.group).keys
    with studies.table_writer(options.out) as write:
        table = store.curves(keys) if options.curves else store.runs(keys)
        assert write is not None
        write({name: table[name].tolist() for name in table})
    print(f"{len(table)} rows of {store.folder} in {options.out}")


def _rows(store: Store, options: argparse.Namespace) -> pd.DataFrame:
    return store.runs(None if options.group is None else store.group(options.group).keys)


def _store(options: argparse.Namespace) -> Store:
    """The store, which must be there: who mistypes its name shall not get an empty one."""
    store = Store.found(path := options.store or folder())
    if store is None:
        raise PCMLabError(f"{path}: there is no run store here; name one with --store or {FOLDER_VARIABLE}")
    return store


def _print(lines: Iterator[str]) -> None:
    print("\n".join(lines))
