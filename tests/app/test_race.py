"""The Race page without a browser: what is asked for, what is drawn, and the race behind it."""

from __future__ import annotations

import csv
import dataclasses
import io
import multiprocessing
import re
import time

import numpy as np
import pytest
from app_kit import Clock, until
from bokeh.document import Document

from app import lanes, race_tables, url
from app.attention import Attention
from app.pages import entries
from app.pages.entries import Asked, Entries
from app.pages.race import RacePage
from app.pages.race_board import status
from app.pages.register import PAGES, Visit
from app.racer import Heat, Racer, Track
from app.theme import DARK, LIGHT
from app.views import race_curves, race_rows, ranking
from pcmsim.errors import PCMLabError
from training import export, racing
from training.jobs import Point, perform
from training.presets import PRESETS
from training.race import BINS, Entry, LaneReport, Race, entrants
from training.ranking import rank
from training.store import Store

TINY = {"network.hidden": 12, "network.threshold": 0.02, "task": {"name": "pattern", "inputs": 10, "duration": 0.1}}
NAMES = ("sign", "mixed-precision")


def tiny(*names: str, **about: object) -> Race:
    chosen = {name: config.with_values(TINY) for name, config in entrants(names or NAMES).items()}
    return Race(chosen, **{"seeds": (1, 2), "trials": 40, "every": 20, **about})


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("PCMLAB_STORE", str(tmp_path / "runs"))
    return tmp_path / "runs"


def point(trial: int, loss: float) -> Point:
    return Point(trial, loss, float("nan"), 5.0, 99, 9)


def heat(values: dict[str, list[list[float]]]) -> Heat:
    """A race whose runs have come to these losses, ten trials a point."""
    race = Race(entrants(values), seeds=tuple(range(1, 1 + len(next(iter(values.values()))))), trials=100, every=10)
    reports, tracks = {}, {}
    for lane, runs in values.items():
        for seed, losses in enumerate(runs, 1):
            entry = Entry(lane, seed)
            tracks[entry] = Track()
            for k, loss in enumerate(losses):
                now = point(10 * k + 10, loss)
                report = LaneReport(entry, now.trial, now, now, np.eye(BINS, dtype=np.int64)[seed], 0.25, 0.5, "ok")
                tracks[entry].append(report)
            reports[entry] = report
    standings = rank({lane: {s: run[-1] for s, run in enumerate(runs, 1)} for lane, runs in values.items()}, "loss")
    return Heat(1, race, 1, True, False, reports, tracks, standings)


def test_a_race_on_the_page_comes_to_what_the_library_gives_and_is_kept(store):
    racer, race = Racer(), tiny()
    racer.begin(race)
    until(lambda: racer.latest.over)
    assert not racer.notices
    for entry, job in race.jobs().items():
        mine = racer.latest.reports[entry].outcome
        assert repr(dataclasses.replace(mine, seconds=0)) == repr(dataclasses.replace(perform(job), seconds=0))
        assert list(racer.latest.tracks[entry].column("trial")) == [10, 20, 30, 40]
    assert Store(store).group(racer.latest.name).kind == "race"
    assert len(Store(store).keys()) == 4
    assert [one.number for one in racer.latest.standings] == [2, 2]
    assert not [p for p in multiprocessing.active_children() if p.name == racing.NAME]


def rests(racer: Racer) -> bool:
    """Whether no run of the race moves for half a second: what workers were at when told to pause comes in late."""
    before = racer.latest.done
    time.sleep(0.5)
    return racer.latest.done == before


def test_a_paused_race_rests_and_a_stopped_one_is_over():
    racer = Racer()
    racer.begin(tiny(trials=10**6))
    until(lambda: racer.latest.done > 0)
    racer.pause()
    until(lambda: rests(racer))
    rested = racer.latest.done
    assert (racer.latest.running, racer.latest.over) == (False, False)
    racer.resume()
    until(lambda: racer.latest.done > rested)
    racer.stop()
    assert (racer.latest.running, racer.latest.over) == (False, True)
    until(lambda: not [p for p in multiprocessing.active_children() if p.name == racing.NAME])


def test_a_race_that_ends_as_nobody_foresaw_says_so(store, monkeypatch):
    def fail(racing):
        raise KeyError("x")

    monkeypatch.setattr("app.racer.Racing.__iter__", fail)
    racer = Racer()
    racer.begin(tiny("sign", seeds=(1,), trials=10))
    until(lambda: racer.latest.over)
    assert list(racer.notices) == ["KeyError: 'x'"]
    assert not racer.latest.running


def test_a_race_that_cannot_be_kept_is_run_all_the_same(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PCMLAB_STORE", str(tmp_path / "file"))
    racer = Racer()
    racer.begin(tiny("sign", seeds=(1,), trials=10))
    until(lambda: racer.latest.over)
    assert racer.latest.done == 10 and not racer.latest.name
    [notice] = racer.notices
    assert "not kept" in notice and "cannot be written to" in notice


def test_curves_are_smoothed_means_over_seeds_with_their_extremes():
    shown = heat({"sign": [[1.0, 3.0, 5.0], [3.0, 5.0, 7.0, 9.0]], "stochastic": [[1.0], [2.0]]})
    trial, low, mean, high = race_curves.curve(shown.tracks, "sign", 2)
    assert trial.tolist() == [10, 20, 30]  # as far as both have come
    assert low.tolist() == [1.0, 2.0, 4.0] and high.tolist() == [3.0, 4.0, 6.0] and mean.tolist() == [2.0, 3.0, 5.0]
    columns = race_curves.columns(shown)
    place = lanes.places(shown.race)["sign"]
    assert columns[f"line{place}"]["lane"] == ["sign"] * 3
    assert sum(bool(len(columns[f"line{k}"]["trial"])) for k in range(lanes.MOST)) == 2


def test_a_lane_that_runs_away_does_not_squeeze_the_others():
    shown = heat({"sign": [[0.2, 0.1]], "stochastic": [[0.2, 1e5]]})
    view = race_curves.build(LIGHT)
    view.show(race_curves.columns(shown))
    race_curves.fit(view, shown)
    axis = view.figures["curves"].y_range
    assert axis.start < 0.1 and 0.2 < axis.end < 2.0
    assert view.figures["curves"].x_range.end == 100.0


def test_rows_hold_a_dot_for_each_run_and_a_histogram_for_each_lane():
    shown = heat({"sign": [[1.0], [2.0]], "mixed-precision": [[1.0], [2.0]]})
    columns = race_rows.columns(shown, LIGHT)
    assert columns["sets"]["x"] == pytest.approx([2.0] * 4)  # log10(1 + 99)
    assert columns["sets"]["text"] == ["99"] * 4
    assert columns["saturated"]["x"] == [25.0] * 4 and columns["cosine mean"]["x"] == [0.5, 0.5]
    assert [round(y) for y in columns["rate"]["y"]] == [0, 0, 1, 1]
    ridge = columns["weights"]["y"][0]
    assert len(columns["weights"]["x"][0]) == len(ridge) == 2 * BINS + 2
    assert (ridge < ridge.max()).sum() == 4  # a bin of each of two seeds, two corners each
    assert race_rows.columns(shown, DARK)["weights"]["colour"] != columns["weights"]["colour"]


def test_drawing_makes_no_new_models():
    shown, view = heat({"sign": [[1.0, 0.5]]}), race_rows.build(LIGHT)
    before = set(map(id, view.sources.values())), len(view.figures["sets"].renderers)
    view.show(race_rows.columns(shown, LIGHT))
    race_rows.fit(view, shown)
    assert (set(map(id, view.sources.values())), len(view.figures["sets"].renderers)) == before
    assert view.figures["weights"].yaxis[0].major_label_overrides == {0.0: "Sign"}


def test_the_table_ranks_links_and_names_troubles():
    shown = heat({"sign": [[0.5], [0.6]], "update-ready": [[0.1], [0.2]]})
    bad = dataclasses.replace(shown.reports[Entry("sign", 2)], status="diverged", message="<run away>")
    shown = dataclasses.replace(shown, reports={**shown.reports, bad.entry: bad})
    html = ranking.html(shown, lanes.addresses(shown.race))
    assert html.index("Update ready") < html.index("Sign")
    assert "&lt;run away&gt;" in html and "<run away>" not in html
    assert "Lanes are told apart from 6 seeds on" in html
    assert re.findall(r"<td class=number>(0\.\d+)</td><td class=span>", html) == ["0.15", "0.55"]
    assert html.count('role="img"') == 2 and "href=" in html


@pytest.mark.parametrize("name", ["sign", "mixed-precision", "ideal-4bit"])
def test_a_lane_opens_in_live_as_it_raced(name):
    race = Race(entrants([name]), seeds=(7, 8))
    query = lanes.addresses(race)[name].removeprefix("./?")
    arguments = {key: [value.encode()] for key, _, value in (part.partition("=") for part in query.split("&"))}
    link = url.read(arguments)
    assert link.config == race.lanes[name].with_values({"seed": 7}) and not link.problems


def test_every_lane_has_a_colour_of_its_own_and_a_scheme_keeps_its():
    both = Race(entrants(["ideal-4bit", "mixed-precision", "sign", "stochastic"]))
    places = lanes.places(both)
    assert len(set(places.values())) == 4
    assert places["sign"] == lanes.OWN["sign"] == lanes.places(Race(entrants(["sign"])))["sign"]
    assert len(LIGHT.lanes) == len(DARK.lanes) == lanes.MOST


def test_the_sidebar_asks_for_a_race():
    found = Entries(Asked(lanes=("sign", "ideal-4bit"), seeds=2, trials=90), lambda: None).race()
    assert list(found.lanes) == ["sign", "ideal-4bit"]
    assert (found.seeds, found.trials, found.every, found.metric) == ((1, 2), 90, 30, "loss")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda side: setattr(side.schemes, "value", []), "Lanes: must be from 1 to 8"),
        (lambda side: setattr(side.trials, "value", "many"), "Trials: must be a whole number from 1 to 20000"),
        (lambda side: setattr(side.trials, "value", "99999999999999"), "Trials"),
        (lambda side: setattr(side.trials, "value", "00000000120000000"), "Trials"),
        (lambda side: setattr(side.seeds, "value", 120_000_000), "Seeds: must be a whole number from 1 to 10"),
        (lambda side: setattr(side.seeds, "value", 0), "Seeds"),
        (lambda side: setattr(side.presets, "value", ["/home/pi/own.yaml"]), "unknown lane '/home/pi/own.yaml'"),
    ],
)
def test_what_makes_no_race_is_told(change, text):
    said = []
    side = Entries(Asked(), lambda: said.append(None))
    change(side)
    assert said
    with pytest.raises(PCMLabError, match=text):
        side.race()


def test_an_address_is_read_key_by_key():
    asked = entries.read({"lanes": [b"sign,<b>,digits"], "seeds": [b"99"], "trials": [b"60"], "task": [b"x"]})
    assert (asked.lanes, asked.seeds, asked.trials, asked.task) == (("sign",), 3, 60, "pattern")
    assert len(asked.problems) == 4 and not any("<" in problem for problem in asked.problems)
    assert entries.read({}) == Asked()


@pytest.mark.parametrize("text", [b"00000000120000000", b"120000000", b"1" * 10_000, b"0", b"-1", "\u0663".encode()])
def test_an_address_asks_for_no_more_than_the_page_offers(text):
    asked = entries.read({"seeds": [text], "trials": [text]})
    assert (asked.seeds, asked.trials, len(asked.problems)) == (entries.SEEDS, entries.TRIALS, 2)


def test_tables_hold_what_the_page_shows():
    shown = heat({"sign": [[0.5, 0.4], [0.6, 0.5]], "update-ready": [[0.1], [0.2]]})
    rows = list(csv.DictReader(io.StringIO(export.to_csv(race_tables.curves(shown)).decode())))
    assert [(row["lane"], row["seed"], row["trial"], float(row["loss"])) for row in rows][:3] == [
        ("sign", "1", "10", 0.5), ("sign", "1", "20", 0.4), ("sign", "2", "10", 0.6),
    ]  # fmt: skip
    places = list(csv.DictReader(io.StringIO(export.to_csv(race_tables.ranking(shown)).decode())))
    assert [(row["lane"], float(row["mean"])) for row in places] == [
        ("update-ready", pytest.approx(0.15)), ("sign", pytest.approx(0.45)),
    ]  # fmt: skip


def test_the_page_shows_its_lanes_before_the_first_race_and_says_where_it_stands():
    page = RacePage(Asked(lanes=("sign",), seeds=2, trials=60))
    page.draw(None)
    assert "Sign" in page.board.table.html and "Sign" in page.board.legend.html
    assert "ready" in page.board.strip.html and "0 of 120 trials" in page.board.strip.html
    assert page.play.label == "Start" and page.halt.disabled
    page.entries.seeds.value = 3
    page.draw(None)
    assert "0 of 180 trials" in page.board.strip.html
    page.close()


def test_a_closed_page_races_no_more():
    page = RacePage(Asked(lanes=("sign",), seeds=2, trials=20_000, autoplay=True))
    until(lambda: bool(multiprocessing.active_children()) and page.racer.latest.running)
    page.close()
    until(lambda: not [p for p in multiprocessing.active_children() if p.name == racing.NAME])
    assert page.racer.latest.over


def test_a_race_that_nobody_touches_pauses_and_goes_on_when_told(monkeypatch):
    clock, said = Clock(), []
    monkeypatch.setattr("app.pages.frame.tell", lambda *told, **how: said.append((*told, how)))
    monkeypatch.setattr("app.pages.race.Attention", lambda idle: Attention(idle, clock.monotonic))
    page = RacePage(Asked(lanes=("sign",), seeds=1, trials=20_000), idle=2.0)
    page.stream.start(Document())

    def after(seconds: float) -> bool:
        clock.now += seconds
        page._attend()
        return page.racer.latest.running

    page.begin()
    assert after(0) and after(119)
    page.keyboard.keys.data = {"key": [""], "count": [1]}
    assert after(119) and not said
    assert not after(1) and not page.racer.latest.over
    sentence = "Paused after 2 minutes without a key or a click: nobody seems to be here. Press Resume to go on."
    assert said == [(sentence, {"stay": True})]
    assert not after(1)
    page.toggle()
    assert after(1) and after(118) and not after(2) and len(said) == 2
    page.close()


def test_the_server_says_when_a_race_is_idle():
    [entry] = [one for one in PAGES if one.path == "/race"]
    page = entry.build(Visit(idle=7.5))
    assert page.attention.idle == 7.5
    page.close()


def test_the_strip_knows_how_long_it_takes():
    shown = dataclasses.replace(heat({"sign": [[1.0, 1.0]]}), seconds=4.0)
    assert "5 trials/s" in status(shown) and "16 s left" in status(shown)
    assert "stopped" in status(dataclasses.replace(shown, running=False, over=True))
    assert "paused" in status(dataclasses.replace(shown, running=False))


def test_presets_of_other_tasks_are_not_offered():
    settled, others = lanes.of_task("pattern")
    assert settled == list(entrants()) and "ideal-4bit" in others
    assert not {"digits", "evidence"} & set(others)
    assert all(type(PRESETS[name].config.task) is type(PRESETS["sign"].config.task) for name in others)
