"""Who is better, as far as the runs can tell: means with intervals, paired tests, shared places.

Runs of different lanes with the same seed met the same samples and random numbers, so lanes are
compared by the differences within seeds. Two lanes differ if the two-sided Wilcoxon signed-rank test
of these differences says so after Holm's correction for all pairs at once, as Demšar recommends for
several methods on several problems: it assumes neither normal losses nor that a run which has gone
astray is like the others. A lane's place is one more than the number of lanes that beat it; lanes that
cannot be told apart from the best share the first place.

References
----------
Wilcoxon 1945, doi:10.2307/3001968. Holm 1979, Scandinavian Journal of Statistics 6, 65-70.
Demšar 2006, Journal of Machine Learning Research 7, 1-30. Percentile bootstrap: Efron and Tibshirani
1993, doi:10.1201/9780429246593.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from pcmsim.foundation.tensors import WHOLE
from pcmsim.streams import Streams
from training.jobs import METRICS

Floats = npt.NDArray[np.float64]
Values = Mapping[str, Mapping[int, float]]
"""A number by lane and seed; what is not finite counts as missing."""

CONFIDENCE = 0.95
RESAMPLES = 10_000


@dataclass(frozen=True)
class Standing:
    """A lane in the ranking.

    Parameters
    ----------
    place : int
        One more than the number of lanes that are better with confidence.
    lane : str
        Its name.
    mean, sd : float
        Over its seeds; not numbers without any, the latter with one.
    low, high : float
        Bootstrap interval of the mean, 95 %.
    number : int
        Seeds.
    """

    place: int
    lane: str
    mean: float
    sd: float
    low: float
    high: float
    number: int


@dataclass(frozen=True)
class Difference:
    """Two lanes over the seeds that both have.

    Parameters
    ----------
    first, second : str
        The lanes; the first has the better mean difference.
    mean : float
        Of the metric of the first minus that of the second.
    low, high : float
        Bootstrap interval of this mean, 95 %.
    number : int
        Seeds.
    p : float
        Of the Wilcoxon signed-rank test, corrected for all pairs of the ranking.
    """

    first: str
    second: str
    mean: float
    low: float
    high: float
    number: int
    p: float

    @property
    def sure(self) -> bool:
        """Whether the first is better with confidence."""
        return self.p <= 1.0 - CONFIDENCE


def rank(values: Values, metric: str) -> tuple[Standing, ...]:
    """The lanes from best to worst.

    Parameters
    ----------
    values : mapping
        The metric by lane and seed.
    metric : str
        Name in `training.jobs.METRICS`; says which way is better.

    Returns
    -------
    tuple of Standing
        By place, then by mean; lanes without a value come last.

    Examples
    --------
    >>> losses = {"a": {s: 0.1 + 0.001 * s for s in range(8)}, "b": {s: 0.2 + 0.001 * s for s in range(8)}}
    >>> [(one.place, one.lane) for one in rank(losses, "loss")]
    [(1, 'a'), (2, 'b')]
    """
    beaten, sign = dict.fromkeys(values, 0), _sign(metric)
    for pair, p in _tested(values, sign):
        beaten[pair.second] += p <= 1.0 - CONFIDENCE
    lanes = [_standing(lane, list(_finite(runs).values()), beaten[lane] + 1) for lane, runs in values.items()]
    return tuple(sorted(lanes, key=lambda one: (one.number == 0, one.place, sign * one.mean)))


def differences(values: Values, metric: str) -> tuple[Difference, ...]:
    """Every pair of lanes that share a seed, the better one first."""
    return tuple(
        Difference(pair.first, pair.second, float(pair.values.mean()), *interval(pair.values), pair.values.size, p)
        for pair, p in _tested(values, _sign(metric))
    )


class _Pair(NamedTuple):
    """Two lanes, the better one first, and their differences within seeds."""

    first: str
    second: str
    values: Floats


def _tested(values: Values, sign: float) -> list[tuple[_Pair, float]]:
    """Every pair of lanes that share a seed, with its corrected p-value."""
    pairs = list[_Pair]()
    for first, second in itertools.combinations(values, 2):
        a, b = _finite(values[first]), _finite(values[second])
        paired = np.array([a[seed] - b[seed] for seed in a if seed in b])
        if paired.size:
            swapped = sign * paired.mean() > 0.0
            pairs.append(_Pair(second, first, -paired) if swapped else _Pair(first, second, paired))
    return list(zip(pairs, holm([signed_rank(pair.values) for pair in pairs]), strict=True))


def interval(values: Sequence[float] | Floats) -> tuple[float, float]:
    """Bootstrap interval of the mean (percentiles of the means of resamples), 95 %; the same for the same values."""
    if not len(values):
        return math.nan, math.nan
    means = np.asarray(values, np.float64)[_resamples(len(values))].mean(1)
    low, high = np.quantile(means, [(1.0 - CONFIDENCE) / 2.0, (1.0 + CONFIDENCE) / 2.0])
    return float(low), float(high)


def signed_rank(differences: Floats) -> float:
    """Two-sided p-value of Wilcoxon's signed-rank test, exact, ties included.

    Zeros are left out. Under the hypothesis each of the 2^n ways to give the ranks signs is as likely as any
    other; they are counted by the sum of their positive ranks, doubled where ties make halves.
    """
    kept = differences[differences != 0.0]
    doubled = np.rint(2.0 * _ranks(np.abs(kept))).astype(int)
    ways = np.ones(1)
    for step in doubled:
        ways = 0.5 * (np.pad(ways, (0, step)) + np.pad(ways, (step, 0)))
    positive = int(doubled[kept > 0.0].sum())
    return float(min(1.0, 2.0 * min(ways[: positive + 1].sum(), ways[positive:].sum())))


def holm(p: Sequence[float]) -> list[float]:
    """P-values corrected for being several, after Holm.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    corrected, largest = [1.0] * len(p), 0.0
    for place, index in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        largest = max(largest, min(1.0, (len(p) - place) * p[index]))
        corrected[index] = largest
    return corrected


def fewest_seeds(lanes: int) -> int:
    """Seeds below which no two of so many lanes can be told apart, however much they differ.

    Examples
    --------
    >>> fewest_seeds(2), fewest_seeds(5)
    (6, 9)
    """
    pairs = max(1, lanes * (lanes - 1) // 2)
    return math.ceil(math.log2(2.0 * pairs / (1.0 - CONFIDENCE)))


def _standing(lane: str, found: list[float], place: int) -> Standing:
    mean = float(np.mean(found)) if found else math.nan
    sd = float(np.std(found, ddof=1)) if len(found) > 1 else math.nan
    return Standing(place, lane, mean, sd, *interval(found), len(found))


def _finite(runs: Mapping[int, float]) -> dict[int, float]:
    return {seed: value for seed, value in runs.items() if math.isfinite(value)}


def _sign(metric: str) -> float:
    return 1.0 if METRICS[metric].direction == "minimize" else -1.0


def _ranks(values: Floats) -> Floats:
    """Ranks from 1; equal values share the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray(last - 0.5 * (counts - 1))[place]


@functools.lru_cache(maxsize=16)
def _resamples(number: int) -> npt.NDArray[np.int64]:
    """Which of so many values each resample consists of."""
    generator = Streams(0).at("ranking/bootstrap", number)
    drawn: npt.NDArray[np.int64] = torch.randint(number, (RESAMPLES, number), generator=generator, **WHOLE).numpy()
    return drawn
