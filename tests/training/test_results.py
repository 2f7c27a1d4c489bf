"""A run's folder: lines before the checkpoint, no line lost, one writer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_kit import call

from pcmsim.errors import FileError
from training.config import RunConfig
from training.files.interval import Interval
from training.files.tables import Table
from training.results import CHECKPOINT, TRIALS, RunFolder
from training.session import Session
from training.support.locks import alone
from training.writing import clear_leftovers, replacing

TINY = RunConfig().with_values({"network.hidden": 6, "task": {"name": "pattern", "inputs": 6, "duration": 0.05}})


def trained(folder: Path, trials: int) -> Session:
    """A run of so many trials in its folder."""
    session = Session(TINY)
    with RunFolder(folder) as kept:
        kept.begin(session)
        for record in session.run(trials):
            kept.note(record)
        kept.keep(session)
    return session


def taken_up(folder: Path) -> list[dict[str, str]]:
    session = Session.resume(folder / CHECKPOINT)
    with RunFolder(folder) as kept:
        return list(kept.take_up(session))


def test_lines_after_the_checkpoint_and_a_torn_one_are_cut_off(tmp_path: Path) -> None:
    trained(tmp_path, 5)
    before = (tmp_path / TRIALS).read_bytes()
    later = before.splitlines(keepends=True)[-1].replace(b"4,", b"5,", 1)
    (tmp_path / TRIALS).write_bytes(before + later + b'6,3,"0.\xc3')
    assert [row["trial"] for row in taken_up(tmp_path)] == ["0", "1", "2", "3", "4"]
    assert (tmp_path / TRIALS).read_bytes() == before


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda lines: lines[:4], "lacks trials that the checkpoint has; expected all up to 4, got 2 as the last"),
        (lambda lines: [*lines[:3], *lines[4:]], "expected all up to 4, got 3 where 2 was due"),
        (lambda lines: lines[:1], "expected all up to 4, got none"),
        (lambda lines: [], "expected all up to 4, got none"),
        (lambda lines: [*lines[:3], b"2,1\n", *lines[4:]], "is damaged in line 4; expected 16 values"),
        (lambda lines: [*lines[:3], b"x" + lines[3], *lines[4:]], "is damaged in line 4; expected 16 values"),
        (lambda lines: [b"a,b\n", *lines[1:]], "is not a table of trials; expected the columns trial, sample"),
    ],
    ids=["end", "middle", "all", "empty", "short line", "no number", "another table"],
)
def test_a_table_that_lacks_trials_of_the_checkpoint_is_refused_and_left_as_it_is(tmp_path, damage, text) -> None:
    trained(tmp_path, 5)
    left = b"".join(damage((tmp_path / TRIALS).read_bytes().splitlines(keepends=True)))
    (tmp_path / TRIALS).write_bytes(left)
    with pytest.raises(FileError, match=text):
        taken_up(tmp_path)
    assert (tmp_path / TRIALS).read_bytes() == left


def test_the_command_says_so_in_one_line(tmp_path, capsys) -> None:
    trained(tmp_path, 5)
    lines = (tmp_path / TRIALS).read_bytes().splitlines(keepends=True)
    (tmp_path / TRIALS).write_bytes(b"".join(lines[:3]))
    code, out, err = call(capsys, "resume", tmp_path, "--trials", 1, "--quiet")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "trials.csv: lacks trials that the checkpoint has; expected all up to 4, got 1 as the last" in err


def test_a_checkpoint_of_elsewhere_goes_on_in_a_folder_of_its_own(tmp_path, capsys) -> None:
    trained(tmp_path / "one", 3)
    arguments = ["--trials", 2, "--out", tmp_path / "two", "--quiet"]
    assert call(capsys, "resume", tmp_path / "one", *arguments)[0] == 0
    assert [row["trial"] for row in taken_up(tmp_path / "two")] == ["3", "4"]


def test_until_counts_all_trials(tmp_path, capsys) -> None:
    trained(tmp_path, 3)
    for _ in range(2):
        assert call(capsys, "resume", tmp_path, "--until", 5, "--quiet")[0] == 0
        assert len(taken_up(tmp_path)) == Session.resume(tmp_path / CHECKPOINT).trial == 5


def test_an_interval_is_of_seconds_and_of_trials(tmp_path) -> None:
    assert not RunFolder(tmp_path, Interval(seconds=1e9)).due(10**9)
    assert RunFolder(tmp_path, Interval(seconds=0.0)).due(0)
    every_third = RunFolder(tmp_path, Interval(seconds=1e9, trials=3))
    assert [every_third.due(trial) for trial in range(5)] == [False, False, False, True, True]


@pytest.mark.parametrize("option", ["--checkpoint-seconds", "--checkpoint-trials"])
@pytest.mark.parametrize("value", ["-1", "nan", "soon"])
def test_a_bad_interval_is_refused_in_one_line(tmp_path, capsys, option, value) -> None:
    code, out, err = call(capsys, "run", "sign", "--out", tmp_path, f"{option}={value}")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "must be a" in err and f"got '{value}'" in err


HOLD = """
import sys, time
from pathlib import Path
from training.support.locks import alone
with alone(Path(sys.argv[1])):
    print("mine", flush=True)
    time.sleep(600)
"""


def test_a_second_run_into_a_folder_is_refused_until_the_first_is_dead(tmp_path, capsys) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "mine\n"
        code, out, err = call(capsys, "run", "sign", "--trials", 1, "--out", tmp_path, "--quiet")
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert "is being written by another run; expected a place of its own" in err
        holder.kill()
    assert (tmp_path / ".lock").exists()
    trained(tmp_path, 1)
    assert not (tmp_path / ".lock").exists()


def test_a_lock_is_beside_a_file_and_may_not_be_had_where_nothing_can_be_written(tmp_path) -> None:
    with alone(tmp_path / "table.csv"):
        assert os.listdir(tmp_path) == [".table.csv.lock"]
        with (
            pytest.raises(FileError, match="table.csv: is being written by another run"),
            alone(tmp_path / "table.csv"),
        ):
            pass
    assert os.listdir(tmp_path) == []
    with pytest.raises(FileError, match="cannot be written .No such file or directory"), alone(tmp_path / "no" / "t"):
        pass


def test_what_a_killed_writer_left_is_cleared_and_nothing_else(tmp_path) -> None:
    (tmp_path / ".a.csv.abcd_123").mkdir()
    (tmp_path / ".a.csv.abcd_123" / "a.csv").write_text("half")
    kept = [".a.csv.lock", ".a.csv.bak", ".b.csv.abcd_123"]
    for name in kept:
        (tmp_path / name).mkdir()
    clear_leftovers(tmp_path / "a.csv")
    assert sorted(os.listdir(tmp_path)) == sorted(kept)


def test_a_file_is_on_the_disk_before_it_takes_its_place_and_its_place_after(tmp_path, monkeypatch) -> None:
    done = []
    real_fsync, real_replace = os.fsync, os.replace
    monkeypatch.setattr(
        os, "fsync", lambda handle: (done.append(os.readlink(f"/proc/self/fd/{handle}")), real_fsync(handle))
    )
    monkeypatch.setattr(os, "replace", lambda one, other: (done.append("moved"), real_replace(one, other)))
    with replacing(tmp_path / "file") as made:
        made.write_text("whole")
    assert [Path(one).name for one in done] == ["file", "moved", tmp_path.name]


def test_a_table_that_cannot_be_written_is_named(tmp_path) -> None:
    table = Table(tmp_path / "gone" / "t.csv", ["trial"])
    with pytest.raises(FileError, match="t.csv: cannot be written"):
        table.append([{"trial": 0}])
