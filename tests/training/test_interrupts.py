"""What ends a program: Ctrl-C, SIGTERM and SIGHUP, between trials; Ctrl-C once more, at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pcmsim.errors import PCMLabError
from training import interrupts
from training.chip.base import ChipLostError
from training.cli import main
from training.config import RunConfig
from training.interrupts import InterruptedBySignalError, asked_to_end, listening, undisturbed
from training.results import CHECKPOINT, RunFolder
from training.session import Session

TINY = RunConfig().with_values({"network.hidden": 6, "task": {"name": "pattern", "inputs": 6, "duration": 0.05}})


@pytest.fixture(autouse=True)
def usual():
    """Ctrl-C as a terminal's program takes it, whoever runs the tests."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_waits_until_what_must_not_be_disturbed_is_over(number) -> None:
    with listening() as came:
        waited = []

        def work() -> None:
            with undisturbed():
                signal.raise_signal(number)
                waited.append(asked_to_end())

        with pytest.raises(InterruptedBySignalError, match=number.name):
            work()
        assert waited == [True]
        assert came == [number]
        assert not asked_to_end()
    assert signal.getsignal(number) is signal.SIG_DFL


def test_a_signal_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with listening() as came, undisturbed():
            signal.raise_signal(signal.SIGHUP)
        assert came == []
    finally:
        signal.signal(signal.SIGHUP, before)


def test_ctrl_c_once_more_breaks_through_and_leaves_a_run_that_must_be_resumed(monkeypatch) -> None:
    monkeypatch.setattr(interrupts, "SAME_PRESS", 0.0)
    session = Session(TINY)
    session.step()

    def pressed(*arguments):
        signal.raise_signal(signal.SIGINT)
        time.sleep(0.001)
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("is never reached")

    monkeypatch.setattr(Session, "_record", pressed)
    with pytest.raises(KeyboardInterrupt):
        session.step()
    assert not session.whole
    for use in (session.step, session.fork, lambda: session.save("never")):
        with pytest.raises(PCMLabError, match="run: trial 1 was broken off; expected it resumed from its checkpoint"):
            use()


def test_ctrl_c_that_is_passed_on_twice_counts_once() -> None:
    reached = []

    def work() -> None:
        with undisturbed():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            reached.append(True)

    with pytest.raises(KeyboardInterrupt):
        work()
    assert reached == [True]


LISTENING = """import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from training.cli import main
sys.exit(main())"""
SMALL = ["--set", "network.hidden=6", "--set", "task={name: pattern, inputs: 6, duration: 0.05}", "--quiet"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)])
def test_a_run_that_is_told_to_end_keeps_all_it_did(tmp_path: Path, number, code) -> None:
    command = [sys.executable, "-c", LISTENING, "run", "sign", *SMALL, "--trials", "1000000", "--out", str(tmp_path)]
    process = subprocess.Popen([*command, "--checkpoint-trials", "1"], stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 240
    while not (tmp_path / CHECKPOINT).exists() or len((tmp_path / "trials.csv").read_bytes().splitlines()) < 3:
        assert process.poll() is None and time.monotonic() < end, process.communicate()
        time.sleep(0.02)
    os.kill(process.pid, number)
    assert process.communicate(timeout=120)[1] == ""
    assert process.returncode == code
    stopped = Session.resume(tmp_path / CHECKPOINT)
    with RunFolder(tmp_path) as folder:
        assert len(list(folder.take_up(stopped))) == stopped.trial >= 2


def test_the_lines_of_the_trials_before_are_kept_where_one_is_broken_off(tmp_path, monkeypatch) -> None:
    real = Session._record

    def lost(self, *arguments):
        if self.trial == 4:
            raise ChipLostError("chip: does not answer")
        return real(self, *arguments)

    monkeypatch.setattr(Session, "_record", lost)
    assert main(["run", "sign", *SMALL, "--trials", "9", "--out", str(tmp_path)]) == 2
    lines = (tmp_path / "trials.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines[1:]] == ["0", "1", "2", "3"]
    assert Session.resume(tmp_path / CHECKPOINT).trial == 0
