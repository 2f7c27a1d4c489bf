"""Scikit-learn's digits: splits, code, and the published yardstick."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from pcmsim.streams import Streams
from training import spikes
from training.tasks import Digits
from training.tasks.digits import _load


def test_halves_are_those_of_the_file() -> None:
    sampler = Digits(validation=0.0).sampler(1e-3, streams=Streams(1))
    assert sampler.parts.train.tolist() == list(range(898))
    assert [sample.label for sample in sampler.evaluation()] == load_digits().target[898:].tolist()


def test_a_fifth_of_each_class_tests() -> None:
    parts = [Digits(split="stratified").sampler(1e-3, streams=Streams(seed)).parts for seed in (1, 2)]
    counts = np.bincount(load_digits().target[parts[0].test])
    np.testing.assert_array_equal(counts, np.round(0.2 * np.bincount(load_digits().target)))
    assert set(parts[0].test.tolist()) != set(parts[1].test.tolist())


def test_pixels_spike_in_order_of_brightness() -> None:
    sampler = Digits(tau_in=20e-3, theta_in=0.2).sampler(1e-3, streams=Streams(1))
    sample = sampler.sample(0)
    image = load_digits().images[sample.index].ravel() / 16.0
    np.testing.assert_array_equal(sampler.image(sample).ravel(), image)
    steps = dict(zip(sample.inputs.neuron.tolist(), spikes.times(sample.inputs).tolist(), strict=True))
    assert set(steps) == set(np.flatnonzero(image > 0.2).tolist())
    for pixel, step in steps.items():
        assert step == int(20.0 * np.log(image[pixel] / (image[pixel] - 0.2)))


def test_a_linear_classifier_reads_the_halves_as_well_as_is_known() -> None:
    """Logistic regression on first half / second half: 0.934."""
    sampler = Digits(validation=0.0).sampler(1e-3, streams=Streams(1))
    train, test = ([sampler.sample(trial) for trial in range(898)], list(sampler.evaluation()))
    (x, y), (u, v) = (
        (np.stack([sampler.image(s).ravel() for s in part]), [s.label for s in part]) for part in (train, test)
    )
    assert LogisticRegression(max_iter=2000).fit(x, y).score(u, v) == pytest.approx(0.934, abs=0.006)


def test_the_images_are_those_of_scikit_learn() -> None:
    images, labels = _load()
    np.testing.assert_array_equal(images, load_digits().images / 16.0)
    np.testing.assert_array_equal(labels, load_digits().target)
