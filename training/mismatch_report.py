"""The options of ``pcmlab mismatch``, and what it does."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

from training import benchmark, loading, studies
from training.config import RunConfig
from training.files import interval
from training.files.unfinished import beside
from training.mismatch_lab import ARMS, PARAMETERS, Result, Study, run, summary
from training.studies import names, numbers


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``pcmlab mismatch``, apart from the configuration."""
    parser.add_argument("--trials", type=benchmark.count, default=6400, help="trials of each training (default 6400)")
    parser.add_argument("--levels", type=numbers, default=Study.levels, metavar="A,B", help="levels (default 0.1..0.5)")
    for name, known in (("parameters", list(PARAMETERS)), ("arms", list(ARMS))):
        default = getattr(Study, name)
        text = f"of {', '.join(known)} (default {','.join(default)})"
        parser.add_argument(f"--{name}", type=names, default=default, metavar="A,B", help=text)
    parser.add_argument("--seeds", type=benchmark.count, default=5, help="networks, seeds 1, 2, ... (default 5)")
    parser.add_argument(
        "--chips", type=benchmark.count, default=1, help="chips per kind for each transferred network (default 1)"
    )
    parser.add_argument("--workers", type=benchmark.count, default=1, help="processes (default 1)")
    interval.add_options(parser)
    parser.add_argument("--out", metavar="FILE", help="write all results there: .parquet or .csv")


def command(options: argparse.Namespace) -> int:
    """``pcmlab mismatch``: the exit code."""
    asked = study(loading.configuration(options.config).with_values(loading.settings(options.set)), options)
    with studies.writer(options.out) as write:
        held = beside(options.out, interval.asked(options))
        measured, number = run(asked, options.workers, held), len(asked.jobs())
        return studies.gathered(measured, number, lines, write, unfinished=held, quiet=options.quiet)


def study(base: RunConfig, options: argparse.Namespace) -> Study:
    """What the options ask for."""
    seeds = tuple(range(1, options.seeds + 1))
    return Study(base, options.trials, options.levels, options.parameters, options.arms, seeds, options.chips)


def lines(results: Sequence[Result]) -> Iterator[str]:
    """The summary as people read it."""
    yield f"{'parameter':<16}{'arm':<18}{'level':>6}{'mean':>9}{'SD':>8}{'min':>8}{'n':>6}"
    for parameter, arm, level, mean, sd, least, _, number in zip(*summary(results).values(), strict=True):
        yield f"{parameter:<16}{arm:<18}{level:>6.2f}{mean:>9.3f}{sd:>8.3f}{least:>8.3f}{number:>6}"
