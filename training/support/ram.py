"""Working memory: what this process may take, and what asks for more is refused before it is taken."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import psutil

from pcmsim.errors import PCMLabError

GB = 1e9
CGROUP = Path("/sys/fs/cgroup")
"""Where Linux says what a container may take."""

_cap: int | None = None


def cap(size: int | None) -> None:
    """Allow this process so many bytes at most for what is built from now on; None is what the machine has."""
    global _cap  # noqa: PLW0603
    _cap = size


def allowed() -> int:
    """Bytes that may be taken: what the machine and the container have left, and no more than `cap`."""
    left = [psutil.virtual_memory().available, *_container_left()]
    return max(0, min(left if _cap is None else [*left, _cap]))


def check(what: str, needed: float) -> None:
    """Refuse what needs more memory than there is.

    Parameters
    ----------
    what : str
        What needs it, with the names of the fields that decide.
    needed : float
        How much, about [bytes].

    Raises
    ------
    PCMLabError
        Saying what is needed and what is allowed.
    """
    if needed > (most := allowed()):
        reason = "allowed here" if most == _cap else "free on this machine"
        raise PCMLabError(f"{what}: need about {needed / GB:.1f} GB of memory, {most / GB:.1f} GB are {reason}")


def _container_left() -> Iterator[int]:
    """What each enclosing control group still grants: none, where there are no bounds."""
    with contextlib.suppress(OSError, ValueError):
        own = next(line for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::"))
        group = CGROUP / own[len("0::") :].strip("/")
        for place in (group, *group.parents):
            if place.is_relative_to(CGROUP):
                yield from _granted(place)


def _granted(group: Path) -> Iterator[int]:
    """Of one control group; pages of files that it holds are given back when they are needed."""
    with contextlib.suppress(OSError, ValueError):  # no bounds read as "max"
        most = int((group / "memory.max").read_text())
        used = int((group / "memory.current").read_text())
        about = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        yield most - used + int(about.get("inactive_file", 0))
