"""One contract for every device preset: seeded, bounded, finite, and still where nothing is asked."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch

from pcmsim.closed_loop import ClosedLoopModel
from pcmsim.counter import normals_at
from pcmsim.crossbar import Crossbar
from pcmsim.mismatch import DeviceMismatch, Spread, spread
from pcmsim.model import DeviceModel, Noise
from pcmsim.plan import PulsePlan
from pcmsim.presets import DEVICES
from pcmsim.state import DeviceState
from pcmsim.streams import Streams

N = 500
AGES = (0.0, 0.5e-3, 1.0, 38.6, 3600.0, 3.15e7)
MISMATCH = {
    "nominal": Spread(),
    "mismatched": spread(DeviceMismatch(0.3, 0.3, 0.3), (N,), streams=Streams(1), name="test"),
}


def noise(key: int) -> Noise:
    return lambda k: normals_at((torch.arange(N) << 16) + k, key=key).float()


def ceiling(model: DeviceModel, pattern: Spread) -> torch.Tensor:
    """Largest stored conductance: the device's own limit; where a target is missed, six errors more.

    The programming error of Joshi et al. 2020 is at most 1.086 µS at 25 µS full scale, and for
    targets above it the polynomial only falls.
    """
    top = torch.as_tensor(model.g_max * pattern.g_max, dtype=torch.float32)
    return top + 6 * 1.0864 if isinstance(model, ClosedLoopModel) else top


def written(model: DeviceModel, pattern: Spread, key: int = 1) -> list[DeviceState]:
    """States along a life: programmed, RESET, SET a few times, SET very often."""
    start = model.initial(torch.full((N,), 0.3), 0.0, noise(key))
    cleared = model.reset(start, 1.0, noise(key + 1))
    few = model.set_pulses(cleared, torch.arange(N) % 4, pattern, 2.0, noise(key + 2))
    return [start, cleared, few, model.set_pulses(few, torch.full((N,), 100), pattern, 3.0, noise(key + 3))]


@pytest.mark.parametrize("pattern", MISMATCH.values(), ids=MISMATCH)
@pytest.mark.parametrize("preset", DEVICES)
class TestContract:
    def test_same_key_same_result(self, preset: str, pattern: Spread) -> None:
        model = DEVICES[preset](4)
        for first, second in zip(written(model, pattern), written(model, pattern), strict=True):
            assert all(torch.equal(a, b) for (_, a), (_, b) in zip(first.items(), second.items(), strict=True))

    def test_another_key_another_draw(self, preset: str, pattern: Spread) -> None:
        """Initial conductances differ nearly everywhere (clips apart) and do not correlate."""
        model = DEVICES[preset](4)
        a, b = (written(model, pattern, key)[0].conductance.numpy() for key in (1, 50))
        assert (a != b).mean() > 0.9
        assert abs(np.corrcoef(a, b)[0, 1]) < 4.5 / math.sqrt(N)

    def test_conductances_stay_within_bounds(self, preset: str, pattern: Spread) -> None:
        model = DEVICES[preset](4)
        top = ceiling(model, pattern)
        for cells in written(model, pattern):
            assert (cells.conductance >= 0.0).all()
            assert (cells.conductance <= top).all()

    def test_many_pulses_reach_the_upper_end(self, preset: str, pattern: Spread) -> None:
        """A hundred pulses leave half of the devices above three quarters of their own range."""
        model = DEVICES[preset](4)
        saturated = written(model, pattern)[-1].conductance
        share = saturated / torch.as_tensor(model.g_max * pattern.g_max)
        assert share.median() > 0.75

    @pytest.mark.parametrize("age", AGES)
    def test_read_moments_are_finite_and_bounded(self, preset: str, pattern: Spread, age: float) -> None:
        model = DEVICES[preset](4)
        for cells in written(model, pattern):
            read = model.read(cells, pattern, 3.0 + age)
            mean, variance = read.moments()
            assert mean.isfinite().all()
            assert (mean >= read.lower - 1e-6).all()
            assert (mean <= torch.as_tensor(read.upper) * (1 + 1e-6)).all()
            assert variance is None or (variance.isfinite().all() and (variance >= 0.0).all())

    def test_noisy_where_reads_have_a_variance(self, preset: str, pattern: Spread) -> None:
        """Fresh devices, with the preset's own reads and with the noise turned off."""
        model: Any = DEVICES[preset](4)
        for turned in (model, dataclasses.replace(model, read_noise=0.0)):
            variance = turned.read(written(turned, pattern)[1], pattern, 50.0).moments()[1]
            assert turned.noisy == (variance is not None and bool((variance > 0.0).any()))
            assert turned.noisy == (turned.read_noise > 0.0)

    def test_zero_pulses_change_nothing(self, preset: str, pattern: Spread) -> None:
        model = DEVICES[preset](4)
        for cells in written(model, pattern):
            after = model.set_pulses(cells, torch.zeros(N, dtype=torch.int64), pattern, 99.0, noise(7))
            assert all(torch.equal(a, b) for (_, a), (_, b) in zip(after.items(), cells.items(), strict=True))

    def test_writes_leave_the_old_state_alone(self, preset: str, pattern: Spread) -> None:
        model = DEVICES[preset](4)
        cells = written(model, pattern)[2]
        before = cells.copy()
        model.set_pulses(cells, torch.full((N,), 3), pattern, 9.0, noise(8))
        model.reset(cells, 9.0, noise(9))
        model.read(cells, pattern, 50.0).moments()
        assert all(torch.equal(a, b) for (_, a), (_, b) in zip(before.items(), cells.items(), strict=True))

    def test_reset_erases_the_past(self, preset: str, pattern: Spread) -> None:
        """What follows a RESET does not depend on what came before it."""
        model = DEVICES[preset](4)
        young, old = (model.reset(cells, 5.0, noise(3)) for cells in written(model, pattern)[::3])
        assert all(torch.equal(a, b) for (_, a), (_, b) in zip(young.items(), old.items(), strict=True))
        assert young.pulses.abs().max() == 0

    def test_types_and_times(self, preset: str, pattern: Spread) -> None:
        model = DEVICES[preset](4)
        for cells in written(model, pattern):
            assert [value.dtype for _, value in cells.items()] == [torch.float32] * 3 + [torch.float64, torch.int32]
            assert all(value.shape == (N,) for _, value in cells.items())

    def test_drift_keeps_to_its_estimate(self, preset: str, pattern: Spread) -> None:
        """Mean slope of log conductance over log age, nominal devices: at most the largest exponent."""
        model = DEVICES[preset](4)
        cells = written(model, pattern)[-1]
        early, late = (model.read(cells, Spread(), 3.0 + age).location.double().log() for age in (1e3, 1e5))
        assert (early - late).mean() / math.log(100) <= model.largest_exponent + 1e-6


@pytest.mark.parametrize("preset", DEVICES)
class TestInACrossbar:
    def crossbar(self, preset: str) -> Crossbar:
        return Crossbar(
            (6, 5),
            DEVICES[preset](4),
            devices=2,
            scale=12.0,
            initial_conductance=1.0,
            generator=torch.Generator().manual_seed(1),
        )

    def test_an_empty_plan_changes_nothing(self, preset: str) -> None:
        array = self.crossbar(preset)
        before = {name: value.clone() for name, value in array.tensors().items()}
        array.apply(PulsePlan.build(), 10.0, generator=torch.Generator().manual_seed(2))
        assert all(torch.equal(value, before[name]) for name, value in array.tensors().items())

    def test_reading_changes_nothing_and_repeats(self, preset: str) -> None:
        array = self.crossbar(preset)
        before = {name: value.clone() for name, value in array.tensors().items()}
        first = array.moments(40.0)
        array.device_reads(40.0)
        array.stored_weights()
        array.conductance(40.0)
        array.view()
        second = array.moments(40.0)
        assert torch.equal(first.mean, second.mean)
        assert all(torch.equal(value, before[name]) for name, value in array.tensors().items())

    def test_pulses_on_plus_raise_and_on_minus_lower_the_weight(self, preset: str) -> None:
        """Five pulses on all devices of one side of 30 synapses: more than four standard errors, each way."""
        for sign, side in ((1.0, 0), (-1.0, 1)):
            array = self.crossbar(preset)
            before = array.stored_weights()
            devices = torch.arange(60) + 60 * side
            array.apply(PulsePlan.build(devices, torch.full((60,), 5)), 1.0, generator=torch.Generator().manual_seed(3))
            change = sign * (array.stored_weights() - before)
            assert change.mean() > 4 * change.std() / math.sqrt(30)
