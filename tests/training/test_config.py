"""The configuration as data: both ways, and every bad input named."""

from __future__ import annotations

import pytest

from pcmsim.errors import FieldError, FileError, PCMLabError, UnknownNameError
from training import loading
from training.codec import name_of
from training.config import RunConfig, restart_fields
from training.presets import PRESETS
from training.schemes import SCHEMES


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_the_way_through_dict_and_yaml(name: str, tmp_path) -> None:
    config = PRESETS[name].config
    assert RunConfig.from_dict(config.to_dict()) == config
    path = tmp_path / "config.yaml"
    path.write_text(config.to_yaml(), encoding="utf-8")
    assert RunConfig.from_yaml(path) == config


def test_there_is_a_preset_for_every_scheme() -> None:
    assert {name_of(preset.config.scheme) for preset in PRESETS.values()} == set(SCHEMES)


BAD = {
    "seed": ({"seed": -1}, "RunConfig.seed: must be a whole number >= 0 .* got -1"),
    "seed type": ({"seed": 1.5}, "RunConfig.seed: must be a whole number .* got 1.5"),
    "nan": ({"learning": {"lr_input": float("nan")}}, "LearningConfig.lr_input: must be a finite number .* got nan"),
    "infinite": ({"network": {"threshold": float("inf")}}, "NetworkConfig.threshold: must be .* got inf"),
    "text": ({"network": {"hidden": "many"}}, "NetworkConfig.hidden: must be a whole number .* got 'many'"),
    "boolean": ({"network": {"hidden": True}}, "NetworkConfig.hidden: must be a whole number .* got True"),
    "null": ({"network": {"hidden": None}}, "NetworkConfig.hidden: must be a whole number .* got None"),
    "choice": ({"learning": {"feedback": "lucky"}}, "LearningConfig.feedback: must be one of symmetric, random, adaptive"),
    "scheme": ({"scheme": "momentum"}, "unknown update scheme 'momentum'; known: adam, float32"),
    "scheme field": ({"scheme": {"name": "sign", "lr": 1}}, "unknown field of RunConfig.scheme 'lr'; known: threshold"),
    "scheme name": ({"scheme": {"threshold": 1.0}}, "RunConfig.scheme.name: must be one of adam, .* got None"),
    "task": ({"task": "xor"}, "unknown task 'xor'; known: csv, digits, evidence, mnist, pattern, shd, yin-yang"),
    "key": ({"sed": 1}, "unknown field of RunConfig 'sed' .did you mean 'seed'"),
    "nested key": ({"learning": {"lr": 1.0}}, "unknown field of RunConfig.learning 'lr'"),
    "not a mapping": ({"network": 5}, "RunConfig.network: must be a mapping of names to values, got 5"),
    "constants": ({"device": {"constants": [1]}}, r"RunConfig.device.constants: must be a mapping of names to values"),
    "preset": ({"device": {"preset": "gst"}}, "unknown device preset 'gst'; known: hermes, ideal, joshi2020, nandakumar2018"),
    "constant": ({"device": {"constants": {"gmax": 1}}}, "unknown constant of device preset nandakumar2018 'gmax' .*g_max"),
    "constant value": ({"device": {"constants": {"g_max": -1}}}, "PulseModel.g_max: must be a finite number > 0 µS .*got -1"),
    "mismatch": ({"device": {"mismatch": {"step": 0.6}}}, "DeviceMismatch.step: must be a finite number >= 0 and <= 0.5, got 0.6"),
    "interval": ({"device": {"update_interval": 0.5}}, "DeviceConfig.update_interval: must be at least the trial's duration, 1 s"),
    "steps": ({"network": {"dt": 1e-9}}, "NetworkConfig.dt: must be at least 1e-06 s, for at most 1000000 steps in a trial, got 1e-09"),
    "endless steps": ({"network": {"dt": 1e-300}}, "NetworkConfig.dt: must be at least 1e-06 s, .* got 1e-300"),
    "preset's name": ({"device": {"preset": ["ideal"]}}, "DeviceConfig.preset: must be text, got .'ideal'."),
    "bits": ({"precision": {"weight_bits": 40}}, "PrecisionConfig.weight_bits: must be a whole number >= 2 and <= 16 or none"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_values_are_named_with_what_is_allowed(case: str) -> None:
    data, text = BAD[case]
    with pytest.raises(PCMLabError, match=text):
        RunConfig.from_dict(data)


def test_values_are_set_by_dotted_name() -> None:
    config = RunConfig().with_values({"device.mismatch.step": 0.2, "scheme": "sign", "device.constants.g_max": 20.0})
    assert config.device.mismatch.step == 0.2
    assert config.device.model(None).g_max == 20.0
    assert name_of(config.scheme) == "sign"


@pytest.mark.parametrize("name", ["learning.rate", "learning.lr_input.x", "nothing", "scheme.threshold"])
def test_unknown_dotted_names_list_the_known_ones(name: str) -> None:
    with pytest.raises(UnknownNameError, match=f"unknown setting '{name}'.*known: .*learning.lr_input"):
        RunConfig().with_values({name: 1.0})


def test_unknown_preset_lists_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="unknown preset 'best'.*known: bellec2020, .*mixed-precision"):
        PRESETS["best"]


def test_files_that_cannot_be_read_are_named(tmp_path) -> None:
    with pytest.raises(FileError, match=r"none.yaml: cannot be read .No such file"):
        RunConfig.from_yaml(tmp_path / "none.yaml")
    for name, text, problem in (
        ("bad.yaml", "a: [1", "is not valid YAML"),
        ("bad.json", "{", "is not valid JSON"),
        ("list.yaml", "- 1", "must hold a mapping of names to values, holds list"),
    ):
        (tmp_path / name).write_text(text, encoding="utf-8")
        with pytest.raises(FileError, match=problem):
            RunConfig.from_yaml(tmp_path / name)
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FileError, match="is not UTF-8 text"):
        RunConfig.from_yaml(tmp_path / "binary.yaml")


def test_yaml_cannot_execute_anything(tmp_path) -> None:
    path = tmp_path / "evil.yaml"
    path.write_text("seed: !!python/object/apply:os.getpid []", encoding="utf-8")
    with pytest.raises(FileError, match="line 1: the tag .*os.getpid. is not read"):
        RunConfig.from_yaml(path)


def test_numbers_in_yaml_may_be_written_as_people_do(tmp_path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("learning: {lr_input: 1e-4, lr_output: 2E-5}", encoding="utf-8")
    assert RunConfig.from_yaml(path).learning.lr_input == 1e-4


@pytest.mark.parametrize(("values", "restart"), [
    ({"learning.lr_input": 1.0}, []),
    ({"device.constants.write_noise": 0.5}, []),
    ({"device.mismatch.g_max": 0.1, "precision.weight_bits": 8, "network.tau_membrane": 0.02}, []),
    ({"scheme": "sign"}, []),
    ({"network.hidden": 10}, ["network.hidden"]),
    ({"seed": 1}, ["seed"]),
    ({"device.devices": 2, "device.preset": "ideal"}, ["device.preset", "device.devices"]),
    ({"scheme": "float32"}, ["scheme"]),
    ({"task": {"name": "pattern", "rate": 10.0}}, ["task.rate"]),
])  # fmt: skip
def test_settings_that_need_a_restart_are_told_apart(values, restart: list[str]) -> None:
    config = RunConfig()
    assert restart_fields(config, config.with_values(values)) == restart


def test_a_setting_without_a_name_is_unknown() -> None:
    with pytest.raises(UnknownNameError, match="unknown setting 1; known: seed|unknown setting 1; known: core"):
        RunConfig().with_values({1: 2})


def test_a_trial_may_have_a_million_steps() -> None:
    assert RunConfig().with_values({"network.dt": 1e-6}).network.dt == 1e-6


def test_errors_carry_their_parts() -> None:
    with pytest.raises(FieldError) as caught:
        RunConfig(seed=-1)
    assert (caught.value.field, caught.value.got) == ("RunConfig.seed", -1)


def test_a_task_may_be_chosen_by_name_and_its_fields_set_afterwards() -> None:
    config = RunConfig().with_values({"task": "csv", "task.spikes": "a.csv", "task.duration": 0.5})
    assert (type(config.task).__name__, config.task.spikes, config.task.duration) == ("Csv", "a.csv", 0.5)
    with pytest.raises(UnknownNameError, match="task.spikes"):
        RunConfig().with_values({"task.spikes": "a.csv", "task": "csv"})


WRITTEN = [
    "only here #2",
    "010",
    "2024-01-01",
    "1:30",
    "1e5",
    "none",
    "yes",
    "~",
    "a: b",
    "{a}",
    " spaces ",
    "'quoted'",
]


@pytest.mark.parametrize("folder", WRITTEN)
def test_the_name_of_a_folder_is_the_text_that_is_given(folder: str) -> None:
    values = loading.settings(
        ["task=mnist", f"task.folder={folder}", "precision.weight_bits=none", "learning.batch=010"]
    )
    config = RunConfig().with_values(values)
    assert config.task.folder == folder
    assert (config.precision.weight_bits, config.learning.batch) == (None, 10)
    assert RunConfig.from_dict(config.to_dict()) == config
    assert type(config.task.folder) is str


def test_a_file_means_what_the_fields_say(tmp_path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(
        "task: {name: csv, spikes: 010, targets: 2024-01-01}\nrefresh: {enabled: on}\n"
        "device: {constants: {read_noise: 0}}\nprecision:\n  weight_bits: none\n  gradient_bits:\n",
        encoding="utf-8",
    )
    config = RunConfig.from_yaml(path)
    assert (config.task.spikes, config.task.targets, config.refresh.enabled) == ("010", "2024-01-01", True)
    assert (dict(config.device.constants), config.precision.weight_bits) == ({"read_noise": 0.0}, None)
    path.write_text(config.to_yaml(), encoding="utf-8")
    assert RunConfig.from_yaml(path) == config


@pytest.mark.parametrize("value", ["1:30", "0x10", "1_000", "yes", "12:00:00"])
def test_a_number_is_decimal_or_refused(value: str) -> None:
    with pytest.raises(FieldError, match=f"RunConfig.seed: must be a whole number .*, got '{value}'"):
        RunConfig().with_values(loading.settings([f"seed={value}"]))
