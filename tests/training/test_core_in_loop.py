"""The network on cores: exact converters change nothing, real ones do what dense products do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from pcmsim.errors import FieldError
from pcmsim.product import Product
from training import checkpoint, kernels, spikes
from training.config import RunConfig
from training.evaluation import evaluate
from training.network import LAYERS, ReadNoise, row_reads
from training.presets import PRESETS
from training.session import Session

SMALL: dict[str, Any] = {"network.hidden": 40, "task.duration": 0.2}
EXACT: dict[str, Any] = {
    "core.enabled": True, "core.adc_bits": None, "core.mvm_noise": 0.0, "core.gain_spread": 0.0,
    "core.offset_spread": 0.0, "core.calibration": 0,
}  # fmt: skip
DIGITAL: dict[str, Any] = {"scheme": "float32", "precision.weight_bits": None}


def config(**values: Any) -> RunConfig:
    return RunConfig().with_values({**PRESETS["mixed-precision"].values, **SMALL, **values})


def losses(chosen: RunConfig, trials: int = 4) -> list[float]:
    return [record.loss for record in Session(chosen).run(trials)]


def test_exact_converters_change_nothing_but_the_order_of_sums() -> None:
    plain, cored = (losses(config(**DIGITAL, **extra)) for extra in ({}, EXACT))
    np.testing.assert_allclose(cored, plain, rtol=2e-4)


def test_noisy_devices_on_exact_cores_have_the_same_statistics() -> None:
    """Device noise meets other random numbers on cores; its variance is the same."""
    session = Session(config(**EXACT))
    for _ in session.run(2):
        pass
    sample, now = session.sampler.sample(0), session.device_time + 30.0
    shape = (session.sampler.steps, 40, session.sampler.outputs)
    held = {}
    for name, cores in (("cores", [a.core for a in session.arrays]), ("plain", [None] * 3)):
        for array, core in zip(session.arrays, cores, strict=True):
            array.core = core
        first = [
            session.network.run(session.arrays, sample.inputs, noise, now, span=(0, 25)).voltage[24]
            for noise in (ReadNoise.draw(shape, k, streams=session.streams) for k in range(300))
        ]
        held[name] = np.array(first)
    error = np.hypot(held["cores"].std(0), held["plain"].std(0)) / np.sqrt(300)
    assert np.abs((held["cores"].mean(0) - held["plain"].mean(0)) / error).max() < 4.5
    np.testing.assert_allclose(held["cores"].std(0).mean(), held["plain"].std(0).mean(), rtol=0.06)


@pytest.mark.parametrize("devices", [1, 3])
def test_wires_take_the_same_from_single_reads_as_from_their_moments(devices: int) -> None:
    steps, chosen = 5000, config(**EXACT, **{
        "core.wire_resistance": 100.0, "core.rows": 30, "device.initial_conductance": 5.0, "device.devices": devices,
        "device.mismatch.weight": 0.2, "device.constants.read_noise": 3.0,
    })  # fmt: skip
    array = Session(chosen).arrays.recurrent
    active = np.arange(5, 40, dtype=np.int32)
    inputs = spikes.Spikes(np.arange(steps + 1) * active.size, np.tile(active, steps))
    reads = row_reads(array, 38.6, "device", 7, np.float32)
    sums = np.zeros((steps, 2, 40))
    kernels.partial_sums(reads, inputs, 0, sums)
    moments = array.moments(38.6)
    assert moments.variance is not None
    mean, variance = (values.double()[active].sum(0).numpy() for values in (moments.mean, moments.variance))
    drawn = sums.sum(1)
    assert (np.abs(drawn.mean(0) - mean) < 5.0 * np.sqrt(variance / steps)).all()
    assert (np.abs(drawn.var(0) / variance - 1.0) < 5.0 * np.sqrt(2.0 / steps)).all()
    free = Session(chosen.with_values({"core.wire_resistance": 0.0})).arrays.recurrent.moments(38.6)
    assert float(moments.mean.abs().sum()) < 0.9 * float(free.mean.abs().sum())


def test_spikes_meet_the_conversions_of_dense_products() -> None:
    """The first step of a trial: its input spikes alone, through one core, against `Product`."""
    session = Session(config(**{**DIGITAL, "core.enabled": True, "core.mvm_noise": 0.0}))
    inputs = session.sampler.sample(0).inputs
    raster = spikes.to_raster(inputs, session.sampler.inputs)
    step = int(np.argmax(raster.sum(1)))
    alone = spikes.from_raster(raster[step : step + 1])
    shape = (1, 40, session.sampler.outputs)
    activity = session.network.run(session.arrays, alone, ReadNoise.none(shape), 0.0)
    array = session.arrays.input
    assert array.core is not None
    expected = Product(array.core, array.moments(0.0))(torch.as_tensor(raster[step : step + 1]).float(), key=0)
    np.testing.assert_allclose(activity.voltage[0], expected[0].numpy(), rtol=1e-6)


def test_a_silent_core_converts_nothing() -> None:
    session = Session(config(**{"core.enabled": True, "core.offset_spread": 0.5, "core.calibration": 0}))
    shape = (50, 40, session.sampler.outputs)
    silent = spikes.from_raster(np.zeros((50, session.sampler.inputs), np.uint8))
    activity = session.network.run(session.arrays, silent, ReadNoise.none(shape), 0.0)
    assert not activity.voltage.any() and not activity.output.any()


def test_a_network_over_several_cores_learns_as_on_one() -> None:
    one, many = (losses(config(**DIGITAL, **EXACT, **{"core.rows": rows})) for rows in (256, 16))
    np.testing.assert_allclose(many, one, rtol=2e-4)
    session = Session(config(**{"core.enabled": True, "core.rows": 16, "core.columns": 16}))
    assert [array.core.tiles for array in session.arrays if array.core] == [(7, 3), (3, 3), (3, 1)]


def test_coarse_converters_cost_accuracy_and_a_saved_run_goes_on(tmp_path: Any) -> None:
    chosen = config(**{"core.enabled": True, "core.adc_bits": 4})
    whole = losses(chosen, 6)
    session = Session(chosen)
    first = [record.loss for record in session.run(3)]
    session.save(tmp_path / "half")
    rest = [record.loss for record in Session.resume(tmp_path / "half").run(3)]
    assert first + rest == whole
    assert whole != losses(config(), 6)


def counted(session: Session) -> list[np.ndarray]:
    return [array.core.histogram.copy() for array in session.arrays if array.core is not None]


def test_conversions_of_an_evaluation_are_not_the_runs() -> None:
    chosen = config(**{"core.enabled": True})
    looked, alone = Session(chosen), Session(chosen)
    for session in (looked, alone):
        list(session.run(2))
    evaluate(looked)
    assert all(mine.sum() > 0 for mine in counted(alone))
    np.testing.assert_array_equal(counted(looked), counted(alone))


def test_conversions_are_saved_and_checkpoints_of_before_still_load(tmp_path: Any) -> None:
    whole, stopped = (Session(config(**{"core.enabled": True})) for _ in range(2))
    list(whole.run(5))
    list(stopped.run(3))
    stopped.save(tmp_path / "run.safetensors")
    resumed, forked = Session.resume(tmp_path / "run.safetensors"), stopped.fork()
    for session in (resumed, forked):
        list(session.run(2))
        np.testing.assert_array_equal(counted(session), counted(whole))
    kept = checkpoint.read(tmp_path / "run.safetensors")
    without = {name: value for name, value in kept.tensors.items() if not name.endswith("/core/histogram")}
    assert len(without) == len(kept.tensors) - 3
    checkpoint.write(tmp_path / "before.safetensors", kept._replace(tensors=without))
    before = Session.resume(tmp_path / "before.safetensors")
    assert [record.loss for record in before.run(2)] == [record.loss for record in stopped.run(2)]
    np.testing.assert_array_equal(
        counted(before), [a - b for a, b in zip(counted(stopped), saved(kept.tensors), strict=True)]
    )


def saved(tensors: dict[str, torch.Tensor]) -> list[np.ndarray]:
    return [tensors[f"{layer}/core/histogram"].numpy() for layer in LAYERS]


def test_cores_are_switched_live() -> None:
    session = Session(config())
    session.step()
    session.configure(config(**{"core.enabled": True}))
    session.step()
    assert all(array.core is not None and array.core.histogram.sum() > 0 for array in session.arrays)
    session.configure(config())
    assert all(array.core is None for array in session.arrays)


def test_the_torch_loop_knows_no_cores() -> None:
    with pytest.raises(FieldError, match="compiled where sums pass through cores"):
        config(**{"core.enabled": True, "network.loop": "torch"})
