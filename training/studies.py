"""What studies share: results as they come, as columns, in summary, in a file; options with lists."""

from __future__ import annotations

import argparse
import contextlib
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from tqdm import tqdm

from pcmsim.errors import FileError, PCMLabError
from pcmsim.foundation.paths import expanded
from pcmsim.foundation.quoting import quoted
from pcmsim.foundation.texts import real
from training import export
from training.files.unfinished import Unfinished
from training.support.locks import alone
from training.writing import clear_leftovers, replacing

T = TypeVar("T")
Columns = dict[str, list[Any]]
WRITERS: dict[str, Callable[[export.Columns], bytes]] = {".parquet": export.to_parquet, ".csv": export.to_csv}
INTERRUPTED = 130
"""Exit code of a command that was interrupted."""

STATISTICS = ("mean", "sd", "minimum", "maximum", "number")


def table(results: Sequence[Any]) -> Columns:
    """Results, dataclasses of one kind, as columns; `training.export` writes them, ``pandas.DataFrame`` takes them."""
    return {about.name: [getattr(result, about.name) for result in results] for about in fields(results[0])}


def summary(results: Sequence[Any], by: Sequence[str], value: str) -> Columns:
    """Mean, standard deviation, extremes and number of a field's values, by other fields, as columns."""
    cases: dict[tuple[Any, ...], list[float]] = {}
    for result in results:
        cases.setdefault(tuple(getattr(result, name) for name in by), []).append(getattr(result, value))
    rows = [
        (*case, np.mean(found).item(), np.std(found, ddof=len(found) > 1).item(), min(found), max(found), len(found))
        for case, found in cases.items()
    ]
    return dict(zip((*by, *STATISTICS), map(list, zip(*rows, strict=True)), strict=True))


def gathered(
    measured: Iterable[list[Any]],
    total: int,
    lines: Callable[[Sequence[Any]], Iterator[str]],
    write: Callable[[Sequence[Any]], None] | None,
    *,
    unfinished: Unfinished | None = None,
    quiet: bool,
) -> int:
    """Gather results as far as they come, write and print them.

    Parameters
    ----------
    measured : iterable of list
        Results, part by part.
    total : int
        Number of parts.
    lines : callable
        The results as people read them.
    write : callable or None
        How they go to a file.
    unfinished : Unfinished, optional
        Where they are kept until all are there and written.
    quiet : bool
        No progress bar.

    Returns
    -------
    int
        The exit code: 0, or `INTERRUPTED`.
    """
    found, interrupted = list[Any](), False
    try:
        for part in followed(measured, total, "run", quiet=quiet):
            found += part
    except KeyboardInterrupt:
        interrupted = True
    if found and write is not None:
        write(found)
    if found:
        print("\n".join(lines(found)))
    if unfinished is not None and not interrupted:
        unfinished.clear()
    return INTERRUPTED if interrupted else 0


def followed(work: Iterable[T], total: int, unit: str, *, quiet: bool, initial: int = 0) -> Iterable[T]:
    """The same, with a progress bar for who sits before a terminal; `initial` of the total are done already."""
    hidden = quiet or not sys.stderr.isatty()
    return tqdm(work, total=total, unit=unit, disable=hidden, file=sys.stderr, initial=initial)


@contextlib.contextmanager
def writer(path: str | None) -> Iterator[Callable[[Sequence[Any]], None] | None]:
    """How results go to a file, if to any; see `table_writer`."""
    with table_writer(path) as write:
        yield None if write is None else lambda results: write(table(results))


@contextlib.contextmanager
def table_writer(path: str | None) -> Iterator[Callable[[export.Columns], None] | None]:
    """How columns go to a file, if to any; before anything is computed, and nobody else writes it meanwhile.

    Raises
    ------
    FileError
        If its ending is not known, it is a folder or its folder does not exist, or another process writes it.
    """
    if path is None:
        yield None
        return
    file = expanded(path)
    if file.suffix not in WRITERS:
        raise FileError(path, f"has no known ending; expected {' or '.join(WRITERS)}")
    if not file.parent.is_dir():
        raise FileError(path, "cannot be written (no such folder)")
    if file.is_dir():
        raise FileError(path, "is a folder; expected a file")
    with alone(file):
        clear_leftovers(file)
        yield lambda columns: _written(file, columns)


def _written(file: Path, columns: export.Columns) -> None:
    with replacing(file) as made:
        made.write_bytes(WRITERS[file.suffix](columns))


def agreed(what: str, *, yes: bool) -> bool:
    """Whether the person at the terminal means it; `yes` answers for them.

    Raises
    ------
    PCMLabError
        If nobody can be asked.
    """
    if yes:
        return True
    if not sys.stdin.isatty():
        raise PCMLabError(f"{what}: say --yes if that is meant")
    print(f"{what}. Go on? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower().startswith("y")


def aligned(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Lines of a table: numbers to four digits, an empty cell for what is not a number."""
    cells = [list(heads), *([_cell(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ("  ".join(text.rjust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in cells)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.4g}"
    return str(value)


def names(text: str) -> tuple[str, ...]:
    """Names with commas between."""
    return tuple(part.strip() for part in text.split(","))


def numbers(text: str) -> tuple[float, ...]:
    """Numbers with commas between."""
    found = tuple(map(real, text.split(",")))
    if not all(isinstance(number, float) for number in found):
        raise argparse.ArgumentTypeError(f"must be numbers with commas between, got {quoted(text)}")
    return tuple(map(float, found))
