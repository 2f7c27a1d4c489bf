"""The yin-yang figure against its geometry and the authors' figures."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from pcmsim.errors import FieldError
from pcmsim.streams import Streams
from training import spikes
from training.tasks import YinYang
from training.tasks.yin_yang import classify


def disc(count: int) -> np.ndarray:
    points = np.random.default_rng(1).uniform(0.0, 1.0, (count, 2))
    return points[np.hypot(*(points - 0.5).T) <= 0.5]


def test_areas_of_the_parts() -> None:
    """Two dots of radius 0.1 in a disc of 0.5: 8 %; the halves share the rest evenly."""
    share = np.bincount(classify(disc(400_000), 0.5, 0.1)) / disc(400_000).shape[0]
    np.testing.assert_allclose(share, [0.46, 0.46, 0.08], atol=3 * math.sqrt(0.25 / 300_000))


def test_half_a_turn_swaps_the_halves() -> None:
    points = disc(20_000)
    mine, turned = classify(points, 0.5, 0.1), classify(1.0 - points, 0.5, 0.1)
    np.testing.assert_array_equal(turned, np.array([1, 0, 2])[mine])


@pytest.mark.parametrize(("point", "label"), [
    ((0.25, 0.5), 2), ((0.75, 0.59), 2), ((0.25, 0.62), 1), ((0.25, 0.3), 1), ((0.75, 0.7), 0), ((0.75, 0.38), 0),
    ((0.5, 0.95), 1), ((0.5, 0.05), 0),
])  # fmt: skip
def test_points_that_one_can_read_off_the_figure(point, label: int) -> None:
    assert classify(np.array([point]), 0.5, 0.1).tolist() == [label]


def test_parts_have_their_sizes_and_balanced_classes() -> None:
    sampler = YinYang().sampler(1e-3, streams=Streams(1))
    assert [part.size for part in sampler.parts] == [5000, 1000, 1000]
    for part in sampler.parts:
        assert np.ptp(np.bincount(sampler.labels[part])) <= 1
    assert np.hypot(*(sampler.points - 0.5).T).max() <= 0.5
    np.testing.assert_array_equal(classify(sampler.points, 0.5, 0.1), sampler.labels)


def test_five_spikes_tell_the_point() -> None:
    task = YinYang(early=0.01, late=0.05, bias=0.02)
    sampler = task.sampler(1e-5, streams=Streams(1))
    sample = sampler.sample(3)
    step = np.empty(5)
    step[sample.inputs.neuron] = spikes.times(sample.inputs)
    x, y = sampler.points[sample.index]
    expected = [0.01 + 0.04 * value for value in (x, y, 1.0 - x, 1.0 - y)] + [0.02]
    np.testing.assert_allclose(step * 1e-5, expected, atol=1.01e-5)


def test_a_linear_classifier_is_as_good_as_the_authors_say() -> None:
    """63.8 +- 1.0 % (Kriener et al. 2022); wide enough for a thousand test samples."""
    sampler = YinYang().sampler(1e-3, streams=Streams(2))
    train, _, test = sampler.parts
    model = LogisticRegression().fit(sampler.points[train], sampler.labels[train])
    assert model.score(sampler.points[test], sampler.labels[test]) == pytest.approx(0.638, abs=0.045)


@pytest.mark.parametrize(("values", "text"), [
    ({"r_small": 0.25}, "YinYang.r_small: must be < r_big / 2, 0.25, got 0.25"),
    ({"late": 0.1}, "YinYang.late: must be < duration, 0.1 s, got 0.1"),
    ({"train": 2}, "YinYang.train: must be a whole number >= 3 samples .* got 2"),
])  # fmt: skip
def test_settings_that_do_not_fit_are_named(values, text: str) -> None:
    with pytest.raises(FieldError, match=text):
        YinYang(**values)
