"""Processes that work for another one end when they are told to, whatever became of the one they were forked from."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import os, signal, time
from multiprocessing import forkserver

import psutil
from training.processes import Helper

helper = Helper(time.sleep, (1000.0,), "sleeper")
known = psutil.Process(helper.pid)
assert helper.exit_code is None
if {orphaned}:
    os.kill(forkserver._forkserver._forkserver_pid, signal.SIGKILL)
    while helper.exit_code is None:
        time.sleep(0.01)
    assert helper.exit_code == 255
    assert known.status() != psutil.STATUS_ZOMBIE  # Held for dead, and yet it lives.
helper.{end}()
helper.join()
assert not known.is_running() or known.status() == psutil.STATUS_ZOMBIE
assert helper.exit_code == (255 if {orphaned} else -signal.{signal})
helper.terminate()
helper.kill()
helper.join()
"""


@pytest.mark.parametrize("orphaned", [True, False])
@pytest.mark.parametrize(("end", "signal"), [("terminate", "SIGTERM"), ("kill", "SIGKILL")])
def test_a_process_ends_when_it_is_told_to(orphaned: bool, end: str, signal: str) -> None:
    program = PROGRAM.format(orphaned=orphaned, end=end, signal=signal)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
