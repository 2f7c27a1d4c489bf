"""How sessions end, and what they leave behind: memory that goes back to the system, late words on connections."""

from __future__ import annotations

import contextlib
import ctypes
import gc
from collections.abc import Callable, Coroutine
from typing import Any

import panel.io.document
from bokeh.server.protocol_handler import ProtocolHandler
from bokeh.server.views.ws import WSHandler
from tornado.ioloop import IOLoop

PATIENCE = 5.0
"""Seconds from the end of a session until nothing uses its memory any more."""
ARENAS_MOST = -8
"""``M_ARENA_MAX`` of glibc's ``malloc.h``."""

Handle = Callable[[ProtocolHandler, Any, Any], Coroutine[Any, Any, Any]]


class Tidying:
    """Collects what ended sessions left and gives their memory back to the system, a while after the latest of them.

    A page's thousands of small objects lie between those of other pages and refer to each other; the C library keeps
    what is freed there for itself, and a server of many visitors would seem to grow. The order counts: memory that is
    given back before the objects are collected stays.
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
        gc.collect()
        IOLoop.current().run_in_executor(None, give_back)


def tidy_after_documents() -> None:
    """Have `Tidying` done where Panel, some seconds after it has destroyed a document, would collect garbage alone."""
    panel.io.document._garbage_collect = Tidying().soon


def give_back() -> None:
    """Free memory goes back to the system, where the C library can do that (glibc)."""
    with _only_glibc():
        ctypes.CDLL(None).malloc_trim(0)


def share_one_heap() -> None:
    """Threads that begin later take memory where all others do, and `give_back` reaches all of it.

    By default glibc gives each thread a heap of its own, eight per processor, whose free upper end
    ``malloc_trim`` leaves as it is: every visitor's threads would leave some behind. Only threads that
    hold the interpreter's lock take much memory here, so that they do not wait for each other.
    """
    with _only_glibc():
        ctypes.CDLL(None).mallopt(ARENAS_MOST, 1)


def _only_glibc() -> contextlib.suppress:
    return contextlib.suppress(OSError, AttributeError)


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

    def closed(handler: WSHandler) -> None:
        if not _gone(handler.connection):
            close(handler)

    return closed


def install() -> None:
    """Have all this done in this process; once is enough, before it begins threads."""
    share_one_heap()
    tidy_after_documents()
    ProtocolHandler.handle = _unless_gone(ProtocolHandler.handle)
    WSHandler.on_close = _closing_once(WSHandler.on_close)
