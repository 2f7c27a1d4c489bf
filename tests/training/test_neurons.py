"""The neuron against closed forms; mismatch against its definition; feedback against its recursion."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pcmsim.digital import DigitalArray
from pcmsim.streams import Streams
from training.config import RunConfig
from training.kernels import Activity
from training.network import Arrays, Network, ReadNoise
from training.neurons import NetworkConfig, dynamics
from training.presets import PRESETS
from training.session import Session
from training.spikes import from_raster


def driven(current: float, steps: int, **values) -> Activity:
    """One neuron under a constant current, one readout."""
    config = NetworkConfig(hidden=1, **values)
    network = Network(config, 1, streams=Streams(0), dtype=np.float64)
    arrays = Arrays(*(DigitalArray(torch.tensor([[w]], dtype=torch.float64)) for w in (current, 0.0, 0.5)))
    return network.run(arrays, from_raster(np.ones((steps, 1))), ReadNoise.none((steps, 1, 1), np.float64), 0.0)


@pytest.mark.parametrize("normalised", [False, True])
def test_voltage_below_threshold_is_the_geometric_sum(normalised: bool) -> None:
    """v[t] = I gain (1 - alpha^(t+1)) / (1 - alpha)."""
    activity = driven(0.01, 200, threshold=1.0, input_normalised=normalised)
    alpha = math.exp(-1.0 / 30.0)
    gain = 1.0 - alpha if normalised else 1.0
    expected = 0.01 * gain * (1.0 - alpha ** np.arange(1, 201)) / (1.0 - alpha)
    np.testing.assert_allclose(activity.voltage[:, 0], expected, rtol=1e-12)
    assert activity.hidden.neuron.size == 0


@pytest.mark.parametrize("current", [0.01, 0.02, 0.05])
def test_first_spike_and_f_i_curve_have_their_closed_form(current: float) -> None:
    """Latency: first n with I (1 - alpha^n) / (1 - alpha) > thr. Rate: in the steady state the mean voltage balances,
    I - thr f = (1 - alpha) <v>, so f = (I - (1 - alpha) <v>) / thr per step."""
    activity = driven(current, 5000, threshold=0.1)
    alpha = math.exp(-1.0 / 30.0)
    latency = math.log(1.0 - 0.1 * (1.0 - alpha) / current) / math.log(alpha)
    first = int(np.argmax(np.diff(activity.hidden.start) > 0)) + 1
    assert first == math.floor(latency) + 1
    late = activity.voltage[1000:, 0]
    rate = np.diff(activity.hidden.start)[1000:].mean()
    assert rate == pytest.approx((current - (1.0 - alpha) * late.mean()) / 0.1, abs=2e-3)
    assert rate > 0.0


def test_readout_is_the_filtered_spike_train() -> None:
    activity = driven(0.05, 300, threshold=0.1, readout_normalised=True)
    kappa, y = math.exp(-1.0 / 30.0), 0.0
    for t, spikes in enumerate(np.diff(activity.hidden.start)):
        y = kappa * y + (1.0 - kappa) * 0.5 * spikes
        assert activity.output[t, 0] == pytest.approx(y, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("distribution", ["normal", "log-normal"])
def test_neuron_mismatch_has_the_set_spread(distribution: str) -> None:
    config = NetworkConfig(hidden=4000, tau_mismatch=0.2, threshold_mismatch=0.1, mismatch_distribution=distribution)
    cell = dynamics(config, 1, streams=Streams(3), dtype=np.float64).cell
    tau = -1e-3 / np.log(cell.alpha)
    assert tau.mean() == pytest.approx(30e-3, rel=4 * 0.2 / math.sqrt(4000))
    assert tau.std() / tau.mean() == pytest.approx(0.2, rel=0.05)
    assert cell.threshold.std() / cell.threshold.mean() == pytest.approx(0.1, rel=0.05)
    assert (cell.threshold > 0).all()
    assert abs(np.corrcoef(tau, cell.threshold)[0, 1]) < 4 / math.sqrt(4000)


def test_adaptive_feedback_approaches_the_output_weights() -> None:
    """Same update and same decay on both: B - W^T shrinks by (1 - decay) at each update."""
    values = {**PRESETS["float32"].values, "learning.feedback": "adaptive", "learning.feedback_decay": 0.02}
    session = Session(RunConfig().with_values(values))
    apart = session.feedback - session.arrays.output.stored_weights().T
    list(session.run(20))
    now = session.feedback - session.arrays.output.stored_weights().T
    torch.testing.assert_close(now, apart * 0.98**20, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("feedback", ["symmetric", "random", "adaptive"])
def test_every_feedback_learns(feedback: str) -> None:
    """A silent network has 0.2; a third of it after 100 epochs."""
    values = {**PRESETS["float32"].values, "learning.feedback": feedback}
    losses = [record.loss for record in Session(RunConfig().with_values(values)).run(300)]
    assert np.mean(losses[-9:]) < 0.07
