"""The command line as its users call it: in a process of its own."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from command_kit import call

from training import run_command
from training.network import Network
from training.presets import PRESETS
from training.session import Session

SMALL = ["--set", "network.hidden=20", "--set", "task={name: pattern, inputs: 10, duration: 0.1}", "--quiet"]
SPOTS = ["--set", "network.hidden=20", "--set", "task={name: yin-yang, train: 30, validation: 12, test: 9}", "--quiet"]


def pcmlab(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "training.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "trials.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_run_writes_config_trials_and_checkpoint(tmp_path: Path) -> None:
    done = pcmlab("run", "mixed-precision", *SMALL, "--trials", 7, "--seed", 5, "--out", tmp_path / "run", "--json")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout.splitlines()[-1])
    assert (facts["trials"], facts["seed"]) == (7, 5)
    rows = table(tmp_path / "run")
    assert [int(row["trial"]) for row in rows] == list(range(7))
    assert float(rows[-1]["device_time"]) == pytest.approx(7 * 38.6)
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["seed"] == 5
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "checkpoint.safetensors",
        "config.yaml",
        "trials.csv",
    ]


def test_resumed_folder_equals_one_that_never_stopped(tmp_path: Path, capsys) -> None:
    for folder, trials in (("whole", 8), ("parts", 5)):
        call(capsys, "run", "mixed-precision", *SMALL, "--trials", trials, "--out", tmp_path / folder)
    code, out, _ = call(capsys, "resume", tmp_path / "parts", "--trials", 3, "--quiet")
    assert code == 0
    assert out.startswith("trial 8: mean squared error")
    for whole, parts in zip(table(tmp_path / "whole"), table(tmp_path / "parts"), strict=True):
        assert {**whole, "seconds": ""} == {**parts, "seconds": ""}
    whole, parts = (Session.resume(tmp_path / f / "checkpoint.safetensors") for f in ("whole", "parts"))
    assert whole.step().loss == parts.step().loss


def test_run_takes_a_yaml_file(tmp_path: Path, capsys) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("scheme: float32\nnetwork: {hidden: 20}\ntask: {name: pattern, duration: 0.1}\n", encoding="utf-8")
    code, out, _ = call(capsys, "run", path, "--trials", 2, "--quiet", "--json")
    assert code == 0
    assert json.loads(out)["total_sets"] == 0


def test_presets_are_listed_and_printed(capsys) -> None:
    _, listed, _ = call(capsys, "presets")
    assert [line.split()[0] for line in listed.splitlines()] == list(PRESETS)
    _, printed, _ = call(capsys, "presets", "sign")
    assert yaml.safe_load(printed) == PRESETS["sign"].config.to_dict()


BAD = {
    "preset": (["run", "best"], "unknown preset 'best'"),
    "key": (["run", "sign", "--set", "learning.lr=1"], "unknown setting 'learning.lr'"),
    "value": (["run", "sign", "--set", "network.hidden=0"], "NetworkConfig.hidden: must be a whole number >= 1"),
    "nan": (["run", "sign", "--set", "learning.lr_input=.nan"], "LearningConfig.lr_input: must be a finite number"),
    "type": (["run", "sign", "--set", "network.hidden=[1]"], "NetworkConfig.hidden: must be a whole number"),
    "no value": (["run", "sign", "--set", "network.hidden"], "--set: must be KEY=VALUE, got 'network.hidden'"),
    "bad value": (["run", "sign", "--set", "seed=[1"], "RunConfig.seed: must be a whole number >= 0"),
    "bad mapping": (["run", "sign", "--set", "task={name: csv"], "is not valid YAML"),
    "digits": (["run", "sign", "--set", "seed=" + "9" * 5000], "RunConfig.seed: must be a whole number >= 0"),
    "repeated": (
        ["run", "sign", "--set", "task={name: csv, name: shd}"],
        "'name' stands twice, in line 1 and in line 1",
    ),
    "seed": (["run", "sign", "--seed", "x"], "argument --seed: invalid int value: 'x'"),
    "negative seed": (["run", "sign", "--seed", "-1"], "RunConfig.seed: must be a whole number >= 0"),
    "trials": (["run", "sign", "--trials", "0"], "must be a whole number >= 1, got '0'"),
    "file": (["run", "none.yaml"], "none.yaml: cannot be read (No such file or directory)"),
    "checkpoint": (["resume", "none.safetensors"], "none.safetensors: does not exist; expected a checkpoint"),
    "command": (["walk"], "invalid choice: 'walk'"),
    "no command": ([], "the following arguments are required: COMMAND"),
    "port": (["serve", "--port", "99999"], "must be a port from 0 to 65535, got '99999'"),
    "bench": (["bench", "--trials", "-3"], "must be a whole number >= 1, got '-3'"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_exit_code_2(case: str, capsys) -> None:
    arguments, text = BAD[case]
    code, out, err = call(capsys, *arguments)
    assert code == 2
    assert out == ""
    assert err.startswith("pcmlab: ")
    assert text in err
    assert err.count("\n") == 1


def test_output_that_cannot_be_written_is_said_before_training(tmp_path: Path, capsys) -> None:
    (tmp_path / "file").write_text("in the way")
    code, _, err = call(capsys, "run", "mixed-precision", *SMALL, "--trials", 10**6, "--out", tmp_path / "file")
    assert code == 2
    assert "cannot be written to (File exists); expected a writable folder" in err


def test_damaged_results_are_not_overwritten(tmp_path: Path, capsys) -> None:
    call(capsys, "run", "mixed-precision", *SMALL, "--trials", 2, "--out", tmp_path)
    (tmp_path / "trials.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    code, _, err = call(capsys, "resume", tmp_path, "--trials", 1, "--quiet")
    assert code == 2
    assert "trials.csv: is not a table of trials; expected the columns trial" in err
    assert (tmp_path / "trials.csv").read_text(encoding="utf-8") == "a,b\n1,2\n"


def test_traceback_free_in_a_real_process() -> None:
    done = pcmlab("run", "best")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("pcmlab: unknown preset 'best'")
    assert "Traceback" not in done.stderr


def test_interrupted_runs_keep_what_was_done(tmp_path: Path, capsys, monkeypatch) -> None:
    class Impatient(Session):
        def step(self):
            if self.trial == 3:
                raise KeyboardInterrupt
            return super().step()

    monkeypatch.setattr(run_command, "Session", Impatient)
    code, out, _ = call(capsys, "run", "mixed-precision", *SMALL, "--trials", 9, "--out", tmp_path)
    assert code == 130
    assert out.startswith("trial 3:")
    assert Session.resume(tmp_path / "checkpoint.safetensors").trial == 3


@pytest.fixture
def usual():
    """Ctrl-C as a terminal's program takes it, whoever runs the tests."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_in_the_middle_of_a_trial_waits_for_its_end(tmp_path: Path, capsys, monkeypatch, usual) -> None:
    real = Session._record

    def pressed(self, *arguments):  # The devices are written then; trial number and line are not.
        if self.trial == 3:
            signal.raise_signal(signal.SIGINT)
        return real(self, *arguments)

    monkeypatch.setattr(Session, "_record", pressed)
    assert call(capsys, "run", "mixed-precision", *SMALL, "--trials", 9, "--out", tmp_path)[0] == 130
    monkeypatch.setattr(Session, "_record", real)
    assert [row["trial"] for row in table(tmp_path)] == ["0", "1", "2", "3"]
    stopped = Session.resume(tmp_path / "checkpoint.safetensors")
    never = Session(stopped.config)
    list(never.run(4))
    assert (stopped.trial, stopped.device_time) == (4, never.device_time)
    for name, value in never._tensors().items():
        assert torch.equal(value, stopped._tensors()[name]), name


def test_ctrl_c_in_the_last_evaluation_loses_no_trial(tmp_path: Path, capsys, monkeypatch, usual) -> None:
    real, answered = Network.play, []

    def pressed(self, *arguments, **named):
        answered.append(real(self, *arguments, **named))
        if len(answered) == 7:
            signal.raise_signal(signal.SIGINT)
        return answered[-1]

    def ask(self, part):
        monkeypatch.setattr(Network, "play", pressed)
        real_ask(self, part)

    real_ask = run_command._Training._ask
    monkeypatch.setattr(run_command._Training, "_ask", ask)
    code, out, _ = call(capsys, "run", "yin-yang", *SPOTS, "--trials", 5, "--evaluate-every", 9, "--out", tmp_path)
    assert (code, len(answered)) == (130, 7)
    assert out.startswith("trial 5:")
    assert len(table(tmp_path)) == Session.resume(tmp_path / "checkpoint.safetensors").trial == 5


def test_a_resumed_run_that_trains_nothing_keeps_the_tables(tmp_path: Path, capsys, monkeypatch) -> None:
    arguments = ["yin-yang", *SPOTS, "--trials", 5, "--evaluate-every", 2, "--out", tmp_path]
    call(capsys, "run", *arguments)
    before = {name: (tmp_path / name).read_text() for name in ("trials.csv", "evaluations.csv")}

    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(Session, "step", interrupted)
    assert call(capsys, "resume", tmp_path, "--quiet")[0] == 130
    assert {name: (tmp_path / name).read_text() for name in before} == before


@pytest.mark.parametrize("table", ["trials.csv", "evaluations.csv"])
@pytest.mark.parametrize(
    "content", [b"\xff\xfe\x00", b'trial,"' + b"x" * 200_000, None], ids=["binary", "endless", "folder"]
)
def test_a_table_that_cannot_be_read_is_named_before_training(tmp_path: Path, capsys, table, content) -> None:
    (tmp_path / table).mkdir() if content is None else (tmp_path / table).write_bytes(content)
    code, out, err = call(capsys, "run", "sign", *SMALL, "--trials", 10**9, "--out", tmp_path)
    assert (code, out) == (2, "")
    assert f"{table}: cannot be read" in err


def test_a_new_run_takes_the_folder_over(tmp_path: Path, capsys) -> None:
    call(capsys, "run", "yin-yang", *SPOTS, "--trials", 5, "--evaluate-every", 2, "--out", tmp_path)
    assert call(capsys, "run", "yin-yang", *SPOTS, "--trials", 3, "--out", tmp_path)[0] == 0
    assert len(table(tmp_path)) == 3
    assert not (tmp_path / "evaluations.csv").exists()


def test_files_are_as_readable_as_any_other(tmp_path: Path, capsys) -> None:
    before = os.umask(0o026)
    try:
        call(capsys, "run", "yin-yang", *SPOTS, "--trials", 2, "--evaluate-every", 2, "--out", tmp_path)
    finally:
        os.umask(before)
    assert {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == dict.fromkeys(
        ("checkpoint.safetensors", "config.yaml", "trials.csv", "evaluations.csv"), 0o640
    )


def test_a_file_that_cannot_take_its_place_leaves_nothing_behind(tmp_path: Path, capsys) -> None:
    (tmp_path / "config.yaml").mkdir()
    code, _, err = call(capsys, "run", "sign", *SMALL, "--trials", 2, "--out", tmp_path)
    assert code == 2
    assert "config.yaml: cannot be written (Is a directory)" in err
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]


def test_layers_know_nothing_of_the_screen() -> None:
    code = "import sys, pcmsim.crossbar, training.session, training.cli; print([m for m in ('panel', 'bokeh', 'holoviews', 'param', 'app') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def evaluations(folder: Path) -> list[dict[str, str]]:
    with (folder / "evaluations.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_held_out_samples_are_asked_on_the_way_and_at_the_end(tmp_path: Path, capsys) -> None:
    arguments = ["yin-yang", *SPOTS, "--evaluate-every", 4, "--out", tmp_path]
    code, out, _ = call(capsys, "run", *arguments, "--trials", 9)
    assert code == 0
    assert re.match(r"trial 9: mean cross-entropy \d\.\d{4}, \d+\.\d % right over the last 9 trials", out)
    assert "\n9 test samples, never trained on: " in out
    rows = evaluations(tmp_path)
    assert [(row["trial"], row["part"], row["samples"]) for row in rows] == [
        ("4", "validation", "12"), ("8", "validation", "12"), ("9", "test", "9"),
    ]  # fmt: skip
    _, out, _ = call(capsys, "resume", tmp_path, "--trials", 3, "--evaluate-every", 4, "--quiet", "--json")
    assert [row["trial"] for row in evaluations(tmp_path)] == ["4", "8", "9", "12", "12"]
    facts = json.loads(out)
    assert facts["test"]["accuracy"] == float(evaluations(tmp_path)[-1]["accuracy"])
    assert 0.0 <= facts["accuracy"] <= 1.0


def test_evaluating_on_the_way_changes_no_trial(tmp_path: Path, capsys) -> None:
    for folder, more in (("looked", ["--evaluate-every", 2]), ("alone", [])):
        call(capsys, "run", "yin-yang", *SPOTS, "--trials", 6, "--out", tmp_path / folder, *more)
    for looked, alone in zip(table(tmp_path / "looked"), table(tmp_path / "alone"), strict=True):
        assert {**looked, "seconds": ""} == {**alone, "seconds": ""}


def test_regression_has_no_accuracy(capsys) -> None:
    _, out, _ = call(capsys, "run", "sign", *SMALL, "--trials", 2, "--evaluate-every", 2, "--json")
    facts = json.loads(out)
    assert "accuracy" not in facts | facts["test"]
    assert facts["test"]["held_out"] is False


def test_a_missing_validation_part_is_said_before_training(capsys) -> None:
    arguments = ["run", "digits", "--set", "task.validation=0", "--trials", 10**9, "--evaluate-every", 5, "--quiet"]
    code, _, err = call(capsys, *arguments)
    assert code == 2
    assert err.startswith("pcmlab: task.validation: must be a share that gives samples: > 0,")
    assert err.count("\n") == 1
