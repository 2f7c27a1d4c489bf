"""A run as the query of a web address, and back.

The address names a preset and what differs from it. It may come from anybody: every key is checked
by itself, what is wrong is dropped and told in a sentence, and the rest applies.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode

from app.asked import CONSTANTS, FAMILIES, NONE, apply, shown
from pcmsim.errors import FieldError, PCMLabError, UnknownNameError
from training.config import RunConfig
from training.export import difference
from training.presets import PRESETS

DEFAULT_PRESET = "mixed-precision"
LONGEST_SENTENCE = 420
"""Characters that a notification has room for; the list on the page names all presets."""

PAGE_KEYS = ("preset", "autoplay", "theme")
"""Keys that say something to the page, not about the run."""

BOKEH_KEYS = "bokeh-"
MOST_KEYS = 100
FLAGS = {"": False, "0": False, "false": False, "1": True, "true": True}

Arguments = Mapping[str, Sequence[bytes]]
"""The values of every key of a query, as the server hands them over."""


@dataclass(frozen=True)
class Link:
    """What an address asks for.

    Parameters
    ----------
    config : RunConfig
        The run.
    preset : str
        The preset that it is told from.
    autoplay : bool
        Whether to begin at once.
    problems : tuple of str
        What was wrong with the address, one sentence each, without HTML.
    """

    config: RunConfig
    preset: str
    autoplay: bool
    problems: tuple[str, ...]


def write(config: RunConfig, preset: str) -> str:
    """The query of an address that opens this run.

    Parameters
    ----------
    config : RunConfig
        The run.
    preset : str
        The preset to tell it from; only what differs is written.

    Returns
    -------
    str
        `read` gives exactly `config` for it.

    Raises
    ------
    UnknownNameError
        If there is no such preset.
    PCMLabError
        If no address can ask for this run: it is too large, or its devices come from a file.

    Examples
    --------
    >>> write(PRESETS["sign"].config.with_values({"seed": 7, "scheme": "stochastic"}), "sign")
    '?preset=sign&seed=7&scheme.name=stochastic'
    """
    told = _flat(difference(config, PRESETS[preset].config))
    query = urlencode({"preset": preset, **{name: _text(value) for name, value in told}})
    link = read({name: [value.encode() for value in values] for name, values in parse_qs(query).items()})
    if link.config != config:
        raise PCMLabError(f"no address can ask for this run: {'; '.join(link.problems)}")
    return f"?{query}"


def live(config: RunConfig, preset: str) -> str:
    """Address of the Live page with this run, as other pages see it; empty where no address can ask for it."""
    try:
        return "./" + write(config, preset)
    except PCMLabError:
        return ""


def _flat(told: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Schemes, tasks and constants that stand whole, field by field."""
    for name, value in told.items():
        whole = {"name": value} if name in FAMILIES and isinstance(value, str) else value
        if name == CONSTANTS or not isinstance(whole, Mapping):
            yield name, None if name == CONSTANTS else value
        if isinstance(whole, Mapping):
            yield from ((f"{name}.{part}", inner) for part, inner in whole.items())


def _text(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: NONE, True: "true", False: "false"}[value]
    return str(value)


def read(arguments: Arguments) -> Link:
    """What an address asks for, as far as it is allowed.

    Parameters
    ----------
    arguments : mapping of str to sequence of bytes
        Such as ``panel.state.session_args``; the last value of a key counts, and no more than 100
        settings are read.

    Returns
    -------
    Link

    Examples
    --------
    >>> link = read({"preset": [b"sign"], "seed": [b"7"], "network.hidden": [b"many"]})
    >>> link.preset, link.config.seed, link.config.network.hidden
    ('sign', 7, 100)
    >>> link.problems
    ("network.hidden: must be a whole number >= 1 and <= 4096, got 'many'",)
    """
    preset, unknown = _preset(_last(arguments, "preset"))
    autoplay, unclear = _flag("autoplay", _last(arguments, "autoplay"))
    keys = [key for key in arguments if key not in PAGE_KEYS and not key.startswith(BOKEH_KEYS)]
    config, wrong = apply(PRESETS[preset].config, {key: _last(arguments, key) for key in keys[:MOST_KEYS]})
    return Link(config, preset, autoplay, (*unknown, *unclear, *_excess(keys), *wrong))


def _last(arguments: Arguments, key: str) -> str:
    values = arguments.get(key) or [b""]
    return values[-1].decode("utf-8", "replace")


def _preset(name: str) -> tuple[str, list[str]]:
    if name in PRESETS or not name:
        return name or DEFAULT_PRESET, []
    error = textwrap.shorten(str(UnknownNameError("preset", shown(name), PRESETS)), LONGEST_SENTENCE, placeholder=" …")
    return DEFAULT_PRESET, [f"preset: {error}; this is {DEFAULT_PRESET}"]


def _flag(key: str, text: str) -> tuple[bool, list[str]]:
    problems = [] if text in FLAGS else [str(FieldError(key, "1 or 0", shown(text)))]
    return FLAGS.get(text, False), problems


def _excess(keys: Sequence[str]) -> list[str]:
    expected = f"made of at most {MOST_KEYS} settings (the others are not read)"
    return [] if len(keys) <= MOST_KEYS else [str(FieldError("address", expected, len(keys)))]
