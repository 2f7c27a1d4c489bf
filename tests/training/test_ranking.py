"""Rankings against scipy, closed forms and counting by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from training.ranking import CONFIDENCE, differences, fewest_seeds, holm, interval, rank, signed_rank


@pytest.mark.parametrize("number", [3, 6, 10, 25])
def test_the_signed_rank_test_is_scipys(number):
    values = np.random.default_rng(number).normal(0.3, 1.0, number)
    assert signed_rank(values) == pytest.approx(stats.wilcoxon(values, method="exact").pvalue)


def test_with_ties_and_zeros_every_way_to_give_signs_is_counted():
    values = np.array([1.0, -1.0, 2.0, 2.0, 2.0, 0.0, 3.0, -0.5])
    kept = values[values != 0.0]
    ranks = stats.rankdata(np.abs(kept))
    sums = np.array([ranks[list(signs)].sum() for signs in itertools.product([False, True], repeat=kept.size)])
    seen = ranks[kept > 0.0].sum()
    expected = 2.0 * min((sums <= seen).mean(), (sums >= seen).mean())
    assert signed_rank(values) == pytest.approx(expected)


def test_nothing_but_zeros_says_nothing():
    assert signed_rank(np.zeros(5)) == 1.0


def test_holm_is_the_step_down_of_his_paper():
    # Holm 1979: compare the i-th smallest of n with alpha / (n + 1 - i), stop at the first that is larger.
    p, alpha = [0.011, 0.02, 0.03, 0.6, 0.012], 0.06
    rejected, order = set(), sorted(range(5), key=p.__getitem__)
    for place, index in enumerate(order):
        if p[index] > alpha / (5 - place):
            break
        rejected.add(index)
    assert {index for index, value in enumerate(holm(p)) if value <= alpha} == rejected == {0, 1, 2, 4}


def test_the_interval_of_many_values_is_the_normal_one():
    values = np.random.default_rng(1).normal(2.0, 0.5, 400)
    half = stats.norm.ppf((1.0 + CONFIDENCE) / 2.0) * values.std() / 20.0
    low, high = interval(values)
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.05 * half)


def test_the_interval_of_few_values_is_scipys():
    values = np.random.default_rng(2).exponential(1.0, 7)
    theirs = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=50_000, rng=np.random.default_rng(3)
    ).confidence_interval
    assert interval(values) == pytest.approx((theirs.low, theirs.high), abs=0.05 * values.std())
    assert interval(values) == interval(values)


def test_two_values_resample_to_their_three_means():
    # Means 0, 1/2, 1 with probabilities 1/4, 1/2, 1/4: the interval reaches from one value to the other.
    assert interval([0.0, 1.0]) == (0.0, 1.0)
    assert interval([3.0]) == (3.0, 3.0)


def lanes(shifts, seeds, spread=0.01):
    """Losses that differ by lane by a little and by seed by much: only pairs can tell."""
    hard = np.random.default_rng(4).normal(1.0, 0.5, seeds)
    noise = np.random.default_rng(5).normal(0.0, spread, (len(shifts), seeds))
    return {
        name: dict(enumerate(hard + shift + noise[k]))
        for k, (name, shift) in enumerate(zip("abcd", shifts, strict=False))
    }


def test_lanes_that_differ_within_every_seed_have_places_of_their_own():
    standings = rank(lanes((0.2, 0.1, 0.0), 10), "loss")
    assert [(one.place, one.lane) for one in standings] == [(1, "c"), (2, "b"), (3, "a")]
    assert standings[0].high > standings[2].mean  # Their means alone could not be told apart.


def test_more_is_better_where_the_metric_says_so():
    assert [one.lane for one in rank(lanes((0.2, 0.1, 0.0), 10), "accuracy")] == ["a", "b", "c"]


def test_lanes_that_cannot_be_told_apart_share_a_place():
    standings = rank(lanes((0.0, 0.0001, 0.3), 10), "loss")
    assert [one.place for one in standings] == [1, 1, 3]
    assert standings[2].lane == "c"


def test_too_few_seeds_tell_nothing_apart():
    number = fewest_seeds(3)
    assert {one.place for one in rank(lanes((0.2, 0.1, 0.0), number - 1), "loss")} == {1}
    assert [one.place for one in rank(lanes((0.2, 0.1, 0.0), number), "loss")] == [1, 2, 3]


def test_false_alarms_are_as_rare_as_promised():
    # Four equal lanes: any place but the first is an error; in one race of twenty at most.
    draws = np.random.default_rng(6).exponential(1.0, (150, 4, 8))
    wrong = [
        any(one.sure for one in differences({str(k): dict(enumerate(lane)) for k, lane in enumerate(race)}, "loss"))
        for race in draws
    ]
    assert np.mean(wrong) <= 1.0 - CONFIDENCE + 2.0 * math.sqrt(0.05 * 0.95 / 150)


def test_what_is_missing_counts_for_nothing_and_its_lane_is_last():
    values = {"none": {1: math.nan}, "some": {1: math.inf, 2: 1.0, 3: 2.0}, "all": {1: 9.0, 2: 3.0, 3: 5.0}}
    standings = rank(values, "loss")
    assert [(one.lane, one.number) for one in standings] == [("some", 2), ("all", 3), ("none", 0)]
    assert math.isnan(standings[2].mean) and math.isnan(rank({"a": {1: 2.0}}, "loss")[0].sd)
    [pair] = differences(values, "loss")
    assert (pair.first, pair.second, pair.mean, pair.number) == ("some", "all", -2.5, 2)
