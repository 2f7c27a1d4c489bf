"""Scores of a classifier: what was decided, and nothing of the run is changed by asking."""

from __future__ import annotations

import math

import numpy as np
import pytest

from app.exam import EXAMPLES, MEMORY, Exam
from training.config import RunConfig
from training.evaluation import answers, next_trial
from training.presets import PRESETS
from training.session import Session

DIGITS = PRESETS["digits"].config.with_values({"network.hidden": 20})


def taken(config: RunConfig, trials: int) -> tuple[Exam, Session, list[float], list[tuple[int, int]]]:
    """An exam after some trials; what it said of samples held out, and the decisions."""
    session = Session(config)
    exam, held, decisions = Exam(session), [], []
    for record in session.run(trials):
        held.append(exam.take(record))
        decisions.append((record.label, record.decision))
    return exam, session, held, decisions


def test_the_confusion_counts_what_was_decided() -> None:
    exam, _, _, decisions = taken(DIGITS, 40)
    scores = exam.scores()
    expected = np.zeros((10, 10), int)
    np.add.at(expected, tuple(np.array(decisions).T), 1)
    assert np.array_equal(scores.confusion, expected)
    assert scores.accuracy == np.mean([label == decision for label, decision in decisions])
    assert len(decisions) < MEMORY


def test_examples_are_the_latest_trials_and_the_latest_mistakes() -> None:
    exam, session, _, decisions = taken(DIGITS, 40)
    scores = exam.scores()
    assert [example.trial for example in scores.latest] == list(range(39, 39 - EXAMPLES, -1))
    wrong = [trial for trial, (label, decision) in enumerate(decisions) if label != decision]
    assert [example.trial for example in scores.mistakes] == wrong[::-1][:EXAMPLES]
    sample = session.sampler.sample(39)
    assert np.array_equal(scores.latest[0].image, session.sampler.image(sample))
    assert scores.latest[0].label == sample.label


def test_samples_held_out_are_asked_about_with_the_networks_own_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.exam.SHARE", 1e9)
    session = Session(DIGITS)
    exam = Exam(session)
    [record] = session.run(1)
    held = exam.take(record)
    sample = session.sampler.evaluation("validation")[0]
    [(_, activity)] = answers(session, [sample], next_trial(session, session.device_time))
    decision = session.sampler.objective.decide(activity.output, sample)
    assert held == float(decision == sample.label)
    assert exam.scores().held_confusion[sample.label, decision] == 1


def test_who_asks_does_not_change_the_run() -> None:
    _, asked, _, _ = taken(DIGITS, 30)
    alone = Session(DIGITS)
    for _ in alone.run(30):
        pass
    for mine, theirs in zip(asked.arrays, alone.arrays, strict=True):
        assert np.array_equal(mine.stored_weights(), theirs.stored_weights())


def test_asking_takes_a_small_share_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that only moves while asking: one second each time, and a trial takes a tenth."""
    clock = [0.0]
    monkeypatch.setattr("app.exam.time.perf_counter", lambda: clock[0])
    session = Session(DIGITS)
    exam, asked = Exam(session), []

    def question():
        while True:
            clock[0] += 0.1
            asked.append(clock[0])
            yield

    exam._questions = question()
    [record] = session.run(1)
    trial = type(record)(**{**vars(record), "seconds": 0.1})
    for _ in range(1000):
        exam.take(trial)
    assert len(asked) == pytest.approx(0.1 * 1000, rel=0.05)


def test_regression_has_no_scores() -> None:
    session = Session(RunConfig().with_values({"network.hidden": 10, "task.duration": 0.1}))
    exam = Exam(session)
    [record] = session.run(1)
    assert math.isnan(exam.take(record))
    assert exam.scores() is None
