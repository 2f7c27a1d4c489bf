"""The worker's side of a run: whatever is watched, picked or paired, the run is a plain session's, to the bit."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import pytest

from app import trainer as module
from app.shot import Shot
from app.trainer import Trainer
from pcmsim.errors import FieldError, FileError, PCMLabError, UnknownNameError
from pcmsim.presets import DEVICES
from training import aging, honesty, inspection, meters
from training.config import RunConfig
from training.presets import PRESETS
from training.records import Snapshot
from training.session import Session
from training.twin import NON_IDEALITIES, without

SIZE = {
    "network.hidden": 12,
    "network.threshold": 0.02,
    "task": {"name": "pattern", "inputs": 6, "duration": 0.1, "rate": 100.0},
}
TINY = RunConfig().with_values({**SIZE, "scheme": "sign", "device.mismatch.step": 0.2, "learning.lr_input": 1e-2})
DAY = 86_400.0


class Bench:
    """A trainer and the shots that it publishes."""

    def __init__(self, config: RunConfig = TINY) -> None:
        self.shot = Shot(0, 0, False, config)
        self.wishes: SimpleQueue[Callable[[Trainer], Any]] = SimpleQueue()
        self.trainer = Trainer(self.publish, lambda: self.shot, self.wishes.put)

    def publish(self, **changes: Any) -> None:
        self.shot = dataclasses.replace(self.shot, version=self.shot.version + 1, **changes)

    def begin(self, config: RunConfig = TINY) -> Bench:
        self.trainer.restart(config, 0)
        return self

    def run(self, trials: int) -> Bench:
        for _ in range(trials):
            self.trainer.step(with_snapshot=True, running=self.shot.running)
        return self

    def answer(self) -> Callable[[Trainer], Any]:
        """What another thread has wished for; it comes."""
        return self.wishes.get(timeout=20.0)

    def losses(self) -> list[float]:
        return self.shot.curve.columns()["loss"].tolist()


class Clock:
    """Stands in for the time module."""

    now = 50.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def bench() -> Bench:
    return Bench().begin()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def plain(config: RunConfig = TINY, trials: int = 1) -> Session:
    session = Session(config)
    session.observe()
    for _ in session.run(trials):
        pass
    return session


def same(one: Any, other: Any) -> bool:
    """Whether two reports hold the same values."""
    if dataclasses.is_dataclass(one):
        return all(same(getattr(one, f.name), getattr(other, f.name)) for f in dataclasses.fields(one))
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return np.array_equal(one, other)


def same_devices(one: Snapshot, other: Snapshot) -> bool:
    return all(same(one[layer], other[layer]) for layer in ("input", "recurrent", "output"))


WATCHING: list[Callable[[Trainer], Any]] = [
    lambda trainer: trainer.pick_cell("input", 2, 3),
    lambda trainer: trainer.pair("read-noise"),
    lambda trainer: trainer.pick_neuron(5),
    lambda trainer: trainer.compare_gradients(),
    lambda trainer: trainer.pair("drift"),
    lambda trainer: trainer.pick_cell("output", 4, 0),
    lambda trainer: trainer.snapshot(),
    lambda trainer: trainer.pair(None),
    lambda trainer: trainer.drop_pick(),
]


@pytest.mark.parametrize("preset", ["mixed-precision", "sign", "multi-memristor", "closed-loop", "float32"])
def test_whatever_is_watched_the_run_is_the_plain_one_to_the_bit(preset: str, tmp_path: Path) -> None:
    config = PRESETS[preset].config.with_values(SIZE)
    bench, alone = Bench(config).begin(config), Session(config)
    for place in range(2 * len(WATCHING)):
        WATCHING[place % len(WATCHING)](bench.trainer)
        bench.trainer.save(str(tmp_path / "run"))
        bench.trainer.step(with_snapshot=place % 3 > 0, running=bench.shot.running)
    records = list(alone.run(1 + 2 * len(WATCHING)))
    assert bench.losses() == [record.loss for record in records]
    assert len(set(bench.losses())) > 5
    bench.trainer.snapshot()
    for layer, taken in alone.snapshot().items():
        shown = bench.shot.snapshot[layer]
        for name in ("weights", "conductance", "age", "sets", "resets", "variance"):
            assert np.array_equal(getattr(shown, name), getattr(taken, name)), (layer, name)
    assert bench.shot.record.total_reads == records[-1].total_reads


@pytest.mark.parametrize("name", NON_IDEALITIES)
def test_a_twin_is_the_run_forked_without_the_non_ideality(name: str, bench: Bench) -> None:
    bench.run(3)
    mate = plain(trials=4).fork(without(TINY, name))
    bench.trainer.pair(name)
    assert (bench.shot.twin.name, bench.shot.twin.record) == (name, None)
    assert bench.shot.twin.curve.columns()["trial"].size == 0
    bench.run(3)
    expected = [record.loss for record in mate.run(3)]
    assert bench.shot.twin.curve.columns()["loss"].tolist() == expected
    assert bench.shot.twin.curve.columns()["trial"].tolist() == [4, 5, 6]
    assert bench.shot.twin.record.loss == expected[-1]
    assert same_devices(bench.shot.look.twin, mate.snapshot())


def test_a_twin_ends_when_told_and_an_unknown_one_leaves_it(bench: Bench) -> None:
    bench.trainer.pair("write-noise")
    with pytest.raises(UnknownNameError, match="unknown non-ideality 'gravity'"):
        bench.trainer.pair("gravity")
    bench.run(1)
    assert bench.shot.twin.curve.columns()["trial"].tolist() == [1]
    bench.trainer.pair(None)
    assert (bench.shot.twin, bench.shot.look.twin) == (None, None)
    assert bench.run(1).shot.twin is None


def test_a_twin_takes_part_in_changes_of_settings(bench: Bench) -> None:
    mate = plain().fork(without(TINY, "device-mismatch"))
    bench.trainer.pair("device-mismatch")
    changed = TINY.with_values({"network.threshold": 0.015, "device.mismatch.step": 0.4})
    bench.trainer.configure(changed, 3)
    mate.configure(without(changed, "device-mismatch"))
    bench.run(2)
    assert bench.shot.twin.curve.columns()["loss"].tolist() == [record.loss for record in mate.run(2)]
    assert mate.config.device.mismatch.step == 0.0


def test_new_settings_are_told_with_the_first_trial_that_has_them_or_when_asked(bench: Bench) -> None:
    changed = TINY.with_values({"network.threshold": 0.015})
    bench.trainer.configure(changed, 3)
    assert (bench.shot.config, bench.shot.config_version) == (TINY, 0)
    bench.run(1)
    assert (bench.shot.config, bench.shot.config_version) == (changed, 3)
    bench.trainer.configure(TINY, 4)
    before = bench.shot.version
    bench.trainer.announce()
    bench.trainer.announce()
    assert (bench.shot.config, bench.shot.config_version, bench.shot.version) == (TINY, 4, before + 1)


def test_a_change_after_which_a_checkpoint_came_is_answered_too(bench: Bench, tmp_path: Path) -> None:
    bench.trainer.save(path := str(tmp_path / "run.safetensors"))
    bench.trainer.configure(TINY.with_values({"network.threshold": 0.015}), 3)
    bench.trainer.resume(path)
    assert (bench.shot.config, bench.shot.config_version) == (TINY, 3)


def test_a_twin_begins_anew_with_a_new_run(bench: Bench) -> None:
    bench.trainer.pair("read-noise")
    bench.run(2)
    other = TINY.with_values({"seed": 7})
    bench.begin(other).run(1)
    expected = [record.loss for record in Session(other).fork(without(other, "read-noise")).run(2)]
    assert bench.shot.twin.curve.columns()["loss"].tolist() == expected


def test_a_picked_synapse_is_reported_as_it_is_now(bench: Bench) -> None:
    bench.trainer.pick_cell("input", 2, 3)
    assert same(bench.shot.look.cell, inspection.cell(plain(), "input", 2, 3))
    bench.run(3)
    assert same(bench.shot.look.cell, inspection.cell(plain(trials=4), "input", 2, 3))
    assert len(bench.shot.look.cell.devices) == 2
    assert bench.shot.look.neuron is None


def test_a_picked_neuron_is_reported_in_the_latest_trial(bench: Bench) -> None:
    bench.trainer.pick_cell("recurrent", 0, 1)
    bench.trainer.pick_neuron(5)
    bench.run(2)
    alone = plain(trials=2)
    assert same(bench.shot.look.neuron, inspection.neuron(alone, alone.step(), 5))
    assert bench.shot.look.cell is None
    bench.trainer.drop_pick()
    assert (bench.shot.look.cell, bench.shot.look.neuron) == (None, None)


@pytest.mark.parametrize(
    ("pick", "message"),
    [
        (lambda trainer: trainer.pick_cell("input", 6, 0), "cell.pre: must be a neuron from 0 to 5, got 6"),
        (lambda trainer: trainer.pick_cell("brain", 0, 0), "cell.layer: must be one of input, recurrent, output"),
        (lambda trainer: trainer.pick_neuron(12), "neuron: must be a neuron from 0 to 11, got 12"),
        (lambda trainer: trainer.pick_neuron(-1), "neuron: must be a neuron from 0 to 11, got -1"),
    ],
)
def test_a_pick_that_does_not_exist_is_refused_and_the_old_one_stays(
    pick: Callable[[Trainer], None], message: str, bench: Bench
) -> None:
    bench.trainer.pick_cell("output", 3, 0)
    with pytest.raises(FieldError, match=message):
        pick(bench.trainer)
    bench.run(2)
    report = bench.shot.look.cell
    assert (report.layer, report.pre, report.post, bench.shot.record.trial) == ("output", 3, 0, 2)


def test_a_pick_survives_a_new_run_that_has_it_and_no_other(bench: Bench) -> None:
    bench.trainer.pick_cell("recurrent", 3, 9)
    bench.begin(TINY.with_values({"seed": 3}))
    assert (bench.shot.look.cell.pre, bench.shot.look.cell.post) == (3, 9)
    bench.begin(TINY.with_values({"network.hidden": 9}))
    assert bench.shot.look.cell is None
    bench.trainer.pick_neuron(8)
    bench.begin(TINY.with_values({"network.hidden": 8}))
    assert bench.shot.look.neuron is None


def test_fast_forward_is_the_librarys_and_the_run_goes_on_from_there(bench: Bench) -> None:
    bench.run(2)
    alone, ages = plain(trials=3), bench.shot.snapshot["input"].age
    expected = aging.fast_forward(alone, DAY)
    bench.trainer.fast_forward(DAY)
    assert bench.shot.aging == expected
    assert bench.shot.snapshot["input"].age == pytest.approx(ages + DAY)
    assert bench.run(2).losses()[-2:] == [record.loss for record in alone.run(2)]
    assert bench.shot.record.device_time == pytest.approx(5 * TINY.device.update_interval + DAY)
    assert bench.begin().shot.aging is None


def test_fast_forward_ages_the_twin_too(bench: Bench) -> None:
    mate = plain().fork(without(TINY, "read-noise"))
    bench.trainer.pair("read-noise")
    bench.trainer.fast_forward(DAY)
    mate.device_time += DAY
    bench.run(1)
    assert bench.shot.twin.record.loss == mate.step().loss
    assert bench.shot.twin.record.device_time == bench.shot.record.device_time


def test_a_wait_that_cannot_be_leaves_the_clock(bench: Bench) -> None:
    bench.trainer.pair("read-noise")
    for seconds in (0.0, -1.0, float("nan"), 1e12):
        with pytest.raises(FieldError):
            bench.trainer.fast_forward(seconds)
    bench.run(1)
    assert bench.shot.aging is None
    assert bench.shot.record.device_time == bench.shot.twin.record.device_time == 2 * TINY.device.update_interval


def test_gradients_are_compared_on_the_next_trial_and_the_answer_belongs_to_this_run(bench: Bench) -> None:
    bench.run(2)
    bench.trainer.compare_gradients()
    answer = bench.answer()
    assert bench.shot.honesty is None
    answer(bench.trainer)
    assert bench.shot.honesty == honesty.compare(plain(trials=3))
    assert bench.shot.honesty.trial == 3
    bench.trainer.compare_gradients()
    answer = bench.answer()
    assert bench.begin().shot.honesty is None
    answer(bench.trainer)
    assert bench.shot.honesty is None


def test_without_a_run_nothing_is_published_and_requests_are_refused_in_words(tmp_path: Path) -> None:
    bench = Bench()
    for act in (bench.trainer.compare_gradients, lambda: bench.trainer.save(str(tmp_path / "run"))):
        with pytest.raises(PCMLabError, match=r"There is no run yet\."):
            act()
    bench.trainer.step(with_snapshot=True, running=bench.shot.running)
    bench.trainer.snapshot()
    bench.trainer.fast_forward(DAY)
    bench.trainer.configure(TINY, 5)
    assert bench.shot.version == 0
    assert bench.trainer.pause(10.0) == module.IDLE
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("preset", ["mixed-precision", "multi-memristor", "float32"])
def test_a_resumed_run_equals_one_that_never_stopped(preset: str, tmp_path: Path) -> None:
    config, path = PRESETS[preset].config.with_values(SIZE), str(tmp_path / "run.safetensors")
    bench, alone = Bench(config).begin(config).run(5), plain(config, 12)
    assert bench.shot.saved is None
    bench.trainer.save(path)
    assert bench.shot.saved == 5
    other = Bench().begin()
    assert other.trainer.resume(path) == config
    assert (other.shot.run, other.shot.config, other.shot.saved) == (2, config, None)
    other.run(5)
    assert other.shot.curve.columns()["trial"].tolist() == [6, 7, 8, 9, 10, 11]
    assert other.losses() == [record.loss for record in Session(config).run(12)][6:]
    for layer, taken in alone.snapshot().items():
        assert np.array_equal(other.shot.snapshot[layer].weights, taken.weights)
        assert np.array_equal(other.shot.snapshot[layer].sets, taken.sets)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", json.dumps({}).encode()])
def test_a_file_that_is_none_leaves_the_run(content: bytes, bench: Bench, tmp_path: Path) -> None:
    (path := tmp_path / "run.safetensors").write_bytes(content)
    with pytest.raises(FileError, match="is damaged or not a checkpoint"):
        bench.trainer.resume(str(path))
    assert bench.run(3).losses() == [record.loss for record in Session(TINY).run(4)]
    assert bench.shot.run == 1


def test_a_new_run_that_fails_leaves_the_old_one_its_twin_and_its_pick(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(config: RunConfig, chip: object, **_: object) -> None:
        raise MemoryError("too large")

    bench.trainer.pair("drift")
    bench.trainer.pick_neuron(3)
    with monkeypatch.context() as broken:
        broken.setattr(module, "Session", fail)
        with pytest.raises(MemoryError):
            bench.trainer.restart(TINY.with_values({"seed": 9}), 4)
    assert bench.run(2).losses() == [record.loss for record in Session(TINY).run(3)]
    assert (bench.shot.run, bench.shot.config_version, bench.shot.look.neuron.neuron) == (1, 4, 3)
    assert bench.shot.twin.curve.columns()["trial"].tolist() == [1, 2]


@pytest.mark.parametrize("device", DEVICES)
def test_meters_budget_and_wear_are_those_of_the_present_devices(device: str) -> None:
    config = TINY.with_values({"device.preset": device, "device.devices": 2})
    bench, alone = Bench(config).begin(config).run(5), plain(config, 5)
    record = alone.step()
    look, taken = bench.shot.look, alone.snapshot()
    assert look.meters == meters.measure(alone, record)
    sets = sum(int(layer.sets.sum()) for layer in taken.values())
    writes = np.concatenate([(layer.sets + layer.resets).ravel() for layer in taken.values()])
    assert look.budget.sets == sets > 0
    assert look.budget.reads == record.total_reads > 0
    if device == "ideal":
        assert look.budget.energy is None
    else:
        read = sum(float(array.ledger.read_conductance) for array in alone.arrays)
        cost = config.device.model(None).costs.read(read)
        assert look.budget.energy["set_pulse"] == pytest.approx(sets * 13.5e-12)
        assert look.budget.total == pytest.approx(sets * 13.5e-12 + look.budget.resets * 19.2e-12 + cost)
        assert cost > 0.0
    assert look.budget.most_written == writes.max()
    _, counts = look.wear
    assert counts.sum() == writes.size == 2 * 2 * (6 * 12 + 12 * 12 + 12)
    assert counts[0] == (writes == 0).sum()
    assert counts[1] == (writes == 1).sum()


def test_while_training_meters_are_measured_at_their_own_pace(bench: Bench, clock: Clock) -> None:
    bench.publish(running=True)
    bench.trainer.snapshot()
    looks = [bench.shot.look]
    for _ in range(10):
        clock.now += 0.3 * module.METERS_EVERY
        bench.run(1)
        assert bench.shot.snapshot_of == bench.shot.moment
        looks.append(bench.shot.look)
    changes = [place for place in range(1, 11) if looks[place] is not looks[place - 1]]
    assert changes == [4, 8]


def test_single_steps_are_measured_every_time(bench: Bench, clock: Clock) -> None:
    bench.trainer.pick_neuron(2)
    for trial in (1, 2, 3):
        bench.run(1)
        assert bench.shot.look.neuron.trial == trial
        assert bench.shot.look.budget.reads == bench.shot.record.total_reads


def test_trials_without_a_snapshot_leave_the_old_one(bench: Bench) -> None:
    before, look = bench.shot.snapshot, bench.shot.look
    bench.trainer.step(with_snapshot=False, running=bench.shot.running)
    assert bench.shot.snapshot is before
    assert bench.shot.look is look
    assert bench.shot.snapshot_of == (1, 0, 0) != bench.shot.moment == (1, 1, 0)


def test_speed_is_counted_over_a_window_and_only_while_running(bench: Bench, clock: Clock) -> None:
    bench.trainer.mark()
    bench.run(3)
    assert bench.shot.speed == 0.0
    bench.publish(running=True)
    bench.trainer.mark()
    for _ in range(4):
        clock.now += 0.125
        bench.run(1)
    assert bench.shot.speed == pytest.approx(8.0)
    clock.now += 0.125
    assert bench.run(1).shot.speed == pytest.approx(8.0)


def test_the_pause_between_trials_is_what_the_limit_leaves(bench: Bench, clock: Clock) -> None:
    bench.run(1)
    clock.now += 0.03
    assert bench.trainer.pause(10.0) == pytest.approx(0.07)
    assert bench.trainer.pause(0.0) == 0.0
    clock.now += 0.2
    assert bench.trainer.pause(10.0) == pytest.approx(-0.13)
