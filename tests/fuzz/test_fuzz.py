"""No input ends in a traceback, takes more than 10 s, or more than 1 GB: it is taken, or refused in a sentence.

The seeds are fixed. ``PCMLAB_FUZZ=1`` gives every subject its whole number of inputs: 10 000 settings, configurations,
sweeps and devices, 3000 addresses, 1000 of each kind of table, file and message. Without it, a small share of them.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

RUNNER = Path(__file__).with_name("runner.py")
SHARE = float(os.environ.get("PCMLAB_FUZZ", "0.02"))

NUMBERS = {
    "settings": 4000, "configurations": 2000, "sweeps": 2000, "devices": 1500, "ranges": 500, "tables": 1000,
    "addresses": 3000, "checkpoints": 1000, "shd": 1000, "idx": 1000, "nir": 1000, "messages": 1000, "logs": 1000,
    "store": 1000,
}  # fmt: skip


SECONDS = 10.0
"""Of processor time for one input."""

Runner = subprocess.Popen[str]


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    with subprocess.Popen(
        [sys.executable, str(RUNNER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        yield process
        process.stdin.close()


def outcomes(runner: Runner, name: str, number: int, seconds: float = SECONDS) -> Iterator[tuple[int, str, str]]:
    """Seed, what it came to, and what was said, of each input; a process that dies is followed by another one."""
    first = 0
    while first < number:
        runner.stdin.write(f"{name} {first} {number} {seconds}\n")
        runner.stdin.flush()
        begun = None
        for line in map(json.loads, runner.stdout):
            if "ended" in line:
                break
            if "came" in line:
                yield line["seed"], line["came"], line["said"]
                first = line["seed"] + 1
            begun = None if "came" in line else line["seed"]
        if begun is not None:
            yield begun, "found", f"ended the process with {line['ended']}"
            first = begun + 1
        assert begun is not None or line.get("ended") == 0, f"{name} ended between two inputs: {line}"


def test_every_subject_is_named() -> None:
    code = f"import runner; assert {{n: s.number for n, s in runner.SUBJECTS.items() if s.number}} == {NUMBERS}"
    subprocess.run([sys.executable, "-c", code], cwd=RUNNER.parent, check=True)


FAULTS = {
    "traceback": "ended in a traceback: .*KeyError: 'missing'",
    "endless": "took more than 1 s",
    "large": "took 1[0-9]{9} bytes",
    "deadly": "ended the process with -11",
    "wordy": "too long a message",
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_runner_tells_what_goes_wrong_and_goes_on(name: str, runner: Runner) -> None:
    came = list(outcomes(runner, name, 4, seconds=1.0))
    assert [seed for seed, _, _ in came] == [0, 1, 2, 3]
    found = [said for _, outcome, said in came if outcome == "found"]
    assert found
    assert all(re.match(FAULTS[name], said, re.DOTALL) for said in found), found


@pytest.mark.parametrize("name", NUMBERS)
def test_no_input_breaks_the_product(name: str, runner: Runner) -> None:
    number = max(10, round(SHARE * NUMBERS[name]))
    came: Counter[str] = Counter()
    findings = []
    for seed, outcome, said in outcomes(runner, name, number):
        came[outcome] += 1
        if outcome == "found":
            findings.append(f"{name} {seed}: {said}")
    print(f"{name}: {dict(came)}")
    assert sum(came.values()) == number
    assert not findings, "\n".join(findings)
    assert came["refused"] and (came["taken"] or SHARE < 0.1), came
