"""The options of ``pcmlab deploy``, and what it does."""

from __future__ import annotations

import argparse
import contextlib
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pcmsim.errors import PCMLabError
from pcmsim.foundation.quoting import quoted
from training import benchmark, codec, loading, studies
from training.aging import DAY
from training.deploy import COMPENSATIONS, TRAINED, Chip, Deployment, Result, deploy, parts, run
from training.files import interval
from training.files.unfinished import Unfinished, beside
from training.jobs import Job, Run, digest_of
from training.session import Session
from training.studies import names, summary

TRIALS = 6400
UNITS = {"year": 365.0 * DAY, "month": 30.0 * DAY, "d": DAY, "h": 3600.0, "min": 60.0, "s": 1.0}
TIME = re.compile(rf"([\d.]+(?:e\+?\d+)?)\s*({'|'.join(UNITS)})?")
CHIP = tuple(Chip.__dataclass_fields__)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``pcmlab deploy``."""
    parser.add_argument(
        "network", nargs="?", default="digits", help="checkpoint, folder of a run, preset or file (default digits)"
    )
    text = f"override a setting, of the chip if it begins with {', '.join(CHIP)}; repeatable"
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help=text)
    parser.add_argument("--trials", type=benchmark.count, help=f"trials of the training, if any (default {TRIALS})")
    parser.add_argument("--chips", type=benchmark.count, default=10, help="chips, seeds 1, 2, ... (default 10)")
    default = ",".join(map(told, Deployment.times))
    parser.add_argument(
        "--times", type=times, default=Deployment.times, metavar="A,B", help=f"since programming (default {default})"
    )
    known = ",".join(COMPENSATIONS)
    parser.add_argument(
        "--compensation",
        type=names,
        default=Deployment.compensations,
        metavar="A,B",
        help=f"of drift (default {known})",
    )
    interval.add_options(parser)
    parser.add_argument("--out", metavar="FILE", help="write all results there: .parquet or .csv")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def command(options: argparse.Namespace) -> int:
    """``pcmlab deploy``: the exit code."""
    chip, training = divided(loading.settings(options.set))
    asked = study(chip, options)
    with studies.writer(options.out) as write:
        session, trials = network(options, training)
        session.sampler.evaluation()
        deploy(session, asked.chip, 0)  # what is missing or does not fit is said before training
        held = beside(options.out, interval.asked(options))
        measured = _measured(asked, session, trials, held, quiet=options.quiet)
        return studies.gathered(measured, 1 + asked.chips, lines, write, unfinished=held, quiet=options.quiet)


def network(options: argparse.Namespace, values: Mapping[str, Any]) -> tuple[Session, int]:
    """The network that the options name, and for how many trials it is still to be trained.

    Raises
    ------
    PCMLabError
        If it cannot be read, or is a checkpoint and further training is asked for.
    """
    if not loading.is_checkpoint(options.network):
        session = Session(loading.configuration(options.network).with_values(values))
        return session, options.trials or TRIALS
    if values or options.trials is not None:
        raise PCMLabError(f"{options.network}: a checkpoint is deployed as it is: no --trials, no settings of its run")
    return loading.trained(options.network), 0


def _measured(
    asked: Deployment, session: Session, trials: int, unfinished: Unfinished | None, *, quiet: bool
) -> Iterator[list[Result]]:
    if not trials:
        yield from run(asked, session)
        return
    job = Job(session.config, trials)
    with contextlib.closing(Run(job, unfinished)) as training:
        before = training.session.trial
        for _ in studies.followed(training.records(), trials, "trial", quiet=quiet, initial=before):
            pass
        for name, part in parts(asked).items():
            yield _part(unfinished, digest_of([job.key, codec.encode(asked), name]), part, training.session)


def _part(
    unfinished: Unfinished | None, name: str, part: Callable[[Session], list[Result]], session: Session
) -> list[Result]:
    """Results of a part, which are kept if anything is."""
    if unfinished is None:
        return part(session)
    return [Result(**values) for values in unfinished.part(name, lambda: list(map(asdict, part(session))))]


def study(values: Mapping[str, Any], options: argparse.Namespace) -> Deployment:
    """What the options ask for, with these settings of the chip."""
    return Deployment(Chip().with_values(values), options.chips, options.times, options.compensation)


def divided(values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings of the chip, and those of the training."""
    chip = {name: value for name, value in values.items() if name.split(".")[0] in CHIP}
    return chip, {name: value for name, value in values.items() if name not in chip}


def lines(results: Sequence[Result]) -> Iterator[str]:
    """The summary as people read it: accuracy where there is one, else the loss."""
    measured = "loss" if math.isnan(results[0].accuracy) else "accuracy"
    yield f"{'compensation':<14}{'time':>10}{measured:>11}{'SD':>8}{'min':>8}{'max':>8}{'n':>5}"
    columns = summary(results, ("compensation", "seconds"), measured)
    for name, seconds, mean, sd, least, most, number in zip(*columns.values(), strict=True):
        when = "" if name == TRAINED else told(seconds)
        yield f"{name:<14}{when:>10}{mean:>11.4f}{sd:>8.4f}{least:>8.4f}{most:>8.4f}{number:>5}"
    chips = {result.chip: result for result in results if result.compensation != TRAINED}.values()
    if chips:
        error = sum(chip.error for chip in chips) / len(chips)
        saturated = max(chip.saturated for chip in chips)
        yield f"programming error {100.0 * error:.2f} % of full scale; {saturated} weights of a chip saturated"


def times(text: str) -> tuple[float, ...]:
    """Times with commas between [s]: numbers, with a unit or in seconds."""
    return tuple(map(time, names(text)))


def told(seconds: float) -> str:
    """A time in the largest unit of which it is at least one."""
    unit = next((unit for unit, size in UNITS.items() if seconds >= size), "s")
    return f"{seconds / UNITS[unit]:g} {unit}"


def time(text: str) -> float:
    """A time [s]: a number, with a unit or in seconds."""
    found = TIME.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"must be a time such as 100 s or 1 year, got {quoted(text)}")
    return float(found[1]) * UNITS[found[2] or "s"]
