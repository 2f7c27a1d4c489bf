"""How sessions end, and what they leave behind: memory that goes back to the system, late words on connections."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import socket
import time
from collections.abc import Callable, Coroutine
from typing import Any

import panel.io.document
from bokeh.server.protocol_handler import ProtocolHandler
from bokeh.server.views.ws import WSHandler
from tornado.ioloop import IOLoop
from tornado.iostream import IOStream

PATIENCE = 5.0
"""Seconds from the end of a session until nothing uses its memory any more."""
GOING_AWAY = 1001
"""What a browser says when a tab is closed, reloaded or leads elsewhere (RFC 6455, section 7.4.1)."""
MOMENT = 1.0
"""Seconds in which what a lost connection still holds can be read."""
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
    """A connection that was let go already is closed without complaint; with a tab that says goodbye its session ends.

    A browser that falls silent may have lost its network: it has a while to come back.
    """

    def closed(handler: WSHandler) -> None:
        if _gone(handler.connection):
            return
        if handler.connection is not None and handler.close_code == GOING_AWAY:
            handler.connection.session.request_expiration()
        close(handler)

    return closed


def _hearing_out(write: Callable[[IOStream, memoryview], int]) -> Callable[[IOStream, memoryview], int]:
    """A tab that says goodbye and is gone before the server writes to it again is heard all the same.

    Tornado gives a connection up at the first write that fails, whatever waits to be read: here, if something does, it
    is told for a moment to try again later, and reads before it does.
    """

    def written(stream: IOStream, data: memoryview) -> int:
        try:
            return write(stream, data)
        except (BrokenPipeError, ConnectionResetError):
            stream.given_up = getattr(stream, "given_up", time.monotonic() + MOMENT)
            if time.monotonic() < stream.given_up and _speaks(stream.socket):
                raise BlockingIOError from None
            raise

    return written


def _speaks(connection: socket.socket) -> bool:
    """Whether something waits to be read."""
    with contextlib.suppress(OSError):
        return bool(connection.recv(1, socket.MSG_PEEK))
    return False


def install() -> None:
    """Have all this done in this process; once is enough, before it begins threads."""
    share_one_heap()
    tidy_after_documents()
    ProtocolHandler.handle = _unless_gone(ProtocolHandler.handle)
    WSHandler.on_close = _closing_once(WSHandler.on_close)
    IOStream.write_to_fd = _hearing_out(IOStream.write_to_fd)
