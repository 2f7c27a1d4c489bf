"""Several processes at one study, and the command: the budget to the evaluation, whoever dies."""

from __future__ import annotations

import multiprocessing

import pytest
import yaml
from optuna.trial import TrialState

from training.cli import main
from training.config import RunConfig
from training.pools import NAME
from training.presets import PRESETS
from training.search import Search
from training.spaces import Between
from training.store import Store
from training.tuned_presets import from_yaml
from training.tuners import searched
from training.tuning import KEYS, TRAINED
from training.tuning_study import DONE, opened
from training.workers import pool

SMALL = PRESETS["mixed-precision"].config.with_values({"network.hidden": 6, "task.duration": 0.1})
SEARCH = Search("team", SMALL, {"device.scale": Between(5.0, 50.0, log=True)}, trials=20, every=5, evaluations=6)
TUNE = ["tune", "--trials", "4", "--every", "2", "--seeds", "1", "--set", "network.hidden=6", "--quiet"]


def test_two_workers_spend_the_budget_to_the_evaluation_though_one_is_killed(tmp_path):
    url, store = f"sqlite:///{tmp_path / 'studies.db'}", Store(tmp_path / "runs")
    with pool(2) as team:
        steps = searched(SEARCH, url, store, team)
        next(steps)
        [victim, _] = [child for child in multiprocessing.active_children() if child.name == NAME]
        victim.kill()
        counts = list(steps)
    trials = opened(SEARCH, url).trials
    done = [trial for trial in trials if trial.state in DONE]
    assert counts[-1] == len(done) == SEARCH.evaluations
    assert not [trial for trial in trials if trial.state in (TrialState.RUNNING, TrialState.WAITING)]
    full = [trial for trial in done if trial.state is TrialState.COMPLETE]
    assert {key for trial in full for key in trial.user_attrs[KEYS]} <= store.keys()
    assert all(trial.user_attrs[TRAINED] == 40 for trial in full)


def run(capsys, *arguments):
    code = main([*TUNE, *arguments])
    return code, capsys.readouterr()


def test_the_command_gives_each_scheme_the_same_and_goes_on_when_asked_again(tmp_path, capsys):
    folders = ["--store", str(tmp_path / "runs"), "--out", str(tmp_path / "found")]
    for evaluations in ("1", "2"):
        code, told = run(capsys, "sign", "update-ready", "--evaluations", evaluations, *folders)
        assert code == 0
        assert [line.split()[:2] for line in told.out.splitlines()[1:]] == [
            ["pattern-sign", evaluations],
            ["pattern-update-ready", evaluations],
        ]
    found = from_yaml(tmp_path / "found" / "pattern-sign.yaml")
    assert found.record.evaluations == 2
    assert found.record.trained == 8
    assert RunConfig().with_values(found.values).network.hidden == 6
    store = Store(tmp_path / "runs")
    assert {store.group(name).kind for name in store.groups()} == {"study"}
    assert len(store.groups()) == 2


def test_any_field_of_any_preset_may_be_tuned(tmp_path, capsys):
    arguments = ["float32", "--preset", "float32", "--field", "learning.lr_output=1e-6:1e-3:log", "--evaluations", "1"]
    code, _ = run(capsys, *arguments, "--store", str(tmp_path), "--out", str(tmp_path / "found"))
    assert code == 0
    record = yaml.safe_load((tmp_path / "found" / "float32-float32.yaml").read_text())["record"]
    assert record["fields"] == {"learning.lr_output": "1e-06:0.001:log"}


def test_ctrl_c_leaves_what_is_finished(tmp_path, capsys, monkeypatch):
    def interrupted(search, url, store, team, interval):
        steps = searched(search, url, store, team)
        yield next(steps)
        raise KeyboardInterrupt

    monkeypatch.setattr("training.tune_command.searched", interrupted)
    code, told = run(capsys, "sign", "--evaluations", "3", "--store", str(tmp_path))
    assert code == 130
    assert told.out.splitlines()[1].split()[:2] == ["pattern-sign", "1"]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["sgin"], "unknown update scheme 'sgin' (did you mean 'sign'?)"),
        (["adam"], "unknown update scheme with devices 'adam'"),
        (["--task", "patern"], "did you mean 'pattern'"),
        (["--field", "learning.lr=1:2"], "unknown setting 'learning.lr'"),
        (["--field", "learning.lr_input"], "must be KEY=RANGE"),
        (["--field", "learning.lr_input=2:1"], "--field learning.lr_input: Between.high: must be above low"),
        (["--metric", "joy"], "Search.metric: must be one of loss"),
        (["--storage", "nothing"], "storage 'nothing': cannot be opened"),
        (["--storage", "sqlite:////no/such/folder/studies.db"], "unable to open database file"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(tmp_path, capsys, arguments, problem):
    code, told = run(capsys, *arguments, "--store", str(tmp_path))
    assert code == 2
    assert problem in told.err
    assert told.err.count("\n") == 1
    assert not told.out
