"""Histories stay small, keep the ends, and are the numbers that came in."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from app.history import Curve, Drift


def record(trial: int, loss: float = 1.0, probe: int = 8) -> SimpleNamespace:
    time = 38.6 * (trial + 1)
    return SimpleNamespace(
        trial=trial, loss=loss, baseline=0.3, rate=5.0, correct=np.nan, device_time=time,
        probe=np.full(probe, float(trial), np.float32),
    )  # fmt: skip


@pytest.mark.parametrize("count", [1, 2, 63, 64, 65, 128, 129, 1000, 5001])
def test_the_curve_is_bounded_and_keeps_first_and_last(count: int) -> None:
    curve = Curve(capacity=64)
    for trial in range(count):
        curve.append(record(trial, loss=float(trial)))
    table = curve.columns()
    assert len(table["trial"]) <= 65
    assert (table["trial"][0], table["trial"][-1]) == (0, count - 1)
    assert np.all(np.diff(table["trial"]) > 0)
    assert np.array_equal(table["loss"], table["trial"])


def test_the_smoothed_loss_is_the_exponential_mean() -> None:
    losses, curve = [3.0, 1.0, 2.0, 5.0], Curve()
    for trial, loss in enumerate(losses):
        curve.append(record(trial, loss))
    weights = np.exp(-np.arange(len(losses))[::-1] / 30.0)
    assert curve.columns()["smooth"][-1] == pytest.approx(np.average(losses, weights=weights))


def test_an_empty_curve_has_all_columns() -> None:
    assert all(len(column) == 0 for column in Curve().columns().values())


def test_drift_is_kept_at_log_spaced_times() -> None:
    drift = Drift(spacing=1.05, capacity=200)
    for trial in range(20_000):
        drift.append(record(trial))
    table = drift.table()
    ratios = table[1:-1, 0] / table[:-2, 0]
    assert len(table) <= 201
    assert ratios.min() >= 1.05
    assert np.array_equal(table[:, 1] + 1, np.round(table[:, 0] / 38.6))
    assert table[-1, 1] == 19_999


def test_drift_thins_when_full() -> None:
    drift = Drift(spacing=1.0001, capacity=32)
    for trial in range(500):
        drift.append(record(trial))
    table = drift.table()
    assert len(table) <= 33
    assert (table[0, 1], table[-1, 1]) == (0, 499)


def test_without_devices_there_is_only_time() -> None:
    drift = Drift()
    drift.append(record(0, probe=0))
    assert drift.table().shape == (1, 1)


def test_a_reader_is_not_disturbed_by_later_trials() -> None:
    curve = Curve(capacity=16)
    for trial in range(10):
        curve.append(record(trial, loss=float(trial)))
    before = curve.columns()["loss"]
    kept = before.copy()
    for trial in range(10, 100):
        curve.append(record(trial, loss=float(trial)))
    assert np.array_equal(before, kept)
