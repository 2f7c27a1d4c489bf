"""What one server process bears: many sessions at once, sessions that come and go, and one page for long.

Each part starts its own server and stops it. Run::

    python benchmarks/sessions.py many --sessions 10 --json many.json
    python benchmarks/sessions.py churn --sessions 200
    python benchmarks/sessions.py endurance --minutes 30

Most visitors here are light clients: they speak the page's websocket protocol and acknowledge each
frame after the time that a browser takes to paint it, but they paint nothing, so that the two sides
do not compete for the processor.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from bare_browser import CHROMIUM, FLAGS
from playwright.sync_api import Browser, Page, sync_playwright
from streaming import PROBE, ROOT, TRIAL, _await_server, free_port
from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from training.benchmark import count, machine

MEGABYTE = 1e6
GOING_AWAY = 1001
"""What a browser says when a tab is closed, reloaded or leads elsewhere (RFC 6455, section 7.4.1)."""
LIFETIME = 30.0
"""Seconds that the server keeps a session whose browser has gone: less than usual, so that the wait is short."""
GONE = "Failed sending message as connection was closed"
"""What Bokeh logs when a tab is closed in the middle of a frame."""
SHOWN = 20
WARM_UP_VISITS, WARM_UP_SECONDS = 20, 180.0
TARGETS = {
    "lag_p95_ms": ("<=", 60.0),
    "frames_per_s_min": (">=", 8.0),
    "threads_left": ("<=", 0),
    "documents_left": ("<=", 0),
    "rss_left_mb": ("<=", 20.0),
    "server_growth_percent": ("<=", 5.0),
    "browser_growth_percent": ("<=", 5.0),
    "heap_growth_percent": ("<=", 5.0),
    "errors": ("<=", 0),
}


@dataclass
class Server:
    """A server in a process of its own."""

    port: int
    log: Path

    @property
    def url(self) -> str:
        """Address of the page."""
        return f"http://localhost:{self.port}/"

    def health(self) -> dict[str, Any]:
        """What the server says of itself."""
        with urllib.request.urlopen(f"{self.url}health", timeout=30) as reply:
            return json.load(reply)

    def complaints(self) -> list[str]:
        """Lines that the server has written to standard error."""
        return [line for line in self.log.read_text().splitlines() if line and GONE not in line]


@contextlib.contextmanager
def served(most: int) -> Iterator[Server]:
    """A server for so many visitors, as long as the block lasts."""
    server = Server(free_port(), Path(tempfile.mkdtemp()) / "stderr")
    limits = f"no_token=True, max_sessions={most}, keep_minutes={LIFETIME / 60.0}"
    code = f"from app.serve import serve; serve(port={server.port}, open_browser=False, {limits})"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with server.log.open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", code], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=log
        )
    try:
        _await_server(process, server.port)
        yield server
    finally:
        process.terminate()
        process.wait()


class Client:
    """A visitor without a screen: loads the page, opens its websocket, acknowledges frames."""

    def __init__(self, url: str, query: str, paint: float) -> None:
        self.url, self.query, self.paint = url, query, paint
        self.frames = self.received = 0
        self.trial = -1
        self.problem = ""
        self.begun = asyncio.Event()
        self._socket: WebSocketClientConnection | None = None
        self._numbers = itertools.count(1)

    async def visit(self, seconds: float | None = None) -> None:
        """Stay until cancelled, or `seconds` from the first trial on."""
        try:
            listening = asyncio.create_task(self._listen())
            begun = asyncio.create_task(self.begun.wait())
            await asyncio.wait({listening, begun}, timeout=60, return_when=asyncio.FIRST_COMPLETED)
            if not self.begun.is_set() and not self.problem:
                self.problem = "no picture within a minute"
            if self.begun.is_set():
                await asyncio.wait({listening}, timeout=seconds)
        finally:
            begun.cancel()
            listening.cancel()
            if self._socket is not None:
                self._socket.close(GOING_AWAY)

    async def _listen(self) -> None:
        try:
            await self._open()
            while message := await self._message():
                if message[0] == "PATCH-DOC":
                    self._read(message[1])
            self.problem = "the server closed the connection"
        except Exception as error:
            self.problem = f"{type(error).__name__}: {error}"

    async def _open(self) -> None:
        request = HTTPRequest(self.url + self.query, request_timeout=60)
        page = (await AsyncHTTPClient().fetch(request)).body.decode()
        token = re.search(r'"token":"([^"]+)"', page)[1]
        address = self.url.replace("http", "ws", 1) + "ws"
        self._socket = await websocket_connect(address, subprotocols=["bokeh", token], max_message_size=1 << 27)
        await self._message()
        self._send("PULL-DOC-REQ", {})
        reply = ""
        while "PULL-DOC-REPLY" not in reply:
            reply, content = await self._message()
        names = {name: _identity(content, name) for name in ("frames", "painted")}
        if not all(names.values()):
            raise RuntimeError("refused: every place is taken")
        self._frames, self._painted = f'"{names["frames"]}"', names["painted"]
        ready = {"type": "event", "name": "document_ready", "values": {"type": "map", "entries": []}}
        self._patch({"kind": "MessageSent", "msg_type": "bokeh_event", "msg_data": ready})

    async def _message(self) -> tuple[str, str] | None:
        """Kind and content of the next message; its buffers are counted and thrown away."""
        parts = [await self._socket.read_message() for _ in range(3)]
        if None in parts:
            return None
        header = json.loads(parts[0])
        buffers = [await self._socket.read_message() for _ in range(2 * header.get("num_buffers", 0))]
        self.received += sum(map(len, [*parts, *(buffer or b"" for buffer in buffers)]))
        return header["msgtype"], parts[2]

    def _read(self, content: str) -> None:
        """Look for a frame's number and trial."""
        if self._frames not in content:
            return
        for event in json.loads(content)["events"]:
            if event.get("model", {}).get("id") == self._frames[1:-1] and event.get("attr") == "data":
                columns = dict((event.get("new") or event.get("data"))["entries"])
                self.trial = columns["trial"][0]
                if columns["frame"][0]:
                    asyncio.get_running_loop().call_later(self.paint, self._acknowledge, columns["frame"][0])

    def _acknowledge(self, number: int) -> None:
        """What `app.stream` has a browser do after it has painted a frame."""
        self.frames += 1
        self.begun.set()
        new = {"type": "map", "entries": [["frame", [number]]]}
        self._patch({"kind": "ModelChanged", "model": {"id": self._painted}, "attr": "data", "new": new})

    def _patch(self, event: dict[str, Any]) -> None:
        self._send("PATCH-DOC", {"events": [event]})

    def _send(self, kind: str, content: dict[str, Any]) -> None:
        header = {"msgid": f"{id(self)}-{next(self._numbers)}", "msgtype": kind}
        with contextlib.suppress(Exception):
            for part in (header, {}, content):
                self._socket.write_message(json.dumps(part))


def _identity(content: str, name: str) -> str:
    """Identity of the column source of that name in a document's JSON."""

    def search(node: Any) -> str:
        if isinstance(node, dict):
            if node.get("name") == "ColumnDataSource" and node.get("attributes", {}).get("name") == name:
                return str(node["id"])
            node = list(node.values())
        return next(filter(None, map(search, node)), "") if isinstance(node, list) else ""

    return search(json.loads(content))


async def light_crowd(server: Server, sessions: int, seconds: float, paint: float) -> dict[str, Any]:
    """Frames and trials per second of light clients that are there at the same time."""
    clients = [Client(server.url, "?autoplay=1", paint) for _ in range(sessions)]
    visits = []
    for client in clients:
        visits.append(asyncio.create_task(client.visit()))
        await asyncio.wait({asyncio.create_task(client.begun.wait()), visits[-1]}, return_when="FIRST_COMPLETED")
    await asyncio.sleep(3.0)
    before, began = [(client.frames, client.trial, client.received) for client in clients], time.perf_counter()
    await asyncio.sleep(seconds)
    elapsed = time.perf_counter() - began
    after = [(client.frames, client.trial, client.received) for client in clients]
    health = await asyncio.to_thread(server.health)
    for visit in visits:
        visit.cancel()
    await asyncio.gather(*visits, return_exceptions=True)
    rates = [[(b - a) / elapsed for a, b in zip(*pair, strict=True)] for pair in zip(before, after, strict=True)]
    frames, trials, received = zip(*rates, strict=True)
    return _crowd(frames, trials, health, [client.problem for client in clients if client.problem]) | {
        "received_mb_per_s": sum(received) / MEGABYTE
    }


def memory(health: dict[str, Any]) -> float:
    """Of the server and all its processes [MB]; what they share is divided among them."""
    return (health["rss_bytes"] + health["children_bytes"]) / MEGABYTE


def _crowd(frames: Any, trials: Any, health: dict[str, Any], errors: list[str]) -> dict[str, Any]:
    return {
        "frames_per_s_min": min(frames),
        "frames_per_s_median": statistics.median(frames),
        "trials_per_s_min": min(trials),
        "trials_per_s_median": statistics.median(trials),
        "trials_per_s_total": sum(trials),
        "lag_median_ms": health["lag_ms"]["median"],
        "lag_p95_ms": health["lag_ms"]["p95"],
        "lag_max_ms": health["lag_ms"]["max"],
        "sessions_live": health["sessions"],
        "rss_mb": memory(health),
        "client_errors": errors,
    }


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """A headless browser, as long as the block lasts."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


def open_page(browser: Browser, url: str, errors: list[str]) -> Page:
    """A page in a window of its own: of the tabs of one window only one is painted."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.add_init_script(PROBE)
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(url, timeout=120_000)
    page.wait_for_function("window.probe.ready !== null", timeout=120_000)
    return page


def painted_crowd(server: Server, sessions: int, seconds: float, paint: float) -> dict[str, Any]:
    """The same with pages of a real browser, which paints all of them on the server's own cores."""
    errors: list[str] = []
    look = f"[window.probe.painted, {TRIAL}, performance.now()]"
    with chromium() as browser:
        pages = [open_page(browser, f"{server.url}?autoplay=1", errors) for _ in range(sessions)]
        before = [page.evaluate(look) for page in pages]
        time.sleep(seconds)
        after = [page.evaluate(look) for page in pages]
        health = server.health()
    frames, trials = (
        [1000.0 * (b[i] - a[i]) / (b[2] - a[2]) for a, b in zip(before, after, strict=True)] for i in (0, 1)
    )
    return _crowd(frames, trials, health, errors)


def _light(*arguments: Any) -> dict[str, Any]:
    return asyncio.run(light_crowd(*arguments))


CROWDS: dict[str, Callable[..., dict[str, Any]]] = {"protocol": _light, "browser": painted_crowd}


def many(options: argparse.Namespace) -> dict[str, Any]:
    """Visitors who are there at the same time."""
    with served(options.sessions) as server:
        empty = memory(server.health())
        figures = CROWDS[options.clients](server, options.sessions, options.seconds, options.paint_ms / 1000.0)
        complaints = server.complaints()
    return {
        "sessions": options.sessions,
        **figures,
        "rss_empty_mb": empty,
        "rss_per_session_mb": (figures["rss_mb"] - empty) / options.sessions,
        "errors": len(complaints) + len(figures["client_errors"]),
        "server_lines": complaints,
    }


async def come_and_go(server: Server, visits: int, together: int, stay: float, paint: float) -> list[str]:
    """Visit so many times, a few at a time; what went wrong."""
    places = asyncio.Semaphore(together)

    async def one() -> str:
        async with places:
            client = Client(server.url, "?autoplay=1", paint)
            await client.visit(stay)
            return client.problem

    return [problem for problem in await asyncio.gather(*(one() for _ in range(visits))) if problem]


def at_rest(server: Server) -> dict[str, Any]:
    """Health once every session that nobody uses has ended and its memory was given back.

    A tab whose goodbye got lost is given up up to two seconds after its lifetime, and two waits of five seconds follow:
    Panel's, after which it lets go of a document, and that of giving memory back.
    """
    time.sleep(LIFETIME + 30.0)
    return server.health()


def churn(options: argparse.Namespace) -> dict[str, Any]:
    """Visitors who come and go, and what they leave behind."""

    def wander(visits: int) -> list[str]:
        return asyncio.run(come_and_go(server, visits, options.together, options.stay, options.paint_ms / 1000.0))

    with served(options.max_sessions) as server:
        problems = wander(min(WARM_UP_VISITS, options.sessions))
        before = at_rest(server)
        began = time.perf_counter()
        problems += wander(options.sessions)
        seconds = time.perf_counter() - began
        after = at_rest(server)
        complaints = server.complaints()
    left = {f"{name}_left": after[name] - before[name] for name in ("threads", "workers", "sessions", "documents")}
    return {
        "visits": options.sessions,
        "seconds": seconds,
        **left,
        "rss_before_mb": memory(before),
        "rss_after_mb": memory(after),
        "rss_left_mb": memory(after) - memory(before),
        "errors": len(problems) + len(complaints),
        "client_errors": problems,
        "server_lines": complaints,
        "before": before,
        "after": after,
    }


def _browser_rss() -> float:
    """Resident memory of the browser's processes [MB]; shared pages count once per process."""
    total = 0
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            total += process.memory_info().rss if "chrom" in process.name() else 0
    return total / MEGABYTE


def _sample(server: Server, page: Page, probe: Any, began: float) -> dict[str, float]:
    probe.send("HeapProfiler.collectGarbage")
    metrics = {metric["name"]: metric["value"] for metric in probe.send("Performance.getMetrics")["metrics"]}
    health = server.health()
    return {
        "time": time.perf_counter() - began,
        "painted": page.evaluate("window.probe.painted"),
        "trial": page.evaluate(TRIAL),
        "server_mb": memory(health),
        "browser_mb": _browser_rss(),
        "heap_mb": metrics["JSHeapUsedSize"] / MEGABYTE,
        "nodes": metrics["Nodes"],
        "listeners": metrics["JSEventListeners"],
        "threads": health["threads"],
        "lag_p95_ms": health["lag_ms"]["p95"],
    }


def endurance(options: argparse.Namespace) -> dict[str, Any]:
    """One page that is watched for long."""
    errors: list[str] = []
    with served(1) as server, chromium() as browser:
        page = open_page(browser, f"{server.url}?autoplay=1", errors)
        probe = page.context.new_cdp_session(page)
        probe.send("Performance.enable")
        began, samples = time.perf_counter(), []
        while not samples or samples[-1]["time"] < 60.0 * options.minutes:
            samples.append(_sample(server, page, probe, began))
            page.wait_for_timeout(1000.0 * options.every)
        complaints = server.complaints()
    return judged(samples) | {
        "errors": len(errors) + len(complaints),
        "console_errors": errors,
        "server_lines": complaints,
        "samples": samples,
    }


def judged(samples: list[dict[str, float]]) -> dict[str, Any]:
    """Growth over the time after the warm-up: a straight line fitted to each kind of memory."""
    late = [sample for sample in samples if sample["time"] >= min(WARM_UP_SECONDS, samples[-1]["time"] / 3.0)]
    figures: dict[str, Any] = {"judged_minutes": (late[-1]["time"] - late[0]["time"]) / 60.0}
    for name in ("server", "browser", "heap"):
        times, levels = [sample["time"] for sample in late], [sample[f"{name}_mb"] for sample in late]
        growth = statistics.linear_regression(times, levels).slope * (times[-1] - times[0])
        figures |= {f"{name}_mb_first": levels[0], f"{name}_mb_last": levels[-1]}
        figures |= {f"{name}_growth_mb": growth, f"{name}_growth_percent": 100.0 * growth / statistics.mean(levels)}
    middle = late[len(late) // 2]
    for name, key in (("frames_per_s", "painted"), ("trials_per_s", "trial")):
        for half, (first, last) in {"first": (late[0], middle), "second": (middle, late[-1])}.items():
            figures[f"{name}_{half}_half"] = (last[key] - first[key]) / max(last["time"] - first["time"], 1e-9)
    return figures | {f"{name}_{end}": late[i][name] for name in ("nodes", "listeners", "threads")
                      for end, i in (("first", 0), ("last", -1))}  # fmt: skip


def table(figures: dict[str, Any]) -> str:
    """The figures beside what is asked, for people."""
    lines = []
    for name, value in figures.items():
        if isinstance(value, (list, dict)):
            continue
        sign, target = TARGETS.get(name, ("", None))
        met = target is None or (value <= target if sign == "<=" else value >= target)
        goal = "" if target is None else f"{sign} {target:g}  {'met' if met else 'MISSED'}"
        lines.append(f"{name:<26}{value:>12.5g}  {goal}".rstrip())
    said = [*figures.get("client_errors", []), *figures.get("console_errors", []), *figures["server_lines"]]
    return "\n".join([*lines, *(f"  ! {line[:200]}" for line in list(dict.fromkeys(said))[:SHOWN])])


def main() -> None:
    """Measure the part that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = parser.add_subparsers(required=True, metavar="PART")
    crowd = _part(parts, many, "sessions that all train at the same time", 10)
    crowd.add_argument("--seconds", type=float, default=60.0, help="length of the measurement (default 60)")
    crowd.add_argument("--clients", choices=CROWDS, default="protocol", help="kind of visitor (default protocol)")
    wander = _part(parts, churn, "sessions that come and go, and what they leave behind", 200)
    wander.add_argument("--together", type=count, default=4, help="visits at the same time (default 4)")
    wander.add_argument("--stay", type=float, default=1.0, help="seconds of a visit, from its first frame (default 1)")
    wander.add_argument("--max-sessions", type=count, default=12, help="the server's limit (default 12)")
    long = _part(parts, endurance, "one page of a real browser, for long")
    long.add_argument("--minutes", type=float, default=30.0, help="length (default 30)")
    long.add_argument("--every", type=float, default=15.0, help="seconds between samples (default 15)")
    options = parser.parse_args()
    about = machine()
    figures = options.measure(options)
    print(table(figures))
    if options.json:
        about = {"part": options.measure.__name__, "machine": about, "load_after": os.getloadavg()[0]}
        options.json.write_text(json.dumps({**about, **figures}, indent=1) + "\n")


def _part(parts: Any, measure: Callable[..., Any], summary: str, sessions: int = 0) -> argparse.ArgumentParser:
    parser = parts.add_parser(measure.__name__, help=summary, description=summary)
    parser.set_defaults(measure=measure)
    parser.add_argument("--json", type=Path, help="also write all figures, machine, load and date to this file")
    if sessions:
        parser.add_argument("--sessions", type=count, default=sessions, help=f"how many (default {sessions})")
        parser.add_argument("--paint-ms", type=float, default=50.0, help="time a light client takes to paint a frame")
    return parser


if __name__ == "__main__":
    main()
