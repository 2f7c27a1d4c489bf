"""A user's own spikes and answers, from two CSV tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from pcmsim.errors import FileError
from pcmsim.foundation.paths import expanded
from pcmsim.foundation.quoting import quoted
from pcmsim.quantity import check, quantity
from pcmsim.streams import Streams
from training.coding import events, losses, other_unit, steps_of
from training.neurons import Floats
from training.objectives import READOUTS, Sample, SquaredError
from training.spikes import Spikes
from training.support.tables import Table
from training.tasks import files
from training.tasks.base import TASKS, Task
from training.tasks.data import (
    DataSampler,
    Indices,
    labelled,
    parts_with_validation,
    readout_field,
    stratified,
    unlabelled,
    validation_field,
)

SPIKES = ("sample", "time", "channel")
LABELS = ("sample", "label")
VALUES = ("sample", "time", "output", "value")
MOST_CHANNELS, MOST_OUTPUTS = 10_000, 1000
WHOLE = ("sample", "channel", "output")


@TASKS.register("csv")
@dataclass(frozen=True)
class Csv(Task):
    """Each sample: your own spikes and what the network should answer.

    The spikes are a CSV table with the columns ``sample,time,channel``, one line per spike: numbers of
    sample and channel from 0, time in seconds from the sample's start. The targets are another one:

    - ``sample,label`` for classification, one line per sample; a label is any text, and the classes are the
      different labels in order;
    - ``sample,time,output,value`` for regression: an output's target is the value from that time until its
      next line, and 0 before its first.

    The targets decide how many samples there are; a sample without spikes is allowed. Where a file lacks spikes on
    the last channels, as one of a few samples may, `channels` says how many there are.
    """

    summary: ClassVar[str] = "Your own spikes and targets, from two CSV tables: classes or curves."

    spikes: str = files.path_field("CSV table of spikes: sample,time,channel")
    targets: str = files.path_field("CSV table of targets: sample,label or sample,time,output,value")
    channels: int | None = quantity(
        None,
        kind=int,
        minimum=1,
        maximum=MOST_CHANNELS,
        structural=True,
        doc="Input channels, also those that are silent in this file; none counts up to the highest that spikes",
        source="yours",
    )
    duration: float = quantity(
        1.0, unit="s", above=0.0, maximum=100.0, structural=True, doc="Duration of a trial", source="yours"
    )
    test: float = quantity(
        0.2,
        minimum=0.0,
        maximum=0.9,
        structural=True,
        doc="Share of the samples, of each class, drawn by the seed, that is never trained on",
        source="common practice",
    )
    validation: float = validation_field()
    readout: str = readout_field("sum")

    def __post_init__(self) -> None:
        check(self)

    def files(self) -> list[Path]:
        """See `Task.files`."""
        return [expanded(text) for text in (self.spikes, self.targets)]

    def sampler(self, dt: float, *, streams: Streams) -> CsvSampler:
        """See `Task.sampler`."""
        return CsvSampler(self, dt, streams)


class SpikeTable(NamedTuple):
    """Spikes sorted by sample: number of each one's sample, its time [s] and its channel."""

    sample: Indices
    time: Floats
    channel: Indices

    def events(self, index: int, steps: int, dt: float) -> Spikes:
        """The events of a sample."""
        here = slice(*np.searchsorted(self.sample, [index, index + 1]))
        return events(self.time[here], steps, dt, self.channel[here])


class CsvSampler(DataSampler):
    """The samples of two tables, in the parts that a seed draws."""

    def __init__(self, task: Csv, dt: float, streams: Streams) -> None:
        self._spikes = _spikes(files.file("Csv.spikes", task.spikes, "a CSV table of spikes"), task.duration)
        path = files.file("Csv.targets", task.targets, "a CSV table of targets")
        lines, table = _columns(path, LABELS, VALUES)
        self.steps, self._dt = max(1, round(task.duration / dt)), dt
        labels = self._classes(table, task, path) if "label" in table else self._values(lines, table, task, path)
        if self._spikes.sample.max(initial=0) >= labels.size:
            sample = int(self._spikes.sample.max())
            raise FileError(
                task.spikes, f"spikes of sample {sample}, but {path.name} has samples 0 to {labels.size - 1}"
            )
        self.inputs = self._channels(task)
        spikes = self._spikes
        self.remarks = losses(spikes.sample, spikes.time, spikes.channel, self.steps, dt)
        rest, test = stratified(np.arange(labels.size), labels, task.test, streams.at("task/split"))
        super().__init__(parts_with_validation(rest, test, labels, task.validation, streams), self._made, streams)

    def _channels(self, task: Csv) -> int:
        """Input channels, those of the setting if there is one: silent ones are channels too."""
        needed = int(self._spikes.channel.max(initial=0)) + 1
        if task.channels is not None and needed > task.channels:
            raise FileError(
                task.spikes, f"has spikes on channel {needed - 1}; expected {task.channels} channels from 0"
            )
        return needed if task.channels is None else task.channels

    def _classes(self, table: Any, task: Csv, path: Path) -> Indices:
        """Take up classification; the number of each sample's class."""
        samples, texts = table["sample"], table["label"]
        different, lines = np.unique(samples, return_counts=True)
        if different.size < samples.size:
            raise FileError(
                path, f"sample {different[lines > 1][0]} has more than one label; expected one line per sample"
            )
        _without_gap(different, path)
        self.classes = tuple(sorted(set(texts), key=_by_number))
        if len(self.classes) > MOST_OUTPUTS:
            raise FileError(path, f"has {len(self.classes)} different labels; at most {MOST_OUTPUTS}")
        self.outputs, self.objective = len(self.classes), READOUTS[task.readout]
        number = {name: place for place, name in enumerate(self.classes)}
        self._labels = np.array([number[text] for text in texts[np.argsort(samples)]], np.int64)
        return self._labels

    def _values(self, lines: Table, table: Any, task: Csv, path: Path) -> Indices:
        """Take up regression; labels that tell no classes apart."""
        _without_gap(np.unique(table["sample"]), path)
        _within(lines, table["time"], task.duration)
        order = np.lexsort((table["time"], table["sample"]))
        self._curve = {name: column[order] for name, column in table.items()}
        self._labels, self.objective = unlabelled(int(table["sample"].max()) + 1), SquaredError()
        self.outputs = int(table["output"].max()) + 1
        return self._labels

    def _made(self, index: int) -> Sample:
        inputs = self._spikes.events(index, self.steps, self._dt)
        if self.classes:
            return labelled(index, inputs, int(self._labels[index]), self.outputs)
        return Sample(index, inputs, self._target(index))

    def _target(self, index: int) -> Floats:
        curve, target = self._curve, np.zeros((self.steps, self.outputs))
        here = slice(*np.searchsorted(curve["sample"], [index, index + 1]))
        begins = steps_of(curve["time"][here], self._dt)
        for begin, output, value in zip(begins, curve["output"][here], curve["value"][here], strict=True):
            target[begin:, output] = value
        return target


def _by_number(label: str) -> tuple[bool, int, str]:
    """Whole numbers in their order, then all other labels in theirs."""
    return not label.isdecimal(), int(label) if label.isdecimal() else 0, label


def _spikes(path: Path, duration: float) -> SpikeTable:
    table, columns = _columns(path, SPIKES)
    _within(table, columns["time"], duration)
    order = np.argsort(columns["sample"], kind="stable")
    return SpikeTable(*(columns[name][order] for name in SPIKES))


def _columns(path: Path, *known: Sequence[str]) -> tuple[Table, dict[str, npt.NDArray[Any]]]:
    """The columns of one of the known tables, checked one by one."""
    table = Table(path)
    expected = " or ".join(",".join(columns) for columns in known)
    fitting = [columns for columns in known if set(columns) <= set(table.columns)]
    if not fitting:
        there = quoted(",".join(table.columns))[1:-1]
        raise FileError(path, f"has the columns {there}; expected {expected}")
    if not len(table):
        raise FileError(path, f"has no lines below its header {expected}")
    twice = [name for name in fitting[0] if table.columns.count(name) > 1]
    if twice:
        raise FileError(path, f"has two columns {twice[0]}; expected one")
    return table, {name: _column(table, name) for name in fitting[0]}


def _column(table: Table, name: str) -> npt.NDArray[Any]:
    """A column as an array: whole numbers, finite numbers, or text for labels."""
    if name == "label":
        return table.texts(name)
    numbers = table.numbers(name)
    if name not in WHOLE:
        table.refuse((numbers < 0.0) & (name == "time"), name, "a time >= 0 s")
        return numbers
    most = {"channel": MOST_CHANNELS, "output": MOST_OUTPUTS}.get(name, 2**31)
    wrong = (numbers < 0) | (numbers >= most) | (numbers % 1 != 0)
    table.refuse(wrong, name, f"a whole number from 0 to {most - 1}")
    return np.asarray(numbers, np.int64)


def _within(table: Table, times: Floats, duration: float) -> None:
    if times.max() >= duration:
        line = table.lines[int(times.argmax())]
        end = f"is not before the trial's end, {duration:g} s{other_unit(times, duration)}"
        raise FileError(table.path, f"line {line}, time: {times.max():g} s {end}")


def _without_gap(samples: Indices, path: Path) -> None:
    missing = np.setdiff1d(np.arange(samples.size), samples)
    if missing.size:
        raise FileError(path, f"has no sample {missing[0]}; expected {samples.size} samples numbered from 0")
