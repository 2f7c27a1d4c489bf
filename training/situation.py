"""What a rule looks at, what it says, and where it is registered: see `training.rules`."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from pcmsim.registry import Registry
from training.config import RunConfig
from training.meters import Meters
from training.records import TrialRecord, finite

ALARM, OBSTACLE, NOTICE, PROGRESS = 3, 2, 1, 0
"""Severities: the run is broken; it cannot learn; something stands in its way; how far it is."""

HELD = 0.7
"""Error over that of a silent network below which a run has learned something that it can lose."""

FIRST = 3
"""Trials before causes are named: meters of recent updates need some."""

LEARNING = 0.9
"""Error over that of a silent network below which a run learns: samples differ by about a tenth."""


@dataclass(frozen=True)
class Situation:
    """A run at one moment.

    Parameters
    ----------
    record : TrialRecord
        The latest trial.
    meters : Meters
        Effects of the non-idealities.
    config : RunConfig
        The configuration in force.
    loss : float
        Smoothed error.
    trials : int
        Trials done.
    baseline : float, optional
        Mean error of a silent network; that of the latest trial if left out.
    best : float, optional
        Lowest smoothed error so far; infinite if left out: nothing learned that is known of.
    """

    record: TrialRecord
    meters: Meters
    config: RunConfig
    loss: float
    trials: int
    baseline: float | None = None
    best: float = math.inf

    @property
    def silence(self) -> float:
        """Error of a silent network."""
        return self.record.baseline if self.baseline is None else self.baseline

    @property
    def share(self) -> float:
        """Smoothed error over that of a silent network."""
        return finite(self.loss) / max(self.silence, 1e-12)

    @property
    def forgotten(self) -> bool:
        """Whether the run does not learn now, but had learned something."""
        return self.best < HELD * self.silence and self.trials >= FIRST and self.share > LEARNING

    @property
    def struggling(self) -> bool:
        """Whether the network fires as it should, but does not learn."""
        return self.record.status == "ok" and self.trials >= FIRST and self.share > LEARNING


@dataclass(frozen=True)
class Finding:
    """Something that a rule has to say.

    Parameters
    ----------
    name : str
        Name of the rule in `RULES`.
    severity : int
        3 broken, 2 cannot learn, 1 in the way, 0 progress.
    happened : str
        What happened, with the number.
    advice : str
        Why it matters, and what to try.
    control : str
        The control that the advice names, as labelled on the page; empty where none is to be turned.
    """

    name: str
    severity: int
    happened: str
    advice: str
    control: str


class Words(NamedTuple):
    """What a rule says; fields as in `Finding`."""

    happened: str
    advice: str
    control: str = ""


Look = Callable[[Situation], Words | None]


class Rule(NamedTuple):
    """A severity, and a look at a situation that gives words where there is something to say."""

    severity: int
    look: Look


RULES: Registry[Rule] = Registry("rule")


def rule(name: str, severity: int) -> Callable[[Look], Look]:
    """Decorator that files a look under `name`."""

    def file(look: Look) -> Look:
        RULES.register(name)(Rule(severity, look))
        return look

    return file


def cause(name: str, severity: int = NOTICE) -> Callable[[Look], Look]:
    """Decorator that files a look which is taken only while the run struggles."""

    def file(look: Look) -> Look:
        rule(name, severity)(lambda situation: look(situation) if situation.struggling else None)
        return look

    return file


def percent(share: float) -> str:
    """A share as people write it.

    Examples
    --------
    >>> percent(0.063)
    '6 %'
    """
    return f"{100.0 * share:.0f} %"
