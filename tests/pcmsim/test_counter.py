"""Addressed normal numbers against the normal distribution and the published SplitMix64 sequence."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy import stats

from pcmsim.counter import draw_key, hash64, normals_at

N = 1_000_000
KEY = 0x1234_5678_9ABC_DEF
SIGMAS = 4.5


def numbers(key: int = KEY, n: int = N, stride: int = 1) -> npt.NDArray[np.float64]:
    return normals_at(torch.arange(n) * stride, key=key).numpy()


@pytest.fixture(scope="module")
def sample() -> npt.NDArray[np.float64]:
    return numbers()


@pytest.fixture(scope="module")
def extremes() -> npt.NDArray[np.float64]:
    """What lies beyond 3 standard deviations in ten million numbers."""
    return np.concatenate([x[np.abs(x) > 3.0] for x in map(numbers, range(KEY, KEY + 10))])


def test_hash_is_splitmix64() -> None:
    """First outputs for seed 1234567, as published (Rosetta Code, Splitmix64)."""
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    assert [int(hash64(1234567, i)) for i in range(4)] == expected


class TestDistribution:
    def test_normal_by_kolmogorov_smirnov(self, sample: npt.NDArray[np.float64]) -> None:
        assert stats.kstest(sample, "norm").pvalue > 1e-3

    @pytest.mark.parametrize("stride", [65_536, 2**40])
    def test_normal_at_strided_addresses(self, stride: int) -> None:
        """Devices are 2**16 addresses apart."""
        assert stats.kstest(numbers(n=200_000, stride=stride), "norm").pvalue > 1e-3

    @pytest.mark.parametrize(
        ("power", "moment", "variance"), [(1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96), (6, 15, 10170)]
    )
    def test_moments(self, sample: npt.NDArray[np.float64], power: int, moment: float, variance: float) -> None:
        """E x^k of a standard normal, with Var x^k = E x^2k - (E x^k)^2."""
        assert (sample**power).mean() == pytest.approx(moment, abs=SIGMAS * math.sqrt(variance / N))

    @pytest.mark.parametrize("beyond", [3.0, 3.442619855899, 4.0, 5.0])
    def test_tails(self, extremes: npt.NDArray[np.float64], beyond: float) -> None:
        """Counts past 3, the start of the tail layer, 4 and 5 standard deviations in ten million: Poisson."""
        count, expected = int((np.abs(extremes) > beyond).sum()), 10 * N * 2.0 * stats.norm.sf(beyond)
        assert stats.poisson.cdf(count, expected) > 1e-4
        assert stats.poisson.sf(count - 1, expected) > 1e-4

    def test_shape_of_the_tail(self, extremes: npt.NDArray[np.float64]) -> None:
        """Beyond 3: uniform once sent through the tail's own distribution."""
        shape = stats.norm.sf(np.abs(extremes)) / stats.norm.sf(3.0)
        assert stats.kstest(shape, "uniform").pvalue > 1e-3

    def test_signs_balance_in_the_tail(self, extremes: npt.NDArray[np.float64]) -> None:
        assert abs((extremes > 0).mean() - 0.5) < SIGMAS * 0.5 / math.sqrt(extremes.size)

    def test_fine_structure(self, sample: npt.NDArray[np.float64]) -> None:
        """No layer of the ziggurat is over- or under-filled: chi-square over 512 equally likely bins."""
        counts = np.bincount((stats.norm.cdf(sample) * 512).astype(int), minlength=512)
        assert stats.chisquare(counts).pvalue > 1e-3


class TestAddresses:
    @pytest.mark.parametrize("lag", [1, 2, 128, 65_536])
    @pytest.mark.parametrize("power", [1, 2])
    def test_neighbours_are_uncorrelated(self, sample: npt.NDArray[np.float64], lag: int, power: int) -> None:
        x = sample**power
        assert abs(np.corrcoef(x[:-lag], x[lag:])[0, 1]) < SIGMAS / math.sqrt(N - lag)

    @pytest.mark.parametrize("other", [KEY + 1, KEY ^ 1 << 62, 0])
    @pytest.mark.parametrize("power", [1, 2])
    def test_keys_are_uncorrelated(self, sample: npt.NDArray[np.float64], other: int, power: int) -> None:
        n = 200_000
        correlation = np.corrcoef(sample[:n] ** power, numbers(other, n) ** power)[0, 1]
        assert abs(correlation) < SIGMAS / math.sqrt(n)

    def test_same_address_same_number(self, sample: npt.NDArray[np.float64]) -> None:
        """In any order, shape and company."""
        address = torch.randint(0, N, (40, 25), generator=torch.Generator().manual_seed(1))
        assert np.array_equal(normals_at(address, key=KEY).numpy(), sample[address.numpy()])
        assert np.array_equal(normals_at(address.T, key=KEY).numpy(), sample[address.T.numpy()])

    def test_no_number_repeats(self, sample: npt.NDArray[np.float64]) -> None:
        assert np.unique(sample).size == N

    def test_nothing_asked_nothing_given(self) -> None:
        assert normals_at(torch.empty(0, 3, dtype=torch.int64), key=KEY).shape == (0, 3)


class TestKeys:
    def test_keys_follow_the_generator(self) -> None:
        def keys(seed: int) -> list[int]:
            generator = torch.Generator().manual_seed(seed)
            return [draw_key(generator) for _ in range(100)]

        assert keys(1) == keys(1)
        assert len(set(keys(1)) | set(keys(2))) == 200

    def test_keys_fill_63_bits(self) -> None:
        """Every bit is set in half of 2000 keys."""
        generator = torch.Generator().manual_seed(3)
        bits = np.array([[key >> b & 1 for b in range(64)] for key in (draw_key(generator) for _ in range(2000))])
        assert not bits[:, 63].any()
        assert np.abs(bits[:, :63].mean(0) - 0.5).max() < SIGMAS * 0.5 / math.sqrt(2000)
