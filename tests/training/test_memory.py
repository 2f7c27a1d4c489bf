"""What a run's weight arrays begin with."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from training.config import RunConfig
from training.network import LAYERS
from training.session import Session

WRITTEN = RunConfig().with_values(
    {"network.hidden": 30, "task.duration": 0.05, "network.initial_gain": 0.7, "device.initial_weights": True}
)


def weights(config: RunConfig) -> dict[str, torch.Tensor]:
    """Stored weights by layer."""
    arrays = Session(config).arrays
    return {layer: array.stored_weights() for layer, array in zip(LAYERS, arrays, strict=True)}


@pytest.mark.parametrize("devices", [1, 3])
def test_exact_devices_begin_with_the_weights_of_a_digital_run_rounded_to_a_pulse(devices: int) -> None:
    exact = WRITTEN.with_values(
        {"device.preset": "ideal", "device.devices": devices, "device.initial_conductance": 0.0}
    )
    digital = weights(exact.with_values({"scheme": "float32", "precision.weight_bits": None}))
    step = Session(exact).arrays.input.view().weight_step
    for layer, found in weights(exact).items():
        assert float((found - digital[layer]).abs().max()) <= 0.5 * step * (1.0 + 1e-5)


def test_noisy_devices_begin_near_them_and_no_neuron_drives_itself() -> None:
    digital = weights(WRITTEN.with_values({"scheme": "float32", "precision.weight_bits": None}))
    for layer, found in weights(WRITTEN).items():
        assert np.corrcoef(found.reshape(-1), digital[layer].reshape(-1))[0, 1] > 0.6
    # What a RESET leaves is noisy.
    assert float(weights(WRITTEN)["recurrent"].diagonal().abs().max()) < 0.1


def test_else_devices_begin_alike() -> None:
    spread = [
        float(weights(WRITTEN.with_values({"device.initial_weights": on}))["input"].std()) for on in (False, True)
    ]
    assert spread[0] < 0.2 * spread[1]


def test_the_pulses_are_counted_and_the_same_for_the_same_seed() -> None:
    one, other = Session(WRITTEN), Session(WRITTEN)
    assert torch.equal(one.arrays.input.stored_weights(), other.arrays.input.stored_weights())
    assert int(one.arrays.input.ledger.sets.sum()) > 100
