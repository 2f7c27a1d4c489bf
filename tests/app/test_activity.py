"""Rasters and traces against the spikes and traces of the record."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from app.theme import LIGHT, rgba
from app.views import activity, pixels
from training.config import RunConfig
from training.records import TrialRecord
from training.session import Session
from training.spikes import from_raster, to_raster

TINY = RunConfig().with_values(
    {"network.hidden": 20, "task": {"name": "pattern", "inputs": 10, "duration": 0.05, "rate": 200.0}}
)


@pytest.fixture(scope="module")
def record() -> TrialRecord:
    return Session(TINY).step()


def unpacked(words: np.ndarray, across: int) -> list[list[bool]]:
    """Bit by bit, in Python's integers."""
    return [[bool(int(row[column // 32]) & 1 << column % 32) for column in range(across)] for row in words]


def test_small_rasters_are_the_spikes_with_neurons_upward_and_time_rightward(record: TrialRecord) -> None:
    shown = activity.columns(record, TINY, LIGHT)["raster"]
    hidden, inputs = (unpacked(words, across) for words, across in zip(shown["bits"], shown["across"], strict=True))
    assert record.inputs.neuron.size > 0
    assert np.array_equal(hidden, to_raster(record.hidden, 20).T)
    assert np.array_equal(inputs, to_raster(record.inputs, 10).T)
    assert shown["colour"] == [rgba(LIGHT.spikes), rgba(LIGHT.inputs)]


def test_traces_are_those_of_the_record_on_the_time_axis(record: TrialRecord) -> None:
    shown = activity.columns(record, TINY, LIGHT)
    assert shown["raster"]["dw"] == pytest.approx([0.05, 0.05])
    assert np.array_equal(shown["output"]["output"], record.output[:, 0].astype(np.float32))
    assert np.array_equal(shown["output"]["target"], record.target[:, 0].astype(np.float32))
    assert shown["output"]["time"] == pytest.approx(np.arange(50) * 1e-3)


@pytest.mark.parametrize(("steps", "neurons"), [(1, 1), (499, 128), (1201, 129), (3000, 300)])
def test_a_pooled_raster_marks_exactly_the_cells_that_hold_a_spike(steps: int, neurons: int) -> None:
    raster = (np.random.default_rng(steps).random((steps, neurons)) < 0.003).astype(np.uint8)
    image = pixels.raster(from_raster(raster), neurons)
    expected = np.zeros((min(neurons, 128), min(steps, 500)), np.uint8)
    for step, neuron in np.argwhere(raster):
        expected[neuron * len(expected) // neurons, step * expected.shape[1] // steps] = 1
    assert np.array_equal(image, expected)


def test_long_traces_are_thinned_to_under_twice_the_columns() -> None:
    config = TINY.with_values({"task.duration": 1.999})
    shown = activity.columns(Session(config).step(), config, LIGHT)["output"]
    assert len({len(values) for values in shown.values()}) == 1
    assert 500 <= len(shown["time"]) < 1000


def test_a_silent_trial_is_an_empty_picture(record: TrialRecord) -> None:
    silent = replace(record, hidden=from_raster(np.zeros((50, 20), np.uint8)), output=np.zeros_like(record.output))
    shown = activity.columns(silent, TINY, LIGHT)["raster"]
    assert shown["bits"][0].shape == (20, 2)
    assert shown["across"][0] == 50
    assert not shown["bits"][0].any()


@pytest.mark.parametrize("size", [1e10, -1e10, np.finfo(np.float32).max])
def test_a_runaway_output_is_finite_and_its_axis_bounded(size: float, record: TrialRecord) -> None:
    wild, view = replace(record, output=np.full_like(record.output, size)), activity.build(LIGHT)
    assert np.isfinite(activity.columns(wild, TINY, LIGHT)["output"]["output"]).all()
    activity.fit(view, wild, TINY)
    span = view.figures["output"].y_range
    assert -2e6 < span.start < span.end < 2e6


def test_the_axes_hold_the_whole_trial(record: TrialRecord) -> None:
    view = activity.build(LIGHT)
    activity.fit(view, record, TINY)
    output, raster = view.figures["output"], view.figures["raster"]
    assert (output.x_range.start, output.x_range.end) == pytest.approx((0.0, 0.05))
    assert raster.x_range is output.x_range
    shown = np.concatenate((record.output[:, 0], record.target[:, 0]))
    assert output.y_range.start <= shown.min() <= shown.max() <= output.y_range.end
