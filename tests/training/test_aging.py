"""Waiting: drift and compensation against closed forms, and a session that only its clock shows it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from pcmsim.crossbar import Crossbar
from pcmsim.errors import FieldError, UnknownNameError
from training.aging import SPANS, Aging, fast_forward, measure, outlook
from training.config import RunConfig
from training.network import LAYERS, Arrays, ReadNoise
from training.presets import MIXED
from training.session import Session

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL: dict[str, Any] = {
    **MIXED,
    "network.hidden": 30,
    "task.inputs": 20,
    "task.duration": 0.2,
    "task.rate": 100.0,
}
EAGER = {"learning.lr_input": 5e-3, "learning.lr_recurrent": 5e-3, "learning.lr_output": 5e-3}
FROZEN = dict.fromkeys(EAGER, 0.0)
EXACT = {f"device.constants.{name}": 0.0 for name in ("read_noise", "g_min")}
DIGITAL = {"scheme": "float32", "precision.weight_bits": None, "network.threshold": 0.05}
NU = 0.04
YEAR = SPANS["1 year"]


def fresh(**values: Any) -> Session:
    """A session whose devices all have one age, and conductances far from their bounds, so that it spikes."""
    session = Session(RunConfig().with_values({**SMALL, "network.threshold": 0.05, **values}))
    for number, array in enumerate(session.arrays):
        if isinstance(array, Crossbar):
            g = array.state.conductance
            g += torch.rand(g.shape, generator=torch.Generator().manual_seed(number))
    return session


def trained(trials: int = 4, **values: Any) -> Session:
    session = Session(RunConfig().with_values({**SMALL, **EAGER, **values}))
    list(session.run(trials))
    return session


def next_trial(session: Session) -> float:
    return session.device_time + session.config.device.update_interval - session.config.task.duration


def assert_same_run(a: Session, b: Session) -> None:
    for mine, theirs in zip(a.run(3), b.run(3), strict=True):
        assert {**mine.scalars(), "seconds": 0} == {**theirs.scalars(), "seconds": 0}
        np.testing.assert_array_equal(mine.voltage, theirs.voltage)
    for (name, mine), theirs in zip(a._tensors().items(), b._tensors().values(), strict=True):
        assert torch.equal(mine, theirs), name


@pytest.mark.parametrize("seconds", SPANS.values())
def test_the_gain_is_the_inverse_of_the_drift(seconds: float) -> None:
    """All devices of age a: every conductance falls by ((a + t) / a) ** -nu."""
    session = fresh()
    age = next_trial(session)
    for gain in fast_forward(session, seconds).gains.values():
        assert gain == pytest.approx(((age + seconds) / age) ** NU, rel=1e-6)


def test_compensation_restores_a_drifted_network() -> None:
    """Equal ages, no read noise, no clip: what is left is float rounding, and drift within the trial of 0.02 %."""
    aging = fast_forward(fresh(**EXACT), YEAR)
    assert abs(aging.after - aging.before) > 0.05 * aging.before
    assert aging.compensated == pytest.approx(aging.before, rel=1e-3)


def test_compensated_outputs_are_those_of_before() -> None:
    session = fresh(**EXACT, **{"device.update_interval": 1e7})
    shape = (session.sampler.steps, 30, 1)
    sample, noise = session.sampler.sample(0), ReadNoise.none(shape)
    now = next_trial(session)
    gains = [array.drift_gain(now, now + YEAR) for array in session.arrays]
    lifted = Arrays(*(array.rescaled(gain) for array, gain in zip(session.arrays, gains, strict=True)))
    before = session.network.run(session.arrays, sample.inputs, noise, now)
    after = session.network.run(session.arrays, sample.inputs, noise, now + YEAR)
    restored = session.network.run(lifted, sample.inputs, noise, now + YEAR)
    assert before.hidden.neuron.size > 50
    assert not np.array_equal(after.hidden.neuron, before.hidden.neuron)
    np.testing.assert_array_equal(restored.hidden.neuron, before.hidden.neuron)
    np.testing.assert_allclose(restored.output, before.output, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("values", [{"device.constants.drift_exponent": 0.0}, DIGITAL])
def test_without_drift_nothing_changes(values: dict[str, Any]) -> None:
    """Also not by the read noise: all measurements meet the same."""
    session = trained(**values)
    aging = fast_forward(session, YEAR)
    assert aging.before == aging.after == aging.compensated > 0.0
    assert aging.gains == dict.fromkeys(LAYERS, 1.0)
    assert session.device_time == aging.device_time == pytest.approx(4 * 38.6 + YEAR)


@pytest.mark.parametrize("samples", [1, 4])
def test_the_error_is_that_of_an_epoch_without_learning(samples: int) -> None:
    """Nothing drifts, reads are exact: an epoch at learning rate 0 makes the same errors, trial by trial."""
    session = fresh(**FROZEN, **EXACT, **{"device.constants.drift_exponent": 0.0, "task.samples": samples})
    measured = measure(session, next_trial(session))
    records = list(session.run(samples))
    assert measured == pytest.approx(np.mean([record.loss for record in records]), rel=1e-9)
    assert all(record.rate > 1.0 for record in records)


def test_before_and_after_are_what_the_next_trial_sees() -> None:
    """The drift of the pulses just written included: with one sample, the next record's loss."""
    session = trained(**EXACT, **{"task.samples": 1, "network.threshold": 0.02, "device.update_interval": 0.4})
    aging = outlook(session, {"wait": 2.0})[0]
    now, later = session.fork(), session.fork()
    later.device_time += 2.0
    assert aging.before == pytest.approx(now.step().loss, rel=1e-9)
    assert aging.after == pytest.approx(later.step().loss, rel=1e-9)
    assert aging.before != aging.after


def test_a_silent_network_makes_the_silent_error() -> None:
    session = trained(**{"network.threshold": 500.0})
    aging = fast_forward(session, 60.0)
    targets = [session.sampler.sample(trial).target for trial in range(3)]
    expected = np.mean(np.concatenate(targets) ** 2)
    assert aging.silent == pytest.approx(expected)
    assert aging.before == aging.after == aging.compensated == pytest.approx(expected)


@pytest.mark.parametrize(
    "values",
    [{}, {"device.read_mode": "device"}, {"learning.update_every": 50}, DIGITAL, {"device.preset": "joshi2020"}],
)
def test_the_run_goes_on_as_if_its_clock_had_been_set_by_hand(values: dict[str, Any]) -> None:
    waited, by_hand = trained(**values), trained(**values)
    aging = fast_forward(waited, 1e5)
    by_hand.device_time += 1e5
    assert waited.device_time == aging.device_time == by_hand.device_time
    assert_same_run(waited, by_hand)


def test_looking_changes_nothing() -> None:
    watched, alone = trained(), trained()
    measure(watched, 1e6, {"input": 1.3})
    outlook(watched)
    assert watched.device_time == alone.device_time
    assert_same_run(watched, alone)


def test_an_outlook_is_several_waits_from_now() -> None:
    session = trained()
    ahead = outlook(session)
    assert [aging.seconds for aging in ahead] == [60.0, 3600.0, 86400.0, 2592000.0, 31536000.0]
    assert ahead == [fast_forward(session.fork(), seconds) for seconds in SPANS.values()]


def test_measurements_have_noise_of_their_own() -> None:
    """The names under which training draws stay; another purpose is another stream."""
    session = fresh()
    shape = (200, 30, 1)
    training, looking = (ReadNoise.draw(shape, 0, streams=session.streams, purpose=p) for p in ("read", "evaluate"))
    normal = torch.randn((200, 30), generator=session.streams.at("read/hidden", 0)).numpy()
    np.testing.assert_array_equal(training.hidden, normal)
    assert abs(np.corrcoef(training.hidden.ravel(), looking.hidden.ravel())[0, 1]) < 4.5 / math.sqrt(6000)
    assert not set(training.keys) & set(looking.keys)


@pytest.mark.parametrize("mode", ["output", "device"])
def test_a_gain_lifts_weights_and_noise(mode: str) -> None:
    """A network whose thresholds and outputs are lifted alike spikes alike: gain k and threshold k."""
    plain = fresh(**{"device.read_mode": mode, "task.samples": 1})
    lifted = fresh(**{"device.read_mode": mode, "task.samples": 1, "network.threshold": 0.1})
    output = measure(lifted, 37.0, dict.fromkeys(("input", "recurrent"), 2.0))
    assert output == pytest.approx(measure(plain, 37.0), rel=1e-4)
    assert output != pytest.approx(measure(plain, 37.0, {"output": 2.0}), rel=1e-2)


def test_a_rescaled_crossbar_shows_the_same_devices() -> None:
    """Mean times gain, variance times its square, and what is written later shows in both."""
    array = fresh().arrays.recurrent
    view = array.rescaled(1.7)
    for moment in (30.0, 3e5):
        mine, theirs = array.moments(moment), view.moments(moment)
        torch.testing.assert_close(theirs.mean, 1.7 * mine.mean)
        torch.testing.assert_close(theirs.variance, 1.7**2 * mine.variance)
        devices, scaled = array.device_reads(moment), view.device_reads(moment)
        torch.testing.assert_close(scaled.location, 1.7 * devices.location)
        torch.testing.assert_close(scaled.upper, 1.7 * devices.upper)
    assert isinstance(array, Crossbar) and isinstance(view, Crossbar)
    assert view.ledger is array.ledger
    array.state.conductance.add_(1.0)
    assert torch.equal(view.conductance(30.0), array.conductance(30.0))


def test_an_array_that_conducts_nothing_needs_no_gain() -> None:
    array = fresh().arrays.output
    assert isinstance(array, Crossbar)
    array.state.conductance.zero_()
    assert array.drift_gain(30.0, YEAR) == 1.0


def test_a_year_spoils_what_was_learned_and_compensation_brings_part_of_it_back() -> None:
    """Three chips that learned one pattern to well below the silent error."""
    task = {"name": "pattern", "inputs": 60, "duration": 0.5, "samples": 1}
    values = {**MIXED, "network.hidden": 60, "task": task}
    aged: list[Aging] = []
    for seed in (1, 2, 3):
        session = Session(RunConfig().with_values({**values, "seed": seed}))
        list(session.run(300))
        aged.append(fast_forward(session, YEAR))
    before, after, compensated, silent = (
        np.mean([getattr(aging, name) for aging in aged]) for name in ("before", "after", "compensated", "silent")
    )
    assert before < 0.6 * silent
    assert after > 1.2 * before
    assert compensated - before < 0.5 * (after - before)


@pytest.mark.parametrize("seconds", [0.0, -1.0, math.nan, math.inf, 3.3e9, True])
def test_impossible_waits_are_named_and_change_nothing(seconds: float) -> None:
    session = fresh()
    with pytest.raises(FieldError, match=r"^seconds: must be a finite number > 0 s and <= 3.2e\+09 s, got "):
        fast_forward(session, seconds)
    with pytest.raises(FieldError, match=r"^seconds: must be a finite number > 0 s"):
        outlook(session, {"fine": 60.0, "not": seconds})
    assert session.device_time == 0.0


def test_the_longest_wait_is_possible() -> None:
    session = trained()
    assert fast_forward(session, 3.2e9).gains["input"] > 1.5
    assert np.isfinite(session.step().loss)


@pytest.mark.parametrize("gain", [0.0, -2.0, math.nan, math.inf])
def test_impossible_gains_are_named(gain: float) -> None:
    with pytest.raises(FieldError, match=r"^gain: must be a finite number > 0, got "):
        measure(fresh(), 1.0, {"output": gain})


def test_digital_weights_take_no_gain() -> None:
    session = trained(**DIGITAL)
    assert session.arrays.input.rescaled(1.0) is session.arrays.input
    with pytest.raises(FieldError, match=r"^gain: must be 1 for digital weights, which do not drift, got 1.5$"):
        measure(session, 1.0, {"output": 1.5})


def test_an_unknown_layer_is_named() -> None:
    with pytest.raises(UnknownNameError, match="unknown layer 'inputs' .did you mean 'input'"):
        measure(fresh(), 1.0, {"inputs": 1.5})
