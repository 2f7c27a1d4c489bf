"""``pcmlab runs``: what the store holds, on the command line."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pandas as pd
import pytest
import yaml
from command_kit import call

from training import store as module
from training.config import RunConfig
from training.jobs import Job, perform
from training.session import Session
from training.store import FOLDER_VARIABLE, MOMENT, Store

SMALL = {"network.hidden": 10, "task": {"name": "pattern", "inputs": 10, "duration": 0.1}}
JOBS = [Job(RunConfig().with_values({**SMALL, "seed": seed}), trials=2, every=1) for seed in (1, 2, 3)]
SETTINGS = ["--set", "network.hidden=10", "--set", "task={name: pattern, inputs: 10, duration: 0.1}", "--quiet"]


@pytest.fixture(scope="module")
def outcomes():
    return [perform(job) for job in JOBS]


@pytest.fixture
def store(tmp_path, outcomes, monkeypatch):
    """Three runs, finished on three days; the first two in one group, the last two in another."""
    made = Store(tmp_path / "runs")
    for day, outcome in enumerate(outcomes, 1):
        monkeypatch.setattr(module, "_now", lambda day=day: datetime(2020, 1, day, tzinfo=UTC).isoformat())
        made.add(outcome)
    monkeypatch.undo()
    made.keep_group("early", "sweep", {}, JOBS[:2])
    made.keep_group("late", "race", {}, JOBS[1:])
    monkeypatch.setenv(FOLDER_VARIABLE, str(made.folder))
    return made


def test_runs_are_listed_the_latest_last(store, capsys):
    _, out, _ = call(capsys, "runs")
    assert [line.split()[0] for line in out.splitlines()] == ["key", *(job.key[:8] for job in JOBS)]
    _, out, _ = call(capsys, "runs", "--last", 1)
    assert [line.split()[0] for line in out.splitlines()[1:]] == [JOBS[2].key[:8]]
    _, out, _ = call(capsys, "runs", "--group", "early")
    assert len(out.splitlines()) == 3


def test_groups_say_how_far_they_are(store, capsys):
    store.remove([JOBS[0].key])
    _, out, _ = call(capsys, "runs", "groups")
    found = {line.split()[0]: " ".join(line.split()[3:]) for line in out.splitlines()[1:]}
    assert found == {"early": "1 of 2", "late": "2 of 2"}


def test_a_run_that_is_shown_is_run_again_as_it_was(store, capsys, tmp_path):
    code, out, _ = call(capsys, "runs", "show", JOBS[1].key[:8])
    assert code == 0
    assert RunConfig.from_dict(yaml.safe_load(out)) == JOBS[1].config
    (tmp_path / "again.yaml").write_text(out, encoding="utf-8")
    _, again, _ = call(capsys, "run", tmp_path / "again.yaml", "--trials", 2, "--quiet", "--json")
    assert json.loads(again)["best_loss"] == store.runs([JOBS[1].key]).iloc[0]["best"]


def test_a_run_of_another_version_is_shown_and_compared(store, capsys, monkeypatch):
    monkeypatch.setattr("training.jobs.versions", lambda: {"pcmlab": "another"})
    code, out, _ = call(capsys, "runs", "show", JOBS[1].key[:8])
    assert code == 0
    assert f"run {JOBS[1].key}: " in out
    assert call(capsys, "runs", "compare", *(job.key for job in JOBS))[0] == 0


def test_runs_are_compared_by_the_settings_that_differ_and_by_what_they_came_to(store, capsys, outcomes):
    _, out, _ = call(capsys, "runs", "compare", *(job.key[:8] for job in JOBS[:2]))
    lines = {line.split()[0]: line.split()[1:] for line in out.splitlines()}
    assert lines["seed"] == ["1", "2"]
    assert lines["best"] == [f"{outcome.best:.4g}" for outcome in outcomes[:2]]
    assert "network.hidden" not in lines


def test_a_pruned_group_leaves_the_runs_that_another_one_names(store, capsys):
    code, out, _ = call(capsys, "runs", "prune", "--group", "early", "--yes")
    assert (code, out) == (0, "1 runs removed\n")
    assert store.keys() == {JOBS[1].key, JOBS[2].key}
    assert store.groups() == ["late"]


@pytest.mark.parametrize(
    ("arguments", "left"),
    [
        (["--status", "diverged"], 3),
        (["--older-than", "1 d"], 0),
        (["--older-than", "1000 year"], 3),
        (["--older-than", "3000 year"], 3),
        (["--older-than", "1e400"], 3),
        (["--older-than", "0"], 0),
    ],
)
def test_runs_are_pruned_by_age_and_by_how_they_ended(store, capsys, arguments, left):
    code, _, _ = call(capsys, "runs", "prune", *arguments, "--yes")
    assert (code, len(store.keys())) == (0, left)


def test_nothing_is_removed_where_nobody_can_be_asked(store, capsys):
    code, _, err = call(capsys, "runs", "prune", "--older-than", "1 d")
    assert code == 2
    assert "3 of 3 runs" in err
    assert "will be removed, some of them of early, late: say --yes if that is meant" in err
    assert len(store.keys()) == 3


def test_who_is_asked_decides(store, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    for answer, left in (("\n", 3), ("yes\n", 0)):
        monkeypatch.setattr("sys.stdin.readline", lambda answer=answer: answer, raising=False)
        assert call(capsys, "runs", "prune", "--older-than", "1 d")[0] == 0
        assert len(store.keys()) == left


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_exported_tables_hold_what_the_store_does(store, capsys, tmp_path, ending):
    path = tmp_path / f"out.{ending}"
    code, _, _ = call(capsys, "runs", "export", "--group", "late", "--out", path)
    table = pd.read_parquet(path) if ending == "parquet" else pd.read_csv(path)
    assert code == 0
    assert list(table["key"]) == [job.key for job in JOBS[1:]]
    assert list(table["loss"]) == list(store.runs([job.key for job in JOBS[1:]])["loss"])
    assert call(capsys, "runs", "export", "--curves", "--out", path)[0] == 0
    assert len(pd.read_parquet(path) if ending == "parquet" else pd.read_csv(path)) == 6


BAD = {
    "no store": (["runs", "--store", "none"], "none: there is no run store here"),
    "no such run": (["runs", "show", "zz"], "unknown run 'zz'"),
    "no such group": (["runs", "--group", "erly"], "unknown group of runs 'erly' (did you mean 'early'?)"),
    "nothing told": (["runs", "prune"], "runs prune: must be told which: --group, --older-than or --status"),
    "no time": (["runs", "prune", "--older-than", "old"], "must be a time such as"),
    "two times": (["runs", "prune", "--older-than", "1d,30d"], "must be a time such as 100 s or 1 year, got '1d,30d'"),
    "no ending": (["runs", "export", "--out", "a.txt"], "has no known ending"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_exit_code_2(store, capsys, case):
    arguments, text = BAD[case]
    code, out, err = call(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("pcmlab: ")
    assert text in err
    assert err.count("\n") == 1


def test_a_finished_run_is_kept_as_the_same_job_done_by_others(tmp_path, capsys):
    folder = tmp_path / "runs"
    code, _, _ = call(capsys, "run", "mixed-precision", *SETTINGS, "--trials", 5, "--seed", 4, "--store", folder)
    (key,) = Store(folder).keys()
    expected = Store(tmp_path / "expected")
    expected.add(perform(Store(folder).job(key)))
    assert code == 0
    for table in ("runs", "curves"):
        kept, made = (getattr(one, table)() for one in (Store(folder), expected))
        pd.testing.assert_frame_equal(
            *(one[[c for c in one if c not in MOMENT]] for one in (kept, made)), check_exact=True
        )


def test_neither_an_interrupted_run_nor_a_resumed_one_is_kept(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "runs"))
    real, arguments = Session.step, ["run", "mixed-precision", *SETTINGS, "--trials", 4, "--out", tmp_path / "out"]

    def impatient(self):
        if self.trial == 3:
            raise KeyboardInterrupt
        return real(self)

    monkeypatch.setattr(Session, "step", impatient)
    assert call(capsys, *arguments)[0] == 130
    monkeypatch.setattr(Session, "step", real)
    assert call(capsys, "resume", tmp_path / "out", "--trials", 1, "--quiet")[0] == 0
    assert Store(tmp_path / "runs").keys() == set()
    assert call(capsys, *arguments)[0] == 0
    assert len(Store(tmp_path / "runs").keys()) == 1
