"""What the page asks of the worker: it happens on the run, and one comparison of gradients runs at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from app.pages import requests as module
from app.pages.requests import Requests
from app.runner import Runner
from training import honesty
from training.config import RunConfig
from training.honesty import Honesty, Question
from training.session import Session

SMALL = RunConfig().with_values(
    {"network.hidden": 10, "network.threshold": 0.02, "task": {"name": "pattern", "inputs": 5, "duration": 0.05}}
)


def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.002)


def done(runner: Runner) -> None:
    """Wait until all that was asked of the worker has happened."""
    runner.ask(lambda trainer: None).result(20.0)


def answered(requests: Requests) -> None:
    """Wait until a comparison could begin, and everything before it has happened."""
    until(lambda: not requests._comparing.locked())
    done(requests._runner)


class Gate:
    """Answers as the library does, once it is opened."""

    def __init__(self) -> None:
        self.opened, self.asked, self.error = threading.Event(), 0, None

    def answer(self, question: Question) -> Honesty:
        self.asked += 1
        assert self.opened.wait(20.0)
        if self.error is not None:
            raise self.error
        return honesty.answer(question)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate = Gate()
    monkeypatch.setattr(module, "honesty", gate)
    yield gate
    gate.opened.set()


@pytest.fixture
def runner() -> Iterator[Runner]:
    runner = Runner(SMALL)
    until(lambda: runner.latest.record is not None)
    yield runner
    runner.stop(timeout=20.0)


@pytest.fixture
def requests(runner: Runner) -> Requests:
    return Requests(runner)


def test_picks_replace_each_other_and_are_dropped(requests: Requests, runner: Runner) -> None:
    seen = []
    for ask in (
        lambda: requests.pick_cell("input", 4, 7),
        lambda: requests.pick_neuron(6),
        lambda: requests.pick_cell("output", 2, 0),
        requests.drop_pick,
    ):
        ask()
        done(runner)
        look = runner.latest.look
        cell = None if look.cell is None else (look.cell.layer, look.cell.pre, look.cell.post)
        seen.append((cell, None if look.neuron is None else look.neuron.neuron))
    assert seen == [(("input", 4, 7), None), (None, 6), (("output", 2, 0), None), (None, None)]


def test_a_pick_that_the_run_does_not_have_is_one_notice_and_the_run_goes_on(
    requests: Requests, runner: Runner
) -> None:
    requests.pick_cell("input", 5, 0)
    done(runner)
    assert list(runner.notices) == ["cell.pre: must be a neuron from 0 to 4, got 5"]
    for _ in range(3):
        runner.step()
    until(lambda: runner.latest.record.trial == 3)
    assert len(runner.notices) == 1
    assert runner.latest.look.cell is None


def test_a_twin_begins_and_ends(requests: Requests, runner: Runner) -> None:
    requests.pair("drift")
    runner.step()
    until(lambda: runner.latest.twin is not None and runner.latest.twin.record is not None)
    assert (runner.latest.twin.name, runner.latest.twin.record.trial) == ("drift", 1)
    requests.pair(None)
    done(runner)
    assert runner.latest.twin is None


def test_time_passes_on_the_devices_alone(requests: Requests, runner: Runner) -> None:
    requests.fast_forward(3600.0)
    done(runner)
    assert runner.latest.aging.seconds == 3600.0
    assert runner.latest.aging.device_time == pytest.approx(3600.0 + 38.6)
    assert runner.latest.record.trial == 0
    runner.step()
    until(lambda: runner.latest.record.trial == 1)
    assert runner.latest.record.device_time == pytest.approx(3600.0 + 2 * 38.6)


def test_a_look_while_training_shows_a_newer_trial(requests: Requests, runner: Runner) -> None:
    runner.start()
    until(lambda: runner.latest.record.trial > 5)
    requests.look()
    until(lambda: runner.latest.snapshot_of[1] > 5)


def test_a_pause_leaves_everything_measured_after_the_last_trial(requests: Requests, runner: Runner) -> None:
    requests.pick_neuron(3)
    runner.start()
    until(lambda: runner.latest.record.trial > 10)
    requests.look()
    until(lambda: runner.latest.snapshot_of[1] > 10)
    runner.pause()
    until(lambda: not runner.latest.running)
    done(runner)
    shot = runner.latest
    assert shot.snapshot_of == shot.moment
    assert shot.look.neuron.trial == shot.record.trial
    assert shot.look.budget.reads == shot.record.total_reads


def test_gradients_are_compared_for_the_next_trial(requests: Requests, runner: Runner) -> None:
    assert requests.compare_gradients()
    until(lambda: runner.latest.honesty is not None)
    alone = Session(SMALL)
    alone.step()
    assert runner.latest.honesty == honesty.compare(alone)
    assert runner.latest.honesty.trial == 1
    assert runner.latest.honesty.cosine["output"] == pytest.approx(1.0)


def test_only_one_comparison_runs_at_once_and_training_goes_on_meanwhile(
    requests: Requests, runner: Runner, gate: Gate
) -> None:
    assert requests.compare_gradients()
    until(lambda: gate.asked == 1)
    runner.start()
    assert [requests.compare_gradients() for _ in range(5)] == [False] * 5
    until(lambda: runner.latest.record.trial > 5)
    assert (gate.asked, runner.latest.honesty) == (1, None)
    gate.opened.set()
    until(lambda: runner.latest.honesty is not None)
    assert runner.latest.honesty.trial == 1
    runner.pause()
    answered(requests)
    expected = runner.latest.record.trial + 1
    assert requests.compare_gradients()
    until(lambda: runner.latest.honesty.trial == expected)
    assert gate.asked == 2


def test_a_comparison_that_fails_is_told_and_another_may_follow(requests: Requests, runner: Runner, gate: Gate) -> None:
    gate.opened.set()
    gate.error = MemoryError("too large")
    assert requests.compare_gradients()
    until(lambda: runner.notices)
    assert list(runner.notices) == ["MemoryError: too large"]
    answered(requests)
    assert runner.latest.honesty is None
    gate.error = None
    assert requests.compare_gradients()
    until(lambda: runner.latest.honesty is not None)
    assert len(runner.notices) == 1


def test_a_question_that_cannot_be_asked_is_told_and_leaves_the_way_free(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(config: RunConfig) -> None:
        raise MemoryError("too large")

    with monkeypatch.context() as broken:
        broken.setattr("app.trainer.Session", fail)
        runner = Runner(SMALL)
        until(lambda: runner.notices)
    requests = Requests(runner)
    try:
        for _ in range(2):
            assert requests.compare_gradients()
            answered(requests)
        assert list(runner.notices)[1:] == ["There is no run yet."] * 2
    finally:
        runner.stop(timeout=20.0)


def test_an_answer_about_a_run_that_is_gone_is_dropped(requests: Requests, runner: Runner, gate: Gate) -> None:
    requests.compare_gradients()
    until(lambda: gate.asked == 1)
    runner.reset(SMALL.with_values({"seed": 9}), 1)
    until(lambda: runner.latest.run == 2)
    gate.opened.set()
    answered(requests)
    assert (runner.latest.honesty, list(runner.notices)) == (None, [])
