"""The Race page as visitors use it: a race runs, is ranked, leads to Live and is handed out."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser_kit import WAIT, Live
from playwright.sync_api import Browser, expect
from test_layout import settle

pytestmark = pytest.mark.browser

QUERY = "race?lanes=sign,mixed-precision&seeds=2&trials=60"
CURVES = """() => [...Bokeh.documents[0]._all_models.values()]
  .filter((m) => m.type === 'ColumnDataSource' && m.data.lane?.length && m.data.mean)
  .map((m) => [m.data.lane[0], [...m.data.trial]])"""


@pytest.fixture(scope="module")
def race(address: str, browser: Browser) -> Iterator[Live]:
    """A page with two lanes and two seeds; the tests below go through a race in their order."""
    live = Live(browser, address, QUERY, ready="Seeds", reduced_motion="reduce")
    yield live
    complaints = live.complaints
    live.close()
    assert complaints == []


def test_what_is_wrong_with_a_race_is_told_and_nothing_begins(race: Live) -> None:
    expect(race.status("state")).to_have_text("ready", timeout=WAIT)
    trials = race.page.get_by_label("Trials")
    trials.fill("many")
    trials.press("Enter")
    race.says("Trials: must be a whole number from 1 to 20000, got 'many'")
    trials.fill("40")
    trials.press("Enter")
    expect(race.status("done")).to_have_text("0 of 160 trials", timeout=WAIT)
    expect(race.button("Stop")).to_be_disabled()


def test_a_race_runs_to_its_end_and_is_ranked(race: Live) -> None:
    race.button("Start").click()
    expect(race.status("state")).to_have_text("finished", timeout=WAIT)
    expect(race.status("done")).to_have_text("160 of 160 trials")
    expect(race.button("Start")).to_be_visible()
    race.becomes(
        lambda: sorted(race.page.evaluate(CURVES)), [[n, [10, 20, 30, 40]] for n in ("mixed-precision", "sign")]
    )
    rows = race.page.locator(".ranking tbody tr")
    expect(rows).to_have_count(2)
    race.becomes(lambda: {row.split()[-1] for row in rows.all_inner_texts()}, {"2"})
    expect(race.page.get_by_role("img", name=re.compile(r"[\d.]+ to [\d.]+"))).to_have_count(2)


def test_a_lane_opens_in_live_with_its_settings(race: Live) -> None:
    with race.page.expect_popup(timeout=WAIT) as coming:
        race.page.locator(".ranking").get_by_role("link", name="Sign").click()
    opened = coming.value
    opened.wait_for_function(
        "window.Bokeh?.documents?.[0]?.get_model_by_name('frames')?.data.trial[0] >= 0", timeout=WAIT
    )
    expect(opened.locator("[data-status='seed']")).to_have_text("seed 1", timeout=WAIT)
    expect(opened.get_by_role("button", name="Sign", exact=True)).to_have_attribute("aria-pressed", "true")
    opened.close()


def test_the_ranking_is_handed_out_as_it_stands(race: Live) -> None:
    race.button("Export").click()
    with race.page.expect_download(timeout=WAIT) as coming:
        race.page.get_by_role("menuitem", name="ranking as CSV").click()
    expect(race.page.get_by_role("menuitem")).to_have_count(0, timeout=WAIT)
    rows = list(csv.DictReader(Path(coming.value.path()).read_text("utf-8").splitlines()))
    names = [row["lane"].replace("-", " ").capitalize() for row in rows]
    expect(race.page.locator(".ranking tbody th")).to_have_text(names, timeout=WAIT)
    expect(race.page.locator(".MuiPopover-root")).to_have_count(0, timeout=WAIT)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_grave(race: Live, dark: bool) -> None:
    race.darken(dark)
    race.becomes(race.grave, [])


@pytest.mark.parametrize("size", [(1280, 720), (1920, 1080), (1024, 768)], ids=str)
def test_nothing_is_cut_off_at_the_side(race: Live, size: tuple[int, int]) -> None:
    race.page.set_viewport_size({"width": size[0], "height": size[1]})
    settle(race)
    assert race.page.evaluate("document.documentElement.scrollWidth") <= size[0]
    for name in ("Start", "Stop", "Export"):
        box = race.button(name).bounding_box()
        assert box is not None and box["x"] + box["width"] <= size[0]
    table = race.page.locator(".ranking").evaluate("(el) => [el.scrollWidth, el.clientWidth]")
    assert table[0] <= table[1]


def test_a_race_can_be_paused_and_stopped(race: Live) -> None:
    trials = race.page.get_by_label("Trials")
    trials.fill("20000")
    trials.press("Enter")
    race.button("Start").click()
    expect(race.status("state")).to_have_text("running", timeout=WAIT)
    race.button("Pause").click()
    expect(race.status("state")).to_have_text("paused", timeout=WAIT)
    race.button("Resume").click()
    expect(race.status("state")).to_have_text("running", timeout=WAIT)
    race.becomes(lambda: race.frame("trial") > 0, True)
    race.button("Stop").click()
    expect(race.status("state")).to_have_text("stopped", timeout=WAIT)
    expect(race.button("Start")).to_be_visible(timeout=WAIT)
