"""MNIST from a user's own files: 16 x 16 pixels, one spike each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from pcmsim.errors import FileError
from pcmsim.foundation.paths import expanded
from pcmsim.quantity import check
from pcmsim.streams import Streams
from training.coding import events, latency
from training.neurons import Floats
from training.objectives import READOUTS, Sample
from training.tasks import files, idx
from training.tasks.base import TASKS, Task
from training.tasks.data import (
    DataSampler,
    Indices,
    labelled,
    parts_with_validation,
    picture,
    readout_field,
    tau_in_field,
    theta_in_field,
    validation_field,
)
from training.tasks.pictures import duration_field, randomly_moved, rotation_field, shift_field

SIDE, DROPPED, SMALLER, CLASSES = 28, 2, 16, 10
BRIGHTEST = 255.0
FILES = {"train": ("train-images", "train-labels"), "test": ("t10k-images", "t10k-labels")}
SIZES = (3, 1)
"""Of images and labels: how many sizes an idx file has."""

EXPECTED = "MNIST's four idx files (train-images-idx3-ubyte and so on, plain or .gz)"


@TASKS.register("mnist")
@dataclass(frozen=True)
class Mnist(Task):
    """Each sample: an image of a digit, each pixel a spike that comes the earlier the brighter it is.

    Two outer rows and columns of the 28 x 28 pixels are dropped, the rest is averaged to 16 x 16, after
    Cramer et al. 2022 (doi:10.1073/pnas.2109194119).
    """

    summary: ClassVar[str] = "Read MNIST's digits, from your own files, from the times of 256 spikes: ten classes."
    inputs: ClassVar[int] = SMALLER**2

    folder: str = files.path_field(f"Folder with {EXPECTED}")
    duration: float = duration_field()
    validation: float = validation_field()
    tau_in: float = tau_in_field()
    theta_in: float = theta_in_field()
    rotation: float = rotation_field()
    shift: float = shift_field()
    readout: str = readout_field("max")

    def __post_init__(self) -> None:
        check(self)

    def files(self) -> list[Path]:
        """See `Task.files`."""
        folder = expanded(self.folder)
        return [path for pair in FILES.values() for name, n in zip(pair, SIZES, strict=True)
                for path in _names(folder, name, n)]  # fmt: skip

    def sampler(self, dt: float, *, streams: Streams) -> MnistSampler:
        """See `Task.sampler`."""
        return MnistSampler(self, dt, streams)


class MnistSampler(DataSampler):
    """The images of a folder; they stay bytes until they are looked at."""

    def __init__(self, task: Mnist, dt: float, streams: Streams) -> None:
        folder = files.folder("Mnist.folder", task.folder, EXPECTED)
        loaded = [_load(folder, *names) for names in FILES.values()]
        self._pixels = [pixels for pixels, _ in loaded]
        self._labels = np.concatenate([labels for _, labels in loaded]).astype(np.int64)
        self.inputs, self.outputs = task.inputs, CLASSES
        self.classes = tuple(map(str, range(CLASSES)))
        self.steps = max(1, round(task.duration / dt))
        self.objective = READOUTS[task.readout]
        self._task, self._dt = task, dt
        train, test = np.split(np.arange(self._labels.size), [len(self._pixels[0])])
        parts = parts_with_validation(train, test, self._labels, task.validation, streams)
        super().__init__(parts, self._encoded, streams, self._moved if task.rotation or task.shift else None)

    def image(self, sample: Sample) -> Floats:
        """See `Sampler.image`; never moved."""
        return self._shrunk(sample.index)

    def _shrunk(self, index: int) -> Floats:
        first = len(self._pixels[0])
        pixels = self._pixels[0][index] if index < first else self._pixels[1][index - first]
        return shrunk(picture(pixels, BRIGHTEST))

    def _encoded(self, index: int) -> Sample:
        return self._spiking(index, self._shrunk(index))

    def _moved(self, index: int, generator: torch.Generator) -> Sample:
        image = randomly_moved(self._shrunk(index), self._task.rotation, self._task.shift, generator)
        return self._spiking(index, image)

    def _spiking(self, index: int, image: Floats) -> Sample:
        times = latency(image.ravel(), self._task.tau_in, self._task.theta_in)
        return labelled(index, events(times, self.steps, self._dt), int(self._labels[index]), CLASSES)


def shrunk(image: Floats) -> Floats:
    """The 16 x 16 image of area means of a 28 x 28 image without its two outer rows and columns."""
    inner = image[DROPPED:-DROPPED, DROPPED:-DROPPED]
    small: Floats = SHARES @ inner @ SHARES.T
    return small


def _shares(large: int, small: int) -> Floats:
    """How much of each small pixel each large one covers, ``small, large``: rows sum to 1."""
    edges = np.arange(small + 1)[:, None] * (large / small)
    covered = np.clip(edges - np.arange(large), 0.0, 1.0)
    shares: Floats = np.diff(covered, axis=0) * (small / large)
    return shares


SHARES = _shares(SIDE - 2 * DROPPED, SMALLER)


def _load(folder: Path, images: str, labels: str) -> tuple[idx.Bytes, Indices]:
    image_path, label_path = (_found(folder, *named) for named in zip((images, labels), SIZES, strict=True))
    pixels, answers = idx.images(image_path), idx.labels(label_path)
    if pixels.shape[1:] != (SIDE, SIDE):
        rows, columns = pixels.shape[1:]
        raise FileError(image_path, f"holds images of {rows} x {columns} pixels; expected {SIDE} x {SIDE}")
    if len(pixels) != len(answers):
        raise FileError(label_path, f"holds {len(answers)} labels for the {len(pixels)} images of {image_path.name}")
    if answers.max() >= CLASSES:
        place = int(answers.argmax())
        raise FileError(label_path, f"label {answers[place]} of image {place}; expected 0 to {CLASSES - 1}")
    return pixels, answers.astype(np.int64)


def _found(folder: Path, name: str, sizes: int) -> Path:
    paths = _names(folder, name, sizes)
    for path in paths:
        if path.is_file():
            return path
    raise FileError(paths[0], f"is missing; expected {EXPECTED}")


def _names(folder: Path, name: str, sizes: int) -> list[Path]:
    """All places in which the file is handed around: by itself, or in a folder of its own name, as Kaggle has it."""
    names = [f"{name}{dot}idx{sizes}-ubyte{end}" for dot in "-." for end in ("", ".gz")]
    return [folder / name for name in names] + [folder / name / name for name in names]
