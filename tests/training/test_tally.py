"""Decisions of late: as many as are remembered, counted anew."""

from __future__ import annotations

import math

import numpy as np

from training.tally import Tally


def test_the_counts_are_those_of_the_latest_decisions() -> None:
    generator = np.random.default_rng(1)
    pairs, tally = generator.integers(0, 4, (200, 2)), Tally(4, memory=50)
    for label, decision in pairs.tolist():
        tally.add(label, decision)
    expected = np.zeros((4, 4), int)
    np.add.at(expected, tuple(pairs[-50:].T), 1)
    assert np.array_equal(tally.confusion, expected)
    assert tally.accuracy == np.mean(pairs[-50:, 0] == pairs[-50:, 1])


def test_nothing_is_known_before_the_first_decision() -> None:
    assert math.isnan(Tally(3, memory=5).accuracy)
    assert Tally(3, memory=5).confusion.sum() == 0


def test_the_counts_are_a_copy() -> None:
    tally = Tally(2, memory=5)
    tally.confusion[0, 1] = 7
    assert tally.confusion.sum() == 0
