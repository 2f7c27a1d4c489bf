"""Leave the chip alone, then see what is left: errors before and after a wait, as read and with compensation.

Time passes on the device clock alone. Conductances drift, ``G (t / t_0) ** -nu``, and with them the
weights. Global drift compensation reads each array's total conductance before the wait and after it,
and multiplies the array's weights by the quotient: one gain per array (Joshi et al., Nat. Commun. 11,
2473, 2020, doi:10.1038/s41467-020-16108-9, after Le Gallo et al. 2018). It undoes the mean of the
drift; what devices do apart from the mean, and the read noise, which the gain lifts too, stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pcmsim.errors import FieldError, UnknownNameError
from pcmsim.quantity import Quantity
from training.evaluation import answers, next_trial, thinned
from training.network import LAYERS, Arrays
from training.objectives import Sample
from training.records import finite
from training.session import Session
from training.tasks.base import MOST_SAMPLES

DAY = 86_400.0

SPANS: dict[str, float] = {
    "1 min": 60.0,
    "1 h": 3600.0,
    "1 d": DAY,
    "1 month": 30.0 * DAY,
    "1 year": 365.0 * DAY,
}
"""Waiting times that people ask about [s]; a month has 30 days."""

WAIT = Quantity(float, unit="s", above=0.0, maximum=3.2e9, doc="Waiting time; at most about a century")


@dataclass(frozen=True)
class Aging:
    """What a wait does to a network that does not learn meanwhile; errors are the task's loss over its test samples.

    Parameters
    ----------
    seconds : float
        The wait [s].
    before, after : float
        Error as the next trial would make it without the wait, and with it.
    compensated : float
        Error after the wait with global drift compensation.
    silent : float
        Error of a network that says nothing.
    gains : dict of str to float
        Compensation gain of each layer's array.
    device_time : float
        Device time after the wait [s].
    """

    seconds: float
    before: float
    after: float
    compensated: float
    silent: float
    gains: dict[str, float]
    device_time: float


def fast_forward(session: Session, seconds: float) -> Aging:
    """Let device time pass and measure what it does; the session's clock moves, nothing else changes.

    Parameters
    ----------
    session : Session
        Goes on from the later device time, as if the clock had been set by hand.
    seconds : float
        The wait [s], at most 3.2e9.

    Returns
    -------
    Aging

    Raises
    ------
    FieldError
        If `seconds` is not a finite number > 0 and <= 3.2e9; nothing has changed then.

    Examples
    --------
    >>> from training.config import RunConfig
    >>> session = Session(RunConfig().with_values({"network.hidden": 20, "task.duration": 0.1}))
    >>> aging = fast_forward(session, SPANS["1 d"])
    >>> session.device_time, round(aging.gains["input"], 3)
    (86400.0, 1.362)
    """
    [aging] = outlook(session, {"the wait": seconds})
    session.device_time = aging.device_time
    return aging


def outlook(session: Session, times: Mapping[str, float] = SPANS) -> list[Aging]:
    """What waits of several lengths would do; nothing in the session changes, its clock neither.

    Parameters
    ----------
    session : Session
        Only looked at.
    times : mapping of str to float
        Waiting times by name [s].

    Returns
    -------
    list of Aging
        In the order of `times`, each from the present device time.

    Raises
    ------
    FieldError
        If a time is not a finite number > 0 and <= 3.2e9.
    """
    for seconds in times.values():
        if not WAIT.accepts(seconds):
            raise FieldError("seconds", WAIT.allowed, seconds)
    before = measure(session, next_trial(session, session.device_time))
    return [_aged(session, float(seconds), before) for seconds in times.values()]


def measure(session: Session, now: float, gains: Mapping[str, float] | None = None) -> float:
    """Error of the session's network over the test samples of its task, at most a thousand, without learning.

    Read noise comes from streams of its own, addressed by the sample alone: measurements of one run
    meet the same noise, whatever their time and gains, and training never meets it. Nothing in the
    session changes. The reads are not counted in the ledgers: they are the observer's, and counting
    them would make the run's records depend on who looked.

    Parameters
    ----------
    session : Session
        Only looked at.
    now : float
        Device time at the first step of each sample [s].
    gains : mapping of str to float, optional
        Factors on the weights by layer; 1 for those left out.

    Returns
    -------
    float
        Mean loss; 1e30 stands for one that is not finite.

    Raises
    ------
    UnknownNameError
        If there is no such layer.
    FieldError
        If an array cannot be read with its gain.
    """
    arrays, judge = _rescaled(session.arrays, gains or {}), session.sampler.objective
    found = answers(session, _judged(session), now, arrays)
    return finite(float(np.mean([judge.loss(activity.output, sample) for sample, activity in found])))


def _aged(session: Session, seconds: float, before: float) -> Aging:
    device_time = session.device_time + seconds
    then, now = next_trial(session, session.device_time), next_trial(session, device_time)
    gains = {layer: array.drift_gain(then, now) for layer, array in zip(LAYERS, session.arrays, strict=True)}
    return Aging(
        seconds=seconds,
        before=before,
        after=measure(session, now),
        compensated=measure(session, now, gains),
        silent=float(np.mean([session.sampler.objective.baseline(sample) for sample in _judged(session)])),
        gains=gains,
        device_time=device_time,
    )


def _judged(session: Session) -> Sequence[Sample]:
    return thinned(session.sampler.evaluation(), MOST_SAMPLES)


def _rescaled(arrays: Arrays, gains: Mapping[str, float]) -> Arrays:
    for layer in gains:
        if layer not in LAYERS:
            raise UnknownNameError("layer", layer, LAYERS)
    return Arrays(*(array.rescaled(gains.get(layer, 1.0)) for layer, array in zip(LAYERS, arrays, strict=True)))
