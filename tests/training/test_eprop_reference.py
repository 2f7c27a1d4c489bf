"""E-prop against published losses of an independent implementation, and against autograd."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pcmsim.digital import DigitalArray
from pcmsim.streams import Streams
from training import eprop
from training.config import LearningConfig
from training.network import Arrays, Network, ReadNoise
from training.neurons import NetworkConfig
from training.spikes import Spikes, from_raster

# Losses 0.5 * sum(error^2) of the first five iterations, NEST's e-prop regression test; the
# TensorFlow original gives the same to float32 (101.964363, 103.466736, 103.340607, 103.680244, 104.412781).
NEST_LOSSES = [101.964356999041, 103.466731126205, 103.340607074771, 103.680244037686, 104.412775748752]

STEPS, WIDTH = 1000, 100

NETWORK = NetworkConfig(threshold=0.03, surrogate_normalised=True, input_normalised=True, readout_normalised=True)
LEARNING = LearningConfig(rate_strength=0.3, rate_target=10.0, rate_trace="unfiltered")


def nest_setup() -> tuple[Arrays, np.ndarray, Spikes, np.ndarray]:
    """Weights, feedback, input and target of the reference, drawn in its order from NumPy's legacy generator."""
    draw = np.random.RandomState(1)
    w_in = draw.standard_normal((WIDTH, WIDTH)).T / np.sqrt(WIDTH)
    w_rec = draw.standard_normal((WIDTH, WIDTH)).T / np.sqrt(WIDTH)
    np.fill_diagonal(w_rec, 0.0)
    w_out = draw.standard_normal((WIDTH, 1)) / np.sqrt(WIDTH)
    feedback = draw.standard_normal((WIDTH, 1)) / np.sqrt(WIDTH)
    raster = draw.uniform(size=(STEPS, WIDTH)) < 0.05
    raster[0] = False
    amplitude, phase = draw.uniform(0.5, 2.0, 4), draw.uniform(0.0, 2.0 * np.pi, 4)
    single = [w.astype(np.float32).astype(np.float64) for w in (w_in.T, w_rec.T, w_out, feedback)]
    w_in, w_rec, w_out, feedback = single
    arrays = Arrays(*(DigitalArray(torch.from_numpy(np.ascontiguousarray(w))) for w in (w_in, w_rec, w_out)))
    return arrays, feedback.T, from_raster(raster), target(amplitude, phase)


def target(amplitude: np.ndarray, phase: np.ndarray) -> np.ndarray:
    wave = np.zeros(STEPS)
    for a, p, period in zip(amplitude, phase, (1000, 500, 333, 200), strict=True):
        wave += a * np.sin(np.linspace(p, p + 2.0 * np.pi * (STEPS // period), STEPS))
    wave -= wave[0]
    return (wave / np.abs(wave).max())[:, None]


def no_noise() -> ReadNoise:
    return ReadNoise(np.zeros((STEPS, WIDTH)), np.zeros((STEPS, 1)), (0, 0, 0))


def train(iterations: int) -> list[float]:
    arrays, feedback, inputs, wanted = nest_setup()
    network = Network(NETWORK, 1, streams=Streams(0), dtype=np.float64)
    losses = []
    for _ in range(iterations):
        activity = network.run(arrays, inputs, no_noise(), 0.0)
        error = activity.output - wanted
        losses.append(0.5 * float(np.sum(error**2)))
        driving = eprop.signals(LEARNING, feedback, error, activity, 1e-3)
        gradients = eprop.trial_gradients(network.dynamics, driving, activity, inputs, WIDTH)
        for array, gradient in zip(arrays, gradients, strict=True):
            array.weights.sub_(1e-4 * gradient)
    return losses


def test_first_losses_equal_the_published_reference() -> None:
    assert train(5) == pytest.approx(NEST_LOSSES, rel=1e-9)


@pytest.mark.slow
def test_training_follows_the_resimulated_curve() -> None:
    """MSE 0.184 at iteration 100, 0.126 at 200, 0.048 at 400, 0.037 at 600 (independent NumPy run)."""
    mse = 2.0 * np.array(train(600)) / STEPS
    assert mse[[99, 199, 399, 599]] == pytest.approx([0.184, 0.126, 0.048, 0.037], rel=0.05)
