"""The blind-pulse model against its published trajectory, a re-simulation from the formulas, and closed forms.

The tables of means and spreads were re-simulated from the constants of Nandakumar et al. 2018
(doi:10.1063/1.5042408), as Demirag et al. 2021 (arXiv:2108.01804) implement them, on 20 000 devices.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy import stats

from pcmsim.errors import FieldError
from pcmsim.mismatch import Spread
from pcmsim.model import Noise
from pcmsim.pulse import PulseModel
from pcmsim.state import DeviceState

Floats = npt.NDArray[np.float64]

N = 30_000
SIGMAS = 4.5  # allowed deviation of a sample moment, in its standard errors
PULSES = 20
TABLE = {
    12.0: {
        1: (2.06, 1.53),
        2: (3.43, 1.98),
        3: (4.46, 2.20),
        4: (5.26, 2.30),
        5: (5.89, 2.34),
        8: (7.15, 2.25),
        10: (7.69, 2.17),
        15: (8.51, 2.05),
        20: (8.91, 1.97),
    },
    20.0: {1: (2.06, 1.51), 10: (7.86, 2.47), 20: (9.40, 2.66)},
}
ROWS = [(g_max, n, *row) for g_max, rows in TABLE.items() for n, row in rows.items()]
FADE = math.exp(-1 / 2.6)


def noise(seed: int, n: int = N) -> Noise:
    generator = torch.Generator().manual_seed(seed)
    return lambda _: torch.randn(n, generator=generator)


def silent(n: int = 1) -> Noise:
    return lambda _: torch.zeros(n)


def ones(n: int = N) -> torch.Tensor:
    return torch.ones(n, dtype=torch.int64)


def at(conductance: float | list[float], *, history: float = 1.0, now: float = 0.0) -> DeviceState:
    cells = DeviceState.fresh(torch.as_tensor(conductance).reshape(-1), now)
    cells.history.fill_(history)
    return cells


def pulsed(g_max: float) -> Iterator[Floats]:
    """Conductances of the model's devices after 1, 2, ... pulses from RESET."""
    model, random = PulseModel(g_max=g_max), noise(1)
    cells = model.reset(DeviceState.fresh(torch.zeros(N), 0.0), 0.0, random)
    for n in range(PULSES):
        cells = model.set_pulses(cells, ones(), Spread(), 38.6 * n, random)
        yield cells.conductance.double().numpy()


def by_formula(g_max: float, seed: int = 2) -> Iterator[Floats]:
    """The same written down once more: P decays by exp(-1/2.6), G takes a normal step, clip."""
    rng = np.random.default_rng(seed)
    g, p = np.maximum(rng.normal(0.1, 0.01, N), 0.01), np.ones(N)
    for _ in range(PULSES):
        p = p * FADE
        step = rng.normal(-0.084 * g + 0.880 + 1.40 * p, 0.091 * g + 0.260 + 2.15 * p)
        g = np.clip(g + step, 0.1, g_max)
        yield g


@pytest.fixture(scope="module")
def trajectory() -> dict[float, list[Floats]]:
    return {g_max: list(pulsed(g_max)) for g_max in TABLE}


@pytest.fixture(scope="module")
def reference() -> dict[float, list[Floats]]:
    return {g_max: list(by_formula(g_max)) for g_max in TABLE}


def std_error(x: Floats) -> float:
    """Standard error of a sample standard deviation, from the sample's own fourth moment."""
    return float(np.sqrt((stats.moment(x, 4) - x.var() ** 2) / x.size) / (2 * x.std()))


class TestTrajectory:
    @pytest.mark.parametrize(("g_max", "n", "mean", "std"), ROWS)
    def test_table(self, trajectory: dict[float, list[Floats]], g_max: float, n: int, mean: float, std: float) -> None:
        g = trajectory[g_max][n - 1]
        assert g.mean() == pytest.approx(mean, rel=0.02)
        assert g.std() == pytest.approx(std, rel=0.05)

    @pytest.mark.parametrize("g_max", TABLE)
    @pytest.mark.parametrize("n", range(1, PULSES + 1))
    def test_moments_of_a_second_simulation(
        self, trajectory: dict[float, list[Floats]], reference: dict[float, list[Floats]], g_max: float, n: int
    ) -> None:
        ours, theirs = trajectory[g_max][n - 1], reference[g_max][n - 1]
        assert abs(ours.mean() - theirs.mean()) < SIGMAS * math.hypot(ours.std(), theirs.std()) / math.sqrt(N)
        assert abs(ours.std() - theirs.std()) < SIGMAS * math.hypot(std_error(ours), std_error(theirs))

    @pytest.mark.parametrize("g_max", TABLE)
    @pytest.mark.parametrize("n", [1, 2, 5, 20])
    def test_distribution_of_a_second_simulation(
        self, trajectory: dict[float, list[Floats]], reference: dict[float, list[Floats]], g_max: float, n: int
    ) -> None:
        ours, theirs = (g[g_max][n - 1].astype(np.float32) for g in (trajectory, reference))  # so that clips tie
        assert stats.ks_2samp(ours, theirs).pvalue > 1e-3

    def test_both_clips_hold_the_share_that_the_formulas_give(self, trajectory: dict[float, list[Floats]]) -> None:
        """One pulse from RESET: N(1.925, 1.733) clipped below at 0.1; the upper clip is out of reach."""
        mean, sigma = 0.1 + 0.88 - 0.084 * 0.1 + 1.4 * FADE, 0.26 + 0.091 * 0.1 + 2.15 * FADE
        share = stats.norm.cdf((0.1 - mean) / sigma)
        first = trajectory[12.0][0]
        assert (first == np.float32(0.1)).mean() == pytest.approx(share, abs=SIGMAS * math.sqrt(share / N))
        assert max(g.max() for g in trajectory[12.0]) == 12.0
        assert min(g.min() for g in trajectory[12.0]) == np.float32(0.1)

    def test_noise_free_recursion(self) -> None:
        """1.92, 3.29, 4.34, 5.15, 5.80 from 0.1 µS, and the fixed point c1 / -m1 = 10.48."""
        model, cells, means = PulseModel(write_noise=0.0, reset_spread=0.0), at(0.1), []
        for _ in range(5):
            cells = model.set_pulses(cells, ones(1), Spread(), 0.0, silent())
            means.append(cells.conductance.item())
        assert means == pytest.approx([1.92, 3.29, 4.34, 5.15, 5.80], abs=0.006)
        settled = model.set_pulses(cells, 300 * ones(1), Spread(), 0.0, silent())
        assert settled.conductance.item() == pytest.approx(0.88 / 0.084, rel=1e-5)

    def test_many_pulses_at_once_equal_one_after_another(self) -> None:
        model, start = PulseModel(), at([0.1] * 50)
        draws = torch.randn(7, 50, generator=torch.Generator().manual_seed(3))
        once = model.set_pulses(start, 7 * ones(50), Spread(), 1.0, lambda k: draws[k])
        cells = start
        for k in range(7):
            cells = model.set_pulses(cells, ones(50), Spread(), 1.0, lambda _, k=k: draws[k])
        assert all(torch.equal(a, b) for (_, a), (_, b) in zip(once.items(), cells.items(), strict=True))


class TestSinglePulse:
    @pytest.mark.parametrize(("conductance", "step"), [(0.0, 0.88), (6.0, 0.38), (9.0, 0.12)])
    def test_mean_step_with_history_exhausted(self, conductance: float, step: float) -> None:
        mean, _ = PulseModel().step(torch.tensor(conductance), torch.tensor(0.0))
        assert mean.item() == pytest.approx(step, abs=0.005)

    @pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
    def test_spread_far_from_the_clips(self, factor: float) -> None:
        """At 6 µS and P = 0 the new conductance is N(6.376, factor (0.091 * 6 + 0.26))."""
        after = PulseModel(write_noise=factor, g_max=50.0).set_pulses(
            at([6.0] * N, history=0.0), ones(), Spread(), 0.0, noise(4)
        )
        g, sigma = after.conductance.double().numpy(), factor * (0.091 * 6.0 + 0.26)
        assert g.mean() == pytest.approx(6.376, abs=SIGMAS * sigma / math.sqrt(N))
        assert stats.kstest(g[g > 0.1], "norm", args=(6.376, sigma)).pvalue > 1e-3

    def test_history_fades_by_1_over_e_in_2_6_pulses(self) -> None:
        cells = PulseModel().set_pulses(at([1.0] * 4), torch.tensor([0, 1, 5, 13]), Spread(), 0.0, silent(4))
        assert cells.history.tolist() == pytest.approx([1.0, FADE, math.exp(-5 / 2.6), math.exp(-5)], rel=1e-5)

    def test_counts_and_times(self) -> None:
        model = PulseModel()
        once = model.set_pulses(at([1.0, 1.0]), torch.tensor([2, 0]), Spread(), 50.0, silent(2))
        twice = model.set_pulses(once, torch.tensor([3, 1]), Spread(), 70.0, silent(2))
        assert once.written_at.tolist() == [50.0, 0.0]
        assert twice.written_at.tolist() == [70.0, 70.0]
        assert twice.pulses.tolist() == [5, 1]

    def test_mismatch_scales_the_mean_step(self) -> None:
        spread = Spread(step=torch.tensor([0.5, 1.0, 1.7]))
        after = PulseModel(write_noise=0.0).set_pulses(at([3.0] * 3), ones(3), spread, 0.0, silent(3))
        steps = (after.conductance - 3.0).double().numpy()
        assert steps / steps[1] == pytest.approx([0.5, 1.0, 1.7], rel=1e-5)

    def test_mismatch_of_the_step_leaves_its_spread(self) -> None:
        """Twice the mean step, the same noise: N(6 + 2 * 0.376, 0.806)."""
        cells, model = at([6.0] * N, history=0.0), PulseModel(g_max=50.0)
        after = model.set_pulses(cells, ones(), Spread(step=torch.full((N,), 2.0)), 0.0, noise(10))
        assert stats.kstest(after.conductance.numpy(), "norm", args=(6.752, 0.806)).pvalue > 1e-3

    def test_mismatch_sets_each_device_its_own_ceiling(self) -> None:
        factors = torch.tensor([0.5, 1.0, 1.25])
        model = PulseModel(step_slope=0.0, write_noise=0.0)
        after = model.set_pulses(at([1.0] * 3), 60 * ones(3), Spread(g_max=factors), 0.0, silent(3))
        assert after.conductance.tolist() == pytest.approx([6.0, 12.0, 15.0])


class TestResetAndInitial:
    def test_reset_statistics(self) -> None:
        """N(0.1, 0.01) µS, history renewed, whatever came before."""
        cells = PulseModel().reset(at([9.0] * N, history=0.01), 77.0, noise(5))
        assert stats.kstest(cells.conductance.numpy(), "norm", args=(0.1, 0.01)).pvalue > 1e-3
        assert cells.history.unique().tolist() == [1.0]
        assert cells.written_at.unique().tolist() == [77.0]
        assert cells.pulses.unique().tolist() == [0]

    def test_reset_stops_at_a_hundredth(self) -> None:
        """Of N(0.1, 0.1) a share Phi(-0.9) lies below 0.01 µS."""
        g = PulseModel(reset_spread=0.1).reset(at([9.0] * N), 0.0, noise(6)).conductance
        share = stats.norm.cdf(-0.9)
        assert g.min().item() == pytest.approx(0.01)
        assert (g == g.min()).double().mean().item() == pytest.approx(share, abs=SIGMAS * math.sqrt(share / N))

    @pytest.mark.parametrize("mean", [0.1, 0.236876])
    def test_initial_statistics(self, mean: float) -> None:
        """N(G0, 0.1 G0), for the default gain and the tuned one."""
        cells = PulseModel().initial(torch.full((N,), mean), 0.0, noise(7))
        assert stats.kstest(cells.conductance.numpy(), "norm", args=(mean, 0.1 * mean)).pvalue > 1e-3
        assert cells.pulses.unique().tolist() == [0]
        assert cells.history.unique().tolist() == [1.0]

    def test_initial_stays_below_the_largest_conductance(self) -> None:
        g = PulseModel().initial(torch.full((N,), 12.0), 0.0, noise(8)).conductance
        assert g.max().item() == 12.0
        assert (g == 12.0).double().mean().item() == pytest.approx(0.5, abs=SIGMAS * 0.5 / math.sqrt(N))


AGES = np.geomspace(0.01, 1e6, 9)


def slopes(model: PulseModel, cells: DeviceState, spread: Spread | None = None) -> Floats:
    """Log-log slope of each device's conductance over its age."""
    written = cells.written_at
    drifted = [model.read(cells, spread or Spread(), written + age).location.double().numpy() for age in AGES]
    return np.polyfit(np.log(AGES), np.log(drifted), 1)[0]


class TestDrift:
    @pytest.mark.parametrize(
        ("age", "factor", "tolerance"),
        [
            (0.5e-3, 1.57, 0.005),
            (1.0, 1.157, 5e-4),
            (38.6, 1.0, 1e-6),
            (386.0, 0.912, 5e-4),
            (3600.0, 0.834, 5e-4),
            (1e4, 0.801, 5e-4),
        ],
    )
    def test_published_factors(self, age: float, factor: float, tolerance: float) -> None:
        drifted = PulseModel().read(at([0.1, 3.0, 12.0], now=500.0), Spread(), 500.0 + age).location
        assert (drifted / torch.tensor([0.1, 3.0, 12.0])).tolist() == pytest.approx([factor] * 3, abs=tolerance)

    def test_a_fresh_weight_sags_by_26_percent_in_a_second(self) -> None:
        model = PulseModel()
        early, late = (model.read(at(5.0), Spread(), t).location.item() for t in (0.5e-3, 1.0))
        assert 1 - late / early == pytest.approx(0.26, abs=0.005)

    def test_reads_come_no_earlier_than_the_delay(self) -> None:
        model, cells = PulseModel(), at(5.0, now=9.0)
        assert model.read(cells, Spread(), 9.0).location.item() == model.read(cells, Spread(), 9.0005).location.item()

    @pytest.mark.parametrize("exponent", [0.01, 0.04, 0.1])
    def test_slope_is_minus_the_exponent(self, exponent: float) -> None:
        cells = at([0.1, 0.5, 2.0, 11.0])
        assert slopes(PulseModel(drift_exponent=exponent), cells) == pytest.approx([-exponent] * 4, abs=1e-6)

    def test_slope_per_device_under_mismatch(self) -> None:
        factors = torch.tensor([0.3, 0.9, 1.0, 1.6])
        found = slopes(PulseModel(), at([2.0] * 4), Spread(drift_exponent=factors))
        assert found == pytest.approx(-0.04 * factors.double().numpy(), abs=1e-6)

    def test_each_write_restarts_the_clock(self) -> None:
        """SET the first device at 1000 s, RESET the second at 2000 s: each drifts from its own last write."""
        model, cells = PulseModel(), at([1.0, 4.0, 6.0])
        cells = model.set_pulses(cells, torch.tensor([1, 0, 0]), Spread(), 1000.0, noise(9, 3))
        cells.put(torch.tensor([1]), model.reset(cells.take(torch.tensor([1])), 2000.0, silent()))
        assert cells.written_at.tolist() == [1000.0, 2000.0, 0.0]
        assert slopes(model, cells) == pytest.approx([-0.04] * 3, abs=1e-6)
        late = model.read(cells, Spread(), 2038.6).location / cells.conductance
        assert late.tolist() == pytest.approx([(1038.6 / 38.6) ** -0.04, 1.0, (2038.6 / 38.6) ** -0.04], rel=1e-6)

    def test_no_exponent_no_drift(self) -> None:
        cells = at([0.3, 7.0])
        assert torch.equal(PulseModel(drift_exponent=0.0).read(cells, Spread(), 1e9).location, cells.conductance)


class TestRead:
    def test_noise_is_linear_in_the_drifted_conductance(self) -> None:
        cells = at([0.1, 1.0, 12.0])
        read = PulseModel(read_noise=0.5).read(cells, Spread(), 3600.0)
        drifted = np.array([0.1, 1.0, 12.0]) * (3600 / 38.6) ** -0.04
        assert read.location.tolist() == pytest.approx(drifted, rel=1e-5)
        assert read.scale is not None
        assert read.scale.tolist() == pytest.approx(0.5 * (0.03 * drifted + 0.13), rel=1e-5)

    def test_above_7_6_clips_on_the_first_read(self) -> None:
        """12 / 1.57 = 7.64 µS."""
        mean, variance = PulseModel(read_noise=0.0).read(at([7.6, 7.7, 11.0]), Spread(), 0.0).moments()
        assert variance is None
        assert mean.tolist() == pytest.approx([7.6 * 77200**0.04, 12.0, 12.0], rel=1e-5)

    def test_exact_reads_keep_to_mismatched_bounds(self) -> None:
        spread = Spread(g_max=torch.tensor([0.5, 1.0, 1.5]))
        mean, _ = PulseModel(read_noise=0.0, drift_exponent=0.0).read(at([0.02, 14.0, 14.0]), spread, 1.0).moments()
        assert mean.tolist() == pytest.approx([0.1, 12.0, 14.0])

    def test_noise_free_reads_have_no_variance(self) -> None:
        for model in (PulseModel(read_noise=0.0), PulseModel(read_slope=0.0, read_offset=0.0)):
            assert model.read(at(1.0), Spread(), 1.0).moments()[1] is None

    def test_a_device_at_zero_without_offset_noise_reads_zero(self) -> None:
        mean, variance = PulseModel(g_min=0.0, read_offset=0.0).read(at([0.0, 1.0]), Spread(), 38.6).moments()
        assert mean.tolist() == pytest.approx([0.0, 1.0], abs=1e-8)
        assert variance is not None
        assert variance.tolist() == pytest.approx([0.0, 9e-4], abs=1e-9)


class TestBounds:
    @pytest.mark.parametrize(
        ("field", "value", "text"),
        [
            ("g_max", 0.0, r"PulseModel\.g_max: must be a finite number > 0 µS and <= 200 µS, got 0\.0"),
            ("g_min", -0.1, r"PulseModel\.g_min: must be a finite number >= 0 µS and <= 50 µS, got -0\.1"),
            ("drift_exponent", 0.31, r"PulseModel\.drift_exponent: must be .* <= 0\.3, got 0\.31"),
            ("drift_reference", math.inf, r"PulseModel\.drift_reference: must be a finite number .* s.*, got inf"),
            ("read_noise", math.nan, r"PulseModel\.read_noise: must be a finite number .*, got nan"),
            ("write_noise", "1", r"PulseModel\.write_noise: must be .*, got '1'"),
        ],
    )
    def test_constants_out_of_bounds(self, field: str, value: object, text: str) -> None:
        with pytest.raises(FieldError, match=text):
            PulseModel(**{field: value})

    def test_smallest_conductance_above_the_largest(self) -> None:
        with pytest.raises(FieldError, match=r"^PulseModel\.g_min: must be below g_max, 12 µS, got 15\.0$"):
            PulseModel(g_min=15.0, g_max=12.0)
