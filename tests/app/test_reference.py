"""The ideal-weights reference: the same curve as a run on ideal weights, shared, and gone when nobody looks."""

from __future__ import annotations

import gc
import subprocess
import sys
import time
import weakref
from concurrent.futures import Future
from pathlib import Path

import pytest
from app_kit import until

from app import reference as module
from app.history import Curve
from app.pages.comparison import Comparison
from app.reference import reference
from app.shot import Shot
from training.config import RunConfig
from training.session import Session
from training.tasks import files
from training.twin import ideal

TINY = RunConfig().with_values({"network.hidden": 10, "task": {"name": "pattern", "inputs": 5, "duration": 0.05}})


def test_it_is_the_run_on_ideal_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AHEAD", 12)
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


def test_a_process_that_dies_is_replaced_when_more_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AHEAD", 15)
    found = reference(TINY.with_values({"seed": 11}))
    found.keep_ahead(0)
    until(lambda: found.done == 15)
    for process in list(module._pool()._processes.values()):
        process.kill()
        process.join()
    end = time.monotonic() + 20.0
    while found.done < 45 and time.monotonic() < end:
        found.keep_ahead(30)
        time.sleep(0.01)
    expected = [record.loss for record in Session(ideal(TINY.with_values({"seed": 11}))).run(45)]
    assert found.curve.columns()["loss"].tolist() == expected


def test_portions_follow_each_other_whatever_the_process_remembers() -> None:
    config = ideal(TINY)
    losses = [record.loss for record in Session(config).run(9)]
    text = config.to_yaml()
    for done, trials in ((0, 4), (4, 3), (2, 2), (7, 2), (7, 2)):
        points = module.portion(text, done, trials, [text])
        assert [point.trial for point in points] == list(range(done, done + trials))
        assert [point.loss for point in points] == losses[done : done + trials]


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> dict[str, Session]:
    """What the process that computes remembers, here."""
    remembered: dict[str, Session] = {}
    monkeypatch.setattr(module, "_sessions", remembered)
    return remembered


def test_a_run_that_must_be_trained_again_costs_the_others_nothing(sessions: dict[str, Session]) -> None:
    one, two = (ideal(TINY.with_values({"seed": seed})).to_yaml() for seed in (5, 6))
    for text in (one, two):
        module.portion(text, 0, 4, [one, two])
    kept = sessions[two]
    module.portion(one, 2, 1, [one, two])
    assert sessions[two] is kept
    assert (sessions[one].trial, kept.trial) == (3, 4)


def test_what_no_page_uses_any_more_is_forgotten_with_its_files(tmp_path: Path, sessions: dict[str, Session]) -> None:
    (tmp_path / "spikes.csv").write_text("sample,time,channel\n0,0.01,0\n1,0.02,1\n2,0.03,0\n3,0.01,1\n")
    (tmp_path / "targets.csv").write_text("sample,label\n0,a\n1,b\n2,a\n3,b\n")
    paths = {name: str(tmp_path / f"{name}.csv") for name in ("spikes", "targets")}
    own = ideal(RunConfig().with_values({"network.hidden": 10, "task": {"name": "csv", "test": 0.0, **paths}}))
    texts = own.to_yaml(), ideal(TINY).to_yaml()
    for text in texts:
        module.portion(text, 0, 1, texts)
    read = files.remembered(lambda path: object())
    before = read(tmp_path / "spikes.csv")
    module.keep(texts)
    assert read(tmp_path / "spikes.csv") is before
    module.keep(texts[1:])
    assert [*sessions] == [*texts[1:]]
    assert read(tmp_path / "spikes.csv") is not before


def test_a_page_that_closes_has_its_run_forgotten_at_once_unless_others_may_come_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(module, "_submit", lambda task, *what: (asked.append(what[-1]), Future())[1])
    mine = RunConfig().with_values({"task": {"name": "mnist", "folder": str(tmp_path)}})
    comparison = Comparison(lambda: None)
    for config in (TINY.with_values({"seed": 77}), mine):
        comparison._follow(Shot(0, 0, False, config), 0)
    texts = [ideal(config).to_yaml() for config in (TINY.with_values({"seed": 77}), mine)]
    assert set(texts) <= set(asked[-1])
    comparison.close()
    assert len(asked) == 3
    assert texts[0] in asked[-1]
    assert texts[1] not in asked[-1]


def test_it_ends_when_nobody_holds_it_and_others_were_wanted_since() -> None:
    found = reference(TINY.with_values({"seed": 9}))
    found.keep_ahead(100_000)
    watch = weakref.ref(found)
    del found
    gc.collect()
    assert [config for config in module._shared if "seed: 9\n" in config]
    for seed in range(20, 20 + module._recent.maxlen):
        reference(TINY.with_values({"seed": seed}))
    until(lambda: gc.collect() >= 0 and watch() is None)
    assert not [config for config in module._shared if "seed: 9\n" in config]


def test_it_stops_when_told_and_goes_on_when_more_is_wanted() -> None:
    found = reference(TINY.with_values({"seed": 12}))
    found.keep_ahead(100_000)
    until(lambda: found.done > 3)
    found.stop()
    until(lambda: not found._asked)
    done = found.done
    time.sleep(0.05)
    assert found.done == done < module.LONGEST
    found.keep_ahead(done)
    until(lambda: found.done > done)
    found.stop()


def test_a_program_ends_well_in_the_middle_of_a_portion() -> None:
    code = (
        "import time; from app.reference import reference; from training.config import RunConfig\n"
        "found = reference(RunConfig()); found.keep_ahead(3000)\n"
        "while found.done < 3: time.sleep(0.01)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
