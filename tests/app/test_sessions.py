"""A session is found again by who has its token, and by nobody else; one that nobody came for ends."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace

import pytest
from bokeh.document import Document
from bokeh.util.token import generate_jwt_token, generate_session_id, get_session_id, get_token_payload
from tornado.httpclient import AsyncHTTPClient
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application

from app.browser.link import HEADER
from app.server import sessions

SECRET = b"of this server"


IDS = {name: generate_session_id(SECRET, signed=True) for name in ("living", "ending", "gone")}


def token(name: str, secret: bytes = SECRET, expiration: int = 300) -> str:
    """A signed token of a session."""
    return generate_jwt_token(
        IDS[name], secret, signed=True, extra_payload={"cookies": {"a": "b"}}, expiration=expiration
    )


def asked(*tokens: str | None) -> list[tuple[int, dict[str, str]]]:
    """Status and answer of a server with one session, for each token."""
    living = SimpleNamespace(id=IDS["living"], expiration_requested=False)
    ending = SimpleNamespace(id=IDS["ending"], expiration_requested=True)
    application = Application([sessions.ROUTE])
    application.secret_key, application.sign_sessions, application.session_token_expiration = SECRET, True, 300
    application.app_paths, application.get_sessions = {"/"}, lambda path: [living, ending]

    async def ask() -> list[tuple[int, dict[str, str]]]:
        listener, port = bind_unused_port()
        server = HTTPServer(application)
        server.add_socket(listener)
        replies = []
        for one in tokens:
            headers = {} if one is None else {HEADER: one}
            reply = await AsyncHTTPClient().fetch(
                f"http://127.0.0.1:{port}/session", headers=headers, raise_error=False
            )
            replies.append((reply.code, json.loads(reply.body) if reply.code == 200 else {}))
        server.stop()
        return replies

    return asyncio.run(ask())


def test_who_has_a_living_sessions_token_gets_a_fresh_one_however_old_it_is() -> None:
    for status, answer in asked(token("living"), token("living", expiration=-3600)):
        assert status == 200
        assert get_session_id(answer["token"]) == IDS["living"]
        payload = get_token_payload(answer["token"])
        assert payload["cookies"] == {"a": "b"}
        assert payload["session_expiry"] > get_token_payload(token("living", expiration=200))["session_expiry"]


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        "",
        "nonsense",
        "a.b",
        "x" * 5000,
        token("gone"),
        token("ending"),
        token("living", b"of another server"),
        token("living").split(".")[0],
        token("living")[:-1] + ("a" if token("living")[-1] != "a" else "b"),
    ],
)
def test_any_other_token_finds_nothing(wrong: str | None) -> None:
    assert asked(wrong) == [(410, {})]


@pytest.fixture
def document() -> Document:
    """Of a session that notes when it shall end."""
    served, ended = Document(), []
    session = SimpleNamespace(request_expiration=lambda: ended.append(True), connection_count=0)
    context = SimpleNamespace(session=session, ended=ended)
    served._session_context = lambda: context
    return served


@pytest.mark.parametrize("comes", [True, False])
def test_a_session_that_no_browser_comes_for_ends(
    comes: bool, document: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "SECONDS_UNUSED", 0.2)

    async def wait() -> None:
        sessions.end_unless_used(document)
        document.session_context.session.connection_count = int(comes)
        await asyncio.sleep(0.1)
        for due in document.session_callbacks:
            due.callback()
        await asyncio.sleep(0.3)

    asyncio.run(wait())
    assert document.session_context.ended == ([] if comes else [True])
