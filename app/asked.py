"""Settings that a stranger asks for, as text: what is allowed applies, the rest is told.

Every value is checked by its own field alone, then all are tried together. Nothing here opens a
file: a device is chosen from the known ones, and free text is refused.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from app.limits import check_size
from pcmsim.errors import FieldError, PCMLabError
from pcmsim.foundation.quoting import quoted
from pcmsim.foundation.texts import Text
from pcmsim.presets import DEVICES
from pcmsim.quantity import Quantity, quantities
from pcmsim.registry import Registry
from training import codec
from training.config import RunConfig
from training.schemes import SCHEMES
from training.tasks import TASKS

NONE = "none"
CONSTANTS = "device.constants"
FAMILIES: dict[str, Registry[Any]] = {"scheme": SCHEMES, "task": TASKS}
LONGEST = 80
PASSES = 3

HARMLESS = str.maketrans("<>", "‹›")


def shown(text: str) -> str:
    """Foreign text for a sentence: at most 80 printable characters, and never HTML.

    Examples
    --------
    >>> shown("<b>" + chr(10))
    '‹b›�'
    """
    short = text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
    return "".join(char if char.isprintable() else "�" for char in short).translate(HARMLESS)


def apply(base: RunConfig, asked: Mapping[str, str]) -> tuple[RunConfig, list[str]]:
    """A configuration with what is asked of it, as far as it is allowed.

    Parameters
    ----------
    base : RunConfig
        What to begin with.
    asked : mapping of str to str
        Values by dotted name. ``scheme.name`` and ``task.name`` change the kind and begin with its
        defaults; ``device.constants`` may be ``none``, to begin without the base's constants.

    Returns
    -------
    config : RunConfig
        Within `app.limits`.
    problems : list of str
        One sentence for each key that was dropped.
    """
    chosen, problems = _valid({key: text for key, text in asked.items() if key in _choices()}, _choices())
    others = {key: text for key, text in asked.items() if key not in _choices()}
    values, more = _valid(others, dict(_settings(base, chosen)))
    values = chosen | values
    misfits = {} if _misfit(base, values) is None else _misfits(base, values)
    fitting = {key: value for key, value in values.items() if key not in misfits}
    return _built(base, fitting), [*problems, *more, *(_sentence(key, asked[key], e) for key, e in misfits.items())]


def _choices() -> dict[str, Quantity]:
    """The keys that decide which other keys there are."""
    names = {f"{family}.name": tuple(members) for family, members in FAMILIES.items()}
    every = {**names, "device.preset": tuple(DEVICES), CONSTANTS: (NONE,)}
    return {key: Quantity(str, choices=choices) for key, choices in every.items()}


def _settings(base: RunConfig, chosen: Mapping[str, Any]) -> Iterator[tuple[str, Quantity]]:
    """The other keys that there are with the chosen scheme, task and device."""
    yield from ((name, about) for name, about in _declared(base) if name.split(".")[0] not in FAMILIES)
    owners: dict[str, Any] = {CONSTANTS: DEVICES[chosen.get("device.preset", base.device.preset)]()}
    for family, members in FAMILIES.items():
        owners[family] = members[chosen.get(f"{family}.name", codec.name_of(getattr(base, family)))]
    for place, owner in owners.items():
        yield from ((f"{place}.{name}", about) for name, about in quantities(owner).items())


def _declared(owner: Any, path: str = "") -> Iterator[tuple[str, Quantity]]:
    yield from ((f"{path}{name}", about) for name, about in quantities(owner).items())
    for f in dataclasses.fields(owner):
        if dataclasses.is_dataclass(getattr(owner, f.name)):
            yield from _declared(getattr(owner, f.name), f"{path}{f.name}.")


def _valid(asked: Mapping[str, str], known: Mapping[str, Quantity]) -> tuple[dict[str, Any], list[str]]:
    """The values that their own fields allow, whatever the others hold; a sentence for each other."""
    values: dict[str, Any] = {}
    problems = []
    for key, text in asked.items():
        try:
            values[key] = _value(key, text, known)
        except FieldError as error:
            problems.append(str(error))
    return values, problems


def _value(key: str, text: str, known: Mapping[str, Quantity]) -> Any:
    if key not in known:
        near = difflib.get_close_matches(key[:LONGEST], known, n=2, cutoff=0.0)
        raise FieldError("address", f"made of settings, such as {' and '.join(near)}", shown(key))
    about = known[key]
    if about.kind is str and not about.choices:
        raise FieldError(key, "left out of an address, as free text may name a file", shown(text))
    value = text if len(text) > LONGEST else about.read(Text(text))
    if not about.accepts(value):
        raise FieldError(key, about.allowed, shown(text))
    return value


def _misfits(base: RunConfig, values: Mapping[str, Any]) -> dict[str, PCMLabError]:
    """Values that do not fit with the others, taken one by one; each has several turns.

    One may fit only with another that comes after it.
    """
    kept: dict[str, Any] = {}
    errors: dict[str, PCMLabError] = {}
    for _ in range(PASSES):
        errors = {}
        for key in [key for key in values if key not in kept]:
            error = _misfit(base, {**kept, key: values[key]})
            if error is None:
                kept[key] = values[key]
            else:
                errors[key] = error
    return errors


def _misfit(base: RunConfig, values: Mapping[str, Any]) -> PCMLabError | None:
    try:
        _built(base, values)
    except PCMLabError as error:
        return error
    return None


def _built(base: RunConfig, values: Mapping[str, Any]) -> RunConfig:
    """The base with the values: new kinds first, then their fields."""
    first: dict[str, Any] = {CONSTANTS: {}} if CONSTANTS in values else {}
    for family, members in FAMILIES.items():
        name = values.get(f"{family}.name")
        if name is not None and name != codec.name_of(getattr(base, family)):
            first[family] = codec.encode(members[name]())
    decided = (CONSTANTS, *(f"{family}.name" for family in FAMILIES))
    config = base.with_values({**first, **{name: value for name, value in values.items() if name not in decided}})
    check_size(config)
    return config


def _sentence(key: str, text: str, error: PCMLabError) -> str:
    if isinstance(error, FieldError) and error.field.rsplit(".", 1)[-1] == key.rsplit(".", 1)[-1]:
        return str(FieldError(key, error.expected, text))
    return f"{key}: {quoted(text)} does not fit: {error}"
