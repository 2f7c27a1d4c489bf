"""Exported tables hold what the plots show, row by row."""

from __future__ import annotations

import numpy as np
import pytest

from app import tables
from app.history import Curve, Drift
from app.shot import Shot
from training.config import RunConfig
from training.session import Session

CONFIG = RunConfig().with_values(
    {"network.hidden": 6, "task": {"name": "pattern", "inputs": 4, "duration": 0.2}, "device.devices": 2}
)


def shot_of(config: RunConfig, trials: int = 3) -> Shot:
    session, curve, drift = Session(config), Curve(), Drift()
    session.observe()
    for record in session.run(trials):
        curve.append(record)
        drift.append(record)
    return Shot(1, 1, False, config, 0, record, curve, drift, 0.0, session.snapshot())


@pytest.fixture(scope="module")
def shot() -> Shot:
    return shot_of(CONFIG)


@pytest.mark.parametrize(
    "config", [CONFIG, CONFIG.with_values({"scheme": "float32"}), CONFIG.with_values({"core.enabled": True})]
)
@pytest.mark.parametrize("name", tables.TABLES)
def test_every_table_has_columns_of_one_length(name: str, config: RunConfig) -> None:
    columns = tables.TABLES[name](shot_of(config), [])
    assert len({len(column) for column in columns.values()}) == 1
    assert columns


def test_learning_names_every_curve(shot: Shot) -> None:
    other = shot_of(CONFIG.with_values({"seed": 1}), 2).curve.columns()
    columns = tables.learning(shot, [("pinned", other)])
    assert columns["run"].tolist() == ["this run"] * 3 + ["pinned"] * 2
    assert columns["loss"][3:].tolist() == other["loss"].tolist()
    assert columns["trial"].tolist() == [0, 1, 2, 0, 1]


def test_output_is_the_latest_trial(shot: Shot) -> None:
    columns = tables.output(shot, [])
    assert np.array_equal(columns["output_0"], shot.record.output[:, 0])
    assert np.array_equal(columns["target_0"], shot.record.target[:, 0])
    assert columns["time"][-1] == pytest.approx(0.199)


def test_conversions_are_counted_by_the_sum_that_they_stand_for(shot: Shot) -> None:
    assert not any(len(column) for column in tables.conversions(shot, []).values())
    cored = shot_of(CONFIG.with_values({"core.enabled": True}))
    columns = tables.conversions(cored, [])
    for layer, taken in cored.snapshot.items():
        own = columns["layer"] == layer
        assert np.array_equal(columns["conversions"][own], taken.core.histogram)
        assert np.array_equal(columns["most"][own][:-1], columns["least"][own][1:])
        assert (columns["least"][own][0], columns["most"][own][-1]) == (-np.inf, np.inf)


def test_spikes_are_those_of_the_latest_trial(shot: Shot) -> None:
    columns = tables.raster(shot, [])
    hidden = columns["layer"] == "hidden"
    assert hidden.sum() == shot.record.hidden.neuron.size
    assert np.array_equal(columns["neuron"][~hidden], shot.record.inputs.neuron)
    assert (np.diff(columns["time"][~hidden]) >= 0.0).all()


def test_synapses_point_at_their_weights(shot: Shot) -> None:
    columns = tables.synapses(shot, [])
    assert len(columns["pre"]) == 4 * 6 + 6 * 6 + 6 * 1
    row = np.flatnonzero((columns["layer"] == "recurrent") & (columns["pre"] == 2) & (columns["post"] == 5))[0]
    taken = shot.snapshot["recurrent"]
    assert columns["weight"][row] == taken.weights[2, 5]
    assert columns["asked"][row] == taken.asked[2, 5]


def test_devices_point_at_their_conductances(shot: Shot) -> None:
    columns = tables.devices(shot, [])
    assert len(columns["pre"]) == 2 * 2 * (4 * 6 + 6 * 6 + 6 * 1)
    chosen = (columns["layer"] == "input") & (columns["polarity"] == "-") & (columns["device"] == 1)
    row = np.flatnonzero(chosen & (columns["pre"] == 3) & (columns["post"] == 1))[0]
    taken = shot.snapshot["input"]
    assert columns["conductance"][row] == taken.conductance[1, 1, 3, 1]
    assert columns["age"][row] == taken.age[1, 1, 3, 1]


def test_digital_weights_have_no_rows_of_devices() -> None:
    assert len(tables.devices(shot_of(CONFIG.with_values({"scheme": "float32"})), [])["pre"]) == 0
