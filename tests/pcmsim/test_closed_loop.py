"""The program-and-verify model against Joshi et al. 2020 (doi:10.1038/s41467-020-16108-9).

The polynomials are those of IBM's analog hardware kit; the independent reading of the paper's
Fig. 3b is the one of CrossSim. Sampled figures were taken from the kit itself.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from pcmsim.closed_loop import ClosedLoopModel
from pcmsim.counter import normals_at
from pcmsim.errors import FieldError
from pcmsim.mismatch import Spread
from pcmsim.model import Noise
from pcmsim.state import DeviceState

N = 30_000
SIGMAS = 4.5
HOUR, DAY, YEAR = 3600.0, 86400.0, 365 * 86400.0
MODEL = ClosedLoopModel()


def noise(seed: int, n: int = N) -> Noise:
    generator = torch.Generator().manual_seed(seed)
    return lambda _: torch.randn(n, generator=generator)


def programmed(target: float, seed: int = 1, now: float = 0.0, model: ClosedLoopModel = MODEL) -> DeviceState:
    return model.initial(torch.full((N,), target), now, noise(seed))


def at(conductance: list[float], score: list[float] | None = None) -> DeviceState:
    """Devices of exactly these conductances [µS] and scores of the drift exponent."""
    cells = DeviceState.fresh(torch.tensor(conductance), 0.0)
    if score is not None:
        cells.exponent_score.copy_(torch.tensor(score))
    return cells


class TestProgramming:
    @pytest.mark.parametrize("g_max", [10.0, 25.0])
    def test_nothing_starts_above_the_largest_target(self, g_max: float) -> None:
        model = ClosedLoopModel(g_max=g_max)
        most, asked = (programmed(target, model=model).conductance.double() for target in (g_max, 200.0))
        assert torch.equal(asked, most)
        assert float(asked.mean()) == pytest.approx(g_max, rel=0.01)

    def test_spread_agrees_with_an_independent_digitisation(self) -> None:
        """-0.00178767 G^2 + 0.07585724 G + 0.28638599 µS: within 9 %, worst at G = 0."""
        g = np.linspace(0.0, 25.0, 101)
        ours = MODEL.programming_spread(torch.tensor(g)).numpy()
        difference = np.abs(ours / (-0.00178767 * g**2 + 0.07585724 * g + 0.28638599) - 1.0)
        assert difference.max() <= 0.09
        assert difference.argmax() == 0

    @pytest.mark.parametrize(
        ("ratio", "sigma"), [(0.0, 0.263), (0.1, 0.448), (0.5, 0.953), (0.84, 1.086), (1.0, 1.055)]
    )
    def test_published_spread(self, ratio: float, sigma: float) -> None:
        assert MODEL.programming_spread(torch.tensor(25.0 * ratio)).item() == pytest.approx(sigma, abs=6e-4)

    def test_spread_peaks_at_0_84(self) -> None:
        g = torch.linspace(0.0, 25.0, 1001)
        assert g[MODEL.programming_spread(g).argmax()].item() / 25.0 == pytest.approx(0.84, abs=0.005)

    def test_spread_scales_with_the_range(self) -> None:
        wide, r = ClosedLoopModel(g_max=50.0), torch.linspace(0.0, 1.0, 11)
        assert wide.programming_spread(50.0 * r).tolist() == pytest.approx(
            (2.0 * MODEL.programming_spread(25.0 * r)).tolist()
        )

    @pytest.mark.parametrize("target", [2.5, 5.0, 12.5, 21.0, 25.0])
    def test_sampled_error_is_normal(self, target: float) -> None:
        r = target / 25.0
        sigma = 0.26348 + 1.9650 * r - 1.1731 * r**2
        g = programmed(target).conductance.double().numpy()
        assert g.mean() == pytest.approx(target, abs=SIGMAS * sigma / math.sqrt(N))
        assert g.std() == pytest.approx(sigma, rel=SIGMAS / math.sqrt(2 * N))
        assert stats.kstest(g, "norm", args=(target, sigma)).pvalue > 1e-3

    def test_devices_programmed_off_are_biased_upwards(self) -> None:
        """Clipping at zero leaves +0.105 µS and 0.154 µS, sampled; half a normal of 0.26348 µS."""
        g = MODEL.reset(at([9.0] * N), 3.0, noise(2)).conductance.double().numpy()
        error = 0.154 / math.sqrt(N)
        assert g.mean() == pytest.approx(0.26348 / math.sqrt(2 * math.pi), abs=SIGMAS * error)
        assert g.mean() == pytest.approx(0.105, abs=0.0005 + SIGMAS * error)
        assert g.std() == pytest.approx(0.154, rel=0.02)
        assert (g == 0.0).mean() == pytest.approx(0.5, abs=SIGMAS * 0.5 / math.sqrt(N))

    def test_error_scales_with_its_factor(self) -> None:
        exact = programmed(5.0, model=ClosedLoopModel(write_noise=0.0)).conductance
        assert exact.unique().tolist() == [5.0]
        half, full = (programmed(5.0, model=ClosedLoopModel(write_noise=f)).conductance - 5.0 for f in (0.5, 1.0))
        assert (half - 0.5 * full).abs().max() < 2e-6

    def test_n_steps_program_to_the_sum(self) -> None:
        """Four steps of 25 / 16 µS from 5 µS: one operation to 11.25 µS with that target's spread."""
        start = at([5.0] * N)
        g = MODEL.set_pulses(start, torch.full((N,), 4), Spread(), 7.0, noise(3)).conductance.double().numpy()
        sigma = 0.26348 + 1.9650 * 0.45 - 1.1731 * 0.45**2
        assert stats.kstest(g, "norm", args=(11.25, sigma)).pvalue > 1e-3

    def test_targets_stop_at_the_range(self) -> None:
        model, spread = ClosedLoopModel(write_noise=0.0), Spread(g_max=torch.tensor([1.0, 0.8, 1.2]))
        after = model.set_pulses(at([24.0] * 3), torch.full((3,), 9), spread, 0.0, noise(4, 3))
        assert after.conductance.tolist() == pytest.approx([25.0, 20.0, 30.0])

    def test_mismatch_scales_the_step(self) -> None:
        model, spread = ClosedLoopModel(write_noise=0.0), Spread(step=torch.tensor([0.5, 1.0, 1.5]))
        after = model.set_pulses(at([2.0] * 3), torch.full((3,), 2), spread, 0.0, noise(4, 3))
        assert after.conductance.tolist() == pytest.approx([2 + 1.5625, 2 + 3.125, 2 + 4.6875])

    def test_only_what_is_pulsed_is_written(self) -> None:
        before = at([3.0, 4.0], [0.7, -0.2])
        after = MODEL.set_pulses(before, torch.tensor([0, 2]), Spread(), 11.0, noise(5, 2))
        assert all(value[0] == getattr(before, name)[0] for name, value in after.items())
        assert after.written_at.tolist() == [0.0, 11.0]
        assert after.pulses.tolist() == [0, 2]


class TestDrift:
    @pytest.mark.parametrize(
        ("ratio", "mean", "spread"),
        [(0.1, 0.060, 0.023), (0.2, 0.049, 0.014), (0.5, 0.049, 0.008), (1.0, 0.049, 0.008)],
    )
    def test_sampled_exponents(self, ratio: float, mean: float, spread: float) -> None:
        """Last digit as published: half of it, and the sampling error."""
        cells = at([25.0 * ratio] * N)
        nu = (
            MODEL.exponents(DeviceState(**{**dict(cells.items()), "exponent_score": noise(6)(0)}), Spread())
            .double()
            .numpy()
        )
        assert nu.mean() == pytest.approx(mean, abs=0.0005 + SIGMAS * spread / math.sqrt(N))
        assert nu.std() == pytest.approx(spread, abs=0.0005 + SIGMAS * spread / math.sqrt(2 * N))

    def test_off_devices_drift_most(self) -> None:
        """r = 0: 0.1005 +- 0.044, the normal folded at zero."""
        nu = MODEL.exponents(
            DeviceState(**{**dict(at([0.0] * N).items()), "exponent_score": noise(7)(0)}), Spread()
        ).double()
        assert nu.min() >= 0.0
        assert nu.mean().item() == pytest.approx(0.1005, abs=0.0005 + SIGMAS * 0.044 / math.sqrt(N))
        assert nu.std().item() == pytest.approx(0.044, abs=0.0005 + SIGMAS * 0.044 / math.sqrt(2 * N))

    def test_clips_of_the_exponent(self) -> None:
        """Mean: floor for r > 0.205, ceiling for r < 0.0076; spread: floor for r > 0.33, ceiling for r < 0.017."""
        r = [0.0075, 0.0077, 0.0165, 0.0173, 0.2, 0.21, 0.32, 0.34]
        mean = MODEL.exponents(at([25.0 * x for x in r]), Spread()).double().numpy()
        above = MODEL.exponents(at([25.0 * x for x in r], [1.0] * len(r)), Spread()).double().numpy()
        assert (np.isclose(mean, 0.1, atol=1e-6)).tolist() == [True] + [False] * 7
        assert (np.isclose(mean, 0.049, atol=1e-6)).tolist() == [False] * 5 + [True] * 3
        assert (np.isclose(above - mean, 0.045, atol=1e-6)).tolist() == [True] * 3 + [False] * 5
        assert (np.isclose(above - mean, 0.008, atol=1e-6)).tolist() == [False] * 7 + [True]

    @pytest.mark.parametrize(("age", "factor"), [(0.0, 1.0), (HOUR, 0.775), (DAY, 0.66), (YEAR, 0.50)])
    def test_published_decay(self, age: float, factor: float) -> None:
        """At exponent 0.049; the source counts time from 20 s after programming: t = age + 20 s."""
        cells = at([12.5, 20.0, 25.0])
        assert (MODEL.read(cells, Spread(), age).location / cells.conductance).tolist() == pytest.approx(
            [factor] * 3, abs=0.005
        )

    def test_slope_per_device_under_mismatch_and_after_a_rewrite(self) -> None:
        """Over log(age + 20 s), and from each device's own last write."""
        cells = programmed(10.0, now=100.0)
        half = (torch.arange(N) < N // 2).long()
        cells = MODEL.set_pulses(cells, half, Spread(), 900.0, noise(8))
        spread = Spread(drift_exponent=1.0 + 0.2 * noise(9)(0).clamp(-3, 3))
        times = np.geomspace(1.0, 1e7, 6)
        drifted = [MODEL.read(cells, spread, cells.written_at + t).location.double().numpy() for t in times]
        slope = np.polyfit(np.log(times + 20.0), np.log(drifted), 1)[0]
        r = cells.conductance.double().numpy() / 25.0
        mean, std = (
            np.clip(-0.0155 * np.log(r) + 0.0244, 0.049, 0.1),
            np.clip(-0.0125 * np.log(r) - 0.0059, 0.008, 0.045),
        )
        nu = np.abs(mean + std * cells.exponent_score.numpy()) * spread.drift_exponent.numpy()
        assert cells.written_at.unique().tolist() == [100.0, 900.0]
        assert np.abs(slope + nu).max() < 2e-6

    def test_each_write_redraws_the_exponent(self) -> None:
        first = programmed(10.0)
        second = MODEL.set_pulses(first, torch.ones(N, dtype=torch.int64), Spread(), 1.0, noise(10))
        correlation = np.corrcoef(first.exponent_score.numpy(), second.exponent_score.numpy())[0, 1]
        assert abs(correlation) < SIGMAS / math.sqrt(N)
        assert stats.kstest(second.exponent_score.numpy(), "norm").pvalue > 1e-3

    def test_error_and_exponent_are_independent(self) -> None:
        cells = MODEL.initial(torch.full((N,), 10.0), 0.0, lambda k: normals_at(torch.arange(N) * 65_536 + k, key=11))
        assert abs(np.corrcoef(cells.conductance.numpy(), cells.exponent_score.numpy())[0, 1]) < SIGMAS / math.sqrt(N)

    def test_scale_stops_drift(self) -> None:
        cells = programmed(10.0)
        assert torch.equal(ClosedLoopModel(drift_scale=0.0).read(cells, Spread(), YEAR).location, cells.conductance)


class TestReadNoise:
    @pytest.mark.parametrize(("age", "root"), [(0.0, 4.18), (DAY, 5.09), (YEAR, 5.64)])
    def test_grows_with_log_time(self, age: float, root: float) -> None:
        """Relative noise over Q: 4.18 at 20 s, 5.09 after a day, 5.64 after a year."""
        read = MODEL.read(at([25.0, 12.5]), Spread(), age)
        assert read.scale is not None
        relative = (read.scale / read.location).double().numpy()
        assert relative / (0.0088 / np.array([1.0, 0.5]) ** 0.65) == pytest.approx([root] * 2, abs=0.005)

    @pytest.mark.parametrize(("ratio", "relative"), [(1.0, 0.037), (0.1, 0.16), (0.01, 0.73)])
    def test_published_relative_noise_at_20_s(self, ratio: float, relative: float) -> None:
        read = MODEL.read(at([25.0 * ratio]), Spread(), 0.0)
        assert read.scale is not None
        assert (read.scale / read.location).item() == pytest.approx(relative, abs=0.005)

    def test_quality_stops_at_a_fifth(self) -> None:
        """0.0088 / r^0.65 reaches 0.2 at r = 0.00819."""
        read = MODEL.read(at([25.0 * r for r in (0.0001, 0.008, 0.0084)]), Spread(), 0.0)
        assert read.scale is not None
        quality = (read.scale / read.location).double().numpy() / math.sqrt(math.log(20.0 / 500e-9))
        assert quality == pytest.approx([0.2, 0.2, 0.0088 / 0.0084**0.65], rel=1e-4)
        assert quality[2] < 0.199

    def test_a_device_at_zero_reads_zero(self) -> None:
        mean, variance = MODEL.read(at([0.0]), Spread(), HOUR).moments()
        assert variance is not None
        assert mean.item() == pytest.approx(0.0, abs=1e-8)
        assert variance.item() == pytest.approx(0.0, abs=1e-16)

    def test_factor_zero_reads_exactly(self) -> None:
        mean, variance = ClosedLoopModel(read_noise=0.0, drift_scale=0.0).read(at([0.0, 30.0]), Spread(), DAY).moments()
        assert mean.tolist() == [0.0, 30.0]
        assert variance is None


def test_constants_out_of_bounds() -> None:
    with pytest.raises(
        FieldError, match=r"ClosedLoopModel\.read_time: must be a finite number > 0 s and <= 1 s, got 0"
    ):
        ClosedLoopModel(read_time=0.0)
    with pytest.raises(FieldError, match=r"^ClosedLoopModel\.g_min: must be below g_max, 5 µS, got 5\.0$"):
        ClosedLoopModel(g_min=5.0, g_max=5.0)
