"""What a process may take: what the machine has left, what its container grants, and what a server allows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from pcmsim.errors import PCMLabError
from training.support import ram


@pytest.fixture(autouse=True)
def _no_cap_afterwards() -> Iterator[None]:
    yield
    ram.cap(None)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Eight gigabytes free, and a place for control groups."""
    monkeypatch.setattr(ram.psutil, "virtual_memory", lambda: SimpleNamespace(available=8 * 10**9))
    monkeypatch.setattr(ram, "CGROUP", tmp_path)
    read = Path.read_text
    monkeypatch.setattr(
        Path,
        "read_text",
        lambda path: "0::/lab/user\n" if path.name == "cgroup" and path.parent.name == "self" else read(path),
    )
    return tmp_path


def bounds(group: Path, most: str, used: int, files: int) -> None:
    group.mkdir(parents=True, exist_ok=True)
    (group / "memory.max").write_text(f"{most}\n")
    (group / "memory.current").write_text(f"{used}\n")
    (group / "memory.stat").write_text(f"anon 5\ninactive_file {files}\n")


def test_without_bounds_the_machines_memory_counts(machine: Path) -> None:
    assert ram.allowed() == 8 * 10**9
    bounds(machine / "lab", "max", 10**9, 0)
    assert ram.allowed() == 8 * 10**9


def test_the_narrowest_bound_counts(machine: Path) -> None:
    bounds(machine / "lab", "4000000000", 10**9, 5 * 10**8)
    assert ram.allowed() == 35 * 10**8
    bounds(machine / "lab" / "user", "2000000000", 19 * 10**8, 0)
    assert ram.allowed() == 10**8
    ram.cap(10**7)
    assert ram.allowed() == 10**7


def test_what_needs_more_is_refused_in_one_sentence(machine: Path) -> None:
    ram.check("network.hidden=4096", 7.9e9)
    with pytest.raises(
        PCMLabError, match=r"^network.hidden=4096: need about 15.0 GB of memory, 8.0 GB are free on this machine$"
    ):
        ram.check("network.hidden=4096", 15e9)
    ram.cap(2 * 10**9)
    with pytest.raises(PCMLabError, match=r"need about 3.0 GB of memory, 2.0 GB are allowed here$"):
        ram.check("network.hidden=4096", 3e9)
