"""The worker under load: queued wishes, continuous watching, failures at the worst moments."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from app import runner as module
from app.runner import Runner
from training.config import RunConfig
from training.records import TrialRecord
from training.session import Session

TINY = RunConfig().with_values({"network.hidden": 20, "task": {"name": "pattern", "inputs": 10, "duration": 0.05}})


def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.001)


def trial(runner: Runner) -> int:
    return -1 if runner.latest.record is None else runner.latest.record.trial


def idle(runner: Runner) -> None:
    """Wait until every wish made so far is fulfilled: a snapshot asked for last comes last."""
    before = runner.latest.version
    runner.ask_snapshot()
    until(lambda: runner.latest.version > before and runner.latest.snapshot_of == runner.latest.moment)


@pytest.fixture
def runner() -> Iterator[Runner]:
    runner = Runner(TINY)
    until(lambda: runner.latest.record is not None)
    yield runner
    runner.stop(timeout=20.0)
    assert not runner.alive


def test_the_worker_is_one_daemon_thread(runner: Runner) -> None:
    assert runner.alive
    assert runner._thread.daemon
    assert threading.current_thread() is not runner._thread


def test_one_step_is_one_trial_with_its_snapshot(runner: Runner) -> None:
    for expected in (1, 2, 3):
        runner.step()
        until(lambda expected=expected: trial(runner) == expected)
        assert not runner.latest.running
        assert runner.latest.snapshot_of == (1, expected, 0)
    idle(runner)
    assert trial(runner) == 3


def test_a_step_while_running_pauses_after_one_trial(runner: Runner) -> None:
    runner.start()
    until(lambda: trial(runner) > 3)
    runner.step()
    until(lambda: not runner.latest.running)
    idle(runner)
    reached = trial(runner)
    idle(runner)
    assert trial(runner) == reached


def test_pause_drops_the_steps_that_wait(runner: Runner) -> None:
    with runner._wake:
        for _ in range(10_000):
            runner._wishes.steps += 1
    runner.step()
    runner.pause()
    idle(runner)
    reached = trial(runner)
    idle(runner)
    assert trial(runner) == reached < 10_000


def test_reset_drops_the_steps_and_the_configuration_that_wait(runner: Runner) -> None:
    with runner._wake:
        runner._wishes.steps, runner._wishes.config = 500, TINY.with_values({"network.threshold": 0.7})
        runner._wishes.config_version = 3
        runner.reset(TINY.with_values({"seed": 5}), 4)
    until(lambda: runner.latest.run == 2)
    idle(runner)
    assert trial(runner) == 0
    assert runner.latest.config == TINY.with_values({"seed": 5})
    assert runner.latest.config_version == 4


def test_a_reset_run_is_the_same_as_a_fresh_one(runner: Runner) -> None:
    first = runner.latest.record.loss
    runner.step()
    until(lambda: trial(runner) == 1)
    runner.reset(TINY, 1)
    until(lambda: runner.latest.run == 2)
    assert (trial(runner), runner.latest.record.loss) == (0, first)
    assert runner.latest.curve.columns()["trial"].tolist() == [0]
    assert runner.latest.record.total_sets == Session(TINY).step().total_sets


def test_a_running_run_watched_all_the_time_is_the_unwatched_one_to_the_bit(runner: Runner) -> None:
    seen: set[tuple[int, int, int]] = set()
    runner.start()
    while trial(runner) < 60:
        runner.ask_snapshot()
        seen.add(runner.latest.snapshot_of)
        runner.latest.curve.columns(), runner.latest.drift.table()
        time.sleep(0.0005)
    runner.pause()
    until(lambda: not runner.latest.running)
    table, alone = runner.latest.curve.columns(), Session(TINY)
    records = list(alone.run(len(table["loss"])))
    assert np.array_equal(table["loss"], [record.loss for record in records])
    assert np.array_equal(runner.latest.record.probe, records[-1].probe)
    assert len(seen) > 3
    idle(runner)
    for layer, snapshot in alone.snapshot().items():
        assert np.array_equal(runner.latest.snapshot[layer].weights, snapshot.weights)


def test_a_change_between_trials_equals_the_same_change_of_a_session(runner: Runner) -> None:
    changed, alone = TINY.with_values({"network.threshold": 0.05, "learning.lr_output": 1e-3}), Session(TINY)
    expected = [alone.step().loss]
    alone.configure(changed)
    expected += [record.loss for record in alone.run(5)]
    runner.configure(changed, 1)
    until(lambda: runner.latest.config_version == 1)
    for _ in range(5):
        runner.step()
    until(lambda: trial(runner) == 5)
    assert runner.latest.curve.columns()["loss"].tolist() == expected


def test_a_step_out_of_a_running_run_tells_of_the_pause_with_its_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    told, publish = [], Runner._publish

    def note(runner: Runner, **changes: object) -> None:
        publish(runner, **changes)
        told.append((runner.latest.running, runner.latest.record.trial))

    monkeypatch.setattr(Runner, "_publish", note)
    runner = Runner(TINY)
    runner.start()
    until(lambda: trial(runner) > 3)
    runner.step()
    idle(runner)
    runner.stop()
    first_pause = next(number for running, number in told if not running and number > 3)
    assert first_pause == trial(runner)


def test_versions_only_grow_and_every_trial_counts_one(runner: Runner) -> None:
    before = runner.latest.version
    for _ in range(4):
        runner.step()
    until(lambda: trial(runner) == 4)
    assert runner.latest.version == before + 4


def test_a_refused_change_keeps_the_version_of_the_configuration_in_force(runner: Runner) -> None:
    runner.configure(TINY.with_values({"network.hidden": 30}), 9)
    until(lambda: runner.notices)
    idle(runner)
    assert list(runner.notices) == ["network.hidden: changes only with a new run, not between trials"]
    assert (runner.latest.config, runner.latest.config_version) == (TINY, 0)
    assert runner.alive


def test_a_trial_that_fails_is_one_notice_and_drops_the_steps_that_wait(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> TrialRecord:
        raise ZeroDivisionError("no devices left")

    session = runner.ask(lambda trainer: trainer._session).result(20.0)
    with monkeypatch.context() as broken:
        broken.setattr(session, "step", fail)
        with runner._wake:
            for _ in range(5):
                runner.step()
        until(lambda: runner.notices)
        idle(runner)
    assert list(runner.notices) == ["ZeroDivisionError: no devices left"]
    assert (trial(runner), runner.latest.running) == (0, False)
    runner.step()
    until(lambda: trial(runner) == 1)


def test_notices_are_bounded(runner: Runner) -> None:
    for number in range(60):
        runner.configure(TINY.with_values({"seed": number}), number)
        idle(runner)
    assert 0 < len(runner.notices) <= 20


@pytest.mark.parametrize("limit", [20.0, 100.0])
def test_the_limit_holds_over_many_trials_and_can_be_lifted(limit: float, runner: Runner) -> None:
    runner.limit(limit)
    runner.start()
    until(lambda: trial(runner) >= 1)
    began, first = time.monotonic(), trial(runner)
    until(lambda: trial(runner) >= first + limit / 4)
    assert 0.8 * 0.25 < time.monotonic() - began < 4 * 0.25
    runner.limit(0.0)
    reached = trial(runner)
    until(lambda: trial(runner) > reached + 20)


def test_a_slow_limit_does_not_hold_up_a_step_or_the_end(runner: Runner) -> None:
    runner.limit(0.01)
    runner.start()
    until(lambda: runner.latest.running)
    reached, began = trial(runner), time.monotonic()
    runner.step()
    until(lambda: trial(runner) > reached and not runner.latest.running)
    runner.start()
    runner.stop(timeout=20.0)
    assert not runner.alive
    assert time.monotonic() - began < 10.0


def test_speed_is_that_of_the_limit_once_measured(runner: Runner) -> None:
    runner.limit(40.0)
    runner.start()
    until(lambda: trial(runner) >= 50)
    assert runner.latest.speed == pytest.approx(40.0, rel=0.35)
    runner.pause()
    until(lambda: not runner.latest.running)
    assert runner.latest.speed == 0.0


def test_the_first_speed_is_not_above_the_limit(runner: Runner) -> None:
    runner.limit(2.0)
    runner.start()
    until(lambda: runner.latest.speed > 0.0)
    assert runner.latest.speed < 20.0


def test_playing_after_a_failed_first_trial_does_not_spin(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(config: RunConfig) -> None:
        raise MemoryError("too large")

    rounds: list[object] = []
    with monkeypatch.context() as broken:
        broken.setattr("app.trainer.Session", fail)
        runner = Runner(TINY)
        until(lambda: runner.notices)
    fulfil = runner._fulfil
    monkeypatch.setattr(runner, "_fulfil", lambda *wishes: (rounds.append(1), fulfil(*wishes)))
    try:
        runner.start()
        until(lambda: runner.latest.running)
        threading.Event().wait(0.1)
        assert len(rounds) < 20
    finally:
        runner.stop(timeout=20.0)


def test_after_a_failed_first_trial_a_reset_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing(Session):
        def step(self) -> TrialRecord:
            raise MemoryError("too large")

    with monkeypatch.context() as broken:
        broken.setattr("app.trainer.Session", Failing)
        runner = Runner(TINY)
        until(lambda: runner.notices)
    try:
        assert (runner.latest.record, runner.latest.run, runner.latest.snapshot) == (None, 0, None)
        runner.reset(TINY, 1)
        until(lambda: trial(runner) == 0)
        assert (runner.latest.run, runner.latest.config_version) == (1, 1)
    finally:
        runner.stop(timeout=20.0)


def test_the_interpreters_end_stops_every_worker() -> None:
    runners = [Runner(TINY) for _ in range(3)]
    for runner in runners:
        runner.start()
    module._stop_all()
    until(lambda: not any(runner.alive for runner in runners))


def test_stopping_twice_is_harmless() -> None:
    runner = Runner(TINY)
    runner.stop(timeout=20.0)
    runner.stop(timeout=20.0)
    runner.step()
    assert not runner.alive
