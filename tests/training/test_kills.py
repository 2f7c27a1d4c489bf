"""Commands that are killed at each change of the disk: given again they go on to the bit, and nothing kept is lost."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from training.config import RunConfig
from training.files.interval import Interval
from training.files.unfinished import Unfinished
from training.jobs import Job, Run, perform
from training.results import TRIALS
from training.store import Store

TINY = RunConfig().with_values({"network.hidden": 6, "task": {"name": "pattern", "inputs": 6, "duration": 0.05}})
JOB = Job(TINY, trials=11, every=3)


def timeless(outcome) -> str:
    return repr(dataclasses.replace(outcome, seconds=0.0))


@pytest.mark.parametrize("done", range(1, 11))
def test_a_job_goes_on_from_where_it_was_kept_to_the_same_outcome(tmp_path, done) -> None:
    unfinished = Unfinished(tmp_path, Interval(seconds=1e9, trials=3))
    run = Run(JOB, unfinished)
    for _ in range(done):
        run.step()
    run.close()
    again = Run(JOB, unfinished)
    assert again.session.trial == done - done % 3
    list(again.records())
    again.close()
    assert timeless(again.outcome()) == timeless(perform(JOB))


def test_a_job_that_cannot_go_on_is_begun_anew(tmp_path) -> None:
    unfinished = Unfinished(tmp_path, Interval(seconds=0.0))
    run = Run(JOB, unfinished)
    run.step()
    run.step()
    run.close()
    (tmp_path / JOB.key / TRIALS).write_text("trial\n0\n")
    again = Run(JOB, unfinished)
    assert again.session.trial == 0
    list(again.records())
    assert timeless(again.outcome()) == timeless(perform(JOB))


def test_a_job_that_another_process_does_is_done_beside_it(tmp_path) -> None:
    unfinished = Unfinished(tmp_path, Interval(seconds=0.0))
    first = Run(JOB, unfinished)
    first.step()
    second = Run(JOB, unfinished)
    assert second.session.trial == 0
    list(second.records())
    assert timeless(second.outcome()) == timeless(perform(JOB))
    first.close()


def test_a_finished_job_leaves_nothing_under_way(tmp_path) -> None:
    store = Store(tmp_path)
    often = store.unfinished(Interval(seconds=0.0))
    outcome = perform(JOB, unfinished=often)
    assert [path.name for path in often.folder.iterdir()] == [JOB.key]
    store.add(outcome)
    assert list(often.folder.iterdir()) == []
    (often.folder / JOB.key).mkdir()  # who kept it was killed before this went
    Store(tmp_path)
    assert list(often.folder.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("case", ["run", "race", "sweep", "tune", "mismatch"])
def test_a_command_killed_at_a_change_of_the_disk_goes_on_to_the_bit(tmp_path: Path, case: str) -> None:
    script = Path(__file__).with_name("kill_nursery.py")
    paths = os.pathsep.join([str(script.parents[2]), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, str(script), str(tmp_path), case, "3"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=900, check=False, env={**os.environ, "PYTHONPATH": paths}
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["failures"] == [], done.stderr
    assert found["killed"] == found["tried"] == 3
