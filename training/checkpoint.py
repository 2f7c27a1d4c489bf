"""Checkpoints: tensors and a JSON header in one safetensors file, written atomically, never pickled.

The random streams are addressed by seed and trial number (`pcmsim.streams`), so these two numbers
are their whole state.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from pcmsim.errors import FileError, PCMLabError
from pcmsim.foundation.paths import expanded
from pcmsim.foundation.quoting import quoted
from pcmsim.quantity import check, quantity
from training.config import RunConfig
from training.writing import replacing

FORMAT, VERSION = "pcmlab-checkpoint", 1
UNREADABLE = "is damaged: its header cannot be read"


@dataclass(frozen=True)
class Progress:
    """How far a run has come.

    Raises
    ------
    FieldError
        If a number is negative or not a number.
    """

    trial: int = quantity(0, minimum=0, doc="Trials done")
    device_time: float = quantity(0.0, unit="s", minimum=0.0, maximum=1e15, doc="Device time")
    total_sets: int = quantity(0, minimum=0, doc="SET pulses so far")
    total_resets: int = quantity(0, minimum=0, doc="RESETs so far")

    def __post_init__(self) -> None:
        check(self)


def write(path: str | Path, config: RunConfig, progress: Progress, tensors: dict[str, torch.Tensor]) -> None:
    """Write a checkpoint beside its final place, then move it there in one step.

    Parameters
    ----------
    path : str or Path
        Final place.
    config : RunConfig
        The run's configuration.
    progress : Progress
        Trial, device time, totals.
    tensors : dict of str to torch.Tensor
        All state.

    Raises
    ------
    FileError
        If the file cannot be written.
    """
    header = {
        "format": FORMAT,
        "version": str(VERSION),
        "config": json.dumps(config.to_dict()),
        "progress": json.dumps(asdict(progress)),
    }
    content = save({name: value.contiguous() for name, value in tensors.items()}, header)
    with replacing(expanded(path)) as made:
        made.write_bytes(content)


def read(path: str | Path) -> tuple[RunConfig, Progress, dict[str, torch.Tensor]]:
    """Configuration, progress and tensors of a checkpoint.

    Raises
    ------
    FileError
        If it is missing, damaged, of another version or not a checkpoint.
    """
    path = expanded(path)
    if not path.is_file():
        raise FileError(path, "does not exist; expected a checkpoint written by pcmlab")
    try:
        with safe_open(str(path), framework="pt") as file:
            header = file.metadata() or {}
            _check_header(path, header)
            names = file.keys()
            tensors = {name: file.get_tensor(name) for name in names}
    except (OSError, SafetensorError) as error:
        raise FileError(path, f"is damaged or not a checkpoint of pcmlab ({error})") from error
    return *_parse(path, header), tensors


def restore(path: str | Path, mine: dict[str, torch.Tensor], saved: dict[str, torch.Tensor]) -> None:
    """Copy saved tensors over the session's own; all or nothing.

    Raises
    ------
    FileError
        If a tensor is missing, unknown, or of another shape or type.
    """
    for name in mine.keys() ^ saved.keys():
        raise FileError(path, f"is damaged: tensor {quoted(name)} is {'missing' if name in mine else 'unknown'}")
    for name, value in mine.items():
        if value.shape != saved[name].shape or value.dtype != saved[name].dtype:
            raise FileError(path, f"is damaged: tensor {quoted(name)} has the wrong shape or type")
    for name, value in mine.items():
        value.copy_(saved[name])


def _check_header(path: str | Path, header: dict[str, str]) -> None:
    if header.get("format") != FORMAT:
        raise FileError(path, "is not a checkpoint of pcmlab")
    if header.get("version") != str(VERSION):
        raise FileError(path, f"has checkpoint version {header.get('version')}, this pcmlab reads version {VERSION}")


def _parse(path: str | Path, header: dict[str, str]) -> tuple[RunConfig, Progress]:
    try:
        return RunConfig.from_dict(json.loads(header["config"])), Progress(**json.loads(header["progress"]))
    except PCMLabError as error:
        raise FileError(path, f"holds a value that does not fit: {error}") from error
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise FileError(path, UNREADABLE) from error
