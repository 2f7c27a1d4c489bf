"""Addresses give the run that they were written for; strangers' addresses do no harm."""

from __future__ import annotations

import dataclasses
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tornado.escape import parse_qs_bytes

from app.limits import LIMITS, check_size
from app.url import DEFAULT_PRESET, Link, read, write
from pcmsim.errors import PCMLabError, UnknownNameError
from pcmsim.presets import DEVICES
from pcmsim.quantity import Quantity, check, quantities, quantity
from training.config import RunConfig
from training.presets import PRESETS, Preset
from training.schemes import SCHEMES
from training.tasks import TASKS, Task

BASE = PRESETS[DEFAULT_PRESET].config
DRAWN = 400


def visit(query: str) -> Link:
    """What the page makes of an address, with the server's own reading of the query."""
    return read(parse_qs_bytes(query.removeprefix("?"), keep_blank_values=True))


def draw(about: Quantity, random: np.random.Generator) -> Any:
    """A value that a field allows."""
    if about.optional and random.random() < 0.3:
        return None
    if about.kind is bool:
        return bool(random.integers(2))
    if about.kind is str:
        return str(random.choice(about.choices))
    low = about.minimum if about.above is None else about.above
    low, high = float(low or 0.0), float(min(about.maximum, low + 10.0 ** random.uniform(-3, 6)))
    if about.kind is int:
        return int(random.integers(int(low), min(int(about.maximum), 2**62), endpoint=True))
    return high - (high - low) * float(random.random())


def fields(owner: Any, path: str = "") -> dict[str, Quantity]:
    """Every bounded field of a configuration by dotted name."""
    found = {f"{path}{name}": about for name, about in quantities(owner).items()}
    for f in dataclasses.fields(owner):
        value = getattr(owner, f.name)
        found |= fields(value, f"{path}{f.name}.") if dataclasses.is_dataclass(value) else {}
    return found


def drawn(base: RunConfig, random: np.random.Generator) -> RunConfig:
    """A configuration with many fields changed at random; most fit a page."""
    values: dict[str, Any] = {}
    if random.random() < 0.5:
        values["scheme"] = str(random.choice(list(SCHEMES)))
    if random.random() < 0.5:
        values["device.preset"] = str(random.choice(list(DEVICES)))
    config = base.with_values(values)
    known = {name: about for name, about in fields(config).items() if name not in ("device.preset", "seed")}
    known |= {f"device.constants.{name}": about for name, about in quantities(config.device.model(None)).items()}
    chosen = [name for name in known if random.random() < random.choice([0.02, 0.2])]
    changes = {name: draw(known[name], random) for name in chosen}
    return config.with_values({"seed": int(random.integers(2**62)), **changes})


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_is_told_by_its_name_alone(preset: str) -> None:
    config = PRESETS[preset].config
    assert write(config, preset) == f"?preset={preset}"
    assert visit(f"?preset={preset}") == Link(config, preset, False, ())


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("other", PRESETS)
def test_any_preset_can_be_told_from_any_other(preset: str, other: str) -> None:
    assert visit(write(PRESETS[other].config, preset)) == Link(PRESETS[other].config, preset, False, ())


@pytest.mark.parametrize("preset", PRESETS)
def test_random_runs_come_back_exactly(preset: str) -> None:
    random, told = np.random.default_rng(list(preset.encode())), 0
    for _ in range(DRAWN // len(PRESETS)):
        try:
            config = drawn(PRESETS[preset].config, random)
            check_size(config)
        except PCMLabError:  # two of its random values do not fit together
            continue
        assert visit(write(config, preset)) == Link(config, preset, False, ())
        told += config != PRESETS[preset].config
    assert told > DRAWN // len(PRESETS) / 4


def test_every_single_field_can_be_told() -> None:
    random, untold = np.random.default_rng(5), []
    for name, about in fields(BASE).items():
        for _ in range(5):
            try:
                config = BASE.with_values(
                    {name: draw(about, random) if about.choices or about.kind is not str else "ideal"}
                )
                check_size(config)
            except PCMLabError:
                continue
            assert visit(write(config, DEFAULT_PRESET)) == Link(config, DEFAULT_PRESET, False, ())
            break
        else:
            untold.append(name)
    assert untold == []


def test_only_what_differs_is_written_and_readable() -> None:
    config = BASE.with_values({"seed": 7, "device.mismatch.step": 0.2, "scheme": {"name": "sign", "threshold": 40.0},
                               "precision.weight_bits": None, "refresh.enabled": True})  # fmt: skip
    assert write(config, DEFAULT_PRESET) == (
        "?preset=mixed-precision&seed=7&device.mismatch.step=0.2&precision.weight_bits=none"
        "&scheme.name=sign&scheme.threshold=40.0&refresh.enabled=true"
    )
    assert write(BASE.with_values({"scheme": "sign"}), DEFAULT_PRESET) == "?preset=mixed-precision&scheme.name=sign"


@pytest.mark.parametrize("value", [0.1 + 0.2, 1e-5, 5e-324, 1.7976931348623157, 1 / 3, 1e-300])
def test_floats_come_back_to_the_last_bit(value: float) -> None:
    assert visit(write(BASE.with_values({"learning.lr_input": value}), "sign")).config.learning.lr_input == value
    clip = {"learning.gradient_clip": 1e12 / (1 + value)}
    assert visit(write(BASE.with_values(clip), "sign")).config.learning.gradient_clip == clip["learning.gradient_clip"]


def test_a_preset_can_lose_its_constants(monkeypatch) -> None:
    warm = Preset("", "", {"device.constants": {"g_max": 20.0, "read_noise": 0.5}})
    monkeypatch.setitem(PRESETS._members, "warm", warm)
    for constants in ({}, {"g_max": 21.0}, {"drift_exponent": 0.1}):
        config = RunConfig().with_values({"device.constants": constants})
        assert "device.constants=none" in write(config, "warm")
        assert visit(write(config, "warm")) == Link(config, "warm", False, ())


def test_a_scheme_named_again_keeps_the_presets_settings() -> None:
    assert visit("?preset=sign&scheme.name=sign").config == PRESETS["sign"].config


def test_values_that_need_each_other_may_stand_in_any_order() -> None:
    link = visit(
        "?device.constants.g_min=13&task.duration=50&network.dt=0.01&device.update_interval=60&device.constants.g_max=20"
    )
    assert link.problems == ()
    assert (link.config.task.duration, link.config.device.model(None).g_min) == (50.0, 13.0)


def test_they_still_do_beside_one_that_fits_nowhere() -> None:
    link = visit(
        "?task.duration=15&network.hidden=2000&network.dt=0.01&scheme.threshold=3&device.update_interval=12&scheme.name=sign"
    )
    assert link.problems == (
        "network.hidden: '2000' does not fit: a run on the page may have at most 1,000 hidden neurons, got 2,000",
        "device.update_interval: must be at least the trial's duration, 15 s, got '12'",
    )
    assert link.config == BASE.with_values(
        {"scheme": {"name": "sign", "threshold": 3.0}, "task.duration": 15.0, "network.dt": 0.01}
    )


@pytest.mark.parametrize(("query", "autoplay"), [
    ("", False), ("?autoplay=1", True), ("?autoplay=true", True), ("?autoplay=0", False), ("?autoplay=", False),
])  # fmt: skip
def test_autoplay(query: str, autoplay: bool) -> None:
    assert visit(query) == Link(BASE, DEFAULT_PRESET, autoplay, ())


def test_keys_of_the_page_and_of_the_server_are_no_settings() -> None:
    assert visit("?theme=dark&bokeh-absolute-url=x&bokeh-autoload-element=y").problems == ()


def test_a_key_that_nothing_reads_is_told_of() -> None:
    (problem,) = visit("?large=1").problems
    assert problem.endswith("got 'large'")


def test_the_last_of_repeated_keys_counts() -> None:
    assert visit("?seed=1&preset=float32&seed=2&preset=sign").config == PRESETS["sign"].config.with_values({"seed": 2})
    assert visit("?seed=1&seed=x").problems == (f"seed: must be a whole number >= 0 and <= {2.0**63:g}, got 'x'",)


WRONG = {
    "seed=": r"seed: must be a whole number >= 0 .*, got ''",
    "seed=-1": r"seed: must be a whole number >= 0 .*, got '-1'",
    "seed=1.5": r"seed: must be a whole number .*, got '1.5'",
    "seed=%C2%B2": r"seed: must be a whole number .*, got '²'",
    "seed=1_0": r"seed: must be a whole number .*, got '1_0'",
    "seed=" + "9" * 10_000: r"seed: must be a whole number .*, got '9{79}…'",
    "seed=99999999999999999999": r"seed: must be a whole number .*, got '99999999999999999999'",
    "learning.lr_input=1e400": r"learning.lr_input: must be a finite number >= 0 and <= 10, got '1e400'",
    "learning.lr_input=nan": r"learning.lr_input: must be a finite number .*, got 'nan'",
    "learning.lr_input=-inf": r"learning.lr_input: must be a finite number .*, got '-inf'",
    "learning.lr_input=0x1p3": r"learning.lr_input: must be a finite number .*, got '0x1p3'",
    "learning.lr_input=none": r"learning.lr_input: must be a finite number .*, got 'none'",
    "learning.lr_input=" + "1" * 60_000 + "x": r"learning.lr_input: must be a finite number .*, got '1{79}…'",
    "precision.weight_bits=40": r"precision.weight_bits: must be a whole number >= 2 and <= 16 or none, got '40'",
    "refresh.enabled=maybe": r"refresh.enabled: must be true or false, got 'maybe'",
    "learning.feedback=lucky": r"learning.feedback: must be one of symmetric, random, adaptive, got 'lucky'",
    "scheme.name=momentum": r"scheme.name: must be one of adam, float32, .*, got 'momentum'",
    "task.name=xor%00": r"task.name: must be one of digits, evidence, .*, yin-yang, got 'xor�'",
    "scheme.threshold=3": r"address: must be made of settings, such as .*, got 'scheme.threshold'",
    "device.constants=all": r"device.constants: must be one of none, got 'all'",
    "device.constants.gmax=1": r"address: must be made of settings, such as device.constants.g_max and .*, got 'device.constants.gmax'",
    "device.constants.g_max=-1": r"device.constants.g_max: must be a finite number > 0 µS and .*, got '-1'",
    "device.constants.g_max.x=1": r"address: must be made of settings, .*, got 'device.constants.g_max.x'",
    "learning.rate=1": r"address: must be made of settings, such as learning.rule.*, got 'learning.rate'",
    "network=5": r"address: must be made of settings, .*, got 'network'",
    "__class__=1": r"address: must be made of settings, .*, got '__class__'",
    "=1": r"address: must be made of settings, .*, got ''",
    "x%FF%FE=%FF": r"address: must be made of settings, .*, got 'xÿþ'",
    "learning.feedback=%FF%FE": r"learning.feedback: must be one of .*, got '��'",
    "learning.feedback=%3Cscript%3Ealert(1)%3C/script%3E": r"learning.feedback: must be .*, got '‹script›alert\(1\)‹/script›'",
    "%3Cscript%3Ealert(1)%3C/script%3E=1": r"address: must be .*, got '‹script›alert\(1\)‹/script›'",
    "learning.feedback=%E2%80%AEtxt%0A%1B": r"learning.feedback: must be .*, got '�txt��'",
    "preset=best": r"preset: unknown preset 'best'; known: bellec2020, .*; this is mixed-precision",
    "preset=%3Cscript%3E": r"preset: unknown preset '‹script›'; known: .*; this is mixed-precision",
    "preset=" + "x" * 500: r"preset: unknown preset 'x{79}…'; known: .*; this is mixed-precision",
    "preset=../sign.yaml": r"preset: unknown preset '../sign.yaml'.*; this is mixed-precision",
    "autoplay=maybe": r"autoplay: must be 1 or 0, got 'maybe'",
    "device.update_interval=0.5": r"device.update_interval: must be at least the trial's duration, 1 s, got '0.5'",
    "task.duration=50&network.dt=0.01": r"task.duration: '50' does not fit: DeviceConfig.update_interval: must be at least the trial's duration, 50 s, got 38.6",
    "device.constants.g_min=13": r"device.constants.g_min: must be below g_max, 12 µS, got '13'",
}  # fmt: skip


@pytest.mark.parametrize("query", WRONG)
def test_a_wrong_key_is_dropped_with_a_sentence_and_the_others_apply(query: str) -> None:
    began = time.perf_counter()
    link = visit(
        f"?seed=3&{query}&learning.lr_output=0.5"
        if not query.startswith("seed")
        else f"?{query}&learning.lr_output=0.5"
    )
    assert time.perf_counter() - began < 1.0
    (problem,) = link.problems
    assert re.fullmatch(WRONG[query], problem)
    assert problem.isprintable() and "<" not in problem.replace(" <= ", "")
    assert len(problem) < 500
    others = {"learning.lr_output": 0.5, **({} if query.startswith("seed") else {"seed": 3})}
    dt = {"network.dt": 0.01} if "dt=0.01" in query else {}
    assert link.config == BASE.with_values({**others, **dt})
    assert (link.preset, link.autoplay) == (DEFAULT_PRESET, False)


@pytest.mark.parametrize("name", ["device.json", "/etc/passwd.yaml", "..%2Fdevice.yml"])
def test_an_address_never_opens_a_file(name: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "device.json").write_text('{"g_max": 20}')
    monkeypatch.setattr("pcmsim.presets.read_mapping", lambda path: pytest.fail(f"read {path}"))
    link = visit(f"?seed=3&device.preset={name}")
    assert link.config == BASE.with_values({"seed": 3})
    assert re.fullmatch(
        r"device.preset: must be one of nandakumar2018, ideal, joshi2020, hermes, got '.*'", link.problems[0]
    )


def test_no_address_is_written_for_devices_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "device.json").write_text("{}")
    config = BASE.with_values({"device.preset": str(tmp_path / "device.json")})
    with pytest.raises(
        PCMLabError, match="^no address can ask for this run: device.preset: must be one of nandakumar2018, "
    ):
        write(config, DEFAULT_PRESET)


def test_no_address_is_written_for_an_unknown_preset() -> None:
    with pytest.raises(UnknownNameError, match="^unknown preset 'best'; known: bellec2020, "):
        write(BASE, "best")


def test_no_more_than_a_hundred_settings_are_read() -> None:
    began = time.perf_counter()
    link = read({**{f"learning.lr_{n}": [b"1"] for n in range(10_000)}, "seed": [b"7"], "preset": [b"sign"]})
    assert time.perf_counter() - began < 5.0
    assert link.problems[0] == "address: must be made of at most 100 settings (the others are not read), got 10001"
    assert len(link.problems) == 101
    assert (link.config, link.preset) == (PRESETS["sign"].config, "sign")


def test_a_hundred_settings_that_do_not_fit_are_read_in_time() -> None:
    query = "&".join(f"{name}={value}" for name, value in {
        **{name: about.maximum if about.kind is float else int(about.maximum) for name, about in fields(BASE).items()
           if about.maximum is not None and about.maximum < 2**62},
        "device.update_interval": 1e-3,
    }.items())  # fmt: skip
    began = time.perf_counter()
    link = visit(query)
    assert time.perf_counter() - began < 2.0
    assert link.problems
    check_size(link.config)


LARGE = {
    "network.hidden=1001": "1,000 hidden neurons, got 1,001",
    "network.hidden=4096": "1,000 hidden neurons, got 4,096",
    "task.duration=20.1": "20,000 time steps in a trial, got 20,100",
    "network.dt=1e-6": "20,000 time steps in a trial, got 1,000,000",
    "task.samples=1000&task.inputs=101": "100,000,000 places for a spike in all samples, got 101,000,000",
    "network.hidden=1000&device.devices=5": "10,000,000 memory devices, got 11,000,000",
    "network.hidden=300&learning.update_every=1": "100,000,000 updates of a synapse in a trial, got 120,000,000",
}  # fmt: skip


@pytest.mark.parametrize("query", LARGE)
def test_runs_that_are_too_large_for_the_page_are_refused(query: str) -> None:
    link = visit(query)
    (problem,) = link.problems
    key, text = query.rsplit("&", maxsplit=1)[-1].split("=")
    assert problem == f"{key}: '{text}' does not fit: a run on the page may have at most {LARGE[query]}"
    check_size(link.config)
    values = dict(pair.split("=") for pair in query.split("&"))
    large = BASE.with_values(
        {name: float(value) if "." in value or "e" in value else int(value) for name, value in values.items()}
    )
    with pytest.raises(PCMLabError, match=f"a run on the page may have at most {LARGE[query]}$"):
        check_size(large)
    with pytest.raises(PCMLabError, match="^no address can ask for this run: .* may have at most "):
        write(large, DEFAULT_PRESET)


def test_the_largest_allowed_runs_are_allowed() -> None:
    for query in (
        "network.hidden=1000",
        "task.duration=20",
        "task.inputs=4096",
        "network.hidden=1000&device.devices=4",
    ):
        assert visit(query).problems == ()


@dataclass(frozen=True)
class Reading(Task):
    """A task of somebody else, with a free text and many inputs."""

    summary = "read"
    file: str = quantity("digits.npz", doc="Where its samples are")
    inputs: int = quantity(10, minimum=1, maximum=10**6)
    duration: float = quantity(60.0, above=0.0, maximum=100.0)

    def __post_init__(self) -> None:
        check(self)

    def sampler(self, dt, *, streams):
        raise AssertionError("an address builds no sampler")


@pytest.fixture
def reading(monkeypatch) -> None:
    monkeypatch.setitem(TASKS._members, "reading", Reading)


@pytest.mark.usefixtures("reading")
def test_another_task_begins_with_its_own_defaults() -> None:
    config = BASE.with_values({"network.dt": 0.01, "device.update_interval": 100.0})
    config = config.with_values({"task": {"name": "reading", "inputs": 20}})
    query = write(config, DEFAULT_PRESET)
    assert query.endswith("&task.name=reading&task.inputs=20&network.dt=0.01&device.update_interval=100.0")
    assert visit(query) == Link(config, DEFAULT_PRESET, False, ())


@pytest.mark.usefixtures("reading")
def test_free_text_is_refused_whatever_task_has_it() -> None:
    query = "?task.name=reading&network.dt=0.01&device.update_interval=100&task.file=/etc/passwd"
    assert visit(query).problems == (
        "task.file: must be left out of an address, as free text may name a file, got '/etc/passwd'",
    )
    assert visit(query).config.task == Reading()


@pytest.mark.usefixtures("reading")
def test_inputs_are_limited_whatever_task_has_them() -> None:
    link = visit("?task.name=reading&network.dt=0.1&device.update_interval=100&task.inputs=10001&network.hidden=10")
    assert link.problems == (
        "task.inputs: '10001' does not fit: a run on the page may have at most 10,000 inputs, got 10,001",
    )


def test_all_limits_are_tried_here() -> None:
    tried = " ".join([*LARGE.values(), "10,000 inputs"])
    assert [limit.what for limit in LIMITS if limit.what not in tried] == []
