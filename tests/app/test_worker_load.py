"""The worker under load: queued wishes, continuous watching, failures at the worst moments."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from app_kit import until

from app.worker import Worker
from training.config import RunConfig
from training.records import TrialRecord
from training.session import Session

TINY = RunConfig().with_values({"network.hidden": 20, "task": {"name": "pattern", "inputs": 10, "duration": 0.05}})


def trial(worker: Worker) -> int:
    return -1 if worker.latest.record is None else worker.latest.record.trial


def idle(worker: Worker) -> None:
    """Wait until every wish made so far is fulfilled: a snapshot asked for last comes last."""
    before = worker.latest.version
    worker.ask_snapshot()
    until(lambda: worker.latest.version > before and worker.latest.snapshot_of == worker.latest.moment)


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker(TINY)
    until(lambda: worker.latest.record is not None)
    yield worker
    worker.stop(timeout=20.0)
    assert not worker.alive


def test_the_worker_is_one_daemon_thread(worker: Worker) -> None:
    assert worker.alive
    assert worker._thread.daemon
    assert threading.current_thread() is not worker._thread


def test_one_step_is_one_trial_with_its_snapshot(worker: Worker) -> None:
    for expected in (1, 2, 3):
        worker.step()
        until(lambda expected=expected: trial(worker) == expected)
        assert not worker.latest.running
        assert worker.latest.snapshot_of == (1, expected, 0)
    idle(worker)
    assert trial(worker) == 3


def test_a_step_while_running_pauses_after_one_trial(worker: Worker) -> None:
    worker.start()
    until(lambda: trial(worker) > 3)
    worker.step()
    until(lambda: not worker.latest.running)
    idle(worker)
    reached = trial(worker)
    idle(worker)
    assert trial(worker) == reached


def test_pause_drops_the_steps_that_wait(worker: Worker) -> None:
    with worker._wake:
        for _ in range(10_000):
            worker._wishes.steps += 1
    worker.step()
    worker.pause()
    idle(worker)
    reached = trial(worker)
    idle(worker)
    assert trial(worker) == reached < 10_000


def test_reset_drops_the_steps_and_the_configuration_that_wait(worker: Worker) -> None:
    with worker._wake:
        worker._wishes.steps, worker._wishes.config = 500, (TINY.with_values({"network.threshold": 0.7}), 3)
        worker.reset(TINY.with_values({"seed": 5}), 4)
    until(lambda: worker.latest.run == 2)
    idle(worker)
    assert trial(worker) == 0
    assert worker.latest.config == TINY.with_values({"seed": 5})
    assert worker.latest.config_version == 4


def test_a_reset_run_is_the_same_as_a_fresh_one(worker: Worker) -> None:
    first = worker.latest.record.loss
    worker.step()
    until(lambda: trial(worker) == 1)
    worker.reset(TINY, 1)
    until(lambda: worker.latest.run == 2)
    assert (trial(worker), worker.latest.record.loss) == (0, first)
    assert worker.latest.curve.columns()["trial"].tolist() == [0]
    assert worker.latest.record.total_sets == Session(TINY).step().total_sets


def test_a_running_run_watched_all_the_time_is_the_unwatched_one_to_the_bit(worker: Worker) -> None:
    seen: set[tuple[int, int, int]] = set()
    worker.start()
    while trial(worker) < 60:
        worker.ask_snapshot()
        seen.add(worker.latest.snapshot_of)
        worker.latest.curve.columns(), worker.latest.drift.table()
        time.sleep(0.0005)
    worker.pause()
    until(lambda: not worker.latest.running)
    table, alone = worker.latest.curve.columns(), Session(TINY)
    records = list(alone.run(len(table["loss"])))
    assert np.array_equal(table["loss"], [record.loss for record in records])
    assert np.array_equal(worker.latest.record.probe, records[-1].probe)
    assert len(seen) > 3
    idle(worker)
    for layer, snapshot in alone.snapshot().items():
        assert np.array_equal(worker.latest.snapshot[layer].weights, snapshot.weights)


def test_a_change_between_trials_equals_the_same_change_of_a_session(worker: Worker) -> None:
    changed, alone = TINY.with_values({"network.threshold": 0.05, "learning.lr_output": 1e-3}), Session(TINY)
    expected = [alone.step().loss]
    alone.configure(changed)
    expected += [record.loss for record in alone.run(5)]
    worker.configure(changed, 1)
    until(lambda: worker.latest.config_version == 1)
    for _ in range(5):
        worker.step()
    until(lambda: trial(worker) == 5)
    assert worker.latest.curve.columns()["loss"].tolist() == expected


def test_a_step_out_of_a_running_run_tells_of_the_pause_with_its_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    told, publish = [], Worker._publish

    def note(worker: Worker, **changes: object) -> None:
        publish(worker, **changes)
        told.append((worker.latest.running, worker.latest.record.trial))

    monkeypatch.setattr(Worker, "_publish", note)
    worker = Worker(TINY)
    worker.start()
    until(lambda: trial(worker) > 3)
    worker.step()
    idle(worker)
    worker.stop()
    first_pause = next(number for running, number in told if not running and number > 3)
    assert first_pause == trial(worker)


def test_versions_only_grow_and_every_trial_counts_one(worker: Worker) -> None:
    before = worker.latest.version
    for _ in range(4):
        worker.step()
    until(lambda: trial(worker) == 4)
    assert worker.latest.version == before + 4


def test_a_refused_change_is_answered_with_the_configuration_in_force(worker: Worker) -> None:
    worker.configure(TINY.with_values({"network.hidden": 30}), 9)
    until(lambda: worker.latest.config_version == 9)
    assert list(worker.notices) == ["network.hidden: changes only with a new run, not between trials"]
    assert worker.latest.config == TINY
    assert worker.alive


def test_a_refused_new_run_is_answered_with_the_old_one(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(config: RunConfig, chip: object) -> None:
        raise MemoryError("too large")

    monkeypatch.setattr("app.trainer.Session", fail)
    worker.reset(TINY.with_values({"seed": 5}), 9)
    until(lambda: worker.latest.config_version == 9)
    assert (worker.latest.config, worker.latest.run) == (TINY, 1)


def test_a_new_run_and_a_change_that_came_together_are_answered_each_with_its_own_version() -> None:
    told: dict[int, RunConfig] = {}
    worker = Worker(TINY, published=lambda shot, _: told.setdefault(shot.config_version, shot.config))
    begun, changed = TINY.with_values({"seed": 5}), TINY.with_values({"seed": 5, "network.threshold": 0.015})
    try:
        until(lambda: worker.latest.record is not None)
        with worker._wake:
            worker.reset(begun, 1)
            worker.configure(changed, 2)
        until(lambda: worker.latest.config_version == 2)
        assert told == {0: TINY, 1: begun, 2: changed}
    finally:
        worker.stop(timeout=20.0)


def test_a_trial_that_fails_is_one_notice_and_drops_the_steps_that_wait(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> TrialRecord:
        raise ZeroDivisionError("no devices left")

    session = worker.ask(lambda trainer: trainer._session).result(20.0)
    with monkeypatch.context() as broken:
        broken.setattr(session, "step", fail)
        with worker._wake:
            for _ in range(5):
                worker.step()
        until(lambda: worker.notices)
        idle(worker)
    assert list(worker.notices) == ["ZeroDivisionError: no devices left"]
    assert (trial(worker), worker.latest.running) == (0, False)
    worker.step()
    until(lambda: trial(worker) == 1)


def test_notices_are_bounded(worker: Worker) -> None:
    for number in range(1, 61):
        worker.configure(TINY.with_values({"seed": number}), number)
        until(lambda number=number: worker.latest.config_version == number)
    assert 0 < len(worker.notices) <= 20


@pytest.mark.parametrize("limit", [20.0, 100.0])
def test_the_limit_holds_over_many_trials_and_can_be_lifted(limit: float, worker: Worker) -> None:
    worker.limit(limit)
    worker.start()
    until(lambda: trial(worker) >= 1)
    began, first = time.monotonic(), trial(worker)
    until(lambda: trial(worker) >= first + limit / 4)
    assert 0.8 * 0.25 < time.monotonic() - began < 4 * 0.25
    worker.limit(0.0)
    reached = trial(worker)
    until(lambda: trial(worker) > reached + 20)


def test_a_slow_limit_does_not_hold_up_a_step_or_the_end(worker: Worker) -> None:
    worker.limit(0.01)
    worker.start()
    until(lambda: worker.latest.running)
    reached, began = trial(worker), time.monotonic()
    worker.step()
    until(lambda: trial(worker) > reached and not worker.latest.running)
    worker.start()
    worker.stop(timeout=20.0)
    assert not worker.alive
    assert time.monotonic() - began < 10.0


def test_speed_is_that_of_the_limit_once_measured(worker: Worker) -> None:
    worker.limit(40.0)
    worker.start()
    until(lambda: trial(worker) >= 50)
    assert worker.latest.speed == pytest.approx(40.0, rel=0.35)
    worker.pause()
    until(lambda: not worker.latest.running)
    assert worker.latest.speed == 0.0


def test_the_first_speed_is_not_above_the_limit(worker: Worker) -> None:
    worker.limit(2.0)
    worker.start()
    until(lambda: worker.latest.speed > 0.0)
    assert worker.latest.speed < 20.0


def test_playing_after_a_failed_first_trial_does_not_spin(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(config: RunConfig) -> None:
        raise MemoryError("too large")

    rounds: list[object] = []
    with monkeypatch.context() as broken:
        broken.setattr("app.trainer.Session", fail)
        worker = Worker(TINY)
        until(lambda: worker.notices)
    fulfil = worker._fulfil
    monkeypatch.setattr(worker, "_fulfil", lambda *wishes: (rounds.append(1), fulfil(*wishes)))
    try:
        worker.start()
        until(lambda: worker.latest.running)
        threading.Event().wait(0.1)
        assert len(rounds) < 20
    finally:
        worker.stop(timeout=20.0)


def test_after_a_failed_first_trial_a_reset_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing(Session):
        def step(self) -> TrialRecord:
            raise MemoryError("too large")

    with monkeypatch.context() as broken:
        broken.setattr("app.trainer.Session", Failing)
        worker = Worker(TINY)
        until(lambda: worker.notices)
    try:
        assert (worker.latest.record, worker.latest.run, worker.latest.snapshot) == (None, 0, None)
        worker.reset(TINY, 1)
        until(lambda: trial(worker) == 0)
        assert (worker.latest.run, worker.latest.config_version) == (1, 1)
    finally:
        worker.stop(timeout=20.0)


def test_stopping_twice_is_harmless() -> None:
    worker = Worker(TINY)
    worker.stop(timeout=20.0)
    worker.stop(timeout=20.0)
    worker.step()
    assert not worker.alive
