"""Closed forms shared by the device models against numerical integration and powers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from pcmsim.model import ReadDistribution, clipped_normal_moments, drift_factor

CONDUCTANCES = (0.02, 0.1, 0.105, 0.15, 0.3, 1.0, 6.0, 11.0, 11.95, 12.0, 12.3, 18.8)
FACTORS = (1e-6, 1e-4, 1e-2, 0.1, 0.5, 1.0, 3.0, 10.0)
UPPERS = (2.0, 12.0, 15.0, math.inf)
EPS = float(np.finfo(np.float32).eps)


def integrated(location: float, scale: float, lower: float, upper: float) -> tuple[float, float]:
    """Mean and variance of a clipped normal: quadrature between the bounds, point masses on them."""
    a, b = (lower - location) / scale, (upper - location) / scale
    below, above = stats.norm.cdf(a), stats.norm.sf(b)
    left, right = max(a, -12.0), min(b, 12.0)

    def inside(power: int, centre: float) -> float:
        if left >= right:
            return 0.0
        middle = [0.0] if left < 0.0 < right else None
        value, _ = integrate.quad(
            lambda x: (location + scale * x - centre) ** power * math.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi),
            left,
            right,
            points=middle,
        )
        return float(value)

    top = upper if math.isfinite(upper) else 0.0
    mean = below * lower + above * top + inside(1, 0.0)
    variance = below * (lower - mean) ** 2 + above * (top - mean) ** 2 + inside(2, mean)
    return mean, variance


@pytest.mark.parametrize("upper", UPPERS)
@pytest.mark.parametrize("factor", FACTORS)
def test_moments_equal_numerical_integration(factor: float, upper: float) -> None:
    """Read noise 0.03 G + 0.13 µS times a factor, over a grid that reaches beyond both bounds.

    Single precision holds the mean to its last digits; the variance to those of scale^2, plus what
    the rounding of G itself does where a bound lies within the noise.
    """
    location = np.array(CONDUCTANCES)
    scale = factor * (0.03 * location + 0.13)
    mean, variance = clipped_normal_moments(
        torch.tensor(location, dtype=torch.float32), torch.tensor(scale, dtype=torch.float32), 0.1, upper
    )
    expected = np.array([integrated(g, s, 0.1, upper) for g, s in zip(location, scale, strict=True)])
    assert mean.numpy() == pytest.approx(expected[:, 0], rel=8 * EPS)
    assert (np.abs(variance.double().numpy() - expected[:, 1]) <= 4 * EPS * scale * (scale + location)).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_mismatched_upper_bounds_act_device_by_device(dtype: torch.dtype) -> None:
    location = torch.tensor([5.0, 5.0, 5.0, 11.5], dtype=dtype)
    scale, upper = 0.03 * location + 0.13, torch.tensor([4.9, 5.2, 12.0, 11.0], dtype=dtype)
    mean, variance = clipped_normal_moments(location, scale, 0.1, upper)
    rows = zip(location.tolist(), scale.tolist(), upper.tolist(), strict=True)
    expected = np.array([integrated(g, s, 0.1, u) for g, s, u in rows])
    assert mean.numpy() == pytest.approx(expected[:, 0], rel=1e-5)
    assert variance.numpy() == pytest.approx(expected[:, 1], rel=1e-4)


@pytest.mark.parametrize("distance", [1.5, 2.5, 3.5, 4.5, 5.5, 6.5])
def test_upper_bound_some_standard_deviations_away(distance: float) -> None:
    """The tail that the bound cuts off, taken alone: what remains neglected is below rounding."""
    location, scale = 6.0, 0.31
    upper = location + distance * scale
    mean, variance = clipped_normal_moments(torch.tensor([location]), torch.tensor([scale]), 0.1, upper)
    expected = integrated(location, scale, 0.1, upper)
    assert mean.item() == pytest.approx(expected[0], rel=2 * EPS)
    assert variance.item() == pytest.approx(expected[1], rel=16 * EPS)


@pytest.mark.parametrize("distance", [0.5, 2.5, 4.5, 5.5, 6.5])
def test_lower_bound_some_standard_deviations_away(distance: float) -> None:
    location, scale = 0.1 + 0.31 * distance, 0.31
    mean, variance = clipped_normal_moments(torch.tensor([location]), torch.tensor([scale]), 0.1, 12.0)
    expected = integrated(location, scale, 0.1, 12.0)
    assert mean.item() == pytest.approx(expected[0], rel=2 * EPS)
    assert variance.item() == pytest.approx(expected[1], rel=16 * EPS)


def test_both_bounds_near_the_same_device() -> None:
    location, scale = torch.tensor([8.0, 0.5, 8.0, 0.3]), torch.tensor([0.1, 0.3, 0.1, 0.9])
    upper = torch.tensor([12.0, 0.9, 12.0, 1.0])
    mean, variance = clipped_normal_moments(location, scale, 0.1, upper)
    rows = zip(location.tolist(), scale.tolist(), upper.tolist(), strict=True)
    expected = np.array([integrated(g, s, 0.1, u) for g, s, u in rows])
    assert mean.numpy() == pytest.approx(expected[:, 0], rel=1e-6)
    assert variance.numpy() == pytest.approx(expected[:, 1], rel=1e-5)


def test_a_bound_acts_on_its_neighbours_alone() -> None:
    """A device far from the upper bound reads the same whether or not another one is near it."""
    location, scale = torch.tensor([3.0, 11.9, 0.2, 25.0]), torch.full((4,), 0.4)
    together = clipped_normal_moments(location, scale, 0.1, 12.0)
    alone = [clipped_normal_moments(location[i : i + 1], scale[i : i + 1], 0.1, 12.0) for i in range(4)]
    for moment, single in zip(together, zip(*alone, strict=True), strict=True):
        assert torch.equal(moment, torch.cat(single))


def test_half_normal_at_a_bound() -> None:
    """At the bound itself: mean scale / sqrt(2 pi), variance scale^2 (1/2 - 1/(2 pi))."""
    mean, variance = clipped_normal_moments(torch.tensor([0.1]), torch.tensor([0.133]), 0.1, 12.0)
    assert mean.item() == pytest.approx(0.1 + 0.133 / math.sqrt(2 * math.pi), rel=1e-6)
    assert variance.item() == pytest.approx(0.133**2 * (0.5 - 0.5 / math.pi), rel=1e-5)


def test_small_noise_is_untouched_inside_and_gone_outside() -> None:
    location, scale = torch.tensor([0.05, 6.0, 12.5]), torch.full((3,), 1e-4)
    mean, variance = clipped_normal_moments(location, scale, 0.1, 12.0)
    assert mean.tolist() == pytest.approx([0.1, 6.0, 12.0], rel=1e-6)
    assert variance.tolist() == pytest.approx([0.0, 1e-8, 0.0], abs=1e-12)


def test_moments_leave_their_arguments_alone() -> None:
    location, scale = torch.tensor([0.1, 5.0, 12.0]), torch.tensor([0.2, 0.3, 0.4])
    clipped_normal_moments(location, scale, 0.1, 12.0)
    assert location.tolist() == pytest.approx([0.1, 5.0, 12.0])
    assert scale.tolist() == pytest.approx([0.2, 0.3, 0.4])


def test_read_without_noise_is_the_clipped_location() -> None:
    read = ReadDistribution(torch.tensor([0.05, 3.0, 13.0]), None, 0.1, 12.0)
    mean, variance = read.moments()
    assert mean.tolist() == pytest.approx([0.1, 3.0, 12.0])
    assert variance is None


@pytest.mark.parametrize("reference", [20.0, 38.6])
@pytest.mark.parametrize("exponent", [0.0, 0.04, 0.1])
def test_drift_is_a_power_law(reference: float, exponent: float) -> None:
    age = np.geomspace(1e-4, 1e8, 13)
    factor = drift_factor(torch.tensor(age), exponent, reference)
    assert factor.numpy() == pytest.approx((age / reference) ** -exponent, rel=1e-12)


def test_drift_exponent_per_device() -> None:
    factor = drift_factor(torch.full((3,), 3860.0), torch.tensor([0.0, 0.04, 0.1]), 38.6)
    assert factor.tolist() == pytest.approx([1.0, 100**-0.04, 100**-0.1], rel=1e-6)
