"""What a process puts aside goes with it; what a killed one left, its files and its workers, goes by itself or is found."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from app.run import folders

BUSY = """
import sys, time
from app.racer import Racer
from app.reference import _submit, keep
from app.run.folders import own_folder
from app.runner import Runner
from training.config import RunConfig
from training.pools import LocalPool
from training.race import Race, entrants

runner, racer, pool = Runner(RunConfig()), Racer(), LocalPool(1)
runner.start()
runner.path().write_text("a file of the session")
racer.begin(Race(entrants(["sign"]), seeds=(1,), trials=20_000))
_submit(keep, ())
call = pool.submit(time.sleep, 1000.0)
while runner.latest.record is None or racer.latest.done < 1 or not call.running():
    time.sleep(0.1)
print(own_folder(), flush=True)
time.sleep(1000.0)
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where files are put aside in these tests."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folders.own_folder.cache_clear()
    yield tmp_path
    folders.own_folder.cache_clear()


@pytest.fixture
def busy(place: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A program that trains in all the ways that a server does, and its folder."""
    program = subprocess.Popen(
        [sys.executable, "-c", BUSY], stdout=subprocess.PIPE, text=True, env={**os.environ, "PCMLAB_STORE": str(place)}
    )
    assert program.stdout is not None
    yield program, Path(program.stdout.readline().strip())
    program.kill()
    program.wait()
    program.stdout.close()


def test_a_killed_program_takes_its_workers_along_and_the_next_one_removes_its_files(
    busy: tuple[subprocess.Popen[str], Path], place: Path
) -> None:
    program, folder = busy
    workers = psutil.Process(program.pid).children(recursive=True)
    assert len(workers) >= 5  # A run, a race, a pool, a reference, and the one that they are forked from.
    folders.remove_left()
    assert list(folder.glob("session-*/*"))  # It lives.
    program.send_signal(signal.SIGKILL)
    program.wait()
    _, alive = psutil.wait_procs(workers, timeout=30.0)
    assert alive == []
    assert list(folder.glob("session-*/*"))
    own = folders.own_folder()
    assert [path.name for path in place.glob(f"{folders.PREFIX}*")] == [own.name]


def test_a_program_that_ends_leaves_nothing(place: Path) -> None:
    code = "from app.run.folders import session_folder; (session_folder() / 'file').write_text('x')"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert list(place.iterdir()) == []


def test_a_program_whose_workers_have_files_there_ends_without_a_complaint(place: Path) -> None:
    code = (
        "import tempfile; from app.run.folders import own_folder; tempfile.tempdir = str(own_folder()); "
        "from multiprocessing.util import get_temp_dir; get_temp_dir()"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stderr == ""
    assert list(place.iterdir()) == []


def test_only_folders_of_dead_processes_of_ones_own_are_removed(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    others = {name: place / name for name in ("pcmlab-without-a-lock", "another-program", "pcmlab-left")}
    for folder in others.values():
        folder.mkdir()
    (others["another-program"] / folders.LOCK).touch()
    (others["pcmlab-left"] / folders.LOCK).touch()
    (place / "pcmlab-link").symlink_to(others["another-program"])
    monkeypatch.setattr(os, "getuid", lambda: 1 + os.stat(place).st_uid)
    folders.remove_left()
    assert others["pcmlab-left"].exists()  # It is another person's.
    monkeypatch.undo()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    folders.remove_left()
    assert {path.name for path in place.iterdir()} == {"pcmlab-without-a-lock", "another-program", "pcmlab-link"}


def test_a_folder_that_the_system_has_cleaned_away_is_made_again(place: Path) -> None:
    folders.own_folder().joinpath(folders.LOCK).unlink()
    folders.own_folder().rmdir()
    assert folders.session_folder().is_dir()


NURSERY = """
import os, signal, time
from multiprocessing import forkserver

import psutil
from app.runner import Runner
from training.config import RunConfig

def until(condition):
    end = time.monotonic() + 60.0
    while not condition():
        assert time.monotonic() < end, condition
        time.sleep(0.05)

def trial(runner):
    return -1 if runner.latest.record is None else runner.latest.record.trial

first = Runner(RunConfig())
first.start()
until(lambda: trial(first) > 2)
os.kill(forkserver._forkserver._forkserver_pid, signal.SIGKILL)
assert first._process._process.exitcode in (None, 255)
time.sleep(0.5)
assert first._process._process.exitcode == 255  # Held for dead.
before = trial(first)
until(lambda: trial(first) > before + 2)
second = Runner(RunConfig())
second.start()
until(lambda: trial(second) > 2)
assert not first.notices
workers = [psutil.Process(runner._process.pid) for runner in (first, second)]
for runner in (first, second):
    runner.stop()
assert psutil.wait_procs(workers, timeout=20.0)[1] == []
until(lambda: not first.folder.exists() and not second.folder.exists())
"""


def test_runs_outlive_the_process_that_they_were_forked_from_and_still_end_when_they_are_told_to(place: Path) -> None:
    done = subprocess.run([sys.executable, "-c", NURSERY], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
