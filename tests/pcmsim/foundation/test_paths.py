"""Paths that people name."""

from __future__ import annotations

from pathlib import Path

import pytest

from pcmsim.errors import FileError
from pcmsim.foundation.paths import expanded


def test_a_tilde_is_the_home_directory_wherever_a_path_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expanded("~/runs") == expanded(Path("~/runs")) == tmp_path / "runs"
    assert expanded("runs/~") == Path("runs/~")


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("~nouser/x", "~nouser/x: begins with a home directory that is not known"),
        ("a\0b", r"a\\0b: is not a file name; expected one without null"),
    ],
)
def test_a_name_that_is_no_path_is_refused(name, problem):
    with pytest.raises(FileError, match=problem):
        expanded(name)
