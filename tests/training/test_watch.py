"""A watch holds what happened, forgets at its own pace, and disturbs nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pcmsim.crossbar import Crossbar
from pcmsim.digital import DigitalArray
from pcmsim.plan import PulsePlan, WeightPlan
from pcmsim.presets import device_model
from pcmsim.streams import Streams
from training import watch as module
from training.config import RunConfig
from training.network import LAYERS
from training.session import Session
from training.watch import LayerWatch, Update

STREAMS = Streams(3)
TINY = RunConfig().with_values({"network.hidden": 20, "task": {"name": "pattern", "inputs": 10, "duration": 0.1}})


def crossbar(devices: int = 1) -> Crossbar:
    return Crossbar(
        (6, 5), device_model("nandakumar2018"), devices=devices, scale=10.0, initial_conductance=3.0,
        generator=STREAMS.at("initial"),
    )  # fmt: skip


def write(watch: LayerWatch, array, plan, change=None, trial: int = 0, now: float = 50.0) -> None:
    asked = torch.zeros(array.shape) if change is None else change
    with watch.writing(array, Update(asked, plan, now, trial)):
        array.apply(plan, now, generator=STREAMS.at("write", trial))


@pytest.mark.parametrize("devices", [1, 3])
def test_applied_is_the_change_of_the_stored_weights(devices: int) -> None:
    array, watch = crossbar(devices), LayerWatch((6, 5))
    before = array.stored_weights().clone()
    sets = torch.arange(0, 60 * devices, 7)
    write(watch, array, PulsePlan.build(sets, torch.full_like(sets, 2), torch.tensor([0, 8, 31])))
    assert torch.allclose(watch.applied, array.stored_weights() - before, atol=1e-6)


def test_planned_is_what_the_pulses_stand_for() -> None:
    array, watch = crossbar(), LayerWatch((6, 5))
    write(watch, array, PulsePlan.build(torch.tensor([4, 30 + 9]), torch.tensor([3, 2])))
    expected = torch.zeros(30)
    expected[4], expected[9] = 3 * 0.75 / 10.0, -2 * 0.75 / 10.0
    assert torch.allclose(watch.planned.view(-1), expected)


def test_a_reset_is_planned_as_the_loss_of_what_was_there() -> None:
    array, watch = crossbar(), LayerWatch((6, 5))
    stored = float(array.state.conductance.view(-1)[7])
    write(watch, array, PulsePlan.build(reset_devices=torch.tensor([7])))
    assert float(watch.planned.view(-1)[7]) == pytest.approx(-stored / 10.0, rel=1e-6)


def test_sums_forget_by_one_over_e_in_a_window() -> None:
    array, watch = crossbar(), LayerWatch((6, 5))
    change = torch.full((6, 5), 0.5)
    write(watch, array, PulsePlan.build(), change)
    for trial in range(1, 31):
        write(watch, array, PulsePlan.build(), trial=trial)
    assert float(watch.asked[2, 2]) == pytest.approx(0.5 / math.e, rel=1e-4)
    assert watch.largest == pytest.approx(0.5 / math.e, rel=1e-4)
    assert float(watch.latest.abs().max()) == 0.0


def test_digital_weights_are_applied_as_rounded_and_clipped() -> None:
    array, watch = DigitalArray(torch.tensor([[0.5, 0.9]]), bits=3), LayerWatch((1, 2))
    write(watch, array, WeightPlan(torch.tensor([[0.30, 0.60]])), torch.tensor([[0.30, 0.60]]))
    assert watch.applied.tolist() == [[0.25, 0.0]]


def test_events_are_kept_in_order_with_what_they_left() -> None:
    array, watch = crossbar(), LayerWatch((6, 5))
    left = []
    for trial in range(4):
        plan = PulsePlan.build(
            torch.tensor([11, 12]), torch.tensor([trial + 1, 1]), torch.tensor([12]) if trial == 2 else None
        )
        write(watch, array, plan, trial=trial, now=40.0 * trial)
        left.append(float(array.state.conductance.view(-1)[11]))
    events = watch.events(11)
    assert events["trial"].tolist() == [0, 1, 2, 3]
    assert events["time"].tolist() == [0.0, 40.0, 80.0, 120.0]
    assert events["sets"].tolist() == [1, 2, 3, 4]
    assert events["conductance"].tolist() == pytest.approx(left)
    assert watch.events(12)["reset"].tolist() == [False, False, True, False]
    assert len(watch.events(13)) == 0


def test_only_the_latest_events_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CAPACITY", 10)
    array, watch = crossbar(), LayerWatch((6, 5))
    for trial in range(7):
        write(watch, array, PulsePlan.build(torch.tensor([1, 2, 3])), trial=trial)
    assert watch.events(3)["trial"].tolist() == [3, 4, 5, 6]
    assert watch.events(2)["trial"].tolist() == [4, 5, 6]
    write(watch, array, PulsePlan.build(torch.arange(25)), trial=9)
    assert watch.events(np.arange(25))["device"].tolist() == list(range(15, 25))


@pytest.mark.parametrize(
    "scheme", ["mixed-precision", "sign", "stochastic", "multi-memristor", "update-ready", "float32"]
)
def test_an_observed_run_is_the_same_run(scheme: str) -> None:
    config = TINY.with_values(
        {"scheme": scheme, "refresh.enabled": True, "refresh.saturation": 1.0, "device.devices": 2}
    )
    plain, observed = Session(config), Session(config)
    observed.observe()
    for _ in range(6):
        assert plain.step().loss == observed.step().loss
        observed.snapshot()
    for name, tensor in plain._tensors().items():
        assert torch.equal(tensor, observed._tensors()[name]), name


def test_a_session_fills_its_snapshot() -> None:
    session = Session(TINY.with_values({"scheme": "sign"}))
    session.observe()
    session.step()
    taken = session.snapshot()
    for layer in LAYERS:
        assert np.array_equal(taken[layer].asked, session.updates.watch[layer].asked.numpy())
        assert np.array_equal(taken[layer].applied, session.updates.watch[layer].applied.numpy())
    assert any(taken[layer].asked.any() for layer in LAYERS)
