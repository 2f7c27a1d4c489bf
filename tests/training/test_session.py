"""Sessions: repeatable, changeable, resumable, observable without being disturbed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from pcmsim.crossbar import Crossbar
from pcmsim.errors import FileError, RestartRequiredError
from training.config import RunConfig
from training.presets import MIXED, PRESETS
from training.records import SCALARS, TrialRecord, judge
from training.session import Session

SMALL = {"network.hidden": 30, "task": {"name": "pattern", "inputs": 20, "duration": 0.2, "rate": 100.0}}
EAGER = {**MIXED, "learning.lr_input": 5e-3, "learning.lr_recurrent": 5e-3, "learning.lr_output": 5e-3}


def config(**values) -> RunConfig:
    return RunConfig().with_values(
        {**EAGER, **SMALL, **{key.replace("__", "."): value for key, value in values.items()}}
    )


def same(a: TrialRecord, b: TrialRecord) -> bool:
    scalars = all(a.scalars()[name] == b.scalars()[name] for name in SCALARS if name != "seconds")
    return scalars and np.array_equal(a.voltage, b.voltage) and np.array_equal(a.probe, b.probe)


def assert_same_state(a: Session, b: Session) -> None:
    for (name, mine), theirs in zip(a._tensors().items(), b._tensors().values(), strict=True):
        assert torch.equal(mine, theirs), name


@pytest.mark.parametrize("name", PRESETS)
def test_saved_and_resumed_equals_never_stopped(name: str, tmp_path) -> None:
    chosen = PRESETS[name].config.with_values({"network.hidden": 30})
    straight = Session(chosen)
    expected = list(straight.run(8))
    broken = Session(chosen)
    list(broken.run(4))
    broken.save(tmp_path / "run.safetensors")
    resumed = Session.resume(tmp_path / "run.safetensors")
    for a, b in zip(resumed.run(4), expected[4:], strict=True):
        assert same(a, b)
    assert_same_state(resumed, straight)


@pytest.mark.parametrize("values", [
    {"scheme": {"name": "multi-memristor", "counter": "global"}, "device.devices": 4},
    {"learning.update_every": 50}, {"learning.feedback": "adaptive", "learning.feedback_decay": 0.01},
    {"refresh.enabled": True, "refresh.saturation": 3.0}, {"device.read_mode": "device"},
    {"device.mismatch.step": 0.3, "network.tau_mismatch": 0.2}, {"device.preset": "joshi2020", "device.scale": 25.0},
])  # fmt: skip
def test_every_ingredient_resumes_to_the_bit(values, tmp_path) -> None:
    chosen = config().with_values(values)
    straight = Session(chosen)
    list(straight.run(6))
    broken = Session(chosen)
    list(broken.run(3))
    broken.save(tmp_path / "run.safetensors")
    resumed = Session.resume(tmp_path / "run.safetensors")
    list(resumed.run(3))
    assert straight.updates.sets > 0
    assert_same_state(resumed, straight)


def test_same_seed_same_run_another_seed_another() -> None:
    runs = [list(Session(config(seed=seed)).run(4)) for seed in (1, 1, 2)]
    assert all(same(a, b) for a, b in zip(runs[0], runs[1], strict=True))
    assert not same(runs[0][0], runs[2][0])


def test_no_global_random_state_is_touched() -> None:
    torch.manual_seed(0)
    before, of_numpy = torch.random.get_rng_state(), np.random.get_bit_generator().state["state"]
    list(Session(config()).run(2))
    assert torch.equal(before, torch.random.get_rng_state())
    after = np.random.get_bit_generator().state["state"]
    assert np.array_equal(after["key"], of_numpy["key"]) and after["pos"] == of_numpy["pos"]


def test_watching_changes_nothing() -> None:
    watched, alone = Session(config()), Session(config())
    for record in watched.run(6):
        watched.snapshot()
        assert same(record, alone.step())
    assert_same_state(watched, alone)


def test_snapshots_are_copies() -> None:
    session = Session(config())
    before = session.snapshot()["recurrent"].conductance.copy()
    shot = session.snapshot()
    list(session.run(5))
    np.testing.assert_array_equal(shot["recurrent"].conductance, before)


def test_runs_that_differ_in_one_ingredient_meet_the_same_inputs_and_noise() -> None:
    """Common random numbers: with no write yet, a run and its twin without write noise read the same."""
    a, b = Session(config()).step(), Session(config(device__constants={"write_noise": 0.0})).step()
    np.testing.assert_array_equal(a.voltage, b.voltage)


def test_settings_change_between_trials_and_the_run_lives_on() -> None:
    session = Session(config())
    list(session.run(3))
    changed = config().with_values({"learning.lr_input": 0.0, "learning.lr_recurrent": 0.0, "learning.lr_output": 0.0})
    sets = session.updates.sets
    session.configure(changed)
    session.step()
    assert session.trial == 4
    assert session.updates.sets == sets > 0


def test_changing_back_between_trials_is_as_if_nothing_happened() -> None:
    touched, alone = Session(config()), Session(config())
    for _ in range(2):
        touched.step(), alone.step()
        touched.configure(config(device__mismatch={"step": 0.4}))
        touched.configure(config())
    assert_same_state(touched, alone)


@pytest.mark.parametrize("values", [{"network.hidden": 31}, {"seed": 9}, {"device.devices": 2}, {"scheme": "float32"}])
def test_structural_settings_ask_for_a_restart_and_change_nothing(values) -> None:
    session = Session(config())
    session.step()
    with pytest.raises(RestartRequiredError, match=f"{next(iter(values))}: changes only with a new run"):
        session.configure(config().with_values(values))
    assert session.config == config()
    session.step()


def test_schemes_change_live_and_start_with_fresh_state() -> None:
    session = Session(config())
    list(session.run(2))
    for name in ("sign", "stochastic", "update-ready", "mixed-precision"):
        session.configure(session.config.with_values({"scheme": name}))
        session.step()
    assert not np.allclose(session.updates.state["input"]["accumulator"], 0.0)
    assert session.trial == 6


def test_device_clock_and_reads_are_counted() -> None:
    session = Session(config(device__update_interval=10.0))
    records = list(session.run(3))
    assert [record.device_time for record in records] == pytest.approx([10.0, 20.0, 30.0])
    inputs = sum(record.inputs.neuron.size for record in records)
    hidden = sum(record.hidden.neuron.size for record in records)
    last = sum(int(np.diff(record.hidden.start)[-1]) for record in records)  # arrive in no step
    assert records[-1].total_reads == 2 * (inputs * 30 + (hidden - last) * 30 + hidden * 1)
    assert records[-1].total_sets == sum(a.ledger.total_sets for a in session.arrays if isinstance(a, Crossbar))


def test_neurons_do_not_drive_themselves() -> None:
    session = Session(config())
    list(session.run(10))
    crossbar = session.arrays.recurrent
    assert isinstance(crossbar, Crossbar)
    assert not crossbar.ledger.sets.diagonal(dim1=2, dim2=3).any()
    assert float(crossbar.stored_weights().diagonal().abs().max()) < 0.01


def test_trial_right_after_the_update_sees_the_fresh_drift() -> None:
    """Without rest the clock moves by the trial alone, and freshly written devices read high."""
    session = Session(config(device__update_interval=0.2))
    record = list(session.run(3))[-1]
    assert record.device_time == pytest.approx(0.6)
    assert np.isfinite(record.loss)


def test_mismatch_is_frozen_per_chip_and_scales_with_its_level() -> None:
    low, high = (Session(config(device__mismatch={"step": level})).arrays.input.spread.step for level in (0.1, 0.2))
    torch.testing.assert_close(2.0 * (low - 1.0), high - 1.0, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("loss", "rate", "status", "words"), [
    (0.1, 0.01, "ok", ""),
    (0.2, 0.0, "silent", "No hidden neuron spiked"),
    (0.2, 0.5, "saturated", "fire at 500 Hz"),
    (50.0, 0.1, "diverged", "run away"),
    (float("nan"), 0.1, "diverged", "run away"),
])  # fmt: skip
def test_what_goes_wrong_is_said_in_words(loss: float, rate: float, status: str, words: str) -> None:
    verdict = judge(loss, 0.2, rate, 1e-3)
    assert verdict[0] == status
    assert words in verdict[1]


@pytest.mark.parametrize(("values", "status"), [
    ({"network.threshold": 500.0}, "silent"), ({"device.scale": 0.001, "network.threshold": 0.01}, "diverged"),
])  # fmt: skip
def test_a_run_that_goes_wrong_stays_finite_and_says_so(values, status: str) -> None:
    record = list(Session(config().with_values(values)).run(4))[-1]
    assert record.status == status
    assert record.message
    assert np.isfinite(record.loss)
    assert np.isfinite(record.output).all()


def save_one(path) -> None:
    session = Session(config())
    session.step()
    session.save(path)


def test_checkpoints_that_are_not_whole_or_not_ours_are_named(tmp_path) -> None:
    good, bad = tmp_path / "good.safetensors", tmp_path / "bad.safetensors"
    save_one(good)
    with pytest.raises(FileError, match="does not exist; expected a checkpoint"):
        Session.resume(tmp_path / "none.safetensors")
    bad.write_bytes(good.read_bytes()[:-1000])
    with pytest.raises(FileError, match="is damaged or not a checkpoint of pcmlab"):
        Session.resume(bad)
    bad.write_bytes(b"not a checkpoint")
    with pytest.raises(FileError, match="is damaged or not a checkpoint of pcmlab"):
        Session.resume(bad)
    save_file({"x": torch.zeros(2)}, bad)
    with pytest.raises(FileError, match="is not a checkpoint of pcmlab"):
        Session.resume(bad)


def rewrite(path, target, change) -> None:
    with safe_open(str(path), framework="pt") as file:
        header = dict(file.metadata())
    tensors = load_file(path)
    header = {name: header[name] for name in ("format", "config", "progress")} | {"version": "1"}  # without a checksum
    change(header, tensors)
    save_file(tensors, target, metadata=header)


@pytest.mark.parametrize(("change", "text"), [
    (lambda h, t: h.update(version="99"), "has checkpoint version 99, this pcmlab reads versions 1 to 2"),
    (lambda h, t: h.update(config="{"), "holds a value that does not fit: is not valid JSON"),
    (lambda h, t: h.update(config='{"seed": -3}'), "holds a value that does not fit: RunConfig.seed"),
    (lambda h, t: h.update(progress="[1]"), "its header cannot be read"),
    (lambda h, t: h.update(config="[" * 10**5), "holds a value that does not fit: is not valid JSON"),
    (lambda h, t: h.update(progress='{"device_time": 1e308}'), "does not fit: Progress.device_time: must be .* <= 1e.15 s, got 1e.308"),
    (lambda h, t: h.update(progress='{"trials": 1}'), "its header cannot be read"),
    (lambda h, t: h.update(progress='{"trial": "x"}'), "does not fit: Progress.trial: must be a whole number >= 0 and .*, got 'x'"),
    (lambda h, t: t.pop("feedback"), "tensor 'feedback' is missing"),
    (lambda h, t: t.update(feedback=torch.zeros(3)), "tensor 'feedback' has the wrong shape or type"),
    (lambda h, t: t.update(extra=torch.zeros(3)), "tensor 'extra' is unknown"),
])  # fmt: skip
def test_checkpoints_that_do_not_fit_are_named(change, text: str, tmp_path) -> None:
    good, bad = tmp_path / "good.safetensors", tmp_path / "bad.safetensors"
    save_one(good)
    rewrite(good, bad, change)
    with pytest.raises(FileError, match=text):
        Session.resume(bad)


def test_a_failed_save_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch) -> None:
    path = tmp_path / "run.safetensors"
    save_one(path)
    before = path.read_bytes()
    monkeypatch.setattr("training.writing.os.replace", _full_disk)
    with pytest.raises(FileError, match="cannot be written .No space left"):
        save_one(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def _full_disk(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_saving_into_no_folder_is_named(tmp_path) -> None:
    with pytest.raises(FileError, match="cannot be written .No such file or directory"):
        Session(config()).save(tmp_path / "nowhere" / "run.safetensors")


def test_recurrent_weights_may_begin_with_a_spread_of_their_own() -> None:
    usual = PRESETS["float32"].config.with_values({"network.initial_gain": 0.5})
    own = Session(usual.with_values({"network.recurrent_gain": 0.1}))
    assert float(own.arrays.recurrent.stored_weights().std()) == pytest.approx(0.1 * (2 / 100) ** 0.5, rel=0.03)
    for mine, theirs in (
        (own.arrays.input, Session(usual).arrays.input),
        (own.arrays.output, Session(usual).arrays.output),
    ):
        assert torch.equal(mine.stored_weights(), theirs.stored_weights())


@pytest.mark.parametrize("preset", ["mixed-precision", "float32"])
def test_a_snapshot_holds_the_probed_devices_of_its_record(preset: str) -> None:
    session = Session(PRESETS[preset].config)
    for record in session.run(2):
        probed = session.probe(session.snapshot())
        assert probed.size == (0 if preset == "float32" else 64)
        assert np.array_equal(probed, record.probe)
