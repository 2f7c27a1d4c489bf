"""The ideal-weights reference: the same curve as a run on ideal weights, shared, and gone when nobody looks."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

from app import reference as module
from app.history import Curve
from app.reference import reference
from training.config import RunConfig
from training.session import Session
from training.twin import ideal

TINY = RunConfig().with_values({"network.hidden": 10, "task": {"name": "pattern", "inputs": 5, "duration": 0.05}})


def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.002)


def test_it_is_the_run_on_ideal_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PORTION", 12)
    found, alone, curve = reference(TINY), Session(ideal(TINY)), Curve()
    found.keep_ahead(0)
    until(lambda: found.done == 12)
    found.keep_ahead(30)
    until(lambda: found.done == 42)
    for record in alone.run(42):
        curve.append(record)
    assert found.curve.columns()["loss"].tolist() == curve.columns()["loss"].tolist()


def test_it_does_not_run_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST", 20)
    found = reference(TINY.with_values({"seed": 2}))
    found.keep_ahead(10_000)
    until(lambda: found.done == 20)
    time.sleep(0.05)
    assert found.done == 20


def test_runs_that_differ_on_the_devices_only_share_one() -> None:
    one, two = reference(TINY), reference(TINY.with_values({"device.mismatch.step": 0.2, "scheme": "sign"}))
    assert one is two
    assert reference(TINY.with_values({"seed": 43})) is not one


def test_after_a_trial_that_fails_it_goes_on_when_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PORTION", 5)
    monkeypatch.setattr(threading, "excepthook", lambda args: None)
    found = reference(TINY.with_values({"seed": 11}))
    with monkeypatch.context() as broken:
        broken.setattr(found, "step", lambda: 1 / 0)
        found.keep_ahead(0)
        until(lambda: found._thread is None)
    found.keep_ahead(0)
    until(lambda: found.done == 5)


def test_it_ends_when_nobody_holds_it_and_others_were_wanted_since() -> None:
    before = threading.active_count()
    found = reference(TINY.with_values({"seed": 9}))
    found.keep_ahead(100_000)
    del found
    gc.collect()
    assert [config for config in module._shared if "seed: 9\n" in config]
    for seed in range(20, 20 + module._recent.maxlen):
        reference(TINY.with_values({"seed": seed}))
    gc.collect()
    until(lambda: threading.active_count() <= before)
    assert not [config for config in module._shared if "seed: 9\n" in config]


def test_it_stops_when_told_and_goes_on_when_more_is_wanted() -> None:
    found = reference(TINY.with_values({"seed": 12}))
    found.keep_ahead(100_000)
    until(lambda: found.done > 3)
    found.stop(timeout=20.0)
    done = found.done
    assert found._thread is None
    time.sleep(0.05)
    assert found.done == done < module.LONGEST
    found.keep_ahead(done)
    until(lambda: found.done > done)
    found.stop()


def test_a_process_ends_well_in_the_middle_of_a_trial() -> None:
    code = (
        "import time; from app.reference import reference; from training.config import RunConfig\n"
        "found = reference(RunConfig()); found.keep_ahead(3000)\n"
        "while found.done < 3: time.sleep(0.01)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
