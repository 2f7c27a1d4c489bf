"""How often a run is kept while it trains."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from pcmsim.foundation.quoting import quoted
from pcmsim.foundation.texts import real
from training.benchmark import count

SECONDS = 30.0


@dataclass(frozen=True)
class Interval:
    """How often a run is kept: at whichever comes first.

    Parameters
    ----------
    seconds : float
        Wall time.
    trials : int or None
        Trials; None for no such limit.
    """

    seconds: float = SECONDS
    trials: int | None = None


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options that say it."""
    text = f"keep what is done every S seconds (default {SECONDS:g}): who is killed goes on from there"
    parser.add_argument("--checkpoint-seconds", type=_seconds, default=SECONDS, metavar="S", help=text)
    parser.add_argument(
        "--checkpoint-trials", type=count, metavar="N", help="and every N trials (default: on a chip, each)"
    )


def asked(options: argparse.Namespace) -> Interval:
    """What the options say; a run on a chip is kept after each trial, so that little is asked of the chip twice."""
    on_chip = 1 if getattr(options, "chip", None) else None
    return Interval(options.checkpoint_seconds, options.checkpoint_trials or on_chip)


def _seconds(text: str) -> float:
    seconds = real(text)
    if isinstance(seconds, str) or seconds < 0.0:
        raise argparse.ArgumentTypeError(f"must be a number of seconds >= 0, got {quoted(text)}")
    return seconds
