"""CSV tables of other people, as columns of text and numbers that know their lines.

Columns stand apart by commas, semicolons or tabs; where it is not a comma, decimals may have one. Lines that begin
with ``#`` and blank lines are passed over, and count.
"""

from __future__ import annotations

import itertools
import re
import warnings
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pcmsim.errors import FileError
from pcmsim.foundation.quoting import quoted, reason
from training.support import limits, ram

SEPARATORS = (",", ";", "\t")
COMMENT = "#"
LOOKED_AT = 1000
"""Lines below the header in which decimal commas are looked for."""

PER_BYTE = 20.0
"""Bytes in memory for one in the file: a line of six characters becomes three numbers, twice, and its cells' places."""

WITH_UNIT = re.compile(r"(.*?)\s*(?:\((.+)\)|\[(.+)\]|/\s*(.+))")
SECONDS = {"s": 1.0, "sec": 1.0, "seconds": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6}
TIME = "time"
DECIMALS = "; decimal commas need semicolons between the columns"


class Table:
    """A table that was read.

    Parameters
    ----------
    path : Path
        A CSV file in UTF-8.

    Attributes
    ----------
    columns : list of str
        Their names, without units.

    Raises
    ------
    FileError
        If it is no such table.
    PCMLabError
        If it takes more memory than there is.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        ram.check(str(path), PER_BYTE * path.stat().st_size)
        self._pandas = import_module("pandas")
        before, self._between, decimal = _form(path)
        self._frame = self._read(before, decimal)
        self._frame.index += before + 2
        named = [_name_and_scale(str(name)) for name in self._frame.columns]
        self.columns = [name for name, _ in named]
        self._scales = dict(named)
        self._frame.columns = self.columns
        self._frame = self._frame[~self._passed_over()]

    def __len__(self) -> int:
        return len(self._frame)

    @property
    def lines(self) -> npt.NDArray[np.int64]:
        """The line of each row in the file, from 1."""
        return np.asarray(self._frame.index, np.int64)

    def texts(self, name: str) -> npt.NDArray[Any]:
        """A column of texts; an empty one is refused."""
        column = self._frame[name].fillna("").astype(str).str.strip()
        empty = (column == "").to_numpy()
        if empty.any():
            line = self.lines[int(empty.argmax())]
            raise FileError(self.path, f"line {line}, {name}: is empty; expected a {name}")
        return np.array(column, object)

    def numbers(self, name: str) -> npt.NDArray[np.float64]:
        """A column of finite numbers; times in seconds, whatever unit their header names."""
        column = self._frame[name]
        if not self._pandas.api.types.is_numeric_dtype(column):
            column = column.map(_short)
        numbers = self._pandas.to_numeric(column, errors="coerce").to_numpy(np.float64)
        self.refuse(~np.isfinite(numbers), name, "a finite number")
        scaled: npt.NDArray[np.float64] = numbers * self._scales[name]
        return scaled

    def refuse(self, wrong: npt.NDArray[np.bool_], name: str, expected: str) -> None:
        """Raise `FileError` with line, column and content of the first cell that is wrong, if any is."""
        if wrong.any():
            place = int(wrong.argmax())
            cell = self._frame[name].iloc[place]
            said = quoted("" if cell is None or cell != cell else str(cell))  # noqa: PLR0124
            raise FileError(self.path, f"line {self.lines[place]}, {name}: {said} is not {expected}")

    def _read(self, before: int, decimal: str) -> Any:
        try:
            with self.path.open(encoding="utf-8-sig", newline="") as file, warnings.catch_warnings():
                warnings.simplefilter("error")
                return self._pandas.read_csv(
                    file, sep=self._between, decimal=decimal, skiprows=before, dtype={"label": str},
                    keep_default_na=False, index_col=False, skipinitialspace=True, low_memory=False,
                    skip_blank_lines=False,
                )  # fmt: skip
        except (OSError, ValueError, OverflowError, Warning) as error:
            hint = DECIMALS if self._between == "," and not isinstance(error, OSError | UnicodeError) else ""
            raise FileError(self.path, f"cannot be read as a CSV table ({reason(error)}){hint}") from error

    def _passed_over(self) -> npt.NDArray[np.bool_]:
        """Which rows are comments or blank."""
        empty = self._frame.isna() | (self._frame == "")
        first = self._frame.iloc[:, 0]
        numeric = self._pandas.api.types.is_numeric_dtype(first)
        comment = False if numeric else first.astype(str).str.startswith(COMMENT)
        passed: npt.NDArray[np.bool_] = (empty.all(axis=1) | comment).to_numpy()
        return passed


def _form(path: Path) -> tuple[int, str, str]:
    """Lines before the header, what separates the columns, and the sign before decimals.

    Semicolons and tabs leave the comma free for decimals; a table with commas between its columns has points.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            lines = ((number, line) for number, line in enumerate(file) if not _is_passed_over(line))
            before, header = next(lines, (0, ""))
            limits.CSV_HEADER.check(path, len(header))
            between = next((sign for sign in SEPARATORS if sign in header), SEPARATORS[0])
            below = itertools.islice((line for _, line in lines), LOOKED_AT)
            return before, between, "," if between != "," and _has_commas(below) else "."
    except FileError:
        raise
    except (OSError, ValueError) as error:
        raise FileError(path, f"cannot be read as a CSV table ({reason(error)})") from error


def _is_passed_over(line: str) -> bool:
    return not line.strip() or line.startswith(COMMENT)


def _has_commas(lines: Iterator[str]) -> bool:
    return any("," in line for line in lines)


def _name_and_scale(header: str) -> tuple[str, float]:
    """The name of a column, and what one of its numbers is in the unit that is read.

    Examples
    --------
    >>> _name_and_scale("Time [ms]"), _name_and_scale("channel")
    (('time', 0.001), ('channel', 1.0))
    """
    name = header.strip()
    found = WITH_UNIT.fullmatch(name)
    unit = next((unit for unit in found.groups()[1:] if unit), "") if found else ""
    if found and found[1].strip().casefold() == TIME and unit.strip() in SECONDS:
        return TIME, SECONDS[unit.strip()]
    return (name.casefold(), 1.0) if name.isascii() else (name, 1.0)


def _short(cell: Any) -> Any:
    """A cell as text; a number of hundreds of digits is none that anybody measured."""
    return cell if not isinstance(cell, int | str) or len(text := str(cell)) <= 100 else text[:0]
