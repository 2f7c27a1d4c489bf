"""Bounds for paths: free until they are set, then followed through links, homes and dots."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pcmsim.errors import FieldError
from pcmsim.foundation import confinement
from pcmsim.presets import device_model, read_mapping


@pytest.fixture(autouse=True)
def _free_afterwards() -> Iterator[None]:
    yield
    confinement.release()


def test_paths_are_free_until_they_are_confined() -> None:
    confinement.check("Task.folder", "/etc/shadow")
    confinement.admit("/home")
    assert not confinement.confined()


def test_what_lies_in_an_admitted_folder_may_be_named(tmp_path: Path) -> None:
    confinement.confine(tmp_path / "a")
    confinement.admit(tmp_path / "b")
    for folder in ("a", "b"):
        confinement.check("Task.folder", str(tmp_path / folder / "data" / "spikes.csv"))
    confinement.dismiss(tmp_path / "b")
    with pytest.raises(FieldError, match=r"Task.folder: must be the path of a file that was uploaded here, got '.*/b'"):
        confinement.check("Task.folder", tmp_path / "b")


@pytest.mark.parametrize(
    "text",
    ["/etc/shadow", "~/x", "~nobody-of-that-name/x", "..", "{root}/../other", "{root}s", "{root}/link/x", "a\0b",
     "relative.csv", "//etc/shadow", "/proc/self/environ"],
)  # fmt: skip
def test_nothing_leads_out(text: str, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to("/etc")
    confinement.confine(root)
    with pytest.raises(FieldError, match="must be the path of a file that was uploaded here"):
        confinement.check("Task.folder", text.format(root=root))


def test_a_link_that_stays_inside_may_be_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    confinement.confine(tmp_path)
    confinement.check("Task.folder", tmp_path / "link")


def test_no_device_file_is_read_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (inside := tmp_path / "in").mkdir()
    for folder in (tmp_path, inside):
        (folder / "device.yaml").write_text("g_max: 20")
    confinement.confine(inside)
    assert device_model(str(inside / "device.yaml")).g_max == 20.0
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: pytest.fail("was opened"))
    for read in (read_mapping, device_model):
        with pytest.raises(FieldError, match="must be the path of a file that was uploaded here"):
            read(str(tmp_path / "device.yaml"))
