"""Asked against applied, and e-prop beside backpropagation: the numbers are the library's."""

from __future__ import annotations

import numpy as np
import pytest
from browser_kit import UNFIT, WAIT
from library_kit import trained
from playwright.sync_api import expect

from training import honesty

pytestmark = pytest.mark.browser

TRIAL, PRESET = 4, "sign"
MOST_CHANGED, MOST_UNCHANGED = 200, 100


def points(live) -> list[tuple[float, float]]:
    [drawn] = live.drawn("Scatter", "asked", "applied")
    return list(zip(drawn["asked"], drawn["applied"], strict=True))


def test_points_and_cosine_are_those_of_the_snapshot(stay) -> None:
    live = stay()
    live.begin(PRESET)
    live.step_to(TRIAL)
    session, _ = trained(TRIAL, PRESET)
    for layer in ("recurrent", "output", "input"):
        live.button(layer).click()
        shown = session.snapshot()[layer]
        asked, applied = shown.asked.astype(float).ravel(), shown.applied.astype(float).ravel()
        changed, waiting = applied != 0.0, (applied == 0.0) & (asked != 0.0)
        known = set(zip(asked.tolist(), applied.tolist(), strict=True))
        live.becomes(lambda known=known: set() < set(points(live)) <= known, True)
        drawn = points(live)
        assert sum(made != 0.0 for _, made in drawn) == min(changed.sum(), MOST_CHANGED) > 10
        assert sum(made == 0.0 for _, made in drawn) == min(waiting.sum(), MOST_UNCHANGED)
        ends = [asked[changed].min(), asked[changed].max()]
        assert [pick(wanted for wanted, made in drawn if made) for pick in (min, max)] == ends
        cosine = asked @ applied / np.linalg.norm(asked) / np.linalg.norm(applied)
        expect(live.page.get_by_text(f"cosine {cosine:z.2f}", exact=True)).to_be_visible(timeout=WAIT)


def test_nothing_has_been_asked_without_learning(visit) -> None:
    live = visit("?learning.lr_input=0&learning.lr_recurrent=0&learning.lr_output=0")
    live.step_to(1)
    assert points(live) == []
    expect(live.page.locator(".head").get_by_text("no change yet")).to_be_visible()


def test_backpropagation_is_asked_about_the_next_trial(stay) -> None:
    live = stay()
    live.begin("mixed-precision")
    live.step_to(TRIAL)
    session, _ = trained(TRIAL)
    compared = honesty.compare(session)
    cosines = ", ".join(f"{layer} {value:z.2f}" for layer, value in compared.cosine.items())
    symmetric = ", ".join(f"{value:z.2f}" for value in compared.symmetric.values())
    live.button("Compare with BPTT").click()
    expect(live.page.locator(".honesty")).to_have_text(
        f"Cosine with BPTT, trial {TRIAL + 1}: {cosines}; with symmetric feedback {symmetric}.", timeout=WAIT
    )
    assert compared.cosine["output"] == pytest.approx(1.0)
    live.becomes(lambda: live.page.evaluate(UNFIT), [])
    live.step_to(TRIAL + 1)
    live.begin()
    expect(live.page.locator(".honesty")).to_have_count(0, timeout=WAIT)
