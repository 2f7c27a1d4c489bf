"""What one server process grants its visitors: from the command line, the environment, or the defaults."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from app.attention import IDLE_MINUTES
from pcmsim.errors import FieldError

MOST_SESSIONS = 12
KEEP_MINUTES = 5.0
LARGEST = 1000


@dataclass(frozen=True)
class Limits:
    """What one server process grants its visitors.

    Parameters
    ----------
    sessions : int
        Live sessions at the same time.
    idle : float
        Minutes without a key or a click after which a run pauses; 0 is never.
    keep : float
        Minutes, at least half of one, for which a session waits for a browser that has gone.
    per_address : int
        Live sessions of one address; 0 stands for two thirds of all, and for all on this machine itself.
    """

    sessions: int = MOST_SESSIONS
    idle: float = IDLE_MINUTES
    keep: float = KEEP_MINUTES
    per_address: int = 0

    @classmethod
    def asked(
        cls,
        sessions: object = None,
        idle: object = None,
        keep: object = None,
        environment: Mapping[str, str] = os.environ,
        *,
        per_address: object = None,
    ) -> Limits:
        """From the command line, else from the environment, else the defaults.

        Parameters
        ----------
        sessions : object
            Value of ``--max-sessions``, a number or its text; None asks ``PCMLAB_MAX_SESSIONS``.
        idle : object
            Value of ``--idle-minutes``; None asks ``PCMLAB_IDLE_MINUTES``.
        keep : object
            Value of ``--keep-minutes``; None asks ``PCMLAB_KEEP_MINUTES``.
        environment : mapping of str to str
            The environment.
        per_address : object
            Value of ``--max-per-address``; None asks ``PCMLAB_MAX_PER_ADDRESS``.

        Raises
        ------
        FieldError
            If a value is not a number in its range; names the option or the variable.
        """
        return cls(
            int(_SESSIONS.value(sessions, environment)),
            _IDLE.value(idle, environment),
            _KEEP.value(keep, environment),
            int(_PER_ADDRESS.value(per_address, environment)),
        )


@dataclass(frozen=True)
class _Option:
    """A number that the command line or the environment may give."""

    flag: str
    variable: str
    default: float
    expected: str
    read: Callable[[str], float]

    def value(self, given: object, environment: Mapping[str, str]) -> float:
        if given is not None:
            return self._number(self.flag, given)
        text = environment.get(self.variable, "").strip()
        return self._number(self.variable, text) if text else self.default

    def _number(self, source: str, given: object) -> float:
        try:
            return self.read(str(given))
        except ValueError as error:
            raise FieldError(source, self.expected, given) from error


def _count(text: str) -> int:
    number = int(text)
    if not 1 <= number <= LARGEST:
        raise ValueError(text)
    return number


def _minutes(text: str) -> float:
    number = float(text)
    if not (math.isfinite(number) and number >= 0.0):
        raise ValueError(text)
    return number


_SESSIONS = _Option(
    "--max-sessions", "PCMLAB_MAX_SESSIONS", MOST_SESSIONS, f"a whole number from 1 to {LARGEST}", _count
)
_PER_ADDRESS = _Option("--max-per-address", "PCMLAB_MAX_PER_ADDRESS", 0, f"a whole number from 1 to {LARGEST}", _count)
_IDLE = _Option("--idle-minutes", "PCMLAB_IDLE_MINUTES", IDLE_MINUTES, "a number of minutes >= 0", _minutes)
_KEEP = _Option("--keep-minutes", "PCMLAB_KEEP_MINUTES", KEEP_MINUTES, "a number of minutes >= 0", _minutes)
