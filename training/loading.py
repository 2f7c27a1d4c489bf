"""What the command line's arguments name: configurations, settings, trained networks."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pcmsim.errors import PCMLabError
from pcmsim.foundation.paths import expanded
from pcmsim.foundation.quoting import quoted
from pcmsim.foundation.texts import Text
from pcmsim.presets import is_file
from training import checkpoint, results, tuned_presets
from training.checkpoint import Progress
from training.chip.base import Chip
from training.config import RunConfig
from training.presets import PRESETS
from training.session import Session


def configuration(name: str) -> RunConfig:
    """That of a preset, or of a YAML or JSON file: a configuration, or tuned settings.

    Raises
    ------
    UnknownNameError, FileError
        If there is no such preset, or the file cannot be read.
    """
    if not is_file(name):
        return PRESETS[name].config
    if tuned_presets.is_tuned(name):
        return RunConfig().with_values(tuned_presets.from_yaml(expanded(name)).values)
    return RunConfig.from_yaml(name)


def settings(texts: Iterable[str]) -> dict[str, Any]:
    """Values by dotted name, from texts such as ``learning.batch=4``; each field decides what its text means.

    Raises
    ------
    PCMLabError
        If a text is no such thing.
    """
    return dict(map(_assignment, texts))


def _assignment(text: str) -> tuple[str, Text]:
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise PCMLabError(f"--set: must be KEY=VALUE, got {quoted(text)}")
    return key, Text(value)


def is_checkpoint(name: str) -> bool:
    """Whether a name stands for a checkpoint or the folder of a run, and not for a configuration."""
    path = expanded(name)
    return path.is_dir() or path.suffix == Path(results.CHECKPOINT).suffix


def progress(path: str | Path) -> Progress:
    """How far the run of a checkpoint has come, or of the one in a run's folder.

    Raises
    ------
    FileError
        If it cannot be read.
    """
    return checkpoint.read(_checkpoint(path)).progress


def trained(path: str | Path, chip: Chip | None = None, *, accept_changed_files: bool = False) -> Session:
    """The session of a checkpoint, or of the one in a run's folder; its weights may be on a chip.

    Raises
    ------
    FileError
        If it cannot be read, does not stand where the chip does, or, unless that is accepted, a file that the run
        reads has changed.
    """
    return Session.resume(_checkpoint(path), chip, accept_changed_files=accept_changed_files)


def _checkpoint(path: str | Path) -> Path:
    place = expanded(path)
    return place / results.CHECKPOINT if place.is_dir() else place
