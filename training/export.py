"""A run for elsewhere: what differs from a preset, a program, a command line, tables.

A run is a preset and a few changes, and that is how it is passed on: the changes alone are short
enough to read, and together with the preset they give the same configuration again.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow
import yaml
from pyarrow import parquet

from pcmsim.errors import FieldError
from training import codec
from training.config import RunConfig
from training.presets import PRESETS

PROGRAM = """\
from training.presets import PRESETS
from training.session import Session

config = PRESETS[{preset}].config{changes}
session = Session(config)
for record in session.run({trials}):
    print(record.trial, record.loss)

session.save({file})
"""

Columns = Mapping[str, npt.ArrayLike]
"""Equally long columns by name: numbers, truth values or text."""


def difference(config: RunConfig, preset_config: RunConfig) -> dict[str, Any]:
    """What turns one configuration into another.

    Parameters
    ----------
    config : RunConfig
        The configuration to arrive at.
    preset_config : RunConfig
        The one to begin with.

    Returns
    -------
    dict
        Plain values by dotted name, in the order of the fields, such that
        ``preset_config.with_values(difference(config, preset_config)) == config``. A scheme or task
        of another kind stands whole: its name, or a mapping of its name and of what differs from
        its defaults. Constants stand whole where one of the preset's has gone.

    Examples
    --------
    >>> base = RunConfig()
    >>> difference(base.with_values({"seed": 7, "scheme": {"name": "sign", "threshold": 20.0}}), base)
    {'seed': 7, 'scheme': {'name': 'sign', 'threshold': 20.0}}
    """
    return dict(_changes(preset_config, config, ""))


def _changes(old: Any, new: Any, path: str) -> Iterator[tuple[str, Any]]:
    for name in (f.name for f in dataclasses.fields(new)):
        before, after, place = getattr(old, name), getattr(new, name), f"{path}{name}"
        if isinstance(after, Mapping):
            yield from _constants(before, after, place)
        elif not dataclasses.is_dataclass(after):
            yield from [(place, after)] if before != after else []
        elif type(before) is type(after):
            yield from _changes(before, after, f"{place}.")
        else:
            yield place, _member(after)


def _constants(before: Mapping[str, Any], after: Mapping[str, Any], place: str) -> Iterator[tuple[str, Any]]:
    plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in after.items()}
    if before.keys() - plain.keys():
        yield place, plain
        return
    yield from ((f"{place}.{n}", value) for n, value in plain.items() if n not in before or before[n] != value)


def _member(member: Any) -> str | dict[str, Any]:
    """A scheme or task by name alone, or with what differs from its defaults."""
    name, defaults = codec.name_of(member), codec.encode(type(member)())
    own = {field: value for field, value in codec.encode(member).items() if value != defaults[field]}
    return {"name": name, **own} if own else name


def snippet(config: RunConfig, preset: str, trials: int) -> str:
    """A Python program that trains this run with the library and saves a checkpoint.

    Parameters
    ----------
    config : RunConfig
        The run.
    preset : str
        Name of the preset that it is told from.
    trials : int
        How many trials to train, >= 1.

    Returns
    -------
    str

    Raises
    ------
    UnknownNameError
        If there is no such preset.
    FieldError
        If `trials` is not a whole number >= 1.

    Examples
    --------
    >>> print(snippet(RunConfig(), "mixed-precision", 0))
    Traceback (most recent call last):
        ...
    pcmsim.errors.FieldError: trials: must be a whole number >= 1, got 0
    """
    entries = "".join(f"    {_python(name)}: {_python(value)},\n" for name, value in _told(config, preset).items())
    changes = f".with_values({{\n{entries}}})" if entries else ""
    file = _python(f"{preset}.safetensors")
    return PROGRAM.format(preset=_python(preset), changes=changes, trials=_count(trials), file=file)


def command(config: RunConfig, preset: str, trials: int) -> str:
    """The line for a shell that trains this run and keeps its results; see `snippet`."""
    told = [f"{name}={_written(value)}" for name, value in _told(config, preset).items()]
    words = [word for setting in told for word in ("--set", setting)]
    return shlex.join(["pcmlab", "run", preset, *words, "--trials", str(_count(trials)), "--out", f"runs/{preset}"])


def _told(config: RunConfig, preset: str) -> dict[str, Any]:
    return difference(config, PRESETS[preset].config)


def _count(trials: int) -> int:
    if not isinstance(trials, int) or isinstance(trials, bool) or trials < 1:
        raise FieldError("trials", "a whole number >= 1", trials)
    return trials


def _python(value: Any) -> str:
    """A literal, in double quotes where that is plain."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_python(name)}: {_python(part)}" for name, part in value.items()) + "}"
    if isinstance(value, str) and value.isprintable() and not {'"', "\\"} & set(value):
        return f'"{value}"'
    return repr(value)


def _written(value: Any) -> str:
    """A value as `training.loading.settings` reads it: text as it is, several values in braces as YAML."""
    if isinstance(value, Mapping):
        return yaml.safe_dump(
            value, sort_keys=False, allow_unicode=True, default_flow_style=True, width=math.inf
        ).strip()
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)


def to_csv(columns: Columns) -> bytes:
    """Columns as comma-separated values: UTF-8, a line of names, numbers to the last digit.

    Parameters
    ----------
    columns : mapping of str to array_like
        Equally long, one-dimensional columns; not-a-number becomes an empty cell.

    Returns
    -------
    bytes

    Raises
    ------
    FieldError
        If there is no column, or one is of the wrong shape, length or type.

    Examples
    --------
    >>> to_csv({"trial": [0, 1], "loss": [0.25, float("nan")]}).decode().splitlines()
    ['trial,loss', '0,0.25', '1,']
    """
    table = _table(columns)
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table)
    writer.writerows(zip(*map(_cells, table.values()), strict=True))
    return text.getvalue().encode("utf-8")


def _cells(column: npt.NDArray[Any]) -> list[Any]:
    return ["" if isinstance(value, float) and math.isnan(value) else value for value in column.tolist()]


def to_parquet(columns: Columns) -> bytes:
    """Columns as an Apache Parquet file, types kept, null for what is not a number; see `to_csv`."""
    table = {name: pyarrow.array(column, from_pandas=True) for name, column in _table(columns).items()}
    file = io.BytesIO()
    parquet.write_table(pyarrow.table(table), file)
    return file.getvalue()


def _table(columns: Columns) -> dict[str, npt.NDArray[Any]]:
    """The columns as arrays of one length."""
    if not columns:
        raise FieldError("columns", "at least one column", len(columns))
    table = {name: _column(name, values) for name, values in columns.items()}
    first, expected = next((name, len(column)) for name, column in table.items())
    for name, column in table.items():
        if len(column) != expected:
            raise FieldError(f"columns.{name}", f"as long as {first}, {expected} rows", len(column))
    return table


def _column(name: str, values: npt.ArrayLike) -> npt.NDArray[Any]:
    try:
        column = np.asarray(values)
    except ValueError as error:
        raise FieldError(f"columns.{name}", "one-dimensional", "rows of different lengths") from error
    if column.ndim != 1:
        raise FieldError(f"columns.{name}", "one-dimensional", column.shape)
    if column.dtype.kind != "U" and not np.can_cast(column.dtype, np.float64):
        raise FieldError(f"columns.{name}", "numbers, truth values or text", str(column.dtype))
    return column
