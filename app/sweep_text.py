"""A sweep as the text that a person writes: the example, what a page may be asked for, and a sweep as text."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import yaml

from pcmsim.errors import FieldError, PCMLabError
from pcmsim.foundation.documents import DocumentError, parse_yaml
from training import grid
from training.sweep import Sweep

EXAMPLE = """\
name: bits-and-mismatch
preset: mixed-precision
fields:  # every combination is run
  precision.weight_bits: [2, 3, 4, 6]
  # these two vary together
  device.mismatch.step, device.mismatch.g_max:
    [0, 0.1, 0.2, 0.4]
seeds: {from: 1, number: 3}
trials: 150
metric: loss
"""
LONGEST = 20_000
MOST_VALUES = 1000
"""Values of all fields, once for each case: each is checked by itself, which takes a millisecond or two."""


def read(text: str) -> Sweep:
    """The sweep that a text asks for.

    Parameters
    ----------
    text : str
        YAML, see `training.sweep.Sweep`; which files it may name is for `pcmsim.foundation.confinement` to say.

    Raises
    ------
    PCMLabError
        If the text is too long or holds too many values, or asks for no sweep, or for what it may not.

    Examples
    --------
    >>> read(EXAMPLE).size
    48
    """
    if len(text) > LONGEST:
        raise FieldError("sweep", f"at most {LONGEST} characters", len(text))
    try:
        _refuse_many(parse_yaml(text))
    except DocumentError as error:
        raise PCMLabError(f"sweep: {error}") from error
    return Sweep.from_text(text)


def written(about: Mapping[str, Any]) -> str:
    """A sweep's plain values as a short text: what is as usual is left out.

    Examples
    --------
    >>> print(written(Sweep("grain", fields={"precision.weight_bits": [2, 4]}, seeds=[1]).to_dict()))
    name: grain
    fields:
      precision.weight_bits: [2, 4]
    seeds: [1]
    <BLANKLINE>
    """
    usual = {f.name: f.default if f.default is not dataclasses.MISSING else {} for f in dataclasses.fields(Sweep)}
    told = {name: value for name, value in about.items() if name == "name" or value != _listed(usual.get(name))}
    return yaml.safe_dump(told, sort_keys=False, allow_unicode=True, default_flow_style=None, width=60)


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _refuse_many(data: Any) -> None:
    """What is no sweep at all is told of where it is built."""
    fields, cases = (data.get(name) if isinstance(data, Mapping) else None for name in ("fields", "cases"))
    if not isinstance(fields, Mapping):
        return
    values = sum(len(grid.axis(name, values).values) for name, values in fields.items())
    number = values * max(1, len(cases) if isinstance(cases, Mapping) else 0)
    if number > MOST_VALUES:
        raise FieldError("Sweep.fields", f"at most {MOST_VALUES} values on the page, counted for each case", number)
