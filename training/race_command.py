"""The options of ``pcmlab race``, and what it does."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator, Sequence

from tqdm import tqdm

from pcmsim.foundation.quoting import quoted
from pcmsim.foundation.texts import whole
from training import benchmark, loading, studies
from training.files import interval
from training.jobs import METRICS, NONE
from training.race import FAILED, MOST, Race, Reports, entrants, values
from training.racing import Racing, new_name
from training.ranking import Standing, fewest_seeds, rank
from training.store import Store, folder


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``pcmlab race``."""
    parser.add_argument(
        "lanes", nargs="*", metavar="LANE", help="update scheme, preset or file; by default every scheme for devices"
    )
    parser.add_argument("--task", default="pattern", help="task for which schemes are tuned (default pattern)")
    parser.add_argument(
        "--seeds", type=seeds, default=(1, 2, 3), metavar="N|A,B", help="how many, or which (default 3: 1,2,3)"
    )
    parser.add_argument("--trials", type=benchmark.count, default=750, help="trials of each run (default 750)")
    parser.add_argument(
        "--every", type=benchmark.count, default=30, metavar="N", help="trials that the ranking means over (default 30)"
    )
    parser.add_argument("--metric", default="loss", help=f"by which to rank: {', '.join(METRICS)} (default loss)")
    parser.add_argument("--judge", default=NONE, help="validation or test: samples never trained on, at the end")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="override a setting of all lanes; repeatable"
    )
    parser.add_argument("--store", metavar="FOLDER", help="where runs are kept (default PCMLAB_STORE or pcmlab-runs)")
    parser.add_argument("--name", help="name of the race in the store (default race- and the time)")
    parser.add_argument("--workers", type=benchmark.count, default=2, help="processes (default 2)")
    interval.add_options(parser)
    parser.add_argument("--out", metavar="FILE", help="write the ranking there: .parquet or .csv")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def command(options: argparse.Namespace) -> int:
    """``pcmlab race``: the exit code."""
    race = asked(options)
    with studies.writer(options.out) as write:
        store = Store(options.store or folder())
        racing = Racing(race, workers=options.workers, store=store, interval=interval.asked(options))
        racing.keep(store, options.name or new_name())
        interrupted = False
        try:
            follow(racing, quiet=options.quiet)
        except KeyboardInterrupt:
            interrupted = True
        standings = rank(values(race, racing.latest, finished=True), race.metric)
        if write is not None:
            write(standings)
    print("\n".join(lines(race, standings, racing.latest)))
    return studies.INTERRUPTED if interrupted else 0


def asked(options: argparse.Namespace) -> Race:
    """The race that the options describe."""
    overrides = loading.settings(options.set)
    lanes = {name: config.with_values(overrides) for name, config in entrants(options.lanes, options.task).items()}
    return Race(lanes, options.seeds, options.trials, options.every, options.judge, options.metric)


def follow(racing: Racing, *, quiet: bool) -> None:
    """Run a race to its end, with a progress bar for who sits before a terminal."""
    race, done = racing.race, dict.fromkeys(racing.race.jobs(), 0)
    hidden = quiet or not sys.stderr.isatty()
    bar = tqdm(total=race.trials * len(done), unit="trial", disable=hidden, file=sys.stderr)
    with bar, contextlib.closing(iter(racing)) as watched:
        for report in watched:
            now = race.trials if report.over else report.trial
            bar.update(now - done[report.entry])
            done[report.entry] = now


def lines(race: Race, standings: Sequence[Standing], reports: Reports) -> Iterator[str]:
    """The ranking as people read it."""
    width = max(len("lane"), *map(len, race.lanes)) + 2
    yield f"{'place':>5}  {'lane':<{width}}{race.metric:>17}{'SD':>10}{'95 % interval':>22}{'n':>5}"
    for one in standings:
        reach = f"{one.low:.4g} to {one.high:.4g}" if one.number else ""
        place = one.place if one.number else "–"
        yield f"{place:>5}  {one.lane:<{width}}{one.mean:>17.4g}{one.sd:>10.2g}{reach:>22}{one.number:>5}"
    yield caution(len(race.lanes), min((one.number for one in standings), default=0))
    for entry, report in reports.items():
        if report.status == FAILED:
            yield f"{entry.lane}, seed {entry.seed}: {report.message}"


def caution(lanes: int, number: int) -> str:
    """What places mean, and whether so many seeds can tell lanes apart at all."""
    if lanes < 2:
        return "One lane has nobody to be compared with."
    if number < fewest_seeds(lanes):
        return f"Lanes are told apart from {fewest_seeds(lanes)} seeds on: fewer give an order, but no certainty."
    return "Lanes that share a place cannot be told apart (paired signed-rank tests, Holm-corrected, 95 %)."


def seeds(text: str) -> tuple[int, ...]:
    """How many seeds, counted from 1, or which, with commas between.

    Examples
    --------
    >>> seeds("3"), seeds("7,"), seeds("4,5")
    ((1, 2, 3), (7,), (4, 5))
    """
    found = [whole(part) for part in text.split(",") if part.strip()]
    numbers = tuple(number for number in found if isinstance(number, int))
    numbers = numbers if len(numbers) == len(found) else ()
    if "," not in text and numbers and numbers[0] <= MOST:
        numbers = tuple(range(1, numbers[0] + 1))
    if not numbers or min(numbers) < 0 or len(numbers) > MOST:
        raise argparse.ArgumentTypeError(f"must be a number of seeds, or seeds with commas between, got {quoted(text)}")
    return numbers
