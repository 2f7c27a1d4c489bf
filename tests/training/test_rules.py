"""What is said of a run: each rule speaks above its threshold, keeps quiet below, and is right about real runs."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pcmsim.errors import UnknownNameError
from training import rules
from training.config import RunConfig
from training.core_meters import CoreMeters
from training.meters import Meters, measure
from training.presets import MIXED, PRESETS
from training.records import TrialRecord
from training.rules import RULES, Finding, Situation, findings
from training.session import Session
from training.spikes import Spikes

ALL_QUIET = Meters(
    write_error=2.6, read_noise=0.2, drift=0.15, rounding=0.94, saturated=0.0, stuck=0.0,
    cosine=0.3, asked_pulses=0.6, silent=0.3, busiest=0.4,
)  # fmt: skip
"""Meters of the published run, in which nothing is wrong."""

BASELINE = 0.2
SMALL = {"network.hidden": 30, "task": {"name": "pattern", "inputs": 20, "duration": 0.2, "rate": 100.0}}
RATES = ("learning.lr_input", "learning.lr_recurrent", "learning.lr_output")


def record(status: str = "ok", loss: float = 0.2, rate: float = 12.0) -> TrialRecord:
    none, nothing = Spikes(np.empty(0, np.int32), np.empty(0, np.int32)), np.empty(0)
    return TrialRecord(
        trial=99, sample=0, loss=loss, baseline=BASELINE, rate=rate, label=-1, decision=-1, sets=0, resets=0, total_sets=0, total_resets=0,
        total_reads=0, device_time=0.0, seconds=0.0, status=status, message="", inputs=none, hidden=none,
        voltage=nothing, raised=nothing, output=nothing, target=nothing, error=nothing, probe=nothing,
    )  # fmt: skip


def config(**values: Any) -> RunConfig:
    return RunConfig().with_values({key.replace("__", "."): value for key, value in values.items()})


def moment(
    meters: dict[str, Any] | None = None,
    values: dict[str, Any] | None = None,
    share: float = 1.0,
    trials: int = 100,
    best: float = math.inf,
    **about: Any,
) -> Situation:
    """A run that does not learn, and in which nothing else is wrong; `best` over that of a silent network."""
    shown, changed = dataclasses.replace(ALL_QUIET, **(meters or {})), RunConfig().with_values(values or {})
    return Situation(record(**about), shown, changed, share * BASELINE, trials, best=best * BASELINE)


def names(seen: Situation) -> set[str]:
    return {finding.name for finding in findings(seen)}


def the(name: str, seen: Situation) -> Finding:
    return next(finding for finding in findings(seen) if finding.name == name)


LOSING: dict[str, Any] = {"scheme": "multi-memristor"}

METER_RULES: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ("stuck-pairs", {"stuck": 0.06}, {"stuck": 0.02}, {"stuck": None}, {}),
    ("one-sided-pairs", {"saturated": 0.11}, {"saturated": 0.1}, {"saturated": None}, {}),
    ("saturated-converters", {"core": CoreMeters(0.1, clipped=0.06)}, {"core": CoreMeters(0.1, clipped=0.05)}, {"core": CoreMeters(0.1)}, {}),
    ("saturated-converters", {"core": CoreMeters(0.1, clipped=0.06)}, {"core": None}, {}, {}),
    ("conversion-noise", {"core": CoreMeters(0.1, noise=1.01)}, {"core": CoreMeters(0.1, noise=1.0)}, {"core": CoreMeters(0.1)}, {}),
    ("conversion-noise", {"core": CoreMeters(0.1, noise=1.01)}, {"core": None}, {}, {}),
    ("lost", {"asked_pulses": 0.49}, {"asked_pulses": 1.0}, {"asked_pulses": None}, LOSING),
    ("slow", {"asked_pulses": 0.019}, {"asked_pulses": 0.02}, {"asked_pulses": None}, {}),
    ("slow", {"asked_pulses": 0.0099}, {"asked_pulses": 0.0101}, {"asked_pulses": None}, {"scheme": "stochastic"}),
    ("rounded", {"rounding": 0.91, "asked_pulses": 2.0}, {"rounding": 0.9, "asked_pulses": 2.0}, {"rounding": None}, LOSING),
    ("rounded", {"rounding": 0.91, "asked_pulses": None}, {"rounding": 0.9, "asked_pulses": None}, {"rounding": None}, {"scheme": "float32"}),
    ("few-neurons", {"silent": 0.81}, {"silent": 0.8}, {"silent": 0.0}, {}),
    ("mismatch", {"mismatch": 0.2, "silent": 0.35}, {"mismatch": 0.2, "silent": 0.3}, {"mismatch": None, "silent": 0.35}, {}),
    ("mismatch", {"mismatch": 0.2, "busiest": 0.6}, {"mismatch": 0.2, "busiest": 0.5}, {"mismatch": None, "busiest": 0.6}, {}),
    ("mismatch", {"mismatch": 0.1, "silent": 0.35}, {"mismatch": 0.09, "silent": 0.35}, {"mismatch": None}, {}),
    ("mismatch", {"threshold_mismatch": 0.2, "silent": 0.35}, {"threshold_mismatch": 0.09, "silent": 0.35}, {}, {}),
    ("read-noise", {"read_noise": 1.01}, {"read_noise": 1.0}, {"read_noise": None}, {}),
    ("write-noise", {"write_error": 3.01}, {"write_error": 3.0}, {"write_error": None}, {}),
    ("drift", {"drift": 0.31}, {"drift": 0.3}, {"drift": None}, {}),
    ("disagree", {"cosine": 0.19}, {"cosine": 0.2}, {"cosine": None}, {"scheme": "sign"}),
    ("disagree", {"cosine": -0.5}, {"cosine": 0.2}, {"cosine": None}, LOSING),
]  # fmt: skip
"""Name, meters above the threshold, on the quiet side of it, without the meter; settings."""


@pytest.mark.parametrize(("name", "above", "below", "missing", "values"), METER_RULES)
def test_a_rule_speaks_beyond_its_threshold_only(name: str, above, below, missing, values) -> None:
    assert name in names(moment(above, values))
    assert name not in names(moment(below, values))
    assert name not in names(moment(missing, values))


def test_nothing_is_wrong_with_the_published_run() -> None:
    assert names(moment()) == {"nothing-yet"}


@pytest.mark.parametrize(("name", "above", "below", "missing", "values"), METER_RULES)
def test_a_cause_is_not_named_where_it_does_no_harm(name: str, above, below, missing, values) -> None:
    """While learning, in the first trials, and when something worse is known; saturated pairs are a fact at any time."""
    always = name in ("stuck-pairs", "one-sided-pairs", "saturated-converters")
    assert (name in names(moment(above, values, share=0.9))) == always
    assert (name in names(moment(above, values, trials=2))) == always
    assert (name in names(moment(above, values, status="silent"))) == always


@pytest.mark.parametrize(
    ("status", "name"), [("diverged", "diverged"), ("silent", "silent"), ("saturated", "saturated-neurons")]
)
def test_a_broken_run_is_named_first(status: str, name: str) -> None:
    everything = {"stuck": 0.5, "saturated": 0.5, "read_noise": 9.0, "asked_pulses": 0.001}
    assert findings(moment(everything, status=status))[0].name == name
    assert name not in names(moment(everything))
    assert name in names(moment(status=status, trials=1))


@pytest.mark.parametrize(("share", "trials", "name"), [
    (0.29, 3, "learned"), (0.3, 99, "learned"), (0.31, 99, "learning"), (0.9, 99, "learning"), (0.91, 99, "nothing-yet"),
    (1.1, 99, "nothing-yet"), (1.11, 99, "worse-than-silence"), (math.inf, 99, "worse-than-silence"),
    (math.nan, 99, "worse-than-silence"), (0.1, 2, "first-trials"), (50.0, 0, "first-trials"),
])  # fmt: skip
def test_how_far_it_is_is_said_last_and_always(share: float, trials: int, name: str) -> None:
    for status in ("ok", "silent", "diverged", "saturated"):
        found = findings(moment({"stuck": 0.5}, share=share, trials=trials, status=status))
        assert [finding.name for finding in found if finding.severity == 0] == [name]
        assert found[-1].name == name


@pytest.mark.parametrize(("best", "share", "trials", "name"), [
    (0.69, 0.91, 99, "forgotten"), (0.69, 5.0, 99, "forgotten"), (0.0, math.nan, 99, "forgotten"),
    (0.69, 0.9, 99, "learning"), (0.1, 0.2, 99, "learned"), (0.69, 1.0, 2, "first-trials"),
    (0.71, 1.0, 99, "nothing-yet"), (0.71, 5.0, 99, "worse-than-silence"), (math.inf, 1.0, 99, "nothing-yet"),
])  # fmt: skip
def test_what_had_been_learned_is_lost_only_where_it_had_been(
    best: float, share: float, trials: int, name: str
) -> None:
    found = findings(moment(share=share, trials=trials, best=best))
    assert [finding.name for finding in found if finding.severity == 0] == [name]


def test_the_error_is_held_against_the_mean_baseline_where_there_is_one() -> None:
    seen = dataclasses.replace(moment(share=0.8), baseline=BASELINE / 2)
    assert names(moment(share=0.8)) == {"learning"}
    assert names(seen) == {"worse-than-silence"}
    assert "a silent network makes 0.1:" in findings(seen)[-1].happened


def test_most_severe_first_and_each_rule_once() -> None:
    crowd = {
        "stuck": 0.5,
        "saturated": 0.5,
        "read_noise": 9.0,
        "write_error": 9.0,
        "drift": 0.9,
        "silent": 0.9,
        "mismatch": 0.5,
    }
    found = findings(moment({**crowd, "asked_pulses": 0.5, "cosine": 0.0}, LOSING))
    assert [finding.severity for finding in found] == sorted((finding.severity for finding in found), reverse=True)
    assert len({finding.name for finding in found}) == len(found) == 10
    assert all(RULES[finding.name].severity == finding.severity for finding in found)


def test_an_unknown_rule_is_named() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown rule 'drfit' \(did you mean 'drift'\?\)"):
        RULES["drfit"]


class TestSchemes:
    """A change smaller than a pulse is lost, gathered, drawn or blown up, as the scheme has it."""

    @pytest.mark.parametrize(("scheme", "name"), [
        ("multi-memristor", "lost"), ("update-ready", "lost"), ("mixed-precision", "slow"), ("stochastic", "slow"), ("sign", None),
    ])  # fmt: skip
    def test_what_becomes_of_small_changes(self, scheme: str, name: str | None) -> None:
        found = names(moment({"asked_pulses": 0.001, "rounding": 1.0}, {"scheme": scheme}))
        assert found - {"nothing-yet"} == ({name} if name else set())

    def test_rounding_of_an_accumulator_or_a_draw_is_not_a_loss(self) -> None:
        for scheme in ("mixed-precision", "stochastic", "sign"):
            assert "rounded" not in names(moment({"rounding": 5.0, "asked_pulses": 2.0}, {"scheme": scheme}))

    def test_rounding_of_weights_with_a_shadow_is_not_a_loss(self) -> None:
        values = {"scheme": "float32", "precision.weight_bits": 6}
        meters = {"rounding": 0.97, "asked_pulses": None}
        assert "rounded" in names(moment(meters, values))
        assert "rounded" not in names(moment(meters, {**values, "precision.shadow": True}))

    def test_an_accumulator_writes_later_so_its_cosine_says_little(self) -> None:
        assert "disagree" not in names(moment({"cosine": 0.02}))

    @pytest.mark.parametrize(("values", "pulses"), [
        ({}, 0.125 * 11.82503 / 0.75),
        ({"precision.weight_bits": 6}, 1.0),
        ({"precision.weight_bits": None, "device.devices": 4}, 4.0),
        ({"device.scale": 60.0}, 0.125 * 60.0 / 0.75),
        ({"device.devices": 4}, 4 * 0.125 * 11.82503 / 0.75),
        ({"device.preset": "ideal", "device.scale": 12.0, "precision.weight_bits": 3}, 2.0),
    ])  # fmt: skip
    def test_an_accumulator_waits_for_its_grain(self, values: dict[str, Any], pulses: float) -> None:
        """The grain 2 / 2^bits in pulses of 0.75 / (scale * devices), and never less than one pulse."""
        assert "slow" in names(moment({"asked_pulses": pulses / 101}, values))
        assert "slow" not in names(moment({"asked_pulses": pulses / 99}, values))
        said = the("slow", moment({"asked_pulses": pulses / 4000}, values))
        assert "Mixed precision takes about 4,000 such updates" in said.happened

    def test_a_drawn_pulse_is_certain_at_the_probability_scale(self) -> None:
        """With a scale of 7.5 µS, ten nominal steps of one device; four devices share each pulse's weight."""
        scheme = {"name": "stochastic", "probability_scale": 7.5}
        assert "about 500 such" in the("slow", moment({"asked_pulses": 0.02}, {"scheme": scheme})).happened
        four = {"scheme": scheme, "device.devices": 4}
        assert "about 2,000 such" in the("slow", moment({"asked_pulses": 0.02}, four)).happened


TEXTS: list[tuple[str, dict[str, Any], str, str]] = [
    ("diverged", {"status": "diverged", "loss": 1234.5}, "its error is 1.23e+03, a silent network makes 0.2.", "Learning rates"),
    ("silent", {"status": "silent", "rate": 0.0}, "None of the 100 hidden neurons spiked: 0 Hz.", "Firing threshold"),
    ("saturated-neurons", {"status": "saturated", "rate": 480.4}, "fire at 480 Hz; one spike per step, 1000 Hz,", "Firing threshold"),
    ("stuck-pairs", {"meters": {"stuck": 0.06}}, "6 % of synapses have both sides above 9 µS: their weights can only move after a refresh.", "Refresh saturated pairs"),
    ("stuck-pairs", {"meters": {"stuck": 0.06}, "values": {"device.constants.g_max": 20.0}}, "above 15 µS", "Refresh saturated pairs"),
    ("stuck-pairs", {"meters": {"stuck": 0.06}, "values": {"refresh.enabled": True}}, "6 % of synapses", "Learning rates"),
    ("one-sided-pairs", {"meters": {"saturated": 0.124}}, "12 % of synapses have a side above 9 µS.", "Devices per polarity"),
    ("saturated-converters", {"meters": {"core": CoreMeters(0.1, clipped=0.074)}, "values": {"core.adc_range": 0.25}}, "saturate: 7 % of the sums lie beyond 0.25 fully conducting cells.", "ADC range"),
    ("conversion-noise", {"meters": {"core": CoreMeters(0.1, noise=6.7)}}, "noise is 6.7 times", "ADC range"),
    ("lost", {"meters": {"asked_pulses": 0.49}, "values": LOSING}, "is 0.49 of a SET pulse.", "Learning rates"),
    ("slow", {"meters": {"asked_pulses": 0.002}}, "is 0.002 of a SET pulse, and Mixed precision takes about 985 such", "Learning rates"),
    ("rounded", {"meters": {"rounding": 0.97, "asked_pulses": 2.0}, "values": LOSING}, "by 97 %", "Learning rates"),
    ("rounded", {"meters": {"rounding": 0.97, "asked_pulses": None}, "values": {"scheme": "float32"}}, "by 97 %", "Bit precision"),
    ("few-neurons", {"meters": {"silent": 0.93}}, "93 % of the 100 hidden neurons are silent.", "Firing threshold"),
    ("mismatch", {"meters": {"mismatch": 0.2, "silent": 0.4, "busiest": 0.6}}, "40 % of the hidden neurons are silent and the busiest tenth fires 60 % of the spikes: devices differ by 20 %.", "Mismatch level"),
    ("mismatch", {"meters": {"mismatch": 0.2, "threshold_mismatch": 0.3, "silent": 0.4}}, "thresholds differ by 30 %.", "Firing threshold"),
    ("read-noise", {"meters": {"read_noise": 6.42}}, "6.4 times", "Read noise"),
    ("write-noise", {"meters": {"write_error": 4.26}}, "4.3 times", "Write noise"),
    ("drift", {"meters": {"drift": 0.35}}, "35 % of the stored conductance", "Drift exponent ν"),
    ("drift", {"meters": {"drift": 0.35}, "values": {"device.preset": "joshi2020"}}, "35 % of the stored conductance", "Drift"),
    ("disagree", {"meters": {"cosine": -0.07}, "values": LOSING}, "is -0.07.", "Scheme"),
    ("first-trials", {"trials": 1}, "error 0.2; a silent network would make 0.2.", ""),
    ("learned", {"share": 0.1}, "The error is 0.02, a silent network makes 0.2: the network has learned most", "Scheme"),
    ("learning", {"share": 0.6}, "The error is 0.12, a silent network makes 0.2: the network is learning, 40 % of the way.", ""),
    ("forgotten", {"share": 1.0, "best": 0.4}, "The error was down to 0.08 and is 0.2, a silent network makes 0.2: what was learned is lost again.", "Learning rates"),
    ("nothing-yet", {"share": 1.0}, "The error is 0.2, a silent network makes 0.2: nothing learned yet.", "Learning rates"),
    ("worse-than-silence", {"share": 3.0}, "The error is 0.6, a silent network makes 0.2: the output is still worse", "Learning rates"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "about", "words", "control"), TEXTS)
def test_the_number_and_the_control_are_named(name: str, about: dict[str, Any], words: str, control: str) -> None:
    said = the(name, moment(**about))
    assert words in said.happened
    assert said.control == control
    assert f'"{control}"' in said.advice or not control
    assert said.advice.endswith(".")


def test_every_rule_has_its_text_tested() -> None:
    assert {name for name, *_ in TEXTS} == set(RULES)


def test_controls_are_labelled_like_this_on_the_page() -> None:
    page = (Path(rules.__file__).parents[1] / "app/pages/sidebar.py").read_text(encoding="utf-8")
    for name, about, _, _ in TEXTS:
        for quoted in the(name, moment(**about)).advice.split('"')[1::2]:
            assert f'"{quoted}"' in page, name


@pytest.mark.parametrize(("asked", "said"), [(None, "it stays so"), (0.0, "it stays so"), (1e-7, "may wake them")])
def test_a_silent_network_may_wake_up_where_learning_asks_for_something(asked: float | None, said: str) -> None:
    assert said in the("silent", moment({"asked_pulses": asked}, status="silent", rate=0.0)).advice


def test_a_silent_network_does_wake_up_by_rate_regularisation_alone() -> None:
    """Its neurons' voltages are within reach of the threshold: the surrogate derivative lets them be raised."""
    quiet = {"network.hidden": 20, "task.duration": 0.1, "learning.lr_input": 0.02, "learning.lr_recurrent": 0.02}
    regular = {"learning.rate_strength": 0.1, "learning.rate_target": 20.0, "scheme": "mixed-precision-adam"}
    session = Session(RunConfig().with_values({**MIXED, **quiet, **regular, "network.threshold": 0.6}))
    rates = [record.rate for record in session.run(60)]
    assert rates[0] == 0.0 and rates[-1] > 0.0


def test_lost_says_how_much_more_is_needed() -> None:
    """A largest change of 0.3 pulses needs 3.3, so 4 times the rate."""
    said = the("lost", moment({"asked_pulses": 0.3}, {"scheme": "update-ready"}))
    assert said.advice.startswith(
        'Update ready writes whole pulses and drops the rest: nothing is learned. Raise "Learning rates" 4 times'
    )


def test_a_refresh_that_does_not_reach_says_its_reach() -> None:
    said = the("stuck-pairs", moment({"stuck": 0.06}, {"refresh.enabled": True, "refresh.saturation": 11.0}))
    assert "pairs above 11 µS that differ by less than 2.25 µS" in said.advice


def run(values: dict[str, Any], trials: int) -> Situation:
    """A real run, smoothed as its learning curve is."""
    session = Session(RunConfig().with_values({**MIXED, **values}))
    session.observe()
    keep, loss, weight, baseline = math.exp(-1.0 / 30.0), 0.0, 0.0, 0.0
    for last in session.run(trials):
        loss, weight = keep * loss + (1.0 - keep) * last.loss, keep * weight + 1.0 - keep
        baseline += last.baseline
    return Situation(last, measure(session, last), session.config, loss / weight, session.trial, baseline / trials)


def at_rate(rate: float) -> dict[str, Any]:
    return dict.fromkeys(RATES, rate)


RUNS: list[tuple[str, dict[str, Any], int]] = [
    ("silent", {**SMALL, "network.threshold": 500.0}, 2),
    ("diverged", {**SMALL, "device.scale": 0.001, "network.threshold": 0.01}, 2),
    ("saturated-neurons", {**SMALL, **at_rate(5e-3)}, 12),
    ("stuck-pairs", {**SMALL, **at_rate(0.0), "device.initial_conductance": 11.0, "device.scale": 60.0}, 1),
    ("one-sided-pairs", {**SMALL, **at_rate(0.0), "device.initial_conductance": 8.5, "device.scale": 200.0}, 1),
    ("saturated-converters", {**SMALL, "core.enabled": True, "core.adc_range": 0.02}, 2),
    ("conversion-noise", {**SMALL, "core.enabled": True, "core.adc_range": 40.0}, 20),
    ("lost", {**SMALL, "scheme": "update-ready"}, 6),
    ("slow", {**SMALL, **at_rate(1e-7)}, 6),
    ("slow", {**SMALL, **at_rate(1e-7), "scheme": "stochastic"}, 6),
    ("rounded disagree", {"scheme": "multi-memristor", "device.devices": 4}, 20),
    ("few-neurons", {"scheme": "float32", "precision.weight_bits": None}, 10),
    ("mismatch", {"device.mismatch.step": 0.5}, 60),
    ("mismatch", {**SMALL, "network.threshold_mismatch": 0.5}, 40),
    ("read-noise", {"device.constants.read_noise": 3.0}, 6),
    ("write-noise", {"device.constants.write_noise": 3.0}, 30),
    ("drift", {"device.preset": "joshi2020", "device.scale": 25.0, "device.initial_conductance": 0.5, "device.update_interval": 1e7}, 20),
    ("first-trials", SMALL, 2),
    ("nothing-yet", SMALL, 4),
]  # fmt: skip


@pytest.mark.parametrize(("name", "values", "trials"), RUNS)
def test_a_run_with_settings_that_cause_it(name: str, values: dict[str, Any], trials: int) -> None:
    assert set(name.split()) <= names(run(values, trials))


@pytest.mark.parametrize("values", [
    {"refresh.enabled": True, "refresh.difference": 3.5}, {"refresh.enabled": True, "refresh.saturation": 12.0},
])  # fmt: skip
def test_a_refresh_frees_the_pairs_that_it_reaches(values: dict[str, Any]) -> None:
    """Pairs above 9 µS differ by 3 µS at most, so all are rewritten; a limit of 12 µS, the maximum, reaches none."""
    stuck = {**SMALL, **at_rate(1e-9), "device.initial_conductance": 11.0, "device.scale": 60.0}
    reached = values.get("refresh.saturation", 9.0) < 12.0
    assert ("stuck-pairs" in names(run({**stuck, **values}, 2))) != reached


def test_a_run_that_learns_says_how_far_it_is() -> None:
    """Floating-point weights, the reference: on the way after 60 trials, most of it learned after 200."""
    reference = {
        **PRESETS["float32"].values,
        "network.threshold": 0.1,
        "learning.feedback_gain": 0.1,
        "network.initial_gain": 0.1,
    }
    reference |= {
        "learning.lr_input": 2e-5,
        "learning.lr_recurrent": 5e-5,
        "learning.lr_output": 2e-5,
        "learning.rate_strength": 1e-4,
    }
    assert names(run(reference, 60)) == {"learning"}
    assert names(run(reference, 200)) == {"learned"}
