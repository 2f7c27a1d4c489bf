"""A run travels as an address: what the knobs say, what the next visitor gets, and what a hostile one does not."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, quote

import pytest
from browser_kit import WAIT, Live
from dialog_kit import configuration
from playwright.sync_api import Dialog, expect

from app import url
from app.theme import LIGHT
from training.config import RunConfig
from training.presets import PRESETS

pytestmark = pytest.mark.browser

DEFAULT = PRESETS[url.DEFAULT_PRESET].config
PWN = "window.pwned=1"


def asked(query: str) -> RunConfig:
    """The run that an address asks for."""
    return url.read({key: [value.encode() for value in values] for key, values in parse_qs(query[1:]).items()}).config


def losses(live: Live) -> list[float]:
    """The run's learning curve."""
    return list(live.drawn("Line", "trial", "loss", "smooth", colour=LIGHT.run)[0]["loss"])


def turn_knobs(live: Live) -> RunConfig:
    """Turn some; the configuration that must come of it."""
    for name, key in (("Write noise", "ArrowRight"), ("Mismatch level", "ArrowRight"), ("Hidden neurons", "ArrowLeft")):
        live.slider(name).focus()
        live.page.keyboard.press(key)
    live.page.get_by_role("button", name="3", exact=True).first.click()
    seed = live.page.get_by_role("textbox", name="Seed")
    seed.fill("7")
    seed.press("Enter")
    expect(live.status("seed")).to_have_text("seed 7", timeout=WAIT)
    return configuration(live)


def test_the_address_follows_the_knobs_and_gives_the_same_run_to_the_next_visitor(visit) -> None:
    first = visit("?preset=sign")
    told = turn_knobs(first)
    assert (told.seed, told.network.hidden, told.precision.weight_bits) == (7, 90, 3)
    assert told.device.mismatch.step == pytest.approx(0.01)
    first.becomes(lambda: asked(first.page.evaluate("location.search")), told)
    query = first.page.evaluate("location.search")
    assert query.startswith("?preset=sign&")
    second = visit(query)
    assert configuration(second) == told
    first.step_to(3)
    second.step_to(3)
    second.becomes(lambda: len(losses(second)), 4)
    first.becomes(lambda: losses(first), losses(second))


def test_share_puts_the_address_on_the_clipboard(visit) -> None:
    live = visit(permissions=["clipboard-read", "clipboard-write"])
    live.select("Preset", "sign")
    live.wait("run === 2")
    live.button("Share").click()
    live.says("The address of this run is on the clipboard.")
    copied = live.page.evaluate("navigator.clipboard.readText()")
    assert copied == live.page.url
    assert copied.endswith("?preset=sign")


def test_without_a_clipboard_the_person_is_sent_to_the_address_bar(visit) -> None:
    live = visit()
    live.page.evaluate(
        "() => { navigator.clipboard.writeText = () => Promise.reject(); document.execCommand = () => false }"
    )
    live.slider("Write noise").focus()
    live.page.keyboard.press("ArrowRight")
    live.wait("config === 1")
    live.button("Share").click()
    live.says("The address bar holds the address of this run")
    assert asked(live.page.evaluate("location.search")) == configuration(live)


SCRIPT = f"<script>{PWN}</script>"
IMAGE = f"<img src=x onerror={PWN}>"
WHOLE = "must be a whole number"
HOSTILE = {
    "fields": {
        "network.hiden=5": "address: must be made of settings, such as network.hidden",
        "network.threshold=nan": "network.threshold: must be a finite number",
        "device.preset=/etc/passwd": "device.preset: must be one of",
        "seed=-1": f"seed: {WHOLE} >= 0",
    },
    "scripts": {
        f"seed={quote(SCRIPT)}": f"got '‹script›{PWN}",
        f"network.hidden={quote(IMAGE)}": f"hidden: {WHOLE} >= 1 and <= 4096, got '‹img src=x onerror={PWN}›'",
        f"{quote(IMAGE)}=1": f"address: must be made of settings, .*got '‹img src=x onerror={PWN}›'",
        f"preset={quote(IMAGE)}": "unknown preset",
    },
    "long": {"seed=" + 20_000 * "9": f"seed: {WHOLE}", "network.hidden=" + 3_000 * "[": f"network.hidden: {WHOLE}"},
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_address_is_told_and_gives_the_default(visit, kind: str) -> None:
    live = visit(f"?{'&'.join(HOSTILE[kind])}")
    popped: list[str] = []

    def note(dialog: Dialog) -> None:
        popped.append(dialog.message)
        dialog.dismiss()

    live.page.on("dialog", note)
    for sentence in HOSTILE[kind].values():
        expect(live.page.get_by_text(re.compile(sentence)).first).to_be_visible(timeout=WAIT)
    assert live.idle() == 0
    assert configuration(live) == DEFAULT
    live.step_to(1)
    assert live.page.evaluate("window.pwned") is None
    assert live.page.locator("img[src=x]").count() == 0
    assert popped == []


def test_a_bad_value_spoils_only_its_own_field_and_of_two_values_the_last_counts(visit) -> None:
    live = visit("?seed=5&seed=7&network.hidden=lots")
    live.says("network.hidden: must be a whole number")
    assert configuration(live) == DEFAULT.with_values({"seed": 7})
