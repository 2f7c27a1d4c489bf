"""What the page asks of the worker: it happens on the run, and one comparison of gradients runs at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from app_kit import until

from app.pages.requests import Requests
from app.worker import Worker
from training import honesty
from training.config import RunConfig
from training.honesty import Honesty, Question
from training.session import Session

SMALL = RunConfig().with_values(
    {"network.hidden": 10, "network.threshold": 0.02, "task": {"name": "pattern", "inputs": 5, "duration": 0.05}}
)


ANSWER = honesty.answer


def done(worker: Worker) -> None:
    """Wait until all that was asked of the worker has happened."""
    worker.ask(lambda trainer: None).result(20.0)


def answered(requests: Requests) -> None:
    """Wait until a comparison could begin, and everything before it has happened."""
    trainer = requests._runner.ask(lambda trainer: trainer).result(20.0)
    until(lambda: not trainer._comparing.locked())
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
        return ANSWER(question)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate = Gate()
    monkeypatch.setattr("app.trainer.honesty.answer", gate.answer)
    yield gate
    gate.opened.set()


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker(SMALL)
    until(lambda: worker.latest.record is not None)
    yield worker
    worker.stop(timeout=20.0)


@pytest.fixture
def requests(worker: Worker) -> Requests:
    return Requests(worker)


def test_picks_replace_each_other_and_are_dropped(requests: Requests, worker: Worker) -> None:
    seen = []
    for ask in (
        lambda: requests.pick_cell("input", 4, 7),
        lambda: requests.pick_neuron(6),
        lambda: requests.pick_cell("output", 2, 0),
        requests.drop_pick,
    ):
        ask()
        done(worker)
        look = worker.latest.look
        cell = None if look.cell is None else (look.cell.layer, look.cell.pre, look.cell.post)
        seen.append((cell, None if look.neuron is None else look.neuron.neuron))
    assert seen == [(("input", 4, 7), None), (None, 6), (("output", 2, 0), None), (None, None)]


def test_a_pick_that_the_run_does_not_have_is_one_notice_and_the_run_goes_on(
    requests: Requests, worker: Worker
) -> None:
    requests.pick_cell("input", 5, 0)
    done(worker)
    assert list(worker.notices) == ["cell.pre: must be a neuron from 0 to 4, got 5"]
    for _ in range(3):
        worker.step()
    until(lambda: worker.latest.record.trial == 3)
    assert len(worker.notices) == 1
    assert worker.latest.look.cell is None


def test_a_twin_begins_and_ends(requests: Requests, worker: Worker) -> None:
    requests.pair("drift")
    worker.step()
    until(lambda: worker.latest.twin is not None and worker.latest.twin.record is not None)
    assert (worker.latest.twin.name, worker.latest.twin.record.trial) == ("drift", 1)
    requests.pair(None)
    done(worker)
    assert worker.latest.twin is None


def test_time_passes_on_the_devices_alone(requests: Requests, worker: Worker) -> None:
    requests.fast_forward(3600.0)
    done(worker)
    assert worker.latest.aging.seconds == 3600.0
    assert worker.latest.aging.device_time == pytest.approx(3600.0 + 38.6)
    assert worker.latest.record.trial == 0
    worker.step()
    until(lambda: worker.latest.record.trial == 1)
    assert worker.latest.record.device_time == pytest.approx(3600.0 + 2 * 38.6)


def test_a_look_while_training_shows_a_newer_trial(requests: Requests, worker: Worker) -> None:
    worker.start()
    until(lambda: worker.latest.record.trial > 5)
    requests.look()
    until(lambda: worker.latest.snapshot_of[1] > 5)


def test_a_pause_leaves_everything_measured_after_the_last_trial(requests: Requests, worker: Worker) -> None:
    requests.pick_neuron(3)
    worker.start()
    until(lambda: worker.latest.record.trial > 10)
    requests.look()
    until(lambda: worker.latest.snapshot_of[1] > 10)
    worker.pause()
    until(lambda: not worker.latest.running)
    done(worker)
    shot = worker.latest
    assert shot.snapshot_of == shot.moment
    assert shot.look.neuron.trial == shot.record.trial
    assert shot.look.budget.reads == shot.record.total_reads


def test_gradients_are_compared_for_the_next_trial(requests: Requests, worker: Worker) -> None:
    requests.compare_gradients()
    until(lambda: worker.latest.honesty is not None)
    alone = Session(SMALL)
    alone.step()
    assert worker.latest.honesty == honesty.compare(alone)
    assert worker.latest.honesty.trial == 1
    assert worker.latest.honesty.cosine["output"] == pytest.approx(1.0)


def test_only_one_comparison_runs_at_once_and_training_goes_on_meanwhile(
    requests: Requests, worker: Worker, gate: Gate
) -> None:
    requests.compare_gradients()
    until(lambda: gate.asked == 1)
    worker.start()
    for _ in range(5):
        requests.compare_gradients()
    until(lambda: worker.latest.record.trial > 5)
    assert (gate.asked, worker.latest.honesty) == (1, None)
    gate.opened.set()
    until(lambda: worker.latest.honesty is not None)
    assert worker.latest.honesty.trial == 1
    worker.pause()
    answered(requests)
    expected = worker.latest.record.trial + 1
    requests.compare_gradients()
    until(lambda: worker.latest.honesty.trial == expected)
    assert gate.asked == 2


def test_a_comparison_that_fails_is_told_and_another_may_follow(requests: Requests, worker: Worker, gate: Gate) -> None:
    gate.opened.set()
    gate.error = MemoryError("too large")
    requests.compare_gradients()
    until(lambda: worker.notices)
    assert list(worker.notices) == ["MemoryError: too large"]
    answered(requests)
    assert worker.latest.honesty is None
    gate.error = None
    requests.compare_gradients()
    until(lambda: worker.latest.honesty is not None)
    assert len(worker.notices) == 1


def test_a_question_that_cannot_be_asked_is_told_and_leaves_the_way_free(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(config: RunConfig) -> None:
        raise MemoryError("too large")

    with monkeypatch.context() as broken:
        broken.setattr("app.trainer.Session", fail)
        worker = Worker(SMALL)
        until(lambda: worker.notices)
    requests = Requests(worker)
    try:
        for _ in range(2):
            requests.compare_gradients()
            answered(requests)
        assert list(worker.notices)[1:] == ["There is no run yet."] * 2
    finally:
        worker.stop(timeout=20.0)


def test_a_comparison_that_cannot_be_prepared_is_told_each_time_and_another_may_follow(
    requests: Requests, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(session: Session) -> Question:
        raise MemoryError("too large")

    with monkeypatch.context() as broken:
        broken.setattr("app.trainer.honesty.prepare", fail)
        for _ in range(2):
            requests.compare_gradients()
            done(worker)
    assert list(worker.notices) == ["MemoryError: too large"] * 2
    requests.compare_gradients()
    until(lambda: worker.latest.honesty is not None)


def test_an_answer_about_a_run_that_is_gone_is_dropped(requests: Requests, worker: Worker, gate: Gate) -> None:
    requests.compare_gradients()
    until(lambda: gate.asked == 1)
    worker.reset(SMALL.with_values({"seed": 9}), 1)
    until(lambda: worker.latest.run == 2)
    gate.opened.set()
    answered(requests)
    assert (worker.latest.honesty, list(worker.notices)) == (None, [])
