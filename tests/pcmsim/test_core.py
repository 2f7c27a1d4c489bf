"""Cores: each effect of the converters against its closed form, wires against a solved circuit."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

import pcmsim.product
from pcmsim.array import WeightReads
from pcmsim.core import BINS, Core, CoreConfig, convert, saturated
from pcmsim.crossbar import Crossbar
from pcmsim.errors import FieldError
from pcmsim.presets import device_model
from pcmsim.product import BLOCK, Product, _pool

EXACT: dict[str, Any] = {
    "enabled": True, "dac_bits": None, "adc_bits": None, "mvm_noise": 0.0, "gain_spread": 0.0, "offset_spread": 0.0,
    "calibration": 0,
}  # fmt: skip
SIDE = 256


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def core(shape: tuple[int, int] = (SIDE, SIDE), *, full: float = 1.0, seed: int = 0, **values: Any) -> Core:
    return Core(CoreConfig(**{**EXACT, **values}), shape, full, generator=generator(seed))


def uniform(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.rand(shape, generator=generator(seed)) * 2.0 - 1.0


def product(
    weights: torch.Tensor, inputs: torch.Tensor, variance: torch.Tensor | None = None, key: int = 1, **values: Any
) -> torch.Tensor:
    return Product(core(tuple(weights.shape), **values), WeightReads(weights, variance))(inputs, key=key)


@pytest.mark.parametrize("shape", [(SIDE, SIDE), (300, 40), (40, 300), (1000, 7)])
def test_exact_converters_give_the_matrix_product_on_any_number_of_cores(shape: tuple[int, int]) -> None:
    weights, inputs = uniform(*shape), uniform(5, shape[0], seed=2)
    torch.testing.assert_close(product(weights, inputs), inputs @ weights, rtol=1e-5, atol=2e-5)


def test_cores_needed_and_their_utilisation() -> None:
    cores = core((300, 40))
    assert cores.tiles == (2, 1)
    assert cores.utilisation == 300 * 40 / (2 * 256 * 256)


@pytest.mark.parametrize("bits", [2, 4, 8, 12])
def test_conversion_rounds_to_the_nearest_code_and_saturates(bits: int) -> None:
    weights, inputs = uniform(SIDE, 50), uniform(40, SIDE, seed=2)
    sums, highest = inputs @ weights, 2 ** (bits - 1) - 1
    full = 0.5 * float(sums.abs().max())
    converted = product(weights, inputs, adc_bits=bits, adc_range=full)
    expected = (sums / full * highest).round().clamp(-highest, highest) * full / highest
    near_edge = ((sums / full * highest) % 1.0 - 0.5).abs() < 1e-4
    torch.testing.assert_close(converted[~near_edge], expected[~near_edge], rtol=1e-5, atol=1e-5)
    assert float(converted.abs().max()) == pytest.approx(full)


def test_saturated_conversions_fill_the_outermost_bins() -> None:
    cores = core((1, 1), adc_bits=8, adc_range=0.5)
    multiply = Product(cores, WeightReads(torch.ones(1, 1), None))
    multiply(torch.tensor([[1.0], [0.9], [-1.0], [0.0]]), key=0)
    assert cores.histogram.sum() == 4
    assert (cores.histogram[-1], cores.histogram[0]) == (2, 1)
    assert cores.histogram[BINS // 2 - 1 : BINS // 2 + 1].sum() == 1


def test_sums_within_the_range_of_a_coarse_converter_are_not_counted_as_saturated() -> None:
    """Codes of 2 bits are -1, 0 and 1; half a code beyond the outermost saturates."""
    cores = core((1, 1), adc_bits=2, adc_range=0.5)
    Product(cores, WeightReads(torch.ones(1, 1), None))(
        torch.tensor([[0.5], [-0.5], [0.7], [0.8], [-1.0], [0.0]]), key=0
    )
    assert np.flatnonzero(cores.histogram).tolist() == [0, 1, BINS // 2, BINS - 2, BINS - 1]
    assert saturated(cores.histogram) == pytest.approx(2 / 6)


def test_share_of_saturated_gaussian_sums_is_the_error_function() -> None:
    """Noise alone, of standard deviation s: beyond the range, and half a code, lies erfc((1 + 1 / 254) / (s sqrt 2))."""
    cores = core((1, 20_000), adc_bits=8, mvm_noise=0.5)
    Product(cores, WeightReads(torch.zeros(1, 20_000), None))(torch.ones(1, 1), key=3)
    expected = math.erfc((1.0 + 1.0 / 254.0) / (0.5 * math.sqrt(2.0)))
    assert saturated(cores.histogram) == pytest.approx(expected, abs=4.5 * math.sqrt(expected / 20_000))


def test_a_sum_that_is_not_a_number_is_counted_and_stays_so() -> None:
    cores = core((1, 2), adc_bits=8)
    converted = Product(cores, WeightReads(torch.tensor([[math.nan, 0.5]]), None))(torch.ones(1, 1), key=0)
    assert converted.isnan().tolist() == [[True, False]]
    assert (cores.histogram.sum(), cores.histogram[0]) == (2, 1)
    assert saturated(np.zeros(BINS, np.int64)) is None


def test_cores_fit_a_configuration_that_would_build_the_same() -> None:
    built = core((4, 4), adc_bits=8, gain_spread=0.1)
    assert built.fits(built.config, 1.0)
    assert not built.fits(built.config, 2.0)
    assert not built.fits(CoreConfig(**{**EXACT, "adc_bits": 6, "gain_spread": 0.1}), 1.0)


def test_noise_of_conversions_and_of_devices_add_in_variance() -> None:
    weights, variance, inputs = uniform(64, 200), torch.full((64, 200), 1e-3), uniform(1, 64, seed=2)
    error = product(weights, inputs.repeat(400, 1), variance, mvm_noise=0.01, adc_range=10.0) - inputs @ weights
    expected = 1e-3 * float((inputs**2).sum()) + 0.1**2
    count = error.numel()
    assert float(error.var()) == pytest.approx(expected, abs=4.5 * expected * math.sqrt(2.0 / count))
    assert abs(float(error.mean())) < 4.5 * math.sqrt(expected / count)


def test_cores_that_share_a_column_have_noise_of_their_own() -> None:
    inputs = uniform(1, 4 * SIDE, seed=2).repeat(2000, 1)
    error = product(torch.zeros(4 * SIDE, 10), inputs, mvm_noise=0.1, adc_range=1.0)
    assert float(error.std()) == pytest.approx(0.2, rel=4.5 / math.sqrt(2.0 * error.numel()))


def test_inputs_are_rounded_to_the_bits_of_the_converter() -> None:
    weights, inputs = uniform(SIDE, 8), uniform(3, SIDE, seed=2)
    rounded = (inputs * 7).round() / 7
    torch.testing.assert_close(product(weights, inputs, dac_bits=4), rounded @ weights, rtol=1e-5, atol=2e-5)


def test_bit_serial_inputs_give_the_same_sum_with_less_noise_of_the_low_bits() -> None:
    weights, inputs = uniform(SIDE, 20), uniform(1, SIDE, seed=2)
    exact = product(weights, inputs, dac_bits=8)
    torch.testing.assert_close(product(weights, inputs, dac_bits=8, bit_serial=True), exact, rtol=1e-4, atol=1e-4)
    many = inputs.repeat(500, 1)
    error = product(weights, many, dac_bits=8, bit_serial=True, mvm_noise=0.1, adc_range=1.0) - exact
    expected = 0.1 * math.sqrt(sum(4.0**b for b in range(7))) / 127
    assert float(error.std()) == pytest.approx(expected, rel=4.5 / math.sqrt(2.0 * error.numel()))


def test_calibration_leaves_what_its_averaged_reads_cannot_tell() -> None:
    built = core((SIDE, 4000), gain_spread=0.07, offset_spread=0.07, mvm_noise=0.01, adc_bits=8)
    assert float(built.gain_error.std()) == pytest.approx(0.07, rel=0.06)
    assert float(built.offset_error.std()) == pytest.approx(0.07, rel=0.06)
    reads = 64
    calibrated = core((SIDE, 4000), gain_spread=0.07, offset_spread=0.07, mvm_noise=0.01, adc_bits=8, calibration=reads)
    single = math.hypot(0.01, 1.0 / (127 * math.sqrt(12.0))) / math.sqrt(reads)
    assert float(calibrated.gain_error.std()) == pytest.approx(math.sqrt(2.0) * single, rel=0.06)
    assert float(calibrated.offset_error.std()) == pytest.approx(single / math.sqrt(2.0), rel=0.06)


def test_error_of_a_hermes_core_is_the_published_one() -> None:
    """1.94 % of the range: Khaddam-Aljameh 2022, 8 bits, Gaussian; against products with what is stored."""
    model = device_model("hermes")
    array = Crossbar((SIDE, SIDE), model, devices=2, scale=model.g_max, initial_conductance=0.0, generator=generator())
    targets = torch.stack([uniform(SIDE, SIDE).clamp(min=0.0), (-uniform(SIDE, SIDE)).clamp(min=0.0)])
    array.state.conductance[:] = model.g_max * targets[:, None]
    weights, inputs = array.moments(20.0), uniform(200, SIDE, seed=2)
    exact = inputs @ weights.mean
    full = 4.0 * float(exact.std())
    cores = Core(CoreConfig(enabled=True, adc_range=full), array.shape, 1.0, generator=generator())
    error = (Product(cores, weights)(inputs, key=1) - exact) / full
    held = exact.abs() < 0.9 * full
    assert float(error[held].std()) == pytest.approx(0.0194, rel=0.10)


def solved(conductance: np.ndarray[Any, Any], resistance: float, active: np.ndarray[Any, Any]) -> float:
    """Current of a column's wire by Kirchhoff's laws; unit voltage at active rows, ground at the others [µA]."""
    wire, cells = 1.0 / resistance, conductance * 1e-6
    size = len(cells)
    nodes = np.diag(np.full(size, 2.0 * wire) + cells)
    nodes[-1, -1] -= wire
    nodes -= wire * (np.eye(size, k=1) + np.eye(size, k=-1))
    return float(np.linalg.solve(nodes, cells * active)[0] * wire * 1e6)


def test_wires_lose_what_the_circuit_loses_to_first_order() -> None:
    draw = np.random.default_rng(3)
    conductance, active = draw.uniform(0.0, 20.0, 64), draw.integers(0, 2, 64).astype(float)
    misses = []
    for resistance in (0.5, 1.0, 2.0):
        cores = core((64, 1), wire_resistance=resistance)
        kept = cores.drop(torch.as_tensor(conductance).view(1, 1, 64, 1)).view(-1).numpy()
        exact, ideal = solved(conductance, resistance, active), float(conductance @ active)
        misses.append(abs(float(kept @ active) - exact) / (ideal - exact))
    # What is missed is of second order: as a share of the loss it grows with the resistance.
    assert misses[1] == pytest.approx(2.0 * misses[0], rel=0.1)
    assert misses[2] == pytest.approx(4.0 * misses[0], rel=0.2)
    assert misses[0] < 0.02


def test_wires_of_one_core_end_at_its_border() -> None:
    conductance = torch.full((2, 1, 512, 1), 10.0)
    dropped = core((512, 1), wire_resistance=1.0).drop(conductance)
    torch.testing.assert_close(dropped[:, :, :256], dropped[:, :, 256:])
    assert float(dropped[0, 0, 0]) > float(dropped[0, 0, 255]) > 0.0


def test_amplified_sums_are_multiplied_after_conversion() -> None:
    weights, inputs = uniform(SIDE, 4), uniform(3, SIDE, seed=2)
    cores = core((SIDE, 4), adc_bits=6, adc_range=10.0, mvm_noise=0.01)
    factor = torch.tensor([1.0, 2.0, 0.5, 3.0])
    usual = Product(cores, WeightReads(weights, None))(inputs, key=5)
    torch.testing.assert_close(
        Product(cores.amplified(factor), WeightReads(weights, None))(inputs, key=5), usual * factor
    )


def test_same_key_same_product() -> None:
    weights, inputs = uniform(SIDE, 4), uniform(3, SIDE, seed=2)
    first, again, other = (product(weights, inputs, key=key, mvm_noise=0.1) for key in (7, 7, 8))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    """Sets the number of threads for the length of a test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def eighths(*shape: int, seed: int) -> torch.Tensor:
    """Numbers whose products single precision adds up exactly, in any order."""
    return torch.randint(-8, 9, shape, generator=generator(seed)) / 8.0


NOISY: dict[str, Any] = {"adc_bits": 8, "adc_range": 20.0, "mvm_noise": 0.02, "rows": 100}


@pytest.mark.parametrize("batch", [1, BLOCK, BLOCK + 1, 3 * BLOCK + 5])
def test_the_number_of_threads_changes_no_bit(batch: int, threads: Callable[[int], None]) -> None:
    weights, variance, inputs = uniform(SIDE, 30), uniform(SIDE, 30, seed=4).abs() / 100, uniform(batch, SIDE, seed=2)
    found = []
    for count in (1, 2, 3, 7):
        threads(count)
        cores = core((SIDE, 30), dac_bits=8, **NOISY)
        found.append((Product(cores, WeightReads(weights, variance))(inputs, key=5), cores.histogram))
    for product_, histogram in found[1:]:
        assert torch.equal(product_, found[0][0])
        assert np.array_equal(histogram, found[0][1])
    assert found[0][1].sum() == batch * 30 * 3


@pytest.mark.parametrize("serial", [False, True])
def test_a_vector_meets_the_same_noise_however_its_batch_is_split(
    serial: bool, threads: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    threads(2)
    weights, inputs = eighths(SIDE, 20, seed=1), eighths(40, SIDE, seed=2)
    values = {**NOISY, "dac_bits": 3 if serial else None, "bit_serial": serial}
    split = []
    for size in (64, 40, 7, 1):
        monkeypatch.setattr(pcmsim.product, "BLOCK", size)
        split.append(product(weights, inputs, weights.abs() / 128, **values))
    assert all(torch.equal(one, split[0]) for one in split)


@pytest.mark.parametrize("changed", [{}, {"mvm_noise": 0.0}, {"adc_bits": None}, {"adc_bits": 3, "adc_range": 2.0}])
def test_vectors_are_converted_as_in_the_time_loop(changed: dict[str, Any]) -> None:
    """To the bit, noise, saturation and what is no number included."""
    weights, variance, inputs = (
        eighths(SIDE, 30, seed=1),
        eighths(SIDE, 30, seed=3).abs() / 64,
        eighths(9, SIDE, seed=2),
    )
    weights[0, :3] = torch.tensor([math.nan, math.inf, -math.inf])
    values = {**NOISY, "gain_spread": 0.07, "offset_spread": 0.07, "calibration": 16, "rows": SIDE, **changed}
    cores, alone = core((SIDE, 30), **values), core((SIDE, 30), **values)
    found = Product(cores, WeightReads(weights, variance))(inputs, key=5)
    totals, spreads = (inputs @ weights).numpy(), (inputs**2 @ variance).numpy()
    expected = np.zeros((9, 30), np.float32)
    for b in range(9):
        convert(alone.converters(), 0, (totals[b], spreads[b]), (5, 30 * b), expected[b])
    np.testing.assert_array_equal(found.numpy(), expected)
    assert np.array_equal(cores.histogram, alone.histogram)


def test_a_batch_without_noise_is_its_vectors_one_by_one() -> None:
    weights, inputs = eighths(SIDE, 20, seed=1), eighths(BLOCK + 9, SIDE, seed=2)
    values = {**NOISY, "mvm_noise": 0.0, "gain_spread": 0.07, "offset_spread": 0.07, "calibration": 16}
    whole = product(weights, inputs, **values)
    assert torch.equal(whole, torch.cat([product(weights, one[None], **values) for one in inputs]))
    assert product(weights, inputs[:0], **values).shape == (0, 20)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_does_not_wait_for_threads_that_it_has_not(threads: Callable[[int], None]) -> None:
    threads(2)
    product(uniform(4, 4), uniform(2 * BLOCK, 4))
    child = os.fork()
    if child == 0:
        os._exit(_pool.cache_info().currsize)
    assert _pool.cache_info().currsize > 0
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize(
    "inputs",
    [
        torch.zeros(2, 5),
        torch.zeros(4),
        torch.full((1, 4), math.nan),
        torch.full((1, 4), math.inf),
        torch.full((1, 4), 1.1),
    ],
)
def test_bad_inputs_are_refused(inputs: torch.Tensor) -> None:
    with pytest.raises(FieldError, match="inputs"):
        product(torch.zeros(4, 4), inputs)


@pytest.mark.parametrize(
    ("field", "value"), [("rows", 0), ("adc_bits", 1), ("adc_range", 0.0), ("mvm_noise", math.nan)]
)
def test_bad_constants_name_their_field(field: str, value: float) -> None:
    with pytest.raises(FieldError, match=f"CoreConfig.{field}"):
        CoreConfig(**{field: value})
