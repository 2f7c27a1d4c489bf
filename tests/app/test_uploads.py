"""Files of a visitor: kept apart, told apart, and gone with the visitor."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from app_kit import until
from bokeh.document import Document
from panel.io.state import set_curdoc

from app.pages.bring import DataDialog
from app.pages.exporting import kept
from app.uploads import KINDS, LEFT_FREE, Uploads
from pcmsim.errors import FieldError, PCMLabError
from training.config import RunConfig
from training.session import Session

SPIKES = b"sample,time,channel\n0,0.01,0\n1,0.02,1\n2,0.03,0\n3,0.01,1\n"
TARGETS = b"sample,label\n0,a\n1,b\n2,a\n3,b\n"


@pytest.fixture
def uploads(tmp_path: Path) -> Uploads:
    return Uploads(tmp_path)


def test_two_tables_make_a_run_that_learns_them(uploads: Uploads) -> None:
    config = uploads.take("csv", {"my_targets.csv": TARGETS, "spikes.csv": SPIKES})
    session = Session(config.with_values({"network.hidden": 10, "task.test": 0.0, "task.validation": 0.0}))
    labels = [record.label for record in session.run(4)]
    assert sorted(labels) == [0, 0, 1, 1]
    assert session.sampler.classes == ("a", "b")


@pytest.mark.parametrize(
    "names", [["a.csv", "b.csv"], ["targets.csv", "labels.csv"], ["targets.csv"], ["a.csv", "b.csv", "targets.csv"]]
)
def test_tables_that_cannot_be_told_apart_are_refused(names: list[str], uploads: Uploads, tmp_path: Path) -> None:
    with pytest.raises(FieldError, match="one of them with 'target' or 'label' in its name"):
        uploads.take("csv", dict.fromkeys(names, b""))
    assert list(tmp_path.iterdir()) == []


def test_no_files_are_refused(uploads: Uploads) -> None:
    with pytest.raises(FieldError, match="files: must be at least one file, got 'none'"):
        uploads.take("mnist", {})


def test_the_disk_is_not_filled(uploads: Uploads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.uploads.shutil.disk_usage", lambda folder: SimpleNamespace(free=LEFT_FREE + 10))
    with pytest.raises(PCMLabError, match=r"^upload: the disk of this server has no room for 0\.0 MB more$"):
        uploads.take("csv", {"my_targets.csv": TARGETS, "spikes.csv": SPIKES})
    with pytest.raises(PCMLabError, match="has no room for 3.0 MB more"):
        kept(tmp_path / "run", bytes(3_000_000))
    assert list(tmp_path.iterdir()) == []


def test_a_name_cannot_leave_the_folder(uploads: Uploads, tmp_path: Path) -> None:
    config = uploads.take("shd", {"../../outside.h5": b"x"})
    folder = Path(config.task.folder)
    assert folder.parent == tmp_path
    assert [path.name for path in folder.iterdir()] == ["outside.h5"]


def test_files_stay_as_long_as_a_run_is_used_that_names_them(uploads: Uploads, tmp_path: Path) -> None:
    tables = {"spikes.csv": SPIKES, "targets.csv": TARGETS}
    good = uploads.take("csv", tables)
    for _ in range(3):
        bad = uploads.take("mnist", {"x": b"1"}, (good,))
    (tmp_path / "17").write_bytes(b"a checkpoint on its way")
    assert {path.name for path in tmp_path.iterdir()} == {
        "17", Path(good.task.spikes).parent.name, Path(bad.task.folder).name
    }  # fmt: skip
    Session(good)
    latest = uploads.take("csv", tables, (bad, RunConfig()))
    assert not Path(good.task.spikes).exists()
    assert Path(bad.task.folder).exists()
    Session(latest)


@pytest.mark.parametrize("kind", KINDS)
def test_files_that_are_no_data_are_refused_when_the_run_begins(kind: str, uploads: Uploads) -> None:
    names = ["a.csv", "targets.csv"] if kind == "csv" else ["a"]
    config = uploads.take(kind, dict.fromkeys(names, b"nonsense"))
    with pytest.raises(PCMLabError):
        Session(config)


class Bench:
    """The dialog, what it does to the page, and the session's document."""

    def __init__(self, folder: Path) -> None:
        self.document, self.told, self.begun = Document(), [], []
        page = SimpleNamespace(warn=self.told.append, begin=self.begun.append, configs=lambda: self.begun[-1:])
        self.dialog = DataDialog(page, folder)
        self.dialog.open()
        self.dialog.kind.value = "csv"

    def bring(self, **files: bytes) -> None:
        names = [f"{name}.csv" for name in files]
        self.dialog.files.param.update(value=[*files.values()], filename=names)
        with set_curdoc(self.document):
            self.dialog.train.clicks += 1
        assert self.dialog.train.disabled
        until(lambda: self.document.session_callbacks)
        self.document.session_callbacks[0].callback()
        assert not self.dialog.train.disabled


def test_one_file_alone_is_told_to_be_too_few_and_stays_chosen(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.bring(spikes=SPIKES)
    expected = "two CSV tables, one of them with 'target' or 'label' in its name"
    assert bench.told == [f"files: must be {expected}, got 'spikes.csv'"]
    assert bench.dialog.view.open
    assert bench.dialog.files.value
    assert bench.begun == []


def test_what_was_brought_is_written_where_no_page_waits_and_then_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads, write = [], Path.write_bytes
    monkeypatch.setattr(Path, "write_bytes", lambda *what: threads.append(threading.current_thread()) or write(*what))
    bench = Bench(tmp_path)
    bench.bring(spikes=SPIKES, targets=TARGETS)
    assert len(threads) == 2
    assert threading.current_thread() not in threads
    assert (bench.told, bench.dialog.view.open, bench.dialog.files.value) == ([], False, None)
    Session(bench.begun[0])
