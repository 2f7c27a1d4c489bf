"""The options of ``pcmlab tune``, and what it does."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import optuna
from tqdm import tqdm

from pcmsim.errors import FileError, PCMLabError
from pcmsim.foundation.paths import expanded
from pcmsim.foundation.quoting import quoted
from training import benchmark, loading, spaces, store, tuning_record
from training.files import interval
from training.jobs import METRICS
from training.search import COURSES, Course, Search, search_for
from training.spaces import SPACES, Range
from training.store import Store
from training.studies import INTERRUPTED
from training.support.locks import alone
from training.tuned_presets import ENDING, Record
from training.tuners import searched
from training.tuning_study import finished, opened, sqlite
from training.workers import pool
from training.writing import clear_leftovers, replacing

SHOWN = 3
"""Fields that the report names for each scheme, the most important first."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``pcmlab tune``."""
    known = ", ".join(SPACES)
    parser.add_argument("scheme", nargs="*", help=f"update schemes (default {known})")
    parser.add_argument("--task", default="pattern", help=f"what they are tuned for: {', '.join(COURSES)}")
    parser.add_argument("--preset", metavar="CONFIG", help="preset or file that is tuned in place of a task's own")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="fix a setting; repeatable")
    ranges = "LOW:HIGH, LOW:HIGH:log or A,B,C"
    parser.add_argument(
        "--field",
        action="append",
        default=[],
        metavar="KEY=RANGE",
        help=f"tune this field, {ranges}, in place of the scheme's own; repeatable",
    )
    for name, text in (
        ("evaluations", "budget of each scheme, those ended early included"),
        ("trials", "of a full run"),
        ("every", "trials of each point of the learning curve"),
        ("seeds", "runs of an evaluation"),
    ):
        parser.add_argument(f"--{name}", type=benchmark.count, metavar="N", help=text)
    parser.add_argument("--metric", help=f"what counts: {', '.join(METRICS)}")
    parser.add_argument("--judge", help="samples that judge at the end: validation, test")
    workers = "processes (default 1; with more, chance has a say in what is tried)"
    parser.add_argument("--workers", type=benchmark.count, default=1, metavar="N", help=workers)
    parser.add_argument("--storage", metavar="URL", help="database of the studies (default: SQLite in the run store)")
    parser.add_argument("--store", metavar="FOLDER", help="where runs are kept (default PCMLAB_STORE or pcmlab-runs)")
    interval.add_options(parser)
    parser.add_argument(
        "--out", metavar="FOLDER", help="write the settings found there, one file per scheme, as run takes them"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def command(options: argparse.Namespace) -> int:
    """``pcmlab tune``: the exit code."""
    searches = list(asked(options))
    with _folder(options.out) as write:
        kept = Store(options.store or store.folder())
        url = options.storage or sqlite(kept.folder / "studies.db")
        studies = [opened(search, url) for search in searches]
        code, often = 0, interval.asked(options)
        try:
            with pool(options.workers) if options.workers > 1 else nullcontext() as team:
                for search, study in zip(searches, studies, strict=True):
                    _followed(search, study, searched(search, url, kept, team, often), options.quiet)
        except KeyboardInterrupt:
            code = INTERRUPTED
        for search, study in zip(searches, studies, strict=True):
            tuning_record.keep(search, study, kept)
        write(searches, studies)
        print("\n".join(lines(searches, studies)))
    return code


def asked(options: argparse.Namespace) -> Iterator[Search]:
    """The searches that the options ask for.

    Raises
    ------
    PCMLabError
        If a name, a field or a value is not known or not allowed.
    """
    course = COURSES[options.task] if options.preset is None else Course(lambda _: str(options.preset))
    named = options.task if options.preset is None else Path(options.preset).stem
    names = ("evaluations", "trials", "every", "seeds", "metric", "judge")
    changed: dict[str, Any] = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    if options.field:
        changed["fields"] = dict(map(_field, options.field))
    for scheme in options.scheme or SPACES:
        yield search_for(course, scheme, named, loading.settings(options.set), **changed)


def _field(text: str) -> tuple[str, Range]:
    name, separator, known = text.partition("=")
    if not separator or not name:
        raise PCMLabError(f"--field: must be KEY=RANGE, got {quoted(text)}")
    try:
        return name, spaces.range_of(known)
    except PCMLabError as error:
        raise PCMLabError(f"--field {name}: {error}") from error


def _followed(search: Search, study: optuna.Study, work: Iterator[int], quiet: bool) -> None:
    known, hidden = finished(study), quiet or not sys.stderr.isatty()
    with tqdm(total=search.evaluations, initial=known, desc=search.name, disable=hidden, file=sys.stderr) as bar:
        for number in work:
            bar.update(number - bar.n)


@contextmanager
def _folder(path: str | None) -> Iterator[Callable[[Sequence[Search], Sequence[optuna.Study]], None]]:
    """How what was found goes to a folder, if to any; before anything is computed, and nobody else writes there."""
    if path is None:
        yield lambda searches, studies: None
        return
    folder = expanded(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(folder, f"cannot be written to ({error.strerror}); expected a writable folder") from error
    with alone(folder):
        yield lambda searches, studies: _write(searches, studies, folder)


def _write(searches: Sequence[Search], studies: Sequence[optuna.Study], folder: Path) -> None:
    """A file of each study that found something."""
    for search, study in zip(searches, studies, strict=True):
        if tuning_record.full(study):
            path = folder / f"{search.name}{ENDING}"
            clear_leftovers(path)
            with replacing(path) as made:
                made.write_text(tuning_record.tuned(search, study).to_yaml(), "utf-8")


def lines(searches: Sequence[Search], studies: Sequence[optuna.Study]) -> Iterator[str]:
    """The studies as people read them."""
    yield f"{'study':<34}{'done':>6}{'full':>6}{'trials':>9}{'untuned':>10}{'best':>10}  most important"
    for search, study in zip(searches, studies, strict=True):
        try:
            yield _line(search, tuning_record.record(search, study))
        except PCMLabError as error:
            yield str(error)


def _line(search: Search, told: Record) -> str:
    untuned = "-" if told.untuned is None else f"{told.untuned:.4f}"
    weighty = [f"{name.split('.')[-1]} {share:.0%}" for name, share in list(told.importance.items())[:SHOWN]]
    return (
        f"{search.name:<34}{told.evaluations:>6}{told.finished:>6}{told.trained:>9}{untuned:>10}{told.best:>10.4f}  "
        f"{', '.join(weighty)}"
    )
