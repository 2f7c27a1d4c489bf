"""A headless Chromium that is watched as little as possible.

Playwright has the browser report all network traffic: every byte that a live page gets is encoded
and sent once more, in the renderer and on the cores that are to be measured. Here nothing is
reported but complaints.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tornado.websocket import WebSocketClientConnection, websocket_connect

CHROMIUM = os.environ.get("PCMLAB_CHROMIUM", "/usr/bin/chromium")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
SIZE = 1440, 900
KEYS = {"ArrowLeft": 37, "ArrowRight": 39}


class Tab:
    """One page, by the browser's own debugging protocol.

    Parameters
    ----------
    address : str
        Websocket address of the tab.
    """

    def __init__(self, address: str) -> None:
        self.complaints: list[str] = []
        self._loop = asyncio.new_event_loop()
        self._number = 0
        self._socket = self._loop.run_until_complete(_connected(address))
        for domain in ("Runtime", "Log", "Page"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Result of a command of the protocol."""
        self._number += 1
        request = json.dumps({"id": self._number, "method": method, "params": parameters})
        self._loop.run_until_complete(_send(self._socket, request))
        while True:
            answer = json.loads(self._loop.run_until_complete(_message(self._socket)))
            self._hear(answer)
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]

    def open(self, url: str, script: str) -> None:
        """Go to a page; the script runs before the page's own."""
        self.call("Page.addScriptToEvaluateOnNewDocument", source=script)
        self.call("Page.navigate", url=url)

    def evaluate(self, expression: str) -> Any:
        """Value of a JavaScript expression."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"].get("exception", {}).get("description", expression))
        return answer["result"].get("value")

    def wait(self, condition: str, timeout: float = 60.0) -> None:
        """Until a JavaScript condition holds."""
        end = time.monotonic() + timeout
        while not self.evaluate(f"Boolean({condition})"):
            if time.monotonic() > end:
                raise TimeoutError(condition)
            time.sleep(0.02)

    def press(self, key: str) -> None:
        """Press a key where the focus is."""
        code = {"key": key, "code": key, "windowsVirtualKeyCode": KEYS[key]}
        for kind in ("rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, **code)

    def close(self) -> None:
        """Leave the tab to the browser."""
        self._socket.close()
        self._loop.close()

    def _hear(self, message: dict[str, Any]) -> None:
        about = message.get("params", {})
        match message.get("method"):
            case "Runtime.exceptionThrown":
                self.complaints.append(about["exceptionDetails"].get("exception", {}).get("description", "error"))
            case "Runtime.consoleAPICalled" if about["type"] == "error":
                self.complaints.append(" ".join(str(part.get("value")) for part in about["args"]))
            case "Log.entryAdded" if about["entry"]["level"] == "error":
                self.complaints.append(about["entry"]["text"])


async def _connected(address: str) -> WebSocketClientConnection:
    return await websocket_connect(address, max_message_size=1 << 28)


async def _send(socket: WebSocketClientConnection, request: str) -> None:
    await socket.write_message(request)


async def _message(socket: WebSocketClientConnection) -> str | bytes:
    message = await socket.read_message()
    if message is None:
        raise RuntimeError("the browser has gone")
    return message


@contextlib.contextmanager
def browsed(url: str, script: str = "") -> Iterator[Tab]:
    """A page in a browser of its own, without cache.

    Parameters
    ----------
    url : str
        The page.
    script : str
        Runs before the page's own scripts.
    """
    profile = Path(tempfile.mkdtemp())
    size = f"--window-size={SIZE[0]},{SIZE[1]}"
    command = [CHROMIUM, *FLAGS, size, "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        tab = Tab(_tab_address(profile / "DevToolsActivePort"))
        tab.call("Emulation.setDeviceMetricsOverride", width=SIZE[0], height=SIZE[1], deviceScaleFactor=1, mobile=False)
        tab.open(url, script)
        yield tab
        tab.close()
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(profile, ignore_errors=True)


def _tab_address(announced: Path) -> str:
    """Where the browser's first tab can be reached."""
    for _ in range(300):
        with contextlib.suppress(OSError, IndexError, ValueError, StopIteration):
            port = int(announced.read_text().splitlines()[0])
            with urllib.request.urlopen(f"http://localhost:{port}/json/list", timeout=10) as reply:
                return next(tab["webSocketDebuggerUrl"] for tab in json.load(reply) if tab["type"] == "page")
        time.sleep(0.1)
    raise RuntimeError("the browser did not start")
