"""Plans say what they hold."""

from __future__ import annotations

import torch

from pcmsim.plan import PulsePlan


def test_nothing_given_nothing_asked() -> None:
    plan = PulsePlan.build()
    assert (plan.sets, plan.resets) == (0, 0)
    assert plan.empty
    assert plan.set_devices.dtype == plan.set_counts.dtype == plan.reset_devices.dtype == torch.int64


def test_one_pulse_is_the_default() -> None:
    plan = PulsePlan.build(torch.tensor([4, 9, 2]))
    assert plan.set_counts.tolist() == [1, 1, 1]
    assert (plan.sets, plan.resets) == (3, 0)


def test_totals() -> None:
    plan = PulsePlan.build(torch.tensor([4, 9]), torch.tensor([3, 5]), torch.tensor([1, 2, 3, 4]))
    assert (plan.sets, plan.resets) == (8, 4)


def test_a_reset_alone_is_something() -> None:
    assert not PulsePlan.build(reset_devices=torch.tensor([3])).empty
    assert not PulsePlan.build(torch.tensor([3])).empty
