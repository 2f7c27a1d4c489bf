"""The page's settings against the configuration that they mirror."""

from __future__ import annotations

import pytest

from app.settings import DRIFTS, NOISES, SETTINGS, Settings, describe, label
from pcmsim.errors import FieldError
from training.config import RunConfig, restart_fields
from training.presets import PRESETS
from training.schemes import SCHEMES


@pytest.fixture
def settings() -> Settings:
    return Settings(PRESETS["mixed-precision"].config)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_passes_through_unchanged(name: str) -> None:
    config = PRESETS[name].config
    assert Settings(config).config() == config


def test_what_the_page_does_not_show_is_kept() -> None:
    config = RunConfig().with_values({"learning.gradient_clip": 7.0, "device.constants.g_max": 15.0, "task.samples": 2})
    settings = Settings(config)
    settings.threshold = 0.3
    assert settings.config() == config.with_values({"network.threshold": 0.3})


@pytest.mark.parametrize("name", SETTINGS)
def test_bounds_come_from_the_library(name: str, settings: Settings) -> None:
    about, parameter = SETTINGS[name].about, settings.param[name]
    if about.kind in (int, float):
        assert parameter.bounds[1] == about.maximum
        assert parameter.bounds[0] == (about.minimum if about.above is None else about.above)
    if SETTINGS[name].typical is not None:
        low, high = SETTINGS[name].typical
        assert about.accepts(about.kind(low))
        assert about.accepts(about.kind(high))


@pytest.mark.parametrize("name", SETTINGS)
def test_tooltips_say_meaning_source_and_restart(name: str) -> None:
    about, text = SETTINGS[name].about, describe(name)
    assert about.doc in text
    assert about.source in text
    assert ("restarts the run" in text) == about.structural


LIVE = {
    "lr_input": 1e-3, "weight_bits": 6, "mismatch": 0.2, "write_noise": 0.5, "read_noise": 0.0, "drift_exponent": 0.1,
    "refresh": True, "threshold": 0.3, "update_interval": 100.0, "accumulator_bits": 12, "gradient_bits": 4,
    "cores": True, "adc_bits": None, "dac_bits": 4, "adc_range": 0.5, "mvm_noise": 0.0, "converter_spread": 0.1,
    "calibration": 0, "wire_resistance": 1.0,
}  # fmt: skip
RESTARTING = {"device_preset": "joshi2020", "devices": 4, "seed": 7, "hidden": 50}


@pytest.mark.parametrize(("name", "value"), (LIVE | RESTARTING).items())
def test_each_setting_reaches_its_field_and_says_rightly_whether_it_restarts(
    name: str, value: object, settings: Settings
) -> None:
    before = settings.config()
    setattr(settings, name, value)
    after = settings.config()
    assert after != before
    assert bool(restart_fields(before, after)) == SETTINGS[name].about.structural == (name in RESTARTING)
    assert getattr(Settings(after), name) == value


def test_mismatch_is_one_level_for_all_parameters(settings: Settings) -> None:
    settings.mismatch = 0.3
    mismatch = settings.config().device.mismatch
    assert (mismatch.step, mismatch.g_max, mismatch.drift_exponent) == (0.3, 0.3, 0.3)


def test_constants_at_their_default_leave_no_trace(settings: Settings) -> None:
    settings.write_noise = 2.0
    assert dict(settings.config().device.constants) == {"write_noise": 2.0}
    settings.write_noise = 1.0
    assert dict(settings.config().device.constants) == {}


def test_the_factor_moves_all_rates_and_back(settings: Settings) -> None:
    before = settings.config().learning
    settings.rate_factor = 10.0
    scaled = settings.config().learning
    for name in ("lr_input", "lr_recurrent", "lr_output"):
        assert getattr(scaled, name) == pytest.approx(10.0 * getattr(before, name))
    settings.rate_factor = 1.0
    assert settings.config().learning == before


def test_a_rate_set_by_hand_keeps_its_value_at_the_present_factor(settings: Settings) -> None:
    settings.rate_factor = 10.0
    settings.lr_output = 2e-3
    assert settings.config().learning.lr_output == 2e-3
    settings.rate_factor = 1.0
    assert settings.config().learning.lr_output == pytest.approx(2e-4)


@pytest.mark.parametrize("name", SCHEMES)
def test_schemes_come_with_the_settings_of_their_preset(name: str, settings: Settings) -> None:
    settings.scheme = name
    scheme = settings.config().scheme
    assert type(scheme) is SCHEMES[name]
    if name in PRESETS and type(PRESETS[name].config.scheme) is type(scheme):
        assert scheme == PRESETS[name].config.scheme


def test_digital_weights_are_floating_point_and_the_bits_come_back(settings: Settings) -> None:
    settings.scheme = "float32"
    assert settings.config().precision.weight_bits is None
    assert settings.digital
    settings.scheme = "mixed-precision"
    assert settings.config().precision.weight_bits == 4


def test_another_device_brings_its_own_noise_drift_and_scale(settings: Settings) -> None:
    settings.write_noise = 2.0
    settings.device_preset = "joshi2020"
    device = settings.config().device
    assert settings.drift_name == "drift_scale"
    assert dict(device.constants) == {}
    assert (device.scale, device.initial_conductance) == (
        PRESETS["closed-loop"].config.device.scale,
        PRESETS["closed-loop"].config.device.initial_conductance,
    )
    settings.drift_scale = 0.0
    assert settings.config().device.model(None).largest_exponent == 0.0


def test_the_ideal_device_shows_no_noise(settings: Settings) -> None:
    settings.device_preset = "ideal"
    assert [getattr(settings, name) for name in (*NOISES, "drift_exponent")] == [0.0, 0.0, 0.0]
    settings.read_noise = 1.0
    assert settings.config().device.model(None).read_noise == 1.0


@pytest.mark.parametrize(("name", "value"), [("mismatch", 0.9), ("threshold", 0.0), ("devices", 0), ("weight_bits", 1)])
def test_values_out_of_bounds_are_refused(name: str, value: float, settings: Settings) -> None:
    with pytest.raises(ValueError, match=name):
        setattr(settings, name, value)


def test_settings_that_do_not_fit_together_are_refused_in_words(settings: Settings) -> None:
    settings.update_interval = 0.5
    with pytest.raises(FieldError, match="update_interval: must be at least the trial's duration"):
        settings.config()


def test_both_drifts_are_never_set_at_once(settings: Settings) -> None:
    for preset in ("joshi2020", "nandakumar2018", "hermes"):
        settings.device_preset = preset
        settings.drift_exponent, settings.drift_scale = 0.02, 0.5
        assert set(settings.config().device.constants) & set(DRIFTS) == {settings.drift_name}


def test_names_for_people() -> None:
    assert [label(name) for name in ("float32", "mixed-precision")] == ["Float32", "Mixed precision"]
