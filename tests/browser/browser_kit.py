"""What a browser test needs to know of the page, in one place."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Browser, Locator, Route, expect

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WAIT = 20_000
COLUMN = "Bokeh.documents[0].get_model_by_name('{}').data.{}[0]"


class Live:
    """One visitor on the Live page."""

    def __init__(self, browser: Browser, address: str, query: str = "", **options: Any) -> None:
        self.complaints: list[str] = []
        self.context = browser.new_context(viewport={"width": 1440, "height": 900}, **options)
        self.page = self.context.new_page()
        self.page.route("**/*", lambda route: self._local_only(route, address))
        self.page.on("console", lambda m: self.complaints.append(m.text) if m.type == "error" else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(address + query)
        self.page.wait_for_function(
            "window.Bokeh?.documents?.[0]?.get_model_by_name('painted')?.data.frame[0] > 0", timeout=WAIT
        )
        self.page.get_by_role("slider", name="Time between updates").wait_for(timeout=WAIT)

    def _local_only(self, route: Route, address: str) -> None:
        url = route.request.url
        if url.startswith((address, address.replace("http", "ws"), "data:", "blob:")):
            route.continue_()
        else:
            self.complaints.append(f"asked for {url}")
            route.abort()

    def frame(self, column: str) -> int:
        """A number that travels with the latest frame: trial, run, config_version."""
        return int(self.page.evaluate(COLUMN.format("frames", column)))

    def painted(self) -> int:
        """Number of the latest frame that the browser has painted."""
        return int(self.page.evaluate(COLUMN.format("painted", "frame")))

    def wait(self, condition: str) -> None:
        """Until a JavaScript condition over `trial`, `run`, `config` and `painted` holds."""
        names = {
            "trial": ("frames", "trial"),
            "run": ("frames", "run"),
            "config": ("frames", "config_version"),
            "painted": ("painted", "frame"),
        }
        values = ", ".join(f"{name} = {COLUMN.format(*place)}" for name, place in names.items())
        self.page.wait_for_function(f"() => {{ const {values}; return {condition} }}", timeout=WAIT)

    def button(self, name: str) -> Locator:
        """A button by its exact accessible name."""
        return self.page.get_by_role("button", name=name, exact=True)

    def slider(self, name: str) -> Locator:
        """A slider by its accessible name."""
        return self.page.get_by_role("slider", name=name)

    def status(self, entry: str) -> Locator:
        """An entry of the status strip."""
        return self.page.locator(f"[data-status='{entry}']")

    def select(self, label: str, option: str) -> None:
        """Pick from a drop-down list."""
        self.page.get_by_role("combobox", name=re.compile(f"^{label}")).click()
        self.page.get_by_role("menuitem", name=option, exact=True).click()

    def says(self, text: str) -> None:
        """A notification with this text is, or comes, on the screen."""
        expect(self.page.get_by_text(text).first).to_be_visible(timeout=WAIT)

    def idle(self) -> int:
        """Wait until the run stands still; the trial at which it does."""
        expect(self.status("state")).to_have_text("paused", timeout=WAIT)
        return self.frame("trial")
