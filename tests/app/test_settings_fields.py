"""Each setting is one field of the configuration, and nothing else moves with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.settings import FACTOR_RANGE, RATES, SETTINGS, Settings, device_presets
from pcmsim.errors import PCMLabError
from training.config import RunConfig
from training.presets import PRESETS

MOVED: dict[str, Any] = {
    "weight_bits": 6, "lr_input": 1e-3, "lr_recurrent": 2e-3, "lr_output": 3e-3, "write_noise": 0.5,
    "read_noise": 0.25, "drift_exponent": 0.1, "devices": 4, "refresh": True, "seed": 7, "hidden": 50,
    "threshold": 0.3, "update_interval": 100.0, "accumulator_bits": 12, "gradient_bits": 4, "cores": True,
    "adc_bits": 6, "dac_bits": None, "adc_range": 0.5, "mvm_noise": 0.0, "calibration": 16, "wire_resistance": 1.0,
}  # fmt: skip


def leaves(data: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in data.items():
        flat |= leaves(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat


def difference(old: RunConfig, new: RunConfig) -> dict[str, Any]:
    before, after = leaves(old.to_dict()), leaves(new.to_dict())
    return {name: after.get(name) for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


@pytest.fixture
def settings() -> Settings:
    return Settings(PRESETS["mixed-precision"].config)


@pytest.mark.parametrize(("name", "value"), MOVED.items())
def test_one_setting_moves_exactly_its_field(name: str, value: object, settings: Settings) -> None:
    before = settings.config()
    setattr(settings, name, value)
    assert difference(before, settings.config()) == {SETTINGS[name].path: value}


def test_mismatch_moves_its_three_fields_and_no_other(settings: Settings) -> None:
    before = settings.config()
    settings.mismatch = 0.2
    fields = ("step", "g_max", "drift_exponent")
    assert difference(before, settings.config()) == {f"device.mismatch.{name}": 0.2 for name in fields}


def test_the_spread_of_converters_moves_gains_and_offsets_and_no_other(settings: Settings) -> None:
    before = settings.config()
    settings.converter_spread = 0.2
    assert difference(before, settings.config()) == {"core.gain_spread": 0.2, "core.offset_spread": 0.2}


def test_the_factor_moves_three_rates_and_no_other(settings: Settings) -> None:
    before = settings.config()
    settings.rate_factor = 3.0
    expected = {f"learning.{name}": pytest.approx(3.0 * getattr(before.learning, name)) for name in RATES}
    assert difference(before, settings.config()) == expected


def test_the_factor_keeps_rates_within_what_is_allowed(settings: Settings) -> None:
    settings.lr_input = 1.0
    settings.rate_factor = FACTOR_RANGE[1]
    assert settings.config().learning.lr_input == SETTINGS["lr_input"].about.maximum
    settings.rate_factor = 1.0
    assert settings.config().learning.lr_input == 1.0


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_loaded_over_another_leaves_nothing_behind(name: str, settings: Settings) -> None:
    settings.param.update(rate_factor=10.0, mismatch=0.3, write_noise=2.0, seed=7, devices=8, refresh=True)
    settings.load(PRESETS[name].config)
    assert settings.config() == PRESETS[name].config
    assert settings.rate_factor == 1.0


def test_there_and_back_is_the_same_configuration(settings: Settings) -> None:
    before = settings.config()
    for name, away in {**MOVED, "mismatch": 0.2, "scheme": "float32", "device_preset": "joshi2020"}.items():
        home = getattr(settings, name)
        setattr(settings, name, away)
        assert settings.config() != before
        setattr(settings, name, home)
        assert settings.config() == before, name


def test_the_bits_of_before_the_digital_scheme_come_back_with_any_other(settings: Settings) -> None:
    settings.weight_bits = 6
    settings.scheme = "float32"
    settings.scheme = "sign"
    assert settings.weight_bits == 6


def test_bits_remembered_before_a_preset_was_loaded_do_not_return(settings: Settings) -> None:
    settings.scheme = "float32"
    settings.load(PRESETS["mixed-precision"].config)
    settings.weight_bits = 8
    settings.scheme = "sign"
    assert settings.weight_bits == 8


def test_a_device_from_a_file_passes_through_unchanged(tmp_path: Path) -> None:
    (tmp_path / "device.json").write_text("{}")
    config = RunConfig().with_values({"device.preset": str(tmp_path / "device.json")})
    assert Settings(config).config() == config


def test_an_interval_shorter_than_the_trial_is_refused_and_can_be_mended(settings: Settings) -> None:
    settings.update_interval = 1e-3
    with pytest.raises(PCMLabError, match="update_interval"):
        settings.config()
    settings.update_interval = 50.0
    assert settings.config().device.update_interval == 50.0


def test_device_presets_have_no_doubles() -> None:
    names = device_presets(RunConfig())
    assert len(names) == len(set(names))
    assert "nandakumar2018" in names
