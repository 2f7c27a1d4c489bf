"""The Sweep page as visitors use it: a text becomes a sweep, its cells fill, lead to Live and are handed out."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser_kit import WAIT, Live
from playwright.sync_api import Browser, expect
from test_layout import settle

from training.jobs import perform
from training.sweep import Sweep

pytestmark = pytest.mark.browser

TEXT = """name: browser
set: {network.hidden: 12, task: {name: pattern, inputs: 10, duration: 0.1}}
fields:
  precision.weight_bits: [2, 4]
  device.mismatch.step: [0, 0.2, 0.4]
seeds: [3, 4]
trials: 4
every: 2
"""
CELLS = """() => [...Bokeh.documents[0]._all_models.values()]
  .filter((m) => m.type === 'ColumnDataSource' && m.data.ink && m.data.x.length)
  .flatMap((m) => [...m.data.x].map((x, at) => [x, m.data.y[at], m.data.mean[at], m.data.runs[at]]))"""

ADDRESSES = """() => [...Bokeh.documents[0]._all_models.values()]
  .filter((m) => m.type === 'ColumnDataSource' && m.data.url).flatMap((m) => [...m.data.url])"""


@pytest.fixture(scope="module")
def sweep(address: str, browser: Browser) -> Iterator[Live]:
    """A page whose text is that of a small sweep; the tests below go through it in their order."""
    live = Live(browser, address, "sweep", ready="Workers", reduced_motion="reduce")
    yield live
    complaints = live.complaints
    live.close()
    assert complaints == []


def test_a_bad_text_is_named_where_it_stands_and_nothing_is_lost(sweep: Live) -> None:
    editor = sweep.page.get_by_label("Sweep (YAML)")
    sweep.becomes(lambda: len(sweep.page.evaluate(CELLS)), 16)  # of the example, before anything is run
    editor.fill(TEXT.replace("network.hidden", "network.hiden"))
    alert = sweep.page.get_by_role("alert").filter(has_text="unknown setting 'network.hiden'")
    expect(alert).to_be_visible(timeout=WAIT)
    assert len(sweep.page.evaluate(CELLS)) == 16
    assert editor.input_value().startswith("name: browser")
    editor.fill(TEXT)
    expect(sweep.page.get_by_text("12 runs: 6 cells × 2 seeds")).to_be_visible(timeout=WAIT)
    expect(sweep.status("done")).to_have_text("0 of 12 runs", timeout=WAIT)
    sweep.becomes(lambda: {runs for *_, runs in sweep.page.evaluate(CELLS)}, {"0 of 2"})


def test_cells_fill_with_what_the_library_gives(sweep: Live) -> None:
    sweep.button("Start").click()
    expect(sweep.status("state")).to_have_text("finished", timeout=WAIT)
    expect(sweep.status("done")).to_have_text("12 of 12 runs")
    asked = Sweep.from_text(TEXT)
    losses: dict[tuple[int, int], list[float]] = {}
    for at, job in asked.runs():
        place = ([2, 4].index(at["precision.weight_bits"]), [0, 0.2, 0.4].index(at["device.mismatch.step"]))
        losses.setdefault(place, []).append(perform(job).curve[-1].loss)
    sweep.becomes(lambda: {runs for *_, runs in sweep.page.evaluate(CELLS)}, {"2 of 2"})
    shown = {(x, y): mean for x, y, mean, _ in sweep.page.evaluate(CELLS)}
    assert shown == {place: pytest.approx(sum(both) / 2, rel=1e-9) for place, both in losses.items()}
    expect(sweep.button("Start")).to_be_visible()


def test_a_click_on_a_cell_opens_live_with_its_settings(sweep: Live) -> None:
    sweep.becomes(lambda: len(list(filter(None, sweep.page.evaluate(ADDRESSES)))), 6)  # they are found out one by one
    x, y = sweep.place("precision.weight_bits", 0.75, 0.5)
    with sweep.page.expect_popup(timeout=WAIT) as coming:
        sweep.page.mouse.click(x, y)
    opened = coming.value
    address = opened.url
    opened.close()
    assert "precision.weight_bits" not in address  # 4 is the preset's own
    for part in ("preset=mixed-precision", "seed=3", "device.mismatch.step=0.2", "network.hidden=12"):
        assert part in address


def test_the_table_of_cells_and_the_text_are_handed_out(sweep: Live) -> None:
    for entry, name in (("cells as CSV", "browser_cells.csv"), ("sweep as YAML", "browser.yaml")):
        sweep.button("Export").click()
        with sweep.page.expect_download(timeout=WAIT) as coming:
            sweep.page.get_by_role("menuitem", name=entry).click()
        assert coming.value.suggested_filename == name
        content = Path(coming.value.path()).read_text("utf-8")
        if name.endswith("csv"):
            assert [row["number"] for row in csv.DictReader(content.splitlines())] == ["2"] * 6
        else:
            assert content == TEXT
        expect(sweep.page.locator(".MuiPopover-root")).to_have_count(0, timeout=WAIT)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_grave(sweep: Live, dark: bool) -> None:
    sweep.darken(dark)
    sweep.becomes(sweep.grave, [])


@pytest.mark.parametrize("size", [(1280, 720), (1920, 1080), (1024, 768)], ids=str)
def test_nothing_is_cut_off_at_the_side(sweep: Live, size: tuple[int, int]) -> None:
    sweep.page.set_viewport_size({"width": size[0], "height": size[1]})
    settle(sweep)
    assert sweep.page.evaluate("document.documentElement.scrollWidth") <= size[0]
    for name in ("Start", "Export"):
        box = sweep.button(name).bounding_box()
        assert box is not None and box["x"] + box["width"] <= size[0]
    table = sweep.page.locator(".listing").evaluate("(el) => [el.scrollWidth, el.clientWidth]")
    assert table[0] <= table[1]
