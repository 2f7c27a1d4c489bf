"""Jobs done by other processes: each once, the same wherever, whoever is killed."""

from __future__ import annotations

import dataclasses
import errno
import itertools
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor

import pandas as pd
import psutil
import pytest

from pcmsim.errors import FieldError, FileError, PCMLabError
from training import interrupts, workers
from training.config import RunConfig
from training.jobs import Job, perform, versions
from training.loading import configuration
from training.pools import LocalPool
from training.store import MOMENT, Store
from training.workers import (
    TRIES,
    FailedJobsError,
    Pool,
    UnfitWorkerError,
    WorkerDiedError,
    perform_alike,
    performed,
    pool,
)

SMALL = RunConfig().with_values({"network.hidden": 10, "task": {"name": "pattern", "inputs": 10, "duration": 0.1}})


def jobs(number: int, trials: int = 2) -> list[Job]:
    return [Job(dataclasses.replace(SMALL, seed=seed), trials, every=trials) for seed in range(number)]


def held(store: Store) -> pd.DataFrame:
    """All that is in a store, apart from what differs when a run is done again."""
    return store.runs().drop(columns=list(MOMENT)).merge(store.curves(), on="key")


class Inline(Pool):
    """Calls at once, here; the first `deaths` calls for each of some seeds end with their worker."""

    width = 2

    def __init__(self, deaths: int = 0, seeds: tuple[int, ...] = ()) -> None:
        self.left, self.calls = dict.fromkeys(seeds, deaths), []

    def submit(self, fn, /, *args, **kwargs):
        future, seed = Future(), args[0].config.seed
        self.calls.append(seed)
        if self.left.get(seed, 0) > 0:
            self.left[seed] -= 1
            future.set_exception(WorkerDiedError("a worker has ended"))
            return future
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


@pytest.fixture
def undisturbed(tmp_path):
    store = Store(tmp_path / "undisturbed")
    for job in jobs(8, trials=60):
        store.add(perform(job))
    return store


def test_killed_workers_cost_no_run_and_repeat_none(tmp_path, undisturbed):
    store, seen, pids = Store(tmp_path / "killed"), [], set()
    with pool(workers=2) as two:
        while len(pids) < 2:
            pids |= {answer.result() for answer in [two.submit(os.getpid) for _ in range(4)]}
        for outcome in performed(jobs(8, trials=60), store, two):
            seen.append(outcome.job.key)
            if pids:
                os.kill(pids.pop(), signal.SIGKILL)
        assert two.width == 2
    assert sorted(seen) == sorted(undisturbed.keys())
    pd.testing.assert_frame_equal(held(store), held(undisturbed), check_exact=True)


def test_a_pool_leaves_no_process_behind_even_at_work():
    with pool(workers=2) as two:
        pid = two.submit(os.getpid).result()
        two.submit(time.sleep, 1000)
        two.submit(time.sleep, 1000)
        began = time.monotonic()
    assert time.monotonic() - began < 30
    assert not psutil.pid_exists(pid)


ORPHANS = """
import os, signal, time
from training.workers import pool
with pool(workers=2) as two:
    print(two.submit(os.getpid).result(), flush=True)
    [two.submit(time.sleep, 1000) for _ in range(2)]
    time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_workers_end_with_a_parent_that_was_killed():
    done = subprocess.run([sys.executable, "-c", ORPHANS], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    end = time.monotonic() + 20
    while psutil.pid_exists(int(done.stdout)) and time.monotonic() < end:
        time.sleep(0.05)
    assert not psutil.pid_exists(int(done.stdout))


def test_errors_come_back_as_they_were_and_the_worker_goes_on():
    with pool(workers=1) as one:
        with pytest.raises(PCMLabError, match="unknown preset 'best'"):
            one.submit(configuration, "best").result()
        with pytest.raises((AttributeError, TypeError), match="lambda"):
            one.submit(lambda: 1).result()
        assert one.submit(max, 1, 2).result() == 2


def test_what_is_there_is_skipped(tmp_path):
    store, inline = Store(tmp_path), Inline()
    assert len(list(performed(jobs(3), store, inline))) == 3
    assert [outcome.job.config.seed for outcome in performed(jobs(5), store, inline)] == [3, 4]
    assert inline.calls == [0, 1, 2, 3, 4]


def test_jobs_are_taken_as_they_are_needed_however_many_there_are(tmp_path):
    endless, taken = (jobs(1)[0] for _ in itertools.count()), []
    counted = (
        taken.append(1) or dataclasses.replace(job, config=dataclasses.replace(SMALL, seed=len(taken)))
        for job in endless
    )
    done = performed(counted, Store(tmp_path), Inline())
    assert [next(done).job.config.seed for _ in range(3)]
    done.close()
    assert len(taken) <= 3 + 2 * Inline.width
    assert len(Store(tmp_path).keys()) == len(taken), "what has finished is kept, also where nobody asked for it"


def test_a_job_whose_worker_died_is_done_again(tmp_path):
    inline = Inline(deaths=TRIES - 1, seeds=(1,))
    assert {outcome.job.config.seed for outcome in performed(jobs(4), Store(tmp_path), inline)} == {0, 1, 2, 3}
    assert inline.calls.count(1) == TRIES


def test_a_job_that_kills_its_workers_is_given_up_and_named(tmp_path):
    inline = Inline(deaths=10**6, seeds=(1,))
    done = performed(jobs(4), Store(tmp_path), inline)
    with pytest.raises(
        FailedJobsError, match=f"1 of the runs failed; the first, {jobs(2)[1].key} .seed 1.: a worker has ended"
    ):
        list(done)
    assert inline.calls.count(1) == TRIES
    assert len(Store(tmp_path).keys()) == 3


def test_a_run_that_cannot_be_made_is_reported_after_the_others(tmp_path):
    missing = Job(SMALL.with_values({"task": {"name": "mnist", "folder": str(tmp_path / "none")}}), 2)
    done, seen = performed([missing, *jobs(2)], Store(tmp_path / "store"), Inline()), []
    with pytest.raises(FailedJobsError, match="none") as raised:
        seen += done
    assert [job for job, _ in raised.value.failures] == [missing]
    assert len(Store(tmp_path / "store").keys()) == 2


def test_a_run_that_fails_as_nobody_foresaw_takes_no_other_along(tmp_path, monkeypatch):
    real = workers.perform

    def perform_most(job, **more):
        return 1 / 0 if job.config.seed == 1 else real(job, **more)

    monkeypatch.setattr(workers, "perform", perform_most)
    done, seen = performed(jobs(4), Store(tmp_path), Inline()), []
    with pytest.raises(FailedJobsError, match=r"1 of the runs failed.*ZeroDivisionError: division by zero") as raised:
        seen += done
    assert [outcome.job.config.seed for outcome in seen] == [0, 2, 3]
    assert isinstance(raised.value.failures[0][1].__cause__, ZeroDivisionError)


def test_a_full_disk_ends_it_and_what_is_finished_is_safe(tmp_path, monkeypatch):
    store, inline = Store(tmp_path), Inline()
    done = performed(jobs(9), store, inline)
    first = next(done).job.key

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("training.store.os.replace", full)
    with pytest.raises(FileError, match="No space left on device"):
        list(done)
    monkeypatch.undo()
    kept = store.keys()
    assert first in kept
    again = {outcome.job.key for outcome in performed(jobs(9), store, inline)}
    assert again.isdisjoint(kept)
    assert again | kept == {job.key for job in jobs(9)}


def test_a_worker_with_other_versions_is_refused(tmp_path):
    with pytest.raises(UnfitWorkerError, match=r"a worker has torch .*, expected 0\.1 as here"):
        perform_alike(jobs(1)[0], {**versions(), "torch": "0.1"})


def test_no_workers_are_no_pool():
    with pytest.raises(FieldError, match="workers: must be a whole number >= 1, got 0"), pool(workers=0):
        pass


def test_a_future_that_an_interruption_left_locked_does_not_hold_up_the_end(monkeypatch):
    """Ctrl-C may come while `concurrent.futures.wait` locks them: nobody will ever open this lock again."""
    monkeypatch.setattr("training.pools.FAREWELL", 0.2)
    made = LocalPool(1)
    assert made.submit(abs, -1).result() == 1  # Its process is there by now.
    future = made.submit(time.sleep, 300)
    while not future.running():
        time.sleep(0.01)
    began = time.monotonic()
    with future._condition:
        made.shutdown(cancel_futures=True)
    assert time.monotonic() - began < 100.0


@pytest.fixture
def usual():
    """How a program in a terminal takes Ctrl-C; one in the background is deaf to it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield signal.default_int_handler
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_waits_for_what_must_not_be_disturbed(usual):
    done = []

    def interrupted():
        with interrupts.undisturbed():
            signal.raise_signal(signal.SIGINT)
            done.append("all the same")

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert done == ["all the same"]
    assert signal.getsignal(signal.SIGINT) is usual
    with interrupts.undisturbed():
        pass
    with ThreadPoolExecutor() as others:  # Only the main thread hears signals.
        others.submit(lambda: interrupts.undisturbed().__enter__()).result()
    assert signal.getsignal(signal.SIGINT) is usual
