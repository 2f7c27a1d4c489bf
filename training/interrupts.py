"""Signals that end a program: Ctrl-C, SIGTERM and SIGHUP, kept away from what must not stop half-way."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Signals that end a program once what it is in the middle of is whole."""

SAME_PRESS = 0.5
"""Seconds within which a second Ctrl-C is the first one, passed on once more by a program that started this one."""


class InterruptedBySignalError(KeyboardInterrupt):
    """SIGTERM or SIGHUP, which end a program as Ctrl-C does.

    Parameters
    ----------
    number : int
        The signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class _Waiting:
    """The signal that came first while something must not be disturbed, and when; Ctrl-C once more breaks through."""

    def __init__(self) -> None:
        self.number, self._since = 0, 0.0

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if not self.number:
            self.number, self._since = number, time.monotonic()
        elif number == signal.SIGINT and time.monotonic() - self._since > SAME_PRESS:
            self.number = 0
            raise KeyboardInterrupt

    def pass_on(self) -> None:
        """Let it do now what it does usually."""
        number, self.number = self.number, 0
        if number:
            signal.raise_signal(number)


_waiting = _Waiting()


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Signals that end the program wait until this is over; other threads than the main one never hear of them.

    In the middle of a trial they would leave half a trial behind, in compiled code end the process, in
    `concurrent.futures.wait` leave futures locked. A second Ctrl-C does not wait: what it broke off is half done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard = [number for number in ENDING if callable(signal.getsignal(number))]
    usual = {number: signal.signal(number, _waiting) for number in heard}
    try:
        yield
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)
        _waiting.pass_on()


def asked_to_end() -> bool:
    """Whether a signal waits until what is under way is whole."""
    return _waiting.number != 0


@contextlib.contextmanager
def listening() -> Iterator[list[int]]:
    """SIGTERM and SIGHUP raise `InterruptedBySignalError` as long as this lasts, unless they are ignored (``nohup``).

    Yields
    ------
    list of int
        Those that came.
    """
    came: list[int] = []

    def interrupted(number: int, frame: FrameType | None) -> None:
        came.append(number)
        raise InterruptedBySignalError(number)

    if threading.current_thread() is not threading.main_thread():
        yield came
        return
    heard = [number for number in ENDING if signal.getsignal(number) is signal.SIG_DFL]
    usual = {number: signal.signal(number, interrupted) for number in heard}
    try:
        yield came
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)


def leave_to_parent() -> None:
    """In a process that works for another: signals that a terminal sends to both are for that one, which ends this."""
    for name in ("SIGINT", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
