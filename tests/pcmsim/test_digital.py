"""Digital weights: nearest level, saturation, and changes that stay on the grid."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pcmsim.digital import DigitalArray, WeightFormat, quantise
from pcmsim.plan import PulsePlan, WeightPlan

BITS = [1, 2, 3, 4, 6, 8]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def values(n: int = 4000, span: float = 1.6) -> torch.Tensor:
    return (torch.rand(n, generator=generator(1)) * 2 - 1) * span


class TestQuantise:
    @pytest.mark.parametrize("full_scale", [0.5, 1.0, 12.0])
    @pytest.mark.parametrize("bits", BITS)
    def test_nearest_level_by_search(self, bits: int, full_scale: float) -> None:
        """Against a search through all levels, spaced by 2 / 2**bits of full scale and ending on it."""
        levels = np.linspace(-full_scale, full_scale, 2**bits + 1)
        x = values(span=1.6 * full_scale)
        nearest = levels[np.abs(x.numpy()[:, None] - levels).argmin(1)]
        assert quantise(x, bits, full_scale).numpy() == pytest.approx(nearest, abs=1e-6 * full_scale)

    @pytest.mark.parametrize("bits", BITS)
    def test_error_is_at_most_half_a_step_inside(self, bits: int) -> None:
        """And, being uniform, has variance step^2 / 12."""
        x = values(200_000, span=1.0).double()
        error = quantise(x, bits) - x
        step = 2.0 / 2**bits
        assert error.abs().max() <= step / 2 + 1e-12
        assert error.var().item() == pytest.approx(step**2 / 12, rel=0.01)

    @pytest.mark.parametrize("bits", BITS)
    def test_saturates(self, bits: int) -> None:
        assert quantise(torch.tensor([-7.0, 1.01, math.inf, -math.inf]), bits).tolist() == [-1.0, 1.0, 1.0, -1.0]

    @pytest.mark.parametrize("bits", BITS)
    def test_rounding_twice_changes_nothing(self, bits: int) -> None:
        once = quantise(values(), bits)
        assert torch.equal(quantise(once, bits), once)

    @pytest.mark.parametrize("bits", BITS)
    def test_is_odd(self, bits: int) -> None:
        """Towards neither side: a flooring quantiser pulls small negative weights down."""
        assert torch.equal(quantise(-values(), bits), -quantise(values(), bits))

    def test_no_bits_leave_the_values(self) -> None:
        x = values()
        assert torch.equal(quantise(x, None), x)

    def test_arguments_and_types_stay(self) -> None:
        for dtype in (torch.float32, torch.float64):
            x = values().to(dtype)
            before = x.clone()
            assert quantise(x, 3).dtype == dtype
            assert torch.equal(x, before)


class TestArray:
    @pytest.mark.parametrize("bits", [None, *BITS])
    def test_changes_add_clip_and_round(self, bits: int | None) -> None:
        """Ten random changes against NumPy: add, clip to [-1, 1], nearest of the levels."""
        start = torch.randn(5, 4, generator=generator(2)) * 0.5
        array = DigitalArray(start.clone(), bits)
        expected = quantise(start, bits).double().numpy()
        for k in range(10):
            change = torch.randn(5, 4, generator=generator(10 + k)) * 0.6
            array.apply(WeightPlan(change), float(k), generator=generator())
            expected = np.clip(expected + change.numpy(), -1.0, 1.0)
            if bits is not None:
                expected = np.round(expected * 2 ** (bits - 1)) / 2 ** (bits - 1)
            assert array.stored_weights().numpy() == pytest.approx(expected, abs=1e-5)
        assert np.abs(expected).max() == 1.0

    @pytest.mark.parametrize("bits", BITS)
    def test_weights_stay_on_the_grid(self, bits: int) -> None:
        array = DigitalArray(torch.randn(5, 4, generator=generator(2)), bits)
        for k in range(5):
            array.apply(WeightPlan(torch.randn(5, 4, generator=generator(k))), 0.0, generator=generator())
            level = array.stored_weights() * 2 ** (bits - 1)
            assert torch.equal(level, level.round())

    def test_changes_below_half_a_step_are_lost(self) -> None:
        """Why digital weights of few bits need accumulation: 3 bits, steps of 0.25."""
        array = DigitalArray(torch.zeros(1, 2), 3)
        for _ in range(20):
            array.apply(WeightPlan(torch.tensor([[0.12, 0.13]])), 0.0, generator=generator())
        assert array.stored_weights().tolist() == [[0.0, 1.0]]

    def test_reads_are_exact_at_any_time(self) -> None:
        array = DigitalArray(torch.tensor([[0.5, -0.25]]))
        reads = array.moments(1e9)
        assert reads.mean.tolist() == [[0.5, -0.25]]
        assert reads.variance is None
        assert array.device_reads(0.0) is None
        assert array.youngest_age(1e9) == math.inf
        assert array.largest_exponent == 0.0

    @pytest.mark.parametrize(("bits", "step"), [(None, 0.0), (1, 1.0), (4, 0.125)])
    def test_view(self, bits: int | None, step: float) -> None:
        view = DigitalArray(torch.zeros(3, 2), bits).view()
        assert (view.shape, view.devices, view.scale, view.weight_step) == ((3, 2), 1, 1.0, step)
        assert view.conductance.numel() == 0

    def test_wrong_kind_of_plan(self) -> None:
        with pytest.raises(TypeError, match="^a digital array takes a WeightPlan, got PulsePlan$"):
            DigitalArray(torch.zeros(1, 1)).apply(PulsePlan.build(), 0.0, generator=generator())

    def test_round_trip(self) -> None:
        array, twin = DigitalArray(torch.randn(3, 2, generator=generator(1)), 8), DigitalArray(torch.zeros(3, 2), 8)
        twin.load({name: value.clone() for name, value in array.tensors().items()})
        assert torch.equal(twin.stored_weights(), array.stored_weights())

    def test_the_initial_weights_stay_the_caller_s(self) -> None:
        mine = torch.zeros(1, 2)
        DigitalArray(mine).apply(WeightPlan(torch.ones(1, 2)), 0.0, generator=generator())
        assert mine.tolist() == [[0.0, 0.0]]


class TestWeightFormat:
    def test_sign_and_magnitude_are_the_whole_units_of_the_hardware(self) -> None:
        """Six bits and a sign: -63 to 63 units, 127 weights, each the nearest."""
        form = WeightFormat(6, full_scale=0.5, sign_magnitude=True)
        levels = np.arange(-63, 64) * (0.5 / 63.0)
        x = values(span=0.8)
        nearest = levels[np.abs(x.numpy()[:, None] - levels).argmin(1)]
        assert form.rounded(x).numpy() == pytest.approx(nearest, abs=1e-6)
        assert len(np.unique(np.round(form.rounded(x).numpy() / form.step))) == 127
        assert DigitalArray(x[:4].view(2, 2), form=form).view().step == pytest.approx(0.5 / 63.0)

    @pytest.mark.parametrize("sign_magnitude", [False, True])
    def test_a_shadow_gathers_what_rounding_would_swallow(self, sign_magnitude: bool) -> None:
        """Ten changes of a tenth of a step move the weight by one step; without the shadow by none."""
        shadowed, bare = (
            DigitalArray(torch.zeros(1, 1), form=WeightFormat(6, sign_magnitude=sign_magnitude, shadow=shadow))
            for shadow in (True, False)
        )
        seen = []
        for _ in range(10):
            for array in (shadowed, bare):
                array.apply(WeightPlan(torch.full((1, 1), 0.1 * array.form.step)), 0.0, generator=generator())
            seen.append(shadowed.moments(0.0).mean.item() / shadowed.form.step)
        assert seen[:4] == [0.0] * 4
        assert seen[5:] == pytest.approx([1.0] * 5)
        assert bare.stored_weights().item() == 0.0
        assert shadowed.tensors()["weights"].item() == pytest.approx(shadowed.form.step, rel=1e-5)
        assert shadowed.stored_weights().item() == pytest.approx(shadowed.form.step, rel=1e-5)

    def test_the_shadow_stays_within_the_full_scale(self) -> None:
        array = DigitalArray(torch.zeros(1, 1), form=WeightFormat(None, full_scale=0.25, shadow=True))
        array.apply(WeightPlan(torch.full((1, 1), 7.0)), 0.0, generator=generator())
        array.apply(WeightPlan(torch.full((1, 1), -0.1)), 0.0, generator=generator())
        assert array.stored_weights().item() == pytest.approx(0.15)
