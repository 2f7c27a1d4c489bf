"""``pcmlab sweep``: as its users call it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pandas as pd
import psutil
import pytest
from command_kit import call

from training.store import Store
from training.sweep import Sweep

TEXT = """
set: {network.hidden: 10, task: {name: pattern, inputs: 10, duration: 0.1}}
fields: {precision.weight_bits: [2, 4]}
seeds: {from: 1, number: 2}
trials: 4
every: 2
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "grain.yaml"
    path.write_text(TEXT, encoding="utf-8")
    return path


def test_a_sweep_is_run_once_shown_and_written(file, tmp_path, capsys):
    arguments = ["sweep", file, "--workers", 1, "--store", tmp_path / "runs", "--out", tmp_path / "out.csv", "--quiet"]
    code, first, _ = call(capsys, *arguments)
    store, asked = Store(tmp_path / "runs"), Sweep.from_yaml(file)
    assert code == 0
    assert first.startswith("grain: 4 runs, 0 of them in ")
    assert [line.split() for line in first.splitlines()[3:]] == [
        [str(bits), f"{mean:.4g}", f"{sd:.4g}", "2"]
        for bits, mean, sd in asked.summary(store)[["precision.weight_bits", "mean", "sd"]].itertuples(index=False)
    ]
    assert list(pd.read_csv(tmp_path / "out.csv")["loss"]) == list(asked.table(store)["loss"])
    finished = list(store.runs()["finished"])
    code, again, _ = call(capsys, *arguments)
    assert again.startswith("grain: 4 runs, 4 of them in ")
    assert again.splitlines()[1:] == first.splitlines()[1:]
    assert list(store.runs()["finished"]) == finished


def test_settings_of_the_command_line_hold_in_all_runs(file, tmp_path, capsys):
    assert (
        call(capsys, "sweep", file, "--set", "learning.batch=2", "--store", tmp_path / "runs", "--workers", 1)[0] == 0
    )
    store = Store(tmp_path / "runs")
    assert {store.job(key).config.learning.batch for key in sorted(store.keys())} == {2}


MANY = "fields: {learning.lr_input: {from: 0.001, to: 1, number: 101}, learning.lr_output: {from: 0.001, to: 1, number: 101}}\n"


def test_very_many_runs_are_estimated_and_refused_where_nobody_can_be_asked(tmp_path, capsys):
    (tmp_path / "many.yaml").write_text(MANY, encoding="utf-8")
    code, out, err = call(capsys, "sweep", tmp_path / "many.yaml", "--workers", 2, "--store", tmp_path / "runs")
    assert (code, out) == (2, "")
    assert err.startswith("pcmlab: sweep many: 51005 runs, about ")
    assert err.endswith(" on 2 workers: say --yes if that is meant\n")
    assert Store(tmp_path / "runs").groups() == []


BAD = {
    "no file": ("none.yaml", [], "none.yaml: cannot be read"),
    "unknown field": ("fields: {learning.lr: [1]}", [], "unknown setting 'learning.lr'"),
    "empty grid": ("fields: {learning.batch: []}", [], "Sweep.fields.learning.batch: must be a list of 1 to"),
    "no mapping": ("[1]", [], "must hold a mapping"),
    "setting": (TEXT, ["--set", "a.b=1"], "unknown setting 'a.b'"),
    "ending": (TEXT, ["--out", "a.txt"], "has no known ending"),
    "workers": (TEXT, ["--workers", "0"], "must be a whole number >= 1"),
    "scheduler": (TEXT, ["--scheduler", "nowhere"], "scheduler nowhere: cannot be reached (missing port number"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_exit_code_2(case, tmp_path, capsys):
    text, more, expected = BAD[case]
    path = tmp_path / "asked.yaml"
    if ":" in text or "[" in text:
        path.write_text(text, encoding="utf-8")
    else:
        path = tmp_path / text
    code, out, err = call(capsys, "sweep", path, "--store", tmp_path / "runs", *more)
    assert (code, out) == (2, "")
    assert err.startswith("pcmlab: ")
    assert expected in err
    assert err.count("\n") == 1


LISTENING = """import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from training.cli import main
sys.exit(main())"""
"""The command as a terminal begins it; what a shell runs in the background is deaf to Ctrl-C, these tests perhaps too."""


def test_ctrl_c_leaves_what_is_finished_and_no_process(file, tmp_path):
    """Sent to the whole process group, as a terminal does."""
    file.write_text(TEXT.replace("trials: 4", "trials: 300").replace("number: 2", "number: 50"), encoding="utf-8")
    store = Store(tmp_path / "runs")
    command = [sys.executable, "-c", LISTENING, "sweep", str(file), "--store", str(store.folder), "--workers", "2"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while not store.keys():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    children = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "")
    assert f"of them in {store.folder} already" in out
    assert "precision.weight_bits" in out
    _, alive = psutil.wait_procs(children, timeout=20)
    assert not alive
    assert not store.runs().empty
