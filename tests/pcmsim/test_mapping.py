"""Weights of differential pairs against sums written out element by element."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from pcmsim import mapping

SCALE = 11.8


def conductances(devices: int) -> torch.Tensor:
    return 0.1 + 11.9 * torch.rand(2, devices, 4, 3, generator=torch.Generator().manual_seed(devices))


@pytest.mark.parametrize("devices", [1, 2, 7])
def test_weight_is_the_difference_of_means(devices: int) -> None:
    g = conductances(devices)
    found = mapping.weights(g, SCALE)
    assert found.shape == (4, 3)
    for i, j in itertools.product(range(4), range(3)):
        plus, minus = (sum(float(g[s, d, i, j]) for d in range(devices)) / devices for s in (0, 1))
        assert float(found[i, j]) == pytest.approx((plus - minus) / SCALE, abs=1e-6)


@pytest.mark.parametrize("devices", [1, 2, 7])
def test_variances_add_and_fall_with_the_number_of_devices(devices: int) -> None:
    variance = conductances(devices)
    expected = variance.double().numpy().sum(axis=(0, 1)) / (SCALE * devices) ** 2
    assert mapping.weight_variance(variance, SCALE).numpy() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("devices", [1, 4, 16])
def test_range_of_weights_is_the_same_for_any_number_of_devices(devices: int) -> None:
    """All G+ at 12 µS and all G- at 0: weight 12 / scale."""
    g = torch.zeros(2, devices, 1, 1)
    g[0] = 12.0
    assert mapping.weights(g, 12.0).item() == pytest.approx(1.0)
    assert mapping.weights(g.flip(0), 12.0).item() == pytest.approx(-1.0)


@pytest.mark.parametrize("devices", [1, 3])
def test_conductances_stay_as_they_were(devices: int) -> None:
    g = conductances(devices)
    before = g.numpy().copy()
    mapping.weights(g, SCALE)
    mapping.weight_variance(g, SCALE)
    assert np.array_equal(g.numpy(), before)
