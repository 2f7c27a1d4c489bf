"""Ghosts: smoothing against the history's own and against plain sums, lines and names where they belong."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from app.history import SMOOTHING, Curve, Table
from app.theme import DARK, LIGHT
from app.views import ghosts, learning
from app.views.learning import Ghost, smoothed
from pcmsim.errors import FieldError, UnknownNameError


def recorded(losses: np.ndarray, capacity: int = 2048) -> Table:
    curve = Curve(capacity)
    for trial, loss in enumerate(losses):
        curve.append(SimpleNamespace(trial=trial, loss=loss, baseline=0.3, rate=1.0, correct=np.nan))
    return curve.columns()


def losses(count: int) -> np.ndarray:
    return np.random.default_rng(count).lognormal(-1.5, 0.8, count)


def falling(last: float, trials: int = 40) -> Table:
    loss = np.geomspace(0.5, last, trials)
    return {"trial": np.arange(trials, dtype=float), "loss": loss, "smooth": loss, "baseline": np.full(trials, 0.3)}


def test_at_the_historys_own_smoothing_nothing_changes() -> None:
    table = recorded(losses(700))
    assert smoothed(table, SMOOTHING)["smooth"] == pytest.approx(table["smooth"], rel=1e-9)


@pytest.mark.parametrize("trials", [1.0, 7.0, 200.0])
def test_a_loss_weighs_exponentially_less_with_every_trial(trials: float) -> None:
    table = recorded(losses(120))
    for place in (0, 1, 50, 119):
        weights = np.exp(-(place - np.arange(place + 1)) / trials)
        expected = np.average(table["loss"][: place + 1], weights=weights)
        assert smoothed(table, trials)["smooth"][place] == pytest.approx(expected)


@pytest.mark.parametrize("capacity", [16, 50])
def test_a_thinned_curve_is_smoothed_as_if_each_loss_had_held_since_the_row_before(capacity: int) -> None:
    thinned = recorded(losses(333), capacity)
    gaps = np.diff(thinned["trial"]).astype(int)
    assert gaps.max() > 1
    held = recorded(np.repeat(thinned["loss"], [1, *gaps]))
    places = thinned["trial"].astype(int)
    assert smoothed(thinned, 20.0)["smooth"] == pytest.approx(smoothed(held, 20.0)["smooth"][places])


def test_smoothing_leaves_its_argument_and_bears_an_empty_one() -> None:
    table = recorded(losses(20))
    before = table["smooth"].copy()
    assert smoothed(table, 3.0) is not table
    assert np.array_equal(table["smooth"], before)
    empty = {name: np.empty(0) for name in table}
    assert smoothed(empty, 30.0)["smooth"].size == 0


def test_a_ghost_is_smoothed_with_its_table() -> None:
    ghost = Ghost("a", recorded(losses(50)), "pin")
    assert np.array_equal(ghost.smoothed(5.0).table["smooth"], smoothed(ghost.table, 5.0)["smooth"])


def test_each_ghost_has_a_line_of_its_own_and_the_others_are_empty() -> None:
    every = [Ghost("a", falling(0.1), "pin"), Ghost("b", falling(0.2), "reference"), Ghost("c", falling(0.3), "pin")]
    shown = learning.columns(falling(0.05), every)
    assert shown["pin0"]["smooth"][-1] == pytest.approx(0.1)
    assert shown["pin1"]["smooth"][-1] == pytest.approx(0.3)
    assert shown["reference"]["smooth"][-1] == pytest.approx(0.2)
    for slot in ("pin2", "pin3", "twin"):
        assert shown[slot] == {"trial": [], "smooth": []}
    assert [ghosts.SLOTS[slot] for slot in shown["ghosts"]["slot"]] == ["pin0", "reference", "pin1"]
    assert shown["ghosts"]["label"] == ["a", "b", "c"]


def test_an_unknown_kind_and_one_ghost_too_many_are_refused_in_words() -> None:
    with pytest.raises(UnknownNameError, match="unknown kind of ghost 'pinned' .*known: pin, reference, twin"):
        ghosts.columns([Ghost("a", falling(0.1), "pinned")])
    with pytest.raises(FieldError, match="Ghost.kind: must be 'twin' for at most 1 ghosts, got 'second'"):
        ghosts.columns([Ghost("first", falling(0.1), "twin"), Ghost("second", falling(0.1), "twin")])


def named(view) -> dict[str, list]:
    """The names that say something: the rest of the texts are empty."""
    every = view.sources["names"].data
    kept = [place for place, text in enumerate(every["text"]) if text]
    return {name: [values[place] for place in kept] for name, values in every.items()}


def shown(every: list[Ghost], table: Table) -> dict[str, list]:
    view = learning.build(LIGHT)
    view.show(learning.columns(table, every))
    learning.fit(view, table)
    return {"view": view, **named(view)}


def test_names_stand_at_the_last_visible_point_of_their_lines() -> None:
    names = shown(
        [Ghost("long", falling(1e-4, 500), "reference"), Ghost("short", falling(0.4, 10), "pin")], falling(0.1)
    )
    end = names["view"].figures["curve"].x_range.end
    assert names["text"] == ["long", "short"]
    assert names["x"] == [end, 9.0]
    assert names["align"] == ["right", "left"]
    assert names["y"][0] == pytest.approx(falling(1e-4, 500)["smooth"][int(end)], rel=1e-5)
    assert names["y"][1] == pytest.approx(0.4, rel=1e-5)


def test_the_axis_holds_what_the_ghosts_do_in_the_trials_shown_and_no_more() -> None:
    names = shown([Ghost("long", falling(1e-5, 5000), "reference")], falling(0.1))
    span = names["view"].figures["curve"].y_range
    visible = falling(1e-5, 5000)["smooth"][:51]
    assert 1e-3 < span.start <= visible.min() < visible.max() <= span.end


def test_names_of_lines_that_end_together_stand_apart() -> None:
    every = [Ghost(f"run {k}", falling(0.1 * (1 + 1e-3 * k)), "pin") for k in range(4)]
    names = shown(every, falling(0.1))
    axis = names["view"].figures["curve"].y_range
    pixels = np.log(np.array(names["y"])) / np.log(axis.end / axis.start) * ghosts.HEIGHT
    assert np.diff(np.sort(pixels)).min() >= LIGHT.pixels
    assert np.array_equal(np.argsort(pixels), [0, 1, 2, 3])


def test_names_out_of_sight_are_not_drawn() -> None:
    names = shown([Ghost("a", falling(0.1), "pin")], falling(0.1))
    plot = names["view"].figures["curve"]
    plot.x_range.update(start=41.0, end=49.0)
    names["view"].settle()
    assert named(names["view"])["text"] == []
    assert len(names["view"].sources["names"].data["text"]) == len(ghosts.SLOTS)


def test_ghosts_lie_below_the_run() -> None:
    view = learning.build(LIGHT)
    order = [renderer.data_source for renderer in view.figures["curve"].renderers]
    last = max(order.index(view.sources[slot]) for slot in ghosts.SLOTS)
    assert last < order.index(view.sources["curve"])


@pytest.mark.parametrize("colours", [LIGHT, DARK])
def test_ghosts_have_colours_of_their_own(colours) -> None:
    others = [colours.run, colours.plus, colours.minus, colours.target, colours.twin]
    assert len(colours.ghosts) == len(ghosts.KINDS["pin"])
    assert len({*colours.ghosts, *others}) == len(colours.ghosts) + len(others)
    assert ghosts.shades(colours)[-1] == colours.target
