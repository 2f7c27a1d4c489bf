"""One synapse: writes, reads and numbers are those of its devices."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import pytest

from app.theme import LIGHT
from app.views import cell
from app.views.status import duration
from training import inspection
from training.config import RunConfig
from training.inspection import CellReport
from training.session import Session

BUSY = RunConfig().with_values(
    {
        "network.hidden": 20,
        "network.threshold": 0.02,
        "task": {"name": "pattern", "inputs": 10, "duration": 0.1, "rate": 100.0},
        "scheme": "sign",
        "learning.lr_input": 1e-2,
        "device.devices": 2,
        "refresh.enabled": True,
        "refresh.saturation": 2.0,
        "refresh.difference": 2.0,
    }
)
TRIALS = 12


@pytest.fixture(scope="module")
def session() -> Session:
    session = Session(BUSY)
    session.observe()
    for _ in session.run(TRIALS):
        pass
    return session


@pytest.fixture(scope="module")
def place(session: Session) -> tuple[int, int]:
    """The synapse with most writes."""
    counts = (session.arrays.input.ledger.sets + 100 * session.arrays.input.ledger.resets).sum((0, 1))
    return divmod(int(counts.argmax()), counts.shape[1])


@pytest.fixture(scope="module")
def report(session: Session, place: tuple[int, int]) -> CellReport:
    return inspection.cell(session, "input", *place)


def digital() -> CellReport:
    session = Session(BUSY.with_values({"scheme": "float32", "refresh.enabled": False}))
    session.observe()
    for _ in session.run(2):
        pass
    return inspection.cell(session, "output", 3, 0)


def listed(html: str) -> dict[str, str]:
    return dict(re.findall("<dt>(.*?)</dt><dd>(.*?)</dd>", html))


def rows(html: str) -> list[list[str]]:
    found = re.findall("<tr>(<th scope=row>.*?)</tr>", html)
    return [re.sub("<[^>]*>", "|", row).replace("||", "|").strip("|").split("|") for row in found]


def test_every_write_stands_at_its_trial_and_conductance_in_its_signs_colour(
    session: Session, place: tuple[int, int], report: CellReport
) -> None:
    shown = cell.columns(report, LIGHT)["writes"]
    array = session.arrays.input
    size = array.shape[0] * array.shape[1]
    flat = place[0] * array.shape[1] + place[1]
    expected = []
    for number in range(4):
        events = session.updates.watch["input"].events(number * size + flat)
        colour = LIGHT.plus if number < 2 else LIGHT.minus
        expected += [(e["trial"], e["conductance"], colour, "x" if e["reset"] else "circle") for e in events]
    points = list(zip(shown["trial"], shown["conductance"], shown["colour"], shown["marker"], strict=True))
    assert points == expected
    assert len(points) == sum(len(device.events) for device in report.devices) > 3
    assert {"x", "circle"} <= set(shown["marker"])


def test_reads_stand_on_their_signs_side_and_none_is_lost(report: CellReport) -> None:
    shown = cell.columns(report, LIGHT)["reads"]
    assert len(shown["place"]) == 4 * inspection.READS
    plus = np.array([colour == LIGHT.plus for colour in shown["colour"]])
    assert np.all(np.abs(shown["place"][plus]) < 0.5)
    assert np.all(np.abs(shown["place"][~plus] - 1.0) < 0.5)
    for sign, chosen in (("+", plus), ("-", ~plus)):
        mine = np.concatenate([device.reads for device in report.devices if device.polarity == sign])
        assert shown["conductance"][chosen] == pytest.approx(mine)


def test_dashes_mark_the_conductances_of_now(session: Session, place: tuple[int, int], report: CellReport) -> None:
    shown = cell.columns(report, LIGHT)["now"]
    now = session.arrays.input.conductance(session.device_time)[:, :, place[0], place[1]].reshape(-1)
    assert shown["conductance"] == pytest.approx(now.tolist())
    assert (shown["place"], shown["colour"]) == ([0.0, 0.0, 1.0, 1.0], [LIGHT.plus] * 2 + [LIGHT.minus] * 2)


def test_axes_hold_all_writes_and_reads_and_stay_while_they_can(report: CellReport) -> None:
    view, shown = cell.build(LIGHT), cell.columns(report, LIGHT)
    view.show(shown)
    spans = []
    for trial in (TRIALS - 1, TRIALS, TRIALS + 1):
        cell.fit(view, shown, trial)
        x, y = view.figures["writes"].x_range, view.figures["writes"].y_range
        assert x.start < min(shown["writes"]["trial"]) <= max(shown["writes"]["trial"]) <= trial < x.end
        assert y.start == 0.0
        assert y.end >= max(*shown["writes"]["conductance"], *shown["reads"]["conductance"])
        spans.append((y.start, y.end))
    assert all(one == other for one, other in pairwise(spans))
    assert view.figures["reads"].y_range is view.figures["writes"].y_range


def test_an_axis_without_a_write_says_so(report: CellReport) -> None:
    view, shown = cell.build(LIGHT), cell.columns(report, LIGHT)
    fresh = {**shown, "writes": {name: [] for name in shown["writes"]}}
    labels = []
    for columns in (fresh, shown, fresh):
        cell.fit(view, columns, TRIALS)
        labels.append(view.figures["writes"].xaxis[0].axis_label)
    assert labels == [cell.UNWRITTEN, cell.WRITTEN, cell.UNWRITTEN]


def test_the_numbers_are_those_of_the_synapse(session: Session, place: tuple[int, int], report: CellReport) -> None:
    told, watch = listed(cell.table(report)), session.updates.watch["input"]
    assert float(told["weight now"]) == pytest.approx(float(session.snapshot()["input"].weights[place]), abs=5.1e-4)
    for label, series in (
        ("asked by the latest update", watch.latest),
        ("asked lately", watch.asked),
        ("applied lately", watch.applied),
    ):
        assert float(told[label]) == pytest.approx(float(series[place]), rel=0.06, abs=1e-9), label
    assert "waiting in the accumulator" not in told


def test_the_accumulators_rest_is_told_where_there_is_one() -> None:
    session = Session(BUSY.with_values({"scheme": "mixed-precision", "refresh.enabled": False}))
    session.step()
    held = session.updates.state["input"]["accumulator"]
    pre, post = divmod(int(held.abs().argmax()), 20)
    told = listed(cell.table(inspection.cell(session, "input", pre, post)))
    assert float(told["waiting in the accumulator"]) == pytest.approx(float(held[pre, post]), rel=0.06)
    assert set(told) == {"weight now", "waiting in the accumulator"}


def test_each_device_has_a_row_of_its_state(session: Session, place: tuple[int, int], report: CellReport) -> None:
    state, ledger = session.arrays.input.state, session.arrays.input.ledger
    told = rows(cell.table(report))
    assert [row[:2] for row in told] == [["G+", " 1"], ["G+", " 2"], ["G−", " 1"], ["G−", " 2"]]
    for k, row in enumerate(told):
        device = (*divmod(k, 2), *place)
        stored, drifted, history, age, exponent, sets, resets = row[2:]
        assert float(stored) == pytest.approx(float(state.conductance[device]), abs=5.1e-3)
        assert float(drifted) == pytest.approx(float(session.snapshot()["input"].conductance[device]), abs=5.1e-3)
        assert float(history) == pytest.approx(float(state.history[device]), abs=5.1e-4)
        assert age == duration(session.device_time - float(state.written_at[device]))
        assert float(exponent) == pytest.approx(0.04, abs=5e-4)
        assert (int(sets), int(resets)) == (int(ledger.sets[device]), int(ledger.resets[device]))
    assert sum(int(row[-1]) for row in told) > 0


def test_a_digital_weight_has_no_devices_to_draw() -> None:
    report = digital()
    shown, view = cell.columns(report, LIGHT), cell.build(LIGHT)
    assert all(len(column) == 0 for columns in shown.values() for column in columns.values())
    view.show(shown)
    cell.fit(view, shown, 5)
    assert view.figures["writes"].y_range.end > 0.0
    assert "Digital weight: there are no devices." in cell.table(report)
    assert rows(cell.table(report)) == []
    assert listed(cell.table(report))["weight now"] == f"{report.weight:+.3f}"


def test_columns_fit_the_sources_and_make_no_models(report: CellReport) -> None:
    view = cell.build(LIGHT)
    for shown in (cell.columns(report, LIGHT), cell.columns(digital(), LIGHT), cell.columns(report, LIGHT)):
        assert {name: set(columns) for name, columns in shown.items()} == {
            name: set(source.data) for name, source in view.sources.items()
        }
        view.show(shown)
        for name, columns in shown.items():
            assert {len(column) for column in view.sources[name].data.values()} == {len(columns["conductance"])}
