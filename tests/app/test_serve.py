"""What can be known of the server before it serves."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import ClassVar
from unittest.mock import PropertyMock

import panel as pn
import pytest
from bokeh.document import Document
from panel.io.state import set_curdoc
from tornado.iostream import StreamClosedError
from tornado.websocket import WebSocketClosedError

from app import serve, url
from app.pages import frame, register
from app.pages.entries import Asked
from app.pages.race import RacePage
from app.pages.sweep import SweepPage
from app.server import sessions
from app.server.access import Access
from app.server.arrivals import once_connected
from app.server.limits import Limits
from app.server.origins import Origin
from app.visitors import SPARE
from pcmsim.errors import FieldError, PCMLabError
from training.presets import PRESETS


def address(monkeypatch: pytest.MonkeyPatch, **arguments: list[bytes]) -> None:
    monkeypatch.setattr(type(pn.state), "session_args", PropertyMock(return_value=arguments))


class Run:
    """Stands for the Live page, and remembers what each was built for."""

    built: ClassVar[list[tuple[url.Link, float]]] = []

    def __init__(self, link: url.Link, idle: float, place: object, waits: bool) -> None:
        assert waits, "the run would begin before anybody is here"
        self.built.append((link, idle))
        self.page = frame.template(pn.Row(), pn.Row(), [], lambda dark: None)

    def attach(self, document: Document) -> None:
        """Nothing to stream."""

    def arrive(self) -> None:
        """Nothing to begin."""
        self.arrived = True


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
    """What a server would be built of, instead of a server."""
    options: dict[str, object] = {}
    loop = SimpleNamespace(add_callback=lambda call: options.update(first=call))
    for variable in ("PCMLAB_MAX_SESSIONS", "PCMLAB_IDLE_MINUTES", "PCMLAB_KEEP_MINUTES", "PCMLAB_TOKEN"):
        monkeypatch.delenv(variable, raising=False)

    def build(site: object, access: Access, sockets: object, host: str) -> object:
        options.update(site=site, access=access, host=host)
        return SimpleNamespace(address="http://localhost/")

    monkeypatch.setattr(serve, "prepare", lambda: None)
    monkeypatch.setattr(serve, "_end_well_when_told", lambda: None)
    monkeypatch.setattr(serve.IOLoop, "current", lambda: loop)
    monkeypatch.setattr(serve, "listen", lambda host, port: [])
    monkeypatch.setattr(serve, "build", build)
    monkeypatch.setattr(serve, "_run", lambda listening, **named: options.update(named))
    return options


def test_serving_asks_for_a_token_and_knows_only_its_own_origins_unless_told_otherwise(
    asked: dict[str, object],
) -> None:
    serve.serve(port=0, open_browser=False)
    assert (asked["host"], asked["open_browser"]) == ("localhost", False)
    assert len(asked["access"].token) >= 32
    assert asked["access"].origins == asked["access"].embedding == ()
    serve.serve(port=0, no_token=True, allow_origin=["lab.example:80"], allow_embed=["https://course.example"])
    assert asked["access"].token == ""
    assert asked["access"].origins == (Origin("lab.example", "80"),)
    assert asked["access"].embedding == (Origin("course.example", scheme="https"),)


def test_serving_hands_the_limits_on_and_watches_its_loop(asked: dict[str, object]) -> None:
    serve.serve(port=0, max_sessions="3", idle_minutes=5)
    host = asked["first"].__self__
    assert host.limits == Limits(3, 5.0)
    assert host.visitors.most == 3
    assert asked["first"] == host.watch
    assert asked["site"].report == host.health
    assert asked["site"].keep == 5.0


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
        session = SimpleNamespace(connection_count=0, milliseconds_since_last_unsubscribe=0.0)
        self.context = SimpleNamespace(id=key, session=session, request=request)
        self.document = Document()
        self.document._session_context = lambda: self.context

    def ask(self, host: serve.Host) -> object:
        async def in_loop() -> object:
            with set_curdoc(self.document):
                return host.page()

        return asyncio.run(in_loop())

    def connect(self, host: serve.Host) -> bool:
        """Whether its browser finds a place."""
        self.context.session.connection_count = 1
        return host.visitors.welcome(self.document)


def test_a_full_house_shows_a_page_and_builds_no_run(
    built: list[tuple[url.Link, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    address(monkeypatch)
    host, first = serve.Host(Limits(sessions=1)), Visit("a")
    assert not isinstance(first.ask(host), pn.pane.HTML)
    assert first.connect(host)
    refused = Visit("b").ask(host)
    assert isinstance(refused, pn.pane.HTML)
    assert "1 live session runs on this server and the limit is 1" in refused.object
    assert len(built) == 1
    for callback in first.document.session_destroyed_callbacks:
        callback(first.context)
    assert not isinstance(Visit("c").ask(host), pn.pane.HTML)
    assert len(built) == 2


def test_plain_requests_take_no_place(built: list[tuple[url.Link, float]], monkeypatch: pytest.MonkeyPatch) -> None:
    address(monkeypatch)
    host = serve.Host(Limits(sessions=3))
    visits = [Visit(str(number)) for number in range(SPARE)]
    assert not any(isinstance(visit.ask(host), pn.pane.HTML) for visit in visits[: SPARE // 2 + 3])
    assert host.visitors.live == 0
    assert [visit.connect(host) for visit in visits[:4]] == [True, True, True, False]


class Connected:
    """A session's document; whatever is to be done in its next turn is done at once."""

    def __init__(self) -> None:
        self.session = SimpleNamespace(connection_count=0)
        self.session_context = SimpleNamespace(session=self.session)
        self.destroyed: list[object] = []

    def on_session_destroyed(self, call: object) -> None:
        self.destroyed.append(call)

    def add_next_tick_callback(self, call: Callable[[], None]) -> None:
        call()


def test_what_costs_a_processor_begins_when_the_first_browser_has_connected() -> None:
    begun: list[bool] = []

    async def live() -> list[int]:
        document, counts = Connected(), []
        once_connected(document, lambda: begun.append(True))
        for connections in (0, 1, 0, 1):
            document.session.connection_count = connections
            await asyncio.sleep(0.1)
            counts.append(len(begun))
        return counts

    assert asyncio.run(live()) == [0, 1, 1, 1]


def test_nothing_begins_for_a_session_that_has_ended() -> None:
    begun: list[bool] = []

    async def live() -> None:
        document = Connected()
        once_connected(document, lambda: begun.append(True))
        document.destroyed[0](None)
        document.session.connection_count = 1
        await asyncio.sleep(0.1)

    asyncio.run(live())
    assert begun == []


@pytest.mark.parametrize("admitted", [True, False])
def test_who_finds_the_last_place_taken_meanwhile_begins_nothing_and_is_let_go(admitted: bool) -> None:
    host, visit, page, closed = serve.Host(Limits(sessions=1)), Visit("b"), Run.__new__(Run), []
    connection = SimpleNamespace(_socket=SimpleNamespace(close=lambda: closed.append(True)))
    visit.context.session._subscribed_connections = [connection]
    visit.context.session.request_expiration = lambda: closed.append("session")
    if not admitted:
        host.visitors.admit("a")
    host._let_in(page, visit.document)
    assert hasattr(page, "arrived") is admitted
    assert closed == ([] if admitted else ["session", True])


def test_a_page_that_cannot_be_built_keeps_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(link: url.Link, idle: float, place: object, waits: bool) -> None:
        raise PCMLabError("no page today")

    monkeypatch.setattr(register, "Live", broken)
    address(monkeypatch)
    host = serve.Host(Limits(sessions=1))
    with pytest.raises(PCMLabError, match="no page today"):
        Visit("a").ask(host)
    assert host.visitors.live == 0


def test_a_page_that_cannot_be_built_tells_visitors_nothing_of_the_machine(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("/secret/path")

    monkeypatch.setattr(serve.Host, "page", broken)
    shown = serve.Host(Limits()).serving(register.PAGES[0])()
    assert "could not be built" in shown.object
    assert "secret" not in shown.object
    assert "/secret/path" in caplog.text


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


def test_pages_that_wait_begin_when_somebody_has_arrived(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr(RacePage, "begin", lambda page: done.append("race"))
    monkeypatch.setattr(SweepPage, "_look", lambda page: done.append("sweep"))
    pages = [RacePage(Asked(autoplay=True), waits=True), RacePage(Asked(), waits=True), SweepPage(waits=True)]
    assert done == []
    for page in pages:
        page.arrive()
        page.close()
    assert done == ["race", "sweep"]
