"""What ended sessions leave behind is tidied up; what closing tabs still say is no error."""

from __future__ import annotations

import asyncio
import platform
import subprocess
import sys
from functools import partial
from types import SimpleNamespace

import panel.io.document as panel_documents
import pytest
from bokeh.document import Document

from app import tidy


async def _handled(handler, message, connection):
    return f"{message} handled"


@pytest.mark.parametrize(("session", "expected"), [(object(), "word handled"), (None, None)])
def test_a_late_message_is_passed_over(session, expected):
    connection = SimpleNamespace(_session=session)
    assert asyncio.run(tidy._unless_gone(_handled)(None, "word", connection)) == expected


@pytest.mark.parametrize(("connection", "closed"), [(None, 1), (SimpleNamespace(_session=None), 0)])
def test_a_connection_is_closed_once(connection, closed):
    calls = []
    tidy._closing_once(calls.append)(SimpleNamespace(connection=connection))
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
