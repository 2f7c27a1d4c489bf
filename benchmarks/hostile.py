"""What two hundred hostile messages cost a server: memory, log, and whether it still answers.

As a browser of its own session does, it takes a token from a page and opens a websocket; then it sends, one after the
other, what Bokeh would unpack, collect, define, keep or log in full. A refused message closes its connection, and
another one is opened.

    python benchmarks/hostile.py
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import gzip
import http.cookiejar
import json
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import psutil
from tornado.httpclient import HTTPRequest
from tornado.websocket import WebSocketClientConnection, WebSocketClosedError, websocket_connect

MIB = 2**20
PATIENCE = 60.0
QUIET, LISTENING = 0.5, 2.0
"""Seconds without a word after which a message is taken to be dealt with, and for which the server is heard at most."""

Piece = str | bytes
Message = list[Piece]


def patch(*events: Any, buffers: int = 0) -> Message:
    """A change of a document."""
    header = {"msgid": "1", "msgtype": "PATCH-DOC", **({"num_buffers": buffers} if buffers else {})}
    return [json.dumps(header), "{}", json.dumps({"events": list(events)})]


def changed(model: str, attr: str, new: Any) -> Any:
    """A model's property, set."""
    return {"kind": "ModelChanged", "model": {"id": model}, "attr": attr, "new": new}


def told(data: Any, model: str) -> Any:
    """A message to a widget."""
    values = {"type": "map", "entries": [["model", {"id": model}], ["data", data]]}
    event = {"type": "event", "name": "data_event", "values": values}
    return {"kind": "MessageSent", "msg_type": "bokeh_event", "msg_data": event}


def packed(size: int) -> str:
    """Zeros as gzip in base64: a thousandth of the size."""
    return base64.b64encode(gzip.compress(bytes(size))).decode()


def piece(**of: Any) -> Any:
    """A piece of an upload."""
    usual = {"status": "upload_event", "chunk": 1, "total_chunks": 10**9, "name": "a.csv", "mime_type": ""}
    return {"type": "map", "entries": [[key, value] for key, value in {**usual, **of}.items()]}


BOMB = packed(1000 * MIB)

WIDE = {"type": "ndarray", "array": [0], "dtype": "V2000000000", "shape": [1], "order": "little"}


def root(number: int) -> Any:
    """One more thing on the page."""
    model = {"type": "object", "name": "Div", "id": f"d{number}", "attributes": {"text": "t" * 100_000}}
    return {"kind": "RootAdded", "model": model}


HOSTILE: dict[str, Callable[[str, int], Message]] = {
    "gzip": lambda model, k: patch(changed(model, "tags", {"type": "bytes", "data": BOMB})),
    "gzip in an event": lambda model, k: patch(told({"type": "bytes", "data": BOMB}, model)),
    "array of wide items": lambda model, k: patch(changed(model, "tags", WIDE)),
    "claim of 3 GB": lambda model, k: patch(told(piece(data=3 * 10**9), model)),
    "millions of lists": lambda model, k: patch(changed(model, "tags", [[]] * 4 * MIB)),
    "deep": lambda model, k: ['{"msgid": "1", "msgtype": "PATCH-DOC"}', "{}", "[" * 200_000],
    "long text, kept": lambda model, k: patch(changed(model, f"name{k}", "x" * 200_000)),
    "long text, logged": lambda model, k: ["{}", "{}", "x" * 8 * MIB],
    "unknown kind": lambda model, k: [json.dumps({"msgid": "1", "msgtype": "y" * 200_000}), "{}", "{}"],
    "a document": lambda model, k: [json.dumps({"msgid": "1", "msgtype": "PUSH-DOC"}), "{}",
                                    json.dumps({"doc": {"roots": [], "title": "z" * 100_000}})],
    "a class": lambda model, k: patch(changed(model, "tags", [{"type": "model", "name": f"Made{k}"}])),
    "a root": lambda model, k: patch(root(k)),
    "pieces without end": lambda model, k: [*patch(buffers=10**9), *["{\"id\": \"b\"}", bytes(8 * MIB)] * 20],
    "no JSON": lambda model, k: ["\0" * 100_000, "[", "]"],
}  # fmt: skip
"""What is sent, by name, to a model of the page; `k` counts."""


class Client:
    """A visitor who does not use the page as it is meant.

    Parameters
    ----------
    address : str
        Of the page, as the server prints it.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._jar = http.cookiejar.CookieJar()
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self._jar))
        page = reached(opener, address)
        self._token = re.search(r'"token"\s*:\s*"([^"]+)"', page)[1]
        self.model = re.search(r'"roots"\s*:\s*\{"([^"]+)"', page)[1]
        self._socket: WebSocketClientConnection | None = None

    async def send(self, message: Message) -> None:
        """Send it, on a new connection if the last one is closed, and hear what comes of it."""
        try:
            socket = self._socket = self._socket or await self._connected()
            for one in message:
                await socket.write_message(one, binary=isinstance(one, bytes))
            end = time.monotonic() + LISTENING
            while time.monotonic() < end:
                if await asyncio.wait_for(socket.read_message(), QUIET) is None:
                    self.end()
                    return
        except TimeoutError:  # the connection stands
            pass
        except WebSocketClosedError:
            self.end()

    def end(self) -> None:
        """Close the connection that is open, or take leave of the one that the server has closed."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    async def _connected(self) -> WebSocketClientConnection:
        host = re.match(r"https?://([^/]+)", self._address)[1]
        headers = {"Cookie": "; ".join(f"{one.name}={one.value}" for one in self._jar), "Origin": f"http://{host}"}
        request = HTTPRequest(f"ws://{host}/ws", headers=headers, request_timeout=PATIENCE, connect_timeout=PATIENCE)
        socket = await websocket_connect(request, subprotocols=["bokeh", self._token], max_message_size=64 * MIB)
        for _ in range(3):  # that the connection stands
            await asyncio.wait_for(socket.read_message(), PATIENCE)
        return socket


def reached(opener: urllib.request.OpenerDirector, address: str) -> str:
    """A page, as soon as the server that printed its address listens."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return opener.open(address, timeout=PATIENCE).read().decode()
        except urllib.error.URLError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def messages(model: str, number: int) -> Iterator[Message]:
    """So many of them, of all kinds in turn."""
    for k, name in enumerate(islice(cycle(HOSTILE), number)):
        yield HOSTILE[name](model, k)


def attacked(server: subprocess.Popen[str], address: str, number: int) -> int:
    """Largest growth of the server's memory while so many messages come [bytes]."""
    process, client = psutil.Process(server.pid), Client(address)
    most = [0]

    async def watch() -> None:
        while True:
            most[0] = max(most[0], process.memory_info().rss)
            await asyncio.sleep(0.02)

    async def attack() -> None:
        before = process.memory_info().rss
        watching = asyncio.create_task(watch())
        for message in messages(client.model, number):
            await client.send(message)
        client.end()
        watching.cancel()
        most[0] -= before

    asyncio.run(attack())
    return most[0]


def measured(number: int) -> dict[str, Any]:
    """Begin a server, send so many hostile messages, end it: what came of it."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        command = [sys.executable, "-m", "training.cli", "serve", "--port", "0", "--no-browser"]
        with (
            log.open("w") as errors,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as server,
        ):
            try:
                address = re.search(r"http://\S+", server.stdout.readline())[0]
                Client(address)  # what a first visitor loads is no cost of the messages
                memory = attacked(server, address, number)
                alive = Client(address).model != ""
            finally:
                server.terminate()
        return {"messages": number, "memory_mb": memory / 1e6, "log_kb": log.stat().st_size / 1e3, "alive": alive}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=200)
    print(json.dumps(measured(parser.parse_args().messages)))
