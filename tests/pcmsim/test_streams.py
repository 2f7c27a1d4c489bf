"""Named streams: addressed, repeatable, independent of each other and of torch's global generator."""

from __future__ import annotations

import itertools
import math

import numpy as np
import torch
from scipy import stats

from pcmsim.counter import draw_key
from pcmsim.streams import Streams

N = 10_000
SIGMAS = 4.5
ADDRESSES: list[tuple[int, str, tuple[int, ...]]] = [
    (7, "read", ()),
    (7, "read", (0,)),
    (7, "read", (1,)),
    (7, "read", (11,)),
    (7, "read", (1, 1)),
    (7, "read", (1, 1, 0)),
    (7, "write", (1,)),
    (7, "write/recurrent", (1,)),
    (7, "", ()),
    (70, "read", (1,)),
    (8, "read", (1,)),
    (-7, "read", (1,)),
]


def draws(seed: int, name: str, numbers: tuple[int, ...], n: int = N) -> np.ndarray:
    return torch.randn(n, generator=Streams(seed).at(name, *numbers)).numpy()


def test_the_same_address_draws_the_same_in_any_order() -> None:
    streams = Streams(3)
    names = [("a", 1), ("b", 1), ("a", 2)]
    forwards = {key: torch.rand(5, generator=streams.at(*key)) for key in names}
    backwards = {key: torch.rand(5, generator=streams.at(*key)) for key in reversed(names)}
    assert all(torch.equal(forwards[key], backwards[key]) for key in names)


def test_a_stream_is_fresh_each_time_it_is_asked_for() -> None:
    streams = Streams(3)
    first = streams.at("a", 1)
    torch.rand(1000, generator=first)
    assert torch.equal(torch.rand(5, generator=streams.at("a", 1)), torch.rand(5, generator=Streams(3).at("a", 1)))


def test_addresses_are_uncorrelated() -> None:
    """66 pairs of addresses that differ in seed, name or number: all correlations within sampling error."""
    rows = np.array([draws(*address) for address in ADDRESSES])
    correlation = np.corrcoef(rows) - np.eye(len(ADDRESSES))
    assert np.abs(correlation).max() < SIGMAS / math.sqrt(N)


def test_each_address_is_normal() -> None:
    """Kolmogorov-Smirnov per address; the p-values themselves are uniform."""
    p = [stats.kstest(draws(*address), "norm").pvalue for address in ADDRESSES]
    assert stats.kstest(p, "uniform").pvalue > 1e-3


def test_first_draws_of_consecutive_numbers_are_uniform() -> None:
    """The first number of 2000 trials' streams, and its correlation from trial to trial."""
    first = np.array([torch.rand((), generator=Streams(1).at("read", trial)).item() for trial in range(2000)])
    assert stats.kstest(first, "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < SIGMAS / math.sqrt(2000)


def test_keys_of_many_streams_differ() -> None:
    streams = Streams(42)
    keys = {
        draw_key(streams.at(f"{name}/{layer}", trial))
        for name, layer, trial in itertools.product(("read", "write", "scheme"), ("input", "output"), range(300))
    }
    assert len(keys) == 3 * 2 * 300


def test_torch_s_global_generator_is_neither_read_nor_moved() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = torch.rand(4, generator=Streams(5).at("read", 2))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(torch.rand(4, generator=Streams(5).at("read", 2)), first)


def test_addresses_coincide_no_oftener_than_32_bits_must() -> None:
    """Torch's CPU generator keeps 32 bits of its seed: n (n - 1) / 2 / 2^32 pairs are expected to share a stream."""
    number, streams = 60_000, Streams(11)
    kept = [streams.at("read", trial).initial_seed() % 2**32 for trial in range(number)]
    expected = number * (number - 1) / 2 / 2**32
    assert number - len(set(kept)) <= expected + 5 * math.sqrt(expected)
