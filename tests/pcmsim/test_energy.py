"""Energy and wear against pulses counted by hand."""

from __future__ import annotations

import dataclasses
import math
import re

import numpy as np
import pytest
import torch

from pcmsim.crossbar import Crossbar
from pcmsim.energy import FORMER, Budget, CostConfig, EventCosts, as_set, budget, quantity_text, wear
from pcmsim.errors import FieldError, UnknownNameError
from pcmsim.ledger import Ledger
from pcmsim.plan import PulsePlan
from pcmsim.presets import DEVICES, device_model
from pcmsim.pulse import PulseModel
from pcmsim.quantity import quantities

COSTS = EventCosts(set_pulse=2e-12, reset_pulse=5e-12, read_voltage=0.5, read_time=1e-7, endurance=1000.0)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def crossbar(shape: tuple[int, int] = (3, 2), devices: int = 2) -> Crossbar:
    return Crossbar(shape, PulseModel(), devices=devices, scale=12.0, initial_conductance=0.1, generator=generator())


def pulsed() -> Crossbar:
    """24 devices. SETs: device 0 three, 5 one, 7 twelve. RESETs: device 0 and 23 twice each, 5 once."""
    array = crossbar()
    for sets, counts, resets in (([0, 5], [3, 1], [0, 23]), ([7], [12], [0, 5, 23])):
        plan = PulsePlan.build(torch.tensor(sets), torch.tensor(counts), torch.tensor(resets))
        array.apply(plan, 1.0, generator=generator())
    array.count_reads(torch.tensor([4, 0, 3]), 200.0)
    return array


class TestBudget:
    def test_counts_and_energy_by_hand(self) -> None:
        """16 SETs and 5 RESETs; 7 spikes read the 2 * 2 * 2 devices of their rows, 200 µS in all: 0.25 V^2 * 200 µS * 100 ns."""
        found = budget([pulsed().ledger], COSTS, trials=10)
        assert (found.sets, found.resets, found.reads) == (16, 5, 56)
        assert found.energy == pytest.approx({"set_pulse": 32e-12, "reset_pulse": 25e-12, "read": 5e-12})
        assert found.total == pytest.approx(62e-12, rel=1e-12)

    def test_the_most_written_device_has_its_sets_and_resets_added(self) -> None:
        """Device 7 has 12 SETs, device 0 has 3 SETs and 2 RESETs."""
        found = budget([pulsed().ledger], COSTS, trials=10)
        assert found.most_written == 12
        assert found.lifetime == pytest.approx(0.012)
        assert found.updates_left == pytest.approx((1000 - 12) / (12 / 10))

    def test_sets_and_resets_of_one_device_wear_it_together(self) -> None:
        array = crossbar((1, 1), devices=1)
        for _ in range(4):
            plan = PulsePlan.build(torch.tensor([1]), torch.tensor([2]), torch.tensor([1]))
            array.apply(plan, 0.0, generator=generator())
        assert budget([array.ledger], COSTS, trials=4).most_written == 12

    def test_crossbars_add_up_and_the_worst_device_of_all_counts(self) -> None:
        first, second = pulsed().ledger, crossbar((1, 1), devices=1).ledger
        second.sets[0, 0, 0, 0], second.row_reads[0] = 40, 2
        found = budget(iter([first, second]), COSTS, trials=1)
        assert (found.sets, found.resets, found.reads, found.most_written) == (56, 5, 60, 40)
        assert found.energy["set_pulse"] == pytest.approx(56 * 2e-12)

    def test_nothing_written_lasts_for_ever(self) -> None:
        for ledgers in ([], [crossbar().ledger]):
            found = budget(ledgers, COSTS, trials=7)
            assert (found.total, found.most_written, found.lifetime) == (0.0, 0, 0.0)
            assert found.updates_left == math.inf

    def test_before_the_first_trial_there_is_no_rate(self) -> None:
        assert budget([pulsed().ledger], COSTS, trials=0).updates_left == math.inf

    @pytest.mark.parametrize(("endurance", "lifetime"), [(12.0, 1.0), (6.0, 2.0)])
    def test_a_worn_out_device_has_nothing_left(self, endurance: float, lifetime: float) -> None:
        found = budget([pulsed().ledger], dataclasses.replace(COSTS, endurance=endurance), trials=10)
        assert found.updates_left == 0.0
        assert found.lifetime == pytest.approx(lifetime)

    def test_going_on_at_the_same_rate_reaches_the_endurance_then(self) -> None:
        """One SET per trial: after 30 trials the remaining ones are exactly those up to the endurance."""
        array = crossbar((1, 1), devices=1)
        for _ in range(30):
            array.apply(PulsePlan.build(torch.tensor([0])), 0.0, generator=generator())
        costs = dataclasses.replace(COSTS, endurance=50.0)
        left = budget([array.ledger], costs, trials=30).updates_left
        assert left == pytest.approx(20.0)
        for _ in range(round(left)):
            array.apply(PulsePlan.build(torch.tensor([0])), 0.0, generator=generator())
        assert budget([array.ledger], costs, trials=50).lifetime == pytest.approx(1.0)

    def test_long_runs_do_not_overflow(self) -> None:
        ledger = Ledger.empty((2, 1, 1, 1))
        ledger.sets.fill_(2**31 - 1)
        ledger.resets.fill_(2**31 - 1)
        assert budget([ledger], COSTS, trials=1).most_written == 2 * (2**31 - 1)

    def test_without_an_energy_model_events_are_counted_and_nothing_else_is_said(self) -> None:
        found = budget([pulsed().ledger], None, trials=10)
        assert found == Budget(sets=16, resets=5, reads=56, most_written=12)
        assert (found.energy, found.total, found.lifetime, found.updates_left) == (None, None, None, None)

    def test_negative_trials_are_named(self) -> None:
        with pytest.raises(FieldError, match=re.escape("trials: must be a whole number >= 0, got -1")):
            budget([], COSTS, -1)


class TestCosts:
    @pytest.mark.parametrize("name", ["set_pulse", "reset_pulse"])
    def test_negative_energies_are_named(self, name: str) -> None:
        with pytest.raises(FieldError, match=rf"EventCosts.{name}: must be a finite number >= 0 J and <= 1e-06 J"):
            EventCosts(**{name: -1e-12})

    def test_an_endurance_below_one_cycle_is_named(self) -> None:
        with pytest.raises(FieldError, match=r"EventCosts.endurance: must be a finite number >= 1 cycles"):
            EventCosts(endurance=0.0)

    def test_every_cost_has_unit_meaning_and_source(self) -> None:
        about = quantities(EventCosts)
        assert {name: each.unit for name, each in about.items()} == {
            "set_pulse": "J", "reset_pulse": "J", "read_voltage": "V", "read_time": "s", "endurance": "cycles",
        }  # fmt: skip
        assert all(each.doc and each.source.startswith("estimate: ") for each in about.values())

    def test_the_read_energy_is_that_of_a_resistor(self) -> None:
        """V^2 G t = 0.2^2 V^2 * 10 µS * 250 ns, and twice as long at twice the voltage eight times that."""
        assert EventCosts().read(10.0) == pytest.approx(0.2**2 * 10e-6 * 250e-9)
        assert EventCosts(read_voltage=0.4, read_time=500e-9).read(10.0) == pytest.approx(8 * EventCosts().read(10.0))

    def test_costs_that_are_set_stand_in_place_of_the_devices_own(self) -> None:
        own = EventCosts(set_pulse=7e-12)
        assert CostConfig().over(own) == own
        assert CostConfig(endurance=5.0).over(own) == dataclasses.replace(own, endurance=5.0)

    def test_a_device_without_an_energy_model_has_one_only_where_all_of_it_is_set(self) -> None:
        assert CostConfig(set_pulse=1e-12, endurance=5.0).over(None) is None
        assert CostConfig(**dataclasses.asdict(COSTS)).over(None) == COSTS

    def test_costs_of_earlier_files_are_those_that_had_been_changed(self) -> None:
        assert as_set(FORMER) == {}
        assert as_set({**FORMER, "set_pulse": 2e-12}) == {"set_pulse": 2e-12}
        assert as_set({"set_pulse": 13.5e-12}) == {"set_pulse": 13.5e-12}
        expected = "costs.read: must be left out: read_voltage and read_time decide what a read costs, got 2e-13"
        with pytest.raises(FieldError, match=re.escape(expected)):
            as_set({**FORMER, "read": 2e-13})

    def test_each_device_declares_its_costs(self) -> None:
        models = {name: make() for name, make in DEVICES.items()}
        assert {name for name, model in models.items() if model.costs is None} == {"ideal"}
        assert models["hermes"].costs.read_time == 128e-9
        with pytest.raises(UnknownNameError, match=r"unknown constant of device preset hermes 'costs'"):
            device_model("hermes", {"costs": None})


class TestWear:
    def test_counted_by_hand(self) -> None:
        """Writes: device 0 five, 5 two, 7 twelve, 23 two, and 20 devices none."""
        edges, counts = wear([pulsed().ledger])
        assert edges.tolist() == [0, 1, 2, 3, 5, 9]
        assert counts.tolist() == [20, 0, 2, 0, 1, 1]

    @pytest.mark.parametrize(("writes", "lower"), [
        (0, 0), (1, 1), (2, 2), (3, 3), (4, 3), (5, 5), (8, 5), (9, 9), (16, 9), (17, 17), (2**20, 2**19 + 1), (2**20 + 1, 2**20 + 1),
    ])  # fmt: skip
    def test_which_bin_a_device_falls_into(self, writes: int, lower: int) -> None:
        ledger = Ledger.empty((2, 1, 1, 1))
        ledger.sets[0] = writes
        edges, counts = wear([ledger])
        expected = {0: 1} if writes else {0: 2}
        expected[lower] = expected.get(lower, 0) + (1 if writes else 0)
        assert {int(edge): int(n) for edge, n in zip(edges, counts, strict=True) if n} == expected
        assert edges[-1] == max(lower, 1)

    def test_every_device_is_in_one_bin(self) -> None:
        rng, ledgers = np.random.default_rng(1), [Ledger.empty((2, 2, 30, 20)), Ledger.empty((2, 2, 20, 1))]
        for ledger in ledgers:
            ledger.sets.copy_(torch.from_numpy(rng.geometric(0.02, tuple(ledger.sets.shape)) - 1))
            ledger.resets.copy_(torch.from_numpy(rng.integers(0, 3, tuple(ledger.sets.shape))))
        edges, counts = wear(ledgers)
        assert counts.sum() == 2 * 2 * 30 * 20 + 2 * 2 * 20
        writes = np.concatenate([(ledger.sets + ledger.resets).numpy().ravel() for ledger in ledgers])
        upper = [*(edges[1:] - 1), writes.max()]
        inside = [np.sum((writes >= low) & (writes <= high)) for low, high in zip(edges, upper, strict=True)]
        assert counts.tolist() == inside

    def test_nothing_to_wear(self) -> None:
        edges, counts = wear([])
        assert (edges.tolist(), counts.tolist()) == ([0, 1], [0, 0])


@pytest.mark.parametrize(("energy", "text"), [
    (0.0, "0 J"), (4.9e-7, "0.49 µJ"), (13.5e-12, "13.5 pJ"), (1e-13, "0.1 pJ"), (1.0, "1 J"), (99.0, "99 J"),
    (100.0, "0.1 kJ"), (12_345.0, "12.3 kJ"), (5e6, "5e+03 kJ"), (2.5e-15, "2.5 fJ"), (3e-17, "0.03 fJ"),
    (9.994e-8, "99.9 nJ"), (9.999e-8, "0.1 µJ"), (0.25, "0.25 J"), (0.05, "50 mJ"), (-4.9e-7, "-0.49 µJ"), (math.inf, "inf J"),
])  # fmt: skip
def test_energies_as_people_write_them(energy: float, text: str) -> None:
    assert quantity_text(energy) == text


def test_energies_read_back_to_three_figures() -> None:
    sizes = {"f": 1e-15, "p": 1e-12, "n": 1e-9, "µ": 1e-6, "m": 1e-3, "": 1.0, "k": 1e3}
    for energy in 10.0 ** np.random.default_rng(2).uniform(-16, 4.9, 500):
        number, unit = quantity_text(float(energy)).split(" ")
        assert float(number) * sizes[unit.removesuffix("J")] == pytest.approx(energy, rel=5.1e-3)
        assert 0.1 <= float(number) < 100.0 or unit == "fJ"
