"""What a browser test needs to know of the page, in one place."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Locator, Request, ViewportSize, expect

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WAIT = 45_000
expect.set_options(timeout=WAIT)
COLUMN = "Bokeh.documents[0].get_model_by_name('{}').data.{}[0]"
UNFIT = """() => [...Bokeh.index.all_views()].filter((v) => v.model.type === 'Figure' && v.bbox.width > 0)
  .filter((v) => {
    const {width, height} = v.el.getBoundingClientRect(), canvas = v.canvas_view.bbox, {layout} = v
    const tracks = (axis) => getComputedStyle(v.el)[`gridTemplate${axis}`].split(' ').map(parseFloat)
    const off = [layout.bbox.height - height, layout.bbox.width - width, canvas.height - height, canvas.width - width]
    return off.some((pixels) => Math.abs(pixels) >= 1) || layout.bottom_panel.bbox.height > tracks('Rows')[2]
      || layout.left_panel.bbox.width > tracks('Columns')[0]
  }).map((v) => v.model.below[0]?.axis_label ?? v.model.left[0]?.axis_label ?? 'raster')"""
"""Plots that do not fill their places, or have less room for their axes than these take: both would be cut."""
FIND = """(label) => {
  const view = [...Bokeh.index.all_views()].find((v) => v.model.type === 'Figure'
    && v.model.below.some((axis) => axis.axis_label === label))
"""
FRAME = (
    FIND
    + "const r = view.el.getBoundingClientRect(), f = view.frame.bbox; return [r.x + f.left, r.y + f.top, f.width, f.height] }"
)
DRAWN = """([glyph, columns, colour]) => {
  const models = [...Bokeh.documents[0]._all_models.values()].filter((m) => m.type === 'GlyphRenderer')
  const wanted = models.filter((m) => m.glyph.type === glyph
    && columns.join() === Object.keys(m.data_source.data).sort().join()
    && JSON.stringify(m.glyph.line_color ?? '').includes(colour))
  const copy = ([name, values]) => [name, [...values]]
  return [...new Set(wanted.map((m) => m.data_source))].map((s) => Object.fromEntries(Object.entries(s.data).map(copy)))
}"""
IS_DARK = r"""(() => {
  const [red, green, blue] = getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number)
  return red + green + blue < 384
})()"""
AGREED = f"""(dark) => {{
  const modes = [...Bokeh.documents[0]._all_models.values()].map((m) => m.data?.attributes?.dark_theme ?? dark)
  if ({IS_DARK} !== dark || modes.some((one) => one !== dark)) window.disagreed = performance.now()
  return performance.now() - (window.disagreed ?? 0) > 300
}}"""
"""Whether every part of the page has had a mode for a while: one that is late would turn the others back."""
BELOW = "(el) => el.getRootNode().host.nextElementSibling?.shadowRoot?.querySelector('.words')?.textContent ?? ''"
STILL = "() => document.getAnimations().every((one) => one.playState !== 'running')"
DRAWN_MAP = FIND + "return view.model.x_range.end > 1 }"
"""Whether the heat map's axes have come to hold an array: before, they reach from 0 to 1."""

SIZE: ViewportSize = {"width": 1440, "height": 900}

T = TypeVar("T")

_contexts: WeakKeyDictionary[Browser, BrowserContext] = WeakKeyDictionary()


def _context(browser: Browser, **options: Any) -> BrowserContext:
    """A visitor's browser; nothing that pages keep in it outlives them."""
    context = browser.new_context(**options)
    context.add_init_script("localStorage.clear()")
    return context


def _shared(browser: Browser) -> BrowserContext:
    """One for all who want nothing special: with its cache, pages open much faster."""
    if browser not in _contexts:
        _contexts[browser] = _context(browser)
    return _contexts[browser]


class Live:
    """One visitor on a page; `ready` names a slider of it that comes last."""

    def __init__(
        self, browser: Browser, address: str, query: str = "", ready: str = "Time between updates", **options: Any
    ) -> None:
        self.complaints: list[str] = []
        self._own = _context(browser, **options) if options else None
        self.page = (self._own or _shared(browser)).new_page()
        self.page.set_viewport_size(SIZE)
        self.page.set_default_timeout(WAIT)
        self.page.on("request", lambda request: self._local_only(request, address))
        self.page.on("console", lambda m: self.complaints.append(m.text) if m.type == "error" else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.context.clear_cookies()
        self.page.goto(address + query, timeout=2 * WAIT)
        self.page.wait_for_function(
            "window.Bokeh?.documents?.[0]?.get_model_by_name('painted')?.data.frame[0] > 0"
            f" && {COLUMN.format('frames', 'trial')} >= 0",  # A run's first trial comes by itself.
            timeout=WAIT,
        )
        self.page.get_by_role("slider", name=ready).wait_for(timeout=WAIT)

    def close(self) -> None:
        """Close the tab."""
        (self._own or self.page).close()

    def _local_only(self, request: Request, address: str) -> None:
        if not request.url.startswith((address, address.replace("http", "ws"), "data:", "blob:")):
            self.complaints.append(f"asked for {request.url}")

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

    def step_to(self, trial: int) -> None:
        """Run single trials until `trial` is done."""
        for _ in range(trial - self.frame("trial")):
            self.button("Step").click()
        self.wait(f"trial === {trial}")

    def begin(self, preset: str | None = None) -> int:
        """Put the run back to its beginning, or begin another preset's; the number of the new run."""
        run = self.frame("run") + 1
        self.button("Reset").click() if preset is None else self.select("Preset", preset)
        self.wait(f"run === {run} && trial === 0")
        return run

    def becomes(self, read: Callable[[], T], expected: T) -> None:
        """What is read is, or comes to be, as expected."""
        end = time.monotonic() + WAIT / 1e3
        while (got := read()) != expected and time.monotonic() < end:
            self.page.wait_for_timeout(50)
        assert got == expected

    def drawn(self, glyph: str, *columns: str, colour: str = "") -> list[dict[str, list[Any]]]:
        """What every source with just these columns holds that a glyph of this type draws, in this line colour."""
        return self.page.evaluate(DRAWN, [glyph, sorted(columns), colour])

    def darken(self, dark: bool) -> None:
        """Take on a mode."""
        if self.page.evaluate(IS_DARK) != dark:
            self.page.get_by_role("button", name="theme").click()
        self.page.wait_for_function(AGREED, arg=dark, timeout=WAIT)

    def grave(self) -> list[str]:
        """What an accessibility checker finds that is serious, once the page has come to rest."""
        self.page.wait_for_function(STILL, timeout=WAIT)
        found = Axe().run(self.page).response
        assert len(found["passes"]) > 10  # It must have had something to look at.
        grave = [violation for violation in found["violations"] if violation["impact"] in ("serious", "critical")]
        return [f"{one['id']}: {node['html'][:160]} {node['failureSummary']}" for one in grave for node in one["nodes"]]

    def below(self, control: Locator) -> str:
        """The line below a control of the sidebar."""
        return str(control.evaluate(BELOW))

    def place(self, label: str, across: float, down: float) -> tuple[float, float]:
        """A point of a figure, found by the label of its horizontal axis."""
        left, top, width, height = self.page.evaluate(FRAME, label)
        return left + across * width, top + down * height

    def pick(self, across: float, down: float) -> None:
        """Click on a place of the heat map, once it is drawn."""
        self.page.wait_for_function(DRAWN_MAP, arg="from neuron", timeout=WAIT)
        self.page.mouse.click(*self.place("from neuron", across, down))


@contextlib.contextmanager
def visiting(browser: Browser, address: str, **usual: Any) -> Iterator[Callable[..., Live]]:
    """Opens pages; afterwards no page may have complained or asked for anything from elsewhere."""
    opened: list[Live] = []

    def open_page(query: str = "", **options: Any) -> Live:
        opened.append(Live(browser, address, query, **usual, **options))
        return opened[-1]

    yield open_page
    complaints = [complaint for live in opened for complaint in live.complaints]
    for live in opened:
        live.close()
    assert complaints == []
