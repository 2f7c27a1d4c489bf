"""Reports on one synapse and one neuron against the state they describe."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pcmsim.errors import FieldError
from training import eprop, inspection, spikes
from training.config import RunConfig
from training.kernels import Activity
from training.session import Session

VALUES = {"network.hidden": 20, "task": {"name": "pattern", "inputs": 10, "duration": 0.3}, "scheme": "sign"}
CONFIG = RunConfig().with_values({**VALUES, "device.devices": 2, "device.mismatch.drift_exponent": 0.2})


@pytest.fixture(scope="module")
def session() -> Session:
    session = Session(CONFIG)
    session.observe()
    for _ in session.run(5):
        pass
    return session


def busiest(session: Session) -> tuple[int, int]:
    sets = session.arrays.input.ledger.sets.sum((0, 1))
    return divmod(int(sets.argmax()), sets.shape[1])


def test_a_cell_is_its_devices(session: Session) -> None:
    pre, post = busiest(session)
    array, report = session.arrays.input, inspection.cell(session, "input", pre, post)
    assert [(d.polarity, d.number) for d in report.devices] == [("+", 0), ("+", 1), ("-", 0), ("-", 1)]
    conductance = array.conductance(session.device_time)[:, :, pre, post].reshape(-1)
    for k, device in enumerate(report.devices):
        sign, number = divmod(k, 2)
        assert device.stored == float(array.state.conductance[sign, number, pre, post])
        assert device.drifted == pytest.approx(float(conductance[k]), rel=1e-6)
        assert device.exponent == pytest.approx(
            0.04 * float(array.spread.drift_exponent[sign, number, pre, post]), rel=1e-5
        )
        assert device.age == session.device_time - float(array.state.written_at[sign, number, pre, post])
        assert device.drifted == pytest.approx(
            device.stored * (max(device.age, 0.5e-3) / 38.6) ** -device.exponent, rel=1e-4
        )


def test_the_events_of_a_cell_add_up_to_its_pulses(session: Session) -> None:
    report = inspection.cell(session, "input", *busiest(session))
    assert sum(device.sets for device in report.devices) > 0
    for device in report.devices:
        assert device.events["sets"].sum() == device.sets == device.pulses
        if device.sets:
            assert device.events["conductance"][-1] == np.float32(device.stored)


def test_what_learning_asks_of_a_cell(session: Session) -> None:
    pre, post = busiest(session)
    report, watch = inspection.cell(session, "input", pre, post), session.updates.watch["input"]
    assert report.latest == float(watch.latest[pre, post])
    assert (report.asked, report.applied) == (float(watch.asked[pre, post]), float(watch.applied[pre, post]))
    assert report.weight == pytest.approx(float(session.arrays.input.moments(session.device_time).mean[pre, post]))
    assert report.waiting is None


def test_the_accumulator_of_a_cell() -> None:
    session = Session(CONFIG.with_values({"scheme": "mixed-precision"}))
    session.step()
    accumulator = session.updates.state["input"]["accumulator"]
    pre, post = divmod(int(accumulator.abs().argmax()), 20)
    held = float(accumulator[pre, post])
    report = inspection.cell(session, "input", pre, post)
    assert report.waiting == held != 0.0
    assert (report.latest, report.asked, report.applied) == (None, None, None)
    assert all(len(device.events) == 0 for device in report.devices)


def test_reads_of_a_cell_have_the_moments_of_a_read(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "READS", 20_000)
    pre, post = busiest(session)
    array, report = session.arrays.input, inspection.cell(session, "input", pre, post)
    mean, variance = array.model.read(array.state, array.spread, session.device_time).moments()
    for k, device in enumerate(report.devices):
        place = (*divmod(k, 2), pre, post)
        assert device.reads.mean() == pytest.approx(
            float(mean[place]), abs=4 * (float(variance[place]) / 20_000) ** 0.5
        )
        assert device.reads.var() == pytest.approx(float(variance[place]), rel=0.06)


def test_digital_cells_have_no_devices() -> None:
    session = Session(CONFIG.with_values({"scheme": "float32"}))
    report = inspection.cell(session, "output", 0, 0)
    assert report.devices == ()
    assert report.weight == float(session.arrays.output.weights[0, 0])


@pytest.mark.parametrize(
    "values", [{}, {"network.adaptive": 1.0, "network.adaptation": 0.02, "network.refractory": 3e-3}]
)
def test_learning_signal_times_eligibility_is_the_gradient(values: dict) -> None:
    """Summed over the trial it equals the whole-trial gradient of that synapse (Bellec et al. 2020)."""
    session = Session(CONFIG.with_values({"learning.rate_strength": 0.0, "network.threshold": 0.03, **values}))
    sample = session.sampler.sample(0)
    record = session.step()
    for number in (0, 7, 19):
        report = inspection.neuron(session, record, number)
        expected = gradient(session, sample, record)[report.source, number]
        assert float((report.signal * report.eligibility).sum()) == pytest.approx(float(expected), rel=1e-3, abs=1e-7)


def gradient(session: Session, sample, record) -> torch.Tensor:
    activity = Activity(record.voltage, record.hidden, record.output, record.raised)
    driving = eprop.signals(
        session.config.learning,
        session.present_feedback(),
        record.output - record.target,
        activity,
        session.config.network.dt,
    )
    return eprop.trial_gradients(session.network.assumed("nominal"), driving, activity, sample.inputs, 10)[0]


def test_a_neuron_is_its_trial() -> None:
    session = Session(CONFIG.with_values({"network.threshold": 0.02, "network.threshold_mismatch": 0.3}))
    record = session.step()
    counts = spikes.counts(record.hidden, 20)
    number = int(counts.argmax())
    report = inspection.neuron(session, record, number)
    assert counts[number] == len(report.spikes) > 0
    assert report.rate == pytest.approx(counts[number] / 0.3)
    assert np.array_equal(report.voltage, record.voltage[:, number])
    steps = np.round(report.spikes / 1e-3).astype(int)
    assert (report.voltage[steps] > report.threshold).all()
    assert (np.delete(report.voltage, steps) <= report.threshold).all()


@pytest.mark.parametrize(
    ("layer", "pre", "post", "message"),
    [
        ("hidden", 0, 0, "cell.layer: must be one of input, recurrent, output, got 'hidden'"),
        ("input", 10, 0, "cell.pre: must be a neuron from 0 to 9, got 10"),
        ("output", 0, -1, "cell.post: must be a neuron from 0 to 0, got -1"),
    ],
)
def test_cells_that_do_not_exist(session: Session, layer: str, pre: int, post: int, message: str) -> None:
    with pytest.raises(FieldError, match=message):
        inspection.cell(session, layer, pre, post)


def test_neurons_that_do_not_exist(session: Session) -> None:
    with pytest.raises(FieldError, match="neuron: must be a neuron from 0 to 19, got 20"):
        inspection.neuron(session, session.step(), 20)


def test_looking_changes_nothing() -> None:
    plain, seen = Session(CONFIG), Session(CONFIG)
    for _ in range(3):
        record = seen.step()
        inspection.cell(seen, "recurrent", 1, 2)
        inspection.neuron(seen, record, 3)
        assert plain.step().loss == record.loss


def test_reads_are_the_same_for_the_same_moment() -> None:
    one, two = Session(CONFIG), Session(CONFIG)
    assert np.array_equal(
        inspection.cell(one, "input", 1, 1).devices[0].reads, inspection.cell(two, "input", 1, 1).devices[0].reads
    )
