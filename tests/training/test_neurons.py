"""The neuron against closed forms; mismatch against its definition; feedback against its recursion."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pcmsim.digital import DigitalArray
from pcmsim.streams import Streams
from training.config import RunConfig
from training.kernels import Activity, pseudo_derivative
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


def test_a_synaptic_current_decays_through_the_membrane() -> None:
    """One spike of weight w at step 0: v[t] = w (alpha^(t+1) - s^(t+1)) / (alpha - s)."""
    config = NetworkConfig(hidden=1, threshold=1e3, tau_synapse=10e-3)
    network = Network(config, 1, streams=Streams(0), dtype=np.float64)
    arrays = Arrays(*(DigitalArray(torch.tensor([[w]], dtype=torch.float64)) for w in (0.5, 0.0, 0.0)))
    spike = from_raster(np.arange(80)[:, None] == 0)
    activity = network.run(arrays, spike, ReadNoise.none((80, 1, 1), np.float64), 0.0)
    alpha, synapse, n = math.exp(-1.0 / 30.0), math.exp(-1.0 / 10.0), np.arange(1, 81)
    np.testing.assert_allclose(activity.voltage[:, 0], 0.5 * (alpha**n - synapse**n) / (alpha - synapse), rtol=1e-10)


@pytest.mark.parametrize("steepness", [0.0, 2.0, 10.0])
def test_the_pseudo_derivative_has_its_closed_form(steepness: float) -> None:
    """A triangle two thresholds wide of area gamma thr; SuperSpike falls to a quarter at distance thr / steepness."""
    v = np.linspace(-1.0, 2.0, 30001)
    slope = np.array([pseudo_derivative(one, 0.5, 0.0, 0.3, steepness) for one in v])
    assert slope.max() == pytest.approx(0.3, rel=1e-3)
    assert v[slope.argmax()] == pytest.approx(0.5, abs=1e-4)
    if steepness:
        quarter = pseudo_derivative(0.5 + 0.5 / steepness, 0.5, 0.0, 0.3, steepness)
        assert quarter == pytest.approx(0.3 / 4.0)
    else:
        assert slope.sum() * 1e-4 == pytest.approx(0.3 * 0.5, rel=1e-3)
    assert pseudo_derivative(0.5, 0.5, math.inf, 0.3, steepness) == 0.0


@pytest.mark.parametrize("distribution", ["normal", "log-normal"])
def test_each_parameter_has_its_own_spread(distribution: str) -> None:
    config = NetworkConfig(
        hidden=4000, tau_synapse=5e-3, tau_mismatch=0.1, synapse_mismatch=0.3, readout_mismatch=0.2,
        gain_mismatch=0.15, mismatch_distribution=distribution,
    )  # fmt: skip
    constants = dynamics(config, 4000, streams=Streams(3), dtype=np.float64)
    cell, out = constants.cell, constants.out
    drawn = {0.1: -1e-3 / np.log(cell.alpha), 0.3: -1e-3 / np.log(cell.synapse), 0.2: -1e-3 / np.log(out.kappa)}
    drawn[0.15] = cell.gain
    for level, values in drawn.items():
        assert values.std() / values.mean() == pytest.approx(level, rel=0.05)
        assert (values > 0.0).all()
    assert np.abs(np.corrcoef(list(drawn.values())) - np.eye(4)).max() < 4 / math.sqrt(4000)
    assert constants.filtered


def test_new_kinds_of_mismatch_leave_the_old_draws_alone() -> None:
    old = NetworkConfig(tau_mismatch=0.2, threshold_mismatch=0.3)
    new = NetworkConfig(
        tau_mismatch=0.2, threshold_mismatch=0.3, tau_synapse=5e-3, synapse_mismatch=0.1, gain_mismatch=0.1, dead=0.3
    )
    before, after = (dynamics(config, 2, streams=Streams(3)) for config in (old, new))
    np.testing.assert_array_equal(before.cell.alpha, after.cell.alpha)
    np.testing.assert_array_equal(before.cell.threshold, after.cell.threshold)
    np.testing.assert_array_equal(before.out.kappa, after.out.kappa)


def test_dead_neurons_never_spike_and_more_of_them_include_the_fewer() -> None:
    some, more = (
        np.isinf(dynamics(NetworkConfig(hidden=40, dead=share), 1, streams=Streams(5)).cell.limit)
        for share in (0.15, 0.5)
    )
    assert (some.sum(), more.sum()) == (6, 20)
    assert (more | ~some).all()
    values = {"network.dead": 0.5, "network.threshold": 0.02, "network.hidden": 40, "task.duration": 0.1}
    session = Session(RunConfig().with_values(values))
    fired = {number for record in session.run(3) for number in record.hidden.neuron.tolist()}
    assert len(fired) > 5
    assert not fired & set(np.flatnonzero(np.isinf(session.network.dynamics.cell.limit)).tolist())


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


ADAM = {**PRESETS["float32"].values, "scheme": "adam", "learning.lr_output": 1e-3}


@pytest.mark.parametrize("values", [PRESETS["float32"].values, ADAM], ids=["descent", "adam"])
def test_adaptive_feedback_approaches_the_output_weights(values: dict[str, object]) -> None:
    """Same step and same decay on both: B - W^T shrinks by (1 - decay) at each update."""
    adaptive = {**values, "learning.feedback": "adaptive", "learning.feedback_decay": 0.02}
    session = Session(RunConfig().with_values(adaptive))
    apart = session.feedback - session.arrays.output.stored_weights().T
    list(session.run(20))
    now = session.feedback - session.arrays.output.stored_weights().T
    torch.testing.assert_close(now, apart * 0.98**20, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(("scheme", "rate"), [("mixed-precision", 2e-4), ("mixed-precision-adam", 1e-3)])
def test_adaptive_feedback_goes_along_with_the_weight_and_what_waits_for_it(scheme: str, rate: float) -> None:
    """On devices whose pulses are exact, written weights and accumulator together make the feedback's steps."""
    values = {
        **PRESETS[scheme].values,
        "learning.lr_output": rate,
        "device.preset": "ideal",
        "learning.feedback": "adaptive",
    }
    exact = {"precision.weight_bits": 6, "device.scale": 12.0}  # a quantum is two pulses
    session = Session(RunConfig().with_values({**values, **exact}))
    before, weights = session.feedback.clone(), session.arrays.output.stored_weights()
    list(session.run(150))
    waiting, written = session.updates.state["output"]["accumulator"], session.arrays.output.stored_weights() - weights
    assert int((written.abs() > 0.01).sum()) > 3
    torch.testing.assert_close((session.feedback - before).T, written + waiting, rtol=1e-3, atol=1e-3)


def test_the_angle_between_feedback_and_output_weights_closes_under_adam_as_under_plain_descent() -> None:
    """From 0.17 to above 0.99 with a decay of 0.01; by the raw gradient's step it stays at 0.6 under Adam."""
    for values in (PRESETS["float32"].values, {**ADAM, "learning.lr_input": 1e-3, "learning.lr_recurrent": 1e-3}):
        adaptive = {**values, "learning.feedback": "adaptive", "learning.feedback_decay": 0.01}
        session = Session(RunConfig().with_values(adaptive))
        cosines = [_aligned(session)]
        for _ in range(3):
            list(session.run(100))
            cosines.append(_aligned(session))
        assert cosines == sorted(cosines)
        assert cosines[0] < 0.3
        assert cosines[-1] > 0.99


def _aligned(session: Session) -> float:
    """Cosine of the angle between the feedback and the output weights."""
    feedback, weights = session.feedback.reshape(-1), session.arrays.output.stored_weights().T.reshape(-1)
    return float(torch.nn.functional.cosine_similarity(feedback, weights, dim=0))


def test_where_the_output_weights_stand_still_their_feedback_does_too() -> None:
    values = {**ADAM, "learning.lr_output": 0.0, "learning.feedback": "adaptive", "learning.feedback_decay": 0.1}
    session = Session(RunConfig().with_values(values))
    before = session.feedback.clone()
    list(session.run(2))
    assert torch.equal(session.feedback, before)


@pytest.mark.slow
@pytest.mark.parametrize("feedback", ["symmetric", "random", "adaptive"])
def test_every_feedback_learns(feedback: str) -> None:
    """A silent network has 0.2; a third of it after 100 epochs."""
    values = {**PRESETS["float32"].values, "learning.feedback": feedback}
    losses = [record.loss for record in Session(RunConfig().with_values(values)).run(300)]
    assert np.mean(losses[-9:]) < 0.07
