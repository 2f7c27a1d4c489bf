"""A real server, a real browser: the dashboard as `pcmlab serve` gives it, in Debian's Chromium."""

from __future__ import annotations

import asyncio
import functools
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from browser_kit import FLAGS, Live, visiting
from playwright.sync_api import Browser, sync_playwright

SAID = Path(tempfile.mkdtemp(prefix="pcmlab-browser-")) / "server.log"
"""What the server says: into a file, for a pipe that nobody empties would hold it up."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, Any]:
    """Beside a failure stands what the server has said."""
    report = yield
    if report.failed and SAID.exists():
        report.sections.append(("server", SAID.read_text("utf-8")[-4000:]))
    return report


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """Address of a server of its own process."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    limits = ["--no-token", "--keep-minutes", "0"]  # Else the workers of closed pages would wait for a reload.
    command = [sys.executable, "-m", "training.cli", "serve", "--port", str(port), "--no-browser", *limits]
    with SAID.open("w", encoding="utf-8") as log:
        kept = {**os.environ, "PCMLAB_STORE": str(SAID.parent / "runs")}
        server = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=kept)
        try:
            _await(server, port)
            yield f"http://localhost:{port}/"
        finally:
            server.terminate()
            server.wait(timeout=20)


def _await(server: subprocess.Popen[bytes], port: int) -> None:
    for _ in range(1800):  # It compiles its kernels first, unless that was done before.
        assert server.poll() is None, SAID.read_text("utf-8")
        try:
            socket.create_connection(("localhost", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the server did not answer within three minutes")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for a module; missing, it fails where nobody is there to install it, and skips elsewhere.

    For a module alone: Playwright's event loop runs in this thread as long as its driver lives, and nothing else here may
    then run one. Another driver and browser take a second.
    """
    chromium = os.environ.get("PCMLAB_CHROMIUM") or shutil.which("chromium")
    if chromium is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("Debian's chromium is not installed")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield launched
        launched.close()
    with pytest.raises(RuntimeError, match="no running event loop"):
        asyncio.get_running_loop()


@pytest.fixture(scope="module")
def stay(address: str, browser: Browser) -> Iterator[Callable[..., Live]]:
    """Opens pages that stay: whoever asks for the same address in a module gets the same page, as it was left."""
    with visiting(browser, address) as open_page:
        yield functools.cache(open_page)


@pytest.fixture
def visit(address: str, browser: Browser) -> Iterator[Callable[..., Live]]:
    """Opens pages; see `browser_kit.visiting`."""
    with visiting(browser, address) as open_page:
        yield open_page
