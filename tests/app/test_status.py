"""Words about the run: exact, in order, and harmless whatever they carry."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape

import numpy as np
import pytest

from app.pages.cards import head_html
from app.runner import Shot
from app.views import status
from training.config import RunConfig
from training.session import Session

TINY = RunConfig().with_values(
    {"network.hidden": 20, "task": {"name": "pattern", "inputs": 10, "duration": 0.05}, "seed": 7}
)
HOSTILE = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "' onload='x", "&lt;b&gt;", "a & b"]


@pytest.fixture(scope="module")
def shot() -> Shot:
    record = replace(
        Session(TINY).step(), trial=12_345, rate=9.96, device_time=31_300.0, total_sets=1_234_567, total_resets=0,
        status="ok", message="",
    )  # fmt: skip
    return Shot(1, 1, True, TINY, record=record, speed=123.4)


def test_the_strip_says_what_the_run_is(shot: Shot) -> None:
    assert status.columns(shot) == {
        "state": "running", "trial": "trial 12,345", "speed": "123 trials/s", "pace": "6.17 × real time",
        "device time": "8 h 41 min of device time", "rate": "10.0 Hz per neuron", "pulses": "1,234,567 SET pulses",
        "seed": "seed 7", "saved": "not saved",
    }  # fmt: skip


def test_the_strip_of_a_paused_run_has_no_pace(shot: Shot) -> None:
    assert list(status.columns(replace(shot, running=False))) == [
        "state", "trial", "device time", "rate", "pulses", "seed", "saved",
    ]  # fmt: skip


def test_digital_weights_have_neither_device_time_nor_pulses(shot: Shot) -> None:
    digital = TINY.with_values({"scheme": "float32", "precision.weight_bits": None})
    entries = status.columns(replace(shot, config=digital))
    assert entries["pulses"] == "digital weights"
    assert "device time" not in entries


@pytest.mark.parametrize(("speed", "text"), [(0.0, "0.0"), (1.04, "1.0"), (9.94, "9.9"), (10.0, "10"), (99.6, "100")])
def test_slow_runs_show_a_decimal(speed: float, text: str, shot: Shot) -> None:
    assert status.columns(replace(shot, speed=speed))["speed"] == f"{text} trials/s"


def test_resets_are_told_where_there_are_some() -> None:
    assert status.pulses(0, 0) == "0 SET pulses"
    assert status.pulses(1000, 20) == "1,000 SET, 20 RESET pulses"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 s"), (38.6, "38.6 s"), (60.0, "1 min 0 s"), (3600.0, "1 h 0 min"), (86_400.0, "1 d 0 h"),
        (86_399.0, "23 h 59 min"), (31_557_600.0, "1.0 years"), (3.2e8, "10.1 years"),
    ],
)  # fmt: skip
def test_spans_of_time_in_two_fitting_units(seconds: float, text: str) -> None:
    assert status.duration(seconds) == text


def test_spans_of_time_are_read_back_as_what_they_were() -> None:
    units = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86_400.0, "years": 31_557_600.0}
    for seconds in np.geomspace(1.0, 1e11, 400):
        words = re.findall(r"([\d.]+(?:e\+\d+)?) (\w+)", status.duration(float(seconds)))
        assert sum(float(number) * units[unit] for number, unit in words) == pytest.approx(seconds, rel=0.06)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_words_are_only_words(text: str, shot: Shot) -> None:
    strip = status.html({"state": text, text: text})
    assert set(re.findall(r"<(/?\w+)", strip)) <= {"div", "/div", "span", "/span"}
    assert text not in strip
    assert text in unescape(strip)
    assert re.fullmatch(r'<div class="strip [^"<>]*">(<span data-status="[^"<>]*">[^<>]*</span>)*</div>', strip)


def test_the_line_above_a_plot_keeps_the_order_of_its_notes() -> None:
    html = head_html("Title", "first", "last")
    assert re.findall(r">([^<>]+)<", html) == ["Title", "first", "last"]
