"""The worker: what is asked happens, watching changes nothing, and nothing that goes wrong ends it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from app.runner import Runner
from training.config import RunConfig
from training.session import Session

SMALL = RunConfig().with_values({"network.hidden": 10, "task.inputs": 10, "task.duration": 0.1})


def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.002)


def trial(runner: Runner) -> int:
    return -1 if runner.latest.record is None else runner.latest.record.trial


@pytest.fixture
def runner() -> Iterator[Runner]:
    runner = Runner(SMALL)
    until(lambda: runner.latest.record is not None)
    yield runner
    runner.stop(timeout=20.0)
    assert not runner.alive


def test_the_first_trial_is_run_and_then_waits(runner: Runner) -> None:
    version = runner.latest.version
    threading.Event().wait(0.05)
    assert trial(runner) == 0
    assert not runner.latest.running
    assert runner.latest.version == version
    assert runner.latest.snapshot_of == runner.latest.moment


def test_steps_run_exactly_as_many_trials_as_asked(runner: Runner) -> None:
    for _ in range(5):
        runner.step()
    until(lambda: trial(runner) == 5)
    threading.Event().wait(0.05)
    assert trial(runner) == 5
    assert runner.latest.snapshot_of == runner.latest.moment


def test_start_and_pause(runner: Runner) -> None:
    runner.start()
    until(lambda: trial(runner) > 20)
    assert runner.latest.running
    runner.pause()
    until(lambda: not runner.latest.running)
    stopped = trial(runner)
    threading.Event().wait(0.05)
    assert trial(runner) == stopped
    assert runner.latest.speed == 0.0


def test_a_watched_run_equals_an_unwatched_one_to_the_bit(runner: Runner) -> None:
    alone = Session(SMALL)
    losses = [record.loss for record in alone.run(30)]
    for _ in range(29):
        runner.ask_snapshot()
        runner.step()
        runner.latest.curve.columns()
    until(lambda: trial(runner) == 29)
    assert np.array_equal(runner.latest.curve.columns()["loss"], losses)
    for layer, snapshot in alone.snapshot().items():
        seen = runner.latest.snapshot[layer]
        assert np.array_equal(seen.weights, snapshot.weights)
        assert np.array_equal(seen.conductance, snapshot.conductance)


def test_live_changes_apply_between_trials_and_keep_the_run(runner: Runner) -> None:
    changed = SMALL.with_values({"network.threshold": 0.3})
    runner.configure(changed, 7)
    until(lambda: runner.latest.config_version == 7)
    assert runner.latest.config == changed
    assert (runner.latest.run, trial(runner)) == (1, 0)


def test_only_the_newest_configuration_counts(runner: Runner) -> None:
    for number in range(1, 50):
        runner.configure(SMALL.with_values({"network.threshold": 0.1 + number / 100}), number)
    until(lambda: runner.latest.config_version == 49)
    assert runner.latest.config.network.threshold == pytest.approx(0.59)


def test_reset_begins_anew_and_goes_on_as_before(runner: Runner) -> None:
    runner.start()
    until(lambda: trial(runner) > 5)
    runner.reset(SMALL.with_values({"seed": 5}), 3)
    until(lambda: runner.latest.run == 2)
    assert runner.latest.config.seed == 5
    assert runner.latest.curve.columns()["trial"][0] == 0
    until(lambda: trial(runner) > 2)
    assert runner.latest.running


def test_a_change_that_needs_a_new_run_is_refused_in_words_and_the_run_goes_on(runner: Runner) -> None:
    runner.start()
    runner.configure(SMALL.with_values({"seed": 5}), 1)
    until(lambda: runner.notices)
    assert "seed: changes only with a new run" in runner.notices.popleft()
    reached = trial(runner)
    until(lambda: trial(runner) > reached + 5)
    assert runner.latest.config == SMALL


def test_a_failing_trial_is_told_and_pauses_but_does_not_end_the_run(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise RuntimeError("out of paper")

    session = runner.ask(lambda trainer: trainer._session).result(20.0)
    with monkeypatch.context() as broken:
        broken.setattr(session, "step", fail)
        runner.start()
        until(lambda: runner.notices)
    assert runner.notices.popleft() == "RuntimeError: out of paper"
    until(lambda: not runner.latest.running)
    reached = trial(runner)
    runner.step()
    until(lambda: trial(runner) == reached + 1)


def test_a_failing_restart_keeps_the_old_run(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(config: RunConfig) -> None:
        raise MemoryError("too large")

    with monkeypatch.context() as broken:
        broken.setattr("app.trainer.Session", fail)
        runner.reset(SMALL.with_values({"seed": 5}), 1)
        until(lambda: runner.notices)
    runner.step()
    until(lambda: trial(runner) == 1)
    assert runner.latest.config == SMALL


def test_snapshots_are_taken_only_when_asked(runner: Runner) -> None:
    runner.start()
    until(lambda: trial(runner) > 10)
    assert runner.latest.snapshot_of == (1, 0, 0)
    runner.ask_snapshot()
    until(lambda: runner.latest.snapshot_of != (1, 0, 0))


def test_a_speed_limit_is_kept(runner: Runner) -> None:
    runner.limit(50.0)
    runner.start()
    until(lambda: trial(runner) >= 1)
    began, first = time.monotonic(), trial(runner)
    until(lambda: trial(runner) >= first + 20)
    assert time.monotonic() - began > 0.8 * 20 / 50


def test_a_stopped_runner_no_longer_trains() -> None:
    runner = Runner(SMALL)
    runner.start()
    runner.stop(timeout=20.0)
    assert not runner.alive
