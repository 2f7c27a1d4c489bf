"""The options of ``pcmlab mismatch``, and what it prints and writes."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pcmsim.errors import FileError
from training import benchmark, export
from training.config import RunConfig
from training.mismatch_lab import ARMS, PARAMETERS, Result, Study, summary, table

WRITERS: dict[str, Callable[[export.Columns], bytes]] = {".parquet": export.to_parquet, ".csv": export.to_csv}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``pcmlab mismatch``, apart from the configuration."""
    parser.add_argument("--trials", type=benchmark.count, default=6400, help="trials of each training (default 6400)")
    parser.add_argument("--levels", type=_levels, default=Study.levels, metavar="A,B", help="levels (default 0.1..0.5)")
    for name, known in (("parameters", list(PARAMETERS)), ("arms", list(ARMS))):
        default = getattr(Study, name)
        text = f"of {', '.join(known)} (default {','.join(default)})"
        parser.add_argument(f"--{name}", type=_names, default=default, metavar="A,B", help=text)
    parser.add_argument("--seeds", type=benchmark.count, default=5, help="networks, seeds 1, 2, ... (default 5)")
    parser.add_argument(
        "--chips", type=benchmark.count, default=1, help="chips per kind for each transferred network (default 1)"
    )
    parser.add_argument("--workers", type=benchmark.count, default=1, help="processes (default 1)")
    parser.add_argument("--out", metavar="FILE", help="write all results there: .parquet or .csv")


def study(base: RunConfig, options: argparse.Namespace) -> Study:
    """What the options ask for."""
    seeds = tuple(range(1, options.seeds + 1))
    return Study(base, options.trials, options.levels, options.parameters, options.arms, seeds, options.chips)


def lines(results: Sequence[Result]) -> Iterator[str]:
    """The summary as people read it."""
    yield f"{'parameter':<16}{'arm':<18}{'level':>6}{'mean':>9}{'SD':>8}{'min':>8}{'n':>6}"
    for parameter, arm, level, mean, sd, least, number in zip(*summary(results).values(), strict=True):
        yield f"{parameter:<16}{arm:<18}{level:>6.2f}{mean:>9.3f}{sd:>8.3f}{least:>8.3f}{number:>6}"


def writer(path: str) -> Callable[[Sequence[Result]], None]:
    """How results go to a file; before anything is computed.

    Raises
    ------
    FileError
        If its ending is not known or its folder does not exist.
    """
    file = Path(path)
    if file.suffix not in WRITERS:
        raise FileError(path, f"has no known ending; expected {' or '.join(WRITERS)}")
    if not file.parent.is_dir():
        raise FileError(path, "cannot be written (no such folder)")

    def write(results: Sequence[Result]) -> None:
        try:
            file.write_bytes(WRITERS[file.suffix](table(results)))
        except OSError as error:
            raise FileError(path, f"cannot be written ({error.strerror})") from error

    return write


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(","))


def _levels(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"must be numbers with commas between, got {text!r}") from error
