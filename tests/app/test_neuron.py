"""One neuron: traces, threshold and spikes are those of the trial."""

from __future__ import annotations

import re

import numpy as np
import pytest

from app.theme import DARK, LIGHT
from app.views import neuron
from training import inspection, spikes
from training.config import RunConfig
from training.inspection import NeuronReport
from training.records import TrialRecord
from training.session import Session

LONG = RunConfig().with_values(
    {
        "network.hidden": 20,
        "network.threshold": 0.02,
        "network.threshold_mismatch": 0.2,
        "task": {"name": "pattern", "inputs": 10, "duration": 1.2, "rate": 60.0},
    }
)


@pytest.fixture(scope="module")
def session() -> Session:
    return Session(LONG)


@pytest.fixture(scope="module")
def record(session: Session) -> TrialRecord:
    return list(session.run(3))[-1]


@pytest.fixture(scope="module")
def busy(record: TrialRecord) -> int:
    return int(spikes.counts(record.hidden, 20).argmax())


@pytest.fixture(scope="module")
def report(session: Session, record: TrialRecord, busy: int) -> NeuronReport:
    return inspection.neuron(session, record, busy)


def test_traces_are_the_trials_own_thinned_evenly(record: TrialRecord, busy: int, report: NeuronReport) -> None:
    shown = neuron.columns(report)["traces"]
    assert shown["voltage"] == pytest.approx(record.voltage[::2, busy])
    assert shown["time"] == pytest.approx(np.arange(0, 1200, 2) * 1e-3)
    error = (record.output - record.target)[::2, 0]
    assert abs(np.corrcoef(shown["signal"], error)[0, 1]) == pytest.approx(1.0, abs=1e-5)
    assert shown["eligibility"] == pytest.approx(report.eligibility[::2])
    assert {column.dtype for column in shown.values()} == {np.dtype(np.float32)}


def test_a_short_trial_is_shown_step_by_step() -> None:
    session = Session(LONG.with_values({"task.duration": 0.1}))
    record = session.step()
    shown = neuron.columns(inspection.neuron(session, record, 4))["traces"]
    assert np.array_equal(shown["voltage"], record.voltage[:, 4])


def test_spikes_stand_at_their_times_above_voltage_and_threshold(
    record: TrialRecord, busy: int, report: NeuronReport
) -> None:
    shown = neuron.columns(report)["spikes"]
    fired = np.flatnonzero(spikes.to_raster(record.hidden, 20)[:, busy]) * 1e-3
    assert shown["time"] == pytest.approx(fired)
    assert len(fired) > 2
    assert set(shown["voltage"]) == {max(float(record.voltage[:, busy].max()), report.threshold)}


def test_axes_hold_the_traces_and_the_line_is_the_neurons_own_threshold(session: Session, record: TrialRecord) -> None:
    view, seen = neuron.build(LIGHT), set()
    for number in range(20):
        report = inspection.neuron(session, record, number)
        view.show(neuron.columns(report))
        neuron.fit(view, report)
        (limit,) = set(view.sources["traces"].data["limit"])
        assert limit == session.network.dynamics.cell.threshold[number]
        seen.add(limit)
        for name, plot in view.figures.items():
            values = getattr(report, name)
            assert plot.y_range.start <= values.min() <= values.max() <= plot.y_range.end
            assert (plot.x_range.start, plot.x_range.end) == (0.0, report.time[-1])
        assert view.figures["voltage"].y_range.end > report.threshold
    assert len(seen) == 20


def test_the_line_of_an_adaptive_neuron_rises_with_its_spikes_and_has_gaps_where_it_rests() -> None:
    values = {"network.adaptive": 1.0, "network.adaptation": 0.05, "network.refractory": 4e-3}
    session = Session(LONG.with_values({**values, "network.threshold": 0.02}))
    record = session.step()
    number = int(spikes.counts(record.hidden, 20).argmax())
    report = inspection.neuron(session, record, number)
    fired = np.flatnonzero(spikes.to_raster(record.hidden, 20)[:, number])
    assert len(fired) > 2
    for step in fired[fired < len(report.limit) - 4]:
        assert np.isnan(report.limit[step + 1 : step + 4]).all()
        assert report.limit[step + 4] > report.limit[step] + 0.04
    view = neuron.build(LIGHT)
    view.show(neuron.columns(report))
    neuron.fit(view, report)
    assert view.figures["voltage"].y_range.end > np.nanmax(report.limit)


def test_a_silent_neuron_has_no_spikes_and_its_threshold_in_sight() -> None:
    session = Session(LONG.with_values({"network.threshold": 1.0, "network.threshold_mismatch": 0.0}))
    report = inspection.neuron(session, session.step(), 0)
    view, shown = neuron.build(LIGHT), neuron.columns(report)
    view.show(shown)
    neuron.fit(view, report)
    assert (len(shown["spikes"]["time"]), shown["spikes"]["voltage"]) == (0, [])
    assert view.figures["voltage"].y_range.end > 1.0


def test_the_numbers_are_those_of_the_neuron(record: TrialRecord, busy: int, report: NeuronReport) -> None:
    told = dict(re.findall("<dt>(.*?)</dt><dd>(.*?)</dd>", neuron.table(report)))
    count = (record.hidden.neuron == busy).sum()
    assert float(told["firing rate"].removesuffix(" Hz")) == pytest.approx(count / 1.2, abs=0.051)
    assert float(told["threshold"]) == pytest.approx(report.threshold, rel=5e-3)
    assert told["trial"] == "2"
    source = int(spikes.counts(record.inputs, 10).argmax())
    assert told["eligibility of"] == f"input {source} → neuron {busy}"


def test_each_trace_keeps_its_colour_by_mode() -> None:
    view = neuron.build(LIGHT)
    view.paint(DARK)
    colours = {name: plot.renderers[0].glyph.line_color for name, plot in view.figures.items()}
    assert colours == {"voltage": DARK.spikes, "signal": DARK.minus, "eligibility": DARK.plus}
