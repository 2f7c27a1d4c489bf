"""Computing threads are modest: one compute thread and low priority, for themselves alone."""

from __future__ import annotations

import os
import sys
import threading

import pytest
import torch

from app.priority import IDLE, MODEST, be_modest
from app.worker import Worker
from training.config import RunConfig

LOWEST = 19
SMALL = RunConfig().with_values({"network.hidden": 5, "task": {"name": "pattern", "inputs": 5, "duration": 0.02}})

linux = pytest.mark.skipif(sys.platform != "linux", reason="priority of single threads is Linux's own")


def niceness() -> int:
    """Of the thread that asks."""
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def measured(wanted: int) -> tuple[int, int]:
    """Niceness and compute threads of a new thread that is modest."""
    found: list[tuple[int, int]] = []

    def work() -> None:
        torch.set_num_threads(2)
        be_modest(wanted)
        found.append((niceness(), torch.get_num_threads()))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(20.0)
    return found[0]


@linux
@pytest.mark.parametrize("wanted", [MODEST, IDLE])
def test_a_modest_thread_gives_way_and_the_others_stay_as_they_are(wanted: int) -> None:
    before = niceness()
    assert measured(wanted) == (min(before + wanted, LOWEST), 1)
    assert niceness() == before


@linux
def test_a_worker_is_modest() -> None:
    worker = Worker(SMALL)
    try:
        found = worker.ask(lambda trainer: (niceness(), torch.get_num_threads())).result(20.0)
        assert found == (min(niceness() + MODEST, LOWEST), 1)
    finally:
        worker.stop(timeout=20.0)


@linux
def test_a_system_that_refuses_is_borne(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: int) -> None:
        raise PermissionError("not for you")

    monkeypatch.setattr(os, "setpriority", refuse)
    assert measured(MODEST) == (niceness(), 1)


def test_elsewhere_only_the_compute_threads_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    asked: list[int] = []
    monkeypatch.setattr(os, "setpriority", lambda *arguments: asked.append(1), raising=False)
    assert measured(MODEST)[1] == 1
    assert asked == []
