"""The page's sentences: the rules' most pressing findings, as harmless text."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from app.history import Curve, Point
from app.shot import Shot
from app.views import happening
from training import rules
from training.config import RunConfig
from training.session import Session
from training.situation import Finding

TINY = RunConfig().with_values(
    {"network.hidden": 20, "network.threshold": 0.02, "task": {"name": "pattern", "inputs": 10, "duration": 0.2}}
)


@pytest.fixture(scope="module")
def shot() -> Shot:
    session, curve = Session(TINY), Curve()
    for record in session.run(6):
        curve.append(record)
    return Shot(1, 1, False, TINY, 0, record, curve)


def test_before_the_first_trial_it_says_so() -> None:
    assert "first trial is under way" in happening.html(Shot(0, 0, False, TINY))


def test_the_most_pressing_findings_come_first(shot: Shot) -> None:
    found = happening.findings(shot)
    assert 1 <= len(found) <= happening.MOST
    assert [f.severity for f in found] == sorted((f.severity for f in found), reverse=True)
    names = re.findall(r'data-rule="([^"]+)"', happening.html(shot))
    assert names == [finding.name for finding in found]


def test_an_ill_run_is_an_alarm(shot: Shot) -> None:
    assert 'class="happening alarm"' not in happening.html(shot)
    ill = replace(shot, record=replace(shot.record, status="diverged"))
    assert 'class="happening alarm"' in happening.html(ill)
    assert "run away" in happening.html(ill)


def test_progress_gives_no_advice_after_something_pressing(shot: Shot, monkeypatch: pytest.MonkeyPatch) -> None:
    said = [Finding("a", 3, "It broke.", "Mend it.", ""), Finding("b", 0, "Nothing learned.", "Wait.", "")]
    monkeypatch.setattr(rules, "findings", lambda situation: said)
    assert re.sub("<[^>]+>", " ", happening.html(shot)).split() == [
        "It",
        "broke.",
        "Mend",
        "it.",
        "Nothing",
        "learned.",
    ]


def test_hostile_words_are_only_words(shot: Shot, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = "<script>alert(1)</script>"
    monkeypatch.setattr(rules, "findings", lambda situation: [Finding(bad, 3, bad, bad, bad)])
    assert "<script>" not in happening.html(shot)


@pytest.mark.parametrize("first", [0, 500])
def test_what_was_learned_and_lost_again_is_said_but_not_of_luck_in_the_first_trials(shot: Shot, first: int) -> None:
    """Trials of error 0 come first, or later, before those of a silent network; a run may have been taken up."""
    assert said_last(shot, [0.0] * 5 + [1.0] * 300, first) == "nothing-yet"
    assert said_last(shot, [1.0] * 100 + [0.0] * 100 + [1.0] * 300, first) == "forgotten"


def said_last(shot: Shot, losses: list[float], first: int) -> str:
    curve, silence = Curve(), shot.record.baseline
    for trial, loss in enumerate(losses, first):
        curve.append(Point(trial, loss * silence, silence, 10.0, True))
    return re.findall(r'data-rule="([^"]+)"', happening.html(replace(shot, curve=curve)))[-1]


def test_a_network_that_learned_and_was_silenced_has_lost_it(shot: Shot) -> None:
    session, curve = Session(TINY.with_values({"scheme": "float32", "precision.weight_bits": None})), Curve()
    for record in session.run(300):
        curve.append(record)
    learning = replace(shot, record=record, curve=curve, config=session.config)
    assert happening.findings(learning)[-1].name in ("learning", "learned")
    session.configure(session.config.with_values({"network.threshold": 500.0}))
    for record in session.run(150):
        curve.append(record)
    silenced = replace(shot, record=record, curve=curve, config=session.config)
    assert [finding.name for finding in happening.findings(silenced)] == ["silent", "forgotten"]
