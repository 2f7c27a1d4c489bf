"""A server that listens: its sockets, its application, and the gate before it."""

from __future__ import annotations

import errno
import secrets
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bokeh.core.validation import silence
from bokeh.core.validation.warnings import EMPTY_LAYOUT
from bokeh.server.server import BaseServer
from bokeh.server.tornado import BokehTornado
from panel.io.application import build_applications
from panel.io.resources import DIST_DIR
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.web import RequestHandler

from app.pages.frame import COOKIE
from app.patches.bokeh_messages import LARGEST_PIECE
from app.server import headers
from app.server.access import Access
from app.server.gate import Gate
from app.server.limits import KEEP_MINUTES
from app.server.origins import Origins, address, netloc
from app.server.routes import Report, routes
from app.server.sessions import SECONDS_UNUSED
from pcmsim.errors import PCMLabError

CHECK_MS = 2_000
QUIET = 30.0
"""Seconds that a connection may be without a request.

Tornado waits an hour, and what waits is forgotten only after its time: of a visitor who left, little things that lie
between those of others and keep the Python heap's megabytes around them from the system.
"""
SLOW = 10.0
"""Seconds that the body of a request may take."""
LARGEST_BODY = 2**14
"""Bytes of it: a form with a token."""
LACKING = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
LARGEST_READ = 2 * LARGEST_PIECE
"""Bytes that are read from a connection before they are asked for."""


def listen(host: str, port: int) -> list[socket.socket]:
    """Sockets of all addresses that a host stands for.

    Parameters
    ----------
    host : str
        A name or an address.
    port : int
        TCP port; 0 takes a free one.

    Raises
    ------
    PCMLabError
        If it cannot be listened on.
    """
    opened: list[socket.socket] = []
    try:
        for family, one in _addresses(host, port):
            _open(opened, one, port, family)
        return opened
    except (OSError, OverflowError) as error:
        for one in opened:
            one.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise PCMLabError(
            f"serve: cannot listen on {netloc(host, port)} ({reason}); choose another --host or --port"
        ) from error


def _addresses(host: str, port: int) -> list[tuple[socket.AddressFamily, str]]:
    """All addresses that a host stands for, each once."""
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list({(family, str(address[0])): port for family, _, _, _, address in found})


def _open(opened: list[socket.socket], host: str, port: int, family: socket.AddressFamily) -> None:
    """Listen on one address, with the port of those before; what this machine lacks may be missing beside others."""
    try:
        server = socket.create_server((host, port or _port(opened)), family=family)
    except OSError as error:
        if error.errno in LACKING and opened:
            return
        raise
    server.setblocking(False)
    opened.append(server)


def _port(opened: list[socket.socket]) -> int:
    return int(opened[0].getsockname()[1]) if opened else 0


@dataclass(frozen=True)
class Listening:
    """A server that was built.

    Parameters
    ----------
    server : bokeh.server.server.BaseServer
        To be started.
    gate : Gate
        All that it answers.
    address : str
        What a person opens, the token included.
    """

    server: BaseServer
    gate: Gate
    address: str


@dataclass(frozen=True)
class Site:
    """What a server shows.

    Parameters
    ----------
    pages : mapping of str to callable
        What is shown at each path to one visitor.
    titles : mapping of str to str
        Of each.
    report : callable
        Figures for ``/health``.
    keep : float
        Minutes for which a session waits for a browser that has gone.
    """

    pages: Mapping[str, Callable[[], Any]]
    titles: Mapping[str, str]
    report: Report
    keep: float = KEEP_MINUTES


def build(site: Site, access: Access, sockets: list[socket.socket], host: str) -> Listening:
    """A server, on the running thread's loop.

    Parameters
    ----------
    site : Site
        What it shows.
    access : Access
        Who may come in.
    sockets : list of socket
        From `listen`.
    host : str
        What they were opened for.
    """
    silence(EMPTY_LAYOUT, True)
    port = _port(sockets)
    secret, key = secrets.token_bytes(32), access.key(host, port)
    application = _application(site, access, secret)
    guard = access.guard(key, Origins(host, port, access.origins), secret)
    gate = Gate(application, routes(application, site.report, guard.checks()), access.proxies)
    http = HTTPServer(
        gate, idle_connection_timeout=QUIET, body_timeout=SLOW, max_body_size=LARGEST_BODY, max_buffer_size=LARGEST_READ
    )
    http.add_sockets(sockets)
    return Listening(
        BaseServer(IOLoop.current(), application, http), gate, address(host, port, access.prefix) + key.query()
    )


def _application(site: Site, access: Access, secret: bytes) -> BokehTornado:
    """Panel's pages; what a visitor gets to keep of a request holds no header, and no cookie but the mode's."""
    return BokehTornado(
        build_applications(dict(site.pages), title=dict(site.titles), location=False),
        prefix=access.prefix,
        secret_key=secret,
        sign_sessions=True,
        include_headers=[],
        include_cookies=[COOKIE],
        # The gate has looked at the origin, of which Bokeh would compare less.
        extra_websocket_origins={"*"},
        unused_session_lifetime_milliseconds=round(1000 * max(SECONDS_UNUSED, 60.0 * site.keep)),
        check_unused_sessions_milliseconds=CHECK_MS,
        websocket_max_message_size_bytes=LARGEST_PIECE,
        ico_path=str(DIST_DIR / "images" / "favicon.ico"),
        use_index=False,
        transforms=[headers.dressing(headers.protecting(access.embedding))],
        log_function=_quiet,
    )


def _quiet(handler: RequestHandler) -> None:
    """Requests are not logged: addresses hold tokens, and strangers would fill the disk."""
