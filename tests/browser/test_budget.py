"""Budget: events and energy are the library's, a cost can be edited, and nonsense is refused."""

from __future__ import annotations

import numpy as np
import pytest
from browser_kit import WAIT
from library_kit import float32, trained
from playwright.sync_api import Locator, expect

from pcmsim import energy
from pcmsim.energy import EventCosts, quantity_text

pytestmark = pytest.mark.browser

TRIAL = 5
COSTS = EventCosts()


def table(live) -> list[list[str]]:
    """Name, count and energy of each kind of event; the last row is the sum."""
    rows = live.page.get_by_role("table").filter(has_text="RESET").locator("tr").all()
    return [row.locator("th, td").all_inner_texts() for row in rows]


def ledgers(session) -> list:
    return [array.ledger for array in session.arrays]


def counted(number: int) -> str:
    return f"{number:,}" if number < 1e7 else f"{number:.3g}"


def expected(session, costs: EventCosts) -> list[list[str]]:
    """The same from the sums over all devices."""
    told, joules = [], 0.0
    for name, totals, cost in (
        ("SET", "total_sets", costs.set_pulse),
        ("RESET", "total_resets", costs.reset_pulse),
        ("reads", "total_reads", None),
    ):
        events = sum(getattr(ledger, totals) for ledger in ledgers(session))
        read = sum(float(ledger.read_conductance) for ledger in ledgers(session))
        spent = costs.read(read) if cost is None else events * cost
        joules += spent
        told.append([name, counted(events), quantity_text(spent) if events else "0"])
    return [*told, ["energy", "", quantity_text(joules)]]


def test_counts_energy_and_wear_are_the_librarys(stay) -> None:
    live = stay("?preset=sign")
    live.step_to(TRIAL)
    session, records = trained(TRIAL, "sign")
    spent = energy.budget(ledgers(session), COSTS, TRIAL + 1)
    live.becomes(lambda: table(live), expected(session, COSTS))
    assert table(live)[3][2] == quantity_text(spent.total)
    assert spent.sets >= records[-1].total_sets > 0
    expect(live.page.get_by_text(f"{spent.most_written:,} of 1e8 writes")).to_be_visible(timeout=WAIT)
    edges, devices = energy.wear(ledgers(session))
    live.becomes(
        lambda: live.drawn("VBar", "writes", "height", "devices")[0]["height"], float32(np.log10(1.0 + devices))
    )
    [bars] = live.drawn("VBar", "writes", "height", "devices")
    assert bars["writes"][:3] == ["0", "1", "2"]
    assert len(bars["writes"]) == len(edges)


def cost(live, label: str) -> Locator:
    return live.page.get_by_role("textbox", name=label)


def test_a_cost_is_edited_and_nonsense_is_refused(stay) -> None:
    live = stay("?preset=sign")
    live.step_to(TRIAL)
    session, _ = trained(TRIAL, "sign")
    live.becomes(lambda: table(live), expected(session, COSTS))
    live.button("Energy and endurance").click()
    box = cost(live, "SET pulse (pJ)")
    expect(box).to_have_value("13.5", timeout=WAIT)
    box.fill("27")
    box.press("Enter")
    dearer = expected(session, EventCosts(set_pulse=27e-12))
    live.becomes(lambda: table(live), dearer)
    assert dearer[0][1] == expected(session, COSTS)[0][1] != "0"
    endurance = cost(live, "Endurance (writes)")
    endurance.fill("20000")
    endurance.press("Enter")
    most = energy.budget(ledgers(session), COSTS, TRIAL + 1).most_written
    expect(live.page.get_by_text(f"{most:,} of 2e4 writes")).to_be_visible(timeout=WAIT)
    version = live.frame("config_version")
    for nonsense in ("cheap", "-1", "nan", "1e400"):
        box.fill(nonsense)
        box.press("Enter")
        live.says(f"SET pulse (pJ): '{nonsense}' is not")
        expect(box).to_have_value("27", timeout=WAIT)
    assert live.frame("config_version") == version
    assert table(live) == dearer
    live.step_to(TRIAL + 1)
    session.step()
    live.becomes(lambda: table(live), expected(session, EventCosts(set_pulse=27e-12)))
    assert live.frame("run") == 1
