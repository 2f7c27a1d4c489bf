"""The worker: what is asked happens, watching changes nothing, and nothing that goes wrong ends it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from app_kit import until

from app.worker import Worker
from training.config import RunConfig
from training.session import Session

SMALL = RunConfig().with_values({"network.hidden": 10, "task.inputs": 10, "task.duration": 0.1})


def trial(worker: Worker) -> int:
    return -1 if worker.latest.record is None else worker.latest.record.trial


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker(SMALL)
    until(lambda: worker.latest.record is not None)
    yield worker
    worker.stop(timeout=20.0)
    assert not worker.alive


def test_the_first_trial_is_run_and_then_waits(worker: Worker) -> None:
    version = worker.latest.version
    threading.Event().wait(0.05)
    assert trial(worker) == 0
    assert not worker.latest.running
    assert worker.latest.version == version
    assert worker.latest.snapshot_of == worker.latest.moment


def test_steps_run_exactly_as_many_trials_as_asked(worker: Worker) -> None:
    for _ in range(5):
        worker.step()
    until(lambda: trial(worker) == 5)
    threading.Event().wait(0.05)
    assert trial(worker) == 5
    assert worker.latest.snapshot_of == worker.latest.moment


def test_start_and_pause(worker: Worker) -> None:
    worker.start()
    until(lambda: trial(worker) > 20)
    assert worker.latest.running
    worker.pause()
    until(lambda: not worker.latest.running)
    stopped = trial(worker)
    threading.Event().wait(0.05)
    assert trial(worker) == stopped
    assert worker.latest.speed == 0.0


def test_toggling_counts_what_was_wished_before_not_what_is_seen(worker: Worker) -> None:
    for _ in range(2):
        worker.toggle()
    threading.Event().wait(0.05)
    assert (trial(worker), worker.latest.running) == (0, False)
    for _ in range(3):
        worker.toggle()
    until(lambda: worker.latest.running and trial(worker) > 3)


def test_a_watched_run_equals_an_unwatched_one_to_the_bit(worker: Worker) -> None:
    alone = Session(SMALL)
    losses = [record.loss for record in alone.run(30)]
    for _ in range(29):
        worker.ask_snapshot()
        worker.step()
        worker.latest.curve.columns()
    until(lambda: trial(worker) == 29)
    assert np.array_equal(worker.latest.curve.columns()["loss"], losses)
    for layer, snapshot in alone.snapshot().items():
        seen = worker.latest.snapshot[layer]
        assert np.array_equal(seen.weights, snapshot.weights)
        assert np.array_equal(seen.conductance, snapshot.conductance)


def test_live_changes_apply_between_trials_and_keep_the_run(worker: Worker) -> None:
    changed = SMALL.with_values({"network.threshold": 0.3})
    worker.configure(changed, 7)
    until(lambda: worker.latest.config_version == 7)
    assert worker.latest.config == changed
    assert (worker.latest.run, trial(worker)) == (1, 0)


def test_only_the_newest_configuration_counts(worker: Worker) -> None:
    for number in range(1, 50):
        worker.configure(SMALL.with_values({"network.threshold": 0.1 + number / 100}), number)
    until(lambda: worker.latest.config_version == 49)
    assert worker.latest.config.network.threshold == pytest.approx(0.59)


def test_reset_begins_anew_and_goes_on_as_before(worker: Worker) -> None:
    worker.start()
    until(lambda: trial(worker) > 5)
    worker.reset(SMALL.with_values({"seed": 5}), 3)
    until(lambda: worker.latest.run == 2)
    assert worker.latest.config.seed == 5
    assert worker.latest.curve.columns()["trial"][0] == 0
    until(lambda: trial(worker) > 2)
    assert worker.latest.running


def test_a_change_that_needs_a_new_run_is_refused_in_words_and_the_run_goes_on(worker: Worker) -> None:
    worker.start()
    worker.configure(SMALL.with_values({"seed": 5}), 1)
    until(lambda: worker.notices)
    assert "seed: changes only with a new run" in worker.notices.popleft()
    reached = trial(worker)
    until(lambda: trial(worker) > reached + 5)
    assert worker.latest.config == SMALL


def test_a_failing_trial_is_told_and_pauses_but_does_not_end_the_run(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise RuntimeError("out of paper")

    session = worker.ask(lambda trainer: trainer._session).result(20.0)
    with monkeypatch.context() as broken:
        broken.setattr(session, "step", fail)
        worker.start()
        until(lambda: worker.notices)
    assert worker.notices.popleft() == "RuntimeError: out of paper"
    until(lambda: not worker.latest.running)
    reached = trial(worker)
    worker.step()
    until(lambda: trial(worker) == reached + 1)


def test_a_failing_restart_keeps_the_old_run(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(config: RunConfig) -> None:
        raise MemoryError("too large")

    with monkeypatch.context() as broken:
        broken.setattr("app.trainer.Session", fail)
        worker.reset(SMALL.with_values({"seed": 5}), 1)
        until(lambda: worker.notices)
    worker.step()
    until(lambda: trial(worker) == 1)
    assert worker.latest.config == SMALL


def test_snapshots_are_taken_only_when_asked(worker: Worker) -> None:
    worker.start()
    until(lambda: trial(worker) > 10)
    assert worker.latest.snapshot_of == (1, 0, 0)
    worker.ask_snapshot()
    until(lambda: worker.latest.snapshot_of != (1, 0, 0))


def test_a_speed_limit_is_kept(worker: Worker) -> None:
    worker.limit(50.0)
    worker.start()
    until(lambda: trial(worker) >= 1)
    began, first = time.monotonic(), trial(worker)
    until(lambda: trial(worker) >= first + 20)
    assert time.monotonic() - began > 0.8 * 20 / 50


def test_a_stopped_worker_no_longer_trains() -> None:
    worker = Worker(SMALL)
    worker.start()
    worker.stop(timeout=20.0)
    assert not worker.alive
