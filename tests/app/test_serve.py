"""What can be known of the server before it serves."""

from __future__ import annotations

import asyncio
import gc
import socket
import weakref
from collections.abc import Iterator
from types import SimpleNamespace
from typing import ClassVar
from unittest.mock import PropertyMock

import panel as pn
import pytest
from bokeh.application import Application
from bokeh.document import Document
from bokeh.server.tornado import BokehTornado
from panel.io.state import set_curdoc
from tornado.httpserver import HTTPServer
from tornado.iostream import StreamClosedError
from tornado.websocket import WebSocketClosedError

from app import serve, url
from app.pages import frame, register
from app.server import sessions
from app.visitors import Limits
from pcmsim.errors import FieldError, PCMLabError
from training.presets import PRESETS


def address(monkeypatch: pytest.MonkeyPatch, **arguments: list[bytes]) -> None:
    monkeypatch.setattr(type(pn.state), "session_args", PropertyMock(return_value=arguments))


def test_port_zero_takes_a_free_one() -> None:
    port = serve._bindable("localhost", 0)
    assert 1024 <= port < 65_536
    with socket.create_server(("localhost", port)) as server:
        assert server.getsockname()[1] == port


def test_a_taken_port_is_refused_in_words() -> None:
    with socket.create_server(("localhost", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(PCMLabError, match=rf"cannot listen on localhost:{port} \(.*\); choose another"):
            serve._bindable("localhost", port)


def test_a_host_that_is_not_here_is_refused_in_words() -> None:
    with pytest.raises(PCMLabError, match="cannot listen on 192.0.2.1:0"):
        serve._bindable("192.0.2.1", 0)


@pytest.mark.parametrize("port", [-1, 65_536])
def test_a_port_that_does_not_exist_is_refused_in_words(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def create_server(address: tuple[str, int]) -> socket.socket:
        """As the real one, which leaves a socket open behind it."""
        raise OverflowError("bind(): port must be 0-65535.")

    monkeypatch.setattr(serve.socket, "create_server", create_server)
    with pytest.raises(PCMLabError, match=f"localhost:{port}"):
        serve._bindable("localhost", port)


class Run:
    """Stands for the Live page, and remembers what each was built for."""

    built: ClassVar[list[tuple[url.Link, float]]] = []

    def __init__(self, link: url.Link, idle: float, place: object) -> None:
        self.built.append((link, idle))
        self.page = frame.template(pn.Row(), pn.Row(), [], lambda dark: None)

    def attach(self, document: Document) -> None:
        """Nothing to stream."""


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[tuple[url.Link, float]]:
    monkeypatch.setattr(Run, "built", [])
    monkeypatch.setattr(register, "Live", Run)
    return Run.built


@pytest.mark.parametrize("name", PRESETS)
def test_the_address_and_the_limit_reach_the_page(
    name: str, built: list[tuple[url.Link, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    address(monkeypatch, preset=[name.encode()], autoplay=[b"1"], seed=[b"7"])
    serve.Host(Limits(idle=3.0)).page()
    ((link, idle),) = built
    assert (link.preset, link.autoplay, link.problems, idle) == (name, True, (), 3.0)
    assert link.config == PRESETS[name].config.with_values({"seed": 7})


@pytest.mark.parametrize(
    "asked", [b"best", b"\xff\xfe", b"<script>alert(1)</script>", b"../../etc/passwd", b"x" * 10_000, b"__class__"]
)
def test_a_hostile_preset_gives_the_default_and_a_sentence(
    asked: bytes, built: list[tuple[url.Link, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    address(monkeypatch, preset=[asked])
    serve.Host(Limits()).page()
    ((link, _),) = built
    assert link.preset == url.DEFAULT_PRESET
    assert "unknown preset" in link.problems[0]
    assert "mixed-precision" in link.problems[0]


def test_without_an_address_the_default_is_shown_at_rest(
    built: list[tuple[url.Link, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    address(monkeypatch)
    serve.Host(Limits()).page()
    assert built == [(url.read({}), 120.0)]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, object]]:
    """What the server is asked for, instead of a server."""
    options: dict[str, object] = {}
    loop = SimpleNamespace(add_callback=lambda call: options.update(first=call))
    for variable in ("PCMLAB_MAX_SESSIONS", "PCMLAB_IDLE_MINUTES", "PCMLAB_KEEP_MINUTES"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(serve, "prepare", lambda: None)
    monkeypatch.setattr(serve.IOLoop, "current", lambda: loop)
    monkeypatch.setattr(serve.pn, "serve", lambda pages, **named: options.update(named, pages=pages))
    return options


def test_serving_listens_where_asked_and_lets_only_named_origins_in(asked: dict[str, object]) -> None:
    serve.serve(port=0, open_browser=False, allow_origin=["lab.example:80"])
    port = asked["port"]
    assert asked["address"] == "localhost"
    assert asked["show"] is False
    assert set(asked["websocket_origin"]) == {f"localhost:{port}", f"127.0.0.1:{port}", "lab.example:80"}


def test_serving_hands_the_limits_on_and_watches_its_loop(asked: dict[str, object]) -> None:
    serve.serve(port=0, max_sessions="3", idle_minutes=5)
    host = asked["first"].__self__
    assert host.limits == Limits(3, 5.0)
    assert host.visitors.most == 3
    assert asked["first"] == host.watch
    (path, _, options), kept = asked["extra_patterns"]
    assert path == "/health"
    assert kept == sessions.ROUTE
    assert options["report"] == host.health


@pytest.mark.parametrize(("minutes", "lifetime"), [(None, 300_000), ("1.5", 90_000), (0, 30_000)])
def test_the_server_looks_for_closed_tabs_as_often_and_keeps_them_for_as_long_as_it_is_told(
    asked: dict[str, object], minutes: str | None, lifetime: int
) -> None:
    """Under a name that nobody reads both would be taken without a word."""
    serve.serve(port=0, keep_minutes=minutes)
    tornado = BokehTornado({"/": Application()}, **{name: asked[name] for name in asked if "unused" in name})
    assert tornado._check_unused_sessions_milliseconds == serve.CHECK_MS
    assert tornado._unused_session_lifetime_milliseconds == lifetime


def test_a_connection_without_a_request_is_given_up_long_before_an_hour(asked: dict[str, object]) -> None:
    serve.serve(port=0)
    listening = HTTPServer(lambda request: None, **asked["http_server_kwargs"])
    assert listening.conn_params.header_timeout == serve.QUIET < 60.0


def test_serving_asks_the_environment(asked: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PCMLAB_MAX_SESSIONS", "4")
    serve.serve(port=0)
    assert asked["first"].__self__.limits == Limits(4, 120.0)


def test_a_bad_limit_is_told_before_anything_is_served(asked: dict[str, object]) -> None:
    with pytest.raises(FieldError, match="^--max-sessions: must be a whole number from 1 to 1000, got 'x'$"):
        serve.serve(port=0, max_sessions="x")
    assert asked == {}


class Visit:
    """A browser session that asks for the page."""

    def __init__(self, key: str) -> None:
        request = SimpleNamespace(cookies={}, arguments={})
        self.context = SimpleNamespace(id=key, session=None, request=request)
        self.document = Document()
        self.document._session_context = lambda: self.context

    def ask(self, host: serve.Host) -> object:
        async def in_loop() -> object:
            with set_curdoc(self.document):
                return host.page()

        return asyncio.run(in_loop())


def test_a_full_house_shows_a_page_and_builds_no_run(
    built: list[tuple[url.Link, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    address(monkeypatch)
    host, first = serve.Host(Limits(sessions=1)), Visit("a")
    assert not isinstance(first.ask(host), pn.pane.HTML)
    refused = Visit("b").ask(host)
    assert isinstance(refused, pn.pane.HTML)
    assert "1 live session runs on this server and the limit is 1" in refused.object
    assert len(built) == 1
    for callback in first.document.session_destroyed_callbacks:
        callback(first.context)
    assert not isinstance(Visit("c").ask(host), pn.pane.HTML)
    assert len(built) == 2


def test_a_page_that_cannot_be_built_keeps_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(link: url.Link, idle: float, place: object) -> None:
        raise PCMLabError("no page today")

    monkeypatch.setattr(register, "Live", broken)
    address(monkeypatch)
    host = serve.Host(Limits(sessions=1))
    with pytest.raises(PCMLabError, match="no page today"):
        Visit("a").ask(host)
    assert host.visitors.live == 0


def test_health_counts_sessions_and_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    host = serve.Host(Limits(sessions=5))
    host.visitors.admit("a")
    before = asyncio.run(host.health())
    live = register.Live()
    during = asyncio.run(host.health())
    live.runner.stop(timeout=60.0)
    assert (before["sessions"], before["max_sessions"]) == (1, 5)
    assert during["workers"] == before["workers"] + 1
    assert asyncio.run(host.health())["workers"] == before["workers"]
    assert before["rss_bytes"] > 1e7
    assert set(before["lag_ms"]) == {"median", "p95", "max"}


def test_the_plugin_route_is_the_same_and_takes_its_limits_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PCMLAB_MAX_SESSIONS", "9")
    serve._host.cache_clear()
    (path, _, options), kept = serve.ROUTES
    assert (path, kept) == ("/health", sessions.ROUTE)
    assert asyncio.run(options["report"]())["max_sessions"] == 9
    serve._host.cache_clear()


def test_a_browser_that_goes_is_no_error_but_everything_else_is(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(error: Exception) -> None:
        raise error

    async def live() -> None:
        serve.Host(Limits()).watch()
        tasks = [asyncio.create_task(fail(e)) for e in (WebSocketClosedError(), StreamClosedError(), KeyError("real"))]
        await asyncio.wait(tasks)
        del tasks
        gc.collect()

    asyncio.run(live())
    assert [record.exc_info[1].args for record in caplog.records] == [("real",)]


def busy_watchers() -> int:
    return len(pn.state.param.watchers.get("busy", {}).get("value", []))


def test_a_session_that_has_ended_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Panel alone would keep its page: through the busy flag, and through the list of views."""
    address(monkeypatch)
    host, kept = serve.Host(Limits()), set(pn.state._views)
    watchers = busy_watchers()
    visit = Visit("a")
    page = weakref.ref(visit.ask(host))
    pn.state._views["notifications"] = (None, None, visit.document, None)
    pn.state._views["another's"] = (None, None, Document(), None)
    for callback in list(visit.document.session_destroyed_callbacks):
        callback(None)
    assert set(pn.state._views) - kept == {"another's"}
    del pn.state._views["another's"]
    assert busy_watchers() == watchers
    assert page()._param__private.ref_watchers == []
