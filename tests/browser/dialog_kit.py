"""The export dialog, as tests use it."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from browser_kit import WAIT, Live
from playwright.sync_api import Download, Locator, TimeoutError, expect

from training.config import RunConfig

FILES = """() => ['files', 'pictures'].map((name) => {
  const {data} = Bokeh.documents[0].get_model_by_name(name)
  return [data.name[0], data.count[0]]
})"""


def open_export(live: Live) -> Locator:
    """The export dialog, open."""
    live.button("Export").click()
    dialog = live.page.get_by_role("dialog", name="Export")
    expect(dialog).to_be_visible(timeout=WAIT)
    return dialog


def code(dialog: Locator, kind: str, begin: str) -> str:
    """The run as code of a kind, which begins with `begin`."""
    dialog.get_by_role("button", name=kind, exact=True).click()
    expect(dialog.locator("pre")).to_contain_text(re.compile(f"^{re.escape(begin)}"), timeout=WAIT)
    return dialog.locator("pre").inner_text()


def configuration(live: Live) -> RunConfig:
    """The run's configuration as the dialog tells it in YAML."""
    dialog = open_export(live)
    told = RunConfig.from_dict(yaml.safe_load(code(dialog, "YAML", "seed:")))
    live.page.keyboard.press("Escape")
    expect(dialog).to_be_hidden(timeout=WAIT)
    return told


def download(live: Live, dialog: Locator, button: str) -> tuple[str, bytes]:
    """Name and content of the file that a button of the dialog gives."""
    before = live.page.evaluate(FILES)
    try:
        with live.page.expect_download(timeout=WAIT) as coming:
            dialog.get_by_role("button", name=button, exact=True).click()
    except TimeoutError as error:
        told = dialog.inner_text().splitlines()
        raise AssertionError(f"{button}: no file; {before} -> {live.page.evaluate(FILES)}, dialog {told}") from error
    file: Download = coming.value
    return file.suggested_filename, Path(file.path()).read_bytes()


def pick(live: Live, dialog: Locator, label: str, option: str) -> None:
    """Pick from a drop-down list of the dialog."""
    box = dialog.get_by_role("combobox", name=re.compile(f"^{label}"))
    box.click()
    live.page.get_by_role("menuitem", name=option, exact=True).click()
    expect(box).to_have_text(option, timeout=WAIT)
