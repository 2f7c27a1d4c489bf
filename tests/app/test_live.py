"""The page without a browser: what it builds, what reaches the run, what it says."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future
from types import SimpleNamespace

import numpy as np
import panel as pn
import pytest
from app_kit import until
from bokeh.document import Document
from bokeh.events import DocumentReady
from panel.reactive import Syncable
from panel.util import edit_readonly

from app import url
from app.controls import DEBOUNCE_MS
from app.pages.live import Live
from app.stream import TURNS
from training.presets import PRESETS

LATER = {"classes", "window", "pin0", "pin1", "pin2", "pin3", "twin", "picked", "reference", "ghosts", "names"}
"""Sources that fill when somebody pins, picks, twins, or when the reference has begun."""


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    sentences: list[str] = []
    monkeypatch.setattr(Live, "tell", lambda live, sentence: sentences.append(sentence))
    monkeypatch.setattr(Live, "warn", lambda live, sentence, *_: sentences.append(sentence))
    return sentences


@pytest.fixture
def live(said: list[str]) -> Iterator[Live]:
    live = Live()
    live.sidebar.complete()
    until(lambda: live.runner.latest.snapshot is not None)
    yield live
    live.close()


def test_a_frame_fills_every_source(live: Live) -> None:
    document = Document()
    live.page.get_root(document)
    columns = live.draw(None)
    assert columns == {"config_version": [0], "trial": [0], "run": [1]}
    for name, view in live.board.views.items():
        for key, source in view.sources.items():
            if key not in LATER:
                assert all(len(column) for column in source.data.values()), (name, key)


def test_frames_make_no_new_models(live: Live) -> None:
    document = Document()
    live.page.get_root(document)
    live.draw(None)
    count = len(list(document.models))
    for turn in (None, *range(TURNS)):
        live.runner.step()
        live.draw(turn)
    assert len(list(document.models)) == count


def test_a_closed_tab_trains_no_more_and_a_browser_that_comes_back_finds_the_run_going(live: Live) -> None:
    session = SimpleNamespace(connection_count=1, _subscribed_connections=[], _current_patch_connection=None)
    document = Document()
    document._session_context = lambda: SimpleNamespace(session=session)
    live.attach(document)
    document.callbacks.trigger_event(DocumentReady())
    live.runner.start()
    until(lambda: live.runner.latest.running)
    live._attend()
    assert live.runner.latest.running
    session.connection_count = 0
    live._attend()
    until(lambda: not live.runner.latest.running)
    live._attend()
    session.connection_count = 1
    live._attend()
    until(lambda: live.runner.latest.running)
    live.runner.pause()
    until(lambda: not live.runner.latest.running)
    for count in (0, 1):
        session.connection_count = count
        live._attend()
    time.sleep(0.05)
    assert not live.runner.latest.running


def test_the_page_does_not_follow_the_process_wide_busy_flag(live: Live) -> None:
    seen = []
    live.page.param.watch(lambda change: seen.append(change.new), "busy")
    for busy in (True, False):
        with edit_readonly(pn.state):
            pn.state.busy = busy
    assert seen == []
    assert live.page.busy is False


def test_widgets_answer_quickly(live: Live) -> None:
    assert Syncable._debounce > DEBOUNCE_MS, "Panel's attribute has changed its name or meaning"
    assert all(widget._debounce == DEBOUNCE_MS for widget in live.sidebar._controls.widgets.values())


def test_every_widget_has_a_name_and_a_tooltip(live: Live) -> None:
    for name, widget in live.sidebar._controls.widgets.items():
        assert widget.label, name
        assert len(widget.description) > 20, name


def test_a_live_setting_reaches_the_run(live: Live, said: list[str]) -> None:
    live.settings.threshold = 0.3
    until(lambda: live.runner.latest.config_version == 1)
    assert live.runner.latest.config.network.threshold == 0.3
    assert live.runner.latest.run == 1
    assert said == []


def test_a_structural_setting_restarts_and_says_so(live: Live, said: list[str]) -> None:
    live.settings.seed = 7
    until(lambda: live.runner.latest.run == 2)
    assert live.runner.latest.config.seed == 7
    assert said == ["New run: seed changed."]


def test_settings_that_cannot_be_are_refused_and_go_back(live: Live, said: list[str]) -> None:
    live.settings.update_interval = 0.5
    assert "at least the trial's duration" in said[0]
    assert live.settings.update_interval == 38.6
    assert live.runner.latest.config_version == 0


def test_a_seed_that_is_none_is_refused_in_words(live: Live, said: list[str]) -> None:
    widget = live.sidebar._controls.widgets["seed"]
    for nonsense in ("many", "-3", "1.5", ""):
        widget.value = nonsense
        assert widget.value == "42"
    assert all("is not" in sentence or "seed" in sentence.lower() for sentence in said)
    assert live.runner.latest.run == 1


def test_presets_load_all_controls(live: Live, said: list[str]) -> None:
    live.header.preset.value = "float32"
    until(lambda: live.runner.latest.run == 2)
    assert live.settings.scheme == "float32"
    assert live.sidebar._controls.widgets["write_noise"].disabled
    live.draw(None)
    assert all(words.visible for words in live.board.covers)
    assert np.isfinite(live.board.views["crossbar"].sources["weights"].data["image"][0]).all()


def test_the_preset_list_tells_of_changes_and_takes_the_same_preset_again(live: Live, said: list[str]) -> None:
    listed = live.header.preset
    live.settings.write_noise = 2.0
    assert (listed.value, listed.label) == ("mixed-precision *", "Preset, changed")
    assert listed.options == ["mixed-precision *", *PRESETS]
    live.settings.write_noise = 1.0
    assert (listed.value, listed.label, listed.options) == ("mixed-precision", "Preset", list(PRESETS))
    live.settings.threshold = 0.3
    until(lambda: live.runner.latest.config_version == 3)
    assert (live.runner.latest.run, listed.value) == (1, "mixed-precision *")
    listed.value = "mixed-precision"
    until(lambda: live.runner.latest.run == 2)
    assert live.runner.latest.config == PRESETS["mixed-precision"].config
    assert (listed.value, listed.label, listed.options) == ("mixed-precision", "Preset", list(PRESETS))
    live.begin(PRESETS["sign"].config)
    until(lambda: live.runner.latest.run == 3)
    live.draw(None)
    assert listed.value == "mixed-precision *"


@pytest.mark.parametrize("sent", ["sign *", "/etc/passwd", None])
def test_a_preset_that_is_not_offered_begins_nothing(live: Live, said: list[str], sent: str | None) -> None:
    live.header.preset.value = sent
    assert (live.preset, live._version, said) == ("mixed-precision", 0, [])


def test_the_preset_list_follows_what_the_run_refused(live: Live, said: list[str]) -> None:
    live.settings.hidden = 4096
    assert live.header.preset.value == "mixed-precision"
    assert len(said) == 1


def paired(live: Live, chosen: str) -> tuple[str, str]:
    """What the list of twins shows, and the run has, once it is answered."""
    live.sidebar.twin.value = chosen
    until(lambda: not live.requests.pairing)
    live.draw(None)
    return live.sidebar.twin.value, live.runner.latest.twin.name


def test_the_twin_list_follows_the_run(live: Live, said: list[str]) -> None:
    assert paired(live, "drift") == ("drift", "drift")
    live.runner._process.kill()
    until(lambda: not live.runner.alive)
    live.reset()
    until(lambda: live.runner.latest.run == 2)
    live.draw(None)
    assert (live.sidebar.twin.value, live.runner.latest.twin) == ("", None)
    assert paired(live, "drift") == ("drift", "drift")
    live.reset()
    until(lambda: live.runner.latest.run == 3)
    live.draw(None)
    assert (live.sidebar.twin.value, live.runner.latest.twin.name) == ("drift", "drift")


def test_a_twin_that_is_refused_is_not_listed(live: Live, said: list[str]) -> None:
    live.sidebar.twin.options = {**live.sidebar.twin.options, "without gravity": "gravity"}
    assert paired(live, "read-noise") == ("read-noise", "read-noise")
    assert paired(live, "gravity") == ("read-noise", "read-noise")
    until(lambda: live.runner.notices or said)
    live.draw(None)
    assert "gravity" in said[0]


def test_the_twin_list_stays_while_a_twin_is_still_to_come(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    coming: Future[None] = Future()
    monkeypatch.setattr(live.runner, "ask", lambda action: coming)
    live.sidebar.twin.value = "drift"
    live.draw(None)
    assert live.sidebar.twin.value == "drift"
    coming.set_result(None)
    live.draw(None)
    assert live.sidebar.twin.value == ""


def test_a_refused_change_is_told_and_controls_go_back(
    live: Live, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.pages.live.restart_fields", lambda old, new: ())
    live.settings.seed = 9
    until(lambda: live.runner.latest.config_version == 1)
    live.draw(None)
    assert "seed: changes only with a new run" in said[0]
    assert live.settings.seed == 42
    live.settings.threshold = 0.3
    until(lambda: live.runner.latest.config_version == 2)
    assert live.runner.latest.config.network.threshold == 0.3


def test_a_notice_leaves_a_change_that_is_not_answered_yet(live: Live, said: list[str]) -> None:
    before = live.runner.latest
    live.settings.write_noise = 2.0
    live.runner.notices.append("the chip is back; the run goes on")
    live._report(before)
    assert (said, live.settings.write_noise) == (["the chip is back; the run goes on"], 2.0)
    live.settings.threshold = 0.3
    until(lambda: live.runner.latest.config_version == 2)
    live.draw(None)
    config = live.runner.latest.config
    assert config == live.settings.config()
    assert (config.device.model(None).write_noise, config.network.threshold) == (2.0, 0.3)


def test_a_run_that_is_too_large_for_the_page_is_refused_of_a_control_too(live: Live, said: list[str]) -> None:
    live.settings.hidden = 4096
    assert said == ["a run on the page may have at most 1,000 hidden neurons, got 4,096"]
    assert (live.settings.hidden, live._version) == (100, 0)


def test_dark_mode_recolours_the_plots(live: Live) -> None:
    before = live.board.views["activity"].figures["output"].xaxis[0].major_label_text_color
    live.page.dark_theme = True
    assert live.board.views["activity"].figures["output"].xaxis[0].major_label_text_color != before
    live.page.dark_theme = False


def test_closing_ends_the_worker(live: Live) -> None:
    live.close()
    until(lambda: not live.runner.alive)


@pytest.mark.parametrize(("asked", "problem"), [("sign", ""), ("", ""), ("best", "unknown preset 'best'")])
def test_the_preset_in_the_address(asked: str, problem: str) -> None:
    live = Live(url.read({"preset": [asked.encode()]}))
    live.close()
    assert live.header.preset.value == (asked if asked and not problem else url.DEFAULT_PRESET)
    assert len(live._problems) == bool(problem)
    assert problem in " ".join(live._problems)
