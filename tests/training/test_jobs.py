"""Jobs: the same run everywhere, named by what decides it."""

from __future__ import annotations

import dataclasses
import math

import pytest

from pcmsim.errors import PCMLabError
from training.config import RunConfig
from training.jobs import METRICS, Job, perform
from training.presets import PRESETS
from training.session import Session

SMALL = RunConfig().with_values({"network.hidden": 20})


def test_the_curve_is_the_mean_of_what_a_session_records_counted_from_the_end():
    outcome = perform(Job(SMALL, trials=8, every=3))
    losses = [record.loss for record in Session(SMALL).run(8)]
    assert [point.trial for point in outcome.curve] == [5, 8]
    assert [point.loss for point in outcome.curve] == pytest.approx([sum(losses[:5]) / 5, sum(losses[5:]) / 3])
    assert outcome.best == min(losses)


def test_a_job_done_twice_differs_in_its_time_alone():
    first, second = (perform(Job(SMALL, trials=4, every=2)) for _ in range(2))
    assert first.seconds != second.seconds
    same = dataclasses.replace(first, seconds=second.seconds)
    assert repr(same) == repr(second)


@pytest.mark.parametrize(
    "other",
    [
        Job(SMALL.with_values({"seed": 1}), 8, 3),
        Job(SMALL, 9, 3),
        Job(SMALL, 8, 4),
        Job(SMALL, 8, 3, "test"),
        Job(SMALL.with_values({"device.constants.read_noise": 0.0}), 8, 3),
    ],
)
def test_the_key_knows_all_that_decides_a_run(other):
    assert other.key != Job(SMALL, 8, 3).key
    assert Job(RunConfig.from_dict(SMALL.to_dict()), 8, 3).key == Job(SMALL, 8, 3).key


def test_who_is_told_may_end_the_run():
    told = []

    def tell(point):
        told.append(point.trial)
        raise PCMLabError("enough")

    with pytest.raises(PCMLabError, match="enough"):
        perform(Job(SMALL, trials=9, every=3), tell)
    assert told == [3]


def test_samples_held_out_judge_classifiers():
    config = PRESETS["digits"].config.with_values({"network.hidden": 20})
    outcome = perform(Job(config, trials=2, every=2, judge="validation"))
    assert 0.0 <= METRICS["held-out-accuracy"].value(outcome) <= 1.0
    assert math.isnan(METRICS["held-out-accuracy"].value(perform(Job(config, trials=2))))
