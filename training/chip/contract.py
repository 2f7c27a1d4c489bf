"""What every chip must keep to: tests for a lab's own adapter.

In a test file of the lab::

    @pytest.mark.parametrize("promise", contract.PROMISES, ids=lambda promise: promise.__name__)
    def test_our_chip(promise):
        promise(OurChip(...))

Each promise programs a few devices of the chip and needs no run. `check` holds them all.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from pcmsim.errors import PCMLabError
from pcmsim.foundation.tensors import SINGLE, WHOLE
from pcmsim.plan import Plan, PulsePlan, WeightPlan
from training.chip.base import DETERMINISTIC, KINDS, PROTOCOL, Chip, ChipInfo, LayerRead
from training.network import LAYERS
from training.neurons import Floats
from training.spikes import Spikes

LAYER, KEY, STEPS = "recurrent", 12345, 64
CLOSE = 0.25
"""Largest mean difference of sums and weights, in fully conducting cells."""


def check(chip: Chip) -> None:
    """Raise `AssertionError` with the first promise that the chip breaks."""
    for promise in PROMISES:
        promise(chip)


def says_what_it_is(chip: Chip) -> None:
    """Its info names three layers that fit each other, in a version and kind that exist."""
    info = chip.info()
    _hold(info.protocol == PROTOCOL, f"info: expected version {PROTOCOL} of the protocol, got {info.protocol}")
    _hold(info.kind in KINDS, f"info: expected a kind of {', '.join(KINDS)}, got {info.kind!r}")
    _hold(tuple(sorted(info.layers)) == tuple(sorted(LAYERS)), f"info: expected the layers {', '.join(LAYERS)}")
    inputs, recurrent, output = (info.layers[name] for name in LAYERS)
    fits = inputs.columns == recurrent.rows == recurrent.columns == output.rows
    _hold(fits, "info: expected as many hidden neurons in each of its layers")


def programs_once(chip: Chip) -> None:
    """A program changes the weights; the same number once more changes nothing."""
    before, number = _state(chip), chip.info().number + 1
    _hold(_program(chip, _plan(chip), number) == number, "program: expected its own number as acknowledgement")
    after = _state(chip)
    _hold(chip.info().number == number, "info: expected the number of the program that was carried out")
    _hold(not _same(before, after), "program: expected other weights after it, got the same")
    _hold(_program(chip, _plan(chip), number) == number, "program: expected a repeated one acknowledged")
    _hold(_same(after, _state(chip)), "program: expected a repeated one to write nothing")


def leaves_no_program_out(chip: Chip) -> None:
    """A number too high is refused, and nothing is written."""
    _refused(chip, "a number that leaves one out", lambda: _program(chip, _plan(chip), chip.info().number + 2))


def refuses_nonsense(chip: Chip) -> None:
    """Arguments that are not allowed are refused before anything is written."""
    number = chip.info().number + 1
    for said, plan in _bad_plans(chip.info()).items():
        _refused(chip, said, partial(_program, chip, plan, number))
    for said, now in {"time NaN": math.nan, "infinite time": math.inf, "a time before the clock": -1.0}.items():
        _refused(chip, said, partial(chip.program, LAYER, _plan(chip), now, KEY, number))
    _refused(chip, "an unknown layer", lambda: chip.program("fourth", _plan(chip), chip.clock(), KEY, number))
    _refused(chip, "a row beyond the chip", lambda: _sums(chip, [chip.info().layers[LAYER].rows]))
    _refused(chip, "sums at time NaN", lambda: chip.mvm(LAYER, _active([0]), 0, math.nan, KEY))
    _refused(chip, "a wait until NaN", lambda: chip.wait(math.nan))


def sums_what_it_reads(chip: Chip) -> None:
    """A row's sums are, on average over steps, the weights that are read, and follow them; silent steps give 0."""
    here = chip.info().layers[LAYER]
    sums = chip.mvm(LAYER, _active([0] * STEPS + [None]), 0, chip.clock(), KEY)
    _hold(sums.shape[0] == STEPS + 1 and sums.shape[2] == here.columns, "mvm: expected step, core row, post")
    _hold(sums.dtype == np.float64 and bool(np.isfinite(sums).all()), "mvm: expected finite float64 sums")
    _hold(not sums[-1].any(), "mvm: expected 0 where no row is active")
    _program(chip, _erasure(chip), chip.info().number + 1)
    before = _row(chip)
    _program(chip, _plan(chip), chip.info().number + 1)
    summed, read = _row(chip)
    away = np.abs(summed - read).mean() / here.full_weight
    _hold(away <= CLOSE, f"mvm: expected the weights that are read, got {away:.3g} of a full one away from them")
    risen, wanted = (summed - before[0])[1], (read - before[1])[1]
    _hold(abs(risen - wanted) <= 0.5 * abs(wanted), f"mvm: expected to rise by {wanted:.3g} as read, got {risen:.3g}")


def repeats_itself(chip: Chip) -> None:
    """The same key and steps give the same sums, in one batch or step by step, if the chip says that it is so."""
    if DETERMINISTIC not in chip.info().capabilities:
        return
    batch = _sums(chip, [0, 1, 2])
    _hold(np.array_equal(batch, _sums(chip, [0, 1, 2])), "mvm: expected the same sums for the same key and steps")
    steps = [chip.mvm(LAYER, _active([row]), row, chip.clock(), KEY)[0] for row in range(3)]
    _hold(np.array_equal(batch, np.stack(steps)), "mvm: expected the same sums step by step as in one batch")


def keeps_time(chip: Chip) -> None:
    """Its clock reaches what is waited for, and never goes back."""
    until = chip.clock() + 0.001
    _hold(chip.wait(until) >= until and chip.clock() >= until, "wait: expected the clock at its end")
    _hold(chip.wait(0.0) >= until, "wait: expected a clock that never goes back")
    _refused(
        chip, "a program before its clock", lambda: chip.program(LAYER, _plan(chip), 0.0, KEY, chip.info().number + 1)
    )


PROMISES: tuple[Callable[[Chip], None], ...] = (
    says_what_it_is,
    programs_once,
    leaves_no_program_out,
    refuses_nonsense,
    sums_what_it_reads,
    repeats_itself,
    keeps_time,
)


def _plan(chip: Chip) -> Plan:
    """Three pulses on the first device off the diagonal, or one weight a little higher."""
    here = chip.info().layers[LAYER]
    if chip.info().kind == "pulses":
        return PulsePlan.build(torch.tensor([1], **WHOLE), torch.tensor([3], **WHOLE))
    change = torch.zeros(here.shape, **SINGLE)
    change[0, 1] = 0.5 * here.full_weight
    return WeightPlan(change)


def _erasure(chip: Chip) -> Plan:
    """What undoes all that `_plan` did to a device, or to a weight."""
    plan = _plan(chip)
    return WeightPlan(-plan.change) if isinstance(plan, WeightPlan) else PulsePlan.build(reset_devices=plan.set_devices)


def _bad_plans(info: ChipInfo) -> dict[str, Plan]:
    here, one = info.layers[LAYER], torch.tensor([1], **WHOLE)
    cells = 2 * here.devices * here.rows * here.columns
    if info.kind == "weights":
        return {
            "weights NaN": WeightPlan(torch.full(here.shape, math.nan, **SINGLE)),
            "infinite weights": WeightPlan(torch.full(here.shape, math.inf, **SINGLE)),
            "a matrix larger than the chip": WeightPlan(torch.zeros((here.rows + 1, here.columns), **SINGLE)),
            "pulses": PulsePlan.build(one),
        }
    return {
        "a device beyond the chip": PulsePlan.build(torch.tensor([cells], **WHOLE)),
        "a device below 0": PulsePlan.build(reset_devices=torch.tensor([-1], **WHOLE)),
        "a device twice": PulsePlan.build(torch.tensor([1, 1], **WHOLE)),
        "no pulses for a device": PulsePlan.build(one, torch.tensor([0], **WHOLE)),
        "counts NaN": PulsePlan.build(one, torch.tensor([math.nan], **SINGLE)),
        "a change of weights": WeightPlan(torch.zeros(here.shape, **SINGLE)),
    }


def _program(chip: Chip, plan: Plan, number: int) -> int:
    return chip.program(LAYER, plan, chip.clock(), KEY, number)


def _active(rows: list[int] | list[int | None]) -> Spikes:
    """One active row per step, or none."""
    start = np.cumsum([0, *(row is not None for row in rows)])
    return Spikes(start.astype(np.int64), np.array([row for row in rows if row is not None], np.int32))


def _sums(chip: Chip, rows: list[int]) -> Floats:
    return chip.mvm(LAYER, _active(rows), 0, chip.clock(), KEY)


def _row(chip: Chip) -> tuple[Floats, Floats]:
    """What the first row sums up to, on average over steps, and what it reads."""
    return _sums(chip, [0] * STEPS).sum(1).mean(0), chip.read(LAYER, chip.clock()).mean[0]


def _state(chip: Chip) -> LayerRead:
    return chip.read(LAYER, chip.clock())


def _same(one: LayerRead, other: LayerRead) -> bool:
    """Whether nothing was written in between."""
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ("stored", "sets", "resets"))


def _refused(chip: Chip, said: str, call: Callable[[], object]) -> None:
    """The call raises, and nothing is written."""
    before, number = _state(chip), chip.info().number
    try:
        call()
    except PCMLabError:
        _hold(chip.info().number == number, f"expected {said} to count as no program")
        _hold(_same(before, _state(chip)), f"expected {said} to write nothing")
        return
    raise AssertionError(f"expected {said} refused, got an answer")


def _hold(kept: bool, said: str) -> None:
    if not kept:
        raise AssertionError(said)
