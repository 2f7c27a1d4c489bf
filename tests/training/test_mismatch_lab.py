"""The mismatch lab: who is trained where, which chip is which, and what is counted."""

from __future__ import annotations

import multiprocessing
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pyarrow import parquet

from pcmsim.errors import FieldError, UnknownNameError
from training import cli
from training.evaluation import evaluate
from training.mismatch_lab import (
    ARMS,
    IDEAL,
    PARAMETERS,
    Exam,
    Result,
    Study,
    on_chip,
    perform,
    run,
    summary,
)  # fmt: skip
from training.pools import NAME, WorkerDiedError
from training.presets import PRESETS
from training.session import Session
from training.studies import table

TASK = {"name": "evidence", "cues": 3, "cue": 0.02, "gap": 0.01, "delay": 0.02, "recall": 0.02}
BASE = PRESETS["evidence"].config.with_values(
    {"task": TASK, "network.hidden": 20, "network.threshold": 0.1, "learning.batch": 4, "network.tau_synapse": 3e-3}
)
SMALL = Study(BASE, 8, levels=(0.2, 0.5), parameters=("all", "weights"), arms=tuple(ARMS), seeds=(1, 2), chips=3)


def test_each_training_happens_once_and_in_its_place() -> None:
    """Per seed: one ideal training for all that is loaded, and one per arm in the loop, parameter and level."""
    jobs = SMALL.jobs()
    assert len(jobs) == 2 * (1 + 2 * 2 * 2)
    ideal, *trained = jobs[: len(jobs) // 2]
    assert ideal.config == BASE.with_values({"seed": 1})
    assert [exam.arm for exam in ideal.exams] == [IDEAL] + 4 * ["transferred"]
    assert [exam.chips for exam in ideal.exams] == [1, 3, 3, 3, 3]
    for job in trained:
        (exam,) = job.exams
        wanted = dict.fromkeys(PARAMETERS[exam.parameter], exam.level)
        assert exam.config == BASE.with_values({"seed": 1, **wanted})
        assert job.config == exam.config.with_values(ARMS[exam.arm].values)
        assert job.config.learning.eligibility == ("true" if exam.arm == "true-eligibility" else "nominal")


@pytest.mark.parametrize("parameter", PARAMETERS)
def test_a_loaded_network_keeps_its_weights_and_meets_the_chip_of_its_seed(parameter: str) -> None:
    session = Session(BASE)
    session.step()
    config = BASE.with_values(dict.fromkeys(PARAMETERS[parameter], 0.3))
    exam, native = Exam(parameter, "transferred", 0.3, config, 3), Session(config)
    first, second = on_chip(session, exam, 0), on_chip(session, exam, 2)
    for moved in (first, second):
        for mine, theirs in zip(moved.arrays, session.arrays, strict=True):
            assert torch.equal(mine.stored_weights(), theirs.stored_weights())
    same, other = (_constants(chip) for chip in (first, second))
    assert all(map(np.array_equal, same, _constants(native)))
    assert not all(map(np.array_equal, same, other))
    assert not all(map(np.array_equal, same, _constants(session)))


def _constants(session: Session) -> list[np.ndarray]:
    factors = [np.ones(1) if array.factor is None else array.factor.numpy() for array in session.arrays]
    return [*session.network.dynamics.cell, *session.network.dynamics.out, *factors]


@pytest.mark.parametrize("wrong", [0, 7, 20])
def test_accuracy_is_the_share_of_right_decisions(wrong: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples whose label is what the network answers, but for a known number of them."""
    session = Session(BASE)
    samples = [session.sampler.sample(100 + trial) for trial in range(20)]
    answers = []
    for number, sample in enumerate(samples):
        asked = session.fork()
        monkeypatch.setattr(asked.sampler, "sample", lambda trial, sample=sample: sample)
        answers.append(asked.step().decision)
        samples[number] = replace(sample, label=answers[-1] if number >= wrong else 1 - answers[-1])
    monkeypatch.setattr(session.sampler, "evaluation", lambda part: samples)
    before = [array.stored_weights().clone() for array in session.arrays]
    assert evaluate(session).accuracy == pytest.approx(1.0 - wrong / 20)
    assert all(torch.equal(a.stored_weights(), b) for a, b in zip(session.arrays, before, strict=True))


def test_processes_find_what_one_process_finds() -> None:
    study = replace(
        SMALL, levels=(0.5,), parameters=("all",), arms=("in-the-loop", "transferred"), seeds=(1,), trials=4
    )
    alone = [perform(job) for job in study.jobs()]
    assert list(run(study, workers=2)) == alone
    assert [(r.arm, r.chip) for job in alone for r in job] == [
        (IDEAL, 0), ("transferred", 0), ("transferred", 1), ("transferred", 2), ("in-the-loop", 0),
    ]  # fmt: skip
    assert all(0.0 <= r.accuracy <= 1.0 for job in alone for r in job)


def test_a_killed_process_is_told_in_one_line() -> None:
    def kill() -> None:
        while not over.wait(0.01):
            for child in multiprocessing.active_children():
                if child.name == NAME:
                    child.kill()

    study, over = replace(SMALL, trials=10**6), threading.Event()
    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(WorkerDiedError, match=r"^worker process \d+ has ended before its run was done$"):
        list(run(study, workers=2))
    over.set()
    killer.join()
    assert [child for child in multiprocessing.active_children() if child.name == NAME] == []


def test_the_summary_is_mean_spread_and_minimum() -> None:
    found = [0.9, 0.7, 0.8]
    results = [Result("all", "transferred", 0.2, seed, 0, value) for seed, value in enumerate(found)]
    results.append(Result("all", "transferred", 0.3, 1, 0, 0.5))
    told = summary(results)
    assert told["level"] == [0.2, 0.3]
    assert told["mean"] == pytest.approx([np.mean(found), 0.5])
    assert told["sd"] == pytest.approx([np.std(found, ddof=1), 0.0])
    assert (told["minimum"], told["maximum"], told["number"]) == ([0.7, 0.5], [0.9, 0.5], [3, 1])
    assert table(results)["accuracy"] == [*found, 0.5]


BAD = [
    ({"levels": (0.2, 0.6)}, r"NetworkConfig.tau_mismatch: must be a finite number >= 0 and <= 0.5, got 0.6"),
    ({"levels": (0.0,)}, r"Study.levels: must be above 0"),
    ({"levels": ()}, r"Study.levels: must be at least one, each once"),
    ({"seeds": (1, 1)}, r"Study.seeds: must be at least one, each once"),
    ({"trials": 0}, r"Study.trials: must be a whole number >= 1, got 0"),
    ({"chips": 0}, r"Study.chips: must be a whole number >= 1, got 0"),
    ({"base": PRESETS["float32"].config}, r"Study.base.task: must be a classification task, got 'Pattern'"),
]


@pytest.mark.parametrize(("values", "text"), BAD)
def test_what_makes_no_study_is_refused_at_the_door(values: dict, text: str) -> None:
    with pytest.raises(FieldError, match=text):
        replace(SMALL, **values)


@pytest.mark.parametrize(("values", "text"), [
    ({"arms": ("in-loop",)}, "unknown arm 'in-loop'"), ({"parameters": ("taus",)}, "unknown mismatched parameter 'taus'"),
])  # fmt: skip
def test_unknown_names_are_named(values: dict, text: str) -> None:
    with pytest.raises(UnknownNameError, match=text):
        replace(SMALL, **values)


COMMAND = [
    "mismatch", "evidence", "--set", "task={name: evidence, cues: 3, cue: 0.02, gap: 0.01, delay: 0.02, recall: 0.02}",
    "--set", "network.hidden=12", "--quiet", "--trials", "2", "--levels", "0.3", "--parameters", "weights",
    "--seeds", "1", "--chips", "2",
]  # fmt: skip


def test_the_command_prints_a_summary_and_writes_all_results(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*COMMAND, "--out", str(tmp_path / "lab.parquet")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == ["arm", IDEAL, "transferred", "in-the-loop"]
    frame = parquet.read_table(tmp_path / "lab.parquet").to_pandas()
    assert list(frame) == list(Result.__dataclass_fields__)
    assert frame["chip"].tolist() == [0, 0, 1, 0]
    assert f"{frame['accuracy'][0]:.3f}" in lines[1]


@pytest.mark.parametrize("bad", [
    ["--levels", "0.9"], ["--levels", "much"], ["--arms", "none"], ["--trials", "0"], ["--out", "lab.txt"],
    ["--out", "/no/such/folder/lab.csv"], ["--set", "task=pattern"], ["--set", "learning.rule=rtrl"],
])  # fmt: skip
def test_bad_arguments_are_one_line_and_code_2(bad: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = cli.main([*COMMAND, *bad])
    except SystemExit as stop:
        code = int(stop.code or 0)
    told = capsys.readouterr()
    assert code == 2
    assert told.out == ""
    assert len(told.err.splitlines()) == 1
    assert told.err.startswith("pcmlab: ")
