"""The Sweep page without a browser: what is asked for, what is drawn, and the sweep behind it."""

from __future__ import annotations

import csv
import io
import math
import multiprocessing
import statistics
import time
from collections.abc import Callable
from urllib.parse import parse_qs

import numpy as np
import pytest
from app_kit import until

from app import sweep_tables, sweep_text, url
from app.cells import Cells, Look
from app.pages.plan import Plan, found
from app.pages.sweep import SweepPage
from app.pages.sweep_board import key, status
from app.scout import Draft, Scout, Wish, check
from app.sweep.grants import Grants
from app.sweeper import Harvest, Means, Sweeper
from app.theme import DARK, LIGHT
from app.views import sweep_lines, sweep_map, sweep_scale, sweep_table
from pcmsim.errors import FieldError, PCMLabError, UnknownNameError
from pcmsim.foundation import confinement
from training import export
from training.jobs import NAN, perform
from training.pools import NAME, LocalPool
from training.store import Store, row
from training.sweep import Sweep
from training.workers import performed

TEXT = """
name: tiny
set: {network.hidden: 10, task: {name: pattern, inputs: 10, duration: 0.1}}
fields:
  precision.weight_bits: [2, 4]
  device.mismatch.step: [0, 0.2, 0.4]
seeds: [7, 8]
trials: 4
every: 2
"""
THREE = Sweep.from_text(TEXT.replace("fields:", "cases: {slow: {learning.lr_input: 1e-5}, '<b>': {}}\nfields:"))


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("PCMLAB_STORE", str(tmp_path / "runs"))
    return tmp_path / "runs"


def filled(sweep: Sweep, values: Callable[[dict], float], skip: Callable[[dict], bool] = lambda _: False) -> Cells:
    """Cells whose runs have come to these losses."""
    cells = Cells(sweep)
    cells.find(sweep)
    for labels, job in sweep.runs():
        if not skip(labels):
            loss = values(labels)
            numbers = {"loss": loss, "accuracy": NAN, "held_out_loss": NAN, "held_out_accuracy": NAN}
            cells.take({"key": job.key, **numbers, "status": "diverged" if loss > 50 else "ok", "message": "too steep"})
    return cells


def test_each_run_finds_its_cell_and_means_are_over_seeds():
    sweep = THREE
    cells = filled(sweep, lambda at: at["precision.weight_bits"] + at["device.mismatch.step"] * at["seed"])
    assert (cells.number, cells.total, cells.finished, cells.shape) == (12, 24, 24, (2, 2, 3))
    known = cells.statistics("loss")
    for cell in range(cells.number):
        at = cells.labels(cell)
        losses = [at["precision.weight_bits"] + at["device.mismatch.step"] * seed for seed in (7, 8)]
        assert known.mean[cell] == pytest.approx(statistics.mean(losses))
        assert known.sd[cell] == pytest.approx(statistics.stdev(losses))
    assert known.number.tolist() == [2] * 12
    assert np.isnan(cells.statistics("accuracy").mean).all()
    assert cells.statistics("accuracy").number.tolist() == [2] * 12


@pytest.mark.parametrize(
    ("across", "down", "size"),
    [
        ("precision.weight_bits", "device.mismatch.step", (3, 2)),
        ("device.mismatch.step", "precision.weight_bits", (2, 3)),
        ("device.mismatch.step", "case", (2, 3)),
        ("case", "", (1, 2)),
    ],
)
def test_rows_and_columns_are_the_settings_that_are_looked_at(across, down, size):
    cells = Cells(THREE)
    rest = {"case": 1, "precision.weight_bits": 1, "device.mismatch.step": 2}
    plane = cells.plane(Look("loss", across, down, rest))
    assert plane.shape == size
    for (row_at, column), cell in np.ndenumerate(plane):
        labels = cells.labels(cell)
        assert labels.pop(across) == cells.along(across)[column]
        assert not down or labels.pop(down) == cells.along(down)[row_at]
        assert labels == {name: cells.along(name)[rest[name]] for name in labels}


def test_a_sweep_of_nothing_is_one_cell():
    cells = filled(Sweep("plain", seeds=[1, 2, 3]), lambda at: float(at["seed"]))
    assert cells.plane(Look()).tolist() == [[0]]
    assert cells.statistics("loss").mean.tolist() == [2.0]
    shown = sweep_map.columns(cells, Look(), LIGHT)
    assert shown["cells"]["runs"] == ["3 of 3"]


def test_the_map_tells_cells_that_are_done_from_those_to_come():
    sweep = Sweep.from_text(TEXT)
    look = Look("loss", "precision.weight_bits", "device.mismatch.step")
    some = filled(sweep, lambda at: at["seed"] / 10, lambda at: at["seed"] == 8 or at["device.mismatch.step"] == 0.4)
    shown = sweep_map.columns(some, look, LIGHT)
    assert sorted(zip(shown["cells"]["x"], shown["cells"]["y"], strict=True)) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert sorted(zip(shown["pending"]["x"], shown["pending"]["y"], strict=True)) == [(0, 2), (1, 2)]
    assert shown["cells"]["runs"] == ["1 of 2"] * 4 and shown["pending"]["runs"] == ["0 of 2"] * 2
    assert len(shown["partial"]["x"]) == 4
    whole = sweep_map.columns(filled(sweep, lambda at: 1.0), look, LIGHT)
    assert (len(whole["cells"]["x"]), whole["pending"]["x"], whole["partial"]["x"]) == (6, [], [])


def test_the_maps_axes_and_colours_hold_what_is_there():
    sweep = Sweep.from_text(TEXT)
    look = Look("loss", "precision.weight_bits", "device.mismatch.step")
    view = sweep_map.build(LIGHT)
    for values, span in ((lambda at: at["precision.weight_bits"], (2.0, 4.0)), (lambda at: 3.0, (3.0, 3.0))):
        cells = filled(sweep, values)
        view.show(sweep_map.columns(cells, look, LIGHT))
        sweep_map.fit(view, cells, look)
        assert (view.mappers["map"].low, view.mappers["map"].high) == pytest.approx(span, rel=1e-5)
    plot = view.figures["map"]
    assert (plot.x_range.start, plot.x_range.end, plot.y_range.start, plot.y_range.end) == (-0.5, 1.5, 2.5, -0.5)
    assert plot.yaxis[0].major_label_overrides == {0.0: "0", 1.0: "0.2", 2.0: "0.4"}
    assert plot.xaxis[0].axis_label == "precision.weight_bits"
    view.paint(DARK)
    assert view.mappers["map"].palette == DARK.rising


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("palette", [LIGHT, DARK])
def test_numbers_can_be_read_on_every_colour_of_the_scale(palette):
    """At least 4.5 to 1, as WCAG 2.2 (1.4.3) asks of text."""
    found_ratios = []
    for share in np.linspace(0.0, 1.0, 41):
        ink = luminance(sweep_map.ink(float(share), (0.0, 1.0), palette))
        cell = luminance(palette.rising[round(share * 254)])
        found_ratios.append((max(ink, cell) + 0.05) / (min(ink, cell) + 0.05))
    assert min(found_ratios) >= 4.5


def test_lines_and_whiskers_are_means_and_deviations():
    sweep = Sweep.from_text(TEXT)
    cells = filled(
        sweep, lambda at: at["device.mismatch.step"] + at["seed"], lambda at: at["precision.weight_bits"] == 4
    )
    shown = sweep_lines.columns(cells, Look("loss", "device.mismatch.step", "precision.weight_bits"), LIGHT)
    assert [len(ys) for ys in shown["lines"]["ys"]] == [3, 0]
    assert shown["lines"]["ys"][0].tolist() == pytest.approx([7.5, 7.7, 7.9])
    half = [(high - low) / 2 for low, high in zip(shown["whiskers"]["low"], shown["whiskers"]["high"], strict=True)]
    assert half == pytest.approx([math.sqrt(0.5)] * 3)
    assert shown["dots"]["across"] == ["0", "0.2", "0.4"] and set(shown["dots"]["down"]) == {"2"}
    view = sweep_lines.build(LIGHT)
    view.show(shown)
    sweep_lines.fit(view, cells, Look("loss", "device.mismatch.step", "precision.weight_bits"))
    axis = view.figures["lines"].y_range
    assert axis.start <= min(shown["whiskers"]["low"]) and max(shown["whiskers"]["high"]) <= axis.end


def test_values_stand_where_their_size_puts_them():
    assert sweep_scale.places([1, 3, 30]).tolist() == pytest.approx([0.0, math.log10(3), math.log10(30)])
    assert sweep_scale.places([0, 10, 1000]).tolist() == [0, 10, 1000]
    assert sweep_scale.places([True, False]).tolist() == [0, 1]


def test_the_table_names_troubles_and_escapes():
    cells = filled(THREE, lambda at: 99.0 if (at["case"], at["seed"]) == ("<b>", 8) else 1.0)
    text = sweep_table.html(cells, "loss")
    assert text.count("<tr") == 13 and "<b>&lt;b&gt;" in text and "seed 8: too steep" in text
    assert "&lt;b&gt;</td>" in text


def test_addresses_open_the_cells_configurations():
    sweep = Sweep.from_text(TEXT)
    scout = Scout(busy=lambda: True)
    scout.look(Wish(TEXT, "nowhere"))
    until(lambda: scout.latest.cells is not None and all(scout.latest.cells.urls))
    scout.stop()
    for address, (_, job) in zip(scout.latest.cells.urls, sweep.runs(), strict=False):
        asked = {name: [value.encode() for value in values] for name, values in parse_qs(address[3:]).items()}
        link = url.read(asked)
        assert (link.config, link.problems) == (job.config, ())


def test_the_scout_looks_at_the_latest_text_and_says_what_is_wrong(store):
    scout = Scout()
    scout.look(Wish("fields: {network.hiden: [1]}", str(store)))
    until(lambda: bool(scout.latest.problem))
    assert "did you mean 'network.hidden'" in scout.latest.problem
    scout.look(Wish(TEXT, str(store)))
    until(lambda: math.isfinite(scout.latest.seconds))
    assert scout.latest.seconds > 0.0 and not scout.latest.problem
    assert scout.latest.sweep == Sweep.from_text(TEXT)
    assert not store.exists()  # to look makes nothing
    told = found(scout.latest, TEXT, Means(str(store), 2))
    assert "12 runs: 6 cells × 2 seeds" in told and "on 2 workers" in told
    assert "looking" in found(scout.latest, "other", Means(str(store)))
    scout.stop()
    until(lambda: not workers())


def workers() -> list[object]:
    return [process for process in multiprocessing.active_children() if process.name == NAME]


def test_a_sweep_on_the_page_comes_to_what_the_library_gives(store):
    sweeper = Sweeper()
    sweeper.begin(TEXT, Means(str(store), 2))
    until(lambda: sweeper.latest.over)
    harvest, sweep = sweeper.latest, Sweep.from_text(TEXT)
    assert not sweeper.notices and harvest.cells.finished == 12
    losses = {key: perform(job).curve[-1].loss for key, job in ((str(at), job) for at, job in sweep.runs())}
    known = harvest.cells.statistics("loss")
    for cell in range(6):
        at = harvest.cells.labels(cell)
        own = [losses[str({**at, "seed": seed})] for seed in (7, 8)]
        assert known.mean[cell] == pytest.approx(statistics.mean(own), rel=1e-12)
    assert Store(store).group("tiny").kind == "sweep"
    rows = list(csv.DictReader(io.StringIO(export.to_csv(sweep_tables.cells(harvest, "loss")).decode())))
    assert [float(one["mean"]) for one in rows] == pytest.approx(known.mean.tolist())
    assert len(sweep_tables.runs(harvest, "loss")["key"]) == 12
    assert status(harvest)["state"] == "finished"
    until(lambda: not workers())


def test_a_stopped_sweep_keeps_what_is_finished_and_goes_on(store):
    sweeper = Sweeper()
    long = TEXT.replace("trials: 4", "trials: 60")
    sweeper.begin(long, Means(str(store), 1))
    until(lambda: sweeper.latest.cells is not None and sweeper.latest.cells.finished > 0)
    sweeper.stop()
    assert (sweeper.latest.running, sweeper.latest.over) == (False, True)
    until(lambda: not workers())
    kept = len(Store(store).keys())
    assert 0 < kept < 12
    sweeper.begin(long, Means(str(store), 2))
    until(lambda: sweeper.latest.over)
    assert sweeper.latest.began == kept and sweeper.latest.cells.finished == 12


@pytest.mark.parametrize(
    ("text", "means", "said"),
    [
        ("fields: [", {}, "is not valid YAML"),
        (TEXT, {"scheduler": "127.0.0.1:1"}, "127.0.0.1:1"),
        (TEXT + "set: {network.hidden: 4000}", {}, "at most 1,000 hidden neurons"),
        (TEXT, {"folder": "{file}"}, "cannot be written to"),
    ],
)
def test_what_fails_is_told_in_the_librarys_words(text, means, said, tmp_path, monkeypatch):
    monkeypatch.setattr("training.cluster.PATIENCE", 1.0)
    (tmp_path / "file").write_text("")
    text = text.replace("set: {network.hidden: 10, ", "#") if text.endswith("4000}") else text
    about = {name: value.format(file=tmp_path / "file") for name, value in means.items()}
    sweeper = Sweeper()
    sweeper.begin(text, Means(**{"folder": str(tmp_path / "runs"), **about}))
    until(lambda: not sweeper.latest.running)
    until(lambda: bool(sweeper.notices))
    assert said in sweeper.notices[0]


def test_a_failure_that_nobody_foresaw_is_told_too(store, monkeypatch):
    def fail(self, *_):
        raise KeyError("x")

    monkeypatch.setattr(Sweeper, "_do", fail)
    sweeper = Sweeper()
    sweeper.begin(TEXT, Means(str(store)))
    until(lambda: bool(sweeper.notices))
    until(lambda: not sweeper.latest.running)
    assert list(sweeper.notices) == ["KeyError: 'x'"]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("preset: /etc/passwd", UnknownNameError),
        ("cases: {a: {preset: other.yaml}}", FieldError),
        ("fields: {device.preset: [ideal, /tmp/own.json]}", FieldError),
        ("set: {task: {name: csv, spikes: /tmp/a, targets: /tmp/b}}", FieldError),
        ("set: {task: mnist, task.folder: /home}", FieldError),
        ("name: " + "x" * 30_000, FieldError),
    ],
)
def test_strangers_name_no_files(text, error):
    confinement.confine()
    with pytest.raises(error):
        sweep_text.read(text)


DOUBLED = "\n".join(["a0: &a0 [1, 1]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 20))])
"""Of some 400 characters, and with two million entries once it is written out."""


@pytest.mark.parametrize(
    "text", [DOUBLED, TEXT + "cases: {a: &a {device.constants.read_noise: 0.1}, b: {<<: *a}}", "a: &a [*a]"]
)
def test_nobody_uses_aliases(text):
    began = time.thread_time()
    with pytest.raises(PCMLabError, match=r"^sweep: line \d+: the anchor &a0? is not read; expected all written out$"):
        sweep_text.read(text)
    assert time.thread_time() - began < 2.0


@pytest.mark.parametrize(
    ("fields", "cases", "number"),
    [
        ("device.mismatch.step: {from: 0, to: 1, number: 2000}", "", 2000),
        ("device.mismatch.step: {from: 0, to: 1, number: 600}, device.mismatch.g_max: "
         "{from: 0, to: 1, number: 600}", "", 1200),
        ("device.mismatch.step: {from: 0, to: 1, number: 400}", "cases: {a: {}, b: {}, c: {}}", 1200),
    ],
)  # fmt: skip
def test_a_page_checks_no_more_values_than_it_can_at_once(fields, cases, number, monkeypatch):
    monkeypatch.setattr("app.sweep_text.Sweep.from_text", lambda _: pytest.fail("was built"))
    with pytest.raises(FieldError, match=f"at most 1000 values on the page, counted for each case, got {number}$"):
        sweep_text.read(f"fields: {{{fields}}}\n{cases}")


@pytest.mark.parametrize("text", ["[1]", "fields: [1]", "cases: 3\nfields: {}", "fields: {a: }", "fields: {: 1}"])
def test_a_text_that_is_no_sweep_is_told_as_by_the_library(text):
    with pytest.raises(PCMLabError) as here:
        sweep_text.read(text)
    with pytest.raises(PCMLabError) as there:
        Sweep.from_text(text)
    assert str(here.value) == str(there.value)


def test_a_sweep_too_large_for_the_page_is_refused():
    with pytest.raises(PCMLabError, match="at most 10,000 runs, got 20,000: see pcmlab sweep"):
        check(Sweep("large", seeds={"from": 1, "number": 20_000}))


@pytest.mark.parametrize("sweep", [THREE, Sweep.from_text(sweep_text.EXAMPLE), Sweep("grain", metric="accuracy")])
def test_a_sweep_as_text_is_the_same_sweep(sweep):
    again = Sweep.from_text(sweep_text.written(sweep.to_dict()))
    assert [job.key for job in again.jobs()] == [job.key for job in sweep.jobs()]
    assert again.to_dict() == sweep.to_dict()


def test_jobs_that_are_stopped_end_at_once_and_keep_what_is_done(tmp_path):
    kept, jobs = Store(tmp_path / "runs"), [job for _, job in Sweep.from_text(TEXT).runs()]
    done = []
    pool = LocalPool(1)
    for outcome in performed(jobs, kept, pool, lambda: len(done) >= 2):
        done.append(outcome)
    pool.shutdown(cancel_futures=True)
    assert 2 <= len(done) < len(jobs)
    assert {row(outcome)["key"] for outcome in done} <= kept.keys()


def test_the_page_draws_its_example_before_anything_runs_and_opens_earlier_sweeps(store):
    kept = Store(store)
    kept.keep_group("before", "sweep", Sweep.from_text(TEXT).to_dict(), ())
    kept.keep_group("a race", "race", {}, ())
    page = SweepPage(Grants(store=True))
    until(lambda: page.scout.latest.cells is not None and bool(page.scout.latest.earlier))
    page.draw(None)
    page.draw(None)
    assert page.board.map.sources["pending"].data["x"] and page.play.label == "Start"
    assert list(page.plan.earlier.options) == ["–", "before"]
    page.plan.earlier.value = "before"
    until(lambda: page.scout.latest.opened == "before")
    page.draw(None)
    page.draw(None)
    keys = [[job.key for job in Sweep.from_text(text).jobs()] for text in (TEXT, page.plan.text)]
    assert keys[0] == keys[1]
    assert page.board.looking.look() == Look("loss", "precision.weight_bits", "device.mismatch.step", {})
    assert len(page.board.map.sources["pending"].data["x"]) == 6
    page.close()


def test_axes_change_places_and_others_can_be_chosen():
    page = SweepPage()
    page.plan.editor.value = TEXT.replace("fields:", "cases: {slow: {learning.lr_input: 1e-5}, usual: {}}\nfields:")
    until(lambda: page.scout.latest.cells is not None and page.scout.latest.cells.number == 12)
    page.draw(None)
    page.draw(None)
    looking = page.board.looking
    assert looking.look() == Look("loss", "case", "precision.weight_bits", {"device.mismatch.step": 0})
    looking.across.value = "precision.weight_bits"
    assert looking.look() == Look("loss", "precision.weight_bits", "case", {"device.mismatch.step": 0})
    looking.rest.value = looking.rest.options["step 0.4"]
    assert looking.look().rest == {"device.mismatch.step": 2}
    page.close()


def test_unless_the_operator_allows_it_folder_and_scheduler_are_fixed():
    page = SweepPage()
    assert page.plan.folder.disabled and page.plan.scheduler.disabled
    page.close()


GRANTED = [
    (Grants(), "{store}", ""),
    (Grants(paths=True), "elsewhere", ""),
    (Grants(scheduler=True), "{store}", "here:1"),
    (Grants(paths=True, scheduler=True, address="lab:8786"), "elsewhere", "here:1"),
    (Grants(store=True, address="lab:8786"), "{store}", "lab:8786"),
]


@pytest.mark.parametrize(("grants", "folder", "scheduler"), GRANTED)
def test_a_browser_that_sends_what_it_may_not_gets_the_servers_means(grants, folder, scheduler, store, monkeypatch):
    monkeypatch.setattr("app.pages.plan.cores", lambda: 4)
    plan = Plan(lambda: None, lambda _: None, grants)
    assert plan.means().workers == 4
    for workers, used in ((777, 4), (-1, 1), (2, 2)):
        plan.folder.value, plan.workers.value, plan.scheduler.value = "elsewhere", workers, "here:1"
        assert plan.means() == Means(folder.format(store=store), used, scheduler)


def test_the_key_names_few_lines_and_the_ends_of_many():
    assert key(("<", 2), LIGHT).count("lane") == 4 and "&lt;" in key(("<", 2), LIGHT)
    many = key(tuple(range(20)), LIGHT)
    assert "━ 0<" in many and "━ 19<" in many and many.count("━") == 2
    assert not key(("",), LIGHT)


def test_the_strip_tells_how_far_it_is():
    cells = filled(Sweep.from_text(TEXT), lambda at: 1.0, lambda at: at["seed"] == 8)
    told = status(Harvest(running=True, begun=True, cells=cells, began=3, since=time.monotonic() - 6.0, width=2))
    assert told["done"] == "6 of 12 runs" and told["width"] == "2 at a time"
    assert told["time"] == "12 s left"
    assert status(Harvest(begun=True, cells=cells))["state"] == "stopped"
    assert status(Harvest(cells=cells))["state"] == "ready"


def test_a_draft_of_a_bad_text_is_told_without_html():
    told = found(Draft(text="x", problem="<b> is bad"), "x", Means("runs"))
    assert "&lt;b&gt; is bad" in told and 'role="alert"' in told
