"""What the command line writes reaches any terminal, and a full disk is told."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

COMMAND = (sys.executable, "-m", "training.cli")


def test_a_terminal_that_knows_ascii_alone_shows_every_command() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([*COMMAND, "presets"], capture_output=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.isascii()
    failed = subprocess.run([*COMMAND, "run", "µ"], capture_output=True, env=environment, check=False)
    assert failed.returncode == 2
    assert failed.stderr.startswith(b"pcmlab: unknown preset '\\xb5'")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_full_disk_is_told_in_a_line() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run([*COMMAND, "presets"], stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 2
    assert done.stderr == b"pcmlab: output: cannot be read or written (No space left on device)\n"
