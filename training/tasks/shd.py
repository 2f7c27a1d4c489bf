"""Spiking Heidelberg Digits from a user's own files: spoken digits as spikes of an artificial cochlea."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from pcmsim.errors import FileError
from pcmsim.foundation.paths import expanded
from pcmsim.quantity import check, quantity
from pcmsim.streams import Streams
from training.coding import events, losses, other_unit
from training.objectives import READOUTS, Sample
from training.support import hdf5, limits
from training.tasks import files
from training.tasks.base import TASKS, Task
from training.tasks.data import DataSampler, Indices, labelled, parts_with_validation, readout_field, validation_field

UNITS, DROPPED, EVERY, CLASSES = 700, 70, 9, 20
FILES = ("shd_train.h5", "shd_test.h5")
EXPECTED = " and ".join(FILES)
DATASETS = ("spikes/times", "spikes/units", "labels")
AT_ONCE = 256
LONGEST = 10.0
"""Seconds that no recording of a digit reaches."""

"""Samples that are read together, of files so small that no sample can be large."""

IN_MEMORY = 2**28
"""Bytes that samples which are read together take at most, if each held as much as the whole file."""

NAMES = (
    *("null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun"),
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
)


@TASKS.register("shd")
@dataclass(frozen=True)
class Shd(Task):
    """Each sample: the spikes of a spoken digit, German or English.

    Of the cochlea's 700 channels the first 70 are dropped and every 9th of the rest is kept, 70 in all, after
    Cramer et al. 2022 (doi:10.1073/pnas.2109194119); the data are Cramer et al.'s (IEEE TNNLS 33, 2744, 2022,
    doi:10.1109/TNNLS.2020.3044364). Two of the speakers are in the test part only.
    """

    summary: ClassVar[str] = "Tell spoken digits apart, from your own Spiking Heidelberg Digits: twenty classes."
    inputs: ClassVar[int] = (UNITS - DROPPED) // EVERY

    folder: str = files.path_field(f"Folder with {EXPECTED}")
    duration: float = quantity(
        1.4,
        unit="s",
        above=0.0,
        maximum=LONGEST,
        structural=True,
        doc="Duration of a trial; later spikes are left out",
        source="chosen by hand: about the longest recording",
    )
    validation: float = validation_field()
    readout: str = readout_field("max")

    def __post_init__(self) -> None:
        check(self)

    def files(self) -> list[Path]:
        """See `Task.files`."""
        return [expanded(self.folder) / name for name in FILES]

    def sampler(self, dt: float, *, streams: Streams) -> ShdSampler:
        """See `Task.sampler`."""
        return ShdSampler(self, dt, streams)


class Recordings(NamedTuple):
    """Kept spikes of all samples of a file, one after the other.

    Parameters
    ----------
    start : numpy.ndarray
        int64: sample k has the spikes ``start[k]`` to ``start[k + 1]``.
    times : numpy.ndarray
        Spike times [s], float32, or float16 where the file has no better ones.
    channels : numpy.ndarray
        uint8, 0 to 69.
    labels : numpy.ndarray
        int64, 0 to 19.
    """

    start: Indices
    times: npt.NDArray[np.floating]
    channels: npt.NDArray[np.uint8]
    labels: Indices

    def sample(self, index: int) -> tuple[npt.NDArray[np.floating], npt.NDArray[np.uint8]]:
        """Times [s] and channels of a sample."""
        here = slice(self.start[index], self.start[index + 1])
        return self.times[here], self.channels[here]


class ShdSampler(DataSampler):
    """The recordings of a folder, about thirty megabytes in memory."""

    def __init__(self, task: Shd, dt: float, streams: Streams) -> None:
        folder = files.folder("Shd.folder", task.folder, EXPECTED)
        self._recordings = [_read(files.checked(folder / name, f"{EXPECTED} in this folder")) for name in FILES]
        self._labels = np.concatenate([recordings.labels for recordings in self._recordings])
        self._first_test = self._recordings[0].labels.size
        self.inputs, self.outputs, self.classes = task.inputs, CLASSES, NAMES
        self.steps = max(1, round(task.duration / dt))
        self.objective = READOUTS[task.readout]
        self._dt = dt
        train, test = np.split(np.arange(self._labels.size), [self._first_test])
        parts = parts_with_validation(train, test, self._labels, task.validation, streams)
        self.remarks = tuple(told for recordings in self._recordings for told in self._losses(recordings))
        super().__init__(parts, self._encoded, streams)

    def _losses(self, recordings: Recordings) -> tuple[str, ...]:
        samples = np.repeat(np.arange(recordings.labels.size), np.diff(recordings.start))
        return losses(samples, recordings.times, recordings.channels, self.steps, self._dt)

    def _encoded(self, index: int) -> Sample:
        late = index >= self._first_test
        times, channels = self._recordings[late].sample(index - late * self._first_test)
        inputs = events(times, self.steps, self._dt, channels)
        return labelled(index, inputs, int(self._labels[index]), CLASSES)


@files.remembered
def _read(path: Path) -> Recordings:
    with hdf5.opened(path) as file:
        times, units, labels = (_dataset(file.get(name), name, path) for name in DATASETS)
        return _recordings(times, units, labels, path)


def _dataset(dataset: Any, name: str, path: Path) -> Any:
    """The data set, if it is one with an entry per sample, of numbers or lists of numbers."""
    ragged = name != "labels"
    if dataset is None or not hasattr(dataset, "shape"):
        raise FileError(path, f"has no data set /{name}; expected /{', /'.join(DATASETS)}")
    kind = dataset.dtype.metadata.get("vlen") if ragged and dataset.dtype.metadata else dataset.dtype
    numbers = np.number if name.endswith("times") else np.integer
    if len(dataset.shape or ()) != 1 or not isinstance(kind, np.dtype) or not np.issubdtype(kind, numbers):
        what = f"one {'list' if ragged else 'number'} per sample, of {'numbers' if ragged else 'whole numbers'}"
        raise FileError(path, f"/{name} holds {dataset.dtype} in shape {dataset.shape}; expected {what}")
    return dataset


def _recordings(times: Any, units: Any, labels: Any, path: Path) -> Recordings:
    limits.SAMPLES.check(path, len(labels))
    answers = labels[:].astype(np.int64)
    if not len(times) == len(units) == len(answers) > 0:
        counts = f"{len(times)} lists of times, {len(units)} of units and {len(answers)} labels"
        raise FileError(path, f"holds {counts}; expected as many of each, at least 1")
    if answers.min() < 0 or answers.max() >= CLASSES:
        place = int(np.flatnonzero((answers < 0) | (answers >= CLASSES))[0])
        raise FileError(path, f"label {answers[place]} of sample {place}; expected 0 to {CLASSES - 1}")
    kept, size, spikes = [], path.stat().st_size, 0
    step = min(AT_ONCE, max(1, IN_MEMORY // size))
    for begin in range(0, len(answers), step):
        here = slice(begin, begin + step)
        for k, pair in enumerate(zip(times[here], units[here], strict=True)):
            spikes += max(pair[0].size, pair[1].size)
            if spikes > size:
                raise FileError(path, f"has more spikes up to sample {begin + k} than bytes: samples share their lists")
            kept.append(_kept(*pair, path, begin + k))
    start = np.cumsum([0, *(moments.size for moments, _ in kept)])
    moments = np.concatenate([t for t, _ in kept])
    if hint := other_unit(moments, LONGEST):
        raise FileError(path, f"has spike times up to {float(moments.max()):g} s{hint}")
    return Recordings(start, moments, np.concatenate([c for _, c in kept]), answers)


def _kept(
    times: npt.NDArray[np.number], units: npt.NDArray[np.integer], path: Path, sample: int
) -> tuple[npt.NDArray[np.floating], npt.NDArray[np.uint8]]:
    """Spikes of the kept channels; times keep the precision of their type, which tells how exact they are."""
    if times.size != units.size:
        raise FileError(path, f"sample {sample} has {times.size} spike times and {units.size} units")
    moments: npt.NDArray[np.floating] = times.astype(np.float16 if times.dtype == np.float16 else np.float32)
    channels = units.astype(np.int64)
    wrong = np.flatnonzero(~(np.isfinite(moments) & (moments >= 0.0)))
    if wrong.size:
        raise FileError(path, f"spike time {moments[wrong[0]]:g} in sample {sample}; expected finite seconds >= 0")
    wrong = np.flatnonzero((channels < 0) | (channels >= UNITS))
    if wrong.size:
        raise FileError(path, f"unit {channels[wrong[0]]} in sample {sample}; expected 0 to {UNITS - 1}")
    place, between = np.divmod(channels - DROPPED, EVERY)
    keep = (place >= 0) & (between == 0)
    return moments[keep], place[keep].astype(np.uint8)
