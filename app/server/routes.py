"""All that is answered at all: one list. What Bokeh, Panel and Tornado would serve beside it is never asked.

Panel alone adds a route that imports any module that its path names; Bokeh's lists tell what runs here.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bokeh.embed.bundle import extension_dirs
from bokeh.server.contexts import ApplicationContext
from bokeh.server.tornado import BokehTornado
from bokeh.server.views.ico_handler import IcoHandler
from bokeh.server.views.multi_root_static_handler import MultiRootStaticHandler
from bokeh.server.views.static_handler import StaticHandler
from panel.io.server import DocHandler, WSHandler
from tornado.httputil import HTTPServerRequest
from tornado.routing import PathMatches
from tornado.web import RedirectHandler

from app.browser.link import ADDRESS
from app.loop_monitor import Health
from app.server.plain import Answer, Known
from app.server.sessions import Kept

Check = Callable[[HTTPServerRequest], Answer | None]
"""Looks at a request: what it gets instead of what it asks for, or None."""

READ = ("GET", "HEAD")
HTML, ICON = "text/html; charset=utf-8", "image/x-icon"

NAME = r"(?:[A-Za-z0-9_@-]|%5E|\.(?!\.))+"
"""Of a file or a folder: no two dots in a row."""

SCRIPTS = r"(js/bokeh(?:-[a-z]+)?\.min\.js)"
EXTENSIONS = (
    r"(panel/panel\.min\.js",
    r"panel/images/favicon\.ico",
    rf"panel/css/{NAME}\.css",
    rf"panel/bundled/(?:font-awesome|notificationarea|reactiveesm|theme)(?:/{NAME})*/{NAME}\.(?:js|css|woff2)",
    rf"panel-material-ui/{NAME}\.(?:js|css|woff2))",
)
"""What our pages load of what comes with Bokeh, Panel and panel-material-ui."""


@dataclass(frozen=True)
class Route:
    """One kind of address.

    Parameters
    ----------
    path : str
        Regular expression of the whole path, prefix included; groups go to the handler.
    answer : Answer
        Who answers a request that may come in.
    methods : tuple of str
        Methods of HTTP that it knows.
    checks : tuple of callable
        Asked in turn, before.
    known : Answer or None
        Answers a ``HEAD``, where the handler does not.
    """

    path: str
    answer: Answer
    methods: tuple[str, ...] = READ
    checks: tuple[Check, ...] = ()
    known: Answer | None = None
    matcher: PathMatches = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "matcher", PathMatches(self.path))

    def answered(self, request: HTTPServerRequest) -> Answer:
        """Who answers a request for this path with a method that is known."""
        refused = next(filter(None, (check(request) for check in self.checks)), None)
        return refused or (self.known if self.known and request.method == "HEAD" else self.answer)


@dataclass(frozen=True)
class Checks:
    """What each kind of route asks before it answers; see `app.server.gate`."""

    page: tuple[Check, ...]
    socket: tuple[Check, ...]
    file: tuple[Check, ...]
    health: tuple[Check, ...]


Report = Callable[[], Awaitable[Mapping[str, Any]]]


def routes(application: BokehTornado, report: Report, checks: Checks) -> list[Route]:
    """All routes of a server.

    Parameters
    ----------
    application : BokehTornado
        Its pages.
    report : callable
        Figures for ``/health``.
    checks : Checks
        What is asked first.
    """
    prefix = re.escape(application.prefix)
    found = [
        route
        for path, context in application.applications.items()
        for route in _page(application.prefix, path, context, checks)
    ]
    return [
        *found,
        Route(f"{prefix}/static/{SCRIPTS}", Answer(StaticHandler, {}), checks=checks.file),
        Route(
            f"{prefix}/static/extensions/{'|'.join(EXTENSIONS)}",
            Answer(MultiRootStaticHandler, {"root": extension_dirs}),
            checks=checks.file,
        ),
        Route(f"{prefix}/favicon.ico", Answer(IcoHandler, {"app": application}), known=Answer(Known, {"kind": ICON})),
        Route(f"{prefix}/{ADDRESS}", Answer(Kept, {}), ("GET",), checks.file),
        Route(f"{prefix}/health", Answer(Health, {"report": report}), checks=checks.health),
    ]


def _page(prefix: str, path: str, context: ApplicationContext, checks: Checks) -> Iterable[Route]:
    """A page and its connection; a slash too many is led back."""
    base = f"{prefix}{path}".rstrip("/")
    both = {"application_context": context, "bokeh_websocket_path": f"{base}/ws"}
    page = Answer(DocHandler, both)
    slash = "/" if path == "/" else ""
    place = re.escape(base)
    yield Route(f"{place}{slash}", page, (*READ, "POST"), checks.page, Answer(Known, {"kind": HTML}))
    yield Route(f"{place}/ws", Answer(WSHandler, both), ("GET",), checks.socket)
    if path != "/":
        yield Route(f"{place}/", _leading(f"..{path}"), ("GET",))
    elif base:
        yield Route(place, _leading(f".{base[base.rindex('/') :]}/"), ("GET",))


def _leading(where: str) -> Answer:
    """To a page, as seen from where the request went."""
    return Answer(RedirectHandler, {"url": where, "permanent": False})
