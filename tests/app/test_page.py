"""A whole page as the server builds it: models, sources, keys, and its end."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import panel as pn
import pytest
from app_kit import until
from bokeh.document import Document
from bokeh.events import DocumentReady

from app import url
from app.pages.header import TEMPOS
from app.pages.live import Live


@pytest.fixture
def document() -> Document:
    return Document()


@pytest.fixture
def live(document: Document, monkeypatch: pytest.MonkeyPatch) -> Iterator[Live]:
    monkeypatch.setattr(Live, "tell", lambda live, sentence: None)
    monkeypatch.setattr(Live, "warn", lambda live, sentence, *_: None)
    live = Live()
    live.attach(document)
    live.page.get_root(document)
    until(lambda: live.runner.latest.snapshot is not None)
    live.stream.tick()
    session = SimpleNamespace(_subscribed_connections=[], _current_patch_connection=None)
    context = SimpleNamespace(session=session, server_context=None)
    document._session_context = lambda: context
    document.callbacks.trigger_event(DocumentReady())
    yield live
    live.runner.stop(timeout=20.0)


def paint(live: Live) -> None:
    """Draw what is new, as the browser would ask for it."""
    live.stream.gate.acknowledge(live.stream.gate.sent)
    live.stream.tick()


def test_frames_of_a_running_run_make_no_models(live: Live, document: Document) -> None:
    paint(live)
    models, sent = len(list(document.models)), live.stream.gate.sent
    live.runner.start()
    while live.stream.gate.sent < sent + 12:
        version = live.runner.latest.version
        until(lambda version=version: live.runner.latest.version > version)
        paint(live)
    live.runner.pause()
    until(lambda: not live.runner.latest.running)
    paint(live)
    assert len(list(document.models)) == models


def test_what_the_page_shows_is_what_the_run_holds(live: Live) -> None:
    for expected in (1, 2, 3):
        live.runner.step()
        until(lambda expected=expected: live.runner.latest.snapshot_of == (1, expected, 0))
        live.draw(None)
        shot, sources = live.runner.latest, {n: v.sources for n, v in live.board.views.items()}
        assert np.array_equal(sources["crossbar"]["weights"].data["image"][0], shot.snapshot["recurrent"].weights.T)
        assert sources["activity"]["output"].data["output"] == pytest.approx(
            shot.record.output[:: max(1, len(shot.record.output) // 500), 0]
        )
        curve = live.board.progress.views["learning"].sources["curve"].data
        assert curve["trial"].tolist() == list(range(expected + 1))
        assert f"trial {expected}" in live.board.status.html
        assert f"trial {expected} ·" in live.board.activity_head.html


def test_a_paused_page_sends_nothing(live: Live) -> None:
    for _ in range(3):
        paint(live)
    sent, busy = live.stream.gate.sent, []
    watcher = pn.state.param.watch(lambda change: busy.append(change.new), "busy")
    for _ in range(10):
        paint(live)
    pn.state.param.unwatch(watcher)
    assert live.stream.gate.sent == sent
    assert busy == []


def test_another_layer_is_shown_at_once(live: Live) -> None:
    live.draw(None)
    for name in ("input", "output", "recurrent"):
        live.board.layer.value = name
        shown = live.board.views["crossbar"].sources["weights"].data["image"][0]
        assert np.array_equal(shown, live.runner.latest.snapshot[name].weights.T)


def test_keys_play_pause_and_step(live: Live) -> None:
    press = [{"key": [key], "count": [count]} for count, key in enumerate(["ArrowRight", " ", " "], start=1)]
    live.keyboard.keys.data = press[0]
    until(lambda: live.runner.latest.record.trial == 1)
    live.keyboard.keys.data = press[1]
    until(lambda: live.runner.latest.running)
    live.draw(None)
    assert (live.header.play.label, live.header.play.icon) == ("Pause", "pause")
    live.keyboard.keys.data = press[2]
    until(lambda: not live.runner.latest.running)
    live.draw(None)
    assert (live.header.play.label, live.header.play.icon) == ("Play", "play_arrow")


def test_reset_begins_anew_with_the_settings_that_are_shown(live: Live) -> None:
    live.settings.threshold = 0.3
    until(lambda: live.runner.latest.config_version == 1)
    live.reset()
    until(lambda: live.runner.latest.run == 2)
    assert live.runner.latest.config == live.settings.config()
    assert live.runner.latest.config.network.threshold == 0.3
    assert live.runner.latest.record.trial == 0


def test_every_tempo_is_a_limit_of_the_run(live: Live) -> None:
    for tempo in TEMPOS.values():
        live.header.tempo.value = tempo
        assert live.runner._limit == tempo


def test_the_digital_scheme_covers_the_plots_of_devices_and_uncovers_them(live: Live) -> None:
    for scheme, covered in (("float32", True), ("mixed-precision", False)):
        run = live.runner.latest.run
        live.settings.scheme = scheme
        until(lambda run=run: live.runner.latest.run == run + 1)
        live.draw(None)
        assert [words.visible for words in live.board.covers] == [covered] * 3
        assert live.board.views["conductance"].sources["histogram"].data["plus"].any() == (not covered)
        assert (len(live.board.views["drift"].sources["lines"].data["time"]) == 0) == covered


def test_the_end_of_the_session_ends_the_worker(live: Live, document: Document) -> None:
    (ended,) = document.callbacks.session_destroyed_callbacks
    ended(None)
    until(lambda: not live.runner.alive)


def test_two_pages_do_not_know_of_each_other(live: Live) -> None:
    other = Live(url.read({"preset": [b"sign"]}))
    try:
        until(lambda: other.runner.latest.record is not None)
        other.settings.threshold = 0.9
        until(lambda: other.runner.latest.config_version == 1)
        assert live.settings.threshold != 0.9
        assert live.runner.latest.config_version == 0
        assert live.settings.scheme == "mixed-precision"
    finally:
        other.runner.stop(timeout=20.0)


def test_autoplay_trains_at_once() -> None:
    live = Live(url.read({"autoplay": [b"1"]}))
    try:
        until(lambda: live.runner.latest.running and live.runner.latest.record.trial > 2)
    finally:
        live.runner.stop(timeout=20.0)
    assert not live.runner.alive
