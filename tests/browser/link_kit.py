"""A server behind a link that can be cut: a small TCP proxy on a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

REFUSED = ("ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE", "ERR_NETWORK_CHANGED")
"""What a browser says of its own while a link is cut."""


class Link:
    """Hands bytes on between a free port of this machine and another port, except while it is cut.

    Parameters
    ----------
    target : int
        The port that answers.
    """

    def __init__(self, target: int) -> None:
        self._target, self.port = target, 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._ends: set[asyncio.StreamWriter] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self._do(self._listen())

    @property
    def address(self) -> str:
        """Where a browser finds the server behind the link."""
        return f"http://localhost:{self.port}/"

    def cut(self) -> None:
        """Reset all connections, and refuse new ones."""
        self._do(self._cut())

    def mend(self) -> None:
        """Take connections again."""
        self._do(self._listen())

    def freeze(self) -> None:
        """Let nothing through and say nothing, as a machine that sleeps."""
        self._loop.call_soon_threadsafe(self._flows.clear)

    def thaw(self) -> None:
        """Let everything through that waited."""
        self._loop.call_soon_threadsafe(self._flows.set)

    def close(self) -> None:
        """Cut it for good."""
        self.thaw()
        self.cut()
        self._do(self._settle())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, what: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(10.0)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "localhost", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _settle(self) -> None:
        """Let what was aborted come to its end."""
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            await asyncio.wait(others, timeout=5.0)

    async def _cut(self) -> None:
        self._server.close()
        for end in tuple(self._ends):
            end.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._ends.add(writer)
        with contextlib.suppress(OSError):
            there, back = await asyncio.open_connection("localhost", self._target)
            self._ends.add(back)
            await asyncio.gather(self._pump(reader, back), self._pump(there, writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                await self._flows.wait()
                writer.write(data)
                await writer.drain()
        self._ends.discard(writer)
        writer.close()


@contextlib.contextmanager
def behind_a_link(folder: Path, *options: str) -> Iterator[Link]:
    """A server of its own, for as long as the block lasts, and the link that leads to it.

    Parameters
    ----------
    folder : Path
        For its run store, and for what it says, ``server.log``.
    options : str
        For ``pcmlab serve``.
    """
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    link = Link(port)
    command = [sys.executable, "-m", "training.cli", "serve", "--port", str(port), "--no-browser", "--no-token"]
    command += ["--allow-origin", f"localhost:{link.port}", *options]
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, "PCMLAB_STORE": str(folder / "runs")}
        )
        try:
            _await(server, port)
            yield link
        finally:
            server.terminate()
            server.wait(timeout=60)
            link.close()


def _await(server: subprocess.Popen[bytes], port: int) -> None:
    for _ in range(1800):
        assert server.poll() is None, "the server has ended"
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://localhost:{port}/health", timeout=5):
            return  # It listens before it is ready.
        time.sleep(0.1)
    raise AssertionError("the server did not answer in time")
