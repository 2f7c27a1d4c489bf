"""The lag of a loop that is held up on purpose, against how long it was held up."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import Any

import numpy as np
import psutil
import pytest
from bokeh.application import Application
from bokeh.server.tornado import BokehTornado
from tornado.testing import AsyncHTTPTestCase

from app.loop_monitor import Health, Lag, LoopMonitor, Vitals

NOTHING = Lag(0.0, 0.0, 0.0)


def test_a_stall_is_seen_in_full_and_the_rest_is_not_blamed_for_it() -> None:
    monitor = LoopMonitor(period=0.005)

    async def live() -> None:
        monitor.start()
        await asyncio.sleep(0.5)
        time.sleep(0.3)
        await asyncio.sleep(0.5)

    asyncio.run(live())
    lag = monitor.lag()
    assert 0.29 < lag.max < 2.0
    assert lag.median < 0.1
    assert lag.median <= lag.p95 <= lag.max


def test_a_loop_that_is_always_held_up_is_late_at_every_timer() -> None:
    monitor = LoopMonitor(period=0.005)

    async def live() -> None:
        monitor.start()
        for _ in range(20):
            time.sleep(0.05)
            await asyncio.sleep(0)

    asyncio.run(live())
    assert monitor.lag().median > 0.03


def test_only_the_last_span_counts_and_the_ring_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monitor = LoopMonitor(period=0.01, span=0.1)

    class Loop:
        def __init__(self) -> None:
            self.now = 0.0
            self.waiting: list[Any] = []

        def time(self) -> float:
            return self.now

        def call_at(self, due: float, call: Any, *arguments: Any, context: Any) -> None:
            self.waiting.append((due, call, arguments))

        def go(self, late: float) -> None:
            due, call, arguments = self.waiting.pop()
            self.now = due + late
            call(*arguments)

    loop = Loop()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: loop)
    monitor.start()
    monitor.start()
    assert len(loop.waiting) == 1
    loop.go(late=0.5)
    assert monitor.lag().max == pytest.approx(0.5)
    for number in range(1, 101):
        loop.go(late=number * 1e-5)
    late = [number * 1e-5 for number in range(91, 101)]
    lag = monitor.lag()
    assert lag.max == pytest.approx(late[-1])
    assert late[0] <= lag.median <= late[-1]
    assert late[-2] <= lag.p95 <= late[-1]
    assert len(monitor._late) == 10
    loop.now += 10.0
    assert monitor.lag() == NOTHING


def test_before_it_watches_there_is_no_lag_and_without_a_loop_it_cannot_watch() -> None:
    monitor = LoopMonitor()
    assert monitor.lag() == NOTHING
    with pytest.raises(RuntimeError, match="no running event loop"):
        monitor.start()


def test_it_follows_to_another_loop() -> None:
    monitor = LoopMonitor(period=0.005)

    async def live() -> int:
        monitor.start()
        await asyncio.sleep(0.1)
        return int((monitor._moments > -np.inf).sum())

    assert asyncio.run(live()) > 2
    assert asyncio.run(live()) > 2


def test_it_costs_next_to_nothing() -> None:
    """Processor time of half a second's watching: below 0.5 % on a quiet machine, asserted with a wide margin."""

    async def live(monitor: LoopMonitor | None) -> float:
        if monitor is not None:
            monitor.start()
        before = time.thread_time()
        await asyncio.sleep(1.0)
        return time.thread_time() - before

    idle, watched = asyncio.run(live(None)), asyncio.run(live(LoopMonitor()))
    assert watched - idle < 0.05


def test_vitals_agree_with_the_system() -> None:
    figures = asyncio.run(Vitals(LoopMonitor()).read())
    process = psutil.Process()
    assert figures["rss_bytes"] == pytest.approx(process.memory_info().rss, rel=0.2)
    assert figures["threads"] >= 1
    assert figures["lag_ms"] == {"median": 0.0, "p95": 0.0, "max": 0.0}


def test_the_loop_goes_on_while_memory_is_read_and_who_asks_again_soon_gets_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    goes_on, readings = threading.Event(), list[bool]()

    def read() -> dict[str, int]:
        readings.append(goes_on.wait(5.0))
        return {"threads": len(readings)}

    async def live() -> list[int]:
        vitals = Vitals(LoopMonitor())
        asking = [asyncio.ensure_future(vitals.read()) for _ in range(3)]
        await asyncio.sleep(0)
        goes_on.set()
        found = [*await asyncio.gather(*asking), await vitals.read()]
        monkeypatch.setattr("app.loop_monitor.FRESH", 0.0)
        await asyncio.sleep(0.01)
        return [one["threads"] for one in (*found, await vitals.read())]

    monkeypatch.setattr("app.loop_monitor._processes", read)
    monkeypatch.setattr("app.loop_monitor.FRESH", 60.0)
    assert asyncio.run(live()) == [1, 1, 1, 1, 2]
    assert readings == [True, True]


class TestHealth(AsyncHTTPTestCase):
    """The route on a Bokeh server without visitors."""

    def get_app(self) -> BokehTornado:
        async def report() -> dict[str, Any]:
            return {"sessions": 3}

        return BokehTornado({"/": Application()}, extra_patterns=[("/health", Health, {"report": report})])

    def test_it_answers_with_json_that_nobody_keeps(self) -> None:
        reply = self.fetch("/health")
        assert reply.code == 200
        assert reply.headers["Content-Type"].startswith("application/json")
        assert reply.headers["Cache-Control"] == "no-store"
        assert json.loads(reply.body) == {"sessions": 3, "documents": 0}
