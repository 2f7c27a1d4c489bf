"""Documents that people write, in YAML or JSON, as plain mappings, lists and texts.

One reader for all of them: configurations, devices, sweeps, tuned settings. A value without quotes stays a
`Text`, so that its field decides what it means. What would change a document in silence is refused with its line:
a key that stands twice, and what stands for something written elsewhere (anchors, aliases, tags, merge keys).
"""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from pcmsim.errors import FileError, PCMLabError
from pcmsim.foundation import confinement
from pcmsim.foundation.paths import expanded
from pcmsim.foundation.quoting import quoted, reason
from pcmsim.foundation.texts import Text

LARGEST = 2**20
"""Characters of a document."""

DEEPEST = 30
"""Mappings and lists inside each other."""

MERGE = "<<"
ENDINGS = frozenset({".json", ".yaml", ".yml"})
PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class DocumentError(PCMLabError):
    """A text is no document, or holds what none may hold."""


class _RepeatedKeyError(ValueError):
    """A key stands twice in a mapping of JSON, whose reader knows no lines."""


def parse_yaml(text: str) -> Any:
    """The content of a YAML text: mappings, lists, texts; nothing in it is executed, or copied from elsewhere in it.

    Parameters
    ----------
    text : str
        At most one document of at most a million characters.

    Returns
    -------
    dict, list, str, Text or None
        `Text` is what stands there without quotes; None is an empty document.

    Raises
    ------
    DocumentError
        If it is not YAML, or repeats a key, or holds an anchor, an alias, a tag or a merge key.

    Examples
    --------
    >>> parse_yaml("{folder: 010, bits: [none, '4']}")
    {'folder': '010', 'bits': ['none', '4']}
    """
    if len(text) > LARGEST:
        raise DocumentError(f"has {len(text)} characters; at most {LARGEST} are read")
    try:
        return _document(yaml.parse(str(text), Loader=PARSER))
    except (yaml.YAMLError, ValueError) as error:
        if isinstance(error, PCMLabError):
            raise
        raise DocumentError(f"is not valid YAML ({reason(error)})") from error


def parse_json(text: str) -> Any:
    """The content of a JSON text.

    Raises
    ------
    DocumentError
        If it is not JSON, or repeats a key.
    """
    if len(text) > LARGEST:
        raise DocumentError(f"has {len(text)} characters; at most {LARGEST} are read")
    try:
        return json.loads(text, object_pairs_hook=_once)
    except _RepeatedKeyError as error:
        parse_yaml(text.replace("\t", " "))  # JSON is YAML, whose reader names the lines
        raise DocumentError(f"{quoted(error.args[0])} stands twice; expected once") from error
    except (ValueError, RecursionError) as error:
        raise DocumentError(f"is not valid JSON ({reason(error)})") from error


def read_mapping(path: str | Path) -> dict[str, Any]:
    """A JSON or YAML file that holds one mapping.

    Parameters
    ----------
    path : str or Path
        File to read; ``.json`` is read as JSON, all else as YAML.

    Returns
    -------
    dict

    Raises
    ------
    FieldError
        If this process may not name it, see `pcmsim.foundation.confinement`.
    FileError
        If it is missing, unreadable, malformed, or not a mapping.
    """
    confinement.check("file", path)
    path = expanded(path)
    parse = parse_json if path.suffix == ".json" else parse_yaml
    text = _read(path)
    try:
        content = parse(text)
    except DocumentError as error:
        raise FileError(path, str(error)) from error
    if not isinstance(content, dict):
        kind = "text" if isinstance(content, str) else type(content).__name__
        raise FileError(path, f"must hold a mapping of names to values, holds {kind}")
    return content


def _read(path: Path) -> str:
    """A file's text; no more than a document may hold, and never of a pipe or a device, which may have no end."""
    try:
        about = path.stat()
        if stat.S_ISREG(about.st_mode) and about.st_size > 4 * LARGEST:
            raise FileError(path, f"is too large, {about.st_size} bytes; at most {LARGEST} characters are read")
        if not stat.S_ISREG(about.st_mode) and not stat.S_ISDIR(about.st_mode):
            raise FileError(path, "is not a file")
        return path.read_text(encoding="utf-8-sig")
    except FileError:
        raise
    except (OSError, ValueError) as error:
        kinds = {UnicodeDecodeError: "is not UTF-8 text", ValueError: "is not a file's name"}
        said = error.strerror if isinstance(error, OSError) else kinds.get(type(error), "is not a file's name")
        raise FileError(path, f"cannot be read ({said})") from error


def _document(events: Iterator[Any]) -> Any:
    """The first document's content; there may be no second one."""
    content, documents = None, 0
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise DocumentError(f"line {_line(event)}: begins a second document; expected one")
        elif isinstance(event, yaml.NodeEvent):
            content = _node(event, events, 1)
            content = None if isinstance(content, Text) and not content else content
    return content


def _node(event: Any, events: Iterator[Any], depth: int) -> Any:
    _refuse_references(event)
    if depth > DEEPEST:
        raise DocumentError(f"line {_line(event)}: is nested more than {DEEPEST} deep")
    if isinstance(event, yaml.ScalarEvent):
        return Text(event.value) if event.implicit[0] else event.value
    if isinstance(event, yaml.SequenceStartEvent):
        return list(_items(events, depth))
    return _mapping(events, depth)


def _items(events: Iterator[Any], depth: int) -> Iterator[Any]:
    while not isinstance(event := next(events), yaml.SequenceEndEvent):
        yield _node(event, events, depth + 1)


def _mapping(events: Iterator[Any], depth: int) -> dict[str, Any]:
    content: dict[str, Any] = {}
    lines: dict[str, int] = {}
    while not isinstance(event := next(events), yaml.MappingEndEvent):
        key, line = _key(event), _line(event)
        if key in lines:
            raise DocumentError(f"{quoted(key)} stands twice, in line {lines[key]} and in line {line}; expected once")
        lines[key] = line
        content[key] = _node(next(events), events, depth + 1)
    return content


def _key(event: Any) -> str:
    """A key, always as it is written."""
    _refuse_references(event)
    if not isinstance(event, yaml.ScalarEvent):
        raise DocumentError(f"line {_line(event)}: expected a name before the colon, got a mapping or a list")
    if event.value == MERGE and event.implicit[0]:
        raise DocumentError(f"line {_line(event)}: the merge key << is not read; expected all written out")
    return str(event.value)


def _refuse_references(event: Any) -> None:
    """Aliases let a few characters stand for more than a memory holds; a tag would overrule the field's type."""
    anchor, tag = getattr(event, "anchor", None), getattr(event, "tag", None)
    if isinstance(event, yaml.AliasEvent):
        raise DocumentError(f"line {_line(event)}: the alias *{anchor} is not read; expected all written out")
    if anchor is not None:
        raise DocumentError(f"line {_line(event)}: the anchor &{anchor} is not read; expected all written out")
    if tag is not None:
        raise DocumentError(f"line {_line(event)}: the tag {quoted(tag)} is not read; the field decides the type")


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        raise _RepeatedKeyError(next(name for name in names if names.count(name) > 1))
    return content
