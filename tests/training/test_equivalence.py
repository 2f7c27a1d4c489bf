"""One computation, several routes: compiled, torch, matrix product, online, autograd."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from training import eprop, spikes
from training.config import LearningConfig, RunConfig
from training.kernels import Activity
from training.network import Network, ReadNoise, row_reads, stretches
from training.online import OnlineEprop
from training.presets import PRESETS
from training.session import Session
from training.torch_loop import State, TorchReads, activity, simulate

ADAPTIVE = {"network.adaptive": 0.5, "network.adaptation": 0.03, "network.tau_adaptation": 0.1}
REFRACTORY = {"network.refractory": 4e-3}
SYNAPSE = {"network.tau_synapse": 4e-3, "network.threshold": 0.25}
STEEP = {"network.steepness": 5.0}
CELLS = [{}, ADAPTIVE, REFRACTORY, SYNAPSE, {**ADAPTIVE, **REFRACTORY, **SYNAPSE, **STEEP}]
NAMES = ["plain", "adaptive", "refractory", "synapse", "all"]

PCM = {"learning.rate_target": 20.0, "learning.rate_strength": 0.01}


def lively(values: dict | None = None, *, dtype: type = np.float64) -> tuple[Session, Network, ReadNoise]:
    """A session whose network spikes, and the noise of its first trial."""
    config = RunConfig().with_values(
        {
            "network.hidden": 40,
            "network.threshold": 0.08,
            "task": {"name": "pattern", "inputs": 30, "duration": 0.3},
            **(values or {}),
        }
    )
    session = Session(config)
    for array in session.arrays[:2]:
        _excite(array)
    network = Network(config.network, 1, streams=session.streams, dtype=dtype)
    noise = ReadNoise.draw((300, 40, 1), 0, streams=session.streams, dtype=dtype)
    return session, network, noise


def _excite(array) -> None:
    state = array.state.conductance
    state[0] += 1.5 * torch.rand(state[0].shape, generator=torch.Generator().manual_seed(3))
    state[1] += 1.0 * torch.rand(state[1].shape, generator=torch.Generator().manual_seed(4))


def run_both(session: Session, network: Network, noise: ReadNoise, mode: str) -> tuple[Activity, State]:
    inputs = session.sampler.sample(0).inputs
    compiled = network.run(session.arrays, inputs, noise, 37.6, read_mode=mode)
    reads = tuple(
        TorchReads(row_reads(array, _moment(session), mode, key, network.dtype))
        for array, key in zip(session.arrays, noise.keys, strict=True)
    )
    raster = torch.from_numpy(spikes.to_raster(inputs, 30).astype(network.dtype))
    dense = simulate(network.dynamics, reads, raster, tuple(map(torch.from_numpy, (noise.hidden, noise.output))))
    return compiled, dense


def _moment(session: Session) -> float:
    [(_, _, moment)] = stretches(session.arrays, 37.6, 1e-3, 0, 300)
    return moment


WEIGHTS = {"device.mismatch.weight": 0.3}


@pytest.mark.parametrize("mode", ["output", "device"])
@pytest.mark.parametrize("devices", [1, 3])
@pytest.mark.parametrize("values", [*CELLS, WEIGHTS], ids=[*NAMES, "weights"])
def test_compiled_loop_equals_torch_loop(mode: str, devices: int, values: dict) -> None:
    session, network, noise = lively({"device.devices": devices, **values})
    compiled, states = run_both(session, network, noise, mode)
    dense = activity(network.dynamics, states, np.float64)
    assert compiled.hidden.neuron.size > 50
    np.testing.assert_array_equal(compiled.hidden.neuron, dense.hidden.neuron)
    np.testing.assert_array_equal(compiled.hidden.start, dense.hidden.start)
    for name in ("voltage", "output", "raised"):
        np.testing.assert_allclose(getattr(compiled, name), getattr(dense, name), rtol=1e-5, atol=1e-6)
    assert (compiled.raised.size == 0) == (values in ({}, SYNAPSE, WEIGHTS))


def test_neuron_mismatch_is_the_same_in_both_loops() -> None:
    levels = {
        "tau_mismatch": 0.3,
        "threshold_mismatch": 0.2,
        "gain_mismatch": 0.2,
        "synapse_mismatch": 0.4,
        "dead": 0.2,
    }
    session, network, noise = lively({**SYNAPSE, **{f"network.{name}": level for name, level in levels.items()}})
    compiled, states = run_both(session, network, noise, "output")
    assert min(np.ptp(getattr(network.dynamics.cell, name)) for name in ("alpha", "synapse", "gain")) > 0.005
    assert np.isinf(network.dynamics.cell.limit).sum() == 8
    assert not set(compiled.hidden.neuron) & set(np.flatnonzero(np.isinf(network.dynamics.cell.limit)))
    np.testing.assert_allclose(compiled.voltage, states.voltage.numpy(), rtol=1e-5, atol=1e-6)


def prepared(values: dict, *, dtype: type = np.float64):
    session, network, noise = lively({**PCM, **values}, dtype=dtype)
    sample = session.sampler.sample(0)
    activity = network.run(session.arrays, sample.inputs, noise, 37.6)
    error = activity.output - sample.target
    feedback = torch.randn((1, 40), generator=torch.Generator().manual_seed(5)).numpy()
    driving = eprop.signals(session.config.learning, feedback, error, activity, 1e-3)
    return session, network, sample, activity, error, feedback, driving


@pytest.mark.parametrize("values", [{}, SYNAPSE, {**SYNAPSE, **STEEP}])
@pytest.mark.parametrize("rate_trace", ["filtered", "unfiltered"])
def test_event_driven_gradients_equal_the_matrix_product(rate_trace: str, values: dict) -> None:
    _, network, sample, activity, _, _, driving = prepared({"learning.rate_trace": rate_trace, **values})
    by_events = eprop.trial_gradients(network.dynamics, driving, activity, sample.inputs, 30)
    by_matrix = eprop.matrix_gradients(network.dynamics, driving, activity, sample.inputs, 30)
    for mine, theirs in zip(by_events, by_matrix, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-12)


def stretch(activity: Activity, first: int, last: int) -> Activity:
    voltage, output, raised = (values[first:last] for values in (activity.voltage, activity.output, activity.raised))
    return Activity(voltage, spikes.between(activity.hidden, first, last), output, raised)


@pytest.mark.parametrize("rate_trace", ["filtered", "unfiltered"])
@pytest.mark.parametrize("eligibility", ["nominal", "true"])
@pytest.mark.parametrize("cells", CELLS, ids=NAMES)
def test_online_traces_equal_whole_trial_gradients(rate_trace: str, eligibility: str, cells: dict) -> None:
    learning = {"learning.rate_trace": rate_trace, "learning.eligibility": eligibility}
    values = {**learning, "network.tau_mismatch": 0.2, **cells}
    session, network, sample, activity, error, feedback, driving = prepared(values)
    learner = OnlineEprop(network, session.config.learning, 30, 300)
    for first, last in ((0, 90), (90, 91), (91, 300)):
        learner.advance(
            stretch(activity, first, last), spikes.between(sample.inputs, first, last), error[first:last], feedback
        )
    whole = eprop.trial_gradients(network.assumed(eligibility), driving, activity, sample.inputs, 30)
    for mine, theirs in zip(learner.take_gradients(), whole, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("rate_trace", ["filtered", "unfiltered"])
@pytest.mark.parametrize("every", [1, 7, 100, 299])
def test_updates_inside_a_trial_sum_to_the_whole_trial_however_many(rate_trace: str, every: int) -> None:
    """Of a silent network, whose rate is the same throughout: the regularisation acts no more often, nor less."""
    values = {"learning.rate_trace": rate_trace, "network.threshold": 10.0, "learning.rate_strength": 1.0}
    session, network, sample, activity, error, feedback, driving = prepared(values)
    assert activity.hidden.neuron.size == 0
    learner, summed = OnlineEprop(network, session.config.learning, 30, 300), [torch.zeros(1)] * 3
    for first in range(0, 300, every):
        last = min(first + every, 300)
        part = stretch(activity, first, last)
        learner.advance(part, spikes.between(sample.inputs, first, last), error[first:last], feedback)
        summed = [total + part for total, part in zip(summed, learner.take_gradients(), strict=True)]
    whole = eprop.matrix_gradients(network.dynamics, driving, activity, sample.inputs, 30)
    assert whole[0].norm() > 0.0
    for mine, theirs in zip(summed, whole, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-9)


def test_session_with_one_update_at_the_end_is_the_same_online_and_after() -> None:
    base = {"scheme": "float32", "precision.weight_bits": None, "network.threshold": 0.03}
    after = Session(RunConfig().with_values(base))
    online = Session(RunConfig().with_values({**base, "learning.update_every": 1000}))
    for a, b in zip(after.run(5), online.run(5), strict=True):
        assert b.loss == pytest.approx(a.loss, rel=1e-5)
    for mine, theirs in zip(online.arrays, after.arrays, strict=True):
        apart = (mine.stored_weights() - theirs.stored_weights()).norm()
        assert apart < 1e-5 * theirs.stored_weights().norm()


def test_updates_inside_the_trial_change_the_course() -> None:
    base = {"scheme": "float32", "precision.weight_bits": None, "network.threshold": 0.03}
    after = Session(RunConfig().with_values(base))
    every = Session(RunConfig().with_values({**base, "learning.update_every": 100}))
    losses = [[record.loss for record in session.run(60)] for session in (after, every)]
    assert losses[0] != losses[1]
    assert np.mean(losses[1][-9:]) < 0.9 * np.mean(losses[1][:9])


@pytest.mark.parametrize("values", CELLS, ids=NAMES)
def test_gradient_equals_autograd_with_detached_recurrence(values: dict) -> None:
    """Symmetric feedback: e-prop is BPTT without the path through other neurons' spikes and the reset."""
    session, network, noise = lively({**PCM, **values})
    sample = session.sampler.sample(0)
    silent = ReadNoise(np.zeros_like(noise.hidden), np.zeros_like(noise.output), noise.keys)
    reads = [row_reads(array, _moment(session), "output", 0, np.float64) for array in session.arrays]
    exact = tuple(TorchReads(r._replace(variance=np.empty((0, 0)))) for r in reads)
    for array in exact:
        array.mean.requires_grad_()
    raster = torch.from_numpy(spikes.to_raster(sample.inputs, 30).astype(np.float64))
    states = simulate(
        network.dynamics, exact, raster, tuple(map(torch.from_numpy, (silent.hidden, silent.output))), detach=True
    )
    target = torch.from_numpy(sample.target)
    rate = states.spiked.mean(0) / 1e-3
    (0.5 * ((states.output - target) ** 2).sum() + 0.5 * 0.01 * 1e-3 * ((rate - 20.0) ** 2).sum()).backward()
    happened = activity(network.dynamics, State(*(series.detach() for series in states)), np.float64)
    learning = LearningConfig(rate_strength=0.01, rate_target=20.0, rate_trace="unfiltered")
    feedback = exact[2].mean.detach().numpy().T
    driving = eprop.signals(learning, feedback, happened.output - sample.target, happened, 1e-3)
    gradients = eprop.trial_gradients(network.dynamics, driving, happened, sample.inputs, 30)
    assert happened.hidden.neuron.size > 50
    for mine, array in zip(gradients, exact, strict=True):
        wanted = array.mean.grad.clone()
        if wanted.shape[0] == wanted.shape[1]:
            wanted.fill_diagonal_(0.0)
        torch.testing.assert_close(mine, wanted, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"device.read_mode": "device"},
        {"device.update_interval": 0.3},
        {"learning.update_every": 100},
        ADAPTIVE,
        {**SYNAPSE, "learning.update_every": 100},
    ],
)
def test_session_by_the_torch_loop_is_the_same_session(values: dict) -> None:
    small = {
        **PRESETS["mixed-precision"].values,
        "network.hidden": 20,
        "network.threshold": 0.02,
        "task": {"name": "pattern", "inputs": 20, "duration": 0.3},
    }
    compiled = Session(RunConfig().with_values({**small, **values}))
    dense = Session(RunConfig().with_values({**small, **values, "network.loop": "torch"}))
    for a, b in zip(compiled.run(3), dense.run(3), strict=True):
        np.testing.assert_array_equal(a.hidden.neuron, b.hidden.neuron)
        np.testing.assert_allclose(a.output, b.output, rtol=1e-5, atol=1e-6)
        assert a.hidden.neuron.size > 0
