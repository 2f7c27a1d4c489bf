"""What ended sessions leave behind is tidied up; what closing tabs still say is no error."""

from __future__ import annotations

import asyncio
import platform
import subprocess
import sys
from types import SimpleNamespace

import pytest

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
    socket = SimpleNamespace(connection=SimpleNamespace(_session=session, session=session), close_code=code)
    tidy._closing_once(calls.append)(socket)
    assert session.ends is ends
    assert calls == [socket]


@pytest.mark.parametrize(("connection", "closed"), [(None, 1), (SimpleNamespace(_session=None), 0)])
def test_a_connection_is_closed_once(connection, closed):
    calls = []
    tidy._closing_once(calls.append)(SimpleNamespace(connection=connection, close_code=tidy.GOING_AWAY))
    assert len(calls) == closed


def test_memory_is_given_back_once_for_all_sessions_that_ended(monkeypatch):
    calls = []
    monkeypatch.setattr(tidy, "give_back", lambda: calls.append(1))
    monkeypatch.setattr(tidy, "PATIENCE", 0.05)

    async def ends():
        tidying = tidy.Tidying()
        for _ in range(3):
            tidying.soon()
        await asyncio.sleep(0.2)
        first = len(calls)
        tidying.soon()
        await asyncio.sleep(0.2)
        return first

    assert asyncio.run(ends()) == 1
    assert len(calls) == 2


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
