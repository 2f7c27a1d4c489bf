"""Meters against closed forms."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from pcmsim.crossbar import Crossbar
from pcmsim.mismatch import DeviceMismatch, spread
from pcmsim.plan import PulsePlan
from pcmsim.pulse import PulseModel
from pcmsim.streams import Streams
from training import meters, spikes
from training.config import RunConfig
from training.session import Session
from training.watch import LayerWatch, Update

STREAMS = Streams(5)
PLAIN = PulseModel(
    step_slope=0.0, step_offset=0.75, step_history=0.0, spread_slope=0.0, spread_offset=0.0, spread_history=0.0
)
TINY = RunConfig().with_values({"network.hidden": 20, "task": {"name": "pattern", "inputs": 10, "duration": 0.2}})


def crossbar(model: PulseModel, shape=(100, 100), **options) -> Crossbar:
    settings = {"devices": 1, "scale": 10.0, "initial_conductance": 3.0, **options}
    return Crossbar(shape, model, generator=STREAMS.at("initial"), **settings)


def written(model: PulseModel) -> float | None:
    """Write error of one pulse on every device of a crossbar."""
    array, watch = crossbar(model), LayerWatch((100, 100))
    plan = PulsePlan.build(torch.arange(20_000))
    with watch.writing(array, Update(torch.zeros(array.shape), plan, 50.0, 0)):
        array.apply(plan, 50.0, generator=STREAMS.at("write"))
    return meters.ratio([(watch.error, watch.effort)])


def test_write_error_of_noisy_steps_is_their_spread_over_the_step() -> None:
    assert written(replace(PLAIN, spread_offset=0.3)) == pytest.approx(0.3 / 0.75, rel=0.02)


def test_write_error_of_steps_twice_the_nominal_is_one() -> None:
    assert written(replace(PLAIN, step_offset=1.5)) == pytest.approx(1.0, rel=1e-5)


def test_write_error_of_nominal_steps_is_nothing() -> None:
    assert written(PLAIN) < 1e-5


def test_write_error_without_writes_is_not_measured() -> None:
    assert meters.ratio([(0.0, 0.0)]) is None
    assert meters.ratio([]) is None


def test_drift_of_devices_of_one_age_is_the_power_law() -> None:
    session = Session(TINY.with_values({"device.constants.drift_exponent": 0.06}))
    session.device_time = 38.6e4
    drifted = meters.drifted(list(session.arrays), session.snapshot())
    assert drifted == pytest.approx(1.0 - 1e4**-0.06, rel=1e-5)


@pytest.mark.parametrize("values", [{"device.constants.drift_exponent": 0.0}, {"scheme": "float32"}])
def test_drift_where_nothing_drifts_is_not_measured(values: dict) -> None:
    session = Session(TINY.with_values(values))
    arrays = [a for a in session.arrays if isinstance(a, Crossbar)]
    assert meters.drifted(arrays, session.snapshot()) is None


def test_saturated_and_stuck_pairs_are_counted() -> None:
    array = crossbar(PLAIN, (10, 10), devices=2)
    g = array.state.conductance
    g.fill_(1.0)
    g[0, :, 0, :] = 9.5
    g[1, :, 0, :3] = 9.5
    g[0, 0, 5, 5] = 12.0  # its partner of the same polarity is low: the side is not saturated
    assert meters.share_saturated([array], 1) == pytest.approx(0.10)
    assert meters.share_saturated([array], 2) == pytest.approx(0.03)
    assert meters.share_saturated([], 1) is None


@pytest.mark.parametrize("distribution", ["normal", "log-normal"])
def test_realised_mismatch_is_the_level_up_to_sampling(distribution: str) -> None:
    drawn = spread(DeviceMismatch(step=0.2, distribution=distribution), (2, 1, 150, 100), streams=STREAMS, name="x")
    assert meters.relative_spread([drawn.step]) == pytest.approx(0.2, rel=0.02)
    assert meters.relative_spread([1.0]) is None
    assert meters.relative_spread([torch.ones(50)]) is None


def test_cosine_of_known_vectors() -> None:
    one, two = torch.tensor([3.0, 0.0]), torch.tensor([[4.0]])
    assert meters.cosine([one, two], [2 * one, 2 * two]) == pytest.approx(1.0)
    assert meters.cosine([one, two], [torch.tensor([0.0, 7.0]), torch.tensor([[0.0]])]) == pytest.approx(0.0)
    assert meters.cosine([one], [torch.tensor([-3.0, 4.0])]) == pytest.approx(-0.6)
    assert meters.cosine([one], [0 * one]) is None


def test_rounding_is_what_the_pulses_do_not_stand_for() -> None:
    watch = LayerWatch((1, 2))
    watch.asked, watch.planned = torch.tensor([[0.3, -0.4]]), torch.tensor([[0.3, 0.0]])
    assert meters.rounding([watch]) == pytest.approx(0.8)
    assert meters.rounding([LayerWatch((1, 2))]) is None


def test_asked_pulses_counts_the_largest_change_in_pulses() -> None:
    array, watch = crossbar(PLAIN, (2, 2)), LayerWatch((2, 2))
    change = torch.tensor([[0.0, -0.15], [0.01, 0.0]])
    with watch.writing(array, Update(change, PulsePlan.build(), 50.0, 0)):
        pass
    assert meters.asked_pulses([array], [watch]) == pytest.approx(0.15 / 0.075)
    assert meters.asked_pulses([], []) is None


def test_read_noise_equals_the_spread_of_repeated_noisy_currents() -> None:
    """Drawn read by read from the devices, against the meter's closed form."""
    session = Session(TINY.with_values({"device.initial_conductance": 4.0}))
    record = session.step()
    fired = spikes.to_raster(record.hidden, 20).astype(float)
    arriving = (spikes.to_raster(record.inputs, 10).astype(float), np.vstack([np.zeros((1, 20)), fired[:-1]]))
    reads = [
        array.model.read(array.state, array.spread, session.device_time).sample(400, generator=STREAMS.at("reads", k))
        for k, array in enumerate(session.arrays[:2])
    ]
    weights = [(r[:, 0, 0] - r[:, 1, 0]).numpy() / session.config.device.scale for r in reads]
    noise = sum(
        np.einsum("tp,npj->ntj", x**2, (w - w.mean(0)) ** 2).mean() for x, w in zip(arriving, weights, strict=True)
    )
    current = sum(x @ w.mean(0) for x, w in zip(arriving, weights, strict=True))
    expected = math.sqrt(noise / current.var(0).mean())
    assert meters.read_noise(session, record, session.snapshot()) == pytest.approx(expected, rel=0.05)


def test_exact_reads_have_no_noise_to_measure() -> None:
    session = Session(TINY.with_values({"device.constants.read_noise": 0.0}))
    assert meters.read_noise(session, session.step(), session.snapshot()) is None


@pytest.mark.parametrize("preset", ["nandakumar2018", "joshi2020", "ideal", "hermes"])
def test_all_meters_of_a_run(preset: str) -> None:
    values = {
        "device.preset": preset,
        "device.mismatch.step": 0.1,
        "learning.lr_output": 0.05,
        "network.threshold": 0.02,
    }
    session = Session(TINY.with_values(values))
    session.observe()
    records = list(session.run(8))
    measured = meters.measure(session, records[-1])
    assert measured.mismatch == pytest.approx(0.1, rel=0.1)
    assert measured.cosine is not None
    assert -1.0 <= measured.cosine <= 1.0
    assert (measured.drift is None) == (preset == "ideal")
    assert (measured.read_noise is None) == (preset == "ideal")
    assert 0.0 <= measured.silent <= 1.0


def test_an_unobserved_run_has_no_meters_of_updates() -> None:
    session = Session(TINY)
    measured = meters.measure(session, session.step())
    assert (measured.write_error, measured.rounding, measured.cosine, measured.asked_pulses) == (None,) * 4


def test_digital_weights_have_no_devices_to_measure() -> None:
    session = Session(TINY.with_values({"scheme": "float32", "precision.weight_bits": None}))
    session.observe()
    measured = meters.measure(session, session.step())
    assert (measured.write_error, measured.drift, measured.saturated, measured.mismatch) == (None,) * 4
    assert measured.cosine == pytest.approx(1.0, abs=1e-4)
