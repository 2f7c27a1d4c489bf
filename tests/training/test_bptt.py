"""Backpropagation in the loop: against autograd, against injected values, and in a session."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pcmsim.digital import DigitalArray
from pcmsim.errors import FieldError
from pcmsim.streams import Streams
from training import bptt, eprop, honesty, spikes
from training.config import LearningConfig
from training.kernels import Activity
from training.learning import RULES, readout_pressure
from training.network import Arrays, Network, ReadNoise, row_reads
from training.neurons import Dynamics, NetworkConfig
from training.presets import PRESETS
from training.session import Session
from training.torch_loop import State, TorchReads, activity, simulate

FAN_IN, HIDDEN, OUTPUTS, STEPS = 12, 20, 2, 80
LEARNING = LearningConfig(rate_strength=0.01, rate_target=20.0, rate_trace="unfiltered")
ADAPTIVE = {"adaptive": 0.5, "adaptation": 0.03, "tau_adaptation": 0.1}
CELLS = {
    "plain": {},
    "normalised": {
        "surrogate_normalised": True,
        "input_normalised": True,
        "readout_normalised": True,
        "threshold": 0.01,
    },
    "adaptive": ADAPTIVE,
    "refractory": {"refractory": 4e-3},
    "synapse": {"tau_synapse": 4e-3},
    "superspike": {"steepness": 5.0, "dampening": 1.0},
    "all": {**ADAPTIVE, "refractory": 3e-3, "tau_synapse": 4e-3, "steepness": 5.0, "readout_normalised": True},
}
MISMATCH = {
    "tau_mismatch": 0.3, "threshold_mismatch": 0.2, "gain_mismatch": 0.2, "synapse_mismatch": 0.4, "dead": 0.1,
}  # fmt: skip


def config(values: dict) -> NetworkConfig:
    return NetworkConfig(**{"hidden": HIDDEN, "threshold": 0.3, **values})


def weights() -> Arrays:
    draw = torch.Generator().manual_seed(2)
    w_in, w_rec, w_out = (
        scale * torch.randn(shape, generator=draw, dtype=torch.float64)
        for scale, shape in ((0.25, (FAN_IN, HIDDEN)), (0.15, (HIDDEN, HIDDEN)), (0.3, (HIDDEN, OUTPUTS)))
    )
    return Arrays(*(DigitalArray(w) for w in (w_in, w_rec.fill_diagonal_(0.0), w_out)))


def inputs() -> np.ndarray:
    return np.random.default_rng(3).random((STEPS, FAN_IN)) < 0.15


def target() -> np.ndarray:
    return np.random.default_rng(4).normal(size=(STEPS, OUTPUTS))


def ran(values: dict) -> tuple[Network, Arrays, Activity]:
    network, arrays = Network(config(values), OUTPUTS, streams=Streams(1), dtype=np.float64), weights()
    noise = ReadNoise.none((STEPS, HIDDEN, OUTPUTS), np.float64)
    return network, arrays, network.run(arrays, spikes.from_raster(inputs()), noise, 0.0)


def by_kernel(assumed: Dynamics, arrays: Arrays, happened: Activity) -> list[torch.Tensor]:
    driving = eprop.signals(LEARNING, arrays.output.weights.numpy().T, happened.output - target(), happened, 1e-3)
    recurrent = arrays.recurrent.weights.numpy()
    return list(bptt.trial_gradients(assumed, driving, recurrent, happened, spikes.from_raster(inputs()), FAN_IN))


def loss(output: torch.Tensor, spiked: torch.Tensor) -> torch.Tensor:
    rate = spiked.mean(0) / 1e-3
    return 0.5 * ((output - torch.from_numpy(target())) ** 2).sum() + 0.5 * 0.01 * 1e-3 * ((rate - 20.0) ** 2).sum()


@pytest.mark.parametrize("values", CELLS.values(), ids=CELLS)
@pytest.mark.parametrize("mismatch", [{}, MISMATCH], ids=["alike", "mismatched"])
def test_with_true_constants_it_is_autograd(values: dict, mismatch: dict) -> None:
    network, arrays, happened = ran({**values, **mismatch})
    reads = tuple(TorchReads(row_reads(array, 0.0, "output", 0, np.float64)) for array in arrays)
    for read in reads:
        read.mean.requires_grad_()
    none = (torch.zeros(STEPS, HIDDEN).double(), torch.zeros(STEPS, OUTPUTS).double())
    states = simulate(network.dynamics, reads, torch.from_numpy(inputs()).double(), none)
    loss(states.output, states.spiked).backward()
    dense = activity(network.dynamics, State(*(series.detach() for series in states)), np.float64)
    np.testing.assert_array_equal(dense.hidden.neuron, happened.hidden.neuron)
    assert happened.hidden.neuron.size > 50
    for mine, read in zip(by_kernel(network.dynamics, arrays, happened), reads, strict=True):
        wanted = read.mean.grad.clone()
        if wanted.shape[0] == wanted.shape[1]:
            wanted.fill_diagonal_(0.0)
        torch.testing.assert_close(mine, wanted, rtol=1e-9, atol=1e-11)


class _Recorded(torch.autograd.Function):
    """The recorded value; the derivative of the model's."""

    @staticmethod
    def forward(ctx, model: torch.Tensor, recorded: torch.Tensor) -> torch.Tensor:
        return recorded.clone()

    @staticmethod
    def backward(ctx, grad: torch.Tensor) -> tuple[torch.Tensor, None]:
        return grad, None


class _Step(torch.autograd.Function):
    """A given spike with the triangle's slope at a given voltage."""

    @staticmethod
    def forward(ctx, voltage: torch.Tensor, recorded: torch.Tensor, threshold: float) -> torch.Tensor:
        ctx.save_for_backward(voltage)
        ctx.threshold = threshold
        return recorded.clone()

    @staticmethod
    def backward(ctx, grad: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (v,) = ctx.saved_tensors
        return grad * 0.3 * (1.0 - (v - ctx.threshold).abs() / ctx.threshold).clamp(min=0.0), None, None


def test_recorded_values_replace_the_models_and_derivatives_stay_nominal() -> None:
    """The nominal model written out once more, with every spike, voltage and output replaced by the chip's."""
    network, arrays, happened = ran({"tau_synapse": 4e-3, **MISMATCH})
    w = [array.weights.clone().requires_grad_() for array in arrays]
    alpha, kappa, synapse = (np.exp(-1.0 / tau) for tau in (30.0, 30.0, 4.0))
    x, z_told = (
        torch.from_numpy(inputs()).double(),
        torch.from_numpy(spikes.to_raster(happened.hidden, HIDDEN)).double(),
    )
    v, z, i = torch.zeros((3, HIDDEN), dtype=torch.float64)
    y, ys, zs = torch.zeros(OUTPUTS, dtype=torch.float64), [], []
    for t in range(STEPS):
        i = synapse * i + x[t] @ w[0] + z @ w[1]
        v = _Recorded.apply(alpha * v + i - 0.3 * z, torch.from_numpy(happened.voltage[t]))
        z = _Step.apply(v, z_told[t], 0.3)
        y = _Recorded.apply(kappa * y + z @ w[2], torch.from_numpy(happened.output[t]))
        ys.append(y), zs.append(z)
    loss(torch.stack(ys), torch.stack(zs)).backward()
    nominal, true = (by_kernel(network.assumed(name), arrays, happened) for name in ("nominal", "true"))
    w[1].grad.fill_diagonal_(0.0)
    for mine, wanted in zip(nominal, w, strict=True):
        torch.testing.assert_close(mine, wanted.grad, rtol=1e-9, atol=1e-11)
    assert (nominal[0] - true[0]).norm() > 0.05 * true[0].norm()


def test_one_neuron_and_one_spike_in_closed_form() -> None:
    """dE/dw = (y - y*) w_out gamma (1 - |v - thr| / thr), with the chip's v and y and the model's thr."""
    network = Network(
        NetworkConfig(hidden=1, threshold=0.4, gain_mismatch=0.3, threshold_mismatch=0.3, tau_mismatch=0.3), 1,
        streams=Streams(7), dtype=np.float64,
    )  # fmt: skip
    arrays = Arrays(*(DigitalArray(torch.tensor([[w]], dtype=torch.float64)) for w in (0.5, 0.0, 0.9)))
    spike = spikes.from_raster(np.ones((1, 1)))
    happened = network.run(arrays, spike, ReadNoise.none((1, 1, 1), np.float64), 0.0)
    own = float(network.dynamics.cell.gain[0])
    assert happened.voltage[0, 0] == pytest.approx(0.5 * own, rel=1e-12)
    assert abs(own - 1.0) > 0.05
    error = happened.output - 0.2
    driving = eprop.signals(LearningConfig(rate_strength=0.0), np.array([[0.9]]), error, happened, 1e-3)
    g_in, _, g_out = bptt.trial_gradients(network.assumed("nominal"), driving, np.zeros((1, 1)), happened, spike, 1)
    slope = 0.3 * (1.0 - abs(0.5 * own - 0.4) / 0.4)
    assert float(g_in) == pytest.approx(float(error[0, 0]) * 0.9 * slope, rel=1e-12)
    assert float(g_out) == pytest.approx(float(error[0, 0]) * happened.hidden.neuron.size, rel=1e-12)


QUICK = PRESETS["evidence"].config.with_values(
    {
        "task": {"name": "evidence", "cues": 3, "cue": 0.02, "gap": 0.01, "delay": 0.02, "recall": 0.02},
        "network.hidden": 20,
        "network.threshold": 0.1,
        "learning.batch": 1,
        "learning.rule": "bptt",
    }
)


def test_a_session_moves_its_weights_along_the_true_gradient() -> None:
    values = {"scheme": "float32", "learning.rate_strength": 0.0}
    session = Session(
        QUICK.with_values({**values, **{f"learning.lr_{layer}": 0.05 for layer in ("input", "recurrent")}})
    )
    with torch.enable_grad():
        _, wanted, _ = honesty._backpropagated(honesty.prepare(session))
    before = [array.stored_weights().clone() for array in session.arrays]
    session.step()
    rates = (0.05, 0.05, session.config.learning.lr_output)
    for array, old, gradient, lr in zip(session.arrays, before, wanted, rates, strict=True):
        moved = array.stored_weights() - old
        assert gradient.abs().max() > 1e-4
        torch.testing.assert_close(moved, (-lr * gradient).float(), rtol=1e-3, atol=2e-7)


@pytest.mark.parametrize("rule", RULES)
def test_a_saved_run_goes_on_as_if_it_had_never_stopped(rule: str, tmp_path: Path) -> None:
    values = {
        "learning.rule": rule, "learning.batch": 4, "learning.dropout": 0.3, "network.tau_synapse": 5e-3,
        "network.tau_mismatch": 0.2, "network.dead": 0.1, "device.mismatch.weight": 0.2, "precision.weight_bits": 6,
        "precision.sign_magnitude": True, "precision.shadow": True, "learning.weight_strength": 1e-3,
        "learning.readout_strength": 0.1,
    }  # fmt: skip
    whole, stopped = Session(QUICK.with_values(values)), Session(QUICK.with_values(values))
    expected = [record.loss for record in whole.run(14)]
    losses = [record.loss for record in stopped.run(6)]
    stopped.save(tmp_path / "run.safetensors")
    losses += [record.loss for record in Session.resume(tmp_path / "run.safetensors").run(8)]
    assert losses == expected
    assert len(set(expected)) == 14


def test_every_rule_can_be_set_and_an_unknown_one_is_named() -> None:
    for rule in RULES:
        assert LearningConfig(rule=rule).rule == rule
    with pytest.raises(FieldError, match=r"LearningConfig.rule: must be one of e-prop, bptt, got 'rtrl'"):
        LearningConfig(rule="rtrl")


@pytest.mark.parametrize("values", [{"rule": "bptt"}, {"readout_strength": 0.1}])
def test_what_needs_the_whole_trial_excludes_updates_within(values: dict) -> None:
    with pytest.raises(FieldError, match=r"LearningConfig.update_every: must be 0 with bptt"):
        LearningConfig(update_every=10, **values)


def test_the_readouts_regularisation_acts_at_the_peak() -> None:
    output = np.random.default_rng(1).normal(size=(30, 3))
    told = torch.from_numpy(output).requires_grad_()
    (0.5 * 0.7 * (told.abs().max(0).values ** 2).mean()).backward()
    np.testing.assert_allclose(readout_pressure(LearningConfig(readout_strength=0.7), output), told.grad, rtol=1e-12)
    assert readout_pressure(LearningConfig(), output) == 0.0


def test_the_weights_regularisation_pulls_each_weight_to_zero() -> None:
    values = {"scheme": "float32", **{f"learning.lr_{layer}": 0.1 for layer in ("input", "recurrent", "output")}}
    plain, pulled = (
        Session(QUICK.with_values(values)),
        Session(QUICK.with_values({**values, "learning.weight_strength": 0.5})),
    )
    before = [array.stored_weights().clone() for array in plain.arrays]
    plain.step(), pulled.step()
    for free, held, old in zip(plain.arrays, pulled.arrays, before, strict=True):
        pull = held.stored_weights() - free.stored_weights()
        torch.testing.assert_close(pull, -0.1 * 0.5 * old, rtol=1e-4, atol=2e-7)


@pytest.mark.parametrize("rule", RULES)
def test_dropped_neurons_neither_spike_nor_learn(rule: str) -> None:
    session = Session(QUICK.with_values({"learning.rule": rule, "learning.dropout": 0.4, "scheme": "float32"}))
    seen = []
    for _ in range(30):
        silent, before = session.dropped(), session.arrays.input.stored_weights().clone()
        record = session.step()
        assert not set(record.hidden.neuron.tolist()) & set(np.flatnonzero(silent).tolist())
        moved = (session.arrays.input.stored_weights() != before).any(0).numpy()
        assert not (moved & silent).any()
        assert moved[~silent].any()
        seen.append(silent)
    assert np.mean(seen) == pytest.approx(0.4, abs=4 * np.sqrt(0.24 / 600))
    assert len({silent.tobytes() for silent in seen}) == 30
