"""Budget: the bars count every device once, the words add up the events of the run."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from app.theme import LIGHT
from app.views import budget
from pcmsim import energy
from pcmsim.energy import EventCosts
from pcmsim.ledger import Ledger
from training.presets import PRESETS
from training.session import Session

SMALL = {
    "network.hidden": 20,
    "network.threshold": 0.02,
    "task": {"name": "pattern", "inputs": 10, "duration": 0.1, "rate": 100.0},
}
COSTS = EventCosts(set_pulse=2e-12, reset_pulse=5e-9, read_voltage=0.2, read_time=250e-9, endurance=1e4)


def ledger(sets: list[int], resets: list[int] | None = None, reads: int = 0) -> Ledger:
    made = Ledger.empty((2, 1, 1, len(sets) // 2))
    made.sets.view(-1)[:] = torch.tensor(sets, dtype=torch.int32)
    if resets is not None:
        made.resets.view(-1)[:] = torch.tensor(resets, dtype=torch.int32)
    made.row_reads[:] = reads
    made.read_conductance.fill_(10.0 * made.total_reads)
    return made


def bars(sets: list[int]) -> dict[str, int]:
    """Devices by the name of their bar."""
    shown = budget.columns(energy.wear([ledger(sets)]))["wear"]
    counts = np.round(10.0 ** shown["height"] - 1.0).astype(int).tolist()
    assert shown["devices"].tolist() == counts
    return dict(zip(shown["writes"], counts, strict=True))


def words(html: str) -> list[str]:
    return re.sub("<[^>]*>", " ", html).split()


def cells(html: str) -> dict[str, list[str]]:
    """Rows of the table by their header."""
    rows = re.findall(r"<tr[^>]*><th[^>]*>(.*?)</th>(.*?)</tr>", html)
    return {name: re.findall("<td>(.*?)</td>", rest) for name, rest in rows}


@pytest.mark.parametrize(
    ("sets", "expected"),
    [
        ([0, 0, 0, 0], {"0": 4, "1": 0}),
        ([0, 1, 1, 1], {"0": 1, "1": 3}),
        ([0, 1, 2, 2], {"0": 1, "1": 1, "2": 2}),
        ([1, 2, 3, 4], {"0": 0, "1": 1, "2": 1, "3–4": 2}),
        ([0, 3, 5, 8], {"0": 1, "1": 0, "2": 0, "3–4": 1, "5–8": 2}),
        ([9, 16, 16, 8], {"0": 0, "1": 0, "2": 0, "3–4": 0, "5–8": 1, "9–16": 3}),
    ],
)
def test_each_device_stands_in_the_bar_of_its_writes(sets: list[int], expected: dict[str, int]) -> None:
    assert bars(sets) == expected


@pytest.mark.parametrize("preset", ["sign", "multi-memristor", "closed-loop"])
def test_a_runs_bars_count_all_its_devices_by_sets_and_resets(preset: str) -> None:
    session = Session(PRESETS[preset].config.with_values(SMALL))
    for _ in session.run(8):
        pass
    shown = budget.columns(energy.wear(array.ledger for array in session.arrays))["wear"]
    writes = np.concatenate([(taken.sets + taken.resets).ravel() for taken in session.snapshot().values()])
    counts = np.round(10.0 ** shown["height"].astype(float) - 1.0)
    assert counts.sum() == writes.size
    for name, count in zip(shown["writes"], counts, strict=True):
        low, _, high = name.partition("–")
        assert count == ((writes >= int(low)) & (writes <= int(high or low))).sum(), name
    assert writes.max() > 0


def test_digital_weights_have_flat_bars() -> None:
    shown = budget.columns(energy.wear([]))["wear"]
    assert (shown["writes"], shown["height"].tolist()) == (["0", "1"], [0.0, 0.0])
    view = budget.build(LIGHT)
    view.show({"wear": shown})
    budget.fit(view, {"wear": shown})
    assert (list(view.figures["wear"].x_range.factors), view.figures["wear"].y_range.end) == (["0", "1"], 1.0)


def test_axes_name_the_bars_and_hold_the_tallest() -> None:
    view = budget.build(LIGHT)
    plot = view.figures["wear"]
    for sets in ([0] * 5000, [0] * 40 + [7, 7], [2, 2]):
        shown = budget.columns(energy.wear([ledger(sets)]))
        budget.fit(view, shown)
        assert list(plot.x_range.factors) == shown["wear"]["writes"]
        assert (
            max(1.0, shown["wear"]["height"].max()) <= plot.y_range.end <= 3.0 * max(1.0, shown["wear"]["height"].max())
        )
        assert plot.y_range.start == 0.0


def test_events_and_their_energy_stand_beside_each_other() -> None:
    spent = energy.budget([ledger([1000, 234, 0, 0], [0, 3, 0, 0], reads=250_000)], COSTS, 10)
    assert cells(budget.html(spent)) == {
        "SET": ["1,234", "2.47 nJ"],
        "RESET": ["3", "15 nJ"],
        "reads": ["1,000,000", "0.1 µJ"],
        "energy": ["", "0.117 µJ"],
    }


def test_very_many_events_are_rounded_to_three_figures() -> None:
    spent = energy.budget([ledger([0, 0], reads=61_728_394)], COSTS, 10)
    assert cells(budget.html(spent))["reads"][0] == "1.23e+08"
    assert cells(budget.html(spent))["SET"] == ["0", "0"]


@pytest.mark.parametrize("endurance", [1e4, 3e8, 50.0, 1e12])
def test_the_most_written_device_stands_beside_the_endurance(endurance: float) -> None:
    ledgers = [ledger([7, 120, 3, 4], [0, 5, 9, 0]), ledger([1, 2])]
    said = " ".join(words(budget.html(energy.budget(ledgers, replace(COSTS, endurance=endurance), 10))))
    written, limit = re.search(r"device: ([\d,]+) of (\S+) writes$", said).groups()
    assert (int(written), float(limit)) == (125, endurance)


def test_before_the_first_write_the_words_say_so() -> None:
    assert budget.html(energy.budget([ledger([0, 0])], COSTS, 3)).endswith("<p>nothing written yet</p>")
    assert cells(budget.html(energy.budget([], COSTS, 3)))["energy"] == ["", "0"]


def test_without_an_energy_model_events_stand_alone_and_a_sentence_says_why() -> None:
    said = budget.html(energy.budget([ledger([1000, 234, 0, 0], reads=10)], None, 10))
    assert cells(said) == {"SET": ["1,234", "–"], "RESET": ["0", "–"], "reads": ["40", "–"], "energy": ["", "–"]}
    assert said.endswith(f"<p>{budget.NO_MODEL}</p>")
