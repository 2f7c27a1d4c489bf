"""Configurations as nested mappings of plain values, and back; every misfit is named."""

from __future__ import annotations

import dataclasses
import functools
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from pcmsim.errors import FieldError, UnknownNameError
from pcmsim.foundation import documents, texts
from pcmsim.foundation.texts import Text
from pcmsim.quantity import quantities
from pcmsim.registry import Registry
from training.schemes import SCHEMES, UpdateScheme
from training.tasks import TASKS, Task

FAMILIES: dict[type, Registry[Any]] = {UpdateScheme: SCHEMES, Task: TASKS}
"""Families whose members are chosen by ``name``."""


def name_of(member: Any) -> str:
    """The registered name of a scheme or task."""
    for family, registry in FAMILIES.items():
        if isinstance(member, family):
            return next(name for name, known in registry.items() if known is type(member))
    raise UnknownNameError("family", type(member).__name__, [family.__name__ for family in FAMILIES])


def encode(value: Any) -> Any:
    """A dataclass tree as nested mappings of plain values; family members carry their ``name``."""
    if isinstance(value, Mapping):
        return dict(value)
    if not dataclasses.is_dataclass(value):
        return value
    named = {"name": name_of(value)} if isinstance(value, tuple(FAMILIES)) else {}
    return {**named, **{f.name: encode(getattr(value, f.name)) for f in dataclasses.fields(value)}}


def decode(kind: Any, data: Any, path: str) -> Any:
    """Build the dataclass `kind` from nested mappings.

    Parameters
    ----------
    kind : type
        A dataclass, or a family in `FAMILIES`.
    data : mapping or str
        Values by field name; a family member may be given by name alone.
    path : str
        Where in the tree, for errors.

    Raises
    ------
    UnknownNameError, FieldError
        If a name does not exist or a value is not allowed.
    """
    if kind in FAMILIES:
        data = {"name": data} if isinstance(data, str) else dict(_mapping(data, path))
        name = data.pop("name", None)
        if not isinstance(name, str):
            raise FieldError(f"{path}.name", f"one of {', '.join(FAMILIES[kind])}", name)
        kind = FAMILIES[kind][name]
    hints = _hints(kind)
    known = [f.name for f in dataclasses.fields(kind)]
    values = {}
    for name, value in _mapping(data, path).items():
        if name not in known:
            raise UnknownNameError(f"field of {path}", name, known)
        nested = dataclasses.is_dataclass(hints[name]) or hints[name] in FAMILIES
        plain = _mapping(value, f"{path}.{name}") if name == "constants" else value
        values[name] = decode(hints[name], value, f"{path}.{name}") if nested else plain
    return kind(**values)


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    """Types of the fields; looking them up anew would take most of the time of building a configuration."""
    return typing.get_type_hints(kind)


def _mapping(data: Any, path: str) -> Mapping[str, Any]:
    if not isinstance(data, Mapping):
        raise FieldError(path, "a mapping of names to values", data)
    return data


def whole(kind: Any, value: Any) -> Any:
    """A family member that is given by name alone, with its defaults; anything else as it is.

    Raises
    ------
    UnknownNameError
        If the family has no such member.
    """
    if kind not in FAMILIES:
        return value
    member = opened(value)
    return encode(FAMILIES[kind][member]()) if isinstance(member, str) else member


def opened(value: Any) -> Any:
    """What stands in braces where several values belong, as a mapping; anything else as it is.

    Raises
    ------
    DocumentError
        If a text begins with a brace and is no YAML.
    """
    return documents.parse_yaml(value) if isinstance(value, Text) and value.lstrip().startswith("{") else value


def typed(owner: Any, name: str, value: Any) -> Any:
    """A value as the field at a dotted name takes it: its texts read, all else as it is.

    Parameters
    ----------
    owner : object
        A dataclass, such as a configuration.
    name : str
        Dotted name of a field; a text for which nothing is declared is read by `pcmsim.foundation.texts.plain`.
    value : object
        A value, or a mapping of values.

    Examples
    --------
    >>> from training.config import RunConfig
    >>> typed(RunConfig(), "precision.weight_bits", Text("none")), typed(RunConfig(), "device.preset", Text("010"))
    (None, '010')
    """
    if isinstance(value := opened(value), Mapping):
        return {inner: typed(owner, f"{name}.{inner}", one) for inner, one in value.items()}
    *path, last = name.split(".")
    for part in path:
        owner = owner.model(None) if part == "constants" else getattr(owner, part, None)
    about = quantities(owner).get(last) if dataclasses.is_dataclass(owner) else None
    return texts.plain(value) if about is None else about.read(value)


def place(data: dict[str, Any], name: str, value: Any) -> None:
    """Put a value at a dotted name that exists; under ``constants`` new names are welcome."""
    *path, last = str(name).split(".")
    node: Any = data
    for part in path:
        if not isinstance(node, dict) or part not in node:
            raise UnknownNameError("setting", name, _dotted(data))
        node = node[part]
    if not isinstance(node, dict) or (last not in node and path[-1:] != ["constants"]):
        raise UnknownNameError("setting", name, _dotted(data))
    node[last] = opened(value) if isinstance(node.get(last), Mapping) else value


def _dotted(data: Mapping[str, Any]) -> list[str]:
    return [name for name, _ in flat(data)]


def flat(data: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Values of nested mappings by dotted name."""
    for name, value in data.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
