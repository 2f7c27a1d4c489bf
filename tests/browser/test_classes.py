"""A classifier on the page: what it decides is what the library's session decides; data of one's own."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from browser_kit import WAIT, Live
from playwright.sync_api import expect

from app.pages.progress import CALM
from training.presets import PRESETS
from training.records import TrialRecord
from training.session import Session

pytestmark = pytest.mark.browser

TRIALS = 12
SPIKES = "sample,time,channel\n" + "".join(f"{k},{0.01 + 0.02 * (k % 2)},{k % 2}\n" for k in range(20))
TARGETS = "sample,label\n" + "".join(f"{k},{'ab'[k % 2]}\n" for k in range(20))


def records(preset: str, trials: int = TRIALS) -> list[TrialRecord]:
    return list(Session(PRESETS[preset].config).run(trials))


@pytest.fixture
def digits(stay: Any) -> Live:
    """A page on the digits, stepped."""
    live: Live = stay("?preset=digits")
    live.step_to(TRIALS - 1)
    return live


def captions(live: Live, row: int) -> list[str]:
    return live.page.locator(".gallery > div").nth(row).locator("figcaption").all_inner_texts()


def open_data(live: Live) -> Any:
    live.button("Data of your own").click()
    dialog = live.page.get_by_role("dialog", name="Data of your own")
    expect(dialog).to_be_visible(timeout=WAIT)
    dialog.get_by_role("button", name="Spikes of your own").click()
    return dialog


def bring(live: Live, files: dict[str, str]) -> None:
    """Choose files for a table of spikes and begin."""
    dialog = open_data(live)
    payload = [{"name": n, "mimeType": "text/csv", "buffer": text.encode()} for n, text in files.items()]
    dialog.locator("input[type=file]").set_input_files(payload)
    expect(dialog.get_by_text("Uploaded")).to_be_visible(timeout=WAIT)
    dialog.get_by_role("button", name="Check and train").click()


def test_accuracy_is_the_share_of_right_decisions_and_chance_is_marked(digits: Live) -> None:
    right = [record.correct for record in records("digits")]
    weights = np.exp(-np.arange(TRIALS - 1, -1, -1) / CALM)

    def read() -> list[float]:
        shown = digits.drawn("Line", "trial", "correct", "smooth")
        return [round(shown[0]["smooth"][-1], 5)] if shown and len(shown[0]["smooth"]) == TRIALS else []

    digits.becomes(read, [round(float(np.float32(np.average(right, weights=weights))), 5)])
    [chance] = [line for line in digits.drawn("Line", "trial", "baseline") if line["baseline"][:1] == [0.1]]
    assert chance["baseline"] == [0.1, 0.1]


def test_both_accuracies_are_read_whole_on_a_laptop_too(digits: Live) -> None:
    whole = r"^(━ )?\d+% (━ unseen )?(\d+%|–)$"
    for size in ({"width": 1280, "height": 720}, {"width": 1440, "height": 900}):
        digits.page.set_viewport_size(size)
        told = digits.page.locator(".head .note").filter(has_text="unseen")
        digits.becomes(lambda told=told: told.evaluate("(el) => el.scrollWidth <= el.clientWidth"), True)
        expect(told).to_have_text(re.compile(whole), use_inner_text=True)


def test_evidence_of_each_class_is_drawn_and_the_decision_told(digits: Live) -> None:
    last = records("digits")[-1]

    def read() -> tuple[int, list[float]]:
        [lines] = digits.drawn("MultiLine", "times", "values", "colour", "width", "number")
        width = lines["width"]
        return width.index(max(width)) if width else -1, len(width)

    digits.becomes(read, (last.label, 10))
    answer = f"{last.label} → {last.decision} {'✓' if last.correct else '✗'}"
    expect(digits.page.get_by_text(answer, exact=True).first).to_be_visible(timeout=WAIT)


def test_confusion_is_of_samples_held_out_or_of_all_trials(digits: Live) -> None:
    digits.select("Learning view", "Confusion")
    told = digits.page.get_by_text(f"latest {TRIALS} trials").or_(digits.page.get_by_text("samples held out"))
    expect(told).to_be_visible(timeout=WAIT)
    number = int(str(told.inner_text()).split("latest ")[1].split()[0])

    def shares() -> float:
        texts = digits.drawn("Text", "x", "y", "text", "colour")[0]
        return sum(float(text) for text in texts["text"]) / len({*texts["y"]}) if texts["y"] else 0.0

    digits.becomes(lambda: shares() == pytest.approx(100.0, abs=2.0), True)
    assert number >= 1


def test_examples_show_right_class_and_answer_of_the_latest_trials(digits: Live) -> None:
    digits.select("Learning view", "Examples")
    done = records("digits")
    told = [f"{record.label} → {record.decision}" for record in reversed(done)]
    wrong = [text for text, record in zip(told, reversed(done), strict=True) if not record.correct]
    digits.becomes(lambda: captions(digits, 0), told[:6])
    digits.becomes(lambda: captions(digits, 1), wrong[:6])
    assert digits.page.locator(".gallery .ink").count() == 2 * (6 + len(wrong[:6]))


def test_regression_has_its_loss_alone(visit: Any) -> None:
    live = visit("?preset=evidence")
    live.step_to(TRIALS - 1)
    box = live.page.get_by_role("combobox", name="Learning view")
    expect(box).to_be_visible(timeout=WAIT)
    live.select("Preset", "float32")
    live.wait("run === 2")
    expect(box).to_be_hidden(timeout=WAIT)


def test_spikes_of_ones_own_are_learned(visit: Any) -> None:
    live = visit()
    bring(live, {"spikes.csv": SPIKES, "targets.csv": TARGETS})
    live.wait("run === 2")
    live.step_to(3)
    expect(live.page.get_by_text("━ a").first).to_be_visible(timeout=WAIT)


def test_a_bad_file_is_told_and_the_run_lives_on(visit: Any) -> None:
    live = visit()
    bring(live, {"spikes.csv": SPIKES.replace("0.01", "-1"), "targets.csv": TARGETS})
    live.says("spikes.csv")
    live.step_to(2)
    assert live.frame("run") == 1
    expect(live.status("seed")).to_have_text("seed 42")
