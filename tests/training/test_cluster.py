"""A Dask cluster of real processes: a scheduler, and two workers that are killed."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from pcmsim.errors import PCMLabError
from training import cluster, sweep
from training.config import RunConfig
from training.jobs import Job, perform
from training.loading import configuration
from training.store import MOMENT, Store
from training.sweep import Sweep
from training.workers import UnfitWorkerError, performed, pool

SMALL = RunConfig().with_values({"network.hidden": 10, "task": {"name": "pattern", "inputs": 10, "duration": 0.1}})
JOBS = [Job(dataclasses.replace(SMALL, seed=seed), trials=60, every=20) for seed in range(8)]
KILLS = 2


class Cluster:
    """Scheduler and workers, each a process of its own, begun by Dask's own two commands."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._processes = folder, []
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self.scheduler = self._begin(["scheduler", "--host", "127.0.0.1", "--port", "0"], environment)
        self.address = self._announced(r"tcp://127\.0\.0\.1:\d+")
        self._begin(
            ["worker", self.address, "--nworkers", "2", "--nthreads", "1", "--local-directory", str(folder)],
            environment,
        )

    def _begin(self, arguments: list[str], environment: dict[str, str]) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "distributed.cli.dask_" + arguments[0], *arguments[1:], "--no-dashboard"]
        log = (self._folder / f"{arguments[0]}.log").open("w")
        process = subprocess.Popen(command, stderr=log, stdout=log, text=True, env=environment)
        log.close()
        self._processes.append(process)
        return process

    def _announced(self, pattern: str) -> str:
        log = self._folder / "scheduler.log"
        while (found := re.search(pattern, log.read_text())) is None:
            assert self.scheduler.poll() is None, log.read_text()
        return found[0]

    def end(self) -> None:
        for process in reversed(self._processes):
            process.terminate()
            process.wait()


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    made = Cluster(tmp_path_factory.mktemp("dask"))
    yield made
    made.end()


def held(store: Store) -> pd.DataFrame:
    return store.runs().drop(columns=list(MOMENT)).merge(store.curves(), on="key")


def test_killed_dask_workers_cost_no_run_and_repeat_none(running, tmp_path):
    store, undisturbed, seen = Store(tmp_path / "killed"), Store(tmp_path / "undisturbed"), []
    with pool(scheduler=running.address) as workers:
        for number, outcome in enumerate(performed(JOBS, store, workers)):
            seen.append(outcome.job.key)
            if number in range(1, 1 + KILLS):
                os.kill(workers.submit(os.getpid).result(), signal.SIGKILL)
    for job in JOBS:
        undisturbed.add(perform(job))
    assert sorted(seen) == sorted(job.key for job in JOBS)
    pd.testing.assert_frame_equal(held(store), held(undisturbed), check_exact=True)


def test_a_run_that_cannot_be_made_says_so_from_afar(running):
    with pool(scheduler=running.address) as workers, pytest.raises(PCMLabError, match="unknown preset 'best'"):
        workers.submit(configuration, "best").result()


def test_a_sweep_on_a_cluster_runs_inside_an_event_loop_as_in_a_notebook(running, tmp_path):
    store = Store(tmp_path)
    small = {"network.hidden": 10, "task": {"name": "pattern", "inputs": 10, "duration": 0.1}}
    asked = Sweep(set=small, seeds=(1, 2), trials=2, every=1)

    async def cell():
        with pool(scheduler=running.address) as workers:
            return [outcome.job.key for outcome in sweep.run(asked, store, workers)]

    assert set(asyncio.run(cell())) == store.keys() == {job.key for job in asked.jobs()}


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("127.0.0.1:1", "cannot be reached"),
        ("127.0.0.1:abc", "cannot be reached .invalid literal"),
        ("foo://x", "cannot be reached .unknown address scheme 'foo'"),
        ("", "cannot be reached .missing port number"),
    ],
)
def test_a_scheduler_that_is_none_is_named(address, reason, monkeypatch):
    monkeypatch.setattr(cluster, "PATIENCE", 0.5)
    with pytest.raises(PCMLabError, match=f"scheduler {address}: {reason}"), pool(scheduler=address):
        pass


def test_a_scheduler_that_goes_is_named_and_what_is_finished_stays(running, tmp_path, monkeypatch):
    """The last test: it ends the scheduler."""
    monkeypatch.setattr(cluster, "PATIENCE", 2.0)
    store = Store(tmp_path)
    with pool(scheduler=running.address) as workers:
        done = performed(JOBS, store, workers)
        first = next(done)
        running.scheduler.kill()
        with pytest.raises(UnfitWorkerError, match="has gone; what is finished is kept"):
            list(done)
    assert first.job in store
