"""Rows as Parquet files whose columns are known; what does not exist, such as the accuracy of a regression, is null.

An engine that sorts a NaN above all numbers would find it in comparisons that mean a large number.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from pcmsim.errors import FileError
from pcmsim.foundation.quoting import reason

KINDS = {str: pa.string(), int: pa.int64(), float: pa.float64()}
Columns = Mapping[str, type]


def write(path: Path, rows: Sequence[Mapping[str, Any]], columns: Columns) -> None:
    """Write rows to a file.

    Parameters
    ----------
    path : Path
        The file.
    rows : sequence of mapping
        Values by column.
    columns : mapping of str to type
        Names of the columns, and what they hold.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    values = [pa.array([row[name] for row in rows], KINDS[kind], from_pandas=True) for name, kind in columns.items()]
    with path.open("wb") as file:  # a name with a colon would be taken for a URL
        parquet.write_table(pa.Table.from_arrays(values, schema=_schema(columns)), file)


def read(files: Iterable[Path], columns: Columns) -> pd.DataFrame:
    """Files below each other; one that another process just removed is left out.

    Parameters
    ----------
    files : iterable of Path
        From `write`.
    columns : mapping of str to type
        What they hold.

    Raises
    ------
    FileError
        If one is damaged.
    """
    tables = [_schema(columns).empty_table()]
    for file in files:
        with contextlib.suppress(FileNotFoundError):
            tables.append(_table(file, columns))
    return pa.concat_tables(tables).to_pandas()


def _schema(columns: Columns) -> pa.Schema:
    return pa.schema([(name, KINDS[kind]) for name, kind in columns.items()])


def _table(path: Path, columns: Columns) -> pa.Table:
    try:
        with path.open("rb") as file:
            return parquet.ParquetFile(file).read().select(list(columns)).cast(_schema(columns))
    except FileNotFoundError:
        raise
    except (OSError, pa.ArrowException, LookupError, ValueError) as error:  # arrow says so in all of these
        raise FileError(path, f"is damaged or not a file of the run store ({reason(error)})") from error


@contextlib.contextmanager
def failing_as_damaged(path: Path) -> Iterator[None]:
    """Raise `FileError` where what a file holds is none of what it should be."""
    try:
        yield
    except FileError:
        raise
    except (LookupError, TypeError, ValueError, RecursionError) as error:
        raise FileError(path, f"is damaged: it holds no row of a run ({reason(error)})") from error
