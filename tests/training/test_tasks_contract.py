"""What holds for every task: one table of subjects, one suite."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pcmsim.errors import FieldError, PCMLabError, UnknownNameError
from pcmsim.quantity import quantities
from pcmsim.streams import Streams
from training.codec import decode, encode
from training.config import RunConfig
from training.objectives import SquaredError
from training.session import Session
from training.tasks import TASKS, Digits, Evidence, Pattern, Sampler, Task, YinYang

SUBJECTS = {
    "pattern": Pattern(inputs=20, duration=0.1, samples=5),
    "evidence": Evidence(cues=3, delay=0.1),
    "digits": Digits(),
    "digits stratified": Digits(split="stratified", readout="max"),
    "digits turned": Digits(rotation=20.0),
    "yin-yang": YinYang(train=300, validation=60, test=90),
    "mnist": "mnist",
    "shd": "shd",
    "csv labels": "labelled",
    "csv curves": "curves",
}
FIXED = [name for name in SUBJECTS if name not in ("pattern", "evidence")]


@pytest.fixture
def task(request: pytest.FixtureRequest) -> Task:
    subject = SUBJECTS[request.param]
    return request.getfixturevalue(subject) if isinstance(subject, str) else subject


every = pytest.mark.parametrize("task", SUBJECTS, indirect=True)
fixed = pytest.mark.parametrize("task", FIXED, indirect=True)


def sampled(task: Task, seed: int = 3) -> Sampler:
    return task.sampler(1e-3, streams=Streams(seed))


def content(sample) -> tuple[object, ...]:
    return (
        sample.index,
        sample.label,
        sample.inputs.start.tobytes(),
        sample.inputs.neuron.tobytes(),
        sample.target.tobytes(),
    )


def test_every_task_has_a_subject() -> None:
    assert {name.split()[0] for name in SUBJECTS} == set(TASKS)


@every
def test_same_seed_same_samples_another_seed_others(task: Task) -> None:
    mine, again, other = sampled(task), sampled(task), sampled(task, 4)
    trials = range(12)
    expected = [content(mine.sample(trial)) for trial in trials]
    assert [content(again.sample(trial)) for trial in trials] == expected
    assert [content(other.sample(trial)) for trial in trials] != expected


@every
def test_a_sample_depends_on_its_trial_alone(task: Task) -> None:
    forward, backward = sampled(task), sampled(task)
    trials = (0, 1, 7, 500, 123_456)
    expected = [content(forward.sample(trial)) for trial in trials]
    assert [content(backward.sample(trial)) for trial in reversed(trials)] == expected[::-1]
    assert [content(forward.sample(trial)) for trial in trials] == expected


@every
def test_spikes_targets_and_windows_fit_the_trial(task: Task) -> None:
    sampler = sampled(task)
    for sample in [sampler.sample(trial) for trial in range(20)] + list(sampler.evaluation())[:20]:
        start, neuron = sample.inputs
        assert start.dtype == np.int64 and neuron.dtype == np.int32
        assert start.shape == (sampler.steps + 1,) and start[0] == 0 and start[-1] == neuron.size
        assert np.all(np.diff(start) >= 0)
        place = np.repeat(np.arange(sampler.steps), np.diff(start)) * sampler.inputs + neuron
        assert np.all(np.diff(place) > 0), "sorted by step, then channel, each once"
        assert neuron.size == 0 or 0 <= neuron.min() <= neuron.max() < sampler.inputs
        assert sample.target.shape == (sampler.steps, sampler.outputs)
        begin, end = sample.window
        assert 0 <= begin < min(end, sampler.steps)


@every
def test_classes_are_named_and_asked_for_one_hot(task: Task) -> None:
    sampler = sampled(task)
    assert bool(sampler.classes) == (not isinstance(sampler.objective, SquaredError))
    for sample in [sampler.sample(trial) for trial in range(20)]:
        if not sampler.classes:
            assert sample.label == -1
            continue
        assert len(set(sampler.classes)) == sampler.outputs
        expected = np.zeros_like(sample.target)
        expected[sample.window[0] :, range(sampler.outputs).index(sample.label)] = 1.0
        np.testing.assert_array_equal(sample.target, expected)


@every
def test_what_judges_is_not_trained_on_and_parts_differ(task: Task) -> None:
    sampler = sampled(task)
    trained = {content(sampler.sample(trial))[2:4] for trial in range(sampler_length(sampler))}
    parts = [{content(sample)[2:4] for sample in sampler.evaluation(part)} for part in ("validation", "test")]
    assert all(parts)
    if isinstance(task, YinYang):  # its points differ, while near ones spike alike
        assert len(np.unique(sampler.points, axis=0)) == len(sampler.points)
    elif sampler.held_out:
        assert not trained & parts[1]
        assert not parts[0] & parts[1]
    else:
        assert parts[0] == parts[1] == trained


def sampler_length(sampler: Sampler) -> int:
    return sampler.parts.train.size if hasattr(sampler, "parts") else 50


@fixed
def test_parts_are_disjoint_and_an_epoch_shows_each_sample_once(task: Task) -> None:
    sampler = sampled(task)
    train, validation, test = (set(part.tolist()) for part in sampler.parts)
    assert len(train | validation | test) == len(train) + len(validation) + len(test)
    length = len(train)
    epochs = [[sampler.sample(length * epoch + k).index for k in range(length)] for epoch in range(2)]
    assert set(epochs[0]) == set(epochs[1]) == train
    assert epochs[0] != epochs[1]
    assert {sample.index for sample in sampler.evaluation("validation")} == validation
    assert {sample.index for sample in sampler.evaluation("test")} == test


@fixed
def test_carved_parts_have_the_same_share_of_each_class(task: Task) -> None:
    sampler = sampled(task)
    if not sampler.classes:
        return
    labels = [[sampler._make(int(k)).label for k in part] for part in sampler.parts]
    counts = np.array([np.bincount(part, minlength=sampler.outputs) for part in labels])
    share = counts[1] / (counts[0] + counts[1])
    assert np.ptp(share) * (counts[0] + counts[1]).min() <= 1.0


@every
def test_an_unknown_part_lists_the_known_ones(task: Task) -> None:
    with pytest.raises(
        UnknownNameError, match=r"unknown part 'tests' \(did you mean 'test'\?\); known: test, validation"
    ):
        sampled(task).evaluation("tests")


@every
def test_images_are_between_dark_and_bright(task: Task) -> None:
    sampler = sampled(task)
    image = sampler.image(sampler.sample(0))
    assert (image is not None) == (type(task).__name__ in ("Digits", "Mnist"))
    assert image is None or (image.ndim == 2 and image.min() >= 0.0 and 0.3 < image.max() <= 1.0)


@every
def test_settings_survive_the_way_through_plain_values(task: Task) -> None:
    assert decode(Task, encode(task), "task") == task
    assert all(about.structural for about in quantities(task).values())


@every
def test_a_network_trains_and_resumes_on_it(task: Task, tmp_path: Path) -> None:
    values = {"task": encode(task), "network.hidden": 10, "scheme": "float32", "precision.weight_bits": None}
    session = Session(RunConfig().with_values(values))
    list(session.run(3))
    session.save(tmp_path / "run.safetensors")
    resumed = Session.resume(tmp_path / "run.safetensors")
    assert resumed.step().loss == session.step().loss
    assert np.isfinite(session.step().loss)


@pytest.mark.parametrize("name", TASKS)
def test_no_file_is_read_before_a_session_is_built(name: str) -> None:
    config = RunConfig().with_values({"task": name})
    if name in ("csv", "mnist", "shd"):
        with pytest.raises(FieldError, match=r"^(Csv.spikes|Mnist.folder|Shd.folder): must be the path of .*, got ''$"):
            Session(config)


@fixed
def test_an_empty_validation_part_is_told(task: Task) -> None:
    if isinstance(task, YinYang):
        return
    sampler = decode(Task, {**encode(task), "validation": 0.0}, "task").sampler(1e-3, streams=Streams(1))
    assert sampler.parts.validation.size == 0
    with pytest.raises(PCMLabError, match="task.validation: must be a share that gives samples: > 0"):
        sampler.evaluation("validation")
