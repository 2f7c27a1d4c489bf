"""Checkpoints: tensors and a JSON header in one safetensors file, written atomically, never pickled.

The random streams are addressed by seed and trial number (`pcmsim.streams`), so these two numbers
are their whole state. Of the files that a run reads, the header holds the digests; of the checkpoint itself, the
SHA-256 of the whole file with zeros in its place. Version 1 had neither and is still read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from pcmsim.errors import FileError, PCMLabError
from pcmsim.foundation.bounds import FINITE, Bounds
from pcmsim.foundation.documents import parse_json
from pcmsim.foundation.paths import expanded
from pcmsim.foundation.quoting import quoted
from pcmsim.quantity import check, quantity
from training.config import RunConfig
from training.contents import Content
from training.support import ram
from training.writing import replacing

FORMAT, VERSION = "pcmlab-checkpoint", 2
UNREADABLE = "is damaged: its header cannot be read"
FOREIGN = "is damaged or not a checkpoint of pcmlab"

FIRST = ("format", "version", "config", "progress")
ENTRIES = {"1": frozenset(FIRST), "2": frozenset((*FIRST, "files", "checksum"))}
"""Entries of the header, by version."""

LONGEST_HEADER = 2**20
"""Bytes of a header; one of ours has a few thousand."""

COPIES = 4
"""How often the content is held at a time: as read, with its checksum blank, as tensors, and as the session's own."""

LARGEST_COUNT = 2**53
BLANK = "0" * 64
"""In place of the checksum where it is computed."""

MALFORMED = (KeyError, TypeError, ValueError, RecursionError)
NO_TENSORS = (SafetensorError, RuntimeError, OverflowError, *MALFORMED)
"""What safetensors and torch raise on bytes that are no tensors."""


@dataclass(frozen=True)
class Progress:
    """How far a run has come.

    Raises
    ------
    FieldError
        If a number is negative, too large or not a number.
    """

    trial: int = quantity(0, minimum=0, maximum=LARGEST_COUNT, doc="Trials done")
    device_time: float = quantity(0.0, unit="s", minimum=0.0, maximum=1e15, doc="Device time")
    total_sets: int = quantity(0, minimum=0, maximum=LARGEST_COUNT, doc="SET pulses so far")
    total_resets: int = quantity(0, minimum=0, maximum=LARGEST_COUNT, doc="RESETs so far")

    def __post_init__(self) -> None:
        check(self)


class Saved(NamedTuple):
    """What a checkpoint holds.

    Parameters
    ----------
    config : RunConfig
        The run's configuration.
    progress : Progress
        Trial, device time, totals.
    tensors : dict of str to torch.Tensor
        All state.
    files : tuple of Content
        What the files held that the run reads; nothing is known of those of version 1.
    """

    config: RunConfig
    progress: Progress
    tensors: dict[str, torch.Tensor]
    files: tuple[Content, ...] = ()


def write(path: str | Path, saved: Saved) -> None:
    """Write a checkpoint beside its final place, then move it there in one step.

    Raises
    ------
    FileError
        If the file cannot be written.
    """
    header = {
        "format": FORMAT,
        "version": str(VERSION),
        "config": json.dumps(saved.config.to_dict()),
        "progress": json.dumps(asdict(saved.progress)),
        "files": json.dumps(saved.files),
        "checksum": BLANK,
    }
    content = save({name: value.contiguous() for name, value in saved.tensors.items()}, header)
    signed = _with_checksum(content, BLANK, _checksum(content, BLANK))
    with replacing(expanded(path)) as made:
        made.write_bytes(signed)


def read(path: str | Path) -> Saved:
    """What a checkpoint holds; its tensors are checked by `restore`.

    Raises
    ------
    FileError
        If it is missing, damaged, of another version or not a checkpoint.
    """
    path = expanded(path)
    header, content = _opened(path)
    try:
        tensors = load(content)
    except NO_TENSORS as error:
        raise FileError(path, f"{FOREIGN} ({error})") from error
    if "checksum" in header and header["checksum"] != _checksum(content, header["checksum"]):
        raise FileError(path, "is damaged: its content does not have the checksum that it names")
    return _parse(path, header, tensors)


def restore(
    path: str | Path,
    mine: Mapping[str, torch.Tensor],
    saved: Mapping[str, torch.Tensor],
    bounds: Mapping[str, Bounds],
) -> None:
    """Copy saved tensors over the session's own; all or nothing.

    Parameters
    ----------
    path : str or Path
        The checkpoint, for errors.
    mine, saved : mapping of str to torch.Tensor
        The session's tensors, and those that take their place.
    bounds : mapping of str to Bounds
        What the numbers may be; finite where nothing is said.

    Raises
    ------
    FileError
        If a tensor is missing, unknown, of another shape or type, or holds numbers that it cannot have.
    """
    for name in sorted(mine.keys() ^ saved.keys()):
        raise FileError(path, f"is damaged: tensor {quoted(name)} is {'missing' if name in mine else 'unknown'}")
    for name, value in mine.items():
        if value.shape != saved[name].shape or value.dtype != saved[name].dtype:
            raise FileError(path, f"is damaged: tensor {quoted(name)} has the wrong shape or type")
        if not (allowed := bounds.get(name, FINITE)).hold(saved[name]):
            raise FileError(path, f"is damaged: tensor {quoted(name)} holds other than {allowed}")
    for name, value in mine.items():
        value.copy_(saved[name])


def _opened(path: Path) -> tuple[dict[str, str], bytes]:
    """Header and content of a file that says that it is a checkpoint; of any other the beginning alone is read."""
    if not path.is_file():
        raise FileError(path, "does not exist; expected a checkpoint written by pcmlab")
    try:
        with path.open("rb") as file:
            size = file.read(8)
            text = file.read(_length(path, size))
            header = _header(path, text)
            ram.check(f"{path}: its tensors", COPIES * path.stat().st_size)
            return header, b"".join((size, text, file.read()))
    except OSError as error:
        raise FileError(path, f"cannot be read ({error.strerror})") from error


def _length(path: str | Path, size: bytes) -> int:
    length = int.from_bytes(size, "little")
    if len(size) < 8 or length > LONGEST_HEADER:
        raise FileError(path, f"{FOREIGN} (no header)")
    return length


def _header(path: str | Path, text: bytes) -> dict[str, str]:
    """The texts of the header, of a version that is known."""
    try:
        header = _mapping(text.decode("utf-8")).get("__metadata__", {})
    except MALFORMED as error:
        raise FileError(path, f"{FOREIGN} (its header is no JSON of its kind)") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise FileError(path, "is not a checkpoint of pcmlab")
    version = str(header.get("version"))
    if version not in ENTRIES:
        raise FileError(path, f"has checkpoint version {version[:20]}, this pcmlab reads versions 1 to {VERSION}")
    if header.keys() != ENTRIES[version] or not all(isinstance(entry, str) for entry in header.values()):
        raise FileError(path, UNREADABLE)
    return header


def _parse(path: str | Path, header: Mapping[str, str], tensors: dict[str, torch.Tensor]) -> Saved:
    try:
        config, progress = RunConfig.from_dict(_mapping(header["config"])), Progress(**_mapping(header["progress"]))
        return Saved(
            config, progress, tensors, tuple(_content(*entry) for entry in _entries(header.get("files", "[]")))
        )
    except PCMLabError as error:
        raise FileError(path, f"holds a value that does not fit: {error}") from error
    except MALFORMED as error:
        raise FileError(path, UNREADABLE) from error


def _entries(text: str) -> Sequence[Any]:
    found = parse_json(text)
    if not isinstance(found, list):
        raise TypeError(text)
    return found


def _content(path: Any, digest: Any) -> Content:
    if not isinstance(path, str) or not isinstance(digest, str | None):
        raise TypeError(path)
    return Content(path, digest)


def _mapping(text: str) -> dict[str, Any]:
    found = parse_json(text)
    if not isinstance(found, dict):
        raise TypeError(text)
    return found


def _checksum(content: bytes, named: str) -> str:
    """Of a whole file, the checksum that it names replaced by zeros."""
    return hashlib.sha256(_with_checksum(content, named, BLANK)).hexdigest()


def _with_checksum(content: bytes, old: str, new: str) -> bytes:
    """Quotes within texts of the header are escaped: the first such place is the header's own entry."""
    before, after = (f'"checksum":"{checksum}"'.encode("utf-8", "replace") for checksum in (old, new))
    return content.replace(before, after, 1)
