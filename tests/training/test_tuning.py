"""Tuning: the budget to the evaluation, the same study however often it stops, early ends that are early."""

from __future__ import annotations

import errno
import math
import os
import sqlite3
import warnings

import optuna
import pytest
from optuna.trial import TrialState

from pcmsim.errors import FieldError, PCMLabError, UnknownNameError
from training.jobs import Job, perform
from training.presets import PRESETS
from training.search import COURSES, FIRST_SEED, Search, search_for
from training.spaces import SPACES, Among, Between, range_of
from training.store import Store
from training.tuning import KEYS, TRAINED, VALUES, evaluate
from training.tuning_record import differences, importance, keep, record, tuned
from training.tuning_study import DONE, _storage, finished, hand_back, opened, sqlite, work
from training.writing import keeping, replacing

SMALL = PRESETS["mixed-precision"].config.with_values({"network.hidden": 6, "task.duration": 0.1})
FIELDS = {"learning.lr_input": Between(1e-5, 1e-2, log=True), "device.scale": Between(5.0, 50.0, log=True)}
RANGES = {name: optuna.distributions.FloatDistribution(k.low, k.high, log=True) for name, k in FIELDS.items()}


def small(**changed):
    return Search(**{"name": "small", "config": SMALL, "fields": FIELDS, "trials": 2, "every": 1, **changed})


def tried(study):
    return [trial.params for trial in study.get_trials() if trial.state in DONE]


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path / 'studies.db'}"


def test_an_evaluation_is_the_mean_of_runs_that_anybody_can_do_again(url, tmp_path):
    search, store = small(evaluations=1), Store(tmp_path / "runs")
    study = opened(search, url)
    assert list(work(search, study, store)) == [1]
    alone = [perform(Job(SMALL.with_values({"seed": FIRST_SEED + k}), 2, 1)) for k in range(2)]
    assert study.best_value == pytest.approx(sum(one.curve[-1].loss for one in alone) / 2, rel=1e-12)
    assert study.best_trial.user_attrs[KEYS] == [one.job.key for one in alone]
    keep(search, study, store)
    assert store.group(search.study).keys == tuple(one.job.key for one in alone)
    assert set(store.runs()["key"]) == {one.job.key for one in alone}


def test_the_settings_as_they_are_come_first(url):
    search = small(evaluations=1)
    study = opened(search, url)
    list(work(search, study))
    assert study.trials[0].params == {"learning.lr_input": 3.3041e-4, "device.scale": 11.82503}
    assert record(search, study).untuned == study.best_value


def test_a_study_that_stopped_went_on_as_if_it_had_not(url, tmp_path):
    """Beyond the ten that are drawn at random: the estimators' own proposals are held as well."""
    whole = small(evaluations=14, seeds=1)
    straight = opened(whole, f"sqlite:///{tmp_path / 'other.db'}")
    list(work(whole, straight))
    for evaluations in (3, 11, 14):
        part = small(evaluations=evaluations, seeds=1)
        list(work(part, opened(part, url)))
    assert tried(opened(whole, url)) == tried(straight)
    assert [t.value for t in opened(whole, url).trials] == [t.value for t in straight.trials]


def test_an_interrupted_evaluation_does_not_count_and_is_done_again(url, tmp_path, monkeypatch):
    search = small(evaluations=3, seeds=1)
    calls = []

    def interrupted(search, trial, store, interval):
        calls.append(trial.number)
        value = evaluate(search, trial, store, interval)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return value

    monkeypatch.setattr("training.tuning_study.evaluate", interrupted)
    study = opened(search, url)
    with pytest.raises(KeyboardInterrupt):
        list(work(search, study))
    assert finished(study) == 1
    list(work(search, opened(search, url)))
    assert finished(study) == 3
    straight = opened(search, f"sqlite:///{tmp_path / 'other.db'}")
    monkeypatch.undo()
    list(work(search, straight))
    assert tried(study) == tried(straight)


def test_two_who_draw_the_last_evaluation_at_once_do_it_once(url, monkeypatch):
    search = small(evaluations=2, seeds=1)
    ours = opened(search, url)
    monkeypatch.setattr("training.tuning_study._under_way", lambda study: 0)  # neither sees the other's
    theirs = opened(search, url)
    begun = theirs.get_trials()[0]
    assert begun.state is TrialState.WAITING
    steps = work(search, ours)
    assert next(steps) == 1
    with pytest.warns(UserWarning, match="Heartbeat"):
        other = theirs.ask()  # the second and last
    counted = iter((1, 1, 2))
    monkeypatch.setattr("training.tuning_study.finished", lambda study: next(counted))
    list(steps)
    assert [trial.state for trial in ours.trials] == [TrialState.COMPLETE, TrialState.RUNNING, TrialState.FAIL]
    assert other.number == 1


def test_an_evaluation_behind_the_median_ends_early(url):
    """Nine finished ones with known curves; the tenth, a silent network, lies behind all of them."""
    search = small(trials=10, evaluations=10, seeds=1)
    study = opened(search, url)
    for k in range(9):
        known = optuna.trial.create_trial(
            params={"learning.lr_input": 1e-4 * (k + 1), "device.scale": 10.0},
            distributions=RANGES,
            value=0.01,
            user_attrs={VALUES: [0.01]},
            intermediate_values={trial: 0.01 for trial in range(1, 10)},
        )
        study.add_trial(known)
    list(work(search, study))
    (ended,) = study.get_trials(states=(TrialState.PRUNED,))
    assert ended.last_step == math.ceil(0.4 * 10)
    assert ended.user_attrs[TRAINED] == 4
    told = record(search, study)
    assert (told.evaluations, told.finished, told.pruned, told.trained) == (10, 9, 1, 4)


def test_a_silent_run_ends_at_its_second_point(url):
    silent = SMALL.with_values({"network.threshold": 900.0})
    search = Search("silent", silent, FIELDS, trials=30, every=3, evaluations=1, seeds=1)
    study = opened(search, url)
    list(work(search, study))
    assert study.trials[0].state is TrialState.PRUNED
    assert study.trials[0].user_attrs[TRAINED] == 6
    with pytest.raises(PCMLabError, match="no evaluation was finished in full"):
        record(search, study)


def test_settings_that_do_not_go_together_are_tried_and_left(url):
    """The trial may last 2 s, and an update may come every second, but not both."""
    config = SMALL.with_values({"device.update_interval": 2.0, "task.duration": 1.0})
    fields = {"device.update_interval": Among((1.0, 2.0)), "task.duration": Among((1.0, 2.0))}
    search = Search("clash", config, fields, trials=1, every=1, seeds=1, evaluations=2)
    study = opened(search, url)
    study.enqueue_trial({"device.update_interval": 1.0, "task.duration": 2.0})
    list(work(search, study))
    assert study.trials[1].state is TrialState.PRUNED
    assert "update_interval" in study.trials[1].user_attrs["error"]


def test_importance_finds_the_field_that_matters():
    study = optuna.create_study()
    for k in range(40):
        spread = {"learning.lr_input": 1e-5 * 10 ** (3 * k / 40), "device.scale": 5.0 * 10 ** ((k * 7 % 40) / 40)}
        study.add_trial(optuna.trial.create_trial(params=spread, distributions=RANGES, value=float(k)))
    shares = importance(study)
    assert shares["learning.lr_input"] > 0.9
    assert sum(shares.values()) == pytest.approx(1.0)


def test_every_scheme_tunes_as_many_fields_and_begins_with_what_it_has():
    for task in COURSES:
        searches = [search_for(COURSES[task], scheme, task) for scheme in SPACES]
        assert {len(search.fields) for search in searches} == {7}
        assert {search.evaluations * search.seeds * search.trials for search in searches} == {120 * searches[0].trials}
        for search in searches:
            assert search.config.with_values(search.first) == search.config
            assert len(search.first) == 7


def test_the_published_setting_is_what_mixed_precision_tries_first():
    first = search_for(COURSES["pattern"], "mixed-precision", "pattern").first
    assert first["learning.lr_recurrent"] == 3.9387e-4  # Demirag et al. 2021, published code
    assert first["device.scale"] == 11.82503


def test_what_differs_puts_the_configuration_together_again():
    for preset in PRESETS.values():
        config = preset.config
        assert type(config)().with_values(dict(differences(config))) == config


def test_a_record_keeps_to_its_budget_though_the_study_went_further(url):
    study = opened(small(seeds=1), url)
    for value in (0.3, 0.2, 0.1):
        params = {"learning.lr_input": 1e-4, "device.scale": 10.0 * value}
        ranges = {**RANGES, "device.scale": optuna.distributions.FloatDistribution(0.5, 50.0, log=True)}
        marks = {VALUES: [value], TRAINED: 2}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=ranges, value=value, user_attrs=marks))
    told = record(small(seeds=1, evaluations=2), study)
    assert (told.evaluations, told.best, told.trained) == (2, 0.2, 4)


def test_a_tuned_preset_is_the_best_evaluation(url):
    search = small(evaluations=3, seeds=1)
    study = opened(search, url)
    list(work(search, study))
    found = type(SMALL)().with_values(tuned(search, study).values)
    assert found == SMALL.with_values(study.best_params)


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"fields": {}}, "at least one field"),
        ({"fields": {"learning.lr_inptu": Between(0.1, 1.0)}}, "did you mean 'learning.lr_input'"),
        ({"fields": {"learning.lr_input": Between(0.1, 100.0)}}, "lr_input.*<= 10"),
        ({"metric": "joy"}, "metric.*loss, accuracy"),
        ({"metric": "accuracy"}, "a loss where the task is regression"),
        ({"metric": "held-out-loss"}, "validation or test"),
        ({"evaluations": 0}, "evaluations.*>= 1"),
    ],
)
def test_searches_that_cannot_be_are_named(changed, problem):
    with pytest.raises((FieldError, UnknownNameError), match=problem):
        small(**changed)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("1:2:lin", "LOW:HIGH"),
        ("a:2", "LOW:HIGH"),
        ("2:1", "above low"),
        ("0:1:log", "above 0"),
        ("one", "two values"),
        ("1:1_000", "LOW:HIGH"),
        ("0:" + "9" * 5000, "LOW:HIGH"),
    ],
)
def test_ranges_that_are_none_are_named(text, problem):
    with pytest.raises(PCMLabError, match=problem):
        range_of(text)


def test_choices_are_what_their_field_takes():
    bits = small(fields={"precision.weight_bits": range_of("none,4,010")}).fields["precision.weight_bits"]
    assert bits.choices == (None, 4, 10)
    with pytest.raises(PCMLabError, match="PrecisionConfig.weight_bits: must be a whole number .* got 'many'"):
        small(fields={"precision.weight_bits": range_of("4,many")})


def test_another_search_is_another_study_and_a_larger_budget_is_not():
    assert small(evaluations=99).study == small().study
    for changed in ({"trials": 3}, {"seeds": 3}, {"seed": 2}, {"config": SMALL.with_values({"seed": 7})}):
        assert small(**changed).study != small().study


@pytest.mark.parametrize("url", ["nothing", "sqlite:////no/such/folder/s.db", "nosuch://me:secret@host/db"])
def test_a_database_that_cannot_be_opened_is_named_without_its_password(url):
    with pytest.raises(PCMLabError, match="storage .*cannot be opened") as error:
        opened(small(), url)
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)


def test_who_reads_an_sqlite_study_keeps_others_from_changing_it_meanwhile(url, tmp_path):
    """Else two processes would both see that an evaluation waits, and both take it."""
    opened(small(), url)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # heartbeats are experimental
        one, other = (_storage(url).engine for _ in range(2))
    with one.begin() as reads:
        reads.exec_driver_sql("SELECT * FROM trials")
        raw = sqlite3.connect(tmp_path / "studies.db", timeout=0.0)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            raw.execute("BEGIN IMMEDIATE")
        raw.close()
    with other.begin() as reads:
        assert len(reads.exec_driver_sql("SELECT * FROM trials").all()) == 1


def test_an_evaluation_whose_worker_died_at_once_is_somebody_elses_in_time(url, monkeypatch):
    search = small(evaluations=1, seeds=1)
    study = opened(search, url)
    with pytest.warns(UserWarning, match="Heartbeat"):
        study.ask()  # and nothing more is heard
    monkeypatch.setattr("training.tuning_study.GRACE", 0)
    list(work(search, study))
    assert [trial.state for trial in study.trials] == [TrialState.FAIL, TrialState.COMPLETE]
    assert study.trials[1].params == dict(search.first)


def test_two_who_hand_back_the_same_evaluation_have_it_done_once(url):
    """Both have seen that its worker is lost; the other one has told it meanwhile."""
    study = opened(small(evaluations=1, seeds=1), url)
    with pytest.warns(UserWarning, match="Heartbeat"):
        study.ask()
    other = opened(small(evaluations=1, seeds=1), url)

    def lost_to_both(trial):
        hand_back(other, lambda theirs: theirs.number == trial.number)
        return True

    hand_back(study, lost_to_both)
    assert [trial.state for trial in study.trials] == [TrialState.FAIL, TrialState.WAITING]


def test_a_database_whose_making_was_broken_off_is_not_there(url, tmp_path, monkeypatch):
    """Else it could lack the index by which a study has one name, and would never get it."""
    path = tmp_path / "studies.db"

    def killed(index, *arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("sqlalchemy.sql.ddl.SchemaGenerator.visit_index", killed)
    with pytest.raises(KeyboardInterrupt):
        opened(small(), url)
    assert not path.exists()
    monkeypatch.undo()
    for _ in range(2):
        opened(small(), url)
    assert sqlite3.connect(path).execute("SELECT count(*) FROM studies").fetchone() == (1,)


@pytest.mark.parametrize("links", [True, False])
def test_of_two_who_make_a_file_at_once_the_first_keeps_its_own(links, tmp_path, monkeypatch):
    def refuse(made, path):
        raise PermissionError(errno.EPERM, "no links here")

    if not links:
        monkeypatch.setattr(os, "link", refuse)
    for content in ("first", "second"):
        if links or content == "first":
            with replacing(tmp_path / "file", move=keeping) as made:
                made.write_text(content)
    assert (tmp_path / "file").read_text() == "first"
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


@pytest.mark.parametrize(
    "name", ["what?mode=memory&cache=shared", "50%20off", "a#b", "{SCHEMA_VERSION}", "t12:30", "ü &"]
)
def test_a_study_is_in_the_file_that_is_named_whatever_its_name(tmp_path, name):
    search, path = small(evaluations=1, seeds=1), tmp_path / name / "studies.db"
    path.parent.mkdir()
    list(work(search, opened(search, sqlite(path))))
    assert sorted(tmp_path.rglob("*")) == [path.parent, path]
    assert sqlite3.connect(path).execute("SELECT count(*) FROM trials").fetchone() == (1,)
    assert finished(opened(search, sqlite(path))) == 1
