"""Energy of reads: V^2 G t of what is read when it is read, against sums over single devices and steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from pcmsim.crossbar import Crossbar
from pcmsim.plan import PulsePlan
from pcmsim.presets import device_model
from training import memory, spikes
from training.config import RunConfig
from training.presets import MIXED
from training.session import Session

SMALL: dict[str, Any] = {
    **MIXED,
    "network.hidden": 15,
    "network.threshold": 0.05,
    "task": {"name": "pattern", "inputs": 12, "duration": 0.2, "rate": 100.0},
    "device.initial_conductance": 2.0,
    "learning.lr_input": 0.0,
    "learning.lr_recurrent": 0.0,
    "learning.lr_output": 0.0,
}


def session(**values: Any) -> Session:
    return Session(RunConfig().with_values({**SMALL, **{name.replace("__", "."): v for name, v in values.items()}}))


def crossbar(**constants: Any) -> Crossbar:
    model, generator = device_model("nandakumar2018", constants), torch.Generator().manual_seed(0)
    return Crossbar((2, 2), model, devices=1, scale=12.0, initial_conductance=3.0, generator=generator)


def step_by_step(mine: Session, record: Any, start: float) -> float:
    """Conductance of each read of each device, at the time of its step: the sum over rows, step by step [µS]."""
    rasters = [spikes.to_raster(record.inputs, 12), *2 * [spikes.to_raster(record.hidden, 15)]]
    rasters[1] = np.concatenate((np.zeros_like(rasters[1][:1]), rasters[1][:-1]))
    total = 0.0
    for t in range(200):
        for array, raster in zip(mine.arrays, rasters, strict=True):
            read = array.model.read(array.state, array.spread, start + (t + 0.5) * 1e-3)
            total += float(raster[t] @ read.moments()[0].double().sum((0, 1, 3)).numpy())
    return total


def read_so_far(mine: Session) -> float:
    return sum(float(array.ledger.read_conductance) for array in mine.arrays)


def test_two_rows_by_hand() -> None:
    """Row 0 has 1, 2, 3 and 4 µS, row 1 5, 6, 7 and 8: 386 s after the writes all have fallen by 10^-0.04."""
    array = crossbar(read_noise=0.0)
    array.state.conductance[:, 0] = torch.tensor([[[1.0, 2.0], [5.0, 6.0]], [[3.0, 4.0], [7.0, 8.0]]])
    rows = array.moments(386.0).conductance
    assert rows.numpy() == pytest.approx(np.array([10.0, 26.0]) * 10.0**-0.04, rel=1e-6)
    array.count_reads(torch.tensor([3, 1]), float(torch.tensor([3, 1]).double() @ rows))
    joules = array.model.costs.read(float(array.ledger.read_conductance))
    assert joules == pytest.approx(0.2**2 * (3 * 10 + 26) * 10.0**-0.04 * 1e-6 * 250e-9, rel=1e-6)


def test_noisy_reads_take_on_average_what_is_charged() -> None:
    """Mean of 20 000 single reads of every device, clipping included, to four standard errors."""
    array = crossbar()
    array.state.conductance[:, 0] = torch.tensor([[[0.1, 0.2], [5.0, 11.9]], [[3.0, 0.1], [7.0, 12.0]]])
    drawn = array.model.read(array.state, array.spread, 38.6).sample(20_000, generator=torch.Generator().manual_seed(1))
    rows = drawn.double().sum((1, 2, 4))
    for charged in (array.moments(38.6).conductance, array.device_reads(38.6).conductance):
        error = (rows.mean(0) - charged).abs() / (rows.std(0) / np.sqrt(20_000))
        assert float(error.max()) < 4.0


@pytest.mark.parametrize("mode", ["output", "device"])
def test_a_trial_is_charged_read_by_read(mode: str) -> None:
    mine = session(device__read_mode=mode)
    [record] = mine.run(1)
    start = mine.device_time - 0.2
    assert record.hidden.neuron.size > 20
    assert read_so_far(mine) == pytest.approx(step_by_step(mine, record, start), rel=1e-4)


@pytest.mark.parametrize("values", [{}, {"learning__update_every": 20}])
def test_drift_within_a_trial_counts(values: dict[str, Any]) -> None:
    """Straight after the writes conductances fall by a fifth within a trial; stretches follow to a percent."""
    mine = session(device__update_interval=0.2, **values)
    for array in mine.arrays:
        everything = torch.arange(array.state.conductance.numel())
        array.apply(PulsePlan.build(everything), 0.0, generator=torch.Generator().manual_seed(1))
    [record] = mine.run(1)
    expected = step_by_step(mine, record, 0.0)
    assert read_so_far(mine) == pytest.approx(expected, rel=0.01)
    late = sum(float(array.moments(0.2).conductance.mean()) for array in mine.arrays)
    soon = sum(float(array.moments(1e-3).conductance.mean()) for array in mine.arrays)
    assert soon > 1.1 * late


def test_wires_take_their_share_of_the_current() -> None:
    lossless, lossy = (session(core__enabled=True, core__wire_resistance=ohm) for ohm in (0.0, 100.0))
    whole, less = (float(mine.arrays.input.moments(40.0).conductance.sum()) for mine in (lossless, lossy))
    kept = lossy.arrays.input.core.kept(lossless.arrays.input.model.read(
        lossless.arrays.input.state, lossless.arrays.input.spread, 40.0).moments()[0])  # fmt: skip
    assert 0.9 < float(kept.min()) < 1.0
    assert whole * float(kept.min()) < less < whole


@pytest.mark.parametrize(("values", "known"), [
    ({}, True), ({"device__preset": "ideal"}, False), ({"scheme": "float32", "precision__weight_bits": None}, False),
])  # fmt: skip
def test_digital_weights_and_ideal_devices_have_no_costs(values: dict[str, Any], known: bool) -> None:
    mine = session(**values)
    assert (memory.costs(mine.arrays, mine.config) is not None) == known


def test_files_with_the_energy_of_a_read_are_read_where_it_was_the_usual_one() -> None:
    former = RunConfig().to_dict()
    former["costs"] = {"set_pulse": 13.5e-12, "reset_pulse": 5e-12, "read": 1e-13, "endurance": 1e8}
    costs = RunConfig.from_dict(former).costs
    assert (costs.set_pulse, costs.reset_pulse, costs.read_time, costs.endurance) == (None, 5e-12, None, None)


def test_a_checkpoint_that_does_not_know_what_was_read_goes_on(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = session()
    list(mine.run(2))
    whole = mine._tensors
    monkeypatch.setattr(mine, "_tensors", lambda: {k: v for k, v in whole().items() if "read_conductance" not in k})
    mine.save(tmp_path / "old.safetensors")
    again = Session.resume(tmp_path / "old.safetensors")
    assert read_so_far(again) == 0.0
    monkeypatch.undo()
    assert [record.loss for record in again.run(2)] == [record.loss for record in mine.run(2)]
