"""The page on the screens of a laptop, a tablet and a projector: nothing is cut, nothing overlaps, no plot is a sliver."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest
from browser_kit import UNFIT, WAIT, Live
from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

SCREENS = {"laptop": (1280, 720), "tablet": (1024, 768), "desk": (1440, 900), "projector": (1920, 1080)}
LEAST = 80
BAR = 50

EVERY = """
  const every = []
  const walk = (root) => root.querySelectorAll('*').forEach((el) => {
    every.push(el)
    if (el.shadowRoot) walk(el.shadowRoot)
  })
  walk(document)
  const shown = (el) => el.getClientRects().length > 0 && el.checkVisibility({visibilityProperty: true})
  const text = (el) => el.textContent.trim().replace(/\\s+/g, ' ').slice(0, 50)
"""
OUTSIDE = f"""() => {{ {EVERY}
  const over = every.filter((el) => shown(el) && el.getBoundingClientRect().width > 0
    && el.getBoundingClientRect().right > innerWidth + 1 && !el.matches('.bk-GlyphRenderer'))
  return over.map((el) => `${{el.tagName}}.${{el.className}} ${{text(el)}}`)
}}"""
WORDS = ".head h2, .head .note, h2, label, .MuiFormControlLabel-label, button, .words, .strip span, .title"
CUT = f"""() => {{ {EVERY}
  const words = every.filter((el) => el.matches({WORDS!r}) && shown(el) && text(el))
  const cut = words.filter((el) => el.scrollWidth > el.clientWidth && getComputedStyle(el).display !== 'inline')
  return {{number: words.length, cut: cut.map((el) => `${{text(el)}}: ${{el.scrollWidth}} in ${{el.clientWidth}} px`)}}
}}"""
TALL = f"""() => {{ {EVERY}
  const cards = every.filter((el) => /grid-area/.test(el.getAttribute('style') ?? '') && shown(el))
  return cards.filter((el) => el.scrollHeight > el.clientHeight + 1 || el.scrollWidth > el.clientWidth + 1)
    .map((el) => `${{el.style.gridArea}}: ${{el.scrollWidth}} x ${{el.scrollHeight}} in ${{el.clientWidth}} x ${{el.clientHeight}}`)
}}"""
CARDS = f"""() => {{ {EVERY}
  const cards = every.filter((el) => /grid-area/.test(el.getAttribute('style') ?? '') && shown(el))
  return Object.fromEntries(cards.map((el) => {{
    const r = el.getBoundingClientRect()
    return [el.style.gridArea.split(' ')[0], [r.left, r.top, r.right, r.bottom]]
  }}))
}}"""
NEIGHBOURS = f"""() => {{ {EVERY}
  const heads = every.filter((el) => el.matches('.head') && shown(el)).map((el) => el.getRootNode().host)
  const meets = (a, b) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1
  const parts = (host) => [...host.shadowRoot.querySelectorAll('.head > *')].filter(shown)
  const beside = (host) => [...host.parentNode.children].filter((el) => el !== host && shown(el))
  const inRow = heads.filter((host) => getComputedStyle(host.parentNode.host ?? host.parentNode).flexDirection === 'row')
  return inRow.flatMap((host) => parts(host).flatMap((part) => beside(host)
    .filter((el) => meets(part.getBoundingClientRect(), el.getBoundingClientRect())).map(() => text(part))))
}}"""
LABEL = """() => [...Bokeh.index.all_views()].find((v) => v.model.type === 'Figure' && v.model.below.length)
  .model.below[0].axis_label_text_font_size"""
PLOTS = """() => [...Bokeh.index.all_views()].filter((v) => v.model.type === 'Figure' && v.el.getClientRects().length)
  .map((v) => {
    v.el.scrollIntoView({block: 'nearest'})
    const r = v.el.getBoundingClientRect(), c = v.canvas_view.el.getBoundingClientRect()
    const name = v.model.below[0]?.axis_label || v.model.left[0]?.axis_label || 'raster'
    return [name, c.width, c.height, r.left, r.top, r.right, r.bottom, innerWidth, innerHeight]
  })"""


@pytest.fixture(scope="module")
def devices(address: str, browser: Browser) -> Iterator[dict[bool, Live]]:
    """A page without and one with a touch screen, after three trials."""
    lives = {touch: Live(browser, address, has_touch=touch) for touch in (False, True)}
    for live in lives.values():
        live.step_to(3)
    yield lives
    complaints = [complaint for live in lives.values() for complaint in live.complaints]
    for live in lives.values():
        live.close()
    assert complaints == []


@pytest.fixture(scope="module", params=[(name, dark) for name in SCREENS for dark in (False, True)], ids=str)
def screen(request: pytest.FixtureRequest, devices: dict[bool, Live]) -> Live:
    """The page on one screen in one mode, laid out."""
    name, dark = request.param
    live = devices[name == "tablet"]
    width, height = SCREENS[name]
    live.page.set_viewport_size({"width": width, "height": height})
    live.darken(dark)
    settle(live)
    return live


def settle(live: Live) -> None:
    """Until no plot has changed its place for a while from now on."""
    live.page.evaluate("window.places = null")
    live.page.wait_for_function(
        f"""() => {{
          const now = JSON.stringify(({CARDS})()) + JSON.stringify([...Bokeh.index.all_views()]
            .filter((v) => v.model.type === 'Figure').map((v) => [v.bbox.width, v.bbox.height]))
          if (now !== window.places) [window.places, window.since] = [now, performance.now()]
          return performance.now() - window.since > 400
        }}""",
        timeout=WAIT,
    )


def test_nothing_sticks_out_to_the_right(screen: Live) -> None:
    assert screen.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert screen.page.evaluate("document.body.scrollWidth <= innerWidth")
    assert screen.page.evaluate(OUTSIDE) == []


def test_every_plot_is_large_enough_and_can_be_brought_into_view(screen: Live) -> None:
    plots = screen.page.evaluate(PLOTS)
    assert len(plots) == 8
    for name, width, height, left, top, right, bottom, wide, high in plots:
        assert width > LEAST and height > LEAST, (name, width, height)
        assert left >= 0 and right <= wide + 1, (name, left, right)
        assert top >= BAR - 1 and bottom <= high + 1, (name, top, bottom)


def test_no_words_are_cut(screen: Live) -> None:
    found: dict[str, Any] = screen.page.evaluate(CUT)
    assert found["number"] > 60
    assert found["cut"] == []


def test_cards_hold_what_is_in_them(screen: Live) -> None:
    assert screen.page.evaluate(TALL) == []


def test_no_two_cards_overlap(screen: Live) -> None:
    cards: dict[str, list[float]] = screen.page.evaluate(CARDS)
    assert set(cards) == set("alxcdqhbs")
    for (one, a), (other, b) in combinations(cards.items(), 2):
        apart = a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
        assert apart, (one, other, a, b)


def test_no_control_lies_over_the_title_of_its_card(screen: Live) -> None:
    assert screen.page.evaluate(NEIGHBOURS) == []


def test_plots_fill_their_places_in_large_text_too(devices: dict[bool, Live]) -> None:
    live = devices[False]
    for name in ("desk", "projector"):
        live.page.set_viewport_size(dict(zip(("width", "height"), SCREENS[name], strict=True)))
        for size in ("17px", "12px"):
            live.button("Large text").click()
            live.becomes(lambda: live.page.evaluate(LABEL), size)
            settle(live)
            live.becomes(lambda: live.page.evaluate(UNFIT), [])
