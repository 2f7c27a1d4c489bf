"""Jobs: the same run everywhere, named by what decides it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
from pathlib import Path

import numpy as np
import pytest

from pcmsim.errors import PCMLabError
from training.config import RunConfig
from training.jobs import METRICS, Job, perform
from training.presets import PRESETS
from training.session import Session
from training.store import Store
from training.tasks.mnist import Mnist
from training.tasks.shd import Shd
from training.tasks.table import Csv

SMALL = RunConfig().with_values({"network.hidden": 20})


def test_the_curve_is_the_mean_of_what_a_session_records_counted_from_the_end():
    outcome = perform(Job(SMALL, trials=8, every=3))
    losses = [record.loss for record in Session(SMALL).run(8)]
    assert [point.trial for point in outcome.curve] == [5, 8]
    assert [point.loss for point in outcome.curve] == pytest.approx([sum(losses[:5]) / 5, sum(losses[5:]) / 3])
    assert outcome.best == min(losses)


def test_a_job_done_twice_differs_in_its_time_alone():
    first, second = (perform(Job(SMALL, trials=4, every=2)) for _ in range(2))
    assert first.seconds != second.seconds
    same = dataclasses.replace(first, seconds=second.seconds)
    assert repr(same) == repr(second)


@pytest.mark.parametrize(
    "other",
    [
        Job(SMALL.with_values({"seed": 1}), 8, 3),
        Job(SMALL, 9, 3),
        Job(SMALL, 8, 4),
        Job(SMALL, 8, 3, "test"),
        Job(SMALL.with_values({"device.constants.read_noise": 0.0}), 8, 3),
    ],
)
def test_the_key_knows_all_that_decides_a_run(other):
    assert other.key != Job(SMALL, 8, 3).key
    assert Job(RunConfig.from_dict(SMALL.to_dict()), 8, 3).key == Job(SMALL, 8, 3).key


def assert_the_key_follows(config: RunConfig, path: Path) -> None:
    before, content = Job(config).key, path.read_bytes()
    assert Job(config).key == before
    path.write_bytes(content + b" ")
    assert Job(config).key != before
    path.write_bytes(content)
    os.utime(path, ns=(1, 1))
    assert Job(config).key == before


def test_the_key_knows_what_the_file_of_a_device_holds(tmp_path: Path) -> None:
    path = tmp_path / "dev.yaml"
    path.write_text("read_noise: 0.0")
    assert_the_key_follows(SMALL.with_values({"device.preset": str(path)}), path)


@pytest.mark.parametrize("named", ["mnist", "shd", "labelled"])
def test_the_key_knows_what_the_files_of_a_task_hold(named: str, request: pytest.FixtureRequest) -> None:
    task: Mnist | Shd | Csv = request.getfixturevalue(named)
    there = [path for path in task.files() if path.exists()]
    assert len(there) == {"mnist": 4, "shd": 2, "labelled": 2}[named]
    for path in there:
        assert_the_key_follows(
            RunConfig(task=task, device=dataclasses.replace(SMALL.device, update_interval=200)), path
        )


def test_a_run_keeps_its_key_when_its_file_changes_later(tmp_path: Path) -> None:
    path = tmp_path / "dev.yaml"
    path.write_text("read_noise: 0.0")
    job, store = Job(SMALL.with_values({"device.preset": str(path)}), trials=1), Store(tmp_path / "store")
    outcome = perform(job)
    path.write_text("read_noise: 0.25")
    store.add(outcome)
    assert job in store
    assert Job(job.config, trials=1) not in store
    assert store.key(job.key[:6]) == job.key
    assert store.job(job.key[:6]) == job


def test_keys_of_runs_without_files_are_those_of_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """As version 0.0.0 would have it, counted by the code of before."""
    monkeypatch.setattr("training.jobs.versions", lambda: {"pcmlab": "0.0.0"})
    text = json.dumps(["0.0.0", 8, 3, "none", SMALL.to_dict()], sort_keys=True, separators=(",", ":"))
    assert Job(SMALL, 8, 3).key == hashlib.sha256(text.encode()).hexdigest()[:20]


def test_who_is_told_may_end_the_run():
    told = []

    def tell(point):
        told.append(point.trial)
        raise PCMLabError("enough")

    with pytest.raises(PCMLabError, match="enough"):
        perform(Job(SMALL, trials=9, every=3), tell)
    assert told == [3]


def test_samples_held_out_judge_classifiers():
    config = PRESETS["digits"].config.with_values({"network.hidden": 20})
    outcome = perform(Job(config, trials=2, every=2, judge="validation"))
    assert 0.0 <= METRICS["held-out-accuracy"].value(outcome) <= 1.0
    assert math.isnan(METRICS["held-out-accuracy"].value(perform(Job(config, trials=2))))


@pytest.mark.parametrize(("trials", "every"), [(7, 3), (5, 30)])
def test_a_silent_networks_loss_is_the_mean_over_the_trials_of_the_loss_beside_it(trials: int, every: int) -> None:
    """Three samples of different targets come in turn: the last one alone says something else."""
    small = {"network.hidden": 10, "task": {"name": "pattern", "inputs": 10, "duration": 0.1}, "scheme": "float32"}
    config = RunConfig().with_values(small)
    found, records = perform(Job(config, trials=trials, every=every)), list(Session(config).run(trials))
    last = records[-min(every, trials) :]
    assert found.curve[-1].loss == pytest.approx(np.mean([record.loss for record in last]))
    assert found.baseline == pytest.approx(np.mean([record.baseline for record in last]))
    assert abs(found.baseline - records[-1].baseline) > 1e-3
