"""Tuned settings as files: whole, or named as what they are not."""

from __future__ import annotations

import dataclasses

import pytest

from pcmsim.errors import FileError, UnknownNameError
from training.config import RunConfig
from training.jobs import METRICS
from training.loading import configuration
from training.presets import PRESETS
from training.search import FIRST_SEED
from training.spaces import SPACES
from training.tuned_presets import Record, Tuned, from_yaml, shipped

SHIPPED = dict(shipped())
RECORD = Record("s", evaluations=3, finished=2, pruned=1, best=0.1, untuned=0.2, seeds=(1001,), each=(0.1,))
FOUND = Tuned("Found.", {"learning.lr_input": 2e-3, "scheme": {"name": "sign", "threshold": 3.0}}, RECORD)


def test_a_file_holds_what_was_found(tmp_path):
    path = tmp_path / "found.yaml"
    path.write_text(FOUND.to_yaml(), encoding="utf-8")
    assert from_yaml(path) == FOUND
    assert configuration(str(path)) == RunConfig().with_values(FOUND.values)
    assert "3 evaluations of 0 fields, 2 in full, each with seeds 1001; loss 0.1, untuned 0.2" in FOUND.source


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "Tuned: must be a mapping"),
        ("summary: [", "holds no tuned settings"),
        ("summary: no more\n", "missing 2 required"),
        (FOUND.to_yaml() + "valeus: {}\n", "unknown field of Tuned 'valeus'"),
        (FOUND.to_yaml().replace("best: 0.1", "best: good"), "Record.best: must be a finite number"),
        (FOUND.to_yaml().replace("pruned:", "prnued:"), "did you mean 'pruned'"),
        ("summary: a\nrecord: {}\nvalues: 5\n", "Tuned.values: must be a mapping of dotted names to values, got '5'"),
    ],
)
def test_files_that_are_none_are_named(tmp_path, text, problem):
    path = tmp_path / "bad.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FileError, match=problem) as error:
        from_yaml(path)
    assert "bad.yaml" in str(error.value)


def test_values_without_names_are_named_where_they_are_used(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("summary: a\nrecord: {}\nvalues: {1: 2}\n", encoding="utf-8")
    with pytest.raises(UnknownNameError, match="unknown setting '1'; known: "):
        configuration(str(path))


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileError, match="none.yaml"):
        from_yaml(tmp_path / "none.yaml")


@pytest.mark.parametrize("task", sorted({name.split("-")[0] for name in SHIPPED}))
def test_schemes_of_a_task_had_the_same_budget(task):
    records = {name: tuned.record for name, tuned in SHIPPED.items() if name.startswith(f"{task}-")}
    compared = set(SPACES) - {"mixed-precision-adam"}  # Can be tuned, but is none of the published schemes.
    assert set(records) == {f"{task}-{scheme}" for scheme in compared}
    equal = {(told.evaluations, told.seeds, told.trials, told.metric, len(told.fields)) for told in records.values()}
    assert len(equal) == 1


@pytest.mark.parametrize("name", SHIPPED)
def test_tuned_presets_are_presets_with_their_study(name):
    tuned, told = SHIPPED[name], SHIPPED[name].record
    assert PRESETS[name].values == tuned.values
    assert PRESETS[name].config.scheme.digital is False
    assert PRESETS[name].config == RunConfig().with_values(tuned.values)
    assert told.finished + told.pruned == told.evaluations
    assert min(told.seeds) >= FIRST_SEED
    assert sum(told.each) / len(told.each) == pytest.approx(told.best)
    assert set(told.importance) in (set(), set(told.fields))
    better = {"minimize": min, "maximize": max}[METRICS[told.metric].direction]
    assert told.untuned is None or better(told.best, told.untuned) == told.best


def test_a_record_is_checked():
    with pytest.raises(ValueError, match="Record.pruned: must be a whole number >= 0"):
        dataclasses.replace(RECORD, pruned=-1)
