"""What is to be raced: task, lanes, seeds, trials and metric, in the sidebar and in the address."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import panel as pn
import panel_material_ui as pmui

from app import lanes
from app.asked import shown
from app.controls import STYLE, heading, note, responsive
from app.settings import label
from app.url import FLAGS, Arguments
from pcmsim.errors import FieldError, UnknownNameError
from pcmsim.foundation.texts import whole
from pcmsim.streams import Streams
from training.race import Race, entrants

MOST_SEEDS, SEEDS = 10, 3
MOST_TRIALS, TRIALS = 20_000, 750
EVERY = 30
"""Trials over which lanes are ranked, and curves smoothed."""

NOTE = (
    "Every lane gets the same samples in the same order, and the same random numbers for devices, noise and "
    "feedback: lanes differ by their settings alone. A click on a curve or a lane's name opens it in Live."
)


@dataclass(frozen=True)
class Asked:
    """What an address asks for.

    Parameters
    ----------
    task : str
        For which the lanes' settings are.
    lanes : tuple of str
        Schemes and presets; by default all schemes for devices.
    seeds, trials : int
        How many.
    autoplay : bool
        Whether to begin at once.
    problems : tuple of str
        What was wrong with the address, one sentence each.
    """

    task: str = "pattern"
    lanes: tuple[str, ...] = ()
    seeds: int = SEEDS
    trials: int = TRIALS
    autoplay: bool = False
    problems: tuple[str, ...] = ()


def read(arguments: Arguments) -> Asked:
    """What an address asks for, as far as it is allowed; each key is checked by itself.

    Examples
    --------
    >>> asked = read({"lanes": [b"sign,magic"], "seeds": [b"5"], "trials": [b"many"]})
    >>> asked.lanes, asked.seeds, asked.trials
    (('sign',), 5, 750)
    >>> asked.problems
    ("lanes: must be lanes of the task, got 'magic'", "trials: must be a whole number from 1 to 20000, got 'many'")
    """
    problems: list[str] = []
    text = {key: values[-1].decode("utf-8", "replace") for key, values in arguments.items() if values}
    task = _one_of("task", text.get("task", "pattern"), lanes.tasks(), "pattern", problems)
    known = [name for names in lanes.of_task(task) for name in names]
    named = [name for name in text.get("lanes", "").split(",") if name]
    problems += [str(FieldError("lanes", "lanes of the task", shown(n))) for n in named if n not in known]
    chosen = tuple(dict.fromkeys(name for name in named if name in known))[: lanes.MOST]
    seeds = _number("seeds", text.get("seeds", ""), SEEDS, MOST_SEEDS, problems)
    trials = _number("trials", text.get("trials", ""), TRIALS, MOST_TRIALS, problems)
    return Asked(task, chosen, seeds, trials, FLAGS.get(text.get("autoplay", ""), False), tuple(problems))


def _one_of(key: str, text: str, known: list[str], default: str, problems: list[str]) -> str:
    if text in known:
        return text
    problems.append(str(FieldError(key, f"one of {', '.join(known)}", shown(text))))
    return default


def _number(key: str, text: str, default: int, most: int, problems: list[str]) -> int:
    try:
        return _whole(key, text, most) if text else default
    except FieldError as error:
        problems.append(str(error))
        return default


def _whole(name: str, text: str, most: int) -> int:
    """The number that a browser sends, as far as it is allowed."""
    number = whole(text)
    if isinstance(number, int) and 1 <= number <= most:
        return number
    raise FieldError(name, f"a whole number from 1 to {most}", shown(text))


class Entries:
    """The sidebar.

    Parameters
    ----------
    asked : Asked
        What to begin with.
    changed : callable
        Called when something else is asked for.
    """

    def __init__(self, asked: Asked, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._known = lanes.of_task(asked.task)
        self.task = self._list(pmui.Select, "Task", options=lanes.tasks(), value=asked.task)
        self.schemes = responsive(
            pmui.CheckBoxGroup(
                label="Update schemes", sizing_mode="stretch_width", margin=(2, 0), stylesheets=[STYLE, CHECKS]
            )
        )
        self.presets = self._list(pmui.MultiChoice, "Further presets", options=[], value=[])
        self.seeds = self._slider("Seeds", asked.seeds, 1, MOST_SEEDS)
        self.trials = self._list(pmui.TextInput, "Trials", value=str(asked.trials))
        self.metric = self._list(pmui.Select, "Ranked by", options=["loss"], value="loss")
        self._offer(asked.lanes)
        self.task.param.watch(lambda _: self._retask(), "value")
        for widget in (self.schemes, self.presets, self.seeds, self.trials, self.metric):
            widget.param.watch(lambda _: self._tell(), "value")
        self._quiet = False
        self.view = pn.Column(
            heading("Lanes"), self.task, self.schemes, self.presets, heading("Race"), self.seeds, self.trials,
            self.metric, note(NOTE), margin=(4, 14, 10, 14), sizing_mode="stretch_width",
        )  # fmt: skip

    def race(self) -> Race:
        """What is asked for.

        Raises
        ------
        PCMLabError
            If it makes no race.
        """
        chosen = [*self.schemes.value, *self.presets.value]
        if not 1 <= len(chosen) <= lanes.MOST:
            raise FieldError("Lanes", f"from 1 to {lanes.MOST}", len(chosen))
        known = [name for names in self._known for name in names]
        for name in chosen:
            if name not in known:
                raise UnknownNameError("lane", shown(str(name)), known)
        seeds = tuple(range(1, 1 + _whole("Seeds", str(self.seeds.value), MOST_SEEDS)))
        trials = _whole("Trials", str(self.trials.value).strip(), MOST_TRIALS)
        lanes_of = entrants(chosen, self.task.value)
        return Race(lanes_of, seeds, trials, min(EVERY, trials), metric=self.metric.value)

    def _offer(self, chosen: tuple[str, ...]) -> None:
        """Offer the lanes and the metrics of the task."""
        settled, others = self._known
        self.schemes.param.update(
            options={label(name): name for name in settled},
            value=[name for name in settled if name in chosen or not chosen],
        )
        self.presets.param.update(options=others, value=[name for name in others if name in chosen])
        config = next(iter(entrants(settled[:1], self.task.value).values()))
        classes = config.task.sampler(config.network.dt, streams=Streams(1)).classes
        self.metric.param.update(
            options=["accuracy", "loss"] if classes else ["loss"], value="accuracy" if classes else "loss"
        )

    def _retask(self) -> None:
        self._quiet, self._known = True, lanes.of_task(self.task.value)
        try:
            self._offer(())
        finally:
            self._quiet = False
        self._tell()

    def _tell(self) -> None:
        if not self._quiet:
            self._changed()

    @staticmethod
    def _list(kind: Any, name: str, **about: Any) -> Any:
        look = {"stylesheets": [STYLE, MANY]} if kind is pmui.MultiChoice else {"size": "small", "stylesheets": [STYLE]}
        return responsive(kind(label=name, sizing_mode="stretch_width", margin=(9, 0, 3, 0), **look, **about))

    @staticmethod
    def _slider(name: str, value: int, low: int, high: int) -> Any:
        widget = pmui.IntSlider(
            label=name, value=value, start=low, end=high, step=1, size="small", sizing_mode="stretch_width",
            margin=(1, 0), stylesheets=[STYLE],
        )  # fmt: skip
        return responsive(widget)


MANY = """
.MuiInputLabel-root { font-size: calc(12px * var(--text, 1)) }
.MuiInputLabel-root:not(.MuiInputLabel-shrink) { top: 0 !important; transform: translate(12px, 7px) !important }
"""
CHECKS = """
.MuiFormControlLabel-root { margin-right: 0 !important; height: 26px }
.MuiFormGroup-root { display: grid !important; grid-template-columns: 1fr 1fr }
.MuiCheckbox-root { padding: 4px !important }
.MuiFormControlLabel-label { color: var(--mui-palette-text-primary) !important }
"""
