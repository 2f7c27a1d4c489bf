"""Companions of the learning curve: pins are copies, the twin and ideal weights follow, each under its name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from app_kit import until

from app import reference as references
from app.history import SMOOTHING, Curve
from app.pages import comparison as module
from app.pages.comparison import MOST_PINS, Comparison, describe
from app.shot import Shot, Twin
from training.config import RunConfig
from training.presets import PRESETS
from training.session import Session
from training.twin import NON_IDEALITIES, ideal

TINY = RunConfig().with_values(
    {"network.hidden": 8, "network.threshold": 0.02, "task": {"name": "pattern", "inputs": 5, "duration": 0.05}}
)
PORTION = 8


def shot_of(config: RunConfig = TINY, trials: int = 3) -> Shot:
    curve, record = Curve(), None
    for record in Session(config).run(trials):
        curve.append(record)
    return Shot(1, 1, False, config, 0, record, curve)


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(references, "AHEAD", PORTION)


@pytest.fixture
def drawn() -> list[int]:
    return []


@pytest.fixture
def comparison(drawn: list[int]) -> Comparison:
    comparison = Comparison(lambda: drawn.append(1))
    comparison.ideal.value = False
    drawn.clear()
    return comparison


def labels(comparison: Comparison) -> list[str]:
    return [chip.label for chip in comparison.chips if chip.visible]


def close(chip: Any) -> None:
    chip.clicks += 1


def test_a_pin_is_a_copy_that_the_run_leaves_behind(comparison: Comparison, drawn: list[int]) -> None:
    shot = shot_of()
    before = {name: column.copy() for name, column in shot.curve.columns().items()}
    assert comparison.pin(shot) == "Pinned: Mixed precision, 4 bit, seed 42."
    shot.curve.columns()["loss"][:] = -1.0
    shot.curve.append(shot.record)
    (ghost,) = comparison.ghosts(shot)
    assert (ghost.label, ghost.kind) == ("Mixed precision, 4 bit, seed 42", "pin")
    assert all(np.array_equal(ghost.table[name], column, equal_nan=True) for name, column in before.items())
    assert ghost.table["trial"].tolist() == [0, 1, 2]
    assert len(drawn) == 1


def test_one_pin_too_many_makes_the_oldest_go(comparison: Comparison) -> None:
    shots = [shot_of(TINY.with_values({"seed": seed}), 1) for seed in range(MOST_PINS + 1)]
    said = [comparison.pin(shot) for shot in shots]
    assert said[MOST_PINS - 1] == "Pinned: Mixed precision, 4 bit, seed 3."
    assert said[MOST_PINS] == "Pinned: Mixed precision, 4 bit, seed 4. Mixed precision, 4 bit, seed 0 made room."
    expected = [f"Mixed precision, 4 bit, seed {seed}" for seed in range(1, MOST_PINS + 1)]
    assert labels(comparison) == [ghost.label for ghost in comparison.ghosts(shots[0])] == expected
    assert [ghost.table["loss"][0] for ghost in comparison.ghosts(shots[0])] == [s.record.loss for s in shots[1:]]


def test_a_chip_removes_its_own_pin(comparison: Comparison, drawn: list[int]) -> None:
    assert not comparison.pins.visible
    for seed in range(3):
        comparison.pin(shot_of(TINY.with_values({"seed": seed}), 1))
    drawn.clear()
    close(comparison.chips[1])
    assert labels(comparison) == [f"Mixed precision, 4 bit, seed {seed}" for seed in (0, 2)]
    close(comparison.chips[1])
    assert labels(comparison) == ["Mixed precision, 4 bit, seed 0"]
    close(comparison.chips[0])
    assert (labels(comparison), comparison.ghosts(shot_of()), comparison.pins.visible) == ([], [], False)
    assert len(drawn) == 3


def test_ideal_weights_are_the_same_run_on_them_as_far_ahead_as_wanted(comparison: Comparison) -> None:
    shot = shot_of(config := TINY.with_values({"seed": 101}))
    assert comparison.ghosts(shot) == []
    comparison.ideal.value = True
    comparison.ghosts(shot)
    until(lambda: comparison._reference.done == shot.record.trial + PORTION)
    (ghost,) = comparison.ghosts(shot)
    assert (ghost.label, ghost.kind) == ("ideal weights", "reference")
    expected = [record.loss for record in Session(ideal(config)).run(shot.record.trial + PORTION)]
    assert ghost.table["loss"].tolist() == expected


def test_ideal_weights_that_get_on_are_news_for_a_run_that_stands_still(
    comparison: Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "NEWS", 5)
    comparison.ideal.value = True
    assert comparison.news == 0
    comparison.ghosts(shot := shot_of(TINY.with_values({"seed": 102}), 3))
    until(lambda: comparison._reference.done == shot.record.trial + PORTION)
    assert comparison.news == 2


@pytest.mark.parametrize(
    "values", [{"device.mismatch.step": 0.3}, {"device.constants.read_noise": 0.5}, {"costs.set_pulse": 1e-12}]
)
def test_ideal_weights_do_not_begin_anew_for_settings_of_the_devices(
    values: dict[str, Any], comparison: Comparison
) -> None:
    comparison.ideal.value = True
    found = []
    for config in (TINY, TINY.with_values(values)):
        comparison.ghosts(shot_of(config, 1))
        found.append(comparison._reference)
    until(lambda: all(each.done >= PORTION and not each._asked for each in found))
    assert found[0] is found[1]


def test_ideal_weights_begin_anew_for_settings_that_they_have(comparison: Comparison) -> None:
    comparison.ideal.value = True
    found = []
    for threshold in (0.02, 0.03, 0.02):
        comparison.ghosts(shot_of(TINY.with_values({"network.threshold": threshold}), 1))
        found.append(comparison._reference)
    until(lambda: all(each.done >= PORTION and not each._asked for each in found))
    assert [each.config.network.threshold for each in found] == [0.02, 0.03, 0.02]
    first, other, again = (each.curve.columns()["loss"][:PORTION].tolist() for each in found)
    assert first == again != other


def test_a_digital_run_is_its_own_ideal(comparison: Comparison) -> None:
    comparison.ideal.value = True
    digital = ideal(TINY)
    assert comparison.ghosts(shot_of(digital)) == []
    assert comparison._reference is None


@pytest.mark.parametrize("name", NON_IDEALITIES)
def test_the_twin_is_named_after_what_it_lacks(name: str, comparison: Comparison) -> None:
    shot, other = shot_of(), shot_of(TINY.with_values({"seed": 5}))
    assert comparison.ghosts(replace(shot, twin=Twin(name))) == []
    (ghost,) = comparison.ghosts(replace(shot, twin=Twin(name, other.record, other.curve)))
    said = {
        "write-noise": "without write noise",
        "read-noise": "without read noise",
        "drift": "without drift",
        "device-mismatch": "without device mismatch",
        "neuron-mismatch": "without neuron mismatch",
        "cores": "without cores and converters",
        "bits": "without weight rounding",
    }
    assert (ghost.label, ghost.kind) == (said[name], "twin")
    assert ghost.table["loss"].tolist() == other.curve.columns()["loss"].tolist()


def test_both_controls_ask_for_a_new_picture(comparison: Comparison, drawn: list[int]) -> None:
    assert comparison.trials == SMOOTHING
    comparison.smoothing.value = 7
    assert (comparison.trials, len(drawn)) == (7.0, 1)
    comparison.ideal.value = True
    assert len(drawn) == 2


@pytest.mark.parametrize(
    ("preset", "values", "said"),
    [
        ("mixed-precision", {"seed": 7}, "Mixed precision, 4 bit, seed 7"),
        ("mixed-precision", {"precision.weight_bits": None}, "Mixed precision, FP32, seed 42"),
        ("mixed-precision", {"device.mismatch.step": 0.25}, "Mixed precision, 4 bit, 25% mismatch, seed 42"),
        ("sign", {}, "Sign, seed 42"),
        ("float32", {"precision.weight_bits": 6}, "Float32, 6 bit, seed 42"),
    ],
)
def test_a_run_in_a_few_words(preset: str, values: dict[str, Any], said: str) -> None:
    assert describe(PRESETS[preset].config.with_values(values)) == said
