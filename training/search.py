"""What is tuned, by what, and how long: a search as a value."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from pcmsim.errors import FieldError, UnknownNameError
from pcmsim.quantity import check, quantity
from pcmsim.registry import Registry
from pcmsim.streams import Streams
from training import codec, loading
from training.config import RunConfig
from training.jobs import METRICS, NONE, Job
from training.presets import PRESETS
from training.schemes import SCHEMES
from training.spaces import SPACES, Range

FIRST_SEED = 1001
"""Tuning trains with seeds 1001, 1002, ...; comparisons use 1, 2, ..., so that none was tuned for."""


@dataclass(frozen=True)
class Search:
    """What is tuned, by what, and how long.

    Parameters
    ----------
    name : str
        Begins the study's name.
    config : RunConfig
        The settings that stay, and the first ones tried.
    fields : mapping
        Ranges by dotted name of the field.
    metric, trials, every, judge, seeds, evaluations, seed
        See the fields.

    Raises
    ------
    FieldError, UnknownNameError
        If a field does not exist or may not hold an end of its range, or a value is not allowed.
    """

    name: str
    config: RunConfig
    fields: Mapping[str, Range]
    metric: str = quantity("loss", choices=tuple(METRICS), doc="What is made small or large; see METRICS")
    trials: int = quantity(750, minimum=1, maximum=10**9, doc="Trials of a full run")
    every: int = quantity(30, unit="trials", minimum=1, maximum=10**9, doc="Trials of each point of the curve")
    judge: str = quantity(NONE, choices=(NONE, "validation", "test"), doc="Samples that judge at the end")
    seeds: int = quantity(2, minimum=1, maximum=1000, doc="Runs of an evaluation; their mean counts")
    evaluations: int = quantity(60, minimum=1, maximum=10**6, doc="Budget: evaluations, those ended early included")
    seed: int = quantity(1, minimum=0, maximum=2**63 - 1, doc="Decides what is tried")
    first: Mapping[str, Any] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check(self)
        if not self.fields:
            raise FieldError("Search.fields", "at least one field with its range", dict(self.fields))
        fields = {n: known.typed(functools.partial(codec.typed, self.config, n)) for n, known in self.fields.items()}
        object.__setattr__(self, "fields", MappingProxyType(fields))
        for name, known in self.fields.items():
            for value in known.ends:
                self.config.with_values({name: value})
        self._check_metric()
        held = {name: _held(self.config, name) for name in self.fields}
        object.__setattr__(self, "first", {n: value for n, value in held.items() if self.fields[n].holds(value)})

    def _check_metric(self) -> None:
        if self.metric.startswith("held-out") and self.judge == NONE:
            raise FieldError("Search.judge", f"validation or test for the metric {self.metric}", self.judge)
        network = self.config.network
        task = self.config.task.sampler(network.dt, streams=Streams(self.config.seed))
        if self.metric.endswith("accuracy") and not task.classes:
            raise FieldError("Search.metric", "a loss where the task is regression", self.metric)

    def __getstate__(self) -> dict[str, Any]:
        """For another process: a view of a mapping cannot travel."""
        return {**self.__dict__, "fields": dict(self.fields)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, fields=MappingProxyType(state["fields"]))

    @property
    def study(self) -> str:
        """Name of the study: another one for whatever else is searched; a larger budget goes on with the same."""
        decides = [getattr(self, name) for name in ("metric", "trials", "every", "judge", "seeds", "seed")]
        ranges = {name: str(known) for name, known in self.fields.items()}
        text = json.dumps([decides, ranges, self.config.to_dict()], sort_keys=True, default=str)
        return f"{self.name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"

    def jobs(self, values: Mapping[str, Any]) -> list[Job]:
        """The runs of an evaluation, one per tuning seed."""
        config = self.config.with_values(values)
        seeds = range(FIRST_SEED, FIRST_SEED + self.seeds)
        return [Job(config.with_values({"seed": seed}), self.trials, self.every, self.judge) for seed in seeds]


def _held(config: RunConfig, name: str) -> Any:
    """The value at a dotted name; None where there is none yet."""
    node: Any = codec.encode(config)
    for part in name.split("."):
        node = node.get(part) if isinstance(node, Mapping) else None
    return node


@dataclass(frozen=True)
class Course:
    """What a task is tuned for, whatever the scheme.

    Parameters
    ----------
    base : callable
        From the scheme's name to that of the preset that stays, and is tried first.
    metric, trials, every, judge
        See `Search`.
    """

    base: Callable[[str], str]
    metric: str = "loss"
    trials: int = 750
    every: int = 30
    judge: str = NONE


COURSES: Registry[Course] = Registry("task with settings to tune")
COURSES.register("pattern")(Course(lambda scheme: scheme))
COURSES.register("digits")(Course(lambda _: "digits-pcm", "held-out-accuracy", 1500, 100, "validation"))


def search_for(
    course: Course, scheme: str, name: str, settings: Mapping[str, Any] | None = None, **changed: Any
) -> Search:
    """The search of a scheme's settings.

    Parameters
    ----------
    course : Course
        For what, such as ``COURSES["pattern"]``.
    scheme : str
        The scheme's name.
    name : str
        The task's name, which begins the study's.
    settings : mapping, optional
        Further settings that stay, by dotted name.
    **changed
        Fields of `Search`.

    Raises
    ------
    UnknownNameError, FieldError
        If there is no such scheme, setting or field.

    Examples
    --------
    >>> search_for(COURSES["pattern"], "sign", "pattern", evaluations=20).config.scheme
    Sign(threshold=20.0)
    """
    if scheme not in SCHEMES:
        raise UnknownNameError("update scheme", scheme, SCHEMES)
    fields = changed.get("fields") or SPACES[scheme]
    config = loading.configuration(course.base(scheme))
    if codec.name_of(config.scheme) != scheme:
        config = config.with_values({"scheme": scheme, "device.devices": PRESETS[scheme].config.device.devices})
    own = {known: getattr(course, known) for known in ("metric", "trials", "every", "judge")}
    values = {"name": f"{name}-{scheme}", "config": config.with_values(settings or {}), **own, **changed}
    return Search(**{**values, "fields": fields})
