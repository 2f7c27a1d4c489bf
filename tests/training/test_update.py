"""Updates: gradients within limits, learning rates that fall."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from training.config import LearningConfig, RunConfig
from training.session import Session
from training.update import Updater, limit

SMALL = {"network.hidden": 20, "task": {"name": "pattern", "inputs": 10, "duration": 0.1, "rate": 100.0}}
RATES = {"learning.lr_input": 1e-4, "learning.lr_recurrent": 3e-4, "learning.lr_output": 2e-3}
DIGITAL = {"scheme": "float32", "precision.weight_bits": None}
FALLING = RunConfig().with_values({**SMALL, **RATES, **DIGITAL, "learning.halving": 7})


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("clip", [1e-3, 0.7, 1e12])
def test_gradients_are_limited_as_torch_does_it(clip: float, dtype: torch.dtype) -> None:
    gradient = torch.randn(7, 5, generator=torch.Generator().manual_seed(0), dtype=dtype)
    gradient[:, 2] = torch.tensor([torch.nan, torch.inf, -torch.inf, -0.0, 1e30, -1e30, 1e-30], dtype=dtype)
    for given in (gradient, gradient.T):
        kept = given.clone()
        assert torch.equal(limit(given, clip), torch.nan_to_num(kept, 0.0).clamp(-clip, clip))
        torch.testing.assert_close(given, kept, equal_nan=True, rtol=0.0, atol=0.0)


def test_after_a_halving_each_rate_is_half_and_without_one_it_stays() -> None:
    falling, steady = (LearningConfig(lr_input=1.0, lr_recurrent=0.5, lr_output=4.0, halving=n) for n in (10, 0))
    assert falling.rates(0) == steady.rates(0) == steady.rates(10**6) == (1.0, 0.5, 4.0)
    assert falling.rates(10) == (0.5, 0.25, 2.0)
    np.testing.assert_allclose(falling.rates(5), np.array([1.0, 0.5, 4.0]) / np.sqrt(2.0))
    log_rates = np.log2([falling.rates(trial)[0] for trial in range(100)])
    np.testing.assert_allclose(np.diff(log_rates), -0.1, atol=1e-12)


@pytest.mark.parametrize("trial", [0, 7, 20])
def test_weights_move_by_the_rate_of_the_trial(trial: int) -> None:
    session = Session(FALLING)
    gradients = tuple(torch.full(array.shape, 0.5) for array in session.arrays)
    before = [array.stored_weights().clone() for array in session.arrays]
    Updater(session.arrays, session.feedback, FALLING, streams=session.streams).apply(gradients, 0.0, trial)
    for array, old, lr in zip(session.arrays, before, RATES.values(), strict=True):
        moved = array.stored_weights() - old
        torch.testing.assert_close(moved, torch.full_like(old, -0.5 * lr * 2.0 ** (-trial / 7)), rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("scheme", ["sign", "stochastic", "mixed-precision", "mixed-precision-adam"])
def test_fading_weights_never_ask_for_a_connection_to_oneself(scheme: str) -> None:
    fading = {"scheme": scheme, "learning.weight_strength": 100.0, "learning.gradient_clip": 1e3}
    rates = dict.fromkeys(RATES, 0.1)
    session = Session(RunConfig().with_values({**SMALL, **fading, **rates}))
    ledger = session.arrays.recurrent.ledger
    untouched = ledger.resets.diagonal(dim1=2, dim2=3).clone()
    list(session.run(5))
    assert int(ledger.sets.sum()) > 0
    assert int(ledger.sets.diagonal(dim1=2, dim2=3).sum()) == 0
    assert torch.equal(ledger.resets.diagonal(dim1=2, dim2=3), untouched)


def test_the_sum_of_all_steps_is_bounded() -> None:
    """The rates of all trials add up to a geometric series: a run that goes on comes to rest."""
    total = sum(LearningConfig(lr_input=1.0, halving=7).rates(trial)[0] for trial in range(1000))
    assert total == pytest.approx(1.0 / (1.0 - 0.5 ** (1 / 7)))


@pytest.mark.parametrize("scheme", ["float32", "adam", "mixed-precision"])
def test_a_falling_rate_goes_on_where_a_saved_run_stopped(scheme: str, tmp_path: Path) -> None:
    config = FALLING.with_values({"scheme": scheme})
    whole, stopped = Session(config), Session(config)
    expected = [record.loss for record in whole.run(10)]
    losses = [record.loss for record in stopped.run(4)]
    stopped.save(tmp_path / "run.safetensors")
    losses += [record.loss for record in Session.resume(tmp_path / "run.safetensors").run(6)]
    assert losses == expected
    steady = Session(config.with_values({"learning.halving": 0}))
    assert [record.loss for record in steady.run(10)] != expected
