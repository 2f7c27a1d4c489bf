"""Meters of the cores against closed forms and against conversions that were made; snapshots only look."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from pcmsim.array import WeightReads
from pcmsim.crossbar import Crossbar
from pcmsim.product import Product
from training import core_meters, meters
from training.config import RunConfig
from training.core_meters import CoreMeters
from training.drive import arriving, strength
from training.session import Session

SMALL: dict[str, Any] = {
    "network.hidden": 40, "network.threshold": 0.02, "device.initial_conductance": 4.0, "core.enabled": True,
    "task": {"name": "pattern", "inputs": 30, "duration": 0.2, "rate": 40.0},
}  # fmt: skip
PLAIN: dict[str, Any] = {"core.gain_spread": 0.0, "core.offset_spread": 0.0, "core.calibration": 0}


def measured(trials: int = 2, **values: Any) -> tuple[Session, CoreMeters]:
    session = Session(RunConfig().with_values({**SMALL, **values}))
    records = list(session.run(trials))
    found = meters.measure(session, records[-1]).core
    assert found is not None
    return session, found


def test_without_cores_there_is_nothing_to_measure() -> None:
    session = Session(RunConfig().with_values({**SMALL, "core.enabled": False}))
    record = session.step()
    assert meters.measure(session, record).core is None
    assert all(layer.core is None for layer in session.snapshot().values())


def test_used_cells_over_all_cores() -> None:
    """30 x 40, 40 x 40 and 40 x 1 weights on cores of 16 x 16: 2 x 3, 3 x 3 and 3 x 1 of them."""
    _, found = measured(**{"core.rows": 16, "core.columns": 16})
    assert found.used == pytest.approx((1200 + 1600 + 40) / (18 * 256))


def test_clipped_counts_all_layers_together() -> None:
    session, found = measured(**{"core.adc_range": 0.05})
    counts = sum(array.core.histogram for array in session.arrays)
    assert 0.0 < found.clipped < 1.0
    assert found.clipped == (counts[0] + counts[-1]) / counts.sum()


def spread_of_currents(session: Session, keys: int) -> float:
    """Root mean square of conversions less the exact sums in a trial's hidden currents, over their spread in time."""
    rasters, snapshot = arriving(session, session.step()), session.snapshot()
    now, total = session.device_time, 0.0
    for name, array in (("input", session.arrays.input), ("recurrent", session.arrays.recurrent)):
        reads = WeightReads(array.moments(now).mean, None)
        fired = torch.from_numpy(rasters[name])
        misses = [Product(array.core, reads)(fired, key=key) - fired @ reads.mean for key in range(keys)]
        converted = rasters[name].any(1)[:, None]
        total += float(np.mean([(miss.numpy() * converted) ** 2 for miss in misses]))
    return float(np.sqrt(total / strength(rasters, snapshot)))


def test_noise_is_that_of_repeated_conversions() -> None:
    values = {**PLAIN, "core.adc_bits": None, "core.mvm_noise": 0.05, "device.constants.drift_exponent": 0.0}
    session = Session(RunConfig().with_values({**SMALL, **values}))
    expected = spread_of_currents(session, 20)
    session, found = measured(1, **values)
    assert found.noise == pytest.approx(expected, rel=0.03)
    assert found.rounding is None


def test_rounding_is_that_of_noiseless_conversions() -> None:
    values = {**PLAIN, "core.adc_bits": 8, "core.mvm_noise": 0.0, "device.constants.drift_exponent": 0.0}
    session = Session(RunConfig().with_values({**SMALL, **values}))
    expected = spread_of_currents(session, 1)
    session, found = measured(1, **values)
    assert found.rounding == pytest.approx(expected, rel=0.05)
    assert found.noise is None


def test_cores_of_which_all_rows_are_silent_convert_nothing() -> None:
    session, _ = measured(**{"core.rows": 16})
    raster = np.zeros((10, 40), np.float32)
    raster[:4, 3], raster[2, 17], raster[:, 39] = 1.0, 1.0, 1.0
    assert core_meters.conversions(raster, session.arrays.recurrent.core).tolist() == pytest.approx([0.4, 0.1, 1.0])


def test_spread_of_gains_as_built_and_left_by_calibration() -> None:
    _, raw = measured(**{"core.gain_spread": 0.1, "core.calibration": 0})
    assert raw.gain_spread == raw.gain_error
    assert raw.gain_spread == pytest.approx(0.1, rel=4.5 / np.sqrt(2 * 81))
    _, corrected = measured(**{"core.gain_spread": 0.1, "core.mvm_noise": 0.02, "core.calibration": 64})
    rounding = 1.0 / (127 * np.sqrt(12.0))
    assert corrected.gain_error == pytest.approx(np.sqrt(2 * (0.02**2 + rounding**2) / 64), rel=4.5 / np.sqrt(2 * 81))
    _, alike = measured(**PLAIN)
    assert (alike.gain_spread, alike.gain_error) == (None, None)


def test_wires_of_even_columns_lose_the_closed_form() -> None:
    """Sum over all pairs of cells of the rows that they share: r G (n + 1)(2 n + 1) / 6."""
    session, _ = measured(**{"core.wire_resistance": 2.0, "device.constants.drift_exponent": 0.0})
    array = session.arrays.recurrent
    assert isinstance(array, Crossbar)
    array.state.conductance.fill_(5.0)
    lost = core_meters.wire_loss([array], session.device_time)
    assert lost == pytest.approx(2.0 * 5e-6 * 41 * 81 / 6, rel=1e-3)
    assert measured()[1].wire_loss is None


def test_looking_changes_nothing_and_what_was_seen_stays() -> None:
    config = RunConfig().with_values(SMALL)
    seen, unseen = Session(config), Session(config)
    first = None
    for _ in range(4):
        record = seen.step()
        meters.measure(seen, record)
        first = first or seen.snapshot()
        assert record.loss == unseen.step().loss
    later = seen.snapshot()
    for name, array in zip(first, seen.arrays, strict=True):
        assert np.array_equal(later[name].core.histogram, array.core.histogram)
        assert first[name].core.histogram.sum() < later[name].core.histogram.sum()
        assert later[name].core.gain_error == pytest.approx(float(np.std(array.core.gain_error.numpy())), rel=1e-4)


def test_cores_go_on_counting_until_their_own_settings_change() -> None:
    config = RunConfig().with_values(SMALL)
    session, anew = Session(config), Session(config)
    session.step()
    cores = [array.core for array in session.arrays]
    session.configure(config.with_values({"network.threshold": 0.05}))
    anew.configure(config.with_values({"network.threshold": 0.05}))
    assert all(array.core is core for array, core in zip(session.arrays, cores, strict=True))
    session.configure(config.with_values({"core.adc_range": 1.0}))
    for array, core in zip(session.arrays, cores, strict=True):
        assert array.core is not core
        assert torch.equal(array.core.gain, core.gain)
        assert array.core.histogram.sum() == 0
