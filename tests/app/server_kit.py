"""A server of small pages, in a thread of this process, and requests that nothing tidies on their way."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import threading
from collections.abc import Callable, Iterator
from typing import Any

import panel as pn
from tornado.ioloop import IOLoop

from app.pages.register import PAGES
from app.server.access import Access
from app.server.listening import Listening, Site, build, listen

TOKEN = "a-secret-of-tests"
PASS = {"Authorization": f"token {TOKEN}"}


class Server:
    """What was built, and a way to ask it."""

    def __init__(self, listening: Listening, host: str, port: int) -> None:
        self.listening, self.host, self.port = listening, host, port

    def ask(
        self, path: str, method: str = "GET", body: str | None = None, **headers: str
    ) -> tuple[int, dict[str, str], str]:
        """Status, headers and text of an answer; underscores in the headers' names stand for hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection(self.host, self.port, timeout=30)
        try:
            connection.request(method, path, body, named)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read().decode("utf-8", "replace")
        finally:
            connection.close()


@contextlib.contextmanager
def answering(access: Access, host: str = "localhost", page: Callable[[], Any] | None = None) -> Iterator[Server]:
    """A server with a small page in the place of each, as long as the block lasts."""
    found: list[tuple[Listening, IOLoop]] = []
    ready, sockets = threading.Event(), listen(host, 0)

    async def report() -> dict[str, int]:
        return {"sessions": 0}

    def work() -> None:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        pages = {entry.path: page or (lambda: pn.pane.HTML("a page")) for entry in PAGES}
        listening = build(Site(pages, {path: "page" for path in pages}, report), access, sockets, host)
        listening.server.start()
        found.append((listening, IOLoop.current()))
        IOLoop.current().add_callback(ready.set)
        IOLoop.current().start()
        listening.server.stop()
        loop.close()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert ready.wait(60.0)
    listening, loop = found[0]
    try:
        yield Server(listening, host, int(sockets[0].getsockname()[1]))
    finally:
        loop.add_callback(loop.stop)
        thread.join(20.0)
        for one in sockets:
            one.close()
