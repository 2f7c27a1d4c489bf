"""The views of a classifier: accuracy, confusion, examples, evidence."""

from __future__ import annotations

import base64
import io
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.exam import Example, Scores
from app.history import Curve
from app.theme import DARK, LIGHT, palette
from app.views import accuracy, activity, confusion, gallery, pixels
from app.views.ghosts import Ghost, smoothed
from training.presets import PRESETS
from training.session import Session
from training.spikes import from_raster

CONFUSION = np.array([[8, 2, 0], [0, 5, 5], [0, 0, 0]])


def scores(**changes: Any) -> Scores:
    facts: dict[str, Any] = {
        "names": ("a", "b", "<c>"), "channels": 4, "accuracy": 0.65, "held_accuracy": float("nan"),
        "confusion": CONFUSION, "held_confusion": np.zeros((3, 3), np.int64), "held_out": True,
        "latest": (), "mistakes": (),
    }  # fmt: skip
    return Scores(**{**facts, **changes})


def example(label: int, decision: int, image: np.ndarray | None = None) -> Example:
    raster = np.zeros((10, 4), bool)
    raster[2, 1] = True
    return Example(7, from_raster(raster), image, label, decision)


def curve(correct: list[float], held: float = 0.5) -> Curve:
    made = Curve()
    for trial, right in enumerate(correct):
        made.append(SimpleNamespace(trial=trial, loss=1.0, baseline=2.0, rate=3.0, correct=right), held)
    return made


def test_confusion_shows_shares_of_each_right_class() -> None:
    shown = confusion.columns(scores(), LIGHT)
    assert shown["cells"]["image"][0] == pytest.approx(np.array([[0.8, 0.2, 0], [0, 0.5, 0.5], [0, 0, 0]]))
    texts = shown["texts"]
    assert dict(zip(zip(texts["y"], texts["x"], strict=True), texts["text"], strict=True)) == {
        (0.5, 0.5): "80", (0.5, 1.5): "20", (1.5, 1.5): "50", (1.5, 2.5): "50",
    }  # fmt: skip


def test_confusion_prefers_samples_held_out() -> None:
    held = np.diag([1, 2, 3])
    shown = confusion.columns(scores(held_confusion=held), LIGHT)
    assert np.array_equal(shown["cells"]["image"][0], np.eye(3))
    assert confusion.source_of(scores(held_confusion=held)) == "latest 6 samples held out"
    assert confusion.source_of(scores()) == "latest 20 trials"


@pytest.mark.parametrize("colours", [LIGHT, DARK])
def test_words_in_strong_cells_can_be_read(colours: Any) -> None:
    texts = confusion.columns(scores(), colours)["texts"]
    by_text = dict(zip(texts["text"], texts["colour"], strict=True))
    assert by_text["80"] == colours.surface
    assert by_text["20"] == colours.text


def test_confusion_names_the_classes_on_both_axes() -> None:
    view = confusion.build(LIGHT)
    view.show(confusion.columns(scores(), LIGHT))
    confusion.fit(view, scores())
    for axis in view.figures["confusion"].axis:
        assert dict(axis.major_label_overrides) == {0.5: "a", 1.5: "b", 2.5: "<c>"}


def test_many_classes_have_no_words_in_their_cells() -> None:
    many = scores(names=tuple(map(str, range(20))), confusion=np.eye(20, dtype=int))
    assert confusion.columns(many, LIGHT)["texts"]["text"] == []


def test_accuracy_is_the_smoothed_share_of_right_decisions() -> None:
    table = smoothed(curve([1.0, 0.0, 1.0, 1.0]).columns(), 2.0, "correct")
    shown = accuracy.columns(table, 4)
    weights = np.exp(-np.arange(3, -1, -1) / 2.0)
    assert shown["tip"]["smooth"][0] == pytest.approx(np.average([1.0, 0.0, 1.0, 1.0], weights=weights))
    assert shown["baseline"]["baseline"] == [0.25, 0.25]
    assert shown["held"]["held"].tolist() == [0.5] * 4


def test_accuracy_leaves_out_what_is_not_known() -> None:
    table = smoothed(curve([1.0, 0.0], float("nan")).columns(), 2.0, "correct")
    regression = Ghost("pinned", {**table, "smooth": np.array([np.nan, np.nan])}, "pin")
    shown = accuracy.columns(table, 2, [regression])
    assert len(shown["held"]["held"]) == 0
    assert shown["ghosts"]["label"] == []
    view = accuracy.build(palette(dark=False))
    view.show(shown)
    accuracy.fit(view, table)


def test_a_thinned_curve_keeps_the_share_of_right_decisions() -> None:
    right = np.random.default_rng(2).random(5000) < 0.7
    made = Curve(capacity=64)
    for trial, correct in enumerate(right):
        made.append(type("Record", (), {"trial": trial, "loss": 1.0, "baseline": 1.0, "rate": 1.0, "correct": correct}))
    table = smoothed(made.columns(), 2000.0, "correct")
    assert table["smooth"][-1] == pytest.approx(0.7, abs=0.03)


def test_an_example_shows_its_image_in_ink() -> None:
    image = np.array([[0.0, 1.0], [0.5, 0.25]])
    picture = Image.open(io.BytesIO(base64.b64decode(gallery.ink(image).split(",")[1])))
    assert np.asarray(picture)[..., 1].tolist() == [[0, 255], [128, 64]]


def test_examples_say_what_was_taken_for_what() -> None:
    text = gallery.html(scores(latest=(example(0, 0), example(1, 2)), mistakes=(example(1, 2),)))
    assert text.count("<figure") == 3
    assert text.count('class="right"') == 1
    assert "b → &lt;c&gt;" in text
    assert "none yet" in gallery.html(scores())


def test_spikes_are_drawn_from_the_first_channel_up() -> None:
    image = gallery.spikes_image(example(0, 0).inputs, 4)
    assert image.shape == (4, 10)
    assert np.argwhere(image).tolist() == [[2, 2]]


@pytest.mark.parametrize("preset", ["digits", "evidence"])
def test_evidence_is_one_line_per_class_and_the_right_one_is_broad(preset: str) -> None:
    config = PRESETS[preset].config
    session = Session(config)
    [record] = session.run(1)
    shown = activity.columns(record, config, LIGHT)
    lines = shown["classes"]
    assert len(lines["values"]) == record.output.shape[1] == len(session.sampler.classes)
    assert int(np.argmax(lines["width"])) == record.label
    thin = max(1, len(record.output) // pixels.COLUMNS)
    assert np.array_equal(lines["values"][1], record.output[::thin, 1].astype(np.float32))
    dt = config.network.dt
    assert (shown["window"]["left"], shown["window"]["right"]) == ([record.window[0] * dt], [record.window[1] * dt])
    assert len(shown["output"]["time"]) == 0


def test_few_classes_are_named_beside_their_colour() -> None:
    config = PRESETS["evidence"].config
    [record] = Session(config).run(1)
    key = activity.key(record, ("left", "right"), LIGHT)
    assert "━ left" in key
    assert key.endswith("✓" if record.decision == record.label else "✗")
    assert "━" not in activity.key(record, tuple(map(str, range(10))), LIGHT)
