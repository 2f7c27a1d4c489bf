"""Whole runs against figures re-simulated independently from the published description.

Demirag et al. 2021 (arXiv:2108.01804), 250 epochs of 3 samples: mean squared error averaged over the
samples of an epoch; "end" is the mean of the last 10 epochs.
"""

from __future__ import annotations

import numpy as np
import pytest

from training.presets import PRESETS
from training.session import Session

SEEDS = (1, 2, 3, 4, 5)


def train(preset: str) -> tuple[np.ndarray, list[int]]:
    """Error per epoch, ``seed, epoch``, and SET pulses of each run."""
    epochs, pulses = [], []
    for seed in SEEDS:
        session = Session(PRESETS[preset].config.with_values({"seed": seed}))
        epochs.append(np.reshape([record.loss for record in session.run(750)], (250, 3)).mean(1))
        pulses.append(session.updates.sets)
    return np.array(epochs), pulses


@pytest.mark.slow
def test_floating_point() -> None:
    """<= 0.06 by epoch 50, <= 0.035 by 100, <= 0.02 at the end; a silent network 0.20 to 0.25."""
    epochs, _ = train("float32")
    assert epochs[:, 49].mean() <= 0.06
    assert epochs[:, 99].mean() <= 0.035
    assert epochs[:, -10:].mean(1).max() <= 0.02


@pytest.mark.slow
def test_ideal_four_bit_devices_with_accumulation() -> None:
    """<= 0.05 at the end, every seed."""
    epochs, _ = train("ideal-4bit")
    assert epochs[:, -10:].mean(1).max() <= 0.05


@pytest.mark.slow
def test_full_pcm_with_mixed_precision() -> None:
    """End <= 0.13 and best <= 0.08 in the mean over seeds (single runs scatter), at most 5 000 SET pulses in each."""
    epochs, pulses = train("mixed-precision")
    assert epochs[:, -10:].mean() <= 0.13
    assert epochs.min(1).mean() <= 0.08
    assert max(pulses) <= 5000
