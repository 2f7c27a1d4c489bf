"""Computing threads are modest: one compute thread and low priority, for themselves alone."""

from __future__ import annotations

import itertools
import os
import sys
import threading
import time
from collections.abc import Callable

import pytest
import torch

from app.priority import IDLE, MODEST, Turns, be_modest
from app.runner import Runner
from training.config import RunConfig

LOWEST = 19
SMALL = RunConfig().with_values({"network.hidden": 5, "task": {"name": "pattern", "inputs": 5, "duration": 0.02}})

linux = pytest.mark.skipif(sys.platform != "linux", reason="priority of single threads is Linux's own")


def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.001)


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
    runner = Runner(SMALL)
    try:
        found = runner.ask(lambda trainer: (niceness(), torch.get_num_threads())).result(20.0)
        assert found == (min(niceness() + MODEST, LOWEST), 1)
    finally:
        runner.stop(timeout=20.0)


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


@pytest.mark.parametrize("places", [1, 2])
def test_turns_are_taken_by_so_many_at_a_time_and_in_the_order_of_asking(places: int) -> None:
    turns, inside, most, order = Turns(places), [], [], []
    wait = threading.Event()

    def work(number: int) -> None:
        with turns:
            inside.append(number)
            most.append(len(inside))
            order.append(number)
            wait.wait(20.0)
            inside.remove(number)

    threads = []
    for number in range(6):
        threads.append(threading.Thread(target=work, args=(number,)))
        threads[-1].start()
        until(lambda number=number: len(order) + len(turns._waiting) == number + 1)
    assert len(inside) == places
    wait.set()
    for thread in threads:
        thread.join(20.0)
    assert sorted(order) == list(range(6))
    assert order == sorted(order) or places > 1
    assert max(most) == places


def test_who_has_just_had_a_turn_goes_behind_those_who_wait() -> None:
    turns, taken, go = Turns(1), [], threading.Event()

    def work(name: str) -> None:
        go.wait(20.0)
        for _ in range(50):
            with turns:
                taken.append(name)
                until(lambda: turns._waiting or threads[name == "a"].is_alive() is False, 1.0)

    threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    go.set()
    for thread in threads:
        thread.join(20.0)
    assert all(one != other for one, other in itertools.pairwise(taken[1:-1]))


def test_a_turn_is_given_back_by_what_fails_in_it() -> None:
    turns = Turns(1)
    with pytest.raises(ZeroDivisionError), turns:
        _ = 1 / 0
    with turns:
        pass
