"""A run on a chip in this process: the numbers of the compiled loop, and what a chip must keep to."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from pcmsim.errors import FieldError, FileError, PCMLabError, RestartRequiredError
from pcmsim.plan import Plan, PulsePlan, WeightPlan
from training.chip import Chip, ChipError, ChipInfo, contract
from training.chip.simulated import SimulatedChip
from training.config import RunConfig
from training.evaluation import evaluate
from training.network import LAYERS
from training.session import Session
from training.spikes import Spikes

CONFIG = RunConfig().with_values({
    "core.enabled": True, "network.hidden": 24, "precision.weight_bits": 4,
    "task": {"name": "pattern", "inputs": 20, "duration": 0.1, "rate": 100.0},
    "learning.lr_input": 2e-2, "learning.lr_recurrent": 2e-2, "learning.lr_output": 2e-2,
})  # fmt: skip
DIGITAL = CONFIG.with_values({"scheme": "float32"})


def assert_same_run(one: Session, other: Session, trials: int = 3) -> None:
    """Both take the same trials and end on the same weights, to the bit."""
    for a, b in zip(one.run(trials), other.run(trials), strict=True):
        assert np.array_equal(a.voltage, b.voltage)
        assert np.array_equal(a.output, b.output)
        assert (a.loss, a.sets, a.resets, a.total_reads, a.device_time) == (
            b.loss,
            b.sets,
            b.resets,
            b.total_reads,
            b.device_time,
        )
    mine, theirs = one.snapshot(), other.snapshot()
    for layer in LAYERS:
        for name in ("weights", "variance", "conductance", "age", "sets", "resets"):
            assert np.array_equal(getattr(mine[layer], name), getattr(theirs[layer], name)), (layer, name)


@pytest.mark.parametrize("values", [
    {}, {"core.rows": 10}, {"device.read_mode": "device"}, {"scheme": "float32"}, {"scheme": "update-ready"},
    {"refresh.enabled": True, "refresh.saturation": 2.0}, {"learning.update_every": 20}, {"device.devices": 3},
    {"learning.feedback": "adaptive"}, {"network.tau_synapse": 0.005, "network.adaptive": 0.5, "network.refractory": 0.003},
    {"device.mismatch.weight": 0.2, "network.dead": 0.2}, {"device.update_interval": 0.1}, {"device.preset": "joshi2020"},
], ids=str)  # fmt: skip
def test_a_run_on_a_chip_has_the_numbers_of_the_compiled_loop(values) -> None:
    config = CONFIG.with_values(values)
    on_chip = Session(config, SimulatedChip(config))
    assert_same_run(Session(config), on_chip)
    assert on_chip.arrays.input._link.number > 0


def test_evaluation_finds_the_same_and_disturbs_nothing() -> None:
    here, chip = Session(CONFIG), Session(CONFIG, SimulatedChip(CONFIG))
    assert_same_run(here, chip)
    one, other = evaluate(here, most=2), evaluate(chip, most=2)
    assert (one.loss, one.hidden_spikes) == (other.loss, other.hidden_spikes)
    assert one.energy > 0.0
    assert other.energy is None
    assert_same_run(here, chip)


@pytest.mark.parametrize("config", [CONFIG, DIGITAL], ids=["devices", "digital"])
@pytest.mark.parametrize("promise", contract.PROMISES, ids=lambda promise: promise.__name__)
def test_the_simulated_chip_keeps_to_the_contract(promise, config) -> None:
    promise(SimulatedChip(config))


class Broken(SimulatedChip):
    """Breaks one promise."""

    def __init__(self, fault: str) -> None:
        super().__init__(CONFIG)
        self.fault = fault

    def info(self) -> ChipInfo:
        return dataclasses.replace(super().info(), **({"protocol": 2} if self.fault == "version" else {}))

    def program(self, layer: str, plan: Plan, now: float, key: int, number: int) -> int:
        if self.fault == "twice" and number <= self._info.number:
            self._info = dataclasses.replace(self._info, number=number - 1)
        if self.fault == "forgetful":
            return number
        if self.fault == "blind" and layer in self._arrays and math.isnan(now):
            now = self.clock()
        return super().program(layer, plan, now, key, number)

    def mvm(self, layer: str, rows: Spikes, first: int, now: float, key: int) -> np.ndarray:
        sums = super().mvm(layer, rows, first + self.info().number * (self.fault == "moody"), now, key)
        if self.fault == "moody":
            self._info = dataclasses.replace(self._info, number=self._info.number + 1)
        return -sums if self.fault == "inverted" else sums + (self.fault == "humming")

    def wait(self, until: float) -> float:
        if self.fault == "backwards" and until == 0.0:
            self._clock = float(until)
        return super().wait(until)


@pytest.mark.parametrize(("fault", "said"), [
    ("version", "version 1"), ("twice", "repeated one to write nothing"), ("forgetful", "number of the program"),
    ("blind", "time NaN refused"), ("moody", "same sums"), ("inverted", "expected to rise by"),
    ("humming", "0 where no row"), ("backwards", "never goes back"),
])  # fmt: skip
def test_the_contract_finds_what_an_adapter_breaks(fault: str, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        contract.check(Broken(fault))


def test_sums_are_the_weights_of_the_active_rows_through_ideal_converters() -> None:
    exact = {"adc_bits": None, "mvm_noise": 0.0, "gain_spread": 0.0, "offset_spread": 0.0, "calibration": 0, "rows": 8}
    chip = SimulatedChip(DIGITAL.with_values({f"core.{name}": value for name, value in exact.items()}))
    rows = Spikes(np.array([0, 2, 2, 5], np.int64), np.array([1, 9, 0, 8, 19], np.int32))
    weights = chip.read("input", 0.0).mean.astype(np.float64)
    sums = chip.mvm("input", rows, 0, 0.0, 1)
    assert sums.shape == (3, 3, 24)
    expected = [
        [weights[[1]], weights[[9]], weights[[]]],
        [weights[[]]] * 3,
        [weights[[0]], weights[[8]], weights[[19]]],
    ]
    assert np.allclose(sums, [[part.sum(0) for part in step] for step in expected], atol=1e-6)


def test_a_run_goes_on_from_its_checkpoint_where_the_chip_stands(tmp_path) -> None:
    straight, chip = Session(CONFIG), SimulatedChip(CONFIG)
    on_chip = Session(CONFIG, chip)
    assert_same_run(straight, on_chip)
    on_chip.save(tmp_path / "run.safetensors")
    resumed = Session.resume(tmp_path / "run.safetensors", chip)
    assert_same_run(straight, resumed)
    with pytest.raises(FileError, match=r"stands at program \d+, the chip at \d+; expected the same"):
        Session.resume(tmp_path / "run.safetensors", chip)


def test_a_checkpoint_and_a_chip_that_do_not_belong_together_are_told(tmp_path) -> None:
    Session(CONFIG, SimulatedChip(CONFIG)).save(tmp_path / "chip.safetensors")
    with pytest.raises(FileError, match="run on a chip, which holds its weights; expected that chip"):
        Session.resume(tmp_path / "chip.safetensors")
    Session(CONFIG).save(tmp_path / "here.safetensors")
    with pytest.raises(FileError, match="holds its weights itself; expected a checkpoint of a run on a chip"):
        Session.resume(tmp_path / "here.safetensors", SimulatedChip(CONFIG))


def test_a_second_run_is_told_of_the_first_and_begins_where_the_chip_stands_if_it_may() -> None:
    chip = SimulatedChip(CONFIG)
    list(Session(CONFIG, chip).run(2))
    programs, clock = chip.info().number, chip.clock()
    with pytest.raises(
        ChipError, match=rf"chip simulated: another run has written to it \({programs} programs\), and a new"
    ):
        Session(CONFIG, chip)
    assert chip.info().number == programs
    second = Session(CONFIG, chip, overwrite_chip=True)
    assert second.device_time == clock
    list(second.run(2))
    assert chip.info().number > programs


@pytest.mark.parametrize(("values", "said"), [
    ({"network.hidden": 25}, r"input weights: must be of the chip's shape \(20, 24\), got \(20, 25\)"),
    ({"scheme": "float32"}, "scheme: must be one that programs PulsePlan"),
])  # fmt: skip
def test_a_run_that_does_not_fit_the_chip_is_refused(values, said: str) -> None:
    chip = SimulatedChip(CONFIG)
    with pytest.raises(FieldError, match=said):
        Session(CONFIG.with_values(values), chip)
    assert chip.info().number == 0


def test_a_matrix_larger_than_the_chip_is_refused() -> None:
    with pytest.raises(FieldError, match=r"cores: must be at most the chip's 2 of 10 x 256, got 8"):
        SimulatedChip(CONFIG.with_values({"core.rows": 10}), cores=2)


def test_a_chip_needs_converters() -> None:
    with pytest.raises(FieldError, match=r"CoreConfig\.enabled: must be true for a chip"):
        SimulatedChip(CONFIG.with_values({"core.enabled": False}))


def test_a_chip_of_another_version_is_refused() -> None:
    with pytest.raises(ChipError, match="expected version 1 of the protocol, got 2"):
        Session(CONFIG, Broken("version"))


def test_device_settings_are_the_chips() -> None:
    session = Session(CONFIG, SimulatedChip(CONFIG))
    with pytest.raises(RestartRequiredError, match=r"device\.scale, core\.adc_bits"):
        session.configure(CONFIG.with_values({"device.scale": 10.0, "core.adc_bits": 6}))
    session.configure(CONFIG.with_values({"learning.lr_input": 0.0}))
    assert session.config.learning.lr_input == 0.0


def test_a_run_on_a_chip_cannot_be_copied() -> None:
    with pytest.raises(ChipError, match="fork: a run on a chip cannot be copied"):
        Session(CONFIG, SimulatedChip(CONFIG)).fork()


def test_drift_is_made_up_for_as_in_the_simulation() -> None:
    here, chip = Session(CONFIG).arrays.input, Session(CONFIG, SimulatedChip(CONFIG)).arrays.input
    gain = here.drift_gain(1.0, 1e6)
    assert gain > 1.0
    assert chip.drift_gain(1.0, 1e6) == pytest.approx(gain)
    twice = chip.rescaled(2.0)
    assert torch.equal(twice.moments(1.0).mean, 2.0 * chip.moments(1.0).mean)
    rows, once, both = Spikes(np.array([0, 1], np.int64), np.array([3], np.int32)), np.zeros((1, 24)), np.zeros((1, 24))
    chip.reads(1.0, 7).add(rows, 0, once)
    twice.reads(1.0, 7).add(rows, 0, both)
    assert np.array_equal(both, 2.0 * once)
    with pytest.raises(FieldError, match="gain: must be a finite number > 0"):
        chip.rescaled(0.0)


class Present(SimulatedChip):
    """Knows its present alone."""

    def info(self) -> ChipInfo:
        return dataclasses.replace(super().info(), capabilities=())


def test_drift_of_a_chip_without_other_times_cannot_be_asked_for() -> None:
    with pytest.raises(ChipError, match="drift gain: the chip knows its present alone"):
        Session(CONFIG, Present(CONFIG)).arrays.input.drift_gain(1.0, 2.0)


BAD = [
    (lambda chip: chip.program("fourth", WeightPlan(torch.zeros(2)), 0.0, 1, 1), "unknown layer 'fourth'"),
    (lambda chip: chip.program("input", PulsePlan.build(), 0.0, 1, 1), "input.plan: must be a WeightPlan, got 'PulsePlan'"),
    (lambda chip: chip.program("input", WeightPlan(torch.full((20, 24), math.nan)), 0.0, 1, 1), "input.change: must be finite"),
    (lambda chip: chip.program("input", WeightPlan(torch.zeros(21, 24)), 0.0, 1, 1), r"at most the chip's shape \(20, 24\)"),
    (lambda chip: chip.program("input", WeightPlan(None), 0.0, 1, 1), "input.change: must be a tensor"),
    (lambda chip: chip.program("input", WeightPlan(torch.zeros(20, 24)), math.inf, 1, 1), "now: must be a finite number"),
    (lambda chip: chip.program("input", WeightPlan(torch.zeros(20, 24)), 0.0, 1.5, 1), "key: must be a whole number"),
    (lambda chip: chip.program("input", WeightPlan(torch.zeros(20, 24)), 0.0, 1, 2), "number: must be a whole number from 1 to 1"),
    (lambda chip: chip.mvm("input", None, 0, 0.0, 1), "rows: must be the events"),
    (lambda chip: chip.mvm("input", spikes([0, 1], [20]), 0, 0.0, 1), "input.rows: must be from 0 to 19, within the chip"),
    (lambda chip: chip.mvm("input", spikes([0, 2], [1]), 0, 0.0, 1), "rows.start: must be places"),
    (lambda chip: chip.mvm("input", spikes([0], []), 0, 0.0, 1), "rows: must be 1 to"),
    (lambda chip: chip.mvm("input", Spikes(np.array([0.0, 1.0]), np.array([1.0])), 0, 0.0, 1), "one-dimensional int64"),
    (lambda chip: chip.mvm("input", spikes([0, 1], [1]), -1, 0.0, 1), "first: must be a whole number"),
    (lambda chip: chip.read("input", math.nan), "now: must be a finite number"),
    (lambda chip: chip.wait(math.nan), "until: must be a finite number"),
]  # fmt: skip


def spikes(start: list[int], neuron: list[int]) -> Spikes:
    return Spikes(np.array(start, np.int64), np.array(neuron, np.int32))


@pytest.mark.parametrize(("call", "said"), BAD, ids=[said for _, said in BAD])
def test_nonsense_is_refused_by_name_and_writes_nothing(call, said: str) -> None:
    chip = SimulatedChip(DIGITAL)
    before = {layer: chip.read(layer, 0.0).stored for layer in LAYERS}
    with pytest.raises(PCMLabError, match=said) as refused:
        call(chip)
    assert "\n" not in str(refused.value)
    assert chip.info().number == 0
    assert all(np.array_equal(chip.read(layer, 0.0).stored, before[layer]) for layer in LAYERS)


def test_the_calls_are_six() -> None:
    assert sorted(Chip.__abstractmethods__) == ["clock", "info", "mvm", "program", "read", "wait"]
