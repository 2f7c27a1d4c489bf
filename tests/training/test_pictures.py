"""Moved images: against SciPy's, and who gets to see them."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import rotate, shift
from scipy.stats import kstest

from pcmsim.errors import FieldError
from pcmsim.streams import Streams
from training import spikes
from training.coding import latency
from training.presets import PRESETS
from training.session import Session
from training.tasks import Digits, Mnist, Sampler
from training.tasks.pictures import moved, randomly_moved

SHAPES = [(8, 8), (16, 16), (5, 9)]


def noise(shape: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng(1).uniform(size=shape)


@pytest.fixture(params=["digits", "mnist"])
def task(request: pytest.FixtureRequest) -> Digits | Mnist:
    return Digits() if request.param == "digits" else request.getfixturevalue("mnist")


def sampled(task: Digits | Mnist, rotation: float, pixels: float = 0.0) -> Sampler:
    return dataclasses.replace(task, rotation=rotation, shift=pixels).sampler(1e-3, streams=Streams(3))


def events(sample) -> tuple[int, bytes, bytes]:
    return sample.index, sample.inputs.start.tobytes(), sample.inputs.neuron.tobytes()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("degrees", [-170.0, -30.0, 1.0, 15.0, 90.0])
def test_an_image_turns_as_in_scipy(shape: tuple[int, int], degrees: float) -> None:
    """SciPy drops what lies between the outermost pixels and the dark around them, unless there is a frame."""
    image = noise(shape)
    expected = rotate(np.pad(image, 1), degrees, reshape=False, order=1)[1:-1, 1:-1]
    np.testing.assert_allclose(moved(image, math.radians(degrees)), expected, atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("pixels", [(0.3, 0.0), (-1.0, 0.5), (0.25, -2.6)])
def test_an_image_is_shifted_as_in_scipy(shape: tuple[int, int], pixels: tuple[float, float]) -> None:
    image = noise(shape)
    expected = shift(image, pixels, order=1, mode="grid-constant")
    np.testing.assert_allclose(moved(image, 0.0, *pixels), expected, atol=1e-12)


def test_an_image_is_turned_before_it_is_shifted() -> None:
    image = noise((9, 9))
    expected = moved(moved(image, math.pi / 2), 0.0, 2.0, -1.0)
    np.testing.assert_allclose(moved(image, math.pi / 2, 2.0, -1.0), expected, atol=1e-12)


def test_shifts_are_uniform_and_independent() -> None:
    image = np.zeros((21, 21))
    image[10, 10] = 1.0
    rows, columns = np.mgrid[:21, :21] - 10
    draws = [randomly_moved(image, 0.0, 3.0, Streams(1).at("task/vary", trial)) for trial in range(300)]
    down, right = np.array([((draw * rows).sum(), (draw * columns).sum()) for draw in draws]).T
    assert min(kstest(one, "uniform", (-3.0, 6.0)).pvalue for one in (down, right)) > 0.01
    assert abs(np.corrcoef(down, right)[0, 1]) < 4.0 / math.sqrt(300)


@pytest.mark.parametrize("shape", SHAPES)
def test_no_angle_changes_no_bit(shape: tuple[int, int]) -> None:
    assert moved(noise(shape), 0.0).tobytes() == noise(shape).tobytes()


def test_angles_are_uniform_up_to_the_rotation() -> None:
    """The direction of a bright pixel's mass, as seen from the centre, tells the angle."""
    image = np.zeros((41, 41))
    image[20, 35] = 1.0
    rows, columns = np.mgrid[:41, :41] - 20
    draws = [randomly_moved(image, 40.0, 0.0, Streams(1).at("task/vary", trial)) for trial in range(300)]
    angles = [math.degrees(math.atan2(-(draw * rows).sum(), (draw * columns).sum())) for draw in draws]
    assert kstest(angles, "uniform", (-40.0, 80.0)).pvalue > 0.01
    assert max(np.abs(angles)) <= 40.0 + 1.0


def test_without_rotation_nothing_changes(task: Digits | Mnist) -> None:
    plain, zero = task.sampler(1e-3, streams=Streams(3)), sampled(task, 0.0)
    assert all(plain.sample(trial) is plain._make(plain.sample(trial).index) for trial in range(40))
    assert [events(plain.sample(t)) for t in range(40)] == [events(zero.sample(t)) for t in range(40)]


def test_what_judges_is_never_moved(task: Digits | Mnist) -> None:
    plain, turning = sampled(task, 0.0), sampled(task, 30.0, 1.0)
    for part in ("validation", "test"):
        assert list(map(events, turning.evaluation(part))) == list(map(events, plain.evaluation(part)))


@pytest.mark.parametrize(("rotation", "pixels"), [(30.0, 0.0), (0.0, 1.0), (30.0, 1.0)])
def test_each_trial_moves_its_image_anew_and_keeps_order_and_label(
    task: Digits | Mnist, rotation: float, pixels: float
) -> None:
    plain, turning = sampled(task, 0.0), sampled(task, rotation, pixels)
    trials = range(5 * plain.parts.train.size)
    assert [turning.sample(trial).label for trial in trials] == [plain.sample(trial).label for trial in trials]
    first = plain.sample(0).index
    again = [trial for trial in trials if plain.sample(trial).index == first]
    assert len(again) == len({events(turning.sample(trial)) for trial in again}) == 5


def test_spikes_are_those_of_the_moved_image() -> None:
    sampler = sampled(Digits(), 25.0, 0.7)
    sample = sampler.sample(7)
    image = randomly_moved(sampler.image(sample), 25.0, 0.7, Streams(3).at("task/vary", 7))
    expected = latency(image.ravel(), 20e-3, 0.2)
    arrived = dict(zip(sample.inputs.neuron.tolist(), spikes.times(sample.inputs).tolist(), strict=True))
    assert arrived == {pixel: int(time * 1e3) for pixel, time in enumerate(expected) if time < 0.06}


def test_a_resumed_run_goes_on_as_if_never_stopped(tmp_path: Path) -> None:
    values = {"task.rotation": 15.0, "network.hidden": 20, "learning.batch": 4, "seed": 5}
    config = PRESETS["digits"].config.with_values(values)
    straight, stopped = Session(config), Session(config)
    losses = [record.loss for record in straight.run(50)]
    early = [record.loss for record in stopped.run(23)]
    stopped.save(tmp_path / "run.safetensors")
    assert early + [record.loss for record in Session.resume(tmp_path / "run.safetensors").run(27)] == losses


@pytest.mark.parametrize(("field", "value", "allowed"), [
    ("rotation", 181.0, "180"), ("rotation", math.nan, "180"), ("shift", 8.5, "8 pixels"), ("shift", -0.1, "8 pixels"),
])  # fmt: skip
def test_what_is_out_of_bounds_is_refused_by_name(task: Digits | Mnist, field: str, value: float, allowed: str) -> None:
    with pytest.raises(FieldError, match=rf"{type(task).__name__}.{field}: must be .*{allowed}.*, got {value:g}"):
        dataclasses.replace(task, **{field: value})
