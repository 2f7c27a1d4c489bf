"""What an evaluation says, against counting by hand; and that nobody notices it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pcmsim.errors import UnknownNameError
from training import spikes
from training.config import RunConfig
from training.evaluation import decision_latency, evaluate, next_trial, thinned
from training.kernels import Activity
from training.network import ReadNoise
from training.objectives import READOUTS, Sample
from training.presets import MIXED, PRESETS
from training.session import Session
from training.spikes import Spikes, from_raster

TASK = {"name": "yin-yang", "train": 60, "validation": 30, "test": 45}
DIGITAL = {"task": TASK, "network.hidden": 20}


def session(**values: object) -> Session:
    return Session(PRESETS["yin-yang"].config.with_values({**DIGITAL, **values}))


def on_devices() -> Session:
    return Session(RunConfig().with_values({**MIXED, **DIGITAL, "learning.lr_input": 1e-2, "learning.lr_output": 1e-2}))


@pytest.mark.parametrize("part", ["validation", "test"])
def test_it_counts_what_the_network_answers(part: str) -> None:
    mine = session()
    list(mine.run(20))
    found = evaluate(mine, part)
    shape = (mine.sampler.steps, 20, 3)
    right, losses, fired, arrived = [], [], 0, 0
    for sample in mine.sampler.evaluation(part):
        activity = mine.network.run(mine.arrays, sample.inputs, ReadNoise.none(shape), 0.0)
        right.append(mine.sampler.objective.decide(activity.output, sample) == sample.label)
        losses.append(mine.sampler.objective.loss(activity.output, sample))
        fired, arrived = fired + activity.hidden.neuron.size, arrived + sample.inputs.neuron.size
    assert found.accuracy == np.mean(right) == np.trace(found.confusion) / found.samples
    assert found.loss == pytest.approx(np.mean(losses))
    assert found.hidden_spikes == fired / (20 * len(right))
    assert found.input_spikes == arrived / len(right) == 5.0
    assert found.confusion.sum(1).tolist() == [len(right) // 3] * 3, "rows are the right classes, balanced here"
    assert (found.part, found.held_out, found.samples) == (part, True, len(right))


@pytest.mark.parametrize("make", [session, on_devices])
def test_a_run_that_is_evaluated_goes_on_to_the_bit(make) -> None:
    looked, alone = make(), make()
    for _ in range(4):
        first, again = evaluate(looked), evaluate(looked)
        assert (first.loss, first.accuracy, first.latency) == (again.loss, again.accuracy, again.latency)
        mine, theirs = looked.step(), alone.step()
        assert mine.loss == theirs.loss and mine.total_reads == theirs.total_reads
        np.testing.assert_array_equal(mine.voltage, theirs.voltage)
    for (name, tensor), other in zip(looked._tensors().items(), alone._tensors().values(), strict=True):
        assert torch.equal(tensor, other), name


def test_devices_are_read_at_the_age_at_which_the_next_trial_reads_them() -> None:
    mine = on_devices()
    mine.step()
    assert next_trial(mine, mine.device_time) == pytest.approx(2 * 38.6 - 0.1)


def test_regression_has_a_loss_and_no_classes() -> None:
    task = {"name": "pattern", "duration": 0.1, "samples": 2}
    found = evaluate(Session(RunConfig().with_values({"task": task, "network.hidden": 10})))
    assert np.isnan(found.accuracy) and np.isnan(found.latency)
    assert found.confusion.shape == (0, 0)
    assert (found.held_out, found.samples) == (False, 2)


def latency_of(leading: list[int], readout: str = "max", begin: int = 0, first: int = 2) -> int:
    """An output whose running decision is `leading`: each step's leader exceeds all before."""
    output = np.zeros((len(leading), 3))
    output[range(len(leading)), leading] = 10.0 ** np.arange(len(leading))
    raster = np.zeros((len(leading), 1))
    raster[first:] = 1
    sample = Sample(0, from_raster(raster), np.zeros_like(output), 0, (begin, len(leading)))
    silent = np.empty((0, 0))
    return decision_latency(READOUTS[readout], Activity(silent, sample.inputs, output, silent), sample)


@pytest.mark.parametrize("readout", READOUTS)
def test_latency_ends_with_the_last_change_of_mind(readout: str) -> None:
    assert latency_of([0, 0, 1, 2, 1, 1], readout) == 2
    assert latency_of([0, 0, 0, 0, 0, 2], readout) == 3
    assert latency_of([1, 1, 1, 1, 1, 1], readout) == 0
    assert latency_of([2, 0, 1, 1, 1, 1], readout, begin=3) == 1, "an answer counts from the window on"


def test_latency_without_input_is_zero() -> None:
    assert latency_of([0, 1, 2], first=3) == 0


@pytest.mark.parametrize("readout", READOUTS)
def test_running_decisions_are_those_of_shorter_windows(readout: str) -> None:
    objective, output = READOUTS[readout], np.random.default_rng(1).normal(size=(30, 4)) * np.arange(30)[:, None]
    raster = spikes.from_raster(np.ones((30, 1)))
    windows = [Sample(0, raster, output, 0, (5, end)) for end in range(6, 31)]
    expected = [objective.decide(output, sample) for sample in windows]
    assert objective.running(output, windows[-1]).tolist() == expected
    assert len(set(expected)) > 1


def test_fewer_samples_come_from_all_over() -> None:
    numbers = [Sample(k, Spikes(np.zeros(2, np.int64), np.zeros(0, np.int32)), np.zeros((1, 1))) for k in range(10)]
    assert [sample.index for sample in thinned(numbers, 4)] == [0, 2, 5, 7]
    assert thinned(numbers, 10) is numbers
    assert evaluate(session(), most=6).samples == 6


def test_an_unknown_part_is_named() -> None:
    with pytest.raises(UnknownNameError, match="unknown part 'train'; known: test, validation"):
        evaluate(session(), "train")


def test_the_energy_of_an_inference_is_that_of_the_reads_that_it_makes() -> None:
    """Devices without drift and read noise: each spike takes V^2 G t of the devices of its rows."""
    constants = {"drift_exponent": 0.0, "read_noise": 0.0}
    mine = on_devices()
    mine.configure(mine.config.with_values({"device.constants": constants}))
    rows = [array.state.conductance.clamp(min=0.1).double().sum((0, 1, 3)).numpy() for array in mine.arrays]
    spent, count, shape = 0.0, 0, (mine.sampler.steps, 20, 3)
    for sample in mine.sampler.evaluation():
        activity = mine.network.run(mine.arrays, sample.inputs, ReadNoise.none(shape), 0.0)
        arrived, fired = spikes.counts(sample.inputs, mine.sampler.inputs), spikes.counts(activity.hidden, 20)
        last = spikes.counts(spikes.between(activity.hidden, shape[0] - 1, shape[0]), 20)
        spent, count = spent + arrived @ rows[0] + (fired - last) @ rows[1] + fired @ rows[2], count + 1
    assert evaluate(mine).energy == pytest.approx(0.2**2 * spent * 1e-6 * 250e-9 / count, rel=1e-6)
    assert (evaluate(mine).duration, evaluate(session()).energy) == (0.1, None)
