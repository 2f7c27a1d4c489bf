"""The page's side of a worker: the same run as the library's, in a process that may die without harm."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from operator import methodcaller
from pathlib import Path

import numpy as np
import psutil
import pytest
from app_kit import until

from app import post
from app import runner as module
from app.runner import Runner
from app.trainer import Trainer
from pcmsim.errors import FieldError, FileError, PCMLabError, RestartRequiredError, UnknownNameError
from training.config import RunConfig
from training.session import Session

TINY = RunConfig().with_values({"network.hidden": 20, "task": {"name": "pattern", "inputs": 10, "duration": 0.05}})


def trial(runner: Runner) -> int:
    return -1 if runner.latest.record is None else runner.latest.record.trial


def process(runner: Runner) -> psutil.Process:
    return psutil.Process(runner._process.pid)


@pytest.fixture
def runner() -> Iterator[Runner]:
    runner = Runner(TINY)
    until(lambda: runner.latest.record is not None)
    yield runner
    runner.stop(timeout=20.0)
    assert not runner.alive


def test_it_trains_in_a_process_of_its_own(runner: Runner) -> None:
    assert process(runner).pid != os.getpid()
    assert runner._process._process.daemon


def test_a_watched_run_equals_the_librarys_to_the_bit(runner: Runner) -> None:
    runner.start()
    while trial(runner) < 60:
        runner.ask_snapshot()
        time.sleep(0.003)
    runner.pause()  # The pause is told of at once, the snapshot of where it stopped thereafter.
    until(lambda: not runner.latest.running and runner.latest.snapshot_of == runner.latest.moment)
    shot, alone = runner.latest, Session(TINY)
    records = list(alone.run(trial(runner) + 1))
    assert shot.curve.columns()["loss"].tolist() == [record.loss for record in records]
    assert np.array_equal(shot.record.probe, records[-1].probe)
    assert np.array_equal(shot.record.hidden.neuron, records[-1].hidden.neuron)
    for layer, snapshot in alone.snapshot().items():
        assert np.array_equal(shot.snapshot[layer].weights, snapshot.weights)
        assert np.array_equal(shot.snapshot[layer].conductance, snapshot.conductance)


def test_what_has_not_changed_stays_the_same_object(runner: Runner) -> None:
    before = runner.latest
    runner.start()
    until(lambda: trial(runner) > 10)
    after = runner.latest
    assert after.config is before.config
    assert after.snapshot is before.snapshot
    assert after.look is before.look
    assert after.record is not before.record


def test_while_training_trials_are_told_of_no_faster_than_can_be_shown(runner: Runner) -> None:
    runner.start()
    until(lambda: trial(runner) > 1)
    version, first, began = runner.latest.version, trial(runner), time.monotonic()
    time.sleep(1.0)
    told, done, seconds = runner.latest.version - version, trial(runner) - first, time.monotonic() - began
    assert told <= 1.0 + seconds / post.SPACING
    assert done > 0


def test_an_answer_is_called_out_once_and_shows_what_was_asked(runner: Runner) -> None:
    seen = []
    runner.answered = lambda: seen.append(runner.latest.config_version)
    runner.start()
    until(lambda: trial(runner) > 5)
    changed = TINY.with_values({"network.threshold": 0.3})
    runner.configure(changed, 7)
    until(lambda: seen)
    reached = trial(runner)
    until(lambda: trial(runner) > reached + 5)
    assert seen == [7]
    assert runner.latest.config == changed


def test_a_failure_comes_back_as_it_was_raised_and_is_one_notice(runner: Runner) -> None:
    with pytest.raises(FieldError, match=r"^cell.pre: must be a neuron from 0 to 9, got 99$") as raised:
        runner.ask(methodcaller("pick_cell", "input", 99, 0)).result(20.0)
    assert (raised.value.field, raised.value.got) == ("cell.pre", 99)
    until(lambda: runner.notices)
    assert list(runner.notices) == [str(raised.value)]


class DemandingError(Exception):
    """One that cannot be put together again from its text, as many libraries have."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} and {second}")


def demand(trainer: Trainer) -> None:
    """Fail as such a library does."""
    raise DemandingError("this", "that")


def test_a_failure_that_cannot_travel_comes_back_in_words_and_the_page_hears_on(runner: Runner) -> None:
    with pytest.raises(PCMLabError, match="^DemandingError: this and that$"):
        runner.ask(demand).result(20.0)
    runner.step()
    until(lambda: trial(runner) == 1)
    assert list(runner.notices) == ["DemandingError: this and that"]


@pytest.mark.parametrize(
    "error",
    [
        FieldError("a.b", ">= 0", -1),
        UnknownNameError("scheme", "sing", ["sign", "float32"]),
        FileError("x.yaml", "is missing"),
        RestartRequiredError(["seed"]),
        PCMLabError("something"),
    ],
)
def test_errors_travel_between_processes(error: PCMLabError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.__dict__) == (type(error), str(error), error.__dict__)


def test_configurations_travel_between_processes() -> None:
    config = TINY.with_values({"device.constants.write_noise": 0.5, "scheme": "sign"})
    again = pickle.loads(pickle.dumps(config))
    assert again == config
    with pytest.raises(TypeError):
        again.device.constants["write_noise"] = 1.0


def test_a_worker_that_is_killed_is_told_of_and_harms_no_other(runner: Runner) -> None:
    other = Runner(TINY)
    try:
        runner.start()
        other.start()
        until(lambda: trial(runner) > 3 and trial(other) > 3)
        waiting = runner.ask(methodcaller("fast_forward", 1.0))
        os.kill(runner._process.pid, signal.SIGKILL)
        until(lambda: runner.notices)
        assert runner.notices.popleft() == module.GONE.format(" (exit code -9)")
        assert not runner.latest.running
        assert waiting.done()
        reached = trial(other)
        until(lambda: trial(other) > reached + 5)
        assert not other.notices
    finally:
        other.stop(timeout=20.0)


def test_after_a_worker_has_gone_wishes_are_answered_in_words_and_a_reset_begins_another(runner: Runner) -> None:
    runner.step()
    until(lambda: trial(runner) == 1)
    os.kill(runner._process.pid, signal.SIGKILL)
    until(lambda: not runner.alive)
    runner.notices.clear()
    runner.ask_snapshot()
    assert not runner.notices
    runner.start()
    assert list(runner.notices) == [module.GONE.format("")]
    with pytest.raises(PCMLabError, match="worker has ended"):
        runner.ask(methodcaller("pair", "drift")).result(20.0)
    runner.notices.clear()
    run = runner.latest.run
    runner.reset(TINY.with_values({"seed": 8}), 4)
    until(lambda: runner.latest.config_version == 4)
    assert (runner.latest.config.seed, trial(runner), runner.alive) == (8, 0, True)
    assert runner.latest.run > run
    runner.start()
    until(lambda: trial(runner) > 3)
    assert not runner.notices


def test_the_speed_limit_outlives_a_worker(runner: Runner) -> None:
    runner.limit(20.0)
    os.kill(runner._process.pid, signal.SIGKILL)
    until(lambda: not runner.alive)
    runner.reset(TINY, 1)
    until(lambda: runner.latest.config_version == 1)
    runner.start()
    until(lambda: trial(runner) >= 1)
    began, first = time.monotonic(), trial(runner)
    until(lambda: trial(runner) >= first + 10)
    assert time.monotonic() - began > 0.8 * 10 / 20


def test_stopping_waits_for_no_trial_and_leaves_neither_process_nor_thread() -> None:
    before = threading.active_count()
    runner = Runner(TINY.with_values({"task.duration": 20.0, "network.hidden": 500}))
    pid, began = runner._process.pid, time.monotonic()
    runner.stop(timeout=0.0)
    assert time.monotonic() - began < 1.0
    until(lambda: not psutil.pid_exists(pid))
    until(lambda: threading.active_count() <= before)
    runner.stop(timeout=20.0)
    assert not runner.notices


def test_a_runner_that_nobody_holds_ends_its_process_and_leaves_no_file() -> None:
    runner = Runner(TINY)
    pid, path = runner._process.pid, runner.path()
    path.write_bytes(b"x")
    runner.ask(methodcaller("pause", 0.0)).result(20.0)
    del runner
    until(lambda: not psutil.pid_exists(pid))
    assert not path.parent.exists()


def hurry(trainer: Trainer, path: Path) -> None:
    """Be in the middle of a file when the page is closed."""
    with path.open("wb") as file:
        file.write(b"half")
        file.flush()
        time.sleep(60.0)


@pytest.mark.parametrize("killed_before", [False, True])
def test_a_runner_that_stops_in_the_middle_of_a_file_leaves_none(killed_before: bool) -> None:
    runner = Runner(TINY)
    path = runner.path()
    assert runner.path() != path
    runner.ask(partial(hurry, path=path))
    until(path.exists)
    if killed_before:
        os.kill(runner._process.pid, signal.SIGKILL)
        until(lambda: not runner.alive)
        assert path.exists()
    runner.stop(timeout=0.0)
    until(lambda: not path.parent.exists())


def test_whatever_ends_the_program_ends_its_processes() -> None:
    code = (
        "import time; from app.reference import reference; from app.runner import Runner\n"
        "from training.config import RunConfig\n"
        "runner = Runner(RunConfig()); runner.start()\n"
        "found = reference(RunConfig()); found.keep_ahead(3000)\n"
        "while found.done < 3 or runner.latest.record is None: time.sleep(0.01)\n"
        "print('ready', flush=True); time.sleep(60)\n"
    )
    program = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert program.stdout.readline() == "ready\n"
    others = psutil.Process(program.pid).children(recursive=True)
    assert len(others) >= 3
    program.kill()
    _, alive = psutil.wait_procs(others, timeout=20.0)
    assert not alive
    program.communicate()


def test_a_program_without_a_guard_can_use_it(tmp_path) -> None:
    (tmp_path / "script.py").write_text(
        "import time; from app.runner import Runner; from training.config import RunConfig\n"
        "print('once', flush=True); runner = Runner(RunConfig())\n"
        "while runner.latest.record is None: time.sleep(0.01)\n"
    )
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": os.getcwd()}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "once\n", "")


def test_no_process_is_left_of_those_that_ended() -> None:
    assert not [child for child in multiprocessing.active_children() if child.name == module.NAME]


def test_a_runner_that_waits_has_no_process_until_it_begins_and_then_does_what_was_asked() -> None:
    runner = Runner(TINY, waits=True)
    try:
        runner.step()
        runner.reset(TINY.with_values({"seed": 8}), 1)
        assert not runner.alive
        assert runner.latest.record is None
        runner.begin()
        runner.begin()
        until(lambda: runner.latest.config_version == 1 and runner.latest.record is not None)
        assert runner.latest.config.seed == 8
    finally:
        runner.stop(timeout=60.0)


def test_a_runner_that_was_stopped_before_it_began_never_begins() -> None:
    runner = Runner(TINY, waits=True)
    folder = runner.folder
    runner.stop()
    assert not folder.exists()
    runner.begin()
    assert not runner.alive
