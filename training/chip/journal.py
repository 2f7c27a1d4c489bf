"""A run's own journal of what its chip answers: killed in the middle of a trial, the run asks once more, and goes on.

From each checkpoint on, every answer is written down, and is on the disk before the next program is sent. A run that
goes on from the checkpoint asks the same again, in the same order, and gets the same from the journal, until that ends
where the run was killed; from there on the chip itself answers. No program has been carried out in between, but
perhaps the one that was under way: it is sent again under its number, and acknowledged. So a chip that cannot go back,
because its devices cannot, meets each program once, whoever is killed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from pcmsim.errors import FileError
from pcmsim.plan import Plan
from training.chip import wire
from training.chip.base import Chip, ChipError, ChipInfo, LayerRead
from training.chip.frames import entries, framed
from training.neurons import Floats
from training.spikes import Spikes

MARK = "checkpoint"


class JournaledChip(Chip):
    """A chip whose answers are written down; nothing is before `go_on`, so that a run can be made first.

    Parameters
    ----------
    chip : Chip
        The chip.
    path : Path
        The journal.
    trial : int, optional
        Trials of the checkpoint that the run goes on from; a new run begins a new journal.

    Raises
    ------
    FileError
        If the journal is damaged.
    """

    def __init__(self, chip: Chip, path: Path, trial: int | None = None) -> None:
        self._chip, self._path, self._live = chip, path, False
        self._info: ChipInfo | None = None
        self._known, end = deque[bytes](), 0
        if trial is not None and path.exists():
            end = self._read(trial)
        self._number, self._behind = self.info().number, bool(self._known)
        self._file = _opened(path, end)

    @property
    def replaying(self) -> bool:
        """Whether the run still catches up with what it had done."""
        return bool(self._known)

    def go_on(self, trial: int) -> None:
        """Answer from the journal as far as it reaches, and write down what the chip answers from there on."""
        if self._info is None:
            self._mark(trial)
        self._live = True

    @contextlib.contextmanager
    def checkpoint(self, trial: int) -> Iterator[None]:
        """Around the writing of a checkpoint: the journal begins anew with it, whichever of the two is on the disk."""
        before, self._live = (self._info, self._number, os.fstat(self._file.fileno()).st_size), False
        self._mark(trial)
        try:
            yield
        except BaseException:
            self._info, self._number, end = before
            self._file.truncate(end)
            raise
        else:
            self._file.truncate(0)
            self._mark(trial)
        finally:
            self._live = True

    def info(self) -> ChipInfo:
        """See `Chip.info`; where the chip stood at the checkpoint, until the run goes on from there."""
        return self._info if self._info is not None and not self._live else self._chip.info()

    def program(self, layer: str, plan: Plan, now: float, key: int, number: int) -> int:
        """See `Chip.program`."""
        self._number = int(self._answer("program", layer, plan, now, key, number))
        return self._number

    def mvm(self, layer: str, rows: Spikes, first: int, now: float, key: int) -> Floats:
        """See `Chip.mvm`."""
        sums: Floats = self._answer("mvm", layer, rows, first, now, key)
        return sums

    def read(self, layer: str, now: float) -> LayerRead:
        """See `Chip.read`."""
        found: LayerRead = self._answer("read", layer, now)
        return found

    def clock(self) -> float:
        """See `Chip.clock`."""
        return float(self._answer("clock"))

    def wait(self, until: float) -> float:
        """See `Chip.wait`."""
        return float(self._answer("wait", until))

    def close(self) -> None:
        """Write down no more; the chip still answers."""
        self._live = False
        self._file.close()

    def _answer(self, call: str, *arguments: Any) -> Any:
        if not self._live:
            return getattr(self._chip, call)(*arguments)
        asked = hashlib.blake2b(wire.pack([call, list(arguments)]), digest_size=16).digest()
        if self._known:
            return self._recalled(asked, call)
        if self._behind:
            self._meet(arguments[-1] if call == "program" else self._number)
        if call == "program":
            os.fsync(self._file.fileno())
        answer = getattr(self._chip, call)(*arguments)
        self._append([asked, answer])
        return answer

    def _recalled(self, asked: bytes, call: str) -> Any:
        known, answer = wire.unpack(self._known.popleft())
        if known != asked:
            raise FileError(self._path, f"is of another run: it does not hold the {call} that this one asks for next")
        return answer

    def _meet(self, number: int) -> None:
        """The chip must stand where the run does, or one further if it had not acknowledged its last program."""
        here, self._behind = self._chip.info().number, False
        if here not in (self._number, number):
            raise ChipError(f"chip: stands at program {here}, the run at {self._number}; expected the same")

    def _mark(self, trial: int) -> None:
        self._info = self._chip.info()
        self._append([MARK, trial, self._info])
        self._number = self._info.number

    def _append(self, entry: list[Any]) -> None:
        data = framed(wire.pack(entry))
        try:
            written = self._file.write(data)
        except OSError as error:
            raise FileError(self._path, f"cannot be written ({error.strerror})") from error
        if written != len(data):
            raise FileError(self._path, "cannot be written (No space left on device)")

    def _read(self, trial: int) -> int:
        """Take over what follows the mark of a checkpoint; where that ends [bytes]."""
        good = 0
        for data, end in entries(self._path):
            entry = wire.unpack(data)
            if entry[0] == MARK:
                if entry[1] == trial:
                    self._info = entry[2]
                    self._known.clear()
                elif self._info is not None:
                    break
            elif self._info is not None:
                self._known.append(data)
            good = end
        return good if self._info is not None else 0


def _opened(path: Path, end: int) -> BinaryIO:
    """The journal, without what a crash cut short."""
    try:
        file = path.open("ab", buffering=0)
        file.truncate(end)
    except OSError as error:
        raise FileError(path, f"cannot be written ({error.strerror})") from error
    return file
