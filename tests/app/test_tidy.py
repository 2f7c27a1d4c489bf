"""What ended sessions leave behind is tidied up; what closing tabs still say is no error."""

from __future__ import annotations

import asyncio
import contextlib
import platform
import socket
import subprocess
import sys
import time
from functools import partial
from types import SimpleNamespace

import panel.io.document as panel_documents
import pytest
from bokeh.document import Document
from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream
from tornado.testing import bind_unused_port
from tornado.web import Application
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from app import tidy


async def _handled(handler, message, connection):
    return f"{message} handled"


@pytest.mark.parametrize(("session", "expected"), [(object(), "word handled"), (None, None)])
def test_a_late_message_is_passed_over(session, expected):
    connection = SimpleNamespace(_session=session)
    assert asyncio.run(tidy._unless_gone(_handled)(None, "word", connection)) == expected


class _Session:
    """A session that notes when it shall end."""

    ends = False

    def request_expiration(self):
        self.ends = True


@pytest.mark.parametrize(("code", "ends"), [(tidy.GOING_AWAY, True), (1006, False), (None, False)])
def test_a_session_ends_with_a_tab_that_says_goodbye(code, ends):
    calls, session = [], _Session()
    handler = SimpleNamespace(connection=SimpleNamespace(_session=session, session=session), close_code=code)
    tidy._closing_once(calls.append)(handler)
    assert session.ends is ends
    assert calls == [handler]


GOODBYE = bytes([0x88, 0x82, 0, 0, 0, 0, *tidy.GOING_AWAY.to_bytes(2, "big")])
"""A close frame (RFC 6455, section 5.5.1), masked with zeros."""
GREETING = (
    "GET / HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


async def _leaves(says: bytes) -> int | None:
    """The code that a server knows once it has written to a tab that said something and went."""
    opened, closed = asyncio.Future(), asyncio.Future()

    class Talk(WebSocketHandler):
        def open(self):
            opened.set_result(self)

        def on_close(self):
            closed.set_result(self.close_code)

    listener, port = bind_unused_port()
    server = HTTPServer(Application([("/", Talk)]))
    server.add_socket(listener)
    with socket.create_connection(("127.0.0.1", port)) as tab:
        tab.sendall(GREETING.encode())
        handler = await asyncio.wait_for(opened, 5.0)
        await handler.write_message("unread, so that the connection is reset")
        await asyncio.sleep(0.05)
        tab.sendall(says)
    time.sleep(0.05)  # The loop has no chance to read before it writes.
    with contextlib.suppress(WebSocketClosedError):
        for word in ("late", "later"):
            handler.write_message(word)
    server.stop()
    return await asyncio.wait_for(closed, 5.0)


@pytest.mark.parametrize(("says", "code"), [(GOODBYE, tidy.GOING_AWAY), (b"", None), (GOODBYE[:1], None)])
def test_a_goodbye_is_heard_though_the_server_writes_before_it_reads(says, code, monkeypatch):
    assert asyncio.run(_leaves(says)) is None  # Tornado alone never hears it.
    monkeypatch.setattr(IOStream, "write_to_fd", tidy._hearing_out(IOStream.write_to_fd))
    assert asyncio.run(_leaves(says)) == code


@pytest.mark.parametrize(("connection", "closed"), [(None, 1), (SimpleNamespace(_session=None), 0)])
def test_a_connection_is_closed_once(connection, closed):
    calls = []
    tidy._closing_once(calls.append)(SimpleNamespace(connection=connection, close_code=tidy.GOING_AWAY))
    assert len(calls) == closed


@pytest.fixture
def tidied(monkeypatch):
    """What is done after the end of sessions, in order; it does not take long here."""
    done = []
    monkeypatch.setattr(tidy.gc, "collect", lambda: done.append("collected"))
    monkeypatch.setattr(tidy, "give_back", lambda: done.append("given back"))
    monkeypatch.setattr(tidy, "PATIENCE", 0.05)
    return done


def test_garbage_is_collected_before_its_memory_is_given_back_once_for_all_sessions_that_ended(tidied):
    async def ends():
        tidying = tidy.Tidying()
        for _ in range(3):
            tidying.soon()
        await asyncio.sleep(0.2)
        first = list(tidied)
        tidying.soon()
        await asyncio.sleep(0.2)
        return first

    assert asyncio.run(ends()) == ["collected", "given back"]
    assert tidied == ["collected", "given back"] * 2


def test_every_document_that_panel_destroys_is_tidied_up_after(tidied, monkeypatch):
    monkeypatch.setattr(panel_documents, "GC_DEBOUNCE", 0.05)
    monkeypatch.setattr(panel_documents, "_garbage_collect", None)
    tidy.tidy_after_documents()

    async def ends():
        document = Document()
        document.destroy = partial(panel_documents._destroy_document, document)
        document.destroy(None)
        await asyncio.sleep(0.3)

    asyncio.run(ends())
    assert tidied == ["collected", "given back"]


def test_freed_memory_goes_back():
    tidy.give_back()  # Must not fail, whatever the system.


HEAPS = """
import ctypes, os, tempfile, threading, xml.etree.ElementTree
from app import tidy
{before}
def take(): block.append(ctypes.CDLL(None).malloc(1000))
block, libc = [], ctypes.CDLL(None)
threads = [threading.Thread(target=take) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
libc.fdopen.restype, libc.malloc_info.argtypes = ctypes.c_void_p, (ctypes.c_int, ctypes.c_void_p)
libc.fclose.argtypes = (ctypes.c_void_p,)
with tempfile.TemporaryFile() as told:
    stream = libc.fdopen(os.dup(told.fileno()), b"w")
    libc.malloc_info(0, stream)
    libc.fclose(stream)
    told.seek(0)
    print(len(xml.etree.ElementTree.parse(told).findall("heap")))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="asks glibc")
@pytest.mark.parametrize(("before", "one"), [("tidy.share_one_heap()", True), ("", False)])
def test_threads_share_one_heap(before, one):
    heaps = subprocess.run([sys.executable, "-c", HEAPS.format(before=before)], capture_output=True, check=True)
    assert (int(heaps.stdout) == 1) is one
