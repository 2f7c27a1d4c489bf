"""Flow control as a state machine, and one session's ticks without a browser."""

from __future__ import annotations

from types import SimpleNamespace

import panel as pn
import pytest
from app_kit import Clock
from bokeh.document import Document

from app.stream import CALM, HOLD, REST, TURNS, FrameGate, Stream


def test_gate_lets_no_more_than_the_allowed_frames_out() -> None:
    gate = FrameGate(most=2, spacing=0.05)
    gate.send(0.0)
    assert not gate.open(0.01)
    assert gate.open(0.06)
    gate.send(0.06)
    assert [gate.open(moment) for moment in (0.07, 0.2, 1.9)] == [False] * 3
    assert gate.outstanding == 2


def test_gate_opens_when_frames_are_painted_and_the_distance_is_kept() -> None:
    gate = FrameGate(most=2, spacing=0.05)
    first, second = gate.send(0.0), gate.send(0.06)
    assert not gate.open(0.12)
    gate.acknowledge(first)
    assert gate.outstanding == 1
    assert gate.open(0.12)
    gate.acknowledge(second)
    assert not gate.open(0.061)
    assert gate.open(0.12)


def test_what_is_urgent_keeps_no_distance_but_never_overtakes_the_browser() -> None:
    gate = FrameGate(most=2, spacing=0.05)
    assert gate.open(0.0)
    gate.send(0.0)
    assert gate.open(0.001, urgent=True)
    gate.send(0.001)
    assert not gate.open(0.1, urgent=True)


def test_gate_recovers_from_lost_acknowledgements() -> None:
    gate = FrameGate(most=1, patience=2.0)
    gate.send(0.0)
    assert not gate.open(1.9)
    assert gate.open(2.1)
    assert gate.send(2.1) == 2
    gate.acknowledge(2)
    assert gate.outstanding == 0


@pytest.mark.parametrize("number", [-1, 0, 7])
def test_gate_ignores_acknowledgements_that_cannot_be(number: int) -> None:
    gate = FrameGate()
    gate.send(0.0)
    gate.acknowledge(number)
    assert gate.outstanding == 1


def test_gate_takes_late_acknowledgements_in_any_order() -> None:
    gate = FrameGate(most=3)
    for moment in (0.0, 0.1, 0.2):
        gate.send(moment)
    gate.acknowledge(3)
    gate.acknowledge(1)
    assert gate.outstanding == 0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("app.stream.time", clock)
    return clock


@pytest.fixture
def stream(clock: Clock) -> Stream:
    """A stream whose news and drawings a test can see: `news.version`, `turns`."""
    news, turns = SimpleNamespace(version=1), []

    def draw(turn: int | None) -> dict:
        turns.append(turn)
        return {"config_version": [news.version]}

    stream = Stream(lambda: news.version, draw)
    stream.news, stream.turns = news, turns
    stream.start(Document())
    return stream


def test_before_the_browser_is_there_everything_is_drawn_and_no_frame_counted(stream: Stream) -> None:
    stream.tick()
    stream.tick()
    assert stream.turns == [None]
    assert stream.gate.sent == 0
    assert stream.frames.data == {"frame": [0], "config_version": [1]}


def ready(stream: Stream) -> Stream:
    stream._ready = True
    return stream


def test_nothing_new_sends_nothing(stream: Stream) -> None:
    ready(stream).tick()
    stream.painted.data = {"frame": [1]}
    for _ in range(5):
        stream.tick()
    assert stream.gate.sent == 1


def test_a_steady_stream_draws_slow_plots_in_turn_and_completes_when_it_ends(stream: Stream, clock: Clock) -> None:
    ready(stream)
    for frame in range(1, 9):
        stream.news.version += 1
        clock.now += CALM / 2
        stream.tick()
        stream.painted.data = {"frame": [frame]}
    steady = [turn for turn in stream.turns if turn is not None]
    assert set(steady) == set(range(TURNS))
    clock.now += CALM / 2
    stream.tick()
    assert stream.turns[-1] is None
    count = len(stream.turns)
    stream.tick()
    assert len(stream.turns) == count


def test_the_browser_is_left_free_for_an_expected_answer_but_not_for_long(stream: Stream, clock: Clock) -> None:
    answer = [0]
    stream._answer = lambda: answer[0]
    ready(stream).tick()
    stream.painted.data = {"frame": [1]}
    clock.now += 10.0
    stream.expect()
    stream.news.version += 1
    clock.now += 0.9 * HOLD
    stream.tick()
    assert stream.gate.sent == 1
    answer[0] = 1
    stream.tick()
    assert stream.gate.sent == 2
    stream.painted.data = {"frame": [2]}
    for _ in range(2):  # The first held back until it is late, the second as usual.
        stream.expect()
        clock.now += 1.1 * HOLD
        stream.news.version += 1
        stream.tick()
    assert stream.gate.sent == 4


def test_plots_without_a_turn_wait_for_what_is_about_to_come(stream: Stream, clock: Clock) -> None:
    stream._more = lambda: True
    ready(stream).tick()
    stream.painted.data = {"frame": [1]}
    clock.now += CALM / 2
    stream.news.version += 1
    stream.tick()
    stream.painted.data = {"frame": [2]}
    clock.now += 0.9 * REST
    stream.tick()
    assert len(stream.turns) == 2
    clock.now += 0.2 * REST
    stream.tick()
    assert stream.turns[-1] is None
    clock.now += 10 * REST
    stream.tick()
    assert len(stream.turns) == 3


def test_a_lone_change_is_drawn_at_once_and_whole(stream: Stream, clock: Clock) -> None:
    ready(stream).tick()
    stream.painted.data = {"frame": [1]}
    clock.now += 10.0
    stream.news.version += 1
    stream.tick()
    assert stream.turns == [None, None]


def test_no_frame_leaves_while_the_browser_paints(stream: Stream, clock: Clock) -> None:
    ready(stream)
    for _ in range(30):
        stream.news.version += 1
        clock.now += 0.03
        stream.tick()
    assert stream.gate.outstanding == 2
    assert stream.gate.sent == 2


def test_an_answer_to_the_person_does_not_wait_for_its_turn(stream: Stream, clock: Clock) -> None:
    answer = [0]
    stream._answer = lambda: answer[0]
    ready(stream).tick()
    stream.painted.data = {"frame": [1]}
    for version, expected in ((0, 1), (1, 2), (1, 2)):
        answer[0] = version
        stream.news.version += 1
        clock.now += 0.01
        stream.tick()
        assert stream.gate.sent == expected


def test_ticks_leave_the_process_wide_busy_flag_alone(stream: Stream) -> None:
    seen = []
    watcher = pn.state.param.watch(lambda change: seen.append(change.new), "busy")
    try:
        ready(stream).tick()
    finally:
        pn.state.param.unwatch(watcher)
    assert seen == []
