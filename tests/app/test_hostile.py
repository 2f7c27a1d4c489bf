"""Hostile messages to a real server, as ``benchmarks/hostile.py`` sends them: 28 here, 200 there."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

HOSTILE = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "hostile.py"))


@pytest.mark.slow
def test_hostile_messages_cost_little_and_the_server_lives_on() -> None:
    found = HOSTILE["measured"](2 * len(HOSTILE["HOSTILE"]))
    assert found["alive"]
    assert found["memory_mb"] < 300.0
    assert found["log_kb"] < 1000.0 * found["messages"] / 200
