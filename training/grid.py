"""What a sweep varies: lists of values, or ranges of numbers; each checked before anything runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pcmsim.errors import FieldError, UnknownNameError
from pcmsim.foundation import texts
from pcmsim.quantity import Quantity, quantities
from training import codec
from training.config import RunConfig

MOST = 10_000
"""Values of one axis."""

DIGITS = 12
"""Digits of the numbers of a range: 0.3, not 0.30000000000000004."""

RANGE = {
    "from": Quantity(float, doc="The first number"),
    "to": Quantity(float, doc="The last number"),
    "number": Quantity(int, minimum=2, maximum=MOST, doc="How many"),
    "log": Quantity(bool, doc="Equal ratios in place of equal distances"),
}
SEED = quantities(RunConfig())["seed"]
SEEDS = {"from": SEED, "number": Quantity(int, minimum=1, maximum=2**40, doc="How many, one after another")}


@dataclass(frozen=True)
class Axis:
    """Settings that vary together.

    Parameters
    ----------
    names : tuple of str
        Dotted names; all take the same value, and the first names the axis.
    values : tuple
        Plain values, each once.
    """

    names: tuple[str, ...]
    values: tuple[Any, ...]


def axis(name: Any, values: Any) -> Axis:
    """An axis as it is written: names with commas between, and a list of values or ``{from, to, number, log}``.

    Raises
    ------
    FieldError, UnknownNameError
        If there are no values, too many, one twice, or the range is none.

    Examples
    --------
    >>> axis("learning.lr_input", {"from": 1e-5, "to": 1e-3, "number": 3, "log": True}).values
    (1e-05, 0.0001, 0.001)
    """
    where = f"Sweep.fields.{name}"
    values = values if isinstance(values, list | tuple) else texts.plain(values)
    found = _spaced(where, values) if isinstance(values, Mapping) else values
    if not isinstance(found, list | tuple) or not 1 <= len(found) <= MOST:
        raise FieldError(where, f"a list of 1 to {MOST} values, or {{from, to, number, log}}", values)
    if len({json.dumps(value, sort_keys=True, default=str) for value in found}) < len(found):
        raise FieldError(where, "a list of values, each once", values)
    return Axis(tuple(part.strip() for part in str(name).split(",")), tuple(found))


def typed(config: RunConfig, values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as a sweep names them, their texts read as the fields of a configuration take them.

    Parameters
    ----------
    config : RunConfig
        Where they will stand.
    values : mapping
        By name, or by names with commas between, a value, a list of values, or ``{from, to, number, log}``.
    """
    return {str(names): _typed(config, str(names).split(",")[0].strip(), value) for names, value in values.items()}


def _typed(config: RunConfig, name: str, value: Any) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(_typed(config, name, one) for one in value)
    if isinstance(value, Mapping) and "from" in value:
        return texts.plain(value)
    return codec.typed(config, name, value)


def seeds(given: Any) -> Sequence[int]:
    """Seeds as they are written: a list, or ``{from, number}``.

    Raises
    ------
    FieldError, UnknownNameError
        If there are none, one twice, or one is no seed.
    """
    if isinstance(given, Mapping):
        held = _entries("Sweep.seeds", SEEDS, {"from": 1, **given})
        return range(held["from"], held["from"] + held["number"])
    if not isinstance(given, Sequence) or isinstance(given, str) or not given:
        raise FieldError("Sweep.seeds", "a list of at least one seed, or {from, number}", given)
    for seed in given:
        if not SEED.accepts(seed):
            raise FieldError("Sweep.seeds", SEED.allowed, seed)
    if not isinstance(given, range) and len({*given}) < len(given):
        raise FieldError("Sweep.seeds", "a list of seeds, each once", given)
    return given


def told(value: Any) -> Any:
    """A value as it stands in a table: a scheme or task by its name and what is set of it.

    Examples
    --------
    >>> told(4), told({"name": "sign", "threshold": 20.0})
    (4, 'sign threshold=20.0')
    """
    if isinstance(value, Mapping):
        name = [str(value["name"])] if "name" in value else []
        return " ".join([*name, *(f"{key}={told(one)}" for key, one in value.items() if key != "name")])
    return value if value is None or isinstance(value, bool | int | float | str) else json.dumps(value, default=str)


def _spaced(where: str, given: Mapping[str, Any]) -> list[Any]:
    """Numbers at equal distances or ratios; whole ones if all of them are and the ends are written so."""
    held = _entries(where, RANGE, {"log": False, **given})
    first, last = held["from"], held["to"]
    if held["log"] and min(first, last) <= 0.0:
        raise FieldError(where, "from and to above 0 for equal ratios", dict(given))
    space = np.geomspace if held["log"] else np.linspace
    numbers = [float(f"{number:.{DIGITS}g}") for number in space(first, last, held["number"])]
    whole = isinstance(first, int) and isinstance(last, int) and all(number.is_integer() for number in numbers)
    return [int(number) for number in numbers] if whole else numbers


def _entries(where: str, known: Mapping[str, Quantity], given: Mapping[str, Any]) -> dict[str, Any]:
    for name in given:
        if name not in known:
            raise UnknownNameError(f"entry of {where}", str(name), known)
    for name, about in known.items():
        if not about.accepts(given.get(name)):
            raise FieldError(f"{where}.{name}", about.allowed, given.get(name))
    return dict(given)
