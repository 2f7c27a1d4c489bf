"""When a run that nobody watches should be paused: a hidden tab, a lost browser, a person who has left."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from pcmsim.errors import FieldError

IDLE_MINUTES = 120.0
UNSEEN = 60.0
HIDDEN_WORDS = "Paused after {time:.0f} s in a hidden tab: no picture was seen. Press Play to go on."
IDLE_WORDS = "Paused after {time:g} minutes without a key or a click: nobody seems to be here. Press Play to go on."


class Attention:
    """Judges from a few signs whether somebody still looks at a running session.

    It knows no page and no thread: tell it what happens and ask it regularly, about once a second.
    Both clocks begin anew whenever the run begins to run.

    Parameters
    ----------
    idle : float
        Minutes without a key or a click after which the run should pause; 0 is never.
    clock : callable
        Gives the time [s]; any origin, never backwards.
    unseen : float
        Seconds without a painted frame, while one was waiting to be painted, after which it should.

    Raises
    ------
    FieldError
        If a time is negative, infinite or not a number.

    Examples
    --------
    >>> now = 0.0
    >>> attention = Attention(idle=2.0, clock=lambda: now)
    >>> attention.reason(running=True) is None
    True
    >>> now = 60.0
    >>> attention.reason(running=True)
    'Paused after 60 s in a hidden tab: no picture was seen. Press Play to go on.'
    """

    def __init__(
        self, idle: float = IDLE_MINUTES, clock: Callable[[], float] = time.monotonic, unseen: float = UNSEEN
    ) -> None:
        self.idle, self.unseen = _duration("idle", idle), _duration("unseen", unseen)
        self._clock = clock
        self.hidden_words = HIDDEN_WORDS.format(time=self.unseen)
        self._touched = clock()
        self._waiting_since: float | None = None
        self._running = False

    def painted(self) -> None:
        """The browser has acknowledged a frame: somebody can see it."""
        self._waiting_since = None

    def touched(self) -> None:
        """Somebody has used a control or a key."""
        self._touched = self._clock()

    def reason(self, running: bool, outstanding: bool = True) -> str | None:
        """Why the run should be paused now.

        Parameters
        ----------
        running : bool
            Whether trials follow each other by themselves.
        outstanding : bool
            Whether a frame was sent that the browser has not acknowledged. Leave it out where
            frames follow each other closely.

        Returns
        -------
        str or None
            A sentence for the person who comes back; None while there is no reason.
        """
        now = self._clock()
        self._follow(now, running, outstanding)
        if not running:
            return None
        if self._waiting_since is not None and now - self._waiting_since >= self.unseen:
            return self.hidden_words
        if self.idle and now - self._touched >= 60.0 * self.idle:
            return IDLE_WORDS.format(time=self.idle)
        return None

    def _follow(self, now: float, running: bool, outstanding: bool) -> None:
        if not (running and outstanding):
            self._waiting_since = None
        elif self._waiting_since is None:
            self._waiting_since = now
        if running and not self._running:
            self._touched = now
        self._running = running


def _duration(name: str, value: float) -> float:
    if not (math.isfinite(value) and value >= 0.0):
        raise FieldError(f"Attention.{name}", "finite and >= 0", value)
    return float(value)
