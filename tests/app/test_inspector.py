"""The inspector: closed until something is picked, then that one thing, live, and closed again."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from app.pages.inspector import Inspector
from app.shot import Look
from app.theme import DARK, LIGHT
from training import inspection
from training.config import RunConfig
from training.inspection import CellReport, NeuronReport
from training.meters import Meters
from training.records import TrialRecord
from training.session import Session

TINY = RunConfig().with_values(
    {
        "network.hidden": 12,
        "network.threshold": 0.02,
        "task": {"name": "pattern", "inputs": 6, "duration": 0.1, "rate": 100.0},
        "scheme": "sign",
        "learning.lr_input": 1e-2,
    }
)
WEAR = (np.array([0, 1]), np.array([2, 0]))


class Run:
    """A run whose synapses and neurons can be picked."""

    def __init__(self) -> None:
        self.session = Session(TINY)
        self.session.observe()
        self.record: TrialRecord = self.session.step()

    def step(self) -> None:
        self.record = self.session.step()

    def look(self, cell: CellReport | None = None, neuron: NeuronReport | None = None) -> Look:
        return Look(Meters(), None, WEAR, cell, neuron)

    def cell(self, layer: str, pre: int, post: int) -> Look:
        return self.look(cell=inspection.cell(self.session, layer, pre, post))

    def neuron(self, number: int) -> Look:
        return self.look(neuron=inspection.neuron(self.session, self.record, number))


@pytest.fixture
def run() -> Run:
    return Run()


@pytest.fixture
def closed() -> list[int]:
    return []


@pytest.fixture
def inspector(closed: list[int]) -> Inspector:
    return Inspector(LIGHT, lambda: closed.append(1))


def title(inspector: Inspector) -> str:
    return re.sub("<[^>]*>", " ", inspector._title.html).split(maxsplit=1)[0]


def note(inspector: Inspector) -> str:
    return re.search('class="note">(.*?)<', inspector._title.html)[1]


def shown(inspector: Inspector) -> list[str]:
    return [name for name, body in inspector._bodies.items() if body.visible]


def told(inspector: Inspector, name: str) -> dict[str, str]:
    return dict(re.findall("<dt>(.*?)</dt><dd>(.*?)</dd>", inspector._bodies[name][0].html))


def test_nothing_is_made_before_something_is_picked(inspector: Inspector, run: Run) -> None:
    inspector.draw(run.look(), 0)
    assert (inspector.view.visible, inspector.views, len(inspector.view)) == (False, {}, 1)


def test_a_synapse_a_neuron_and_nothing(inspector: Inspector, run: Run) -> None:
    steps: list[tuple[Callable[[], Look], str, str, list[str]]] = [
        (lambda: run.cell("recurrent", 3, 5), "Synapse", "3 → 5 · recurrent", ["cell"]),
        (lambda: run.neuron(7), "Neuron", "hidden 7", ["neuron"]),
        (lambda: run.cell("output", 11, 0), "Synapse", "11 → 0 · output", ["cell"]),
    ]
    for pick, kind, named, bodies in steps:
        inspector.draw(pick(), run.record.trial)
        assert (title(inspector), note(inspector), shown(inspector)) == (kind, named, bodies)
        assert inspector.view.visible
    inspector.draw(run.look(), run.record.trial)
    assert (inspector.view.visible, shown(inspector)) == (False, [])


def test_the_card_follows_the_run(inspector: Inspector, run: Run) -> None:
    pre, post = divmod(int(run.session.arrays.input.ledger.sets.sum((0, 1)).argmax()), 12)
    for _ in range(4):
        inspector.draw(run.cell("input", pre, post), run.record.trial)
        weight = float(run.session.snapshot()["input"].weights[pre, post])
        assert float(told(inspector, "cell")["weight now"]) == pytest.approx(weight, abs=5.1e-4)
        assert inspector.views["cell"].figures["writes"].x_range.end > run.record.trial
        inspector.draw(run.neuron(2), run.record.trial)
        assert told(inspector, "neuron")["trial"] == str(run.record.trial)
        voltage = inspector.views["neuron"].sources["traces"].data["voltage"]
        assert np.array_equal(voltage, run.record.voltage[:, 2])
        run.step()


def test_figures_are_made_once(inspector: Inspector, run: Run) -> None:
    made: list[dict[str, Any]] = []
    for _ in range(3):
        inspector.draw(run.cell("input", 1, 1), run.record.trial)
        first = dict(inspector.views)
        inspector.draw(run.neuron(2), run.record.trial)
        made.append(first | inspector.views)
        assert (set(first), set(inspector.views)) == ({"cell"}, {"neuron"})
        run.step()
    assert all(each[name] is made[0][name] for each in made for name in ("cell", "neuron"))
    assert len(inspector.view) == 3


def test_figures_take_on_the_mode_before_and_after_they_are_made(inspector: Inspector, run: Run) -> None:
    inspector.paint(DARK)
    inspector.draw(run.neuron(2), 0)
    line = inspector.views["neuron"].figures["voltage"].renderers[0].glyph
    assert line.line_color == DARK.spikes
    inspector.draw(run.cell("input", 1, 1), 0)
    assert set(inspector.views["cell"].sources["now"].data["colour"]) == {DARK.plus, DARK.minus}
    inspector.paint(LIGHT)
    assert line.line_color == LIGHT.spikes
    inspector.draw(run.cell("input", 1, 1), 0)
    assert set(inspector.views["cell"].sources["now"].data["colour"]) == {LIGHT.plus, LIGHT.minus}


def test_the_cross_only_asks(inspector: Inspector, run: Run, closed: list[int]) -> None:
    inspector.draw(run.neuron(2), 0)
    (shut,) = inspector.view.select(lambda each: "shut" in getattr(each, "css_classes", []))
    shut.clicks += 1
    assert (closed, inspector.view.visible) == ([1], True)
