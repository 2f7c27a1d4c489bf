"""Conductance, crossbar and drift against the arrays that they show."""

from __future__ import annotations

import numpy as np
import pytest

from app.history import Drift
from app.theme import DARK, LIGHT
from app.views import conductance, crossbar, drift
from training.config import RunConfig
from training.presets import PRESETS
from training.records import LayerSnapshot, Snapshot
from training.session import Session

SMALL = {"network.hidden": 20, "task": {"name": "pattern", "inputs": 10, "duration": 0.05}}


def trained(preset: str) -> tuple[RunConfig, Snapshot, Drift]:
    config = PRESETS[preset].config.with_values(SMALL)
    session, history = Session(config), Drift()
    for record in session.run(5):
        history.append(record)
    return config, session.snapshot(), history


@pytest.fixture(scope="module", params=["mixed-precision", "multi-memristor", "closed-loop", "ideal-4bit"])
def analog(request: pytest.FixtureRequest) -> tuple[RunConfig, Snapshot, Drift]:
    return trained(request.param)


@pytest.fixture(scope="module")
def digital() -> tuple[RunConfig, Snapshot, Drift]:
    return trained("float32")


def layer(weights: np.ndarray, conductances: np.ndarray) -> LayerSnapshot:
    return LayerSnapshot(weights, conductances, conductances, conductances.astype(np.int32))


def test_the_bars_of_either_sign_count_every_device_once(analog: tuple[RunConfig, Snapshot, Drift]) -> None:
    config, snapshot, _ = analog
    for array in snapshot.values():
        edge = conductance.right_edge(array, config.device.model(None).g_max)
        bars = conductance.columns(array, edge)["histogram"]
        for heights, devices in ((bars["plus"], array.conductance[0]), (-bars["minus"], array.conductance[1])):
            assert np.round(10.0**heights - 1.0).sum() == devices.size


def test_bars_lie_side_by_side_from_zero_to_the_edge(analog: tuple[RunConfig, Snapshot, Drift]) -> None:
    bars = conductance.columns(analog[1]["input"], 12.0)["histogram"]
    assert bars["left"][0] == 0.0
    assert bars["right"][-1] == 12.0
    assert np.array_equal(bars["left"][1:], bars["right"][:-1])


def test_a_device_beyond_the_edge_or_not_a_number_is_counted_too() -> None:
    devices = np.array([[[[-1.0, 0.0, 100.0, np.nan]]], [[[12.0, 11.999, 6.0, 0.1]]]], np.float32)
    plus, minus = conductance.counts(devices, 12.0)
    assert (plus[0], plus[-1], plus.sum()) == (3, 1, 4)
    assert (minus[-1], minus[30], minus[0], minus.sum()) == (2, 1, 1, 4)


def test_plus_stands_upward_and_minus_downward() -> None:
    devices = np.array([[[[1.0]]], [[[9.0]]]], np.float32)
    bars = conductance.columns(layer(np.ones((1, 1), np.float32), devices), 12.0)["histogram"]
    assert (bars["plus"].argmax(), bars["minus"].argmin()) == (5, 45)
    assert bars["plus"].max() == pytest.approx(np.log10(2.0))
    assert bars["minus"].min() == pytest.approx(-np.log10(2.0))


def test_histogram_axes_hold_the_tallest_bar_both_ways(analog: tuple[RunConfig, Snapshot, Drift]) -> None:
    view, shown = conductance.build(LIGHT), conductance.columns(analog[1]["recurrent"], 14.0)
    conductance.fit(view, shown)
    plot = view.figures["histogram"]
    assert plot.x_range.end == 14.0
    assert plot.y_range.end == -plot.y_range.start
    assert plot.y_range.end >= max(shown["histogram"]["plus"].max(), -shown["histogram"]["minus"].min())


def test_digital_weights_give_valid_bars_of_no_height(digital: tuple[RunConfig, Snapshot, Drift]) -> None:
    config, snapshot, _ = digital
    edge = conductance.right_edge(snapshot["recurrent"], config.device.model(None).g_max)
    bars = conductance.columns(snapshot["recurrent"], edge)["histogram"]
    assert {name: len(values) for name, values in bars.items()} == dict.fromkeys(bars, conductance.BINS)
    assert not bars["plus"].any()
    assert not bars["minus"].any()
    conductance.fit(view := conductance.build(LIGHT), {"histogram": bars})
    assert view.figures["histogram"].y_range.end > 0.0


@pytest.mark.parametrize("name", ["input", "recurrent", "output"])
def test_the_heat_map_is_the_weights_with_a_row_per_target(
    name: str, analog: tuple[RunConfig, Snapshot, Drift], digital: tuple[RunConfig, Snapshot, Drift]
) -> None:
    for _, snapshot, _ in (analog, digital):
        weights = snapshot[name].weights
        shown = crossbar.columns(snapshot[name])["weights"]
        assert np.array_equal(shown["image"][0], weights.T)
        assert (shown["dw"], shown["dh"]) == ([weights.shape[0]], [weights.shape[1]])


def test_the_heat_maps_axes_run_right_and_down() -> None:
    view = crossbar.build(LIGHT)
    crossbar.fit(view, crossbar.columns(layer(np.full((3, 5), 0.4, np.float32), np.empty(0))))
    plot, mapper = view.figures["weights"], view.mappers["weights"]
    assert (plot.x_range.start, plot.x_range.end) == (0.0, 3.0)
    assert (plot.y_range.start, plot.y_range.end) == (5.0, 0.0)
    assert mapper.low == -mapper.high
    assert mapper.high >= 0.4


def test_pooling_is_the_mean_of_each_block_and_keeps_place() -> None:
    weights = np.random.default_rng(1).normal(size=(256, 384)).astype(np.float32)
    blocks = weights.reshape(128, 2, 128, 3).mean(axis=(1, 3))
    assert crossbar.pooled(weights) == pytest.approx(blocks, abs=1e-6)


@pytest.mark.parametrize("shape", [(1, 1), (128, 128), (129, 1), (200, 131), (1000, 3)])
def test_pooling_never_leaves_a_side_beyond_the_largest(shape: tuple[int, int]) -> None:
    shown = crossbar.pooled(np.full(shape, 0.25, np.float32))
    assert shown.shape == tuple(min(side, crossbar.LARGEST) for side in shape)
    assert np.all(shown == 0.25)


def test_weights_that_are_no_numbers_are_shown_as_nothing() -> None:
    assert crossbar.pooled(np.array([[np.nan, 1.0]], np.float32)).tolist() == [[0.0, 1.0]]
    assert crossbar.limit(1.0, np.zeros((4, 4), np.float32)) == pytest.approx(1e-3)


def test_lines_of_drift_are_the_history_and_dots_its_end(analog: tuple[RunConfig, Snapshot, Drift]) -> None:
    table = analog[2].table()
    shown = drift.columns(table, DARK)
    assert shown["lines"]["time"] == pytest.approx(table[:, 0])
    for place, name in enumerate(drift.NAMES, start=1):
        assert shown["lines"][name] == pytest.approx(table[:, place])
    assert shown["tips"]["conductance"] == pytest.approx(table[-1, 1:9])
    assert shown["tips"]["time"] == pytest.approx([table[-1, 0]] * 8)
    assert shown["tips"]["colour"] == list(DARK.devices)


def test_drifts_axes_hold_first_and_last_on_a_positive_log_axis(analog: tuple[RunConfig, Snapshot, Drift]) -> None:
    view, shown = drift.build(LIGHT), drift.columns(analog[2].table(), LIGHT)
    drift.fit(view, shown)
    x, y = view.figures["devices"].x_range, view.figures["devices"].y_range
    time = shown["lines"]["time"]
    assert 0.0 < x.start <= time[0] < time[-1] <= x.end
    assert y.start == 0.0
    assert y.end >= max(shown["lines"][name].max() for name in drift.NAMES)


@pytest.mark.parametrize("table", [np.empty((0, 1)), np.array([[38.6]]), np.ones((5, 4))])
def test_fewer_devices_than_lines_give_empty_columns_of_every_name(table: np.ndarray) -> None:
    shown, view = drift.columns(table, LIGHT), drift.build(LIGHT)
    assert {name: len(values) for name, values in shown["lines"].items()} == dict.fromkeys(("time", *drift.NAMES), 0)
    assert shown["tips"] == {"time": [], "conductance": [], "colour": []}
    before = view.figures["devices"].x_range.end
    drift.fit(view, shown)
    assert view.figures["devices"].x_range.end == before


def test_digital_runs_leave_an_empty_drift(digital: tuple[RunConfig, Snapshot, Drift]) -> None:
    assert len(drift.columns(digital[2].table(), LIGHT)["lines"]["time"]) == 0


def histories(ranges: list[float], points: int = 5) -> np.ndarray:
    """A drift table whose devices range as far as told."""
    rise = np.linspace(0.0, 1.0, points)
    return np.column_stack([10.0 + rise, *(rise * reach for reach in ranges)])


def test_the_devices_that_range_most_are_shown() -> None:
    ranges = [0.1] * 64
    for place in (3, 17, 40, 63, 20, 21, 22, 50):
        ranges[place] = 5.0 + place
    shown = drift.Choice().of(histories(ranges))
    assert sorted(np.ptp(shown[:, 1:], axis=0)) == pytest.approx([8.0, 22.0, 25.0, 26.0, 27.0, 45.0, 55.0, 68.0])
    np.testing.assert_array_equal(shown[:, 0], histories(ranges)[:, 0])


def test_a_device_keeps_its_line_until_another_is_much_livelier() -> None:
    choice = drift.Choice()
    before = choice.of(histories([2.0] * 8 + [1.0] * 56))
    np.testing.assert_array_equal(choice.of(histories([2.0] * 8 + [2.9] + [1.0] * 55)), before)
    after = choice.of(histories([2.0] * 8 + [3.1] + [1.0] * 55))
    assert np.ptp(after[:, 1:], axis=0).tolist() == pytest.approx([3.1] + [2.0] * 7)


def test_few_devices_are_shown_as_they_are() -> None:
    table = histories([1.0] * 6)
    assert drift.Choice().of(table) is table
