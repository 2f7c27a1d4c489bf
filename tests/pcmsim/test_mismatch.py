"""Device-to-device factors against the closed forms of the clipped normal and the log-normal."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from scipy import stats

from pcmsim.crossbar import Crossbar
from pcmsim.digital import DigitalArray
from pcmsim.errors import FieldError
from pcmsim.mismatch import DeviceMismatch, Spread, factors, spread, weight_factors
from pcmsim.pulse import PulseModel
from pcmsim.streams import Streams

N = 200_000
SIGMAS = 4.5
SMALLEST_FACTOR = 0.05  # as documented
LEVELS = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5]


def generator(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(level: float, distribution: str = "normal", seed: int = 1) -> torch.Tensor:
    found = factors(level, (N,), generator=generator(seed), distribution=distribution)
    assert isinstance(found, torch.Tensor)
    return found


def std_error(x: np.ndarray) -> float:
    """Standard error of a sample standard deviation, from the sample's own fourth moment."""
    return float(np.sqrt((stats.moment(x, 4) - x.var() ** 2) / x.size) / (2 * x.std()))


class TestFactors:
    @pytest.mark.parametrize("level", LEVELS)
    def test_normal_moments(self, level: float) -> None:
        """1 + level xi, clipped below at 0.05: only above a level of 0.3 does the clip show."""
        a = (SMALLEST_FACTOR - 1) / level
        tail, density = stats.norm.cdf(a), stats.norm.pdf(a)
        first = a * tail + density
        second = a * a * tail + 1 - tail + a * density
        x = drawn(level).double().numpy()
        assert x.mean() == pytest.approx(1 + level * first, abs=SIGMAS * level / math.sqrt(N))
        assert x.std() == pytest.approx(level * math.sqrt(second - first**2), abs=SIGMAS * std_error(x))
        assert x.std() == pytest.approx(level, rel=0.005 if level <= 0.3 else 0.03)

    @pytest.mark.parametrize("level", LEVELS)
    def test_log_normal_has_the_same_mean_and_coefficient_of_variation(self, level: float) -> None:
        x = drawn(level, "log-normal").double().numpy()
        assert x.mean() == pytest.approx(1.0, abs=SIGMAS * level / math.sqrt(N))
        assert x.std() == pytest.approx(level, abs=SIGMAS * std_error(x))
        sigma = math.sqrt(math.log1p(level**2))
        assert stats.kstest(np.log(x), "norm", args=(-0.5 * sigma**2, sigma)).pvalue > 1e-3

    @pytest.mark.parametrize("level", LEVELS)
    def test_skewness(self, level: float) -> None:
        """Log-normal: cv^3 + 3 cv; the unclipped normal: none."""
        expected = level**3 + 3 * level
        assert stats.skew(drawn(level, "log-normal").double().numpy()) == pytest.approx(expected, rel=0.15)
        if level <= 0.2:
            assert abs(stats.skew(drawn(level).double().numpy())) < SIGMAS * math.sqrt(6 / N)

    @pytest.mark.parametrize("distribution", ["normal", "log-normal"])
    def test_truncation_keeps_factors_positive(self, distribution: str) -> None:
        x = drawn(0.5, distribution)
        assert x.min().item() >= np.float32(SMALLEST_FACTOR)
        clipped = (x == x.min()).double().mean().item()
        share = stats.norm.cdf((SMALLEST_FACTOR - 1) / 0.5) if distribution == "normal" else 0.0
        assert clipped == pytest.approx(share, abs=SIGMAS * math.sqrt(max(share, 1 / N) / N) + 1 / N)

    def test_one_pattern_scaled_by_the_level(self) -> None:
        """The same stream: (factor - 1) / level is the same number at every level that the clip spares."""
        small, large = drawn(0.1), drawn(0.4)
        spared = large > SMALLEST_FACTOR
        assert ((large - 1) / 0.4 - (small - 1) / 0.1)[spared].abs().max() < 1e-5

    def test_log_normal_ranks_devices_as_the_normal_does(self) -> None:
        ranks = drawn(0.2)[:1000].argsort()
        assert torch.equal(ranks, drawn(0.2, "log-normal")[:1000].argsort())

    def test_no_level_no_mismatch(self) -> None:
        assert factors(0.0, (3, 4), generator=generator()) == 1.0


class TestSpread:
    SHAPE = (2, 3, 40, 50)

    def pattern(self, mismatch: DeviceMismatch, seed: int = 5, name: str = "input") -> Spread:
        return spread(mismatch, self.SHAPE, streams=Streams(seed), name=name)

    def test_shape_and_levels(self) -> None:
        n = math.prod(self.SHAPE)
        found = self.pattern(DeviceMismatch(step=0.1, g_max=0.2, drift_exponent=0.05))
        for value, level in ((found.step, 0.1), (found.g_max, 0.2), (found.drift_exponent, 0.05)):
            assert isinstance(value, torch.Tensor)
            assert value.shape == self.SHAPE
            assert value.std().item() == pytest.approx(level, rel=SIGMAS / math.sqrt(2 * n))

    def test_parameters_and_arrays_are_independent(self) -> None:
        patterns = [self.pattern(DeviceMismatch(0.2, 0.2, 0.2), name=name) for name in ("input", "recurrent")]
        patterns.append(self.pattern(DeviceMismatch(0.2, 0.2, 0.2), seed=6))
        rows = np.array([getattr(p, field).numpy().ravel() for p in patterns for field in Spread.FIELDS])
        correlation = np.corrcoef(rows) - np.eye(9)
        assert np.abs(correlation).max() < SIGMAS / math.sqrt(rows.shape[1])

    def test_one_level_does_not_move_the_others_patterns(self) -> None:
        every, alone = self.pattern(DeviceMismatch(0.2, 0.2, 0.2)), self.pattern(DeviceMismatch(g_max=0.2))
        assert torch.equal(torch.as_tensor(every.g_max), torch.as_tensor(alone.g_max))
        assert (alone.step, alone.drift_exponent) == (1.0, 1.0)

    def test_pattern_does_not_depend_on_other_streams(self) -> None:
        """Other draws from the same seed, and torch's global generator, leave it as it is."""
        first = self.pattern(DeviceMismatch(0.3, 0.3, 0.3))
        streams = Streams(5)
        torch.randn(100, generator=streams.at("write/input", 3))
        torch.manual_seed(1234)
        second = spread(DeviceMismatch(0.3, 0.3, 0.3), self.SHAPE, streams=streams, name="input")
        assert all(torch.equal(getattr(first, f), getattr(second, f)) for f in Spread.FIELDS)

    def test_take_picks_devices_by_flat_index(self) -> None:
        found, indices = self.pattern(DeviceMismatch(step=0.2)), torch.tensor([11_999, 0, 57])
        taken = found.take(indices)
        assert isinstance(found.step, torch.Tensor)
        assert isinstance(taken.step, torch.Tensor)
        assert taken.step.tolist() == [found.step.flatten()[i].item() for i in (11_999, 0, 57)]
        assert taken.g_max == 1.0

    def test_no_mismatch_is_the_nominal_model(self) -> None:
        assert self.pattern(DeviceMismatch()) == Spread(1.0, 1.0, 1.0)


class TestWeights:
    @pytest.mark.parametrize("distribution", ["normal", "log-normal"])
    @pytest.mark.parametrize("level", [0.1, 0.3])
    def test_factors_have_the_set_spread_and_stay_positive(self, level: float, distribution: str) -> None:
        mismatch = DeviceMismatch(weight=level, distribution=distribution)
        drawn = weight_factors(mismatch, (200, 300), streams=Streams(5), name="input")
        assert drawn is not None
        assert drawn.mean().item() == pytest.approx(1.0, abs=SIGMAS * level / math.sqrt(60_000))
        assert drawn.std().item() == pytest.approx(level, rel=0.03)
        assert (drawn > 0.0).all()

    def test_each_array_and_seed_has_its_own(self) -> None:
        mismatch = DeviceMismatch(weight=0.2)
        drawn = [
            weight_factors(mismatch, (40, 50), streams=Streams(seed), name=name)
            for seed, name in ((5, "input"), (5, "recurrent"), (6, "input"), (5, "input"))
        ]
        rows = np.corrcoef(np.array([one.numpy().ravel() for one in drawn if one is not None]))
        assert np.abs(rows[:3, :3] - np.eye(3)).max() < SIGMAS / math.sqrt(2000)
        assert rows[0, 3] == pytest.approx(1.0)

    def test_no_level_no_factor(self) -> None:
        assert weight_factors(DeviceMismatch(), (3, 4), streams=Streams(5), name="input") is None

    def test_reads_are_multiplied_and_their_variance_by_the_square(self) -> None:
        factor = torch.tensor([[0.5, 2.0]])
        digital = DigitalArray(torch.tensor([[0.25, -0.5]]))
        digital.factor = factor
        assert digital.moments(0.0).mean.tolist() == [[0.125, -1.0]]
        assert digital.stored_weights().tolist() == [[0.25, -0.5]]
        crossbar = Crossbar(
            (1, 2), PulseModel(), devices=2, scale=10.0, initial_conductance=1.0, generator=torch.Generator()
        )
        before = crossbar.moments(40.0)
        crossbar.factor = factor
        after = crossbar.moments(40.0)
        assert before.variance is not None
        torch.testing.assert_close(after.mean, before.mean * factor)
        torch.testing.assert_close(after.variance, before.variance * factor**2)


class TestBounds:
    @pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(DeviceMismatch) if f.name != "distribution"])
    @pytest.mark.parametrize("value", [0.6, -0.01, math.nan, math.inf, True, "0.1", None])
    def test_level_out_of_bounds(self, field: str, value: object) -> None:
        text = rf"^DeviceMismatch\.{field}: must be a finite number >= 0 and <= 0\.5, got "
        with pytest.raises(FieldError, match=text + f"{value!r}$"):
            DeviceMismatch(**{field: value})

    def test_unknown_distribution(self) -> None:
        text = r"^DeviceMismatch\.distribution: must be one of normal, log-normal, got 'gamma'$"
        with pytest.raises(FieldError, match=text):
            DeviceMismatch(distribution="gamma")
