"""Evidence accumulation: the stimulus is the published one, and a batch is the mean of its trials."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import binom

from pcmsim.array import ArrayView
from pcmsim.errors import FieldError
from pcmsim.streams import Streams
from training import honesty, spikes
from training.config import RunConfig
from training.presets import PRESETS
from training.schemes import Adam, Asked
from training.session import Session
from training.tasks import Evidence

SHORT = {
    "task": {"name": "evidence", "cues": 3, "cue": 0.02, "gap": 0.01, "delay": 0.02, "recall": 0.02, "channels": 12}
}
QUICK = PRESETS["evidence"].config.with_values(
    {**SHORT, "network.hidden": 20, "network.threshold": 0.1, "learning.batch": 4}
)


def drawn(trials: int, **values: object) -> tuple[np.ndarray, np.ndarray]:
    """Rasters and labels of the first trials."""
    sampler = Evidence(**values).sampler(1e-3, streams=Streams(3))
    samples = [sampler.sample(trial) for trial in range(trials)]
    return np.stack([spikes.to_raster(s.inputs, 40) for s in samples]), np.array([s.label for s in samples])


def test_the_stimulus_is_the_published_one() -> None:
    rasters, labels = drawn(400)
    assert rasters.shape == (400, 2250, 40)
    rate = 1000.0 * rasters.mean(0)
    assert rate[:, 30:].mean() == pytest.approx(10.0, rel=0.02)
    assert rate[-150:, 20:30].mean() == pytest.approx(40.0, rel=0.03)
    assert rate[:-150, :30][1050:].sum() == 0.0
    assert rate[:50, :30].sum() == 0.0
    assert rate[50:150, :20].mean() == pytest.approx(20.0, rel=0.03)
    assert rate[150:200, :20].sum() == 0.0
    assert labels.mean() == pytest.approx(0.5, abs=0.08)


def test_the_label_is_the_side_with_more_cues_and_one_side_is_favoured() -> None:
    rasters, labels = drawn(300, rate=400.0)
    cues = np.stack([rasters[:, 50 + 150 * k : 150 + 150 * k, 10:20].any((1, 2)) for k in range(7)], 1)
    assert np.array_equal(labels, cues.sum(1) > 3)
    expected = sum(binom.pmf(k, 7, 0.7) * max(k, 7 - k) / 7 for k in range(8))
    assert np.maximum(cues.mean(1), 1.0 - cues.mean(1)).mean() == pytest.approx(expected, abs=0.02)


def test_an_evaluation_asks_as_many_trials_as_are_set() -> None:
    samplers = [Evidence(**about).sampler(1e-3, streams=Streams(3)) for about in ({}, {"evaluated": 7})]
    assert [len(sampler.evaluation()) for sampler in samplers] == [100, 7]


@pytest.mark.parametrize("value", [0, 1001, 2.5])
def test_a_number_of_evaluated_trials_that_cannot_be_is_refused(value: float) -> None:
    with pytest.raises(FieldError, match=rf"^Evidence.evaluated: must be a whole number >= 1 and <= 1000, got {value}"):
        Evidence(evaluated=value)


def test_trials_repeat_by_number_and_are_not_those_that_judge() -> None:
    sampler = Evidence().sampler(1e-3, streams=Streams(3))
    one, again, other = sampler.sample(5), sampler.sample(5), sampler.sample(6)
    assert np.array_equal(one.inputs.neuron, again.inputs.neuron)
    assert one.inputs.neuron.size != other.inputs.neuron.size
    judged = sampler.evaluation()
    assert len(judged) == 100
    trained = {sampler.sample(trial).inputs.neuron.tobytes() for trial in range(100)}
    assert not trained & {sample.inputs.neuron.tobytes() for sample in judged}


def test_a_batch_is_one_update_by_the_mean_of_its_trials() -> None:
    values = {"scheme": "float32", "learning.lr_input": 0.1, "learning.rate_over": "trial"}
    batched = Session(QUICK.with_values(values))
    before = batched.arrays.input.stored_weights().clone()
    for record in batched.run(3):
        assert record.decision in (0, 1)
        assert torch.equal(batched.arrays.input.stored_weights(), before)
    batched.step()
    change = batched.arrays.input.stored_weights() - before
    single = Session(QUICK.with_values({**values, "learning.batch": 1}))
    changes = []
    for trial in range(4):
        session = single.fork()
        session.trial = trial
        session.step()
        changes.append(session.arrays.input.stored_weights() - before)
    assert change.abs().max() > 1e-6
    torch.testing.assert_close(change, torch.stack(changes).mean(0), rtol=1e-4, atol=1e-7)


def test_a_run_saved_inside_a_batch_goes_on_as_if_it_had_never_stopped(tmp_path: Path) -> None:
    whole, stopped = Session(QUICK), Session(QUICK)
    expected = [record.loss for record in whole.run(12)]
    losses = [record.loss for record in stopped.run(6)]
    stopped.save(tmp_path / "run.safetensors")
    losses += [record.loss for record in Session.resume(tmp_path / "run.safetensors").run(6)]
    assert losses == expected


def test_batches_and_updates_inside_a_trial_exclude_each_other() -> None:
    with pytest.raises(FieldError, match=r"LearningConfig.batch: must be 1 where weights change inside a trial"):
        QUICK.with_values({"learning.update_every": 10})


def test_honesty_knows_the_cross_entropy() -> None:
    session = Session(QUICK)
    session.step()
    compared = honesty.compare(session)
    assert compared.cosine["output"] == pytest.approx(1.0, abs=1e-6)
    assert 0.2 < compared.loss < 2.0


def test_adam_is_torchs_where_epsilon_does_not_matter() -> None:
    weights = torch.zeros((3, 4))
    theirs = torch.zeros((3, 4), requires_grad=True)
    optimiser = torch.optim.Adam([theirs], lr=0.01, eps=1e-12)
    scheme = Adam(epsilon=1e-12)
    view = ArrayView((3, 4), 1, 1.0, 0.0, torch.empty(0))
    state, generator = scheme.init(view), torch.Generator().manual_seed(0)
    for _ in range(20):
        gradient = torch.randn((3, 4), generator=generator)
        plan = scheme.update(Asked(gradient, 0.01, view, RunConfig().precision), state, generator=generator)
        weights += plan.change
        theirs.grad = gradient
        optimiser.step()
    torch.testing.assert_close(weights, theirs.detach(), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("cues", [2, 8, 98])
def test_a_number_of_cues_that_may_be_a_draw_is_refused(cues: int) -> None:
    with pytest.raises(FieldError, match=rf"^Evidence.cues: must be odd, so that one side has more, got {cues}$"):
        Evidence(cues=cues)


@pytest.mark.parametrize("readout", ["window", "sum", "max"])
def test_a_question_without_time_for_an_answer_is_refused(readout: str) -> None:
    short = Evidence(recall=4e-4, readout=readout)
    with pytest.raises(FieldError, match=r"^Evidence.recall: must be at least a time step, 0.001 s, .* got 0.0004$"):
        short.sampler(1e-3, streams=Streams(1))
    sample = short.sampler(5e-4, streams=Streams(1)).sample(0)
    assert sample.window[1] - sample.window[0] == 1
