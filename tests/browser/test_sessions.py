"""Several visitors of one small server: places, privacy, failures that stay where they are, and idle runs."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from browser_kit import WAIT, Live, visiting
from dialog_kit import download, open_export
from playwright.sync_api import Browser, Page, expect

from app.theme import LIGHT
from training.presets import PRESETS
from training.session import Session

pytestmark = pytest.mark.browser

SERVE = (
    "from app.server import listening; listening.SECONDS_UNUSED = 10.0; from app.serve import serve; "
    "serve({port}, open_browser=False, no_token=True, max_sessions={most!r}, idle_minutes={idle!r})"
)
LEAVE = 60.0
"""Seconds within which a visitor must find the place of a closed tab, and within which nothing of such tabs is left.

The server keeps them for ten seconds here, half a minute else, and looks every two seconds.
"""


@contextlib.contextmanager
def served(most: str, idle: str) -> Iterator[str]:
    """Address of a server with limits of its own."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PCMLAB_")}
    environment["PCMLAB_KEEP_MINUTES"] = "0"
    server = subprocess.Popen(
        [sys.executable, "-c", SERVE.format(port=port, most=most, idle=idle)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment,
    )  # fmt: skip
    try:
        until(lambda: server.poll() is not None or answers(port), 120.0)
        assert server.poll() is None, server.communicate()[0]
        yield f"http://localhost:{port}/"
    finally:
        server.terminate()
        said = server.communicate(timeout=20)[0]
    assert "Traceback" not in said, said


def answers(port: int) -> bool:
    """Whether somebody listens."""
    with contextlib.suppress(OSError), socket.create_connection(("localhost", port), timeout=1):
        return True
    return False


def until(condition: Callable[[], bool], seconds: float) -> None:
    """Wait for a condition outside of the browser."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.1)


def health(address: str) -> dict[str, Any]:
    """How the server says it is."""
    with urllib.request.urlopen(f"{address}health", timeout=20) as answer:
        told: dict[str, Any] = json.load(answer)
    return told


def losses(live: Live) -> list[float]:
    """The run's learning curve."""
    return list(live.drawn("Line", "trial", "loss", "smooth", colour=LIGHT.run)[0]["loss"])


@pytest.fixture(scope="module")
def small() -> Iterator[str]:
    """A server with two places."""
    with served("2", "120") as address:
        yield address


@pytest.fixture(scope="module")
def roomy() -> Iterator[str]:
    """A server with places for all, where three seconds without a touch are enough to pause a run."""
    with served("12", "0.05") as address:
        yield address


@pytest.fixture
def squeeze(small: str, browser: Browser) -> Iterator[Callable[..., Live]]:
    """Opens pages of the small server."""
    with visiting(browser, small, color_scheme="light") as open_page:
        yield open_page


@pytest.fixture(scope="module")
def enter(roomy: str, browser: Browser) -> Iterator[Callable[..., Live]]:
    """Opens pages of the roomy server; who asks for the same address again gets the same page."""
    with visiting(browser, roomy, color_scheme="light") as open_page:
        yield functools.cache(open_page)


def knock(browser: Browser, address: str) -> Page:
    """A visitor who may find no place."""
    page = browser.new_context().new_page()
    page.goto(address)
    return page


def gets_in(page: Page) -> bool:
    """Whether a visitor who tries again finds a place."""
    with page.expect_navigation():
        page.get_by_role("link", name="Try again").click()
    play = page.get_by_role("button", name="Play", exact=True)
    expect(play.or_(page.get_by_role("heading", name="Every place is taken"))).to_be_visible(timeout=2 * WAIT)
    return play.is_visible()


def test_the_third_visitor_waits_until_a_tab_closes_and_health_counts_them(
    squeeze: Callable[..., Live], small: str, browser: Browser
) -> None:
    first, second = squeeze(), squeeze()
    told = health(small)
    assert (told["sessions"], told["max_sessions"], told["workers"]) == (2, 2, 2)
    third = knock(browser, small)
    expect(third.get_by_role("heading", name="Every place is taken")).to_be_visible(timeout=WAIT)
    expect(third.get_by_text("2 live sessions run on this server and the limit is 2")).to_be_visible()
    assert third.get_by_role("button", name="Play").count() == 0
    assert health(small)["workers"] == 2
    first.step_to(1)
    first.close()
    until(lambda: gets_in(third), LEAVE)  # The server may hear of the closed tab after the third visitor's wish.
    second.step_to(1)
    third.close()
    second.close()
    until(lambda: (health(small)["sessions"], health(small)["workers"]) == (0, 0), LEAVE)


def test_two_visitors_have_each_their_own_run(enter: Callable[..., Live]) -> None:
    runs = {seed: enter(f"?seed={seed}") for seed in (3, 4)}
    runs[3].button("Play").click()
    runs[3].wait("trial > 5")
    assert runs[4].idle() == 0
    runs[4].step_to(2)
    trial = runs[3].idle()
    runs[4].step_to(4)
    assert runs[3].idle() == trial > 5
    config = PRESETS["mixed-precision"].config
    for seed, live in runs.items():
        expect(live.status("seed")).to_have_text(f"seed {seed}")
        expected = [record.loss for record in Session(config.with_values({"seed": seed})).run(3)]
        live.becomes(lambda live=live: len(losses(live)) >= 3, True)
        assert losses(live)[:3] == pytest.approx(expected, rel=1e-6)
    assert losses(runs[3])[:3] != losses(runs[4])[:3]


def test_a_failure_in_one_run_leaves_the_other_alone(enter: Callable[..., Live]) -> None:
    broken, sound = enter("?seed=3"), enter("?seed=4")
    trials = [live.idle() for live in (broken, sound)]
    dialog = open_export(broken)
    _, content = download(broken, dialog, "Download checkpoint")
    file = {"name": "bad.safetensors", "mimeType": "application/octet-stream", "buffer": content[:-50]}
    dialog.locator("input[type=file]").set_input_files(file)
    broken.says("bad.safetensors: is damaged")
    sound.step_to(trials[1] + 2)
    assert sound.page.get_by_text("is damaged").count() == 0
    broken.page.keyboard.press("Escape")
    expect(dialog).to_be_hidden(timeout=WAIT)
    broken.step_to(trials[0] + 1)
    assert sound.idle() == trials[1] + 2


def test_an_idle_run_is_paused_with_a_sentence_and_goes_on_when_asked(enter: Callable[..., Live]) -> None:
    live = enter("?seed=3")
    live.begin()
    live.button("Play").click()
    live.wait("trial > 3")
    live.says("Paused after 0.05 minutes without a key or a click: nobody seems to be here. Press Play to go on.")
    trial = live.idle()
    live.button("Play").click()
    live.wait(f"trial > {trial + 3}")


LIMITS = {
    "--max-sessions": ("0", "--max-sessions: must be a whole number from 1 to 1000, got '0'"),
    "--idle-minutes": ("-1", "--idle-minutes: must be a number of minutes >= 0, got '-1'"),
}


@pytest.mark.parametrize("option", LIMITS)
def test_the_command_line_hands_the_limits_to_the_server(option: str) -> None:
    value, sentence = LIMITS[option]
    command = [sys.executable, "-m", "training.cli", "serve", "--port", "0", "--no-browser", f"{option}={value}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert re.search(re.escape(sentence), done.stderr), done.stderr
