"""Flow control against a simulated browser, and what happens when the browser arrives."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import panel as pn
import pytest
from app_kit import Clock
from bokeh.document import Document
from bokeh.events import DocumentReady

from app.delivery import promptly
from app.stream import ANSWER, CALM, PATIENCE, SPACING, FrameGate, Stream


class Socket:
    """Stands in for a websocket; remembers how it was set."""

    nodelay, closed = False, False

    def set_nodelay(self, value: bool) -> None:
        self.nodelay = value

    def close(self) -> None:
        self.closed = True


def served() -> tuple[Document, list[Socket]]:
    """A document as the server has it, and the sockets of its browser."""
    document, sockets = Document(), [Socket(), Socket()]
    connections = [SimpleNamespace(_socket=s) for s in sockets]
    session = SimpleNamespace(
        _subscribed_connections=connections, _current_patch_connection=connections[-1], connection_count=0
    )
    context = SimpleNamespace(session=session)
    document._session_context = lambda: context
    return document, sockets


def arrive(document: Document) -> None:
    """A browser has the page."""
    document.session_context.session.connection_count += 1
    document.callbacks.trigger_event(DocumentReady())


def go(document: Document) -> None:
    """It is lost."""
    document.session_context.session.connection_count = 0


def test_a_browser_that_is_lost_gets_no_frames_and_one_that_comes_back_gets_all_at_once(
    stream: Stream, clock: Clock, news: SimpleNamespace, drawn: list[int | None]
) -> None:
    document, sockets = served()
    stream.start(document)
    arrive(document)
    assert not stream.deserted
    for _ in range(2):
        news.version += 1
        clock.now += 1.0
        stream.tick()
    assert stream.gate.outstanding == 2
    go(document)
    stream.look()
    assert stream.deserted
    assert stream.gate.outstanding == 0
    before = len(drawn)
    news.version += 1
    clock.now += 1.0
    stream.tick()
    assert len(drawn) == before
    arrive(document)
    assert not stream.deserted
    stream.tick()
    assert drawn[before:] == [None]
    assert [socket.closed for socket in sockets] == [True, False]  # The tab that came last has the session.


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("painting", [0.01, 0.1, 0.5])
def test_never_more_than_two_frames_wait_whatever_the_browser_does(seed: int, painting: float) -> None:
    chance, gate, way, now, sent = random.Random(seed), FrameGate(), deque(), 0.0, []
    for _ in range(2000):
        now += chance.uniform(0.0, 0.03)
        while way and way[0][0] <= now:
            gate.acknowledge(way.popleft()[1])
        if gate.open(now):
            way.append((max(now, way[-1][0] if way else now) + painting * chance.random(), gate.send(now)))
            sent.append(now)
        assert gate.outstanding == len(way) <= 2
    assert len(sent) > now / (painting + SPACING) / 2


def test_without_any_acknowledgement_one_frame_per_patience_leaves() -> None:
    gate, sent = FrameGate(), []
    for tick in range(4000):
        if gate.open(now := 0.025 * tick):
            sent.append(now)
            gate.send(now)
    assert len(sent) <= 2 + 100.0 / PATIENCE
    assert all(later - earlier >= PATIENCE - 1e-9 for earlier, later in pairwise(sent[1:]))
    gate.acknowledge(gate.sent)
    assert gate.outstanding == 0
    assert gate.open(100.0)


def test_an_old_or_unknown_number_never_moves_the_gate_back_or_beyond() -> None:
    gate = FrameGate()
    for now in (0.0, 0.1, 0.2):
        gate.send(now)
    gate.acknowledge(2)
    for number in (2, 1, 0, -5, 4, 10**12):
        gate.acknowledge(number)
        assert (gate.sent, gate.acknowledged) == (3, 2)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("app.stream.time", clock)
    return clock


@pytest.fixture
def drawn() -> list[int | None]:
    return []


@pytest.fixture
def news() -> SimpleNamespace:
    return SimpleNamespace(version=1)


@pytest.fixture
def stream(clock: Clock, drawn: list[int | None], news: SimpleNamespace) -> Stream:
    def draw(turn: int | None) -> dict[str, Any]:
        drawn.append(turn)
        return {"shown": [news.version]}

    return Stream(lambda: news.version, draw)


def test_nothing_changes_while_the_document_is_on_its_way(
    stream: Stream, drawn: list[int | None], news: SimpleNamespace
) -> None:
    """A browser drops what reaches it before the document does."""
    document, _ = served()
    stream.start(document)
    stream.tick()
    document.session_context.session.connection_count = 1
    news.version += 1
    stream.tick()
    assert drawn == [None]
    arrive(document)
    stream.tick()
    assert drawn == [None, None]


def test_the_browsers_arrival_draws_everything_again_and_counts_from_there(
    stream: Stream, clock: Clock, drawn: list[int | None]
) -> None:
    document, sockets = served()
    stream.start(document)
    stream.tick()
    assert stream.frames.data["frame"] == [0]
    arrive(document)
    assert all(socket.nodelay for socket in sockets)
    clock.now += 1.0
    stream.tick()
    assert drawn == [None, None]
    assert stream.frames.data == {"frame": [1], "shown": [1]}


def test_an_acknowledgement_lets_the_next_frame_leave_without_waiting_for_the_tick(
    stream: Stream, clock: Clock, news: SimpleNamespace
) -> None:
    async def run() -> None:
        document, _ = served()
        stream.start(document)
        arrive(document)
        stream.tick()
        news.version += 1
        clock.now += 2 * SPACING
        before = len(document.session_callbacks)
        stream.painted.data = {"frame": [1]}
        await asyncio.sleep(0.01)
        assert len(document.session_callbacks) == before + 1
        assert stream.gate.outstanding == 0

    asyncio.run(run())


def test_once_its_session_has_ended_a_stream_asks_for_nothing(
    stream: Stream, clock: Clock, news: SimpleNamespace
) -> None:
    """A tab that closes in the middle of a frame leaves a look behind that was due."""
    document, _ = served()
    stream.start(document)
    arrive(document)
    document.on_change(print)
    document.destroy(print)
    news.version += 1
    clock.now += 1.0
    stream.look()
    stream.poke()


def test_the_document_is_locked_only_when_there_is_something_to_send(
    stream: Stream, clock: Clock, news: SimpleNamespace
) -> None:
    async def run() -> None:
        document, _ = served()
        stream.start(document)
        arrive(document)
        stream.tick()
        stream.painted.data = {"frame": [1]}
        for _ in range(5):
            clock.now += 1.0
            stream.look()
        assert not document.session_callbacks
        news.version += 1
        for _ in range(5):
            stream.look()
        assert len(document.session_callbacks) == 1
        clock.now += 2 * ANSWER
        stream.look()
        assert len(document.session_callbacks) == 2
        stream.tick()
        assert stream.gate.sent == 2

    asyncio.run(run())


def test_a_hidden_tab_gets_a_whole_picture_when_it_returns(
    stream: Stream, clock: Clock, news: SimpleNamespace, drawn: list[int | None]
) -> None:
    document, _ = served()
    stream.start(document)
    arrive(document)
    for _ in range(400):
        clock.now += 0.025
        news.version += 1
        stream.tick()
    assert len(drawn) <= 2 + 10.0 / PATIENCE
    stream.painted.data = {"frame": [stream.gate.sent]}
    clock.now += CALM + 0.01
    news.version += 1
    stream.tick()
    assert drawn[-1] is None
    assert stream.frames.data["shown"] == [news.version]


def test_ticks_with_and_without_news_leave_the_busy_flag_alone(
    stream: Stream, clock: Clock, news: SimpleNamespace
) -> None:
    seen: list[bool] = []
    watcher = pn.state.param.watch(lambda change: seen.append(change.new), "busy")
    document, _ = served()
    stream.start(document)
    arrive(document)
    try:
        for _ in range(10):
            clock.now += 0.1
            news.version += 1
            stream.tick()
            stream.tick()
            stream.painted.data = {"frame": [stream.gate.sent]}
    finally:
        pn.state.param.unwatch(watcher)
    assert seen == []
    assert pn.state.busy is False


def test_small_messages_leave_promptly_on_every_connection() -> None:
    document, sockets = served()
    promptly(document)
    assert [socket.nodelay for socket in sockets] == [True, True]
