"""Program-and-verify: targets by hand, errors against the published fits, events counted; gains per column."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from pcmsim.core import Core, CoreConfig
from pcmsim.crossbar import Crossbar
from pcmsim.digital import DigitalArray
from pcmsim.errors import FieldError
from pcmsim.presets import device_model
from pcmsim.programming import program

PAIR = [0.166, 4.718, -8.481, 4.690]
JOSHI = [0.26348, 1.9650, -1.1731]
YEAR = 365 * 86400.0


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def crossbar(
    shape: tuple[int, int] = (8, 6), preset: str = "hermes", *, full: float = 1.0, devices: int = 2, **constants: Any
) -> Crossbar:
    """An array whose fully conducting cells stand for the weight `full`."""
    model = device_model(preset, constants)
    return Crossbar(
        shape,
        model,
        devices=devices,
        scale=model.g_max / full,
        initial_conductance=0.0,
        generator=generator(),
    )


def uniform(shape: tuple[int, int], full: float = 1.0) -> torch.Tensor:
    return full * (2.0 * torch.rand(shape, generator=generator(3)) - 1.0)


def expected_error(fit: list[float], pair_max: float) -> float:
    """Of uniform weights: the fit's mean square, and two devices at 0 that err by half a normal each."""
    r = np.linspace(0.0, 1.0, 10_001)
    loud, off = (sum(c * r**i for i, c in enumerate(fit)) ** 2).mean(), fit[0] ** 2 / 2
    return math.sqrt(loud + 2 * off * (0.5 - 0.5 / math.pi) + 4 * off / (2 * math.pi)) / pair_max


class TestErrors:
    def test_uniform_weights_err_on_hermes_as_the_published_polynomial_says(self) -> None:
        """4.36 % of full scale; 65 536 weights know it to 0.3 %."""
        done = program(crossbar((256, 256), full=2.5), uniform((256, 256), 2.5), 0.0, generator=generator(1))
        assert done.error == pytest.approx(expected_error(PAIR, 20.7), rel=0.01)
        assert done.error == pytest.approx(0.0436, rel=0.01)

    @pytest.mark.parametrize(("weight", "sigma"), [(0.4354, 0.0483), (-0.4354, 0.0483), (1.0, 0.0528)])
    def test_the_chip_measures_4_8_to_5_3_percent(self, weight: float, sigma: float) -> None:
        """Khaddam-Aljameh 2022 (doi:10.1109/JSSC.2022.3140414): the ends of that range; the other polarity adds 0.1 %."""
        done = program(crossbar((256, 256)), torch.full((256, 256), weight), 0.0, generator=generator(1))
        assert done.error == pytest.approx(sigma, rel=0.015)

    def test_joshi_devices_err_each_by_themselves(self) -> None:
        """Two devices halve the variance of a weight: each polarity is their mean."""
        r = np.linspace(0.0, 1.0, 10_001)
        variance = (sum(c * r**i for i, c in enumerate(JOSHI)) ** 2).mean()
        off = JOSHI[0] ** 2
        for devices in (1, 4):
            array = crossbar((256, 256), "joshi2020", devices=devices)
            done = program(array, uniform((256, 256)), 0.0, generator=generator(1))
            square = (variance + off * (0.5 - 0.5 / math.pi)) / devices + off / (2 * math.pi)
            assert done.error == pytest.approx(math.sqrt(square) / 25.0, rel=0.015)

    def test_the_generator_decides(self) -> None:
        first, same, other = (crossbar() for _ in range(3))
        for array, seed in ((first, 1), (same, 1), (other, 2)):
            program(array, uniform((8, 6)), 0.0, generator=generator(seed))
        assert all(torch.equal(a, same.tensors()[name]) for name, a in first.tensors().items())
        assert not torch.equal(first.state.conductance, other.state.conductance)
        assert not torch.equal(first.state.exponent_score, other.state.exponent_score)


class TestTargets:
    def test_a_sign_has_its_polarity_and_the_other_stays_at_zero(self) -> None:
        array = crossbar((3, 1), full=4.0, write_noise=0.0)
        done = program(array, torch.tensor([[4.0], [-1.0], [0.0]]), 7.0, generator=generator())
        assert array.state.conductance[0].squeeze().tolist() == [pytest.approx([10.35, 0.0, 0.0])] * 2
        assert array.state.conductance[1].squeeze().tolist() == [pytest.approx([0.0, 10.35 / 4, 0.0])] * 2
        assert array.state.written_at.unique().tolist() == [7.0]
        assert (done.error, done.saturated) == (pytest.approx(0.0, abs=1e-6), 0)

    def test_weights_beyond_the_range_saturate_and_are_counted(self) -> None:
        array = crossbar((1, 5), full=0.3, write_noise=0.0)
        done = program(array, torch.tensor([[0.3, -0.3, 0.31, -9.0, 0.1]]), 0.0, generator=generator())
        assert done.saturated == 2
        assert array.stored_weights()[0].tolist() == pytest.approx([0.3, -0.3, 0.3, -0.3, 0.1])
        assert done.target[0].tolist() == pytest.approx([0.3, -0.3, 0.3, -0.3, 0.1])

    @pytest.mark.parametrize("bits", [2, 3, 8])
    def test_targets_are_rounded(self, bits: int) -> None:
        array, weights = crossbar((8, 6), full=2.0, write_noise=0.0), uniform((8, 6), 2.0)
        program(array, weights, 0.0, bits=bits, generator=generator())
        steps = array.stored_weights() / (4.0 / 2**bits)
        torch.testing.assert_close(steps, steps.round(), atol=1e-4, rtol=0.0)
        assert float((array.stored_weights() - weights).abs().max()) <= 2.0 / 2**bits + 1e-6

    def test_every_device_is_written_once_and_counted(self) -> None:
        array = crossbar((2, 1))
        program(array, torch.tensor([[0.5], [-0.5]]), 0.0, generator=generator())
        assert array.ledger.sets[:, 0, :, 0].tolist() == [[1, 0], [0, 1]]
        assert array.ledger.resets[:, 0, :, 0].tolist() == [[0, 1], [1, 0]]
        program(array, torch.tensor([[0.5], [0.5]]), 1.0, generator=generator())
        assert (array.ledger.sets + array.ledger.resets).unique().tolist() == [2]

    def test_a_device_is_not_asked_for_more_than_it_conducts(self) -> None:
        array = crossbar((4, 3), "joshi2020", write_noise=0.0)
        array.spread = type(array.spread)(g_max=0.8)
        program(array, torch.ones(4, 3), 0.0, generator=generator())
        assert array.stored_weights().unique().tolist() == pytest.approx([0.8])


class TestRefusals:
    def test_devices_without_verification_are_named(self) -> None:
        array = crossbar(preset="nandakumar2018")
        before = {name: value.clone() for name, value in array.tensors().items()}
        with pytest.raises(
            FieldError, match=r"^model: must be one that is programmed to a target, .* got 'PulseModel'$"
        ):
            program(array, uniform((8, 6)), 0.0, generator=generator())
        assert all(torch.equal(value, before[name]) for name, value in array.tensors().items())

    @pytest.mark.parametrize("bits", [1, 9, 2.5, True])
    def test_bits_out_of_range_are_named(self, bits: Any) -> None:
        with pytest.raises(FieldError, match=r"^bits: must be a whole number >= 2 and <= 8 or none, got "):
            program(crossbar(), uniform((8, 6)), 0.0, bits=bits, generator=generator())

    def test_other_weights_are_named(self) -> None:
        with pytest.raises(FieldError, match=r"^weights: must be a tensor of shape \(8, 6\), got \(6, 8\)$"):
            program(crossbar(), uniform((6, 8)), 0.0, generator=generator())
        with pytest.raises(FieldError, match=r"^weights: must be finite numbers"):
            program(crossbar(), torch.full((8, 6), math.nan), 0.0, generator=generator())

    def test_three_devices_of_a_hermes_polarity_are_named(self) -> None:
        with pytest.raises(FieldError, match=r"^devices: must be 1 or 2 per polarity"):
            program(crossbar(devices=3), uniform((8, 6)), 0.0, generator=generator())


class TestColumnGains:
    def test_each_column_drifts_since_it_was_written(self) -> None:
        """Ages a at `since`: a column fell by ((a + wait) / a) ** -0.04."""
        array = crossbar((5, 3), "nandakumar2018", devices=1, read_noise=0.0, g_min=0.0)
        array.state.conductance.copy_(torch.rand(2, 1, 5, 3, generator=generator()) + 1.0)
        array.state.written_at.copy_(torch.tensor([0.0, 50.0, 90.0], dtype=torch.float64).expand(2, 1, 5, 3))
        gains = array.column_gains(100.0, 1e6)
        expected = [((1e6 - written) / (100.0 - written)) ** 0.04 for written in (0.0, 50.0, 90.0)]
        assert gains.tolist() == pytest.approx(expected, rel=1e-5)
        restored = array.rescaled(gains).moments(1e6).mean
        torch.testing.assert_close(restored, array.moments(100.0).mean, rtol=1e-5, atol=1e-6)

    def test_a_column_that_conducts_nothing_needs_no_gain(self) -> None:
        array = crossbar((4, 2), write_noise=0.0)
        program(array, torch.tensor([[0.5, 0.0]]).repeat(4, 1), 0.0, generator=generator())
        gains = array.column_gains(0.0, YEAR)
        assert gains[0] > 1.5
        assert gains[1] == 1.0

    def test_gains_lift_weights_noise_and_devices_of_their_column(self) -> None:
        array, gains = crossbar((5, 3)), torch.tensor([1.0, 2.0, 0.5])
        program(array, uniform((5, 3)), 0.0, generator=generator())
        for factor in (None, torch.rand(5, 3, generator=generator())):
            array.factor = factor
            mine, theirs = array.moments(10.0), array.rescaled(gains).moments(10.0)
            torch.testing.assert_close(theirs.mean, gains * mine.mean)
            torch.testing.assert_close(theirs.variance, gains**2 * mine.variance)
            devices = array.rescaled(gains).device_reads(10.0)
            torch.testing.assert_close(devices.factor, gains * (torch.ones(5, 3) if factor is None else factor))

    def test_on_cores_gains_act_after_the_converters(self) -> None:
        array, gains = crossbar((5, 3)), torch.tensor([1.0, 2.0, 0.5])
        array.core = Core(CoreConfig(enabled=True), array.shape, array.full_weight, generator=generator())
        view = array.rescaled(gains)
        torch.testing.assert_close(view.moments(1.0).mean, array.moments(1.0).mean)
        before, after = array.core.converters(), view.core.converters()
        np.testing.assert_allclose(after.scale, before.scale * gains.numpy(), rtol=1e-6)
        np.testing.assert_allclose(after.shift, before.shift * gains.numpy(), rtol=1e-6, atol=1e-9)
        assert after.step == before.step

    @pytest.mark.parametrize("wrong", [0.0, -1.0, math.nan, math.inf])
    def test_impossible_gains_are_named(self, wrong: float) -> None:
        with pytest.raises(FieldError, match=r"^gain: must be a finite number > 0, got -?(0.0|1.0|nan|inf)$"):
            crossbar().rescaled(torch.tensor([1.0] * 5 + [wrong]))

    def test_digital_columns_need_none(self) -> None:
        array = DigitalArray(torch.ones(4, 3))
        gains = array.column_gains(0.0, YEAR)
        assert gains.tolist() == [1.0] * 3
        assert array.rescaled(gains) is array
        with pytest.raises(FieldError, match=r"^gain: must be 1 for digital weights"):
            array.rescaled(2.0 * gains)
