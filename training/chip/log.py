"""A log of exchanges with a chip, from which it is brought back to where it stood, to the bit.

A program or a wait is carried out, appended to the log, forced onto the disk, and only then acknowledged. Who
asks again after a crash, because no acknowledgement came, finds the exchange either done and in the log or not
done at all. For a simulated chip, whose devices die with their process, the replayed log is their memory; a
real one acknowledges what it has carried out already.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import operator
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from pcmsim.errors import FieldError, FileError, PCMLabError
from pcmsim.foundation.paths import expanded
from pcmsim.foundation.quoting import quoted, reason
from pcmsim.plan import Plan
from training.chip import checks, wire
from training.chip.base import CALLS, PROTOCOL, Chip, ChipError, ChipInfo, LayerRead
from training.chip.frames import entries, framed
from training.neurons import Floats
from training.spikes import Spikes

REMEMBERED = 64
"""Programs whose content is remembered, to tell a repeated one from another one of the same number."""


AGREE = {"program": operator.ge, "wait": operator.ge}
"""Where an answer need not be the same: a real chip may have gone on after the log ended."""


class LoggedChip(Chip):
    """A chip whose exchanges are logged; one that has a log begins where the log ends.

    Parameters
    ----------
    chip : Chip
        A fresh simulated chip, or a real one.
    path : str or Path
        The log; made if there is none.
    origin : mapping
        Configuration of the chip: a log goes on only with the same.
    answers : bool
        Whether sums and reads are logged too, by their digests.

    Raises
    ------
    FileError
        If the log cannot be written, is damaged, or is of another chip.
    """

    def __init__(self, chip: Chip, path: str | Path, origin: Mapping[str, Any], *, answers: bool = False) -> None:
        self._chip, self._answers, self._known = chip, answers, dict[int, bytes]()
        self._file = _opened(expanded(path))
        try:
            self._begin(expanded(path), dict(origin))
        except PCMLabError:
            self.close()
            raise

    def info(self) -> ChipInfo:
        """See `Chip.info`."""
        return self._chip.info()

    def program(self, layer: str, plan: Plan, now: float, key: int, number: int) -> int:
        """See `Chip.program`; raises `FieldError` also if another program has been carried out as `number`."""
        chip, arguments = self._logged(), [layer, plan, now, key, number]
        content, before = _digest(arguments), chip.info().number
        checks.whole("number", number, 1)
        if self._known.get(number, content) != content:
            raise FieldError("number", f"{before + 1}, the next: another program has been carried out as this", number)
        done = chip.program(layer, plan, now, key, number)
        if done > before:
            self._append(["program", arguments, done])
            self._remember(number, content)
        return done

    def mvm(self, layer: str, rows: Spikes, first: int, now: float, key: int) -> Floats:
        """See `Chip.mvm`."""
        sums = self._chip.mvm(layer, rows, first, now, key)
        self._note("mvm", [layer, rows, first, now, key], sums)
        return sums

    def read(self, layer: str, now: float) -> LayerRead:
        """See `Chip.read`."""
        found = self._chip.read(layer, now)
        self._note("read", [layer, now], found)
        return found

    def clock(self) -> float:
        """See `Chip.clock`."""
        return self._chip.clock()

    def wait(self, until: float) -> float:
        """See `Chip.wait`."""
        chip = self._logged()
        before, clock = chip.clock(), chip.wait(until)
        if clock != before:
            self._append(["wait", [until], clock])
        return clock

    def close(self) -> None:
        """Let go of the log."""
        self._file.close()

    def _begin(self, path: Path, origin: dict[str, Any]) -> None:
        good = self._replayed(path, origin) if os.fstat(self._file.fileno()).st_size else 0
        self._file.truncate(good)
        if not good:
            self._append([PROTOCOL, origin])

    def _logged(self) -> Chip:
        """The chip, to be changed: only while its log can be written."""
        if self._file.closed:
            raise _broken("it is closed")
        return self._chip

    def _note(self, call: str, arguments: list[Any], answer: Any) -> None:
        if self._answers:
            self._append([call, arguments, _digest(answer)], durable=False)

    def _append(self, entry: list[Any], *, durable: bool = True) -> None:
        """Onto the disk, or no further change: the chip must not be ahead of its log."""
        data = framed(wire.pack(entry))
        try:
            if self._file.write(data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if durable:
                os.fsync(self._file.fileno())
        except (OSError, ValueError) as error:
            self._file.close()
            raise _broken(error) from error

    def _remember(self, number: int, content: bytes) -> None:
        self._known[number] = content
        self._known.pop(number - REMEMBERED, None)

    def _replayed(self, path: Path, origin: dict[str, Any]) -> int:
        """Carry out what the log holds; the length [bytes] of its whole entries."""
        good = 0
        for entry, end in _entries(path):
            if good == 0:
                _check_origin(path, entry, origin)
            elif _exchange(entry, path)[0] in ("program", "wait"):
                _repeat(self._chip, entry, path)
                if entry[0] == "program":
                    self._remember(entry[1][4], _digest(entry[1]))
            good = end
        return good


def _broken(reason: object) -> ChipError:
    return ChipError(f"log: cannot be written ({reason}); expected the chip started again on it")


def origin(path: str | Path) -> dict[str, Any]:
    """The configuration of the chip that a log is of.

    Raises
    ------
    FileError
        If there is no such log, or it is damaged.
    """
    for entry, _ in _entries(expanded(path)):
        _check_origin(expanded(path), entry, None)
        found: dict[str, Any] = entry[1]
        return found
    raise FileError(path, "is empty; expected a log of a chip")


def replay(path: str | Path, chip: Chip) -> int:
    """Repeat the exchanges of a log with a fresh chip.

    Returns
    -------
    int
        How many there are; all answers are the same.

    Raises
    ------
    FileError
        If an answer differs, or the log is damaged.
    """
    exchanges = [entry for entry, _ in _entries(expanded(path))][1:]
    for entry in exchanges:
        _repeat(chip, entry, expanded(path))
    return len(exchanges)


def _repeat(chip: Chip, entry: list[Any], path: Path) -> None:
    call, arguments, answer = _exchange(entry, path)
    try:
        found = getattr(chip, call)(*arguments)
        found = _digest(found) if isinstance(answer, bytes) else found
        agrees = bool(AGREE.get(call, operator.eq)(found, answer))
    except ChipError:
        raise
    except (TypeError, ValueError) as error:
        raise FileError(path, f"does not fit the chip: {reason(error)}") from error
    if not agrees:
        what = quoted(arguments[0]) if arguments else "nothing"
        raise FileError(path, f"holds another answer to {call} of {what} than this chip gives")


def _exchange(entry: Any, path: Path) -> tuple[str, list[Any], Any]:
    if not (isinstance(entry, list) and len(entry) == 3 and isinstance(entry[1], list)):
        raise FileError(path, f"is damaged: expected a call, its arguments and its answer, got {quoted(entry)}")
    call, arguments, answer = entry
    if call not in CALLS:
        raise FileError(path, f"is damaged: expected one of {', '.join(CALLS)}, got {quoted(call)}")
    return call, arguments, answer


def _digest(value: Any) -> bytes:
    return hashlib.blake2b(wire.pack(value), digest_size=16).digest()


def _entries(path: Path) -> Iterator[tuple[list[Any], int]]:
    """Whole entries and where each ends; a last one that a crash cut short is left out."""
    return ((wire.unpack(data), end) for data, end in entries(path))


def _opened(path: Path) -> BinaryIO:
    """The log, ours alone."""
    try:
        file = path.open("ab", buffering=0)
    except OSError as error:
        raise FileError(path, f"cannot be written ({error.strerror})") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise FileError(path, "is the log of a chip that runs; expected one of its own") from error
    return file


def _check_origin(path: Path, entry: Any, expected: dict[str, Any] | None) -> None:
    if not (isinstance(entry, list) and len(entry) == 2 and isinstance(entry[1], dict)):
        raise FileError(path, "is not a log of a chip")
    if entry[0] != PROTOCOL:
        raise FileError(path, f"is a log of version {entry[0]} of the protocol; expected {PROTOCOL}")
    if expected is not None and wire.unpack(wire.pack(expected)) != entry[1]:
        raise FileError(path, "is a log of a chip of another configuration; expected its own")
