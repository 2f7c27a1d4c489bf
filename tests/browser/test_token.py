"""The token in a real browser: the printed address opens, the cookie stays, and pages of other origins get nothing."""

from __future__ import annotations

import contextlib
import functools
import http.server
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser_kit import WAIT
from playwright.sync_api import Browser, BrowserContext, Page, expect

pytestmark = pytest.mark.browser

PRINTED = re.compile(r"pcmlab: (http://localhost:(\d+)/\?token=(\S+)) ")


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Address and token that a server has printed."""
    log = Path(tmp_path_factory.mktemp("token")) / "log"
    command = [sys.executable, "-m", "training.cli", "serve", "--port", "0", "--no-browser", "--keep-minutes", "0"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PCMLAB_")}
    with log.open("w") as out:
        server = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=environment)
    try:
        end = time.monotonic() + 180.0
        while (said := PRINTED.search(log.read_text())) is None:
            assert server.poll() is None and time.monotonic() < end, log.read_text()
            time.sleep(0.1)
        yield said[1], said[3]
    finally:
        server.terminate()
        server.wait(timeout=20)
    assert "Traceback" not in log.read_text()


@pytest.fixture
def stranger(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context()
    yield context
    context.close()


def plays(page: Page) -> None:
    expect(page.get_by_role("button", name=re.compile("Play|Start"), exact=True)).to_be_visible(timeout=WAIT)


def home(address: str) -> str:
    return address.partition("?")[0]


def test_the_printed_address_opens_and_the_browser_is_known_from_then_on(
    printed: tuple[str, str], stranger: BrowserContext
) -> None:
    address, token = printed
    page = stranger.new_page()
    page.goto(f"{address}&seed=7&preset=sign")
    assert page.url == f"{home(address)}?seed=7&preset=sign"
    plays(page)
    expect(page.locator("[data-status='seed']")).to_have_text("seed 7", timeout=WAIT)
    assert token not in page.content()
    assert page.evaluate("document.cookie") == ""
    second = stranger.new_page()
    second.goto(f"{home(address)}race")
    plays(second)


def test_without_the_token_a_page_asks_for_it_and_leads_on(printed: tuple[str, str], stranger: BrowserContext) -> None:
    address, token = printed
    page = stranger.new_page()
    answer = page.goto(f"{home(address)}?seed=9")
    assert answer.status == 403
    expect(page.get_by_text("pcmlab serve")).to_be_visible()
    page.get_by_label("Token").fill("something else")
    page.get_by_role("button", name="Open").click()
    expect(page.get_by_text("This is not the token of this server.")).to_be_visible()
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Open").click()
    page.wait_for_url(f"{home(address)}?seed=9")
    plays(page)


TRY = """async (home) => {
  const opened = new Promise((resolve) => {
    const socket = new WebSocket(home.replace('http', 'ws') + 'ws', ['bokeh', 'token'])
    socket.onopen = () => resolve('open')
    socket.onerror = () => resolve('refused')
  })
  const read = fetch(home, {credentials: 'include'}).then((reply) => reply.text(), () => 'refused')
  const health = fetch(home + 'health', {credentials: 'include'}).then((reply) => reply.text(), () => 'refused')
  const script = new Promise((resolve) => {
    const element = document.createElement('script')
    element.src = home + 'static/js/bokeh.min.js'
    element.onload = () => resolve('loaded')
    element.onerror = () => resolve('refused')
    document.body.append(element)
  })
  const frame = document.createElement('iframe')
  frame.src = home
  document.body.append(frame)
  await new Promise((resolve) => { frame.onload = resolve })
  return [await opened, await read, await health, await script]
}"""


@contextlib.contextmanager
def another_site(folder: Path) -> Iterator[int]:
    """A web server of somebody else, on another port of this machine."""
    (folder / "index.html").write_text("<!DOCTYPE html><title>other</title><body></body>")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    handler.log_message = lambda *_: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_pages_of_other_origins_neither_connect_nor_read(
    host: str, printed: tuple[str, str], stranger: BrowserContext, tmp_path: Path
) -> None:
    """Of another site, and of another port, whose requests carry the cookie of this one."""
    address, _ = printed
    page = stranger.new_page()
    page.goto(address)
    plays(page)
    with another_site(tmp_path) as port:
        other = stranger.new_page()
        other.goto(f"http://{host}:{port}/")
        assert other.evaluate(TRY, home(address)) == ["refused"] * 4
        assert not any(frame.url.startswith(home(address)) for frame in other.frames)
        other.close()
    plays(page)
