"""The memory of a run, foretold: near its peak, and refused in a sentence where there is too little."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from command_kit import call

from pcmsim.errors import PCMLabError
from training import footprint
from training.config import RunConfig
from training.session import Session
from training.support import ram
from training.tasks import Csv

MEASURE = """
import json, sys
from pathlib import Path
from training.config import RunConfig
from training.session import Session
def run(values):
    for record in Session(RunConfig().with_values(values)).run(2): pass
def peak():  # Not by getrusage: its peak begins with that of the process that started this one.
    return 1024 * int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
values = json.loads(sys.argv[1])
run({**values, "network.hidden": 20, "task.inputs": 10, "task.duration": 0.1, "network.dt": 1e-3})
before = peak()
run(values)
print(peak() - before)
"""

LARGE = {
    "steps": {"network.hidden": 1000, "network.dt": 2e-5, "task.inputs": 1, "task.samples": 1},
    "devices": {"network.hidden": 1500, "network.dt": 1e-2, "task.inputs": 1500},
    "weights": {"network.hidden": 1500, "network.dt": 1e-2, "task.inputs": 1500, "scheme": "float32"},
    "traces": {"network.hidden": 1000, "network.dt": 1e-2, "task.inputs": 1500, "learning.update_every": 20},
    "bptt": {"network.hidden": 1000, "network.dt": 1e-3, "task.inputs": 10, "learning.rule": "bptt"},
}


@pytest.mark.slow
@pytest.mark.parametrize("case", LARGE)
def test_the_estimate_is_near_the_peak_of_a_run(case: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, json.dumps(LARGE[case])], capture_output=True, text=True, check=True
    )
    config = RunConfig().with_values(LARGE[case])
    estimate = sum(term.size for term in footprint.footprint(config, footprint.sizes(config)))
    assert 0.5 < estimate / int(done.stdout) < 2.0


@pytest.fixture
def two_gigabytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ram, "allowed", lambda: 2 * 10**9)


TOO_LARGE: dict[str, tuple[dict[str, Any], str]] = {
    "steps and neurons": ({"network.hidden": 4096, "network.dt": 1e-6}, r"network.hidden=4096, task.duration=1, network.dt=1e-06: need about 51.7 GB of memory, 2.0 GB are free on this machine"),
    "devices": ({"network.hidden": 4096, "device.devices": 64}, r"network.hidden=4096, task.inputs=100, device.devices=64: need about 88.\d GB"),
    "samples": ({"network.dt": 1e-6, "task.samples": 1000, "network.hidden": 1}, r"task.samples=1000, task.duration=1, network.dt=1e-06: need about 16.\d GB"),
}  # fmt: skip


@pytest.mark.usefixtures("two_gigabytes")
@pytest.mark.parametrize("case", TOO_LARGE)
def test_a_run_that_is_too_large_is_refused_before_it_is_built(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    values, text = TOO_LARGE[case]
    config = RunConfig().with_values(values)
    monkeypatch.setattr(type(config.task), "sampler", lambda *_, **__: pytest.fail("was built"))
    with pytest.raises(PCMLabError, match=f"^{text}"):
        Session(config)


@pytest.mark.usefixtures("two_gigabytes")
def test_the_command_line_says_it_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    code, told, complaint = call(
        capsys, "run", "mixed-precision", "--set", "network.hidden=4096", "--set", "network.dt=1e-6"
    )
    assert (code, told, complaint.count("\n")) == (2, "", 1)
    assert complaint.startswith("pcmlab: network.hidden=4096, task.duration=1, network.dt=1e-06: need about 51.7 GB")


def test_sizes_that_only_files_know_are_checked_once_they_are_read(
    write_csv: Callable[..., Csv], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten thousand channels in a table of a hundred bytes."""
    task = write_csv("sample,time,channel\n0,0,9999\n1,0,1\n2,0,2\n", "sample,label\n0,a\n1,b\n2,a\n")
    config = RunConfig().with_values(
        {"task": {"name": "csv", "spikes": task.spikes, "targets": task.targets}, "network.hidden": 1000}
    )
    monkeypatch.setattr(ram, "allowed", lambda: 10**9)
    monkeypatch.setattr("training.memory.build", lambda *_, **__: pytest.fail("was built"))
    footprint.check(config)
    with pytest.raises(PCMLabError, match="^network.hidden=1000, task.inputs, device.devices=1: need about 1.3 GB"):
        Session(config)
