"""What leaves the program gives the same run, or the same table, when it is read again."""

from __future__ import annotations

import csv
import io
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow
import pytest
import torch
from pyarrow import parquet

from pcmsim.errors import FieldError, UnknownNameError
from training import cli, loading
from training.config import RunConfig
from training.export import command, difference, snippet, to_csv, to_parquet
from training.presets import PRESETS, Preset
from training.session import Session

SMALL = {"network.hidden": 12, "task.duration": 0.1, "task.inputs": 10}
CHANGES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "nothing": ("sign", {}, {}),
    "numbers": ("sign", {"seed": 7, "device.mismatch.step": 0.1 + 0.2}, {"seed": 7, "device.mismatch.step": 0.1 + 0.2}),
    "none and back": ("float32", {"precision.weight_bits": 6, "precision.gradient_bits": None}, {"precision.weight_bits": 6}),
    "truth": ("mixed-precision", {"refresh.enabled": True}, {"refresh.enabled": True}),
    "constants": ("mixed-precision", {"device.constants.read_noise": 0.0}, {"device.constants.read_noise": 0.0}),
    "scheme field": ("sign", {"scheme.threshold": 40.0}, {"scheme.threshold": 40.0}),
    "scheme": ("sign", {"scheme": "update-ready"}, {"scheme": "update-ready"}),
    "scheme and field": (
        "mixed-precision",
        {"scheme": {"name": "sign", "threshold": 1e-5}},
        {"scheme": {"name": "sign", "threshold": 1e-5}},
    ),
    "choice": ("sign", {"learning.feedback": "symmetric"}, {"learning.feedback": "symmetric"}),
    "device": (
        "closed-loop",
        {"device.preset": "ideal", "device.constants": {"g_max": 20.0}},
        {"device.preset": "ideal", "device.constants.g_max": 20.0},
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _one_compute_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def run(request: pytest.FixtureRequest) -> tuple[RunConfig, str]:
    """A small run with the changes of a case, and its preset."""
    preset, values, _ = CHANGES[request.param]
    return PRESETS[preset].config.with_values({**SMALL, **values}), preset


@pytest.mark.parametrize("case", CHANGES)
def test_the_difference_is_what_was_changed_and_no_more(case: str) -> None:
    preset, values, expected = CHANGES[case]
    base = PRESETS[preset].config
    told = difference(base.with_values(values), base)
    assert told == expected
    assert base.with_values(told) == base.with_values(values)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("other", PRESETS)
def test_the_difference_leads_from_any_preset_to_any_other(preset: str, other: str) -> None:
    base, config = PRESETS[preset].config, PRESETS[other].config
    told = difference(config, base)
    assert base.with_values(told) == config
    assert (told == {}) == (base == config)


def test_constants_that_are_gone_are_taken_away() -> None:
    base = RunConfig().with_values({"device.constants": {"g_max": 20.0, "read_noise": 0.5}})
    config = base.with_values({"device.constants": {"g_max": 21.0}})
    assert difference(config, base) == {"device.constants": {"g_max": 21.0}}
    assert base.with_values(difference(config, base)) == config


def test_the_difference_holds_plain_values() -> None:
    config = RunConfig().with_values({"device.constants.read_noise": np.float64(0.25), "seed": np.int64(3)})
    told = difference(config, RunConfig())
    assert told == {"device.constants.read_noise": 0.25, "seed": 3}
    assert {type(value) for value in told.values()} == {float, int}


@pytest.mark.parametrize("run", CHANGES, indirect=True)
def test_the_program_makes_the_same_run(run: tuple[RunConfig, str], tmp_path: Path, monkeypatch, capsys) -> None:
    config, preset = run
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(snippet(config, preset, 3), names)
    expected = Session(config)
    losses = [record.loss for record in expected.run(3)]
    assert names["config"] == config
    assert [float(line.split()[1]) for line in capsys.readouterr().out.splitlines()] == losses
    assert Session.resume(f"{preset}.safetensors").step().loss == expected.step().loss


@pytest.mark.parametrize("run", CHANGES, indirect=True)
def test_the_command_makes_the_same_run(run: tuple[RunConfig, str], tmp_path: Path, monkeypatch) -> None:
    config, preset = run
    monkeypatch.chdir(tmp_path)
    program, *arguments = shlex.split(command(config, preset, 3))
    assert program == "pcmlab"
    assert cli.main(arguments) == 0
    folder = tmp_path / "runs" / preset
    assert RunConfig.from_yaml(folder / "config.yaml") == config
    with (folder / "trials.csv").open(newline="") as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file)]
    assert losses == [record.loss for record in Session(config).run(3)]


def test_both_are_short_and_read_like_the_documentation() -> None:
    config = PRESETS["sign"].config.with_values({"seed": 7, "scheme": "stochastic"})
    assert snippet(config, "sign", 300).splitlines()[3:9] == [
        'config = PRESETS["sign"].config.with_values({',
        '    "seed": 7,',
        '    "scheme": "stochastic",',
        "})",
        "session = Session(config)",
        "for record in session.run(300):",
    ]
    assert (
        command(config, "sign", 300)
        == "pcmlab run sign --set seed=7 --set scheme=stochastic --trials 300 --out runs/sign"
    )
    assert 'config = PRESETS["sign"].config\n' in snippet(PRESETS["sign"].config, "sign", 1)


AWKWARD = [
    "ünïcode µS.json",
    'quo"te.json',
    "sp ace's.yaml",
    "back\\slash.yml",
    "yes.json",
    "$(touch x).json",
    "😀.json",
]


@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_file_names_survive_program_and_shell(name: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text("{}" if name.endswith("json") else "g_max: 12.0", encoding="utf-8")
    config = RunConfig().with_values({**SMALL, "device.preset": name})
    names: dict[str, Any] = {}
    exec(snippet(config, "mixed-precision", 1), names)
    assert names["config"].device.preset == name
    assert cli.main(shlex.split(command(config, "mixed-precision", 1))[1:]) == 0
    assert RunConfig.from_yaml("runs/mixed-precision/config.yaml").device.preset == name


@pytest.mark.parametrize("name", ["true", "null", "1e5", "0x10", "a: b", "~", "2020-01-01"])
def test_text_that_yaml_would_take_for_something_else_stays_text(name: str, monkeypatch) -> None:
    monkeypatch.setattr("training.config.DeviceConfig.model", lambda self, bits: None)
    config = PRESETS["mixed-precision"].config.with_values({"device.preset": name})
    words = shlex.split(command(config, "mixed-precision", 1))
    assert loading.settings([words[words.index("--set") + 1]]) == {"device.preset": name}


@pytest.mark.parametrize("write", [snippet, command])
def test_nonsense_is_refused(write) -> None:
    for trials in (0, -1, 1.5, True, "3"):
        with pytest.raises(FieldError, match=f"^trials: must be a whole number >= 1, got {trials!r}$"):
            write(RunConfig(), "mixed-precision", trials)
    with pytest.raises(UnknownNameError, match="^unknown preset 'best'; known: bellec2020, "):
        write(RunConfig(), "best", 1)


def test_a_preset_with_constants_can_lose_them(monkeypatch) -> None:
    monkeypatch.setitem(PRESETS._members, "warm", Preset("", "", {"device.constants": {"g_max": 20.0}}))
    text = command(RunConfig(), "warm", 1)
    assert "--set 'device.constants={}'" in text


COLUMNS = {
    "trial": np.arange(4),
    "loss": np.array([0.1 + 0.2, np.nan, 1e-300, np.inf]),
    "conductance (µS)": np.array([0.1, 2.5, 3.0, 4.0], np.float32),
    "état, état": ["läuft", 'sagt "halt", und\nhält', "脳", "x"],
    "on": [True, False, True, True],
    "large": np.array([2**62 + 1, -5, 0, 1]),
}


def test_csv_comes_back_exactly() -> None:
    data = to_csv(COLUMNS)
    frame = pd.read_csv(io.BytesIO(data), float_precision="round_trip")
    assert list(frame) == list(COLUMNS)
    assert [frame[name].dtype.kind for name in ("trial", "loss", "on", "large")] == list("ifbi")
    for name, column in COLUMNS.items():
        np.testing.assert_array_equal(frame[name].to_numpy(), np.asarray(column), err_msg=name)


def test_parquet_comes_back_exactly_with_its_types() -> None:
    frame = pd.read_parquet(io.BytesIO(to_parquet(COLUMNS)))
    assert list(frame) == list(COLUMNS)
    for name, column in COLUMNS.items():
        array = np.asarray(column)
        np.testing.assert_array_equal(frame[name].to_numpy(), array, err_msg=name)
        assert array.dtype.kind == "U" or frame[name].dtype == array.dtype


def test_parquet_holds_null_for_what_is_not_a_number() -> None:
    """Polars and DuckDB sort a NaN above all numbers: it would be found by ``loss > 1``."""
    table = parquet.read_table(pyarrow.BufferReader(to_parquet(COLUMNS)))
    assert [value is None for value in table.column("loss").to_pylist()] == list(np.isnan(COLUMNS["loss"]))


@pytest.mark.parametrize("write", [to_csv, to_parquet])
def test_a_lone_column_keeps_its_empty_cells_and_no_rows_are_rows_too(write) -> None:
    read = {to_csv: pd.read_csv, to_parquet: pd.read_parquet}[write]
    lone = read(io.BytesIO(write({"loss": [1.0, float("nan"), 2.0]})))
    np.testing.assert_array_equal(lone["loss"].to_numpy(), [1.0, np.nan, 2.0])
    empty = read(io.BytesIO(write({"trial": np.zeros(0, np.int64), "loss": torch.zeros(0)})))
    assert (list(empty), len(empty)) == (["trial", "loss"], 0)


BAD = {
    "none": ({}, "columns: must be at least one column, got 0"),
    "flat": ({"a": 1.0}, r"columns.a: must be one-dimensional, got \(\)"),
    "deep": ({"a": [1], "b": [[1, 2]]}, r"columns.b: must be one-dimensional, got \(1, 2\)"),
    "ragged": ({"a": [[1], [1, 2]]}, "columns.a: must be one-dimensional, got 'rows of different lengths'"),
    "lengths": ({"a": [1, 2], "b": [1]}, "columns.b: must be as long as a, 2 rows, got 1"),
    "objects": ({"a": [1, None]}, "columns.a: must be numbers, truth values or text, got 'object'"),
    "complex": ({"a": [1j]}, "columns.a: must be numbers, truth values or text, got 'complex128'"),
    "time": ({"a": np.array(["2020-01-01"], "M8[D]")}, r"columns.a: must be numbers, truth values or text, got 'datetime64"),
}  # fmt: skip


@pytest.mark.parametrize("write", [to_csv, to_parquet])
@pytest.mark.parametrize("case", BAD)
def test_columns_that_are_no_table_are_refused(case: str, write) -> None:
    columns, text = BAD[case]
    with pytest.raises(FieldError, match=f"^{text}"):
        write(columns)
