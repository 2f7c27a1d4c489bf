"""Cores on the page: switched on they are seen, and what their converters counted is the library's count."""

from __future__ import annotations

import re
from typing import Any

import pytest
from browser_kit import Live
from library_kit import trained
from playwright.sync_api import Locator, expect
from test_layout import CARDS, CUT, LEAST, NEIGHBOURS, OUTSIDE, PLOTS, TALL, settle

from app.views.meters import words
from pcmsim.core import saturated
from training import meters

pytestmark = pytest.mark.browser

TRIAL = 2
BARS = ("left", "right", "top", "conversions")


def switch(live: Live) -> Locator:
    return live.page.get_by_role("switch", name="Cores and converters")


def told(live: Live) -> str:
    """The line of the cores' picture that says what saturated."""
    text = live.page.locator(".cores b")
    return str(text.inner_text()) if text.count() else ""


def counted(live: Live) -> list[int]:
    """Conversions by bin, as the bars hold them; the saturated ones first and last."""
    drawn = sorted((bars["conversions"] for bars in live.drawn("Quad", *BARS)), key=len)
    if len(drawn) < 2:
        return []
    (least, most), held = drawn
    return [int(count) for count in (least, *held, most)]


def test_cores_switched_on_show_tiles_and_the_conversions_that_the_library_counts(visit: Any) -> None:
    live = visit()
    live.step_to(TRIAL)
    assert live.page.get_by_role("slider", name="ADC range").count() == 0
    live.becomes(lambda: live.below(switch(live)), "off: sums are exact")
    switch(live).click()
    live.wait("config === 1")
    live.step_to(TRIAL + 2)
    session, _ = trained(TRIAL)
    session.configure(session.config.with_values({"core.enabled": True}))
    record = list(session.run(2))[-1]
    taken = session.snapshot()
    live.becomes(lambda: counted(live), taken["recurrent"].core.histogram.tolist())
    live.button("input").click()
    live.becomes(lambda: counted(live), taken["input"].core.histogram.tolist())
    expect(live.page.get_by_text("1 core, 15.3% in use")).to_be_visible()
    assert live.frame("run") == 1
    lines = words(meters.measure(session, record, taken), session.config)
    for label, name in {
        "ADC range": "adc_range",
        "Conversion noise": "mvm_noise",
        "Wire resistance": "wire_resistance",
    }.items():
        live.becomes(lambda label=label: live.below(live.slider(label)), lines[name])
    live.becomes(lambda: live.below(switch(live)), lines["cores"])
    switch(live).click()
    expect(live.page.locator(".cores")).to_be_hidden()
    expect(live.slider("ADC range")).to_be_hidden()


def test_a_narrower_range_saturates_more_and_is_told(visit: Any) -> None:
    live = visit("?core.enabled=true")
    live.step_to(TRIAL)
    live.becomes(lambda: told(live), "0.0% saturated")
    live.slider("ADC range").focus()
    live.page.keyboard.press("Home")
    live.wait("config >= 1")
    live.step_to(TRIAL + 1)
    session, _ = trained(TRIAL, values={"core.enabled": True})
    session.configure(session.config.with_values({"core.adc_range": 0.02}))
    record = session.step()
    share = saturated(session.arrays.recurrent.core.histogram)
    assert share > 0.1
    live.becomes(lambda: told(live), f"{share:.1%} saturated")
    line = words(meters.measure(session, record), session.config)["adc_range"]
    live.becomes(lambda: live.below(live.slider("ADC range")), line)
    assert re.fullmatch(r"[1-9]\d\.\d% of the conversions saturate", line)
    sentence = live.page.locator(".happening p[data-rule='saturated-converters']")
    expect(sentence).to_contain_text("The converters saturate: ")


def test_with_cores_everything_has_room(visit: Any) -> None:
    live = visit("?core.enabled=true&network.hidden=300")
    live.step_to(TRIAL)
    live.becomes(lambda: len(live.page.evaluate(PLOTS)), 9)
    for width, height in ((1280, 720), (1440, 900), (1024, 768)):
        live.page.set_viewport_size({"width": width, "height": height})
        settle(live)
        assert live.page.evaluate(OUTSIDE) == []
        assert live.page.evaluate(CUT)["cut"] == []
        assert live.page.evaluate(TALL) == []
        assert live.page.evaluate(NEIGHBOURS) == []
        plots = {name: (wide, high) for name, wide, high, *_ in live.page.evaluate(PLOTS)}
        assert len(plots) == 9
        assert all(min(size) > LEAST for size in plots.values()), plots
        card = live.page.evaluate(CARDS)["x"]
        for label in ("inputs of the cores", "converted sum (cells)"):
            (left, bottom), (right, top) = live.place(label, 0.0, 1.0), live.place(label, 1.0, 0.0)
            assert card[0] < left < right < card[2]
            assert card[1] < top < bottom < card[3] - 20, (width, label)
