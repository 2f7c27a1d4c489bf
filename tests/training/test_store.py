"""The run store: whole runs or none, readable by anybody, each reproducible from its row."""

from __future__ import annotations

import errno
import os
import time

import pandas as pd
import pyarrow
import pytest
from pyarrow import dataset, parquet

from pcmsim.errors import FileError, UnknownNameError
from training.config import RunConfig
from training.files import parquet_rows
from training.jobs import Job, perform
from training.store import ABANDONED, CURVE_COLUMNS, MOMENT, RUN_COLUMNS, UNFINISHED, Store, folder, row

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


def test_a_damaged_footer_and_a_row_that_is_none_are_named(store):
    path = store.folder / "runs" / f"{JOBS[0].key}.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[:-400] + bytes(392) + whole[-8:])
    with pytest.raises(FileError, match="is damaged or not a file of the run store"):
        store.runs()
    path.write_bytes(whole)
    rows = store.runs([JOBS[0].key]).to_dict("records")
    for changed in ({"config": "[" * 10_000}, {"config": "{"}, {"trials": None}):
        parquet_rows.write(path, [{**rows[0], **changed}], RUN_COLUMNS)
        with pytest.raises(FileError, match="is damaged: it holds no row of a run"):
            store.job(JOBS[0].key)
    path.write_bytes(whole)
    points = store.curves([JOBS[0].key]).to_dict("records")
    parquet_rows.write(
        store.folder / "curves" / path.name, [{**point, "sets": None} for point in points], CURVE_COLUMNS
    )
    with pytest.raises(FileError, match="is damaged: it holds no row of a run"):
        list(store.outcomes([JOBS[0]]))


@pytest.mark.parametrize("name", ["t12:30", "50%20off", "what?mode=memory", "a#b", "{x}", "s3://b", "ü 'q' \"d\""])
def test_a_store_may_have_any_name(tmp_path, outcomes, name):
    store = Store(tmp_path / name)
    store.add(outcomes[0])
    store.keep_group("first", "sweep", {}, JOBS)
    assert (tmp_path / name / "runs" / f"{JOBS[0].key}.parquet").is_file()
    assert repr(list(Store(tmp_path / name).outcomes(JOBS))) == repr(outcomes[:1])


def test_a_relative_store_with_a_colon_is_no_url(tmp_path, outcomes, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Store("t12:30").add(outcomes[0])
    assert set(Store("t12:30").curves()["key"]) == {JOBS[0].key}


def test_a_store_in_the_home_directory_is_found_there(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Store("~/runs").folder == tmp_path / "runs"
    monkeypatch.setenv("PCMLAB_STORE", "~/others")
    assert folder() == tmp_path / "others"


def test_what_does_not_exist_is_null_and_in_no_comparison(store):
    """Polars and DuckDB sort a NaN above all numbers."""
    for part, column in (("runs", "accuracy"), ("runs", "held_out_loss"), ("curves", "accuracy")):
        values = dataset.dataset(store.folder / part, format="parquet").to_table()[column]
        assert values.null_count == len(values) > 0


def test_a_store_of_an_earlier_version_with_nan_in_it_is_read_as_ever(store):
    rows = {part: getattr(store, part)() for part in ("runs", "curves")}
    for path in store.folder.glob("*/*.parquet"):
        with path.open("rb") as file:
            held = parquet.read_table(file)
        columns = [c.fill_null(float("nan")) if pyarrow.types.is_floating(c.type) else c for c in held.columns]
        parquet.write_table(pyarrow.table(columns, held.column_names), path)
    assert pd.read_parquet(store.folder / "runs", dtype_backend="pyarrow")["accuracy"].isna().sum() == 0
    for part, before in rows.items():
        pd.testing.assert_frame_equal(getattr(store, part)(), before, check_exact=True)


def test_what_a_killed_writer_leaves_stands_beside_no_run_and_goes_in_time(store, outcomes, monkeypatch):
    class KilledError(BaseException):
        pass

    def killed(path, *_):
        path.write_bytes(b"half of it")
        os.mkdir(path.parents[1] / "left")
        raise KilledError

    names = {part: sorted(p.name for p in (store.folder / part).iterdir()) for part in ("runs", "curves", "groups")}
    monkeypatch.setattr(parquet_rows, "write", killed)
    with pytest.raises(KilledError):
        store.add(outcomes[0])
    for part, before in names.items():
        assert sorted(p.name for p in (store.folder / part).iterdir()) == before
    left = store.folder / UNFINISHED / "left"
    assert Store(store.folder).keys() and left.exists()
    os.utime(left, (time.time() - 2 * ABANDONED,) * 2)
    assert Store(store.folder).keys() and not left.exists()


def test_a_store_that_is_only_read_is_left_as_it_is(store, tmp_path):
    before = sorted(store.folder.rglob("*"))
    held = Store.found(store.folder)
    assert held is not None and held.keys() == {job.key for job in JOBS}
    assert sorted(store.folder.rglob("*")) == before
    assert Store.found(tmp_path / "nothing") is None and not (tmp_path / "nothing").exists()


def test_a_store_that_refuses_says_so(store, monkeypatch):
    def refused(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("pathlib.Path.unlink", refused)
    for change in (lambda: store.remove([JOBS[0].key]), lambda: store.forget("first")):
        with pytest.raises(FileError, match="cannot be written to .Read-only file system"):
            change()
