"""The HERMES chip's devices against the published fits, written down once more, and closed forms.

Coefficients as IBM's analog hardware kit documents them for one and for two devices per polarity.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy import stats

from pcmsim.counter import normals_at
from pcmsim.crossbar import Crossbar
from pcmsim.errors import FieldError
from pcmsim.hermes import HermesModel
from pcmsim.mismatch import Spread
from pcmsim.model import Noise
from pcmsim.plan import PulsePlan
from pcmsim.pulse import PulseModel
from pcmsim.state import DeviceState

Floats = npt.NDArray[np.float64]

N = 20_000
SIGMAS = 4.5
G_MAX, PAIR_MAX = 10.35, 20.7
SINGLE, PAIR = [0.158, 2.324, -2.163, 0.688], [0.166, 4.718, -8.481, 4.690]
YEAR = 365 * 86400.0
MODEL = HermesModel()
EXACT = {"read_noise": 0.0, "drift_scale": 0.0, "readback_bits": 16}
"""Verify reads that miss by at most half of 10.35 µS / 65535."""


def noise(key: int, n: int = N) -> Noise:
    """Addressed as a crossbar addresses it: each event has numbers of its own, again and again the same."""
    return lambda k: normals_at((torch.arange(n) << 16) + k, key=key).float()


def fit(coefficients: list[float], r: float | Floats) -> Any:
    return sum(c * r**i for i, c in enumerate(coefficients))


def programmed(ratio: float, key: int = 1, *, devices: int = 1, n: int = N, **constants: Any) -> DeviceState:
    model = HermesModel(**constants)
    return model.programmed(torch.full((n,), G_MAX * ratio), 0.0, noise(key, n), devices)


def at(ratios: list[float] | Floats, score: float = 0.0) -> DeviceState:
    """Devices of exactly these shares of g_max, all with the same score of the drift exponent."""
    cells = DeviceState.fresh(G_MAX * torch.as_tensor(np.asarray(ratios)), 0.0)
    cells.exponent_score.fill_(score)
    return cells


class TestProgramming:
    @pytest.mark.parametrize("ratio", [0.3, 0.5, 0.75, 1.0])
    def test_error_of_single_devices_is_normal(self, ratio: float) -> None:
        sigma = fit(SINGLE, ratio)
        g = programmed(ratio).conductance.double().numpy()
        assert g.mean() == pytest.approx(G_MAX * ratio, abs=SIGMAS * sigma / math.sqrt(N))
        assert g.std() == pytest.approx(sigma, rel=SIGMAS / math.sqrt(2 * N))
        assert stats.kstest(g, "norm", args=(G_MAX * ratio, sigma)).pvalue > 1e-3

    @pytest.mark.parametrize("ratio", [0.25, 0.4, 0.7, 1.0])
    def test_sums_of_pairs_have_the_published_spread(self, ratio: float) -> None:
        sigma = fit(PAIR, ratio)
        pairs = programmed(ratio, devices=2, n=2 * N).conductance.double().view(2, N).sum(0).numpy()
        assert pairs.mean() == pytest.approx(PAIR_MAX * ratio, abs=SIGMAS * sigma / math.sqrt(N))
        assert pairs.std() == pytest.approx(sigma, rel=SIGMAS / math.sqrt(2 * N))

    def test_devices_programmed_off_are_half_normal(self) -> None:
        g = programmed(0.0).conductance.double().numpy()
        assert (g == 0.0).mean() == pytest.approx(0.5, abs=SIGMAS * 0.5 / math.sqrt(N))
        assert g.mean() == pytest.approx(0.158 / math.sqrt(2 * math.pi), abs=SIGMAS * 0.158 / math.sqrt(N))

    @pytest.mark.parametrize(("devices", "coefficients"), [(1, SINGLE), (2, PAIR)])
    def test_spread_is_the_fit_and_scales_with_the_range(self, devices: int, coefficients: list[float]) -> None:
        r = np.linspace(0.0, 1.0, 21)
        for model, factor in ((MODEL, 1.0), (HermesModel(g_max=2 * G_MAX), 2.0)):
            ours = model.programming_spread(torch.tensor(r * model.g_max), devices).numpy()
            assert ours == pytest.approx(factor * fit(coefficients, r), rel=1e-6)

    def test_error_at_the_published_extremes(self) -> None:
        """Published for weights: 4.8 to 5.3 % of full scale. The pairs' fit peaks at 4.83 % and ends at 5.28 %."""
        r = np.linspace(0.0, 1.0, 10_001)
        share = fit(PAIR, r) / PAIR_MAX
        peak = int(share[:6000].argmax())
        assert (r[peak], share[peak]) == pytest.approx((0.4354, 0.0483), abs=1e-4)
        assert share.max() == share[-1] == pytest.approx(0.0528, abs=1e-4)

    def test_error_of_uniform_weights(self) -> None:
        """The fit gives 4.31 % of full scale, 4.36 % with the polarity at 0, which errs by half a normal per device."""
        r = np.linspace(0.0, 1.0, 10_001)
        loud, off = (fit(PAIR, r) ** 2).mean(), PAIR[0] ** 2 / 2
        quiet = 2 * off * (0.5 - 0.5 / math.pi) + 4 * off / (2 * math.pi)
        assert math.sqrt(loud) / PAIR_MAX == pytest.approx(0.0431, abs=5e-5)
        assert math.sqrt(loud + quiet) / PAIR_MAX == pytest.approx(0.0436, abs=5e-5)
        share = torch.linspace(0.0, 1.0, N)
        plus, minus = (
            MODEL.programmed(G_MAX * part.repeat(2), 0.0, noise(key, 2 * N), 2).conductance.view(2, N).sum(0)
            for key, part in ((3, share), (4, torch.zeros(N)))
        )
        error = (plus - minus).double() - PAIR_MAX * share
        assert error.square().mean().sqrt().item() == pytest.approx(math.sqrt(loud + quiet), rel=0.025)

    def test_error_scales_with_its_factor(self) -> None:
        assert programmed(0.5, write_noise=0.0).conductance.unique().tolist() == pytest.approx([5.175])
        half, full = (programmed(0.5, write_noise=factor).conductance - 5.175 for factor in (0.5, 1.0))
        assert (half - 0.5 * full).abs().max() < 2e-6

    def test_targets_stop_at_both_ends(self) -> None:
        cells = HermesModel(write_noise=0.0).programmed(torch.tensor([-1.0, 4.0, 30.0]), 5.0, noise(1, 3))
        assert cells.conductance.tolist() == pytest.approx([0.0, 4.0, G_MAX])
        assert cells.written_at.tolist() == [5.0] * 3
        assert cells.history.tolist() == [1.0] * 3
        assert cells.pulses.tolist() == [0] * 3

    def test_error_and_exponent_are_independent(self) -> None:
        cells = programmed(0.5)
        assert stats.kstest(cells.exponent_score.numpy(), "norm").pvalue > 1e-3
        assert abs(np.corrcoef(cells.conductance.numpy(), cells.exponent_score.numpy())[0, 1]) < SIGMAS / math.sqrt(N)

    @pytest.mark.parametrize("devices", [0, 3])
    def test_other_numbers_of_devices_are_refused(self, devices: int) -> None:
        with pytest.raises(FieldError, match=f"^devices: must be 1 or 2 per polarity, .*, got {devices}$"):
            programmed(0.5, devices=devices, n=1)


class TestVerify:
    @pytest.mark.parametrize("rounds", [1, 2, 3, 5])
    def test_share_that_still_misses_is_a_power(self, rounds: int) -> None:
        """Exact verify reads: a device misses a round with probability p, and all of k rounds with p^k."""
        g = programmed(0.5, iterations=rounds, tolerance=0.08, **EXACT).conductance.double().numpy()
        p = 2 * stats.norm.sf(0.08 * G_MAX / fit(SINGLE, 0.5))
        missing = (np.abs(g - 0.5 * G_MAX) > 0.08 * G_MAX).mean()
        assert missing == pytest.approx(p**rounds, abs=SIGMAS * math.sqrt(p**rounds * (1 - p**rounds) / N) + 1e-3)

    def test_many_rounds_leave_a_truncated_normal(self) -> None:
        limit = 0.05 * G_MAX
        sigma = fit(SINGLE, 0.5)
        error = programmed(0.5, iterations=60, **EXACT).conductance.double().numpy() - 0.5 * G_MAX
        assert np.abs(error).max() <= limit + 0.5 * G_MAX / 65535 + 1e-6
        assert stats.kstest(error, "truncnorm", args=(-limit / sigma, limit / sigma, 0.0, sigma)).pvalue > 1e-3

    @pytest.mark.parametrize("devices", [1, 2])
    def test_rounds_shrink_the_error_in_spite_of_noisy_reads(self, devices: int) -> None:
        """Error e ~ N(0, sigma) passes with probability A(e): after many rounds its density is ~ phi(e / sigma) A(e)."""
        error = [
            (programmed(0.5, iterations=k, devices=devices, readback_bits=16).conductance - 0.5 * G_MAX).double().std()
            for k in (1, 2, 4, 40)
        ]
        e = np.linspace(-0.5 * G_MAX, 0.5 * G_MAX, 20_001)
        r = 0.5 + e / G_MAX
        blur = (G_MAX * r * strength(np.maximum(r, 1e-6)) * math.sqrt(math.log(200.0 / 1024e-9)))[1:]
        passed = stats.norm.cdf((0.05 * G_MAX - e[1:]) / blur) - stats.norm.cdf((-0.05 * G_MAX - e[1:]) / blur)
        sigma = fit((SINGLE, PAIR)[devices - 1], 0.5) / math.sqrt(devices)
        density = stats.norm.pdf(e[1:] / sigma) * passed
        mean = np.average(e[1:], weights=density)
        expected = math.sqrt(np.average((e[1:] - mean) ** 2, weights=density))
        assert error == sorted(error, reverse=True)
        assert float(error[0]) == pytest.approx(sigma, rel=SIGMAS / math.sqrt(2 * N))
        assert float(error[-1]) == pytest.approx(expected, rel=SIGMAS / math.sqrt(2 * N))
        assert expected < 0.65 * sigma

    def test_coarse_reads_hide_errors(self) -> None:
        """Two bits: levels a third of full scale apart, so that half of that to either side passes as the level."""
        bound = {bits: 0.5 / (2**bits - 1) for bits in (12, 4, 2)}
        for bits, half in bound.items():
            cells = programmed(1 / 3, iterations=100, tolerance=0.02, **EXACT | {"readback_bits": bits})
            error = (cells.conductance / G_MAX - 1 / 3).abs().max().item()
            steps = math.floor(0.02 / (2 * half))
            assert error == pytest.approx((2 * steps + 1) * half, rel=0.02)

    def test_only_what_missed_is_written_again(self) -> None:
        once, twice = (programmed(0.5, iterations=k, **EXACT) for k in (1, 2))
        kept = (once.conductance - 0.5 * G_MAX).abs() <= 0.05 * G_MAX - 1e-3
        assert torch.equal(once.conductance[kept], twice.conductance[kept])
        assert torch.equal(once.exponent_score[kept], twice.exponent_score[kept])
        missed = (once.conductance - 0.5 * G_MAX).abs() > 0.05 * G_MAX + 1e-3
        assert (once.conductance[missed] != twice.conductance[missed]).all()
        assert (once.exponent_score[missed] != twice.exponent_score[missed]).all()

    def test_one_round_is_the_published_routine_whatever_the_read(self) -> None:
        plain = programmed(0.4)
        for constants in ({"tolerance": 0.001}, {"readback_bits": 2}, {"read_noise": 5.0}):
            assert torch.equal(programmed(0.4, **constants).conductance, plain.conductance)


def mean_exponent(r: Floats) -> Floats:
    low = np.clip(-0.0387 * np.log(r) - 0.0182, 0.072, 0.13)
    return np.where(r < 0.0945, low, -0.0436 * r**2 - 0.0126 * r + 0.0736)


def exponent_spread(r: Floats) -> Floats:
    low = np.clip(-0.0120 * np.log(r) - 0.0023, 0.0124, 0.04)
    return np.where(r < 0.3039, low, -0.0165 * r**2 + 0.0116 * r + 0.0104)


def strength(r: Floats) -> Floats:
    low = np.clip(-0.0078 * np.log(r) + 0.0038, 0.0179, 0.04)
    return np.where(r < 0.1591, low, 0.0664 * r**3 - 0.1352 * r**2 + 0.0768 * r + 0.0088)


RATIOS = np.array([0.001, 0.02, 0.05, 0.09, 0.1, 0.15, 0.17, 0.29, 0.31, 0.5, 0.8, 1.0])


class TestDrift:
    def test_exponents_follow_the_fits(self) -> None:
        mean = MODEL.exponents(at(RATIOS), Spread()).double().numpy()
        above = MODEL.exponents(at(RATIOS, 1.0), Spread()).double().numpy()
        assert mean == pytest.approx(mean_exponent(RATIOS), rel=1e-5)
        assert above - mean == pytest.approx(exponent_spread(RATIOS), rel=1e-4)

    def test_known_ends_of_the_fits(self) -> None:
        """Mean 0.13 at the amorphous end, 0.0174 at full scale; spread 0.04 and 0.0055."""
        mean = MODEL.exponents(at([0.0, 1.0]), Spread()).tolist()
        above = MODEL.exponents(at([0.0, 1.0], 1.0), Spread()).tolist()
        assert mean == pytest.approx([0.13, 0.0174], abs=1e-6)
        assert above == pytest.approx([0.17, 0.0229], abs=1e-6)
        assert MODEL.largest_exponent == 0.13

    def test_above_full_scale_the_fits_hold_their_end(self) -> None:
        for score in (-1.0, 0.0, 2.0):
            end, beyond = MODEL.exponents(at([1.0, 1.3], score), Spread()).tolist()
            assert end == beyond
        assert MODEL.quality(torch.tensor([G_MAX, 1.3 * G_MAX])).tolist() == pytest.approx([0.0168] * 2)

    @pytest.mark.parametrize("ratio", [0.3, 0.6])
    def test_mean_drift_over_a_year(self, ratio: float) -> None:
        """Exponents N(m, s): the mean of (t / t_0)^-nu is exp(-m L + s^2 L^2 / 2), L = ln(t / t_0), t = age + t_0."""
        cells = programmed(ratio, write_noise=0.0)
        factor = (MODEL.read(cells, Spread(), YEAR).location / cells.conductance).double().numpy()
        r, log = np.array(ratio), math.log((YEAR + 200.0) / 200.0)
        mean, sigma = float(mean_exponent(r)), float(exponent_spread(r))
        expected = math.exp(-mean * log + 0.5 * (sigma * log) ** 2)
        spread = expected * math.sqrt(math.expm1((sigma * log) ** 2))
        assert factor.mean() == pytest.approx(expected, abs=SIGMAS * spread / math.sqrt(N))
        assert factor.std() == pytest.approx(spread, rel=0.05)

    def test_slope_of_each_device_and_mismatch(self) -> None:
        cells, times = programmed(0.7), np.geomspace(1.0, 1e7, 6)
        spread = Spread(drift_exponent=1.0 + 0.2 * noise(5)(0).clamp(-3, 3))
        drifted = [MODEL.read(cells, spread, float(t)).location.double().numpy() for t in times]
        slope = np.polyfit(np.log(times + 200.0), np.log(drifted), 1)[0]
        r = np.minimum(cells.conductance.double().numpy() / G_MAX, 1.0)
        nu = np.abs(mean_exponent(r) + exponent_spread(r) * cells.exponent_score.numpy())
        assert np.abs(slope + nu * torch.as_tensor(spread.drift_exponent).numpy()).max() < 5e-6

    def test_scale_stops_drift(self) -> None:
        still, cells = HermesModel(drift_scale=0.0), programmed(0.5)
        assert torch.equal(still.read(cells, Spread(), YEAR).location, cells.conductance)
        assert still.largest_exponent == 0.0


class TestReadNoise:
    @pytest.mark.parametrize("age", [1.0, 3600.0, YEAR])
    def test_relative_noise_is_the_fit(self, age: float) -> None:
        read = MODEL.read(at(RATIOS), Spread(), age)
        assert read.scale is not None
        growth = math.sqrt(math.log((age + 200.0 + 512e-9) / 1024e-9))
        assert (read.scale / read.location).double().numpy() == pytest.approx(strength(RATIOS) * growth, rel=1e-4)

    def test_strength_lies_between_the_published_bounds(self) -> None:
        """0.012 to 0.04, wherever the fit is."""
        quality = MODEL.quality(torch.linspace(0.0, G_MAX, 1001))
        assert 0.012 < quality.min() < 0.0180
        assert quality.max().item() == pytest.approx(0.04)

    def test_growth_from_a_second_to_a_year(self) -> None:
        """By sqrt(31.05 / 19.10) = 1.275, less drift."""
        early, late = (MODEL.read(at([0.5]), Spread(), age) for age in (1.0, YEAR))
        assert early.scale is not None
        assert late.scale is not None
        growth = (late.scale / late.location / (early.scale / early.location)).item()
        assert growth == pytest.approx(1.275, abs=5e-4)
        assert growth == pytest.approx(math.sqrt(math.log((YEAR + 200) / 1024e-9) / math.log(201 / 1024e-9)), rel=1e-5)

    def test_reads_are_clipped_at_zero_alone(self) -> None:
        read = MODEL.read(at([0.0, 0.5, 1.3]), Spread(), 1.0)
        assert (read.lower, read.upper) == (0.0, math.inf)
        mean, _ = read.moments()
        assert mean[0].item() == pytest.approx(0.0, abs=1e-8)
        assert mean[2].item() > G_MAX

    def test_factor_zero_reads_exactly(self) -> None:
        model = HermesModel(read_noise=0.0, drift_scale=0.0)
        assert not model.noisy
        mean, variance = model.read(at([0.5]), Spread(), YEAR).moments()
        assert mean.item() == pytest.approx(5.175)
        assert variance is None


class TestBlindPulses:
    OLDER = PulseModel(g_min=0.0, g_max=G_MAX)

    def test_the_older_devices_within_this_range(self) -> None:
        """Initial programming, RESET and SET pulses: same noise, same conductances."""
        lives = []
        for model in (MODEL, self.OLDER):
            start = model.initial(torch.full((N,), 3.0), 0.0, noise(1))
            some = model.set_pulses(start, torch.arange(N) % 12, Spread(), 1.0, noise(2))
            cleared = model.reset(some, 2.0, noise(3))
            lives.append(
                [start, some, cleared, model.set_pulses(cleared, torch.full((N,), 3), Spread(), 3.0, noise(4))]
            )
        for ours, theirs in zip(*lives, strict=True):
            for name in ("conductance", "history", "written_at", "pulses"):
                assert torch.equal(getattr(ours, name), getattr(theirs, name))
        assert lives[0][1].conductance.max() == np.float32(G_MAX)
        assert MODEL.nominal_step == 0.75

    def test_every_write_draws_an_exponent_of_its_own(self) -> None:
        start = MODEL.initial(torch.full((N,), 3.0), 0.0, noise(1))
        pulsed = MODEL.set_pulses(start, torch.ones(N, dtype=torch.int64), Spread(), 1.0, noise(2))
        cleared = MODEL.reset(pulsed, 2.0, noise(3))
        scores = np.stack([cells.exponent_score.numpy() for cells in (start, pulsed, cleared)])
        assert all(stats.kstest(score, "norm").pvalue > 1e-3 for score in scores)
        correlation = np.corrcoef(np.vstack([scores, pulsed.conductance.numpy(), cleared.conductance.numpy()]))
        assert np.abs(correlation - np.eye(5))[:3].max() < SIGMAS / math.sqrt(N)

    def test_only_what_is_pulsed_drifts_anew(self) -> None:
        before = programmed(0.3)
        counts = torch.arange(N) % 3
        after = MODEL.set_pulses(before, counts, Spread(), 9.0, noise(6))
        untouched = counts == 0
        for name, value in after.items():
            assert torch.equal(value[untouched], getattr(before, name)[untouched])
        assert (after.exponent_score != before.exponent_score)[~untouched].all()
        assert (after.written_at[~untouched] == 9.0).all()

    def test_in_a_crossbar_of_pairs(self) -> None:
        """A plan changes the addressed devices' exponents and nobody else's."""
        array = Crossbar(
            (6, 5),
            MODEL,
            devices=2,
            scale=PAIR_MAX,
            initial_conductance=1.0,
            generator=torch.Generator().manual_seed(1),
        )
        before = array.state.exponent_score.clone().view(-1)
        plan = PulsePlan.build(torch.tensor([3, 50]), torch.tensor([2, 1]), torch.tensor([7]))
        array.apply(plan, 10.0, generator=torch.Generator().manual_seed(2))
        changed = (array.state.exponent_score.view(-1) != before).nonzero().view(-1)
        assert changed.tolist() == [3, 7, 50]
        assert array.state.pulses.sum() == 3


BAD = {
    "iterations": (0, "a whole number >= 1 and <= 1000"),
    "tolerance": (0.0, "a finite number > 0 and <= 1"),
    "readback_bits": (1.5, "a whole number >= 2 and <= 16"),
    "read_time": (0.0, "a finite number > 0 s and <= 1 s"),
    "drift_scale": (-1.0, "a finite number >= 0 and <= 10"),
    "g_max": (0.0, "a finite number > 0 µS and <= 200 µS"),
    "write_noise": (float("nan"), "a finite number >= 0 and <= 10"),
}


@pytest.mark.parametrize("name", BAD)
def test_constants_out_of_bounds(name: str) -> None:
    value, allowed = BAD[name]
    with pytest.raises(FieldError) as caught:
        HermesModel(**{name: value})
    assert str(caught.value) == f"HermesModel.{name}: must be {allowed}, got {value!r}"


def test_smallest_conductance_must_lie_below_the_largest() -> None:
    with pytest.raises(FieldError, match=r"^HermesModel\.g_min: must be below g_max, 5 µS, got 5\.0$"):
        HermesModel(g_min=5.0, g_max=5.0)
