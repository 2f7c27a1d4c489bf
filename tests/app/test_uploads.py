"""Files of a visitor: kept apart, told apart, and gone with the visitor."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from app.pages.bring import DataDialog
from app.uploads import KEPT, KINDS, Uploads
from pcmsim.errors import FieldError, PCMLabError
from training.session import Session

SPIKES = b"sample,time,channel\n0,0.01,0\n1,0.02,1\n2,0.03,0\n3,0.01,1\n"
TARGETS = b"sample,label\n0,a\n1,b\n2,a\n3,b\n"


def test_two_tables_make_a_run_that_learns_them() -> None:
    uploads = Uploads()
    config = uploads.take("csv", {"my_targets.csv": TARGETS, "spikes.csv": SPIKES})
    session = Session(config.with_values({"network.hidden": 10, "task.test": 0.0, "task.validation": 0.0}))
    labels = [record.label for record in session.run(4)]
    assert sorted(labels) == [0, 0, 1, 1]
    assert session.sampler.classes == ("a", "b")
    uploads.forget()


@pytest.mark.parametrize(
    "names", [["a.csv", "b.csv"], ["targets.csv", "labels.csv"], ["targets.csv"], ["a.csv", "b.csv", "targets.csv"]]
)
def test_tables_that_cannot_be_told_apart_are_refused(names: list[str]) -> None:
    with pytest.raises(FieldError, match="one of them with 'target' or 'label' in its name"):
        Uploads().take("csv", dict.fromkeys(names, b""))


def test_no_files_are_refused() -> None:
    with pytest.raises(FieldError, match="files: must be at least one file, got 'none'"):
        Uploads().take("mnist", {})


def test_a_name_cannot_leave_the_folder() -> None:
    uploads = Uploads()
    config = uploads.take("shd", {"../../outside.h5": b"x"})
    folder = Path(config.task.folder)
    assert [path.name for path in folder.iterdir()] == ["outside.h5"]
    uploads.forget()
    assert not folder.exists()


def test_a_few_uploads_are_kept_and_all_are_forgotten() -> None:
    uploads = Uploads()
    folders = [Path(uploads.take("mnist", {"x": b"1"}).task.folder) for _ in range(KEPT + 1)]
    assert [folder.exists() for folder in folders] == [False] + [True] * KEPT
    uploads.forget()
    assert not any(folder.exists() for folder in folders)


@pytest.mark.parametrize("kind", KINDS)
def test_files_that_are_no_data_are_refused_when_the_run_begins(kind: str) -> None:
    uploads = Uploads()
    names = ["a.csv", "targets.csv"] if kind == "csv" else ["a"]
    config = uploads.take(kind, dict.fromkeys(names, b"nonsense"))
    with pytest.raises(PCMLabError):
        Session(config)
    uploads.forget()


def test_one_file_alone_is_told_to_be_too_few() -> None:
    told: list[str] = []
    dialog = DataDialog(SimpleNamespace(warn=told.append, begin=lambda config: pytest.fail("began")))
    dialog.open()
    dialog.kind.value = "csv"
    dialog.files.param.update(value=SPIKES, filename="spikes.csv")
    dialog._train()
    assert told == ["files: must be two CSV tables, one of them with 'target' or 'label' in its name, got 'spikes.csv'"]
