"""``~`` is the home directory in every option, variable and file of settings that names a path."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_kit import call

from training.config import RunConfig
from training.jobs import Job
from training.session import Session
from training.store import FOLDER_VARIABLE, Store

SMALL = {"network.hidden": 6, "task": {"name": "pattern", "inputs": 6, "duration": 0.05}}
RUN = ["--trials", 1, "--quiet"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory; the present folder is another one, in which nothing may be made."""
    folder, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    for made in (folder, elsewhere):
        made.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.chdir(elsewhere)
    (folder / "small.yaml").write_text(RunConfig().with_values(SMALL).to_yaml())
    (folder / "device.json").write_text(json.dumps({"preset": "nandakumar2018", "read_noise": 0.5}))
    (folder / "grid.yaml").write_text(
        "preset: ~/small.yaml\nfields: {device.mismatch.step: [0.1, 0.2]}\nseeds: [1]\ntrials: 1\n"
    )
    return folder


def test_options_variables_and_files_name_the_home_directory(home, capsys, monkeypatch):
    def done(*arguments):
        code, out, err = call(capsys, *arguments)
        assert code == 0, err
        return out

    done("run", "~/small.yaml", *RUN, "--out", "~/first", "--store=~/runs", "--set", "device.preset=~/device.json")
    done("resume", "~/first", *RUN)
    done("resume", "~/first/checkpoint.safetensors", *RUN, "--out=~/second")
    done("nir", "export", "~/first", "~/network.nir")
    done(
        "nir",
        "import",
        "~/network.nir",
        "--out",
        "~/again.safetensors",
        "--set",
        "scheme=float32",
        "--set",
        "precision.weight_bits=none",
    )
    done("sweep", "~/grid.yaml", "--store=~/runs", "--out", "~/sweep.csv", "--workers", 1, "--quiet")
    monkeypatch.setenv(FOLDER_VARIABLE, "~/runs")
    done("runs", "export", "--out", "~/runs.parquet")
    assert len(done("runs").splitlines()) == 4
    for made in (
        "first/trials.csv",
        "second/trials.csv",
        "network.nir",
        "again.safetensors",
        "sweep.csv",
        "runs.parquet",
    ):
        assert (home / made).is_file()
    assert list(Path.cwd().iterdir()) == []


def test_a_device_file_in_the_home_directory_decides_the_run_and_its_key(home):
    config = RunConfig().with_values({**SMALL, "device.preset": "~/device.json"})
    assert Session(config).arrays[0].model.read_noise == 0.5
    key = Job(config, 1, 1).key
    (home / "device.json").write_text(json.dumps({"preset": "nandakumar2018", "read_noise": 0.25}))
    assert Job(config, 1, 1).key != key


def test_a_store_that_is_a_url_to_others_keeps_the_run(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = [f"--set={name}={json.dumps(value)}" for name, value in SMALL.items()]
    assert call(capsys, "run", "float32", *settings, *RUN, "--store", "t12:30")[0] == 0
    assert len(Store(tmp_path / "t12:30", read_only=True).runs()) == 1
