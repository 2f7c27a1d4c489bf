"""The run store: whole runs or none, readable by anybody, each reproducible from its row."""

from __future__ import annotations

import errno
import os

import pandas as pd
import pytest

from pcmsim.errors import FileError, UnknownNameError
from training.config import RunConfig
from training.jobs import Job, perform
from training.store import MOMENT, RUN_COLUMNS, Store, row

JOBS = [Job(RunConfig().with_values({"network.hidden": 10, "seed": seed}), trials=2, every=1) for seed in (1, 2)]


@pytest.fixture(scope="module")
def outcomes():
    return [perform(job) for job in JOBS]


@pytest.fixture
def store(tmp_path, outcomes):
    store = Store(tmp_path / "runs of mine")
    for outcome in outcomes:
        store.add(outcome)
    return store


def test_pandas_reads_the_folders_as_they_are(store, outcomes):
    rows = pd.read_parquet(store.folder / "runs")
    assert list(rows.columns) == list(RUN_COLUMNS)
    assert set(rows["key"]) == {job.key for job in JOBS}
    curves = pd.read_parquet(store.folder / "curves")
    losses = curves[curves["key"] == JOBS[0].key].sort_values("trial")["loss"]
    assert list(losses) == [point.loss for point in outcomes[0].curve]


def test_a_run_is_made_again_from_its_row(store):
    again = row(perform(store.job(JOBS[1].key[:8])))
    kept = store.runs([JOBS[1].key]).iloc[0].to_dict()
    for name in RUN_COLUMNS:
        assert name in MOMENT or repr(again[name]) == repr(kept[name]), name


def test_outcomes_come_back_as_they_were(store, outcomes):
    assert repr(list(store.outcomes(JOBS))) == repr(outcomes)


def test_a_run_is_there_once_however_often_it_is_added(store, outcomes):
    store.add(outcomes[0])
    assert len(store.runs()) == 2


def test_groups_name_their_runs(store):
    group = store.keep_group("first", "sweep", {"trials": 2}, JOBS)
    assert store.group("first") == group
    assert store.groups() == ["first"]
    with pytest.raises(UnknownNameError, match="first"):
        store.group("second")
    with pytest.raises(FileError, match="plain name"):
        store.keep_group("../first", "sweep", {}, JOBS)
    with pytest.raises(FileError, match="plain name"):
        store.forget("../first")
    (store.folder / "first.json").write_text("{}")
    with pytest.raises(UnknownNameError, match=r"'\.\./first'"):
        store.group("../first")


def test_removed_runs_are_gone_with_their_curves(store):
    assert store.remove([JOBS[0].key, "nothing"]) == 1
    assert store.keys() == {JOBS[1].key}
    assert set(store.curves()["key"]) == {JOBS[1].key}
    with pytest.raises(UnknownNameError):
        store.job(JOBS[0].key)


def test_a_full_disk_is_told_and_leaves_what_was_there(store, outcomes, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = store.runs()
    monkeypatch.setattr("training.store.os.replace", full)
    with pytest.raises(FileError, match="No space left on device"):
        store.add(outcomes[0])
    monkeypatch.undo()
    pd.testing.assert_frame_equal(store.runs(), before)
    assert not [file for file in store.folder.rglob(".*")]


def test_damaged_and_foreign_files_are_named(store, tmp_path):
    path = store.folder / "runs" / f"{JOBS[0].key}.parquet"
    path.write_bytes(b"nothing")
    with pytest.raises(FileError, match=JOBS[0].key):
        store.runs()
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="cannot be written to"):
        Store(tmp_path / "file")
