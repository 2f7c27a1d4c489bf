"""Spike times against their closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from training import spikes
from training.coding import events, latency, linear


@pytest.mark.parametrize("value", [0.21, 0.3, 0.7, 1.0])
def test_latency_is_when_a_leaky_integrator_reaches_the_threshold(value: float) -> None:
    """Integrated step by step: tau dv/dt = x - v from v = 0."""
    tau, threshold, dt = 20e-3, 0.2, 1e-6
    voltage, steps = 0.0, 0
    while voltage < threshold:
        voltage += dt / tau * (value - voltage)
        steps += 1
    assert latency(value, tau, threshold) == pytest.approx(steps * dt, rel=1e-3)


def test_nothing_up_to_the_threshold_spikes_and_the_brighter_comes_first() -> None:
    times = latency([[0.0, 0.2], [0.5, 1.0]], 10e-3, 0.2)
    assert np.isinf(times[0]).all()
    assert times[1, 0] == pytest.approx(10e-3 * np.log(0.5 / 0.3))
    assert times[1, 1] < times[1, 0]


def test_linear_goes_from_early_to_late() -> None:
    np.testing.assert_allclose(linear([0.0, 0.25, 1.0], 0.01, 0.03), [0.01, 0.015, 0.03])


def test_events_say_step_and_channel() -> None:
    times = np.array([0.0029, 0.0, 0.029, np.inf, np.nan, -0.001, 0.03])
    found = events(times, 30, 1e-3)
    assert found.neuron.tolist() == [1, 0, 2]
    assert spikes.times(found).tolist() == [0, 2, 29], "0.029 s / 1 ms is 28.999999999999996 in floating point"


def test_several_spikes_of_a_channel_in_a_step_are_one() -> None:
    found = events(np.array([0.0011, 0.0012, 0.0011, 0.0]), 3, 1e-3, np.array([5, 5, 4, 5]))
    assert (found.start.tolist(), found.neuron.tolist()) == ([0, 1, 3, 3], [5, 4, 5])


def test_silence_is_no_event() -> None:
    found = events(np.full(4, np.inf), 5, 1e-3)
    assert found.start.tolist() == [0] * 6
    assert found.neuron.dtype == np.int32 and found.neuron.size == 0
