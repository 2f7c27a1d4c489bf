"""What ended sessions leave behind: memory that goes back to the system, and late words on their connections."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Callable, Coroutine
from typing import Any

from bokeh.server.protocol_handler import ProtocolHandler
from bokeh.server.views.ws import WSHandler
from tornado.ioloop import IOLoop

PATIENCE = 5.0
"""Seconds from the end of a session until its memory is free."""

Handle = Callable[[ProtocolHandler, Any, Any], Coroutine[Any, Any, Any]]


class Tidying:
    """Gives free memory back to the system a while after the latest session has ended.

    A page's thousands of small objects lie between those of other pages; the C library keeps what is freed there for
    itself, and a server of many visitors would seem to grow.
    """

    def __init__(self) -> None:
        self._due: object = None

    def soon(self) -> None:
        """A session has ended: the loop's thread has this done later, once for all that end until then."""
        loop = IOLoop.current()
        if self._due is not None:
            loop.remove_timeout(self._due)
        self._due = loop.call_later(PATIENCE, self._begin)

    def _begin(self) -> None:
        self._due = None
        IOLoop.current().run_in_executor(None, give_back)


def give_back() -> None:
    """Free memory goes back to the system, where the C library can do that (glibc)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _gone(connection: Any) -> bool:
    """Whether Bokeh has let go of a connection already: its session has ended."""
    return connection is not None and connection._session is None


def _unless_gone(handle: Handle) -> Handle:
    """What a closing tab still had to say is no error."""

    async def handled(handler: ProtocolHandler, message: Any, connection: Any) -> Any:
        return None if _gone(connection) else await handle(handler, message, connection)

    return handled


def _closing_once(close: Callable[[WSHandler], None]) -> Callable[[WSHandler], None]:
    """A connection that was let go already is closed without complaint."""

    def closed(socket: WSHandler) -> None:
        if not _gone(socket.connection):
            close(socket)

    return closed


def install() -> None:
    """Have late messages passed over, in this process; once is enough."""
    ProtocolHandler.handle = _unless_gone(ProtocolHandler.handle)
    WSHandler.on_close = _closing_once(WSHandler.on_close)
