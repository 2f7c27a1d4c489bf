"""Event counts against counts kept by hand."""

from __future__ import annotations

import numpy as np
import torch

from pcmsim.ledger import Ledger

SHAPE = (2, 3, 4, 5)


def test_starts_at_nothing() -> None:
    ledger = Ledger.empty(SHAPE)
    assert (ledger.total_sets, ledger.total_resets, ledger.total_reads) == (0, 0, 0)
    assert ledger.sets.shape == ledger.resets.shape == ledger.reads.shape == SHAPE
    assert ledger.row_reads.shape == (4,)


def test_counts_per_device_and_in_total() -> None:
    ledger, rng, size = Ledger.empty(SHAPE), np.random.default_rng(1), int(np.prod(SHAPE))
    sets, resets = np.zeros(size, dtype=int), np.zeros(size, dtype=int)
    for _ in range(20):
        chosen, cleared = rng.permutation(size)[:30], rng.permutation(size)[:10]
        counts = rng.integers(1, 9, 30)
        ledger.count(torch.from_numpy(chosen), torch.from_numpy(counts), torch.from_numpy(cleared))
        sets[chosen] += counts
        resets[cleared] += 1
    assert np.array_equal(ledger.sets.numpy(), sets.reshape(SHAPE))
    assert np.array_equal(ledger.resets.numpy(), resets.reshape(SHAPE))
    assert ledger.total_sets == sets.sum()
    assert ledger.total_resets == 200


def test_a_spike_reads_every_device_of_its_row() -> None:
    """Row 2 read seven times: 2 signs, 3 devices and 5 columns, seven times each."""
    ledger = Ledger.empty(SHAPE)
    ledger.row_reads[2] += 7
    expected = np.zeros(SHAPE, dtype=int)
    expected[:, :, 2, :] = 7
    assert np.array_equal(ledger.reads.numpy(), expected)
    assert ledger.total_reads == expected.sum() == 2 * 3 * 5 * 7


def test_totals_do_not_overflow_32_bits() -> None:
    ledger = Ledger.empty(SHAPE)
    ledger.sets.fill_(2**31 - 1)
    ledger.row_reads.fill_(2**40)
    assert ledger.total_sets == 120 * (2**31 - 1)
    assert ledger.total_reads == 120 * 2**40
