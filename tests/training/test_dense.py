"""The dense loop in the published style computes the same training as the compiled one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pcmsim.plan import PulsePlan
from training.config import RunConfig
from training.dense import FORMS, dense_step, forward, read_devices
from training.presets import MIXED
from training.session import Session
from training.spikes import to_raster

SMALL = {
    **MIXED,
    "network.hidden": 20,
    "task": {"name": "pattern", "inputs": 20, "duration": 0.2, "rate": 100.0},
    "device.initial_conductance": 2.0,
    "network.threshold": 0.05,
}
FAST = {"learning.lr_input": 5e-3, "learning.lr_recurrent": 5e-3, "learning.lr_output": 1e-2}


@pytest.mark.parametrize("form", FORMS)
def test_on_exact_devices_both_train_alike(form: str) -> None:
    values = {**SMALL, **FAST, "device.preset": "ideal"}
    dense, compiled = (Session(RunConfig().with_values(values)) for _ in range(2))
    for record in compiled.run(6):
        assert dense_step(dense, generator=torch.Generator(), form=form) == pytest.approx(record.loss, rel=1e-4)
    for mine, theirs in zip(dense.arrays, compiled.arrays, strict=True):
        torch.testing.assert_close(mine.stored_weights(), theirs.stored_weights())
    assert compiled.updates.sets > 0


@pytest.mark.parametrize("mode", ["output", "device"])
def test_on_noisy_devices_both_read_alike(mode: str) -> None:
    """What a neuron receives in a step, its mean and its spread: white, so 4 000 independent numbers each."""
    session = Session(RunConfig().with_values({**SMALL, "network.threshold": 100.0, "device.read_mode": mode}))
    raster = torch.from_numpy(to_raster(session.sampler.sample(0).inputs, 20)).float()
    dense = forward(session, raster, 38.4, generator=torch.Generator().manual_seed(2))[0].numpy()
    generator = torch.Generator().manual_seed(9)
    reads = torch.stack([read_devices(session.arrays.input, 38.5, generator=generator) for _ in range(2000)])
    mean, variance = (raster @ reads.mean(0)).numpy(), (raster @ reads.var(0)).numpy()
    alpha = session.network.dynamics.cell.alpha[0]
    for voltage in (session.step().voltage, dense):
        received = voltage - alpha * np.concatenate([np.zeros_like(voltage[:1]), voltage[:-1]])
        active = variance > 0
        score = (received[active] - mean[active]) / np.sqrt(variance[active])
        assert score.size > 3000
        assert score.mean() == pytest.approx(0.0, abs=4 / np.sqrt(score.size))
        assert score.std() == pytest.approx(1.0, abs=0.05)


def test_drift_within_a_trial_is_followed_closely() -> None:
    """A trial straight after an update, where a fresh device sags by a quarter within a second."""
    values = {**SMALL, "network.threshold": 100.0, "device.update_interval": 0.2, "device.constants.read_noise": 0.0}
    session = Session(RunConfig().with_values(values))
    crossbar = session.arrays.input
    everything = torch.arange(crossbar.state.conductance.numel())
    crossbar.apply(PulsePlan.build(everything[:400]), 0.0, generator=torch.Generator().manual_seed(1))
    raster = torch.from_numpy(to_raster(session.sampler.sample(0).inputs, 20)).float()
    dense = forward(session, raster, 0.0, generator=torch.Generator())[0].numpy()
    compiled = session.step().voltage
    frozen = raster.numpy() @ crossbar.moments(0.2).mean.numpy()
    assert np.abs(compiled - dense).max() < 0.01 * np.abs(dense).max()
    assert np.abs(filtered(frozen, session.network.dynamics.cell.alpha[0]) - dense).max() > 0.02 * np.abs(dense).max()


def filtered(series: np.ndarray, alpha: float) -> np.ndarray:
    out, state = np.empty_like(series), np.zeros(series.shape[1])
    for t, value in enumerate(series):
        state = alpha * state + value
        out[t] = state
    return out
