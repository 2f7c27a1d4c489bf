"""Every route of the server with its answer, and what strangers, other sites and other users try."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from bokeh.util.token import generate_jwt_token, generate_session_id, get_token_payload
from panel.io.rest import REST_PROVIDERS
from panel.io.server import get_static_routes
from server_kit import PASS, TOKEN, Server, answering
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import websocket_connect

from app.server import listening
from app.server.access import Access
from app.server.listening import Site

ANSWERS = {
    "/": (403, 200),
    "/race": (403, 200),
    "/sweep": (403, 200),
    "/race/": (302, 302),
    "/sweep/": (302, 302),
    "/ws": (403, 403),
    "/race/ws": (403, 403),
    "/sweep/ws": (403, 403),
    "/static/js/bokeh.min.js": (403, 200),
    "/static/extensions/panel/panel.min.js": (403, 200),
    "/static/extensions/panel/images/favicon.ico": (403, 200),
    "/favicon.ico": (200, 200),
    "/session": (403, 410),
    "/health": (200, 200),
}
"""All that is answered: without a token, and with it, to a plain GET."""

HIDDEN = [
    "/metadata",
    "/autoload.js",
    "/race/metadata",
    "/race/autoload.js",
    "/sweep/metadata",
    "/sweep/autoload.js",
    "/static/x",
    "/race/static/x",
    "/sweep/static/x",
    "/static/extensions/x",
    "/components/x",
    "/rest/session_info",
    "/__patchedroot/static/x",
]
"""What Bokeh, Panel and Tornado would answer beside it."""

SAMPLES = {"(.*)": "x", "/?": "/", "(?!extensions/)": "", "(?P<>.*)": "x"}


def sample(pattern: str) -> str:
    """A path that one of their patterns matches."""
    for part, text in SAMPLES.items():
        pattern = pattern.replace(part, text)
    return pattern.rstrip("$").lstrip("^").replace("\\", "")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with answering(Access.asked(TOKEN)) as one:
        yield one


@pytest.fixture(scope="module")
def open_server() -> Iterator[Server]:
    with answering(Access.asked(no_token=True, origins=["lab.example:80"])) as one:
        yield one


def theirs(server: Server) -> set[str]:
    """Samples of every rule of the running application, and of those that Panel's own server would add."""
    application = server.listening.gate._application
    rules = [rule.matcher.regex.pattern for rule in application.wildcard_router.rules]
    added = [pattern for pattern, *_ in [*get_static_routes({}), *REST_PROVIDERS["param"]([], "rest")]]
    return {sample(pattern) for pattern in [*rules, *added]}


def test_every_rule_of_the_running_application_is_listed_here(server: Server) -> None:
    known = {*ANSWERS, *HIDDEN}
    assert {path for path in theirs(server) if path not in known and not path.startswith("/rest")} == set()


@pytest.mark.parametrize("path", ANSWERS)
def test_what_is_answered(path: str, server: Server) -> None:
    assert (server.ask(path)[0], server.ask(path, **PASS)[0]) == ANSWERS[path]


@pytest.mark.parametrize("path", HIDDEN)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "OPTIONS"])
def test_nothing_else_is(path: str, method: str, server: Server) -> None:
    assert server.ask(path, method)[0] == server.ask(path, method, **PASS)[0] == 404


def test_the_routes_are_those_of_the_table(server: Server) -> None:
    """A new route needs its line above, and in SECURITY.md."""
    for route in server.listening.gate.routes:
        assert [path for path in ANSWERS if route.matcher.regex.match(path)], route.path


def test_the_table_of_all_routes_is_that_of_the_document() -> None:
    document = (Path(__file__).parents[2] / "SECURITY.md").read_text("utf-8")
    rows = re.findall(r"^\| `(/\S*)` \| (\d+) \| (\d+) \|", document, flags=re.M)
    assert {path: (int(without), int(having)) for path, without, having in rows} == ANSWERS


HOSTILE = [
    "/components/unittest.__main__/a/b/c",
    "/components/this/a/b/c",
    "//components/this/a/b/c",
    "/./components/this/a/b/c",
    "/%63omponents/this/a/b/c",
    "/race/../components/this/a/b/c",
    "/static/../components/this/a/b/c",
    "/static/extensions/panel/../../io/server.py",
    "/static/extensions/panel/..%2f..%2fio/server.py",
    "/static/extensions/panel/css/../../../io/server.py",
    "/static/extensions/panel/bundled/theme/..%5E/x.css",
    "/static/extensions//etc/passwd",
    "/static/js/../../server.py",
    "/static/js/bokeh.min.js/..",
    "/static/js/bokeh.min.js%00",
    "/rac%65",
    "/RACE",
    "/admin",
    "/login",
    "/liveness",
    "/_panel_session_reuse",
    "/index",
    "//",
    "/\\",
    "/?/../components/this/a/b/c",
]


@pytest.mark.parametrize("path", HOSTILE)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_hostile_addresses_are_not_there_and_import_nothing(path: str, method: str, server: Server) -> None:
    expected = ANSWERS["/"] if path.startswith("/?") else (404, 404)
    if path.startswith("/?") and method == "POST":
        expected = (403, 303)
    assert (server.ask(path, method)[0], server.ask(path, method, **PASS)[0]) == expected
    assert "this" not in sys.modules
    assert "unittest.__main__" not in sys.modules


@pytest.mark.parametrize("path", [path for path in ANSWERS if not path.endswith(("/", "/ws", "/session"))] + ["/"])
def test_a_request_for_headers_is_answered_without_a_page(path: str, server: Server) -> None:
    status, headers, text = server.ask(path, "HEAD", **PASS)
    assert (status, text) == (200, "")
    assert headers["Content-Type"].split(";")[0] == server.ask(path, **PASS)[1]["Content-Type"].split(";")[0]


def test_a_request_for_headers_begins_no_session(server: Server) -> None:
    application = server.listening.gate._application
    before = len(application.get_sessions("/"))
    server.ask("/", "HEAD", **PASS)
    assert len(application.get_sessions("/")) == before


@pytest.mark.parametrize("path", ["/static/js/bokeh.min.js", "/favicon.ico", "/health", "/race/"])
def test_a_method_that_an_address_does_not_know_is_refused_with_those_that_it_does(path: str, server: Server) -> None:
    status, headers, _ = server.ask(path, "DELETE", **PASS)
    assert status == 405
    assert headers["Allow"].startswith("GET")


PROTECTED = ["/", "/nowhere", "/health", "/favicon.ico", "/static/js/bokeh.min.js", "/race/"]


@pytest.mark.parametrize("path", PROTECTED)
def test_every_answer_forbids_frames_sniffing_and_referrers(path: str, server: Server) -> None:
    _, headers, _ = server.ask(path, **PASS)
    assert headers["X-Frame-Options"] == "DENY"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert "Server" not in headers


def test_named_pages_may_show_ours_in_a_frame() -> None:
    with answering(Access.asked(TOKEN, embedding=["https://course.example", "localhost:8000"])) as server:
        _, headers, _ = server.ask("/", **PASS)
        assert headers["Content-Security-Policy"].endswith("'self' https://course.example localhost:8000")
        assert "X-Frame-Options" not in headers
        framed = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "iframe"}
        assert server.ask("/", **PASS, **framed)[0] == 200


def test_the_token_of_the_address_becomes_a_cookie_and_the_rest_of_the_address_stays(server: Server) -> None:
    status, headers, _ = server.ask(f"/race?seeds=3&token={TOKEN}&preset=a%20b")
    assert (status, headers["Location"]) == (303, "./race?seeds=3&preset=a%20b")
    cookie = headers["Set-Cookie"]
    assert re.fullmatch(rf"pcmlab-{server.port}=[0-9a-f]{{64}}; HttpOnly; Path=/; SameSite=Lax", cookie)
    assert TOKEN not in cookie
    assert server.ask("/race", Cookie=cookie.split(";")[0])[0] == 200
    assert server.ask("/race", Cookie=cookie.split(";")[0][:-1] + "x")[0] == 403


def test_the_token_can_be_typed(server: Server) -> None:
    status, headers, text = server.ask("/sweep?a=1")
    assert status == 403
    assert '<form method="post">' in text
    assert "pcmlab serve" in text
    form = {"Content_Type": "application/x-www-form-urlencoded"}
    status, headers, _ = server.ask("/sweep?a=1", "POST", f"token={TOKEN}", **form)
    assert (status, headers["Location"]) == (303, "./sweep?a=1")
    assert "Set-Cookie" in headers


@pytest.mark.parametrize("token", ["wrong", "", TOKEN[:-1], TOKEN + "x", "é", "\x7f", TOKEN.upper()])
def test_a_wrong_token_opens_nothing(token: str, server: Server) -> None:
    form = {"Content_Type": "application/x-www-form-urlencoded"}
    status, headers, text = server.ask("/", "POST", f"token={token}".encode().decode("latin1"), **form)
    assert status == 403
    assert "not the token" in text
    assert "Set-Cookie" not in headers
    assert server.ask("/", Authorization="token wrong")[0] == server.ask("/", Authorization=TOKEN)[0] == 403


@pytest.mark.parametrize("address", [f"//evil.example/?token={TOKEN}", f"/\\evil.example?token={TOKEN}"])
def test_the_way_on_leads_nowhere_else(address: str, server: Server) -> None:
    status, headers, _ = server.ask(address)
    assert status == 404
    assert "Location" not in headers


def test_health_tells_strangers_only_that_the_server_answers(server: Server) -> None:
    assert server.ask("/health")[2] == '{"status": "ok"}'
    assert "sessions" in server.ask("/health", **PASS)[2]
    assert "sessions" in server.ask("/health", Authorization=f"Bearer {TOKEN}")[2]


@pytest.mark.parametrize("name", ["bokeh-session-id", "bokeh-token", "bokeh-autoload-element", "bokeh%2Dsession-id"])
def test_an_address_names_no_session(name: str, server: Server) -> None:
    status, _, text = server.ask(f"/?{name}=mine", **PASS)
    assert (status, "cannot name a session" in text) == (403, True)


def test_nor_does_a_header(server: Server) -> None:
    assert server.ask("/", Bokeh_Session_Id="mine", **PASS)[0] == 403


def test_what_a_page_gets_of_its_request_holds_no_secret(server: Server) -> None:
    cookie = f"pcmlab-theme=dark; {server.ask(f'/?token={TOKEN}')[1]['Set-Cookie'].split(';')[0]}; other=1"
    session = session_of(server.ask("/?seed=3", Cookie=cookie, **PASS)[2])
    payload = get_token_payload(session)
    assert (payload["headers"], payload["cookies"]) == ({}, {"pcmlab-theme": "dark"})
    assert payload["arguments"] == {"seed": [b"3"]}


def session_of(page: str) -> str:
    return re.search(r'"token":"([^"]+)"', page)[1]


FETCHED = {
    "an image of another site": {
        "Sec_Fetch_Site": "cross-site",
        "Sec_Fetch_Mode": "no-cors",
        "Sec_Fetch_Dest": "image",
    },
    "a script of another port": {"Sec_Fetch_Site": "same-site", "Sec_Fetch_Mode": "cors", "Sec_Fetch_Dest": "empty"},
    "a frame": {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "iframe"},
}


@pytest.mark.parametrize("kind", FETCHED)
def test_other_sites_fetch_nothing_even_with_the_cookie(kind: str, server: Server) -> None:
    assert server.ask("/", **PASS, **FETCHED[kind])[0] == 403
    assert server.ask("/static/js/bokeh.min.js", **PASS, **FETCHED[kind])[0] == 403


def test_a_link_of_another_site_opens_a_page(server: Server) -> None:
    led = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
    assert server.ask("/", **PASS, **led)[0] == 200
    assert server.ask("/", "POST", "", **PASS, **led)[0] == 403


def connects(server: Server, session: str, **headers: str) -> bool:
    """Whether a connection is taken."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    async def connect() -> bool:
        request = HTTPRequest(f"ws://{server.host}:{server.port}/ws", headers=named)
        try:
            socket = await websocket_connect(request, subprotocols=["bokeh", session])
        except HTTPClientError as error:
            return error.code != 403
        greeting = await socket.read_message()
        socket.close()
        while await socket.read_message() is not None:
            pass
        return "ACK" in str(greeting)

    return asyncio.run(connect())


def test_a_connection_needs_token_origin_and_a_session_of_this_server(server: Server) -> None:
    session, home = session_of(server.ask("/", **PASS)[2]), f"http://localhost:{server.port}"
    assert connects(server, session, **PASS)
    assert connects(server, session, **PASS, Origin=home)
    assert not connects(server, session, Origin=home)
    assert not connects(server, session, **PASS, Origin="http://evil.example")
    assert not connects(server, session, **PASS, Origin=f"http://localhost:{server.port + 1}")
    assert not connects(server, session, **PASS, Origin="null")


def test_only_sessions_that_this_server_signed_are_known(server: Server) -> None:
    session = session_of(server.ask("/", **PASS)[2])
    unsigned = generate_jwt_token(generate_session_id(None, signed=False), signed=False, expiration=300)
    other = generate_jwt_token(generate_session_id(b"x", signed=True), b"x", signed=True, expiration=300)
    for forged in (unsigned, other, session[:-1] + "-", "garbage", "a.b", ".", "eyJ9.x"):
        assert not connects(server, forged, **PASS)


def test_without_a_token_a_name_of_the_server_is_asked_for(open_server: Server) -> None:
    assert open_server.ask("/")[0] == 200
    assert open_server.ask("/", Host="lab.example")[0] == 200
    status, _, text = open_server.ask("/", Host=f"evil.example:{open_server.port}")
    assert (status, "--allow-origin" in text) == (403, True)
    assert open_server.ask("/health", Host="evil.example")[2] == '{"status": "ok"}'
    assert open_server.ask("/?token=old&seed=3")[1]["Location"] == "./?seed=3"


def test_below_a_prefix_everything_is_and_nothing_beside_it() -> None:
    with answering(Access.asked(TOKEN, prefix="lab/")) as server:
        assert server.listening.address == f"http://localhost:{server.port}/lab/?token={TOKEN}"
        for path, answers in ANSWERS.items():
            assert (server.ask(f"/lab{path}")[0], server.ask(f"/lab{path}", **PASS)[0]) == answers
            assert server.ask(path, **PASS)[0] == 404
        assert server.ask("/lab")[1]["Location"] == "./lab/"
        assert server.ask(f"/lab/race?token={TOKEN}&x=1")[1]["Location"] == "./race?x=1"
        assert server.ask("/lab/components/this/a/b/c", **PASS)[0] == 404


@pytest.mark.parametrize(("minutes", "lifetime"), [(5.0, 300_000), (1.5, 90_000), (0.0, 30_000)])
def test_closed_tabs_are_looked_for_as_often_and_kept_for_as_long_as_told(minutes: float, lifetime: int) -> None:
    tornado = listening._application(Site({"/": lambda: None}, {"/": ""}, None, minutes), Access.asked(TOKEN), b"")
    assert tornado._check_unused_sessions_milliseconds == listening.CHECK_MS
    assert tornado._unused_session_lifetime_milliseconds == lifetime


def test_a_connection_without_a_request_is_given_up_long_before_an_hour(server: Server) -> None:
    assert server.listening.server._http.conn_params.header_timeout == listening.QUIET < 60.0


def test_a_large_body_is_not_read(server: Server) -> None:
    form = {"Content_Type": "application/x-www-form-urlencoded"}
    assert server.ask("/", "POST", "token=" + "x" * 2**15, **form)[0] == 400


def test_an_address_of_the_sixth_version_works() -> None:
    with answering(Access.asked(TOKEN), "::1") as server:
        assert server.listening.address == f"http://[::1]:{server.port}/?token={TOKEN}"
        assert server.ask("/", **PASS)[0] == 200


def test_behind_a_named_proxy_the_cookie_is_for_safe_connections_alone() -> None:
    with answering(Access.asked(TOKEN, proxies=["127.0.0.1", "::1"])) as server:
        cookie = server.ask(f"/?token={TOKEN}", X_Forwarded_Proto="https")[1]["Set-Cookie"]
    assert "Secure" in cookie
