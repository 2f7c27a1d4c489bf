"""Settings that a search found, with the record of its study: files that become presets.

Those in the folder ``tuned`` beside this module are presets of pcmlab, under the file's name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml

from pcmsim.errors import FieldError, FileError
from pcmsim.foundation.documents import parse_yaml, read_mapping
from pcmsim.foundation.quoting import reason
from pcmsim.foundation.texts import plain
from pcmsim.quantity import check, quantity
from training import codec
from training.config import RunConfig

FOLDER = "tuned"
ENDING = ".yaml"
KINDS = ("task", "scheme")
"""Settings that decide which others there are."""


@dataclass(frozen=True)
class Record:
    """The study behind tuned settings.

    Raises
    ------
    FieldError
        If a value lies outside its bounds.
    """

    study: str = quantity("", doc="Name of the study in its database")
    metric: str = quantity("loss", doc="What was made small or large; see METRICS")
    trials: int = quantity(1, minimum=1, doc="Trials of a full run")
    every: int = quantity(1, unit="trials", minimum=1, doc="Trials of the last point, which counts")
    judge: str = quantity("none", doc="Samples that judged at the end")
    evaluations: int = quantity(0, minimum=0, doc="Budget: evaluations")
    finished: int = quantity(0, minimum=0, doc="Evaluations in full")
    pruned: int = quantity(0, minimum=0, doc="Evaluations ended early")
    trained: int = quantity(0, unit="trials", minimum=0, doc="Trials trained in these evaluations, of all runs")
    best: float = quantity(0.0, doc="Mean metric of the best evaluation")
    untuned: float | None = quantity(
        None, kind=float, doc="That of the first evaluation, with the settings as they were"
    )
    date: str = quantity("", doc="When it was written down, in UTC")
    seeds: tuple[int, ...] = ()
    each: tuple[float, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)
    importance: Mapping[str, float] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check(self)
        for name, kind in {"seeds": tuple, "each": tuple, "fields": dict, "importance": dict, "versions": dict}.items():
            object.__setattr__(self, name, kind(plain(getattr(self, name))))


@dataclass(frozen=True)
class Tuned:
    """Settings that a search found.

    Parameters
    ----------
    summary : str
        What they are, in a sentence.
    values : mapping
        What differs from the defaults, by dotted name.
    record : Record
        The study they come from.

    Raises
    ------
    FieldError
        If the values have no names.
    """

    summary: str
    values: Mapping[str, Any]
    record: Record

    def __post_init__(self) -> None:
        if not isinstance(self.values, Mapping):
            raise FieldError("Tuned.values", "a mapping of dotted names to values", self.values)
        kinds = RunConfig().with_values({name: self.values[name] for name in KINDS if name in self.values})
        values = {name: codec.typed(kinds, name, value) for name, value in self.values.items()}
        object.__setattr__(self, "values", values)

    @property
    def source(self) -> str:
        """Where the values come from, in a sentence."""
        told, seeds = self.record, self.record.seeds
        before = "" if told.untuned is None else f", untuned {told.untuned:.3g}"
        return (
            f"tuned by pcmlab: {told.evaluations} evaluations of {len(told.fields)} fields, {told.finished} in full, "
            f"each with seeds {', '.join(map(str, seeds))}; {told.metric} {told.best:.3g}{before}"
        )

    def to_yaml(self) -> str:
        """The file's text; `from_yaml` reads it."""
        plain = asdict(self)
        plain["record"] = {k: list(v) if isinstance(v, tuple) else v for k, v in plain["record"].items()}
        return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)


def from_yaml(path: Path | Traversable) -> Tuned:
    """Read tuned settings.

    Raises
    ------
    FileError
        If the file cannot be read or holds something else; the values are checked where they are used.
    """
    try:
        tuned = codec.decode(Tuned, parse_yaml(path.read_text("utf-8")), "Tuned")
    except (OSError, TypeError, ValueError) as error:
        raise FileError(str(path), f"holds no tuned settings ({reason(error)})") from error
    assert isinstance(tuned, Tuned)
    return tuned


def is_tuned(path: str | Path) -> bool:
    """Whether a file holds tuned settings, and not a configuration.

    Raises
    ------
    FileError
        If it cannot be read.
    """
    return read_mapping(path).keys() >= {"values", "record"}


def shipped() -> Iterator[tuple[str, Tuned]]:
    """Those that come with pcmlab, by name."""
    folder = files("training") / FOLDER
    for file in sorted(folder.iterdir(), key=lambda file: file.name) if folder.is_dir() else ():
        if file.name.endswith(ENDING):
            yield file.name.removesuffix(ENDING), from_yaml(file)
