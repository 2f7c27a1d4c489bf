"""When a run is paused because nobody is there, told by a clock that the test holds."""

from __future__ import annotations

import math

import pytest

from app.attention import Attention
from pcmsim.errors import FieldError

HIDDEN = "Paused after 60 s in a hidden tab: no picture was seen. Press Play to go on."
LEFT = "Paused after 2 minutes without a key or a click: nobody seems to be here. Press Play to go on."


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def lived(attention: Attention, clock: Clock, seconds: int, **state: bool) -> list[tuple[int, str]]:
    """What is said, and when, if it is asked once a second."""
    said = []
    for second in range(seconds + 1):
        reason = attention.reason(**{"running": True, **state})
        if reason is not None:
            said.append((second, reason))
        clock.now += 1.0
    return said


def test_a_hidden_tab_pauses_the_run_after_a_minute(clock: Clock) -> None:
    said = lived(Attention(clock=clock), clock, 61)
    assert said == [(60, HIDDEN), (61, HIDDEN)]


def test_a_frame_painted_each_minute_less_one_keeps_the_run_going(clock: Clock) -> None:
    attention = Attention(clock=clock, idle=0.0)
    for _ in range(5):
        assert lived(attention, clock, 58) == []
        attention.painted()
    assert lived(attention, clock, 60) == [(60, HIDDEN)]


def test_without_a_frame_on_its_way_nothing_was_missed(clock: Clock) -> None:
    attention = Attention(clock=clock, idle=0.0)
    assert lived(attention, clock, 500, outstanding=False) == []
    assert lived(attention, clock, 60) == [(60, HIDDEN)]


def test_nobody_touching_anything_pauses_the_run(clock: Clock) -> None:
    assert lived(Attention(idle=2.0, clock=clock), clock, 120, outstanding=False) == [(120, LEFT)]


def test_a_touch_counts_from_the_moment_it_happens(clock: Clock) -> None:
    attention = Attention(idle=2.0, clock=clock)
    assert lived(attention, clock, 100, outstanding=False) == []
    attention.touched()
    assert lived(attention, clock, 120, outstanding=False) == [(120, LEFT)]


def test_looking_is_not_touching_and_touching_is_not_looking(clock: Clock) -> None:
    attention = Attention(idle=2.0, clock=clock)
    said = []
    for _ in range(121):
        attention.painted()
        said += lived(attention, clock, 0)
    assert [reason for _, reason in said] == [LEFT]
    fresh = Attention(idle=2.0, clock=clock)
    for _ in range(60):
        fresh.touched()
        assert lived(fresh, clock, 0) == []
    assert lived(fresh, clock, 0) == [(0, HIDDEN)]


def test_zero_minutes_is_never(clock: Clock) -> None:
    attention = Attention(idle=0.0, clock=clock)
    assert lived(attention, clock, 100_000, outstanding=False) == []


def test_a_paused_run_is_left_alone(clock: Clock) -> None:
    assert lived(Attention(idle=2.0, clock=clock), clock, 10_000, running=False) == []


def test_both_clocks_begin_anew_when_the_run_goes_on(clock: Clock) -> None:
    attention = Attention(idle=2.0, clock=clock)
    assert lived(attention, clock, 60) == [(60, HIDDEN)]
    clock.now += 10_000.0
    assert attention.reason(running=False) is None
    assert lived(attention, clock, 59) == []
    assert attention.reason(running=False) is None
    assert lived(attention, clock, 120, outstanding=False) == [(120, LEFT)]


@pytest.mark.parametrize("name", ["idle", "unseen"])
@pytest.mark.parametrize("value", [-1.0, math.inf, math.nan])
def test_a_time_must_be_a_time(name: str, value: float) -> None:
    with pytest.raises(FieldError, match=rf"^Attention\.{name}: must be finite and >= 0, got {value!r}$"):
        Attention(**{name: value})
