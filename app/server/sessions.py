"""Sessions whose browser has gone: kept for a while, found again by the tab that had them, ended where nobody came."""

from __future__ import annotations

from typing import Any

from bokeh.document import Document
from bokeh.server.session import ServerSession
from bokeh.util.token import check_token_signature, generate_jwt_token, get_session_id, get_token_payload
from tornado.ioloop import IOLoop
from tornado.web import HTTPError, RequestHandler

from app.browser.link import ADDRESS, HEADER
from app.server.arrivals import once_connected

SECONDS_UNUSED = 30.0
"""For which a session waits for its browser's connection: it loads some megabytes of scripts before."""

GONE = 410


def end_unless_used(document: Document) -> None:
    """Let the session of a document end soon unless its browser connects: `Kept` is for those that were there."""
    came: list[bool] = []
    once_connected(document, lambda: came.append(True))
    IOLoop.current().call_later(SECONDS_UNUSED, lambda: came or end(document))


def end(document: Document) -> None:
    """Let a session end at the server's next look."""
    context = document.session_context
    if context is not None and context.session is not None:
        context.session.request_expiration()


class Kept(RequestHandler):
    """Answers ``GET /session``, for the token in a header: whether its session lives, with a fresh token for it.

    Tokens are valid for minutes and sessions live for hours. Who has the token had the session's page; it is
    in no address, and another site cannot send the header.
    """

    def get(self) -> None:
        """Write a token, or 410 where the session has ended."""
        self.set_header("Cache-Control", "no-store")
        token = self.request.headers.get(HEADER, "")
        signing = {"secret_key": self.application.secret_key, "signed": self.application.sign_sessions}
        if not _is_right(token, **signing) or not self._lives(get_session_id(token)):
            raise HTTPError(GONE)
        payload = {name: value for name, value in get_token_payload(token).items() if name != "session_expiry"}
        expiration = self.application.session_token_expiration
        fresh = generate_jwt_token(get_session_id(token), extra_payload=payload, expiration=expiration, **signing)
        self.write({"token": fresh})

    def _lives(self, session_id: str) -> bool:
        return any(session.id == session_id and not session.expiration_requested for session in self._sessions())

    def _sessions(self) -> list[ServerSession]:
        return [one for path in self.application.app_paths for one in self.application.get_sessions(path)]


def _is_right(token: str, **signing: Any) -> bool:
    """Whether this server made a token; what is no token at all fails in many ways."""
    try:
        return bool(get_session_id(token)) and check_token_signature(token, **signing)
    except Exception:
        return False


ROUTE = (f"/{ADDRESS}", Kept)
"""For the server's further patterns."""
