"""Tick marks: few, round, inside the axis, whatever is zoomed into."""

from __future__ import annotations

import numpy as np
import pytest

from app.views import activity, conductance, drift, learning
from app.views.marks import steps


@pytest.mark.parametrize("seed", range(20))
def test_steps_are_even_round_inside_and_few(seed: int) -> None:
    generator = np.random.default_rng(seed)
    low = generator.normal() * 10.0 ** generator.integers(-3, 4)
    high = low + 10.0 ** generator.uniform(-3, 4)
    found = steps(low, high)
    assert 2 <= len(found) <= 6
    assert low - 1e-9 * abs(low) <= found[0] and found[-1] <= high + 1e-9 * abs(high)
    step = found[1] - found[0]
    assert np.diff(found) == pytest.approx(step)
    assert step / 10.0 ** np.floor(np.log10(step) + 1e-6) == pytest.approx(1, rel=1e-3) or round(
        step / 10.0 ** np.floor(np.log10(step) + 1e-6)
    ) in (2, 5)


@pytest.mark.parametrize(
    ("marks", "low", "high"),
    [
        (learning.loss_marks, 1e-6, 1e6),
        (learning.loss_marks, 0.05, 1.0),
        (learning.loss_marks, 0.2101, 0.2103),
        (conductance.count_marks, -4.5, 4.5),
        (conductance.count_marks, 0.1, 1.2),
        (drift.time_marks, 30.0, 1000.0),
        (drift.time_marks, 1.0, 1e10),
        (drift.time_marks, 4000.0, 9000.0),
        (drift.time_marks, 1e6, 1.2e6),
        (drift.time_marks, 100.0, 100.5),
    ],
)
def test_there_are_always_some_marks_and_all_lie_on_the_axis(marks, low: float, high: float) -> None:
    found = marks(low, high)
    assert 2 <= len(found) <= 20
    assert all(low <= place <= high * (1 + 1e-9) for place in found)
    assert all(found.values())


def test_marks_of_counts_say_how_many_devices_a_height_stands_for() -> None:
    for height, text in conductance.count_marks(0.1, 1.2).items():
        assert 10.0**height - 1.0 == pytest.approx(float(text))


def test_bands_are_named_where_they_are_seen() -> None:
    assert activity.band_marks(0.0, 0.5) == {0.25: "hidden"}
    assert activity.band_marks(0.97, 1.03) == {}
    assert list(activity.band_marks(0.5, 1.5).values()) == ["hidden", "input"]
