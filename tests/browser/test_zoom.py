"""Zooming, pointing and clicking with a real mouse."""

from __future__ import annotations

import numpy as np
import pytest
from browser_kit import DRAWN_MAP, FIND, WAIT
from playwright.sync_api import Browser

from app.views import hover
from app.views.drift import NAMES
from app.views.status import duration

pytestmark = pytest.mark.browser

SPANS = FIND + "const {x_range: x, y_range: y} = view.model; return [x.start, x.end, y.start, y.end] }"
TOOLTIP = "() => [...document.querySelectorAll('.bk-Tooltip')].map((tip) => tip.shadowRoot.textContent).join()"


def learned(live, trial: int) -> None:
    """Wait until the learning plot shows a run to the trial at which it stands still: its axes move no more."""
    live.becomes(lambda: live.drawn("Line", "trial", "loss", "smooth")[0]["trial"][-1:], [trial])


def drag(live, label: str, begin: tuple[float, float], end: tuple[float, float]) -> None:
    live.page.mouse.move(*live.place(label, *begin))
    live.page.mouse.down()
    live.page.mouse.move(*live.place(label, *end), steps=6)
    live.page.mouse.up()


def spans_after_drag(live, label: str, begin: tuple[float, float], end: tuple[float, float]) -> list[float]:
    """Spans of a plot once a box has been drawn on it; a move of the server's may be on its way meanwhile."""
    before = live.page.evaluate(SPANS, label)
    drag(live, label, begin, end)
    live.page.wait_for_function(
        "([look, label, before]) => { const s = eval(look)(label); return s[0] > before[0] && s[1] < before[1] }",
        arg=[SPANS, label, before],
        timeout=WAIT,
    )
    return live.page.evaluate(SPANS, label)


def test_a_box_on_the_learning_plot_stays_for_many_trials_until_a_double_click(visit) -> None:
    live = visit("?autoplay=1")
    live.wait("trial > 60")
    live.button("Pause").click()
    learned(live, live.idle())
    before = live.page.evaluate(SPANS, "trial")
    zoomed = spans_after_drag(live, "trial", (0.1, 0.2), (0.4, 0.7))
    assert before[0] < zoomed[0] < zoomed[1] < before[1]
    assert before[2] < zoomed[2] < zoomed[3] < before[3]
    live.button("Play").click()
    enough = live.frame("trial") + max(150, int(before[1]))
    live.wait(f"trial > {enough}")
    assert live.page.evaluate(SPANS, "trial") == zoomed
    live.page.mouse.dblclick(*live.place("trial", 0.5, 0.5))
    live.page.wait_for_function(f"() => {{ const s = ({SPANS})('trial'); return s[0] === 0 && s[1] > {enough} }}")
    trial = live.frame("trial")
    live.wait(f"trial > {trial + 20}")
    live.becomes(lambda: live.page.evaluate(SPANS, "trial")[1] > trial, True)


def test_a_zoom_in_a_paused_run_is_marked_and_a_double_click_undoes_it(visit) -> None:
    live = visit()
    live.button("Step").click()
    live.wait("trial === 1")
    live.becomes(lambda: len(live.drawn("Line", "time", *NAMES)[0]["time"]), 2)
    before = live.page.evaluate(SPANS, "device time")
    drag(live, "device time", (0.3, 0.3), (0.5, 0.6))
    live.becomes(lambda: live.page.evaluate(SPANS, "device time") != before, True)
    ticks = (
        FIND
        + "const x = view.model.x_range; return view.model.below[0].ticker.ticks.filter((t) => x.start <= t && t <= x.end).length > 1 }"
    )
    live.page.wait_for_function(f"() => ({ticks})('device time')")
    live.page.mouse.dblclick(*live.place("device time", 0.5, 0.5))
    live.page.wait_for_function(
        f"(before) => JSON.stringify(({SPANS})('device time')) === JSON.stringify(before)", arg=before
    )


POINTED = {"trial": (0.02, ("trial", "loss", "smoothed")), "from neuron": (0.5, ("from neuron", "to neuron", "weight"))}


def test_pointing_at_a_plot_shows_its_values(visit) -> None:
    live = visit()
    live.step_to(3)
    learned(live, 3)
    live.page.wait_for_function(DRAWN_MAP, arg="from neuron", timeout=WAIT)
    for label, (across, expected) in POINTED.items():
        live.page.mouse.move(*live.place(label, across, 0.4))
        live.page.mouse.move(*live.place(label, across, 0.5))
        live.page.wait_for_function(f"(first) => ({TOOLTIP})().includes(first)", arg=expected[0])
        shown = live.page.evaluate(TOOLTIP)
        assert all(name in shown for name in expected)
        assert "?" not in shown and "NaN" not in shown


def test_the_browser_says_durations_as_the_page_does(browser: Browser) -> None:
    seconds = [
        0.0123,
        1.0,
        38.6,
        59.94,
        60.0,
        61.0,
        3599.0,
        3600.0,
        31_300.0,
        90_000.0,
        3e7,
        3.2e8,
        *np.geomspace(0.1, 1e11, 40).tolist(),
    ]
    page = browser.new_page()
    words = page.evaluate(f"(all) => {{ {hover.DURATION} return all.map(words) }}", seconds)
    assert words == [duration(value) for value in seconds]
