"""Lanes of a race on the page: which there are to choose from, in which colour, and where Live opens them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from app import url
from app.settings import label
from training import codec
from training.config import RunConfig
from training.presets import PRESETS
from training.race import Race, schemes
from training.schemes import SCHEMES

MOST = 8
"""Lanes of a race on the page: as many as there are colours that can be told apart."""

OWN = {
    "mixed-precision": 2,
    "sign": 1,
    "multi-memristor": 0,
    "update-ready": 3,
    "stochastic": 4,
    "float32": 5,
    "adam": 6,
}
"""Place of each scheme's colour among `app.theme.Palette.lanes`."""


def tasks() -> list[str]:
    """Tasks for which there are schemes to race, by name."""
    tuned = {name.removesuffix(f"-{scheme}") for name in PRESETS for scheme in SCHEMES if name.endswith(f"-{scheme}")}
    return ["pattern", *sorted(task for task in tuned - {"pattern"} if _raced(task))]


def of_task(task: str) -> tuple[list[str], list[str]]:
    """Schemes with settings for a task, and further presets of that task."""
    settled = [name for name in schemes() if f"{task}-{name}" in PRESETS]
    taken = {*settled, *(f"{task}-{name}" for name in settled)}
    kind = type(_config(task, settled[0]).task)
    return settled, [name for name, one in PRESETS.items() if name not in taken and type(one.config.task) is kind]


def places(race: Race) -> dict[str, int]:
    """Place of each lane's colour: its scheme's own if it is the first of that scheme, else one that is free."""
    found: dict[str, int] = {}
    for lane, config in race.lanes.items():
        own = OWN.get(codec.name_of(config.scheme), 0)
        free = [place for place in range(MOST) if place not in {*found.values(), *_kept_free(race, found)}]
        found[lane] = own if own not in found.values() else (free or [len(found) % MOST])[0]
    return found


def _kept_free(race: Race, found: Iterable[str]) -> set[int]:
    """Colours of schemes whose first lane is yet to come."""
    return {OWN.get(codec.name_of(config.scheme), 0) for lane, config in race.lanes.items() if lane not in set(found)}


def addresses(race: Race) -> dict[str, str]:
    """For each lane the address of the Live page with its settings and the first seed; empty where none can give it."""
    begun = {lane: config.with_values({"seed": race.seeds[0]}) for lane, config in race.lanes.items()}
    return {lane: url.live(config, _preset(config, lane)) for lane, config in begun.items()}


def _preset(config: RunConfig, lane: str) -> str:
    """The preset that a lane comes from, as `training.race.entrants` finds it."""
    named = [name for name in (f"{codec.name_of(config.task)}-{lane}", lane) if name in PRESETS]
    return (named or [url.DEFAULT_PRESET])[0]


def titles(lanes: Sequence[str]) -> dict[str, str]:
    """Lanes as people write them."""
    return {lane: label(lane) for lane in lanes}


def _raced(task: str) -> bool:
    return any(f"{task}-{name}" in PRESETS for name in schemes())


def _config(task: str, scheme: str) -> RunConfig:
    tuned = f"{task}-{scheme}"
    return PRESETS[tuned if tuned in PRESETS else scheme].config
