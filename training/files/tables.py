"""Tables of a run that grow at their end: a line per trial, or per evaluation, on the disk before the checkpoint is."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pcmsim.errors import FileError
from training.writing import replacing

Row = Mapping[str, Any]


class Table:
    """A CSV table whose first column is the trial, and whose lines go on the disk in their order.

    Parameters
    ----------
    path : Path
        Its file.
    columns : sequence of str
        Its columns, ``trial`` first.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.path, self._columns, self._end = path, list(columns), 0

    def check(self) -> bool:
        """Whether the table is there.

        Raises
        ------
        FileError
            If what is there cannot be read, or is another table.
        """
        return any(True for _ in self._lines())

    def begin(self) -> None:
        """An empty table in place of what is there."""
        with replacing(self.path) as made:
            made.write_text(_text([self._columns]), encoding="utf-8")

    def append(self, rows: Sequence[Row]) -> None:
        """Add lines, and have them on the disk; the table is made if it is not there.

        Raises
        ------
        FileError
            If they cannot be written.
        """
        if not rows:
            return
        if not self.path.exists():
            self.begin()
        lines = _text([row[name] for name in self._columns] for row in rows)
        try:
            with self.path.open("ab") as file:
                file.write(lines.encode("utf-8"))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise FileError(self.path, f"cannot be written ({error.strerror})") from error

    def rows(self, last: int) -> Iterator[dict[str, str]]:
        """The lines up to trial `last`; once all are read, `cut` takes away what comes after them.

        After them come trials that were done after the checkpoint, and perhaps a line that a crash cut short.

        Raises
        ------
        FileError
            If the table cannot be read, is another one, or a line of it is damaged.
        """
        self._end = 0
        for number, (cells, end) in enumerate(self._lines()):
            if number and cells[:1] and cells[0].isdecimal() and int(cells[0]) > last:
                break
            if len(cells) != len(self._columns) or (number and not cells[0].isdecimal()):
                raise FileError(self.path, f"is damaged in line {number + 1}; expected {len(self._columns)} values")
            self._end = end
            if number:
                yield dict(zip(self._columns, cells, strict=True))

    def cut(self) -> None:
        """Take away what comes after the lines that were read.

        Raises
        ------
        FileError
            If the table cannot be written.
        """
        try:
            if self.path.exists() and self.path.stat().st_size > self._end:
                os.truncate(self.path, self._end)
        except OSError as error:
            raise FileError(self.path, f"cannot be written ({error.strerror})") from error

    def _lines(self) -> Iterator[tuple[list[str], int]]:
        """The cells of each line, the columns first, and where it ends [bytes]; not of a last one without an end."""
        end = 0
        try:
            with self.path.open("rb") as file:
                for line in file:
                    if end and not line.endswith(b"\n"):
                        return
                    cells = next(csv.reader([line.decode("utf-8")]), [])
                    if not end and cells != self._columns:
                        raise FileError(self.path, self._foreign())
                    end += len(line)
                    yield cells, end
        except FileNotFoundError:
            return
        except (OSError, UnicodeError, csv.Error) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            kind = self.path.stem
            raise FileError(self.path, f"cannot be read ({reason}); expected a table of {kind}, or none") from error

    def _foreign(self) -> str:
        return f"is not a table of {self.path.stem}; expected the columns {', '.join(self._columns)}"


def _text(lines: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue()
