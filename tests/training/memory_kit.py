"""What tests need to know of a process's memory; Linux alone."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path


def taken(entry: str) -> int:
    """Memory of this process [bytes]: ``VmRSS`` now, ``VmHWM`` at most."""
    return 1024 * int(Path("/proc/self/status").read_text("utf-8").split(f"{entry}:")[1].split()[0])


@contextlib.contextmanager
def at_most(size: int) -> Iterator[None]:
    """What happens within takes no more than so many bytes at any time, whatever happened before."""
    Path("/proc/self/clear_refs").write_text("5", "utf-8")  # The peak begins anew.
    before = taken("VmRSS")
    yield
    assert taken("VmHWM") - before < size
