"""Deployed networks: the same answers on perfect chips, closed forms of drift, and a session that nobody touched."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pyarrow import parquet

from pcmsim.crossbar import Crossbar
from pcmsim.errors import FieldError, UnknownNameError
from pcmsim.presets import device_model
from pcmsim.programming import program
from training import cli, evaluation
from training.config import RunConfig
from training.deploy import COMPENSATIONS, TRAINED, Chip, Deployment, Result, deploy, run
from training.deploy_report import lines, times, told
from training.evaluation import evaluate, next_trial
from training.network import LAYERS
from training.presets import MIXED, PRESETS
from training.session import Session

YEAR = 365 * 86400.0
TASK = {"name": "yin-yang", "train": 60, "validation": 30, "test": 45}
SMALL = {"task": TASK, "network.hidden": 20}
STILL = {f"device.constants.{name}": 0.0 for name in ("write_noise", "drift_scale", "read_noise")}
EXACT = {
    **STILL, "core.adc_bits": None, "core.mvm_noise": 0.0, "core.gain_spread": 0.0, "core.offset_spread": 0.0,
    "core.calibration": 0,
}  # fmt: skip


def digital(trials: int = 60, **values: Any) -> Session:
    session = Session(PRESETS["yin-yang"].config.with_values({**SMALL, **values}))
    list(session.run(trials))
    return session


def on_devices() -> Session:
    lr = {"learning.lr_input": 1e-2, "learning.lr_output": 1e-2}
    session = Session(RunConfig().with_values({**MIXED, **SMALL, "network.threshold": 0.05, **lr}))
    list(session.run(20))
    return session


def chip(**values: Any) -> Chip:
    return Chip().with_values(values)


def tensors(session: Session) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in session._tensors().items()}


class TestPerfectChips:
    """Without noise and drift, and with exact converters, only rounding to single precision is left."""

    @pytest.mark.parametrize("preset", ["hermes", "joshi2020"])
    @pytest.mark.parametrize("rows", [256, 3])
    def test_a_digital_network_answers_as_before(self, preset: str, rows: int) -> None:
        session = digital()
        trained = evaluate(session)
        perfect = chip(**{"device.preset": preset, "core.rows": rows, **EXACT})
        deployed = deploy(session, perfect, seed=1)
        for now in (1.0, YEAR):
            found = evaluate(deployed, now=now)
            np.testing.assert_array_equal(found.confusion, trained.confusion)
            assert found.loss == pytest.approx(trained.loss, rel=1e-3)
        assert deployed.error < 1e-6
        assert len(np.flatnonzero(trained.confusion)) > 4, "the network says more than one thing"

    def test_a_network_on_devices_takes_its_weights_along_as_they_read(self) -> None:
        """Drifted and clipped, without the noise; later drift of the old chip does not matter."""
        session = on_devices()
        deployed = deploy(session, chip(**EXACT), seed=1)
        for mine, theirs in zip(deployed.arrays, session.arrays, strict=True):
            then = theirs.moments(next_trial(session, session.device_time)).mean
            torch.testing.assert_close(mine.moments(YEAR).mean, then, rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize("percentile", [100.0, 90.0])
    def test_the_percentile_stands_for_full_conductance(self, percentile: float) -> None:
        session = digital()
        deployed = deploy(session, chip(percentile=percentile, **EXACT), seed=1)
        beyond = 0
        for mine, theirs in zip(deployed.arrays, session.arrays, strict=True):
            sizes = theirs.stored_weights().abs().flatten().sort().values.double()
            place = percentile / 100.0 * (len(sizes) - 1)
            low = int(place)
            full = sizes[low] + (place - low) * (sizes[min(low + 1, len(sizes) - 1)] - sizes[low])
            assert mine.full_weight == pytest.approx(float(full), rel=1e-5)
            beyond += int((sizes > full * (1 + 1e-6)).sum())
            assert isinstance(mine, Crossbar)
            assert float(mine.state.conductance.max()) == pytest.approx(10.35, rel=1e-5)
        assert deployed.saturated == beyond
        assert (beyond > 0) == (percentile < 100.0)


def column_array(weights: torch.Tensor, seed: int = 0, **constants: float) -> Crossbar:
    """Pairs of HERMES devices, programmed without error and read without noise; full conductance is weight 1."""
    model = device_model("hermes", {"write_noise": 0.0, "read_noise": 0.0, **constants})
    generator = torch.Generator().manual_seed(seed)
    array = Crossbar(
        (weights.shape[0], weights.shape[1]),
        model, devices=2, scale=model.g_max, initial_conductance=0.0, generator=generator,
    )  # fmt: skip
    program(array, weights, 0.0, generator=generator)
    return array


class TestDrift:
    def test_outputs_fall_by_the_mean_of_the_drift_and_one_gain_lifts_them_again(self) -> None:
        """Half conducting: nu is normal, mean 0.0564, spread 0.01208; the mean of exp(-nu L) is that of a log-normal.

        L = ln((t + t0) / t0). 200 000 devices know the mean to 0.05 %.
        """
        array, length = column_array(torch.full((500, 100), 0.5)), math.log((YEAR + 200.0) / 200.0)
        factor = math.exp(-0.0564 * length + 0.5 * (0.012075 * length) ** 2)
        total = {name: kind(array, YEAR).moments(YEAR).mean.sum(0) for name, kind in COMPENSATIONS.items()}
        assert float(total["none"].mean()) == pytest.approx(250.0 * factor, rel=2e-3)
        assert float(total["global"].mean()) == pytest.approx(250.0, rel=1e-4)
        assert float(total["global"].std()) > 0.1
        torch.testing.assert_close(total["column"], torch.full((100,), 250.0), rtol=1e-4, atol=0.0)

    @pytest.mark.parametrize("seed", [1, 2, 3])
    @pytest.mark.parametrize("now", [3600.0, YEAR])
    def test_a_gain_for_each_column_is_at_least_as_good(self, seed: int, now: float) -> None:
        """Columns of small weights drift faster than those of large ones; error of outputs over random inputs."""
        generator = torch.Generator().manual_seed(seed)
        weights = torch.rand((256, 64), generator=generator) * torch.linspace(0.05, 1.0, 64)
        inputs = (torch.rand((200, 256), generator=generator) < 0.2).float()
        array = column_array(weights * torch.where(torch.rand((256, 1), generator=generator) < 0.7, 1.0, -1.0), seed)
        wanted = inputs @ array.moments(0.0).mean
        errors = {
            name: float((inputs @ kind(array, now).moments(now).mean - wanted).square().mean())
            for name, kind in COMPENSATIONS.items()
        }
        assert errors["column"] <= errors["global"] < errors["none"]

    def test_a_chip_is_compensated_in_all_layers(self) -> None:
        deployed = deploy(digital(1), chip(), seed=1)
        lifted, plain = deployed.compensated("global", YEAR), deployed.compensated("none", YEAR)
        assert plain.arrays == deployed.arrays
        for layer, mine, theirs in zip(LAYERS, lifted.arrays, deployed.arrays, strict=True):
            gain = theirs.drift_gain(0.0, YEAR)
            assert gain > 1.3
            assert mine.core is not None and mine.core.amplification == pytest.approx(gain), layer


class TestChips:
    def test_the_seed_is_the_chip(self) -> None:
        session = digital()
        first, same, other = (deploy(session, chip(), seed) for seed in (1, 1, 2))
        for a, b, c in zip(first.arrays, same.arrays, other.arrays, strict=True):
            assert all(torch.equal(value, b.tensors()[name]) for name, value in a.tensors().items())
            assert a.core is not None and b.core is not None and c.core is not None
            assert torch.equal(a.core.gain, b.core.gain) and not torch.equal(a.core.gain, c.core.gain)
            assert not torch.equal(a.stored_weights(), c.stored_weights())
        for now in (1.0, YEAR):
            assert evaluate(first, now=now).loss == evaluate(same, now=now).loss != evaluate(other, now=now).loss

    @pytest.mark.parametrize("make", [digital, on_devices])
    def test_nothing_in_the_session_changes(self, make: Any) -> None:
        session = make()
        control, before, time = session.fork(), tensors(session), session.device_time
        list(run(Deployment(chip(), 1, (YEAR,)), session))
        assert session.device_time == time
        assert all(torch.equal(value, before[name]) for name, value in session._tensors().items())
        assert {**session.step().scalars(), "seconds": 0} == {**control.step().scalars(), "seconds": 0}

    def test_mismatch_and_cores_are_the_chips(self) -> None:
        session = digital(1)
        deployed = deploy(session, chip(**{"device.mismatch.weight": 0.2, "core.enabled": False}), seed=3)
        assert all(array.core is None and array.factor is not None for array in deployed.arrays)
        assert all(array.factor is None for array in session.arrays)

    def test_writes_are_counted_once_per_device(self) -> None:
        deployed = deploy(digital(1), chip(), seed=1)
        for array in deployed.arrays:
            assert isinstance(array, Crossbar)
            assert (array.ledger.sets + array.ledger.resets).unique().tolist() == [1]
            assert array.ledger.total_reads == 0

    def test_reads_that_are_kept_are_those_that_are_not(self, monkeypatch: pytest.MonkeyPatch) -> None:
        deployed = deploy(digital(), chip(), seed=1)
        kept = evaluate(deployed, now=1.0)
        monkeypatch.setattr(evaluation, "MOST_HELD", 0)
        assert evaluate(deployed, now=1.0).loss == kept.loss

    def test_another_preset_begins_with_its_own_constants(self) -> None:
        assert chip().device.constants == {"drift_reference": 300.0}
        joshi = chip(**{"device.preset": "joshi2020", "device.constants.read_noise": 0.5})
        assert joshi.device.constants == {"read_noise": 0.5}
        assert joshi.device.devices == 2

    def test_devices_that_only_take_blind_pulses_are_named(self) -> None:
        with pytest.raises(FieldError, match=r"^model: must be one that is programmed .* got 'PulseModel'$"):
            deploy(digital(1), chip(**{"device.preset": "nandakumar2018"}), seed=1)


class TestStudy:
    def test_the_trained_network_comes_first_and_then_every_chip(self) -> None:
        session = digital()
        study = Deployment(chip(), 2, (1.0, YEAR), ("none", "column"))
        trained, *chips = run(study, session)
        found = evaluate(session)
        assert trained == [Result(TRAINED, 0.0, 0, found.accuracy, found.loss, 0.0, 0)]
        cases = [("none", 1.0), ("none", YEAR), ("column", 1.0), ("column", YEAR)]
        for seed, results in enumerate(chips, start=1):
            deployed = deploy(session, study.chip, seed)
            assert [(result.compensation, result.seconds) for result in results] == cases
            assert {(result.chip, result.error, result.saturated) for result in results} == {(seed, deployed.error, 0)}
            assert results[1].loss == evaluate(deployed, now=YEAR).loss
            assert results[3].loss == evaluate(deployed.compensated("column", YEAR), now=YEAR).loss
            assert len({result.loss for result in results}) == 4
        assert len(chips) == 2

    def test_regression_is_judged_by_its_loss(self) -> None:
        task = {"name": "pattern", "inputs": 10, "duration": 0.1}
        session = Session(PRESETS["float32"].config.with_values({"task": task, "network.hidden": 10}))
        results = [result for part in run(Deployment(chip(), 1, (1.0,), ("none",)), session) for result in part]
        assert all(math.isnan(result.accuracy) for result in results)
        head, trained, none, last = lines(results)
        assert head.split()[:3] == ["compensation", "time", "loss"]
        assert trained.split()[:2] == [TRAINED, f"{results[0].loss:.4f}"]
        assert none.split()[:4] == ["none", "1", "s", f"{results[1].loss:.4f}"]
        assert last == f"programming error {100 * results[1].error:.2f} % of full scale; 0 weights of a chip saturated"

    @pytest.mark.parametrize(("values", "text"), [
        ({"chips": 0}, r"Deployment.chips: must be a whole number >= 1, got 0"),
        ({"times": ()}, r"Deployment.times: must be at least one, each once"),
        ({"times": (1.0, 1.0)}, r"Deployment.times: must be at least one, each once"),
        ({"times": (0.0,)}, r"Deployment.times: must be a finite number > 0 s and <= 3.2e\+09 s, got 0.0"),
        ({"compensations": ()}, r"Deployment.compensations: must be at least one"),
        ({"compensations": ("local",)}, r"unknown compensation 'local'"),
    ])  # fmt: skip
    def test_what_makes_no_study_is_refused(self, values: dict[str, Any], text: str) -> None:
        with pytest.raises((FieldError, UnknownNameError), match=text):
            replace(Deployment(), **values)

    @pytest.mark.parametrize(("values", "text"), [
        ({"percentile": 10.0}, r"Chip.percentile: must be a finite number >= 50 % and <= 100 %, got 10.0"),
        ({"weight_bits": 1}, r"Chip.weight_bits: must be a whole number >= 2 and <= 8 or none, got 1"),
        ({"core.adc_bit": 6}, r"unknown setting 'core.adc_bit' .did you mean 'core.adc_bits'"),
    ])  # fmt: skip
    def test_what_makes_no_chip_is_refused(self, values: dict[str, Any], text: str) -> None:
        with pytest.raises((FieldError, UnknownNameError), match=text):
            chip(**values)


@pytest.mark.parametrize(("text", "seconds"), [
    ("100", 100.0), ("1 s", 1.0), ("2.5h", 9000.0), ("1 d,1 month", (86400.0, 2592000.0)), ("1e3 s", 1000.0),
    ("1 year", YEAR), ("30 min", 1800.0),
])  # fmt: skip
def test_times_are_numbers_with_units(text: str, seconds: Any) -> None:
    assert times(text) == (seconds if isinstance(seconds, tuple) else (seconds,))


def test_times_are_told_as_people_say_them() -> None:
    assert [told(time) for time in (*Deployment.times, 0.5, 90.0)] == [
        "1 s", "1 h", "1 d", "1 month", "1 year", "0.5 s", "1.5 min",
    ]  # fmt: skip


COMMAND = ["deploy", "--chips", "2", "--times", "1 s,1 year", "--compensation", "none,global", "--quiet"]
NETWORK = ["yin-yang", "--trials", "3", "--set", "network.hidden=12", "--set", "task={name: yin-yang, train: 60, validation: 30, test: 45}"]  # fmt: skip


def test_the_command_trains_and_prints_and_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "all.parquet")
    assert cli.main([*COMMAND, *NETWORK, "--set", "core.adc_bits=6", "--out", out]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed] == [
        "compensation", TRAINED, "none", "none", "global", "global", "programming",
    ]  # fmt: skip
    frame = parquet.read_table(out).to_pandas()
    assert list(frame) == list(Result.__dataclass_fields__)
    assert frame["chip"].tolist() == [0, 1, 1, 1, 1, 2, 2, 2, 2]
    session = Session(PRESETS["yin-yang"].config.with_values({**SMALL, "network.hidden": 12}))
    list(session.run(3))
    assert frame["loss"][0] == evaluate(session).loss
    deployed = deploy(session, chip(**{"core.adc_bits": 6}), seed=1)
    assert frame["loss"][2] == evaluate(deployed, now=YEAR).loss


def test_a_checkpoint_is_deployed_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", *NETWORK, "--quiet", "--out", str(tmp_path / "run")]) == 0
    for network in (tmp_path / "run", tmp_path / "run" / "checkpoint.safetensors"):
        assert cli.main([*COMMAND, str(network), "--out", str(tmp_path / "out.csv")]) == 0
        told_first = (tmp_path / "out.csv").read_text().splitlines()[1]
        assert float(told_first.split(",")[4]) == evaluate(Session.resume(tmp_path / "run/checkpoint.safetensors")).loss
    capsys.readouterr()
    assert cli.main([*COMMAND, str(tmp_path / "run"), "--trials", "5"]) == 2
    assert "a checkpoint is deployed as it is" in capsys.readouterr().err


@pytest.mark.parametrize("bad", [
    ["--times", "soon"], ["--times", "0 s"], ["--times", "1 s,1 s"], ["--compensation", "local"], ["--chips", "0"],
    ["--trials", "0"], ["--out", "all.txt"], ["--out", "/no/such/folder/all.csv"], ["--set", "core.adc_bits=1"],
    ["--set", "device.preset=nandakumar2018"], ["--set", "device.devices=3"], ["--set", "network.hidden=0"],
    ["--set", "network.loop=torch"], ["--set", "percentile=5"],
])  # fmt: skip
def test_bad_arguments_are_one_line_and_code_2(bad: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = cli.main([*COMMAND, *NETWORK, *bad])
    except SystemExit as stop:
        code = int(stop.code or 0)
    captured = capsys.readouterr()
    assert (code, captured.out) == (2, "")
    assert len(captured.err.splitlines()) == 1
    assert captured.err.startswith("pcmlab: ")


@pytest.mark.parametrize("network", ["no-such-preset", "missing.safetensors", "missing.yaml"])
def test_a_network_that_is_not_there_is_named(network: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*COMMAND, network]) == 2
    assert network in capsys.readouterr().err
