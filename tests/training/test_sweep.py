"""Sweeps: what they run, checked before anything runs; tables of what they came to."""

from __future__ import annotations

import dataclasses
import json
import statistics
from pathlib import Path

import pytest

from pcmsim.errors import FieldError, PCMLabError, UnknownNameError
from training import grid, sweep
from training.config import RunConfig
from training.jobs import perform
from training.store import Store
from training.sweep import Sweep, run
from training.workers import LocalPool

TEXT = """
name: grain
preset: mixed-precision
set: {network.hidden: 10, task: {name: pattern, inputs: 10, duration: 0.1}}
fields:
  precision.weight_bits: [2, 4]
  device.mismatch.step, device.mismatch.g_max: {from: 0, to: 0.5, number: 3}
seeds: {from: 7, number: 2}
trials: 4
every: 2
"""


def test_every_combination_is_run_for_every_seed_the_first_seed_first():
    asked = Sweep.from_text(TEXT)
    cells = [(bits, level) for bits in (2, 4) for level in (0.0, 0.25, 0.5)]
    expected = [(seed, *cell) for seed in (7, 8) for cell in cells]
    configs = [job.config for job in asked.jobs()]
    assert [(c.seed, c.precision.weight_bits, c.device.mismatch.step) for c in configs] == expected
    assert all(c.device.mismatch.g_max == c.device.mismatch.step and c.network.hidden == 10 for c in configs)
    assert asked.size == len(configs)
    assert asked.varied == ["precision.weight_bits", "device.mismatch.step"]


def test_cases_stand_beside_grids():
    asked = Sweep(
        fields={"precision.weight_bits": [2, 4]},
        cases={
            "slow": {"learning.lr_input": 1e-5},
            "published": {},
            "sign": {"preset": "sign", "scheme.threshold": 3.0},
        },
        seeds=[1],
    )
    found = [(labels["case"], job.config.scheme, job.config.learning.lr_input) for labels, job in asked.runs()]
    sign = RunConfig.from_dict({"scheme": {"name": "sign", "threshold": 3.0}}).scheme
    assert asked.size == len(found) == 6
    assert found[0] == ("slow", RunConfig().scheme, 1e-5)
    assert found[4] == ("sign", sign, 3.3041e-4)
    assert asked.varied == ["case", "precision.weight_bits"]


def test_the_example_varies_bits_and_the_mismatch_of_all_device_parameters():
    asked = Sweep.from_yaml(Path(__file__).parents[2] / "assets" / "sweeps" / "bits-mismatch.yaml")
    assert asked.size == 6 * 6 * 5
    mismatches = {dataclasses.astuple(job.config.device.mismatch)[:3] for job in asked.jobs()}
    assert mismatches == {(level,) * 3 for level in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)}


def test_a_sweep_is_the_same_from_its_own_plain_values():
    asked = Sweep.from_text(TEXT)
    again = Sweep.from_dict(json.loads(json.dumps(asked.to_dict())))
    assert [job.key for job in again.jobs()] == [job.key for job in asked.jobs()]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"from": 1, "to": 7, "number": 4}, [1, 3, 5, 7]),
        ({"from": 0.1, "to": 0.4, "number": 4}, [0.1, 0.2, 0.3, 0.4]),
        ({"from": 1, "to": 2, "number": 3}, [1.0, 1.5, 2.0]),
        ({"from": 1e-5, "to": 1e-2, "number": 4, "log": True}, [1e-5, 1e-4, 1e-3, 1e-2]),
        ({"from": 8, "to": 1, "number": 4, "log": True}, [8, 4, 2, 1]),
    ],
)
def test_ranges(values, expected):
    found = grid.axis("seed", values).values
    assert list(found) == expected
    assert [type(one) for one in found] == [type(one) for one in expected]


BAD = {
    "entry": ({"feilds": {}}, UnknownNameError, "unknown entry of a sweep 'feilds' (did you mean 'fields'?)"),
    "preset": ({"preset": "best"}, UnknownNameError, "unknown preset 'best'"),
    "field": (
        {"fields": {"learning.lr_inptu": [1.0]}},
        UnknownNameError,
        "unknown setting 'learning.lr_inptu' (did you mean 'learning.lr_input'?)",
    ),
    "fixed": ({"set": {"learning.lr": 1}}, UnknownNameError, "unknown setting 'learning.lr'"),
    "empty": ({"fields": {"learning.batch": []}}, FieldError, "Sweep.fields.learning.batch: must be a list of 1 to"),
    "scalar": ({"fields": {"learning.batch": 4}}, FieldError, "Sweep.fields.learning.batch: must be a list of 1 to"),
    "twice": ({"fields": {"learning.batch": [1, 1]}}, FieldError, "each once"),
    "value": (
        {"fields": {"learning.batch": [1, 0]}},
        FieldError,
        "LearningConfig.batch: must be a whole number >= 1",
    ),
    "last of a range": (
        {"fields": {"device.mismatch.step": {"from": 0.0, "to": 0.6, "number": 3}}},
        FieldError,
        "DeviceMismatch.step: must be",
    ),
    "range": (
        {"fields": {"learning.batch": {"from": 1, "until": 3, "number": 3}}},
        UnknownNameError,
        "unknown entry of Sweep.fields.learning.batch 'until'",
    ),
    "no end": (
        {"fields": {"learning.batch": {"from": 1, "number": 3}}},
        FieldError,
        "Sweep.fields.learning.batch.to: must be a finite number, got None",
    ),
    "ratio": (
        {"fields": {"learning.lr_input": {"from": 0, "to": 1, "number": 3, "log": True}}},
        FieldError,
        "from and to above 0",
    ),
    "both": (
        {"set": {"learning.batch": 2}, "fields": {"learning.batch": [1, 2]}},
        FieldError,
        "Sweep.fields.learning.batch: must be named once",
    ),
    "seed as field": ({"fields": {"seed": [1, 2]}}, FieldError, "seeds under seeds"),
    "no seeds": ({"seeds": []}, FieldError, "Sweep.seeds: must be a list of at least one seed"),
    "seed": ({"seeds": [1, -1]}, FieldError, "Sweep.seeds: must be a whole number >= 0"),
    "seeds": ({"seeds": 5}, FieldError, "Sweep.seeds: must be a list of at least one seed, or {from, number}"),
    "case": ({"cases": {"a": 1}}, FieldError, "Sweep.cases: must be a mapping of values for each"),
    "case value": ({"cases": {"a": {"learning.batch": 0}}}, FieldError, "LearningConfig.batch"),
    "fields": ({"fields": ["a"]}, FieldError, "Sweep.fields: must be a mapping"),
    "trials": ({"trials": 0}, FieldError, "Job.trials: must be a whole number >= 1"),
    "metric": ({"metric": "los"}, UnknownNameError, "unknown metric 'los' (did you mean 'loss'?)"),
    "metric's name": ({"metric": ["loss"]}, UnknownNameError, "unknown metric ['loss']"),
    "set without names": ({"set": {1: 2}}, UnknownNameError, "unknown setting 1; known: "),
    "case without names": ({"cases": {"a": {1: 2}}}, UnknownNameError, "unknown setting 1; known: "),
    "judge": ({"metric": "held-out-loss"}, FieldError, "Sweep.judge: must be validation or test"),
    "name": ({"name": "../a"}, FieldError, "Sweep.name: must be letters"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named_before_anything_runs(case):
    values, kind, text = BAD[case]
    with pytest.raises(kind) as raised:
        Sweep.from_dict(values)
    assert text in str(raised.value)


def test_values_that_do_not_go_together_are_named_before_anything_runs(tmp_path):
    asked = Sweep(fields={"learning.batch": [1, 2], "learning.update_every": [0, 10]}, trials=10**9)
    with pytest.raises(FieldError, match="LearningConfig.batch: must be 1 where weights change inside a trial"):
        run(asked, Store(tmp_path), LocalPool(1))


@pytest.mark.parametrize("text", ["fields: [", "- a", "", "3"])
def test_text_that_is_no_sweep_is_named(text):
    with pytest.raises(PCMLabError, match="sweep: "):
        Sweep.from_text(text)


RATES = (
    "lr_input",
    "lr_recurrent",
    "lr_output",
    "rate_strength",
    "weight_strength",
    "readout_strength",
    "feedback_gain",
)


def test_ten_million_runs_are_counted_and_refused_without_being_built(monkeypatch):
    built, real = [], RunConfig.with_values
    monkeypatch.setattr(RunConfig, "with_values", lambda self, values: built.append(1) or real(self, values))
    values = {"from": 1e-6, "to": 1.0, "number": 10, "log": True}
    asked = Sweep(fields={f"learning.{name}": values for name in RATES}, seeds=[1])
    with pytest.raises(FieldError, match=r"Sweep.size: must be at most 10000 runs unless confirmed, got 10000000"):
        asked.jobs()
    first = next(iter(asked.jobs(confirmed=True)))
    assert len(built) < 100
    assert first.config.learning.lr_input == 1e-6


def test_the_estimate_is_the_mean_of_the_first_run_and_the_last_for_all_trials(monkeypatch):
    seconds = {2: 0.1, 4: 0.3}
    monkeypatch.setattr(sweep, "_trial", lambda config: seconds[config.precision.weight_bits])
    asked = Sweep.from_text(TEXT)
    assert asked.estimate(workers=3) == pytest.approx(0.2 * 4 * 12 / 3)
    assert asked.estimate(workers=100) == pytest.approx(0.2 * 4)


def test_the_estimate_times_real_trials():
    assert Sweep.from_text(TEXT).estimate() > 0.0


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    asked, store = Sweep.from_text(TEXT), Store(tmp_path_factory.mktemp("store"))
    workers = LocalPool(1)
    outcomes = list(run(asked, store, workers))
    workers.shutdown()
    return asked, store, outcomes


def test_a_table_has_a_row_per_run_and_a_typed_column_per_varied_field(done):
    asked, store, outcomes = done
    table = asked.table(store)
    assert list(table.columns[:4]) == ["precision.weight_bits", "device.mismatch.step", "seed", "key"]
    assert [str(kind) for kind in table.dtypes.iloc[:3]] == ["int64", "float64", "int64"]
    assert dict(zip(table["key"], table["loss"], strict=True)) == {o.job.key: o.curve[-1].loss for o in outcomes}
    assert set(table["torch"]) == set(store.runs()["torch"])


def test_a_summary_is_over_the_seeds_of_each_cell(done):
    asked, store, outcomes = done
    summary = asked.summary(store)
    assert len(summary) == 6
    line = summary[(summary["precision.weight_bits"] == 4) & (summary["device.mismatch.step"] == 0.25)].iloc[0]
    cell = [
        o.curve[-1].loss
        for o in outcomes
        if (o.job.config.precision.weight_bits, o.job.config.device.mismatch.step) == (4, 0.25)
    ]
    assert line["mean"] == pytest.approx(statistics.mean(cell))
    assert line["sd"] == pytest.approx(statistics.stdev(cell))
    assert (line["minimum"], line["maximum"], line["number"]) == (min(cell), max(cell), 2)


def test_a_sweep_that_is_not_finished_has_the_rows_that_there_are(done, tmp_path):
    asked, _, outcomes = done
    store = Store(tmp_path)
    assert asked.table(store).empty
    assert asked.summary(store).empty
    store.add(outcomes[3])
    assert list(asked.table(store)["key"]) == [outcomes[3].job.key]
    assert list(asked.summary(store)["number"]) == [1]


def test_seeds_alone_are_a_sweep_of_one_cell(done, tmp_path):
    asked = Sweep.from_dict({**Sweep.from_text(TEXT).to_dict(), "fields": {"precision.weight_bits": [2]}})
    alone = Sweep.from_dict({**asked.to_dict(), "fields": {}, "set": {**asked.set, "precision.weight_bits": 2}})
    assert [job.key for job in alone.jobs()] == [job.key for job in asked.jobs()]
    store = Store(tmp_path)
    for job in alone.jobs():
        store.add(perform(job))
    assert list(alone.summary(store)["number"]) == [2]


def test_the_store_keeps_the_sweep_as_a_group_from_which_it_is_opened_again(done):
    asked, store, _ = done
    group = store.group("grain")
    assert (group.kind, group.keys) == ("sweep", tuple(job.key for job in asked.jobs()))
    assert Sweep.from_dict(group.about).table(store).equals(asked.table(store))


def test_floating_point_and_schemes_stand_in_tables_as_people_write_them():
    asked = Sweep(
        fields={"scheme": ["sign", {"name": "sign", "threshold": 3.0}], "precision.weight_bits": [None, 4]}, seeds=[1]
    )
    told = [tuple(labels[name] for name in asked.varied) for labels, _ in asked.runs()]
    assert told == [("sign", None), ("sign", 4), ("sign threshold=3.0", None), ("sign threshold=3.0", 4)]
    assert sweep.CASE not in asked.varied


def test_texts_of_a_sweep_are_what_their_settings_take():
    asked = Sweep.from_text(
        "name: 2024-01-01\nset: {task: {name: csv, spikes: 010, targets: 1:30}}\n"
        "fields: {precision.weight_bits: [none, 4], learning.lr_input: {from: 1e-5, to: 1e-3, number: 3, log: true}}\n"
        "cases: {on: {learning.batch: 02}, off: {}}\nseeds: [1, 2]\ntrials: 010\n"
    )
    assert (asked.name, asked.trials, asked.seeds) == ("2024-01-01", 10, [1, 2])
    assert asked.set["task"] == {"name": "csv", "spikes": "010", "targets": "1:30"}
    assert asked.axes[0].values == (None, 4)
    assert asked.axes[1].values == (1e-05, 0.0001, 0.001)
    assert asked.cases == {"on": {"learning.batch": 2}, "off": {}}
    assert Sweep.from_dict(json.loads(json.dumps(asked.to_dict()))) == asked


def test_a_block_that_stands_twice_is_refused_with_both_lines():
    text = "preset: sign\nfields:\n  network.hidden: [20, 30]\n  network.hidden: [40]\nseeds: [1]\n"
    with pytest.raises(PCMLabError, match="^sweep: 'network.hidden' stands twice, in line 3 and in line 4; expected"):
        Sweep.from_text(text)
