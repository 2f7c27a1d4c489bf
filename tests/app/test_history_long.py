"""Long runs: bounded, evenly thinned, first and last kept."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from app.history import CURVE, Curve, Drift

COUNT = 20_000


def record(trial: int) -> SimpleNamespace:
    probe = np.full(8, float(trial), np.float32)
    return SimpleNamespace(
        trial=trial,
        loss=1.0 + trial,
        baseline=0.3,
        rate=5.0,
        correct=np.nan,
        device_time=38.6 * (trial + 1),
        probe=probe,
    )


@pytest.fixture(scope="module")
def curve() -> Curve:
    curve = Curve()
    for trial in range(COUNT):
        curve.append(record(trial))
    return curve


def test_a_long_curve_is_bounded_in_points_and_memory(curve: Curve) -> None:
    rows, count = curve._rows._published
    assert 1024 <= count <= 2048
    assert rows.nbytes == 2048 * len(CURVE) * 8


def test_a_long_curve_is_thinned_evenly(curve: Curve) -> None:
    trials = curve.columns()["trial"]
    assert set(np.diff(trials[:-1])) == {16.0}
    assert trials[0] == 0
    assert trials[-1] == COUNT - 1
    assert trials[-1] - trials[-2] <= 16


def test_thinning_keeps_rows_whole(curve: Curve) -> None:
    columns = curve.columns()
    assert np.array_equal(columns["loss"], columns["trial"] + 1.0)
    assert np.allclose(columns["baseline"], 0.3)


def test_smoothing_does_not_depend_on_thinning() -> None:
    coarse, fine = Curve(capacity=8), Curve(capacity=4096)
    for trial in range(500):
        coarse.append(record(trial))
        fine.append(record(trial))
    whole = fine.columns()
    for trial, smooth in zip(coarse.columns()["trial"], coarse.columns()["smooth"], strict=True):
        assert smooth == whole["smooth"][int(trial)]


def test_drift_over_a_long_run_is_spread_evenly_over_decades() -> None:
    drift = Drift()
    for trial in range(COUNT):
        drift.append(record(trial))
    times = drift.table()[:, 0]
    ratios = times[1:-1] / times[:-2]
    assert ratios.min() >= 1.01
    assert ratios[times[:-2] > 38.6 * 200].max() < 1.01 * 1.011
    assert (times[0], times[-1]) == (38.6, 38.6 * COUNT)
    assert len(times) < 1000


def test_a_late_slow_drift_thins_to_twice_the_spacing() -> None:
    drift = Drift(spacing=1.001, capacity=64)
    for trial in range(COUNT):
        drift.append(record(trial))
    table = drift.table()
    assert 32 <= len(table) <= 65
    assert np.all(np.diff(table[:, 0]) > 0)
    assert (table[0, 1], table[-1, 1]) == (0, COUNT - 1)
