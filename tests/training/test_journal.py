"""A run on a chip that is killed at any call: it goes on to the bit, and the chip meets each program once."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from pcmsim.errors import FileError
from pcmsim.plan import PulsePlan
from training import loading
from training.chip.base import CALLS, Chip, ChipError
from training.chip.journal import JournaledChip
from training.chip.simulated import SimulatedChip
from training.config import RunConfig
from training.files.interval import Interval
from training.network import LAYERS
from training.results import CHECKPOINT, RunFolder
from training.session import Session

CONFIG = RunConfig().with_values({
    "core.enabled": True, "network.hidden": 8, "precision.weight_bits": 4, "network.threshold": 0.02,
    "task": {"name": "pattern", "inputs": 8, "duration": 0.01, "rate": 400.0},
    "learning.lr_input": 2e-2, "learning.lr_recurrent": 2e-2, "learning.lr_output": 2e-2,
})  # fmt: skip
TRIALS = 3


class Killed(BaseException):
    """Ends the run like a SIGKILL: nobody catches it, and nothing is written on the way."""


class Mortal(Chip):
    """A chip whose caller is killed at a call: before it was carried out, or after it, without the answer."""

    def __init__(self, chip: Chip, at: int, *, after: bool) -> None:
        self._chip, self._left, self._after = chip, at, after

    def _call(self, name: str, *arguments: object) -> object:
        self._left -= 1
        if self._left == 0 and not self._after:
            raise Killed
        answer = getattr(self._chip, name)(*arguments)
        if self._left == 0:
            raise Killed
        return answer


for _name in CALLS:
    setattr(Mortal, _name, lambda self, *arguments, _name=_name: self._call(_name, *arguments))
Mortal.__abstractmethods__ = frozenset()


def train(folder: Path, chip: Chip, trials: int = TRIALS, every: int = 2) -> Session:
    """A run in its folder, begun or gone on with, up to so many trials."""
    held = (folder / CHECKPOINT).exists()
    kept = RunFolder(folder, Interval(seconds=1e9, trials=every))
    with kept:
        if held:
            session = loading.trained(folder, kept.journaled(chip, loading.progress(folder).trial))
            list(kept.take_up(session))
        else:
            session = Session(CONFIG, kept.journaled(chip))
            kept.begin(session)
        while session.trial < trials:
            kept.note(session.step())
            if kept.due(session.trial):
                kept.keep(session)
        kept.keep(session)
    return session


@pytest.fixture(scope="module")
def never_killed(tmp_path_factory) -> tuple[Session, list[str], int]:
    folder, chip = tmp_path_factory.mktemp("never"), Mortal(SimulatedChip(CONFIG), 0, after=False)
    session = train(folder, chip)
    assert chip._chip.info().number >= 5
    return session, lines(folder), -chip._left


def lines(folder: Path) -> list[str]:
    """The trials of the table, without the time that they took."""
    rows = [line.split(",") for line in (folder / "trials.csv").read_text().splitlines()]
    place = rows[0].index("seconds")
    return [",".join(row[:place] + row[place + 1 :]) for row in rows]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_run_killed_at_any_call_goes_on_to_the_bit(tmp_path, never_killed, after) -> None:
    whole, table, calls = never_killed
    killed = 0
    for at in range(1, calls + 1, 1 if calls < 60 else calls // 60):
        folder, chip = tmp_path / str(at), SimulatedChip(CONFIG)
        try:
            train(folder, Mortal(chip, at, after=after))
        except Killed:
            killed += 1
        with pytest.MonkeyPatch.context() as patch:
            done = []
            real = SimulatedChip._note
            patch.setattr(SimulatedChip, "_note", lambda *a, done=done, real=real: (done.append(a[-1]), real(*a))[1])
            session = train(folder, chip)
        assert chip.info().number == int(whole._link.number)
        assert len(set(done)) == len(done), "a program was carried out twice"
        assert lines(folder) == table
        for layer in LAYERS:
            mine, theirs = chip.read(layer, session.device_time), whole.snapshot()[layer]
            assert np.array_equal(mine.conductance, theirs.conductance)
            assert np.array_equal(mine.sets, theirs.sets)
    assert killed >= 40


def test_killed_again_and_again_while_it_catches_up(tmp_path, never_killed) -> None:
    _, table, calls = never_killed
    chip = SimulatedChip(CONFIG)
    for at in itertools.count(calls // 4, 7):
        try:
            train(tmp_path, Mortal(chip, at, after=at % 2 == 0), every=100)
        except Killed:
            continue
        break
    assert at > calls // 2
    assert lines(tmp_path) == table


def test_a_chip_that_stands_elsewhere_than_the_journal_ends_is_not_gone_on_with(tmp_path, never_killed) -> None:
    chip, calls = SimulatedChip(CONFIG), never_killed[2]
    with pytest.raises(Killed):
        train(tmp_path, Mortal(chip, calls * 2 // 3, after=False), every=100)
    for _ in range(3):
        chip.program("output", PulsePlan.build(torch.tensor([0])), chip.clock(), 1, chip.info().number + 1)
    with pytest.raises(ChipError, match=r"chip: stands at program \d+, the run at \d+; expected the same"):
        train(tmp_path, chip, every=100)


def test_a_journal_of_another_run_is_told(tmp_path, never_killed) -> None:
    chip, calls = SimulatedChip(CONFIG), never_killed[2]
    with pytest.raises(Killed):
        train(tmp_path, Mortal(chip, calls // 2, after=False), every=100)
    kept = JournaledChip(chip, tmp_path / "chip.journal", 0)
    kept.go_on(0)
    with pytest.raises(
        FileError, match="chip.journal: is of another run: it does not hold the wait that this one asks"
    ):
        kept.wait(1e6)
    kept.close()


def test_a_checkpoint_that_cannot_be_written_leaves_the_journal_as_it_was(tmp_path, monkeypatch) -> None:
    chip = SimulatedChip(CONFIG)
    with RunFolder(tmp_path) as kept:
        session = Session(CONFIG, kept.journaled(chip))
        kept.begin(session)
        session.step()
        before = (tmp_path / "chip.journal").read_bytes()
        monkeypatch.setattr(Session, "save", lambda *_: (_ for _ in ()).throw(FileError("x", "is full")))
        with pytest.raises(FileError, match="is full"):
            kept.keep(session)
        assert (tmp_path / "chip.journal").read_bytes() == before
        monkeypatch.undo()
        session.step()
    resumed = train(tmp_path, chip)
    never = Session(CONFIG)
    list(never.run(TRIALS))
    assert np.array_equal(resumed.snapshot()["output"].sets, never.snapshot()["output"].sets)


def test_a_journal_that_cannot_be_written_is_named(tmp_path) -> None:
    with pytest.raises(FileError, match="journal: cannot be written .No such file"):
        JournaledChip(SimulatedChip(CONFIG), tmp_path / "gone" / "journal")
