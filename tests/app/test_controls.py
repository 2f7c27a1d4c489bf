"""Widgets and settings stay equal in both directions; what cannot be taken is named and goes back."""

from __future__ import annotations

import math

import param
import pytest

from app.controls import Controls
from app.pages.sidebar import ANALOG, ASKED, BITS, GATHERED, Sidebar
from app.settings import SETTINGS, Settings
from training.presets import PRESETS


@pytest.fixture
def complaints() -> list[str]:
    return []


@pytest.fixture
def settings() -> Settings:
    return Settings(PRESETS["mixed-precision"].config)


@pytest.fixture
def controls(settings: Settings, complaints: list[str]) -> Controls:
    return Controls(settings, complaints.append)


def test_a_slider_covers_the_typical_range_and_moves_its_setting(controls: Controls, settings: Settings) -> None:
    slider = controls.slider("write_noise", "Write noise", 0.05)
    assert (slider.start, slider.end) == SETTINGS["write_noise"].typical
    slider.value = 0.75
    assert settings.write_noise == 0.75
    settings.write_noise = 2.0
    assert slider.value == 2.0


def test_without_a_typical_range_a_slider_covers_what_is_allowed(controls: Controls) -> None:
    about = SETTINGS["mismatch"].about
    slider = controls.slider("mismatch", "Mismatch", 0.01)
    assert (slider.start, slider.end) == (about.minimum, about.maximum)


def test_a_slider_grows_to_a_value_beyond_it_and_its_old_end_can_be_chosen(
    controls: Controls, settings: Settings
) -> None:
    slider = controls.slider("write_noise", "Write noise", 0.05)
    settings.write_noise = 5.0
    assert (slider.value, slider.start, slider.end) == (5.0, 0.0, 5.0)
    slider.value = 3.0
    assert (settings.write_noise, slider.end) == (3.0, 5.0)


def test_a_slider_is_built_for_a_value_beyond_the_typical_range(complaints: list[str]) -> None:
    begun = {"network.hidden": 1000, "learning.lr_input": 1e-9}
    settings = Settings(PRESETS["mixed-precision"].config.with_values(begun))
    controls = Controls(settings, complaints.append)
    hidden = controls.slider("hidden", "Hidden neurons", 10)
    rate = controls.log_slider("lr_input", "Input weights")
    assert (hidden.value, hidden.start, hidden.end) == (1000, 10, 1000)
    assert (rate.value, rate.start, rate.end) == pytest.approx((-9.0, -9.0, -1.0))
    with param.edit_constant(hidden):
        hidden.value_throttled = 300
    assert (settings.hidden, settings.lr_input) == (300, 1e-9)


@pytest.mark.parametrize(("exponent", "threshold"), [(-2.0, 0.01), (-1.0, 0.1), (-0.52, 0.302), (0.0, 1.0)])
def test_a_log_slider_sets_a_power_of_ten(exponent: float, threshold: float, controls: Controls, settings: Settings):
    slider = controls.log_slider("threshold", "Threshold")
    slider.value = exponent
    assert settings.threshold == pytest.approx(threshold, rel=1e-3)
    assert slider.value == pytest.approx(exponent, abs=1e-3)


def test_a_log_slider_shows_without_rounding_what_is_set(controls: Controls, settings: Settings) -> None:
    slider = controls.log_slider("lr_input", "Input weights")
    before = settings.config()
    assert slider.value == pytest.approx(math.log10(before.learning.lr_input))
    settings.lr_input = 0.0
    assert slider.value == slider.start
    assert settings.lr_input == 0.0


def test_a_slider_that_restarts_waits_for_the_release(controls: Controls, settings: Settings) -> None:
    slider = controls.slider("hidden", "Hidden neurons", 10)
    slider.value = 50
    assert settings.hidden == 100
    with param.edit_constant(slider):
        slider.value_throttled = 50
    assert settings.hidden == 50
    assert isinstance(settings.hidden, int)


def test_a_choice_without_a_button_leaves_all_up(controls: Controls, settings: Settings) -> None:
    buttons = controls.choice("weight_bits", "Bits", BITS)
    assert buttons.value == "4"
    settings.weight_bits = 12
    assert buttons.value is None
    assert settings.weight_bits == 12
    buttons.value = "FP32"
    assert settings.weight_bits is None


@pytest.mark.parametrize("nonsense", ["many", "", "-1", "1.5", "9223372036854775808", "<b>7</b>"])
def test_a_typed_number_that_is_none_is_named_and_goes_back(
    nonsense: str, controls: Controls, settings: Settings, complaints: list[str]
) -> None:
    field = controls.integer("seed", "Seed")
    field.value = nonsense
    assert (field.value, settings.seed) == ("42", 42)
    assert complaints == [f"Seed: {nonsense!r} is not {SETTINGS['seed'].about.allowed}."]


def test_a_typed_number_is_taken(controls: Controls, settings: Settings, complaints: list[str]) -> None:
    controls.integer("seed", "Seed").value = " 9223372036854775807 "
    assert settings.seed == 2**63 - 1
    assert controls.widgets["seed"].value == "9223372036854775807"
    assert complaints == []


@pytest.mark.parametrize("nonsense", ["5e9", "-1", "much", "nan"])
def test_an_energy_is_asked_for_and_answered_in_the_unit_that_is_shown(
    nonsense: str, controls: Controls, settings: Settings, complaints: list[str]
) -> None:
    field = controls.number("set_pulse", "SET pulse (pJ)")
    field.value = "20"
    assert settings.set_pulse == pytest.approx(20e-12)
    field.value = nonsense
    assert (field.value, settings.set_pulse) == ("20", pytest.approx(20e-12))
    allowed = "a finite number >= 0 pJ and <= 1e+06 pJ"
    assert complaints == [f"SET pulse (pJ): {nonsense!r} is not {allowed}."]
    assert f"Allowed: {allowed}." in field.description


def test_widgets_that_restart_are_marked(controls: Controls) -> None:
    Sidebar(controls._settings, controls, age=print, pair=print, bring=print).complete()
    marked = {name for name, widget in controls.widgets.items() if "restart" in widget.css_classes}
    assert marked == {name for name, setting in SETTINGS.items() if setting.about.structural} & set(controls.widgets)


def test_the_digital_scheme_disables_every_device_widget_and_no_other(controls: Controls, settings: Settings) -> None:
    Sidebar(settings, controls, age=print, pair=print, bring=print).complete()
    settings.cores = True
    settings.scheme = "float32"
    assert {name for name, widget in controls.widgets.items() if widget.disabled} == set(ANALOG)
    settings.scheme = "sign"
    assert not any(widget.disabled for widget in controls.widgets.values())


CONVERTING = {"adc_range", "adc_bits", "dac_bits", "mvm_noise", "converter_spread", "calibration", "wire_resistance"}


def test_converters_have_no_widgets_until_cores_are_on(controls: Controls, settings: Settings) -> None:
    sidebar = Sidebar(settings, controls, age=print, pair=print, bring=print)
    sidebar.complete()
    assert not CONVERTING & set(controls.widgets)
    assert not sidebar._converting.visible
    settings.scheme = "float32"
    settings.cores = True
    assert set(controls.widgets) > CONVERTING
    assert sidebar._converting.visible
    assert controls.widgets["wire_resistance"].disabled
    first = controls.widgets["adc_range"]
    settings.cores = False
    assert not sidebar._converting.visible
    settings.cores = True
    assert controls.widgets["adc_range"] is first


def test_converter_widgets_move_their_settings(controls: Controls, settings: Settings) -> None:
    settings.cores = True
    Sidebar(settings, controls, age=print, pair=print, bring=print).complete()
    widgets = controls.widgets
    widgets["adc_range"].value, widgets["adc_bits"].value, widgets["calibration"].value = -1.0, "exact", "off"
    widgets["converter_spread"].value, widgets["wire_resistance"].value = 0.1, 2.0
    core = settings.config().core
    assert (core.adc_range, core.adc_bits, core.calibration, core.wire_resistance) == (0.1, None, 0, 2.0)
    assert (core.gain_spread, core.offset_spread) == (0.1, 0.1)


@pytest.mark.parametrize("name", ["weight_bits", "accumulator_bits", "gradient_bits"])
def test_every_button_of_bits_is_allowed(name: str, controls: Controls, settings: Settings) -> None:
    options = {"weight_bits": BITS, "accumulator_bits": GATHERED, "gradient_bits": ASKED}[name]
    buttons = controls.choice(name, "Bits", options)
    for text, bits in options.items():
        buttons.value = text
        assert getattr(settings.config().precision, name) == bits
    assert {None, *range(2, 9)} == set(BITS.values())


@pytest.mark.parametrize("preset", ["nandakumar2018", "joshi2020", "ideal", "hermes"])
def test_only_the_drift_of_the_device_is_seen(preset: str, controls: Controls, settings: Settings) -> None:
    Sidebar(settings, controls, age=print, pair=print, bring=print).complete()
    settings.device_preset = preset
    seen = [name for name in ("drift_exponent", "drift_scale") if controls.widgets[name].visible]
    assert seen == [settings.drift_name]


def test_every_preset_is_shown_by_the_widgets_and_not_changed_by_them(controls: Controls, settings: Settings) -> None:
    Sidebar(settings, controls, age=print, pair=print, bring=print).complete()
    for preset in PRESETS.values():
        settings.load(preset.config)
        assert settings.config() == preset.config
        assert controls.widgets["device_preset"].value == preset.config.device.preset
        assert controls.widgets["seed"].value == str(preset.config.seed)
