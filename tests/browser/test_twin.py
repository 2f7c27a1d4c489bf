"""The twin: its curve is the library's twin of the same run, and the run does not notice it."""

from __future__ import annotations

import pytest
from library_kit import float32, smooth, trained
from playwright.sync_api import expect

from app.theme import palette
from training.records import TrialRecord
from training.twin import NON_IDEALITIES, twin

pytestmark = pytest.mark.browser

STEPS = 4
MISMATCH = {"network.threshold_mismatch": 0.1, "device.mismatch.step": 0.1}
PRESET = {"bits": "mixed-precision", "cores": "core"}
"""Sign updates write at once, so that every twin soon differs; but they do not round, and have no cores."""

COLOUR = palette(False).twin


def curve(live) -> dict[str, list[float]]:
    """The twin's learning curve, found by its colour."""
    [drawn] = live.drawn("Line", "trial", "smooth", colour=COLOUR)
    return drawn


def output(live) -> list[float]:
    """The twin's output in the latest trial."""
    [drawn] = live.drawn("Line", "time", "output", colour=COLOUR)
    return drawn["output"]


def thinned(record: TrialRecord, points: int) -> list[float]:
    """The output of a trial as a plot of so many points has it."""
    return float32(record.output[:: len(record.output) // max(points, 1), 0])


def run(live) -> dict[str, list[float]]:
    [drawn] = live.drawn("Line", "trial", "loss", "smooth")
    return drawn


def names(live) -> list[str]:
    """What is written at the ends of the curves."""
    [drawn] = live.drawn("Text", "x", "y", "text", "align", "slot")
    return drawn["text"]


@pytest.mark.parametrize("preset", ["sign", "mixed-precision", "core"])
def test_twins_are_the_librarys_and_the_run_stays_the_same(visit, preset: str) -> None:
    live = visit(f"?preset={preset}&" + "&".join(f"{name}={value}" for name, value in MISMATCH.items()))
    live.step_to(2)
    session, records = trained(2, preset, MISMATCH)
    for name in (name for name in NON_IDEALITIES if PRESET.get(name, "sign") == preset):
        label = f"without {NON_IDEALITIES[name].label.lower()}"
        live.select("Twin", label)
        mate, forked = twin(session, name), session.trial
        records += session.run(STEPS)
        mates = list(mate.run(STEPS))
        live.step_to(forked + STEPS - 1)
        live.becomes(lambda mates=mates: curve(live)["trial"], float32([record.trial for record in mates]))
        losses = [record.loss for record in mates]
        assert curve(live)["smooth"] == pytest.approx([smooth(losses[: k + 1]) for k in range(STEPS)], rel=1e-5)
        live.becomes(lambda mates=mates: output(live) == thinned(mates[-1], len(output(live))), True)
        live.becomes(lambda: run(live)["loss"], float32([record.loss for record in records]))
        assert losses != [record.loss for record in records[forked:]], name
        live.becomes(lambda label=label: label in names(live), True)


def test_in_step_while_the_run_plays_until_it_is_chosen_away(visit) -> None:
    live = visit()
    live.select("Twin", "without read noise")
    live.button("Play").click()
    live.wait("trial > 40")
    live.button("Pause").click()
    last = live.idle()
    live.becomes(lambda: curve(live)["trial"], float32(range(1, last + 1)))
    live.becomes(lambda: run(live)["trial"], float32(range(last + 1)))
    session, records = trained(last)
    assert run(live)["loss"] == float32([record.loss for record in records])
    live.select("Twin", "none")
    live.becomes(lambda: curve(live)["trial"], [])
    live.becomes(lambda: output(live), [])
    expect(live.page.get_by_text("━━ twin")).not_to_be_visible()
    live.step_to(last + 1)
    live.becomes(lambda: run(live)["loss"][-1:], float32([session.step().loss]))
    assert curve(live)["trial"] == []
