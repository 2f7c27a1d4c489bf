"""The way in: every request is looked up in the list of routes and asked for what its route asks, or refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bokeh.server.tornado import BokehTornado
from bokeh.util.token import check_token_signature
from tornado.httputil import HTTPMessageDelegate, HTTPServerRequest
from tornado.routing import Router

from app.server.origins import Origins
from app.server.plain import FIELD, Alive, Answer, Entrance, refusal
from app.server.proxies import Proxies
from app.server.routes import Checks, Route
from app.server.token import Key

NOT_FOUND = refusal(404, "Not found", "There is nothing at this address.")
OTHER_METHOD = "This address does not know the method of the request."
ELSEWHERE = refusal(403, "Another site", "A page of another site asked for this. Open the address itself.")
NAMED = refusal(403, "A session of its own", "An address cannot name a session. Open it without what names one.")
NO_TOKEN = refusal(403, "A token, please", "This server answers whoever has its token.")
NO_SESSION = refusal(403, "No session", "Connections belong to a page that this server has made.")
ALIVE = Answer(Alive, {})
SESSION_KEYS = "bokeh-"
SESSION_HEADER = "Bokeh-Session-Id"
FRAMES = ("iframe", "frame", "embed", "object", "fencedframe")


class Gate(Router):
    """Answers by a list of routes.

    Parameters
    ----------
    application : BokehTornado
        Its handlers' application.
    routes : sequence of Route
        All that is answered.
    proxies : Proxies
        Who may say whom a request comes from.
    """

    def __init__(self, application: BokehTornado, routes: Sequence[Route], proxies: Proxies) -> None:
        self.routes = tuple(routes)
        self._application, self._proxies = application, proxies

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> HTTPMessageDelegate:
        """Who answers a request; Tornado asks once its headers are there."""
        self._proxies.reveal(request)
        for route in self.routes:
            found = route.matcher.match(request)
            if found is not None:
                return self._delegate(request, self._answer(route, request), **found)
        return self._delegate(request, NOT_FOUND)

    def _answer(self, route: Route, request: HTTPServerRequest) -> Answer:
        if request.method not in route.methods:
            return refusal(405, "Not so", OTHER_METHOD, {"Allow": ", ".join(route.methods)})
        return route.answered(request)

    def _delegate(self, request: HTTPServerRequest, answer: Answer, **found: Any) -> HTTPMessageDelegate:
        handler, arguments = answer
        return self._application.get_handler_delegate(request, handler, dict(arguments), **found)


class Guard:
    """What is asked of requests.

    Parameters
    ----------
    key : Key
        What opens the door.
    origins : Origins
        Whose pages may connect.
    entrance : Answer
        What somebody gets for whom it does not open.
    secret : bytes
        Signs the sessions.
    framed : bool
        Whether pages of other sites may show ours in a frame.
    """

    def __init__(self, key: Key, origins: Origins, entrance: Answer, secret: bytes, *, framed: bool) -> None:
        self._key, self._origins, self._entrance, self._secret, self._framed = key, origins, entrance, secret, framed

    def checks(self) -> Checks:
        """By kind of route."""
        return Checks(
            page=(self._foreign, self._naming, self._coming_in),
            socket=(self._unlisted, self._closed, self._unsigned),
            file=(self._foreign, self._closed),
            health=(self._reserved,),
        )

    def _foreign(self, request: HTTPServerRequest) -> Answer | None:
        """Browsers say which site asks; only a person may be led here by another one, or a frame that is allowed."""
        if request.headers.get("Sec-Fetch-Site", "none") in ("none", "same-origin"):
            return None
        framing = request.headers.get("Sec-Fetch-Dest") in FRAMES
        led = request.headers.get("Sec-Fetch-Mode") == "navigate" and request.method in ("GET", "HEAD")
        return None if led and (self._framed or not framing) else ELSEWHERE

    def _naming(self, request: HTTPServerRequest) -> Answer | None:
        """Whoever chose the name could look over the shoulder of whoever opens the address."""
        named = any(name.startswith(SESSION_KEYS) for name in request.query_arguments)
        return NAMED if named or SESSION_HEADER in request.headers else None

    def _coming_in(self, request: HTTPServerRequest) -> Answer | None:
        if not self._key.opens(request):
            return self._entrance
        brings = FIELD in request.query_arguments or request.method == "POST"
        return Answer(Entrance, {"key": self._key}) if brings else None

    def _closed(self, request: HTTPServerRequest) -> Answer | None:
        return None if self._key.opens(request) else NO_TOKEN

    def _reserved(self, request: HTTPServerRequest) -> Answer | None:
        """That the server answers is no secret."""
        return None if self._key.opens(request) else ALIVE

    def _unlisted(self, request: HTTPServerRequest) -> Answer | None:
        """Programs name no origin; they need the token all the same."""
        origin = request.headers.get("Origin")
        return None if origin is None or self._origins.allows(origin) else ELSEWHERE

    def _unsigned(self, request: HTTPServerRequest) -> Answer | None:
        _, _, session = request.headers.get("Sec-WebSocket-Protocol", "").partition(",")
        return None if _signed(session.strip(), self._secret) else NO_SESSION


def _signed(session: str, secret: bytes) -> bool:
    """Bokeh reads a name before it looks at the signature: what is no token at all makes it stumble."""
    try:
        return bool(check_token_signature(session, secret, signed=True))
    except Exception:
        return False
