"""Crossbars: plans are carried out exactly, noise is addressed, reads have the moments they claim."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy import stats

from pcmsim.crossbar import Crossbar
from pcmsim.errors import FieldError
from pcmsim.mismatch import Spread
from pcmsim.plan import PulsePlan, WeightPlan
from pcmsim.presets import device_model
from pcmsim.pulse import PulseModel

Floats = npt.NDArray[np.float64]

SIGMAS = 4.5
SHAPE = (6, 5)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def crossbar(
    shape: tuple[int, int] = SHAPE,
    *,
    devices: int = 1,
    scale: float = 12.0,
    initial: float = 0.1,
    seed: int = 0,
    preset: str = "nandakumar2018",
    spread: Spread | None = None,
    **constants: Any,
) -> Crossbar:
    return Crossbar(
        shape,
        device_model(preset, constants),
        devices=devices,
        scale=scale,
        initial_conductance=initial,
        generator=generator(seed),
        spread=spread,
    )


def every(array: Crossbar) -> torch.Tensor:
    return torch.arange(array.state.conductance.numel())


def saved(array: Crossbar) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in array.tensors().items()}


class TestPlans:
    @pytest.mark.parametrize("preset", ["nandakumar2018", "ideal", "joshi2020", "hermes"])
    def test_executed_and_counted_exactly(self, preset: str) -> None:
        """Random plans against a ledger kept by hand."""
        array, rng = crossbar(devices=2, preset=preset), np.random.default_rng(1)
        size = array.state.conductance.numel()
        sets, resets, since = (np.zeros(size, dtype=int) for _ in range(3))
        for update in range(6):
            chosen, cleared = (torch.from_numpy(rng.permutation(size)[:k]) for k in (17, 9))
            counts = torch.from_numpy(rng.integers(1, 5, 17))
            array.apply(PulsePlan.build(chosen, counts, cleared), 10.0 * update, generator=generator(update))
            resets[cleared] += 1
            since[cleared] = 0
            sets[chosen] += counts.numpy()
            since[chosen] += counts.numpy()
        assert np.array_equal(array.ledger.sets.view(-1).numpy(), sets)
        assert np.array_equal(array.ledger.resets.view(-1).numpy(), resets)
        assert np.array_equal(array.state.pulses.view(-1).numpy(), since)
        assert (array.ledger.total_sets, array.ledger.total_resets) == (sets.sum(), 6 * 9)

    def test_only_the_named_devices_are_written(self) -> None:
        array = crossbar(devices=2)
        before = saved(array)
        array.apply(
            PulsePlan.build(torch.tensor([3, 70]), reset_devices=torch.tensor([41])), 9.0, generator=generator()
        )
        for name in ("conductance", "written_at", "history"):
            changed = (array.tensors()[name] != before[name]).view(-1).nonzero().view(-1).tolist()
            assert changed == ([3, 70] if name == "history" else [3, 41, 70])
        assert array.state.written_at.view(-1)[[3, 41, 70]].tolist() == [9.0] * 3

    def test_indices_are_sign_device_pre_post(self) -> None:
        array = crossbar(devices=3, write_noise=0.0)
        s, d, i, j = 1, 2, 4, 3
        flat = ((s * 3 + d) * SHAPE[0] + i) * SHAPE[1] + j
        array.apply(PulsePlan.build(torch.tensor([flat])), 0.0, generator=generator())
        assert array.ledger.sets.nonzero().tolist() == [[s, d, i, j]]
        assert array.stored_weights().argmin().item() == i * SHAPE[1] + j

    def test_reset_comes_before_set(self) -> None:
        """A device at 10 µS that is RESET and SET once ends at the first noise-free pulse, 1.92 µS."""
        array = crossbar(write_noise=0.0, reset_spread=0.0)
        array.state.conductance.fill_(10.0)
        array.state.history.fill_(0.0)
        array.apply(PulsePlan.build(every(array), reset_devices=every(array)), 5.0, generator=generator())
        assert array.state.conductance.numpy() == pytest.approx(1.9246, abs=1e-4)
        assert array.state.pulses.unique().tolist() == [1]

    def test_wrong_kind_of_plan(self) -> None:
        with pytest.raises(TypeError, match="^a crossbar takes a PulsePlan, got WeightPlan$"):
            crossbar().apply(WeightPlan(torch.zeros(SHAPE)), 0.0, generator=generator())


class TestAddressedNoise:
    @pytest.mark.parametrize("preset", ["nandakumar2018", "joshi2020"])
    def test_other_devices_pulses_change_nothing(self, preset: str) -> None:
        """Common random numbers: what a device does depends on its own pulses alone."""
        few, many = crossbar(preset=preset), crossbar(preset=preset)
        chosen, counts = torch.tensor([2, 11, 30, 59]), torch.tensor([1, 3, 2, 4])
        company = torch.tensor([59, 7, 2, 30, 0, 11, 12])
        company_counts = torch.tensor([4, 9, 1, 2, 1, 3, 6])
        cleared = torch.tensor([11, 20])
        few.apply(PulsePlan.build(chosen, counts, cleared), 3.0, generator=generator(5))
        many.apply(PulsePlan.build(company, company_counts, torch.tensor([1, 20, 40, 11])), 3.0, generator=generator(5))
        mine = torch.tensor([2, 11, 20, 30, 59])
        for name, value in few.state.take(mine).items():
            assert torch.equal(value, getattr(many.state.take(mine), name)), name
        assert not torch.equal(few.state.conductance, many.state.conductance)

    def test_the_first_pulses_do_not_depend_on_how_many_follow(self) -> None:
        """With clips out of reach, n pulses then reproduce the (n+1)-pulse path up to its last step."""
        paths = []
        for n in (1, 2, 3):
            array = crossbar(step_slope=0.0, spread_slope=0.0, initial=100.0, g_max=200.0, step_history=0.0)
            array.apply(PulsePlan.build(every(array), torch.full((60,), n)), 0.0, generator=generator(6))
            paths.append(array.state.conductance.view(-1).double().numpy())
        second, third = np.diff(np.array(paths), axis=0)
        assert abs(np.corrcoef(second, third)[0, 1]) < SIGMAS / math.sqrt(60)
        z = (second - 0.88) / (0.26 + 2.15 * math.exp(-2 / 2.6))
        assert stats.kstest(z, "norm").pvalue > 1e-3

    def test_no_event_shares_its_number_with_another(self) -> None:
        """Steps of three pulses on each of 20 000 devices: no correlation between events or with neighbours."""
        n, paths = 20_000, []
        for pulses in range(4):
            array = crossbar((100, 100), step_slope=0.0, spread_slope=0.0, reset_conductance=20.0, g_max=200.0)
            array.apply(
                PulsePlan.build(every(array), torch.full((n,), pulses), reset_devices=every(array))
                if pulses
                else PulsePlan.build(reset_devices=every(array)),
                0.0,
                generator=generator(7),
            )
            paths.append(array.state.conductance.view(-1).double().numpy())
        events = [paths[0], *np.diff(np.array(paths), axis=0)]
        shifted = np.array([np.roll(event, -shift)[: n - 3] for event in events for shift in range(3)])
        correlation = np.corrcoef(shifted) - np.eye(12)
        assert np.abs(correlation).max() < SIGMAS / math.sqrt(n - 3)

    def test_same_stream_same_result_and_others_differ(self) -> None:
        arrays = [crossbar() for _ in range(3)]
        for array, seed in zip(arrays, (1, 1, 2), strict=True):
            array.apply(PulsePlan.build(every(array)), 0.0, generator=generator(seed))
        first, same, other = (array.state.conductance for array in arrays)
        assert torch.equal(first, same)
        assert (first == other).double().mean() < 0.1  # pulses that end on the lower clip agree

    def test_initial_programming_follows_its_generator(self) -> None:
        first, same, other = (crossbar(seed=s).state.conductance for s in (1, 1, 2))
        assert torch.equal(first, same)
        assert not (first == other).any()

    def test_devices_of_a_pair_are_independent(self) -> None:
        g = crossbar((100, 100), devices=2).state.conductance.view(4, -1).numpy()
        r = np.corrcoef(g) - np.eye(4)
        assert np.abs(r).max() < SIGMAS / math.sqrt(10_000)


class TestSaving:
    @pytest.mark.parametrize("preset", ["nandakumar2018", "ideal", "joshi2020", "hermes"])
    def test_round_trip_is_exact_and_continues_the_same(self, preset: str) -> None:
        array, plan = (
            crossbar(devices=2, preset=preset),
            PulsePlan.build(torch.arange(5, 60), torch.arange(5, 60) % 3 + 1),
        )
        array.apply(plan, 12.345678901, generator=generator(1))
        array.count_reads(torch.arange(6), 12.5)
        twin = crossbar(devices=2, preset=preset, seed=99)
        twin.load(saved(array))
        for later in (False, True):
            if later:
                for each in (array, twin):
                    each.apply(plan, 1e6 + 0.1, generator=generator(2))
            for name, value in array.tensors().items():
                assert value.dtype == twin.tensors()[name].dtype
                assert torch.equal(value, twin.tensors()[name]), name

    def test_names_cover_state_and_counts(self) -> None:
        assert set(crossbar().tensors()) == {
            *("conductance", "history", "exponent_score", "written_at", "pulses"),
            *("sets", "resets", "row_reads", "read_conductance"),
        }

    def test_loading_another_shape_is_refused(self) -> None:
        array = crossbar()
        tensors = {**array.tensors(), "history": torch.ones(1)}
        with pytest.raises(FieldError, match=r"history: must be a tensor of shape \(2, 1, .*got \(1,\)"):
            array.load(tensors)

    def test_loading_copies(self) -> None:
        array, twin = crossbar(), crossbar(seed=1)
        twin.load(array.tensors())
        before = saved(array)
        twin.apply(PulsePlan.build(every(twin)), 1.0, generator=generator())
        assert torch.equal(array.state.conductance, before["conductance"])
        assert array.ledger.total_sets == 0


class TestMismatch:
    def test_pulsed_devices_meet_their_own_factors(self) -> None:
        """Noise-free steps of 0.88 µS times the factor of the device that is pulsed; ceilings likewise."""
        step, top = (torch.linspace(a, b, 60).view(2, 1, *SHAPE) for a, b in ((0.5, 1.5), (1.2, 0.6)))
        model = {"write_noise": 0.0, "step_slope": 0.0, "step_history": 0.0}
        array = crossbar(spread=Spread(step=step, g_max=top), **model)
        array.state.conductance.fill_(1.0)
        chosen = torch.tensor([58, 3, 31])
        array.apply(PulsePlan.build(chosen), 0.0, generator=generator())
        found = array.state.conductance.view(-1)[chosen]
        assert found.tolist() == pytest.approx([1.0 + 0.88 * step.view(-1)[i].item() for i in chosen], rel=1e-6)
        array.apply(PulsePlan.build(chosen, torch.full((3,), 50)), 0.0, generator=generator())
        found = array.state.conductance.view(-1)[chosen]
        assert found.tolist() == pytest.approx([12.0 * top.view(-1)[i].item() for i in chosen], rel=1e-6)


class TestView:
    def test_weight_step_is_one_pulse_on_one_of_the_devices(self) -> None:
        view = crossbar(devices=4, scale=11.8).view()
        assert (view.shape, view.devices, view.scale, view.step) == (SHAPE, 4, 11.8, 0.75)
        assert view.weight_step == pytest.approx(0.75 / 11.8 / 4)

    def test_one_ideal_pulse_changes_the_weight_by_one_weight_step(self) -> None:
        array = crossbar(devices=4, preset="ideal", initial=1.0)
        before = array.stored_weights()
        array.apply(PulsePlan.build(torch.tensor([0])), 0.0, generator=generator())
        change = array.stored_weights() - before
        assert change[0, 0].item() == pytest.approx(array.view().weight_step, rel=1e-5)
        assert change.view(-1)[1:].abs().max().item() == 0.0

    def test_youngest_age_runs_from_the_latest_write(self) -> None:
        array = crossbar()
        assert array.youngest_age(30.0) == 30.0
        array.apply(PulsePlan.build(torch.tensor([4])), 20.0, generator=generator())
        assert array.youngest_age(30.0) == 10.0
        assert crossbar(preset="ideal").youngest_age(30.0) == math.inf

    def test_conductance_is_drifted_and_free_of_noise(self) -> None:
        array = crossbar(devices=2)
        drifted = array.conductance(3600.0) / array.state.conductance
        assert drifted.shape == (2, 2, *SHAPE)
        assert drifted.numpy() == pytest.approx((3600 / 38.6) ** -0.04, rel=1e-5)

    def test_spikes_read_each_device_of_their_row(self) -> None:
        array, spikes = crossbar(devices=2), torch.tensor([0, 3, 1, 0, 7, 2])
        array.count_reads(spikes, 1.5)
        array.count_reads(spikes, 1.5)
        assert array.ledger.total_reads == 2 * 13 * (2 * 2 * SHAPE[1])
        assert float(array.ledger.read_conductance) == 3.0
        assert (array.ledger.reads[1, 0, :, 2] == 2 * spikes).all()


def trained(devices: int, rows: int, kind: str, **constants: Any) -> Crossbar:
    """A column of synapses: freshly programmed, or with conductances all over the range."""
    array = crossbar((rows, 1), devices=devices, **constants)
    if kind == "spread":
        array.state.conductance.uniform_(0.05, 12.0, generator=generator(3))
    return array


def single_reads(array: Crossbar, now: float, draws: int, seed: int) -> Floats:
    """NumPy draws of single clipped device reads, in units of weight: ``draw, sign, device, pre, post``."""
    reads = array.device_reads(now)
    assert reads is not None
    location, scale, upper = (x.double().numpy() for x in (reads.location, reads.scale, reads.upper))
    xi = np.random.default_rng(seed).standard_normal((draws, *location.shape))
    return np.clip(location + scale * xi, reads.lower, upper)


def clipped_moments(g: Floats, scale: Floats, lower: float, upper: Floats) -> tuple[Floats, Floats, Floats]:
    """Mean, variance and fourth central moment of a clipped normal: a sum over SciPy's quantiles."""
    levels = stats.norm.ppf((np.arange(10_001) + 0.5) / 10_001).reshape(-1, *[1] * g.ndim)
    values = np.clip(g + scale * levels, lower, upper)
    mean = values.mean(0)
    return mean, ((values - mean) ** 2).mean(0), ((values - mean) ** 4).mean(0)


GRID = (0.02, 0.1, 0.15, 0.3, 1.0, 6.0, 11.8, 12.0, 13.0)


class TestSingleReads:
    @pytest.mark.parametrize("devices", [1, 3])
    @pytest.mark.parametrize("factor", [1e-3, 0.3, 1.0, 4.0])
    @pytest.mark.parametrize("mismatched", [False, True])
    def test_moments_over_a_grid(self, devices: int, factor: float, mismatched: bool) -> None:
        """Clipped reads drawn with NumPy, SciPy's quantiles, and the closed form that the crossbar uses, agree."""
        draws, rows = 20_000 // devices, len(GRID)
        ceilings = torch.linspace(0.4, 1.3, 2 * devices * rows).view(2, devices, rows, 1)
        spread = Spread(g_max=ceilings) if mismatched else Spread()
        array = crossbar((rows, 1), devices=devices, spread=spread, drift_exponent=0.0, read_noise=factor)
        array.state.conductance.copy_(torch.tensor(GRID).view(1, 1, -1, 1))
        micro = single_reads(array, 1.0, draws, 4) * (12.0 * devices)
        g = array.state.conductance.double().numpy()
        upper = 12.0 * ceilings.double().numpy() if mismatched else np.full(g.shape, 12.0)
        scale = factor * (0.03 * g + 0.13)
        mean, variance, fourth = clipped_moments(g, scale, 0.1, upper)
        mean_error = np.sqrt(variance / draws)
        spread_error = np.sqrt(np.maximum(fourth - variance**2, 0.0) / draws)
        closed_mean, closed_variance = array.model.read(array.state, spread, 1.0).moments()
        assert closed_variance is not None
        for other_mean, other_variance in ((mean, variance), (closed_mean.numpy(), closed_variance.numpy())):
            assert (np.abs(micro.mean(0) - other_mean) < SIGMAS * mean_error + 1e-5 * g).all()
            assert (np.abs(micro.var(0) - other_variance) < SIGMAS * spread_error + 1e-3 * scale**2).all()

    def test_noise_free_devices_have_no_device_reads(self) -> None:
        assert not crossbar(preset="ideal").noisy
        assert crossbar(preset="ideal").device_reads(1.0) is None
        assert crossbar(preset="ideal").moments(1.0).variance is None


CASES = [
    pytest.param(devices, active, kind, age, id=f"{kind}, {devices} devices, {active} active, {age:g} s")
    for devices, active, kind, age in [
        (1, 10, "fresh", 0.5e-3),
        (1, 30, "fresh", 38.6),
        (1, 10, "spread", 0.5e-3),
        (1, 30, "spread", 1.0),
        (1, 100, "spread", 1e4),
        (4, 10, "fresh", 1.0),
        (4, 20, "spread", 3600.0),
    ]
]
DRAWS, KS_DRAWS = 80_000, 20_000


class TestOutputReferredNoise:
    """One draw per output, from `moments`, against the sum of one clipped draw per device and row."""

    @pytest.mark.parametrize(("devices", "active", "kind", "age"), CASES)
    def test_equals_the_sum_over_devices(self, devices: int, active: int, kind: str, age: float) -> None:
        array = trained(devices, active, kind)
        draws = np.concatenate([self.outputs(single_reads(array, age, DRAWS // 20, seed)) for seed in range(20)])
        reads = array.moments(age)
        assert reads.variance is not None
        mean, std = reads.mean.double().sum().item(), math.sqrt(reads.variance.double().sum().item())
        assert draws.mean() == pytest.approx(mean, abs=SIGMAS * std / math.sqrt(DRAWS))
        assert draws.std() == pytest.approx(std, rel=SIGMAS / math.sqrt(2 * DRAWS))  # 1.1 %
        assert stats.kstest(draws[:KS_DRAWS], "norm", args=(mean, std)).pvalue > 1e-3

    @staticmethod
    def outputs(reads: Floats) -> Floats:
        sides = reads.sum(axis=(2, 3, 4))
        return sides[:, 0] - sides[:, 1]

    def test_ignoring_the_clip_overstates_the_noise_of_fresh_devices_by_70_percent(self) -> None:
        """Three active inputs at the reference time: 0.326 µS unclipped, 0.194 µS as read."""
        rows = 3000
        array = trained(1, rows, "fresh")
        read = array.model.read(array.state, array.spread, 38.6)
        variance = array.moments(38.6).variance
        assert read.scale is not None
        assert variance is not None
        unclipped = math.sqrt(3 / rows * read.scale.square().sum().item())
        clipped = 12.0 * math.sqrt(3 / rows * variance.sum().item())
        assert unclipped == pytest.approx(0.326, abs=0.001)
        assert clipped == pytest.approx(0.194, rel=0.03)
        assert unclipped / clipped == pytest.approx(1 / math.sqrt(0.5 - 0.5 / math.pi), rel=0.01)


class TestSeveralDevices:
    """N devices per polarity: Boybat et al. 2018 (doi:10.1038/s41467-018-04933-y), re-simulated."""

    @pytest.mark.parametrize(("devices", "std"), [(1, 2.23), (4, 1.11), (8, 0.79), (16, 0.56)])
    def test_spread_falls_as_one_over_root_n_and_bias_stays(self, devices: int, std: float) -> None:
        """Open-loop write of +6 µS from RESET: 6 / 0.75 = 8 pulses on each G+ device, mean 7.0 to 7.1 µS."""
        n = 4000 if devices > 1 else 20_000
        array = crossbar((n // 100, 100), devices=devices)
        array.apply(
            PulsePlan.build(torch.arange(devices * n), torch.full((devices * n,), 8), reset_devices=every(array)),
            0.0,
            generator=generator(8),
        )
        change = 12.0 * array.stored_weights().double().numpy()
        assert change.mean() == pytest.approx(7.05, abs=0.05 + SIGMAS * std / math.sqrt(n))
        assert change.std() == pytest.approx(std, rel=0.02 + SIGMAS / math.sqrt(2 * n))
        assert change.std() * math.sqrt(devices) == pytest.approx(2.23, rel=0.02 + SIGMAS / math.sqrt(2 * n))

    @pytest.mark.parametrize("devices", [1, 4, 16])
    def test_saturated_weight_is_the_same_for_any_number(self, devices: int) -> None:
        array = crossbar(devices=devices, preset="ideal")
        plus = torch.arange(devices * 30)
        array.apply(PulsePlan.build(plus, torch.full_like(plus, 20), every(array)), 0.0, generator=generator())
        assert array.stored_weights().numpy() == pytest.approx((12.0 - 0.1) / 12.0, abs=0.01)

    def test_read_variance_falls_with_the_number_of_devices(self) -> None:
        """Equal devices at 6 µS, far from the clips: 2 (0.03 * 6 + 0.13)^2 / (N 12^2)."""
        for devices in (1, 2, 8):
            array = crossbar(devices=devices, drift_exponent=0.0)
            array.state.conductance.fill_(6.0)
            variance = array.moments(1.0).variance
            assert variance is not None
            assert variance.numpy() == pytest.approx(2 * 0.31**2 / (devices * 144), rel=1e-5)


def test_the_model_may_be_replaced_while_the_crossbar_lives() -> None:
    """Turning drift off returns the stored weights; turning it on again restores the drifted ones."""
    array = crossbar(read_noise=0.0)
    array.state.conductance.uniform_(1.0, 10.0, generator=generator(1))
    drifted = array.moments(3600.0).mean
    array.model = PulseModel(read_noise=0.0, drift_exponent=0.0)
    assert torch.equal(array.moments(3600.0).mean, array.stored_weights())
    array.model = PulseModel(read_noise=0.0)
    assert torch.equal(array.moments(3600.0).mean, drifted)
