"""Regression whose answer counts in a part of the trial: every loop and rule learns from that part alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from training.config import RunConfig
from training.dense import dense_step
from training.evaluation import evaluate
from training.honesty import compare
from training.presets import MIXED
from training.session import Session

WINDOW = (60, 140)
VALUES: dict[str, Any] = {
    **MIXED,
    "task": {"name": "pattern", "inputs": 20, "duration": 0.2, "rate": 100.0},
    "network.hidden": 20,
    "network.threshold": 0.05,
    "device.preset": "ideal",
    "device.initial_conductance": 2.0,
    "learning.lr_input": 5e-3,
    "learning.lr_recurrent": 5e-3,
    "learning.lr_output": 1e-2,
}


def windowed(values: dict[str, Any] | None = None) -> Session:
    """A session whose samples have a window, and targets outside it that nobody could miss."""
    session = Session(RunConfig().with_values({**VALUES, **(values or {})}))
    whole = session.sampler.sample

    def within(trial: int) -> Any:
        sample, target = whole(trial), np.full((200, 1), 1e3)
        target[slice(*WINDOW)] = sample.target[slice(*WINDOW)]
        return replace(sample, target=target, window=WINDOW)

    session.sampler.sample = within
    return session


def test_loss_error_and_silent_loss_are_those_of_the_window() -> None:
    session = windowed()
    record, inside = session.step(), slice(*WINDOW)
    assert record.window == WINDOW
    assert record.loss == pytest.approx(np.mean((record.output[inside] - record.target[inside]) ** 2))
    assert record.baseline == pytest.approx(np.mean(record.target[inside] ** 2))
    assert not record.error[: WINDOW[0]].any()
    assert not record.error[WINDOW[1] :].any()
    assert evaluate(session).loss < 1e4


@pytest.mark.parametrize(("rule", "values"), [
    ("e-prop", {"learning.update_every": 200}), ("e-prop", {"network.loop": "torch"}), ("bptt", {"network.loop": "torch"}),
])  # fmt: skip
def test_every_loop_learns_the_same(rule: str, values: dict[str, Any]) -> None:
    usual, other = windowed({"learning.rule": rule}), windowed({"learning.rule": rule, **values})
    for mine, theirs in zip(usual.run(6), other.run(6), strict=True):
        assert mine.loss == pytest.approx(theirs.loss, rel=1e-4)
    assert usual.updates.sets > 0
    assert [int(array.ledger.total_sets) for array in usual.arrays] == [int(a.ledger.total_sets) for a in other.arrays]


def test_the_dense_loop_learns_the_same() -> None:
    usual, dense = windowed(), windowed()
    for record in usual.run(4):
        assert dense_step(dense, generator=torch.Generator()) == pytest.approx(record.loss, rel=1e-4)
    for mine, theirs in zip(dense.arrays, usual.arrays, strict=True):
        torch.testing.assert_close(mine.stored_weights(), theirs.stored_weights())


def test_the_gradient_of_the_output_weights_is_autograds_over_the_window() -> None:
    """For them e-prop is exact, whatever the window is."""
    compared = compare(windowed({"scheme": "float32", "precision.weight_bits": None}))
    assert compared.cosine["output"] == pytest.approx(1.0, abs=1e-6)
    assert compared.ratio["output"] == pytest.approx(1.0, rel=1e-5)
    assert compared.loss < 0.5 * 80 * 1e4
