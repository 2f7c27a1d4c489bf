"""Cuts the link between browser and server again and again while a run, a race and a sweep are under way.

Each cut lasts 1 to 60 s. Afterwards every page has to find its session again by itself and go on; at the end, its
numbers have to be those that the library gives for the same configuration and seed without any browser. Run::

    python benchmarks/reconnect.py --cuts 20 --json reconnect.json

All three pages are cut at the same time.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from bare_browser import CHROMIUM
from playwright.sync_api import Page, sync_playwright

from app.browser.link import WORDS
from app.racer import Racer
from app.views import race_curves
from training.benchmark import machine
from training.jobs import perform
from training.presets import PRESETS
from training.race import Race, entrants
from training.session import Session
from training.sweep import Sweep

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "browser"))
from browser_kit import COLUMN, DRAWN, FLAGS
from link_kit import REFUSED, Link, behind_a_link

PATIENCE = 240_000
"""Milliseconds for a page to load or to go on: other programs share the machine."""

OVER = re.compile("paused|stopped|finished")
COMPARED, FARTHEST = 2000, 20_000
"""Points of the learning curve that are compared, and the last trial that is trained again for that."""

SEED, LANES, SEEDS = 5, ("sign", "mixed-precision"), (1, 2)
SWEEP = f"""name: cut
set: {{network.hidden: 12, task: {{name: pattern, inputs: 10, duration: 0.1}}}}
fields:
  precision.weight_bits: [2, 3, 4, 5]
  device.mismatch.step: {[round(0.005 * number, 3) for number in range(100)]}
seeds: [5]
trials: 400
every: 100
"""
CURVES = """() => [...Bokeh.documents[0]._all_models.values()]
  .filter((m) => m.type === 'ColumnDataSource' && m.data.lane?.length && m.data.mean)
  .map((m) => [m.data.lane[0], [...m.data.trial], [...m.data.mean]])"""
CELLS = """() => [...Bokeh.documents[0]._all_models.values()]
  .filter((m) => m.type === 'ColumnDataSource' && m.data.ink && m.data.x.length)
  .flatMap((m) => [...m.data.x].map((x, at) => [x, m.data.y[at], m.data.mean[at], m.data.runs[at]]))"""


@dataclass
class Cut:
    """What became of one cut."""

    seconds: float
    said: bool = False
    went_on: bool = False
    back_after: float = float("nan")


@dataclass
class Tab:
    """A page that is cut.

    Parameters
    ----------
    name, query : str
        Its name and address.
    link : Link
        To the server.
    begin : callable
        Begins what it is for.
    wrong : callable
        Numbers that differ from the library's, and how many were compared.
    """

    name: str
    query: str
    link: Link
    begin: Callable[[Page], None]
    wrong: Callable[[Page], tuple[int, int]]
    page: Page | None = None
    cuts: list[Cut] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def open(self, browser: Any) -> None:
        """Load it and begin."""
        self.page = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme="light").new_page()
        self.page.on("console", lambda m: self._complain(m.text) if m.type == "error" else None)
        self.page.on("pageerror", lambda error: self._complain(str(error)))
        self.page.goto(self.link.address + self.query, timeout=PATIENCE)
        self.page.wait_for_function(f"window.Bokeh?.documents?.[0] && {self.painted} > 0", timeout=PATIENCE)
        self.begin(self.page)

    @property
    def painted(self) -> str:
        """Number of the latest frame on the screen."""
        return "(window.Bokeh?.documents?.[0]?.get_model_by_name('painted')?.data.frame[0] ?? 0)"

    def progress(self) -> int:
        """How far it is."""
        return int(self.page.evaluate(COLUMN.format("frames", "trial")))

    def remember(self, seconds: float) -> None:
        """Where it is before a cut."""
        self.cuts.append(Cut(seconds))
        self._before, self._loaded = self.progress(), self.page.evaluate("performance.timeOrigin")

    def lose(self) -> None:
        """The link is cut: the page has to say so at once."""
        self.page.get_by_text(WORDS["lost"]).wait_for(timeout=PATIENCE)
        states = self.page.locator("[data-status='state']").all_inner_texts()
        self.cuts[-1].said = states == ["no connection"]

    def find(self, mended: float) -> None:
        """Wait until it goes on."""
        loaded = f"performance.timeOrigin !== {self._loaded} && {self.painted} > 0"
        further = f"{loaded} && {COLUMN.format('frames', 'trial')} > {self._before}"
        try:
            self.page.wait_for_function(further, timeout=PATIENCE)
        except Exception as error:
            self.complaints.append(f"cut {len(self.cuts)}: {str(error)[:200]}")
        else:
            self.cuts[-1].went_on, self.cuts[-1].back_after = True, time.monotonic() - mended

    def _complain(self, text: str) -> None:
        if not any(word in text for word in REFUSED):
            self.complaints.append(text)


def play(page: Page) -> None:
    """Begin the run of the Live page."""
    page.get_by_role("button", name="Play", exact=True).click()


def start(page: Page) -> None:
    """Begin a race."""
    page.get_by_role("button", name="Start", exact=True).click()


def sweep(page: Page) -> None:
    """Begin the sweep."""
    page.get_by_label("Sweep (YAML)").fill(SWEEP)
    page.get_by_text("400 runs").first.wait_for(timeout=PATIENCE)
    start(page)


def _halt(page: Page, button: str) -> None:
    """End what is under way, unless it has come to its end by itself."""
    halting = page.get_by_role("button", name=button, exact=True)
    if halting.count():
        halting.click(timeout=PATIENCE)
    page.locator("[data-status='state']").get_by_text(OVER).wait_for(timeout=PATIENCE)
    page.wait_for_timeout(2000.0)


def wrong_losses(page: Page) -> tuple[int, int]:
    """Of the run's learning curve."""
    _halt(page, "Pause")
    (curve,) = page.evaluate(DRAWN, ["Line", ["loss", "smooth", "trial"], ""])[:1]
    config = PRESETS["mixed-precision"].config.with_values({"seed": SEED})
    shown = [(int(trial), loss) for trial, loss in zip(curve["trial"], curve["loss"], strict=True)]
    shown = [shown[place] for place in range(0, len(shown), max(1, len(shown) // COMPARED))]
    last = min(max(trial for trial, _ in shown), FARTHEST)
    losses = [record.loss for record in Session(config).run(last + 1)]
    near = [(trial, loss) for trial, loss in shown if trial <= last]
    return sum(not np.isclose(loss, losses[trial], rtol=1e-6) for trial, loss in near), len(near)


def wrong_means(page: Page) -> tuple[int, int]:
    """Of the race's curves."""
    _halt(page, "Stop")
    curves = page.evaluate(CURVES)
    racer = Racer()
    racer.begin(Race(entrants(list(LANES)), seeds=SEEDS, trials=int(max(max(trials) for _, trials, _ in curves))))
    while not racer.latest.over:
        time.sleep(0.5)
    told = race_curves.columns(racer.latest)
    right = {
        (columns["lane"][0], trial): mean
        for columns in told.values()
        if "lane" in columns and len(columns["lane"])
        for trial, mean in zip(columns["trial"], columns["mean"], strict=True)
    }
    shown = [((lane, at), mean) for lane, trials, means in curves for at, mean in zip(trials, means, strict=True)]
    return sum(not np.isclose(right.get(place, np.nan), mean, rtol=1e-9) for place, mean in shown), len(shown)


def wrong_cells(page: Page) -> tuple[int, int]:
    """Of the first cells that the sweep has filled."""
    _halt(page, "Stop")
    cells = {(x, y): mean for x, y, mean, runs in page.evaluate(CELLS) if runs == "1 of 1"}
    asked = Sweep.from_text(SWEEP)
    steps = asked.to_dict()["fields"]["device.mismatch.step"]
    compared = wrong = 0
    for at, job in asked.runs():
        place = (at["precision.weight_bits"] - 2, steps.index(at["device.mismatch.step"]))
        if place in cells and compared < 24:
            compared += 1
            wrong += not np.isclose(perform(job).curve[-1].loss, cells[place], rtol=1e-9)
    return wrong, compared


TABS = {
    "live": (f"?seed={SEED}", play, wrong_losses),
    "race": (f"race?lanes={','.join(LANES)}&seeds={len(SEEDS)}&trials=20000", start, wrong_means),
    "sweep": ("sweep", sweep, wrong_cells),
}


def measured(cuts: int, longest: float) -> list[dict[str, Any]]:
    """All pages, cut so many times."""
    with tempfile.TemporaryDirectory() as folder, behind_a_link(Path(folder)) as link, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        tabs = [Tab(name, query, link, begin, wrong) for name, (query, begin, wrong) in TABS.items()]
        for tab in tabs:
            tab.open(browser)
        for number, seconds in enumerate(np.geomspace(1.0, longest, cuts)):
            time.sleep(2.0)
            for tab in tabs:
                tab.remember(float(seconds))
            link.cut()
            for tab in tabs:
                tab.lose()
            time.sleep(float(seconds))
            link.mend()
            mended = time.monotonic()
            for tab in tabs:
                tab.find(mended)
            told = [f"{tab.name} {tab.cuts[-1].back_after:.1f} s" for tab in tabs]
            print(f"cut {number + 1:2d}  {seconds:5.1f} s  back after: {', '.join(told)}", flush=True)
        figures = [_figures(tab) for tab in tabs]
        browser.close()
    return figures


def _figures(tab: Tab) -> dict[str, Any]:
    wrong, compared = tab.wrong(tab.page)
    return {
        "page": tab.name,
        "cuts": len(tab.cuts),
        "said_so": sum(cut.said for cut in tab.cuts),
        "went_on": sum(cut.went_on for cut in tab.cuts),
        "numbers_compared": compared,
        "numbers_wrong": wrong,
        "back_after_median_s": float(np.nanmedian([cut.back_after for cut in tab.cuts])),
        "complaints": tab.complaints,
        "each": [asdict(cut) for cut in tab.cuts],
    }


def main() -> None:
    """Cut, print a table, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--cuts", type=int, default=20)
    parser.add_argument("--longest", type=float, default=60.0, help="seconds of the longest cut; the shortest takes 1")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    os.environ["PCMLAB_STORE"] = tempfile.mkdtemp()
    figures = measured(options.cuts, options.longest)
    shown = ("page", "cuts", "said_so", "went_on", "numbers_compared", "numbers_wrong", "back_after_median_s")
    print("  ".join(f"{name:>19}" for name in shown))
    for one in figures:
        print("  ".join(f"{one[name]:>19.4g}" if name != "page" else f"{one[name]:>19}" for name in shown))
        print("\n".join(f"    {complaint}" for complaint in one["complaints"]))
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), "pages": figures}, indent=1))


if __name__ == "__main__":
    main()
