"""What tests of the dashboard share: waiting for a worker, and a clock that stands still."""

from __future__ import annotations

import time
from collections.abc import Callable


def until(condition: Callable[[], object], seconds: float = 90.0) -> None:
    """Wait for a condition; only a test that fails waits for so long."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.002)


class Clock:
    """Stands in for the time module; `now` is set by the test."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now
