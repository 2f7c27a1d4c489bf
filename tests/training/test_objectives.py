"""Losses and their hand-written derivatives: held to autograd, and to what the words say."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pcmsim.errors import PCMLabError
from training.objectives import READOUTS, CrossEntropy, Objective, Sample, SquaredError
from training.spikes import from_raster

STEPS, CLASSES = 40, 3
WINDOW = (25, 40)


def asked(label: int = 1) -> Sample:
    target = np.zeros((STEPS, CLASSES))
    target[slice(*WINDOW), label] = 1.0
    return Sample(0, from_raster(np.zeros((STEPS, 2))), target, label, WINDOW)


def wandering(seed: int = 0) -> np.ndarray:
    return np.cumsum(np.random.default_rng(seed).normal(size=(STEPS, CLASSES)), 0)


@pytest.mark.parametrize("objective", [SquaredError(), *READOUTS.values()], ids=["squared", *READOUTS])
@pytest.mark.parametrize("seed", range(4))
def test_the_error_is_the_derivative_of_the_loss(objective: Objective, seed: int) -> None:
    output = torch.from_numpy(wandering(seed)).requires_grad_()
    objective.total(output, asked()).backward()
    np.testing.assert_allclose(objective.error(output.detach().numpy(), asked()), output.grad.numpy(), atol=1e-12)


@pytest.mark.parametrize("name", READOUTS)
def test_a_silent_network_has_the_loss_of_a_guess(name: str) -> None:
    assert READOUTS[name].loss(np.zeros((STEPS, CLASSES)), asked()) == pytest.approx(np.log(CLASSES))
    assert READOUTS[name].baseline(asked()) == pytest.approx(np.log(CLASSES))


@pytest.mark.parametrize("name", READOUTS)
def test_what_happens_outside_the_window_does_not_count(name: str) -> None:
    output, other = wandering(), wandering()
    other[: WINDOW[0]] += 50.0 * np.arange(CLASSES)
    objective = READOUTS[name]
    assert objective.loss(output, asked()) == objective.loss(other, asked())
    assert objective.decide(output, asked()) == objective.decide(other, asked())
    assert not objective.error(other, asked())[: WINDOW[0]].any()


def test_regression_counts_the_steps_of_its_window_alone() -> None:
    """By hand: errors 2 and -1 in two steps of four, targets 1 and 3 there."""
    target = np.array([[5.0], [1.0], [3.0], [7.0]])
    sample = Sample(0, from_raster(np.zeros((4, 1))), target, window=(1, 3))
    output, squared = np.array([[90.0], [3.0], [2.0], [-90.0]]), SquaredError()
    assert squared.error(output, sample).tolist() == [[0.0], [2.0], [-1.0], [0.0]]
    assert squared.loss(output, sample) == pytest.approx(2.5)
    assert squared.baseline(sample) == pytest.approx(5.0)
    assert float(squared.total(torch.from_numpy(output), sample)) == pytest.approx(2.5)


@pytest.mark.parametrize("objective", [SquaredError(), CrossEntropy()])
def test_without_a_window_all_steps_count(objective: Objective) -> None:
    output, target = wandering(), asked().target
    left_out, spelled = (Sample(0, asked().inputs, target, 1, *w) for w in ((), ((0, STEPS),)))
    assert objective.loss(output, left_out) == objective.loss(output, spelled)
    for first, last in ((0, STEPS), (7, 19)):
        part = output[first:last]
        mine, theirs = (objective.error_between(part, sample, first, last) for sample in (left_out, spelled))
        np.testing.assert_array_equal(mine, theirs)
        np.testing.assert_allclose(mine, objective.error(output, spelled)[first:last], atol=1e-15)


def test_decisions_are_those_of_the_mean_and_of_the_maximum() -> None:
    output = np.zeros((STEPS, CLASSES))
    output[WINDOW[0] :, 0] = 1.0
    output[WINDOW[0] + 3, 2] = 5.0
    assert [READOUTS[name].decide(output, asked()) for name in ("window", "sum", "max")] == [0, 0, 2]


def test_errors_of_stretches_are_those_of_the_trial() -> None:
    output = wandering()
    for objective in (SquaredError(), CrossEntropy()):
        parts = [objective.error_between(output[a:b], asked(), a, b) for a, b in ((0, 10), (10, 30), (30, STEPS))]
        np.testing.assert_allclose(np.concatenate(parts), objective.error(output, asked()), atol=1e-15)


@pytest.mark.parametrize("name", ["sum", "max"])
def test_a_loss_of_the_whole_trial_has_no_error_within_it(name: str) -> None:
    with pytest.raises(PCMLabError, match="set learning.update_every to 0"):
        READOUTS[name].error_between(wandering()[:5], asked(), 0, 5)
