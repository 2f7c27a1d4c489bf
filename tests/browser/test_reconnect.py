"""A link that is cut: the page says so, and finds its run, race or sweep again, with the same numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from browser_kit import COLUMN, WAIT, Live
from link_kit import REFUSED, Link, behind_a_link
from playwright.sync_api import Browser, expect

from app.browser.link import WORDS
from app.theme import LIGHT
from training.jobs import perform
from training.presets import PRESETS
from training.session import Session
from training.sweep import Sweep

pytestmark = pytest.mark.browser

SWEEP = """name: cut
set: {network.hidden: 12, task: {name: pattern, inputs: 10, duration: 0.1}}
fields:
  precision.weight_bits: [2, 4]
  device.mismatch.step: [0, 0.2]
seeds: [71, 72, 73]
trials: 300
every: 100
"""
CELLS = """() => [...Bokeh.documents[0]._all_models.values()]
  .filter((m) => m.type === 'ColumnDataSource' && m.data.ink && m.data.x.length)
  .flatMap((m) => [...m.data.x].map((x, at) => [x, m.data.y[at], m.data.mean[at], m.data.runs[at]]))"""
MEANS = """() => [...Bokeh.documents[0]._all_models.values()]
  .filter((m) => m.type === 'ColumnDataSource' && m.data.lane?.length && m.data.mean)
  .map((m) => [m.data.lane[0], [...m.data.trial], [...m.data.mean]])"""
LOADED = "window.performance.timeOrigin"
"""Another number for each time that a page is loaded."""


@pytest.fixture(scope="module")
def link(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Link]:
    """A link to a server of its own."""
    with behind_a_link(tmp_path_factory.mktemp("behind"), "--keep-minutes", "2") as made:
        yield made


@pytest.fixture
def visit(link: Link, browser: Browser) -> Iterator[Callable[..., Live]]:
    """Opens pages behind the link; they may complain of nothing but refused connections."""
    opened: list[Live] = []

    def open_page(query: str = "", **options: str) -> Live:
        opened.append(Live(browser, link.address, query, color_scheme="light", **options))
        return opened[-1]

    yield open_page
    complaints = [one for live in opened for one in live.complaints if not any(word in one for word in REFUSED)]
    for live in opened:
        live.close()
    assert complaints == []


def cut(link: Link, live: Live, seconds: float) -> None:
    """Cut the link for a while; the page says so, and loads itself anew when the link is back."""
    before = live.page.evaluate(LOADED)
    link.cut()
    live.says(WORDS["lost"])
    expect(live.status("state")).to_have_text("no connection")
    expect(live.page.get_by_text("trials/s")).to_have_count(0)
    live.page.wait_for_timeout(1000.0 * seconds)
    link.mend()
    returns(live, before)


def returns(live: Live, before: float) -> None:
    """The page is another one, and shows what its session has."""
    live.page.wait_for_function(
        f"{LOADED} !== {before} && window.Bokeh?.documents?.[0]?.roots().length > 0", timeout=2 * WAIT
    )
    expect(live.page.locator("#pcmlab-link")).to_have_count(0)
    live.page.wait_for_function(f"{COLUMN.format('frames', 'frame')} > 0", timeout=2 * WAIT)


def losses(live: Live) -> list[float]:
    """The run's learning curve."""
    return list(live.drawn("Line", "trial", "loss", "smooth", colour=LIGHT.run)[0]["loss"])


def test_a_run_goes_on_with_the_same_numbers_pins_and_settings(visit: Callable[..., Live], link: Link) -> None:
    live = visit("?seed=11")
    live.button("Play").click()
    live.wait("trial > 10")
    live.button("Pin run").click()
    for seconds in (1.0, 5.0):
        trial = live.frame("trial")
        cut(link, live, seconds)
        live.wait(f"trial > {trial + 5} && painted > 0")
        expect(live.status("state")).to_have_text("running")
    live.button("Pause").click()
    last = live.idle()
    live.becomes(lambda: len(losses(live)), last + 1)
    config = PRESETS["mixed-precision"].config.with_values({"seed": 11})
    expected = [record.loss for record in Session(config).run(last + 1)]
    assert losses(live) == pytest.approx(expected, rel=1e-6)
    expect(live.page.get_by_role("button", name="Mixed precision, 4 bit, seed 11")).to_be_visible()
    version = live.frame("config_version")
    live.slider("Read noise").press("ArrowRight")
    live.wait(f"config > {version}")
    live.step_to(last + 2)


def test_a_reload_finds_the_run_and_a_pause_stays_a_pause(visit: Callable[..., Live], link: Link) -> None:
    live = visit("?seed=12")
    live.step_to(3)
    live.slider("Read noise").press("ArrowRight")
    live.wait("config === 1")
    before = live.page.evaluate(LOADED)
    live.page.reload()
    returns(live, before)
    assert (live.frame("trial"), live.frame("config_version")) == (3, 1)
    expect(live.status("state")).to_have_text("paused")
    live.step_to(4)


def test_a_link_that_falls_silent_is_noticed_and_the_run_goes_on(visit: Callable[..., Live], link: Link) -> None:
    live = visit("?seed=13")
    live.button("Play").click()
    live.wait("trial > 5")
    before = live.page.evaluate(LOADED)
    link.freeze()
    live.says(WORDS["lost"])
    link.thaw()
    returns(live, before)
    trial = live.frame("trial")
    live.wait(f"trial > {trial + 5}")


def test_a_second_tab_with_the_same_storage_has_a_session_of_its_own(visit: Callable[..., Live], link: Link) -> None:
    live = visit("?seed=14")
    live.step_to(2)
    live.page.wait_for_function("sessionStorage.length > 0")
    kept = live.page.evaluate("JSON.stringify(sessionStorage)")
    other = live.page.context.new_page()
    other.add_init_script(f"Object.assign(sessionStorage, JSON.parse({kept!r}))")
    other.goto(link.address + "?seed=14")
    other.wait_for_function(f"window.Bokeh?.documents?.[0] && {COLUMN.format('frames', 'trial')} >= 0", timeout=WAIT)
    assert other.evaluate(COLUMN.format("frames", "trial")) == 0
    live.step_to(3)
    assert other.evaluate(COLUMN.format("frames", "trial")) == 0
    other.close()


def test_another_address_in_the_same_tab_is_another_session(visit: Callable[..., Live], link: Link) -> None:
    live = visit("?seed=15")
    live.step_to(2)
    before = live.page.evaluate(LOADED)
    live.page.goto(link.address + "?seed=16")
    returns(live, before)
    expect(live.status("seed")).to_have_text("seed 16")


def test_a_session_that_has_ended_is_told_of_and_another_begins_when_asked(
    visit: Callable[..., Live], link: Link
) -> None:
    live = visit("?seed=17")
    live.step_to(2)
    before = live.page.evaluate(LOADED)
    live.page.route("**/session", lambda route: route.fulfill(status=410))
    link.cut()
    live.says(WORDS["gone"])
    expect(live.status("state")).to_have_text("no connection")
    link.mend()
    live.page.unroute("**/session")
    live.button(WORDS["again"]).click()
    returns(live, before)
    assert live.frame("trial") == 0
    live.complaints[:] = [one for one in live.complaints if "410" not in one]


def test_a_race_goes_on_with_the_same_numbers(visit: Callable[..., Live], link: Link) -> None:
    query = "race?lanes=sign,mixed-precision&seeds=2&trials=100"
    told = []
    for seconds in (0.0, 2.0):
        live = visit(query, ready="Seeds")
        live.button("Start").click()
        live.becomes(lambda live=live: live.frame("trial") > 20, True)
        if seconds:
            cut(link, live, seconds)
            expect(live.status("state")).not_to_have_text("no connection")
        expect(live.status("state")).to_have_text("finished", timeout=2 * WAIT)
        live.becomes(lambda live=live: {len(trials) for _, trials, _ in live.page.evaluate(MEANS)}, {10})
        told.append(sorted(live.page.evaluate(MEANS)))
    assert told[0] == told[1]


def test_a_sweep_goes_on_with_the_same_numbers(visit: Callable[..., Live], link: Link) -> None:
    live = visit("sweep", ready="Workers")
    live.page.get_by_label("Sweep (YAML)").fill(SWEEP)
    expect(live.status("done")).to_have_text("0 of 12 runs", timeout=WAIT)
    live.button("Start").click()
    expect(live.status("state")).to_have_text("running", timeout=WAIT)
    cut(link, live, 2.0)
    expect(live.page.get_by_label("Sweep (YAML)")).to_have_value(SWEEP)
    expect(live.status("state")).to_have_text("finished", timeout=3 * WAIT)
    losses: dict[tuple[int, int], list[float]] = {}
    for at, job in Sweep.from_text(SWEEP).runs():
        place = ([2, 4].index(at["precision.weight_bits"]), [0, 0.2].index(at["device.mismatch.step"]))
        losses.setdefault(place, []).append(perform(job).curve[-1].loss)
    live.becomes(lambda: {runs for *_, runs in live.page.evaluate(CELLS)}, {"3 of 3"})
    shown = {(x, y): mean for x, y, mean, _ in live.page.evaluate(CELLS)}
    assert shown == {place: pytest.approx(sum(three) / 3, rel=1e-9) for place, three in losses.items()}
