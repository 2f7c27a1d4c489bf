"""How well a classifier answers while it learns: trials as they come, and samples held out in between."""

from __future__ import annotations

import itertools
import math
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pcmsim.errors import FieldError
from training.evaluation import answers, next_trial
from training.neurons import Floats
from training.objectives import Sample
from training.records import TrialRecord
from training.session import Session
from training.spikes import Spikes
from training.tally import Tally
from training.tasks import Sampler

MEMORY = 300
"""Latest decisions that count."""

SHARE = 0.1
"""Time for samples held out, as a share of the time for training."""

LONGEST = 20.0
"""Trials after which a sample held out is asked about at the latest."""

EXAMPLES = 6
"""Latest trials that are shown, and as many latest mistakes."""


@dataclass(frozen=True)
class Example:
    """A trial to look at.

    Parameters
    ----------
    trial : int
        Its number.
    inputs : Spikes
        Input events.
    image : numpy.ndarray or None
        What the sample shows, ``height, width`` from 0 to 1.
    label, decision : int
        The right class, and the one that was answered.
    """

    trial: int
    inputs: Spikes
    image: Floats | None
    label: int
    decision: int


@dataclass(frozen=True)
class Scores:
    """What a classifier gets right.

    Parameters
    ----------
    names : tuple of str
        Of the classes.
    channels : int
        Input channels.
    accuracy, held_accuracy : float
        Share of right decisions in the latest trials, and on samples held out; not a number before the first.
    confusion, held_confusion : numpy.ndarray
        The same decisions, counted by ``class, answer``.
    held_out : bool
        Whether the held samples are never trained on.
    latest, mistakes : tuple of Example
        Latest trials, and the latest wrong ones, newest first.
    """

    names: tuple[str, ...]
    channels: int
    accuracy: float
    held_accuracy: float
    confusion: npt.NDArray[np.int64]
    held_confusion: npt.NDArray[np.int64]
    held_out: bool
    latest: tuple[Example, ...]
    mistakes: tuple[Example, ...]


class Exam:
    """Follows one run; changes nothing in it.

    Parameters
    ----------
    session : Session
        The run.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        classes = len(session.sampler.classes)
        self._trained, self._held = Tally(classes, MEMORY), Tally(classes, MEMORY)
        self._latest: deque[TrialRecord] = deque(maxlen=EXAMPLES)
        self._mistakes: deque[TrialRecord] = deque(maxlen=EXAMPLES)
        self._credit = 0.0
        self._questions = self._asked()

    def take(self, record: TrialRecord) -> float:
        """Take in the next trial; in between, ask about a sample held out.

        Parameters
        ----------
        record : TrialRecord
            The trial.

        Returns
        -------
        float
            Accuracy on samples held out; not a number in regression and before the first.
        """
        if record.label < 0:
            return math.nan
        self._trained.add(record.label, record.decision)
        self._latest.appendleft(record)
        if record.decision != record.label:
            self._mistakes.appendleft(record)
        self._credit = min(self._credit + SHARE * record.seconds, record.seconds)
        if self._credit > 0.0:
            began = time.perf_counter()
            next(self._questions)
            self._credit = max(self._credit - (time.perf_counter() - began), -LONGEST * SHARE * record.seconds)
        return self._held.accuracy

    def scores(self) -> Scores | None:
        """What there is to show; None in regression."""
        sampler = self._session.sampler
        if not sampler.classes:
            return None
        return Scores(
            names=sampler.classes,
            channels=sampler.inputs,
            accuracy=self._trained.accuracy,
            held_accuracy=self._held.accuracy,
            confusion=self._trained.confusion,
            held_confusion=self._held.confusion,
            held_out=sampler.held_out,
            latest=tuple(map(self._example, self._latest)),
            mistakes=tuple(map(self._example, self._mistakes)),
        )

    def _asked(self) -> Iterator[None]:
        """Ask about what is held out, again and again, one sample at a time."""
        session = self._session
        samples = _held_out(session.sampler)
        for place in itertools.cycle(range(len(samples))):
            sample = samples[place]
            [(_, activity)] = answers(session, [sample], next_trial(session, session.device_time))
            self._held.add(sample.label, session.sampler.objective.decide(activity.output, sample))
            yield

    def _example(self, record: TrialRecord) -> Example:
        sample = Sample(record.sample, record.inputs, record.target, record.label)
        image = self._session.sampler.image(sample)
        return Example(record.trial, record.inputs, image, record.label, record.decision)


def _held_out(sampler: Sampler) -> Sequence[Sample]:
    """The validation part; where there is none, the test part."""
    try:
        return sampler.evaluation("validation")
    except FieldError:
        return sampler.evaluation("test")
