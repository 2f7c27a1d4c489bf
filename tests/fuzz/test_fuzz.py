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


def outcomes(name: str, first: int, last: int) -> Iterator[tuple[int, str, str]]:
    """Seed, what it came to, and what was said, of each input; a runner that dies is followed by another one."""
    while first < last:
        command = [sys.executable, str(RUNNER), name, str(first), str(last)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            begun = None
            assert process.stdout is not None
            for line in map(json.loads, process.stdout):
                if "came" in line:
                    yield int(line["seed"]), str(line["came"]), str(line["said"])
                    begun, first = None, int(line["seed"]) + 1
                else:
                    begun = int(line["seed"])
        if begun is not None:
            yield begun, "found", f"ended the process with {process.returncode}"
            first = begun + 1
        elif process.returncode:
            raise AssertionError(f"the runner of {name} ended with {process.returncode} between two inputs")


def test_every_subject_is_named() -> None:
    subprocess.run(
        [
            sys.executable,
            "-c",
            f"import runner; assert {{n: s.number for n, s in runner.SUBJECTS.items() if s.number}} == {NUMBERS}",
        ],
        cwd=RUNNER.parent,
        check=True,
    )


FAULTS = {
    "traceback": "ended in a traceback: .*KeyError: 'missing'",
    "endless": "took more than 1 s",
    "large": "took 1[0-9]{9} bytes",
    "deadly": "ended the process with -11",
    "wordy": "too long a message",
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_runner_tells_what_goes_wrong_and_goes_on(name: str, monkeypatch) -> None:
    monkeypatch.setenv("PCMLAB_FUZZ_SECONDS", "1")
    came = list(outcomes(name, 0, 4))
    assert [seed for seed, _, _ in came] == [0, 1, 2, 3]
    found = [said for _, outcome, said in came if outcome == "found"]
    assert found
    assert all(re.match(FAULTS[name], said, re.DOTALL) for said in found), found


@pytest.mark.parametrize("name", NUMBERS)
def test_no_input_breaks_the_product(name: str) -> None:
    number = max(10, round(SHARE * NUMBERS[name]))
    came: Counter[str] = Counter()
    findings = []
    for seed, outcome, said in outcomes(name, 0, number):
        came[outcome] += 1
        if outcome == "found":
            findings.append(f"{name} {seed}: {said}")
    print(f"{name}: {dict(came)}")
    assert sum(came.values()) == number
    assert not findings, "\n".join(findings)
    assert came["refused"] and (came["taken"] or SHARE < 0.1), came
