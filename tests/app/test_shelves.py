"""Earlier sweeps: what both kinds of shelf promise, and what one stranger learns of another."""

from __future__ import annotations

from pathlib import Path

import pytest
from app_kit import until

from app.pages.sweep import SweepPage
from app.shelves import MOST, InPage, InStore, Shelf
from app.sweep.grants import Grants
from pcmsim.errors import UnknownNameError
from training.store import Store
from training.sweep import Sweep

TEXT = """
name: mine
set: {network.hidden: 10, task: {name: pattern, inputs: 10, duration: 0.1}}
fields: {precision.weight_bits: [2, 4]}
seeds: [7]
trials: 2
every: 1
"""


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("PCMLAB_STORE", str(tmp_path / "runs"))
    return Store(tmp_path / "runs")


@pytest.mark.parametrize("kind", [InStore, InPage])
def test_a_shelf_gives_what_was_put_there_last_under_a_name(kind: type[Shelf], store: Store) -> None:
    shelf = kind()
    assert (shelf.names(None), shelf.names(store)) == ((), ())
    for name, seeds in (("a", [1]), ("b", [2]), ("a", [3])):
        shelf.keep(Sweep(name, seeds=seeds), store)
    assert set(shelf.names(store)) == {"a", "b"}
    assert [shelf.about(name, store)["seeds"] for name in "ab"] == [[3], [2]]
    for name in ("c", "../a", "/etc/passwd", ""):
        with pytest.raises(UnknownNameError, match="^unknown "):
            shelf.about(name, store)


def test_a_page_offers_its_latest_and_holds_no_more_than_it_offers(store: Store) -> None:
    shelf = InPage()
    for number in range(MOST + 5):
        shelf.keep(Sweep(f"s{number}"), store)
    shelf.keep(Sweep("s10"), store)
    assert shelf.names(store)[:2] == ("s10", f"s{MOST + 4}")
    assert len(shelf.names(store)) == MOST and "s4" not in shelf.names(store)


def test_strangers_neither_see_nor_open_nor_replace_each_others_sweeps(store: Store) -> None:
    store.keep_group("mine", "sweep", Sweep("mine", seeds=[99]).to_dict(), ())
    page, other = SweepPage(), SweepPage()
    page.plan.editor.value = other.plan.editor.value = TEXT
    page.toggle()
    until(lambda: page.sweeper.latest.over)
    assert page.sweeper.latest.cells.finished == 2 and len(store.keys()) == 2
    assert store.group("mine").about["seeds"] == [99]

    for one in (page, other):
        one.plan.editor.value = TEXT + "# again"
        until(lambda one=one: one.scout.latest.text == TEXT + "# again" and one.scout.latest.cells is not None)
        one.draw(None)
    assert (page.plan.earlier.options, other.plan.earlier.options) == (["–", "mine"], ["–"])
    until(lambda: other.scout.latest.cells.finished == 2)  # the runs are everybody's

    page.plan.earlier.value = other.plan.earlier.value = "mine"
    until(lambda: page.scout.latest.opened == "mine" and other.scout.latest.problem)
    assert page.scout.latest.sweep.seed_values == [7]
    assert other.scout.latest.problem == "unknown sweep of this page 'mine'; known: "
    page.close()
    other.close()


def test_ones_own_page_keeps_its_sweeps_in_the_store(store: Store) -> None:
    page = SweepPage(Grants(store=True))
    page.plan.editor.value = TEXT
    page.toggle()
    until(lambda: page.sweeper.latest.over)
    assert store.group("mine").about["seeds"] == [7]
    page.close()
