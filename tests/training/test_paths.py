"""Which settings name files: every text of a configuration is a choice or a declared path, and paths keep to bounds."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pcmsim.errors import FieldError
from pcmsim.foundation import confinement
from pcmsim.presets import DEVICES
from pcmsim.quantity import Quantity, quantities
from training.codec import FAMILIES
from training.config import RunConfig
from training.sweep import Sweep
from training.tasks import TASKS

NUMBERS = {float, int, bool}


def kinds(kind: Any = RunConfig) -> Iterator[type]:
    """Every dataclass of which a configuration may be made: all schemes, tasks and devices too."""
    if kind in FAMILIES:
        for member in FAMILIES[kind].values():
            yield from kinds(member)
        return
    yield kind
    for hint in map(part, typing.get_type_hints(kind).values()):
        if hint in FAMILIES or dataclasses.is_dataclass(hint):
            yield from kinds(hint)


def part(hint: Any) -> Any:
    """What a field holds that may be empty, else what it holds."""
    held = [one for one in typing.get_args(hint) if one is not type(None)]
    return held[0] if len(held) == 1 and type(None) in typing.get_args(hint) else hint


KINDS = list(dict.fromkeys([*kinds(), *(kind for make in DEVICES.values() for kind in kinds(type(make())))]))


def undeclared(kind: type) -> list[str]:
    """Fields through which a text could come in that is neither a choice nor a path that says so."""
    about, hints = quantities(kind), typing.get_type_hints(kind)
    return [f.name for f in dataclasses.fields(kind) if not _declared(about.get(f.name), hints[f.name], f.name)]


def _declared(about: Quantity | None, hint: Any, name: str) -> bool:
    if about is None:  # a part of the tree, or the constants of a device, whose fields are among `KINDS`
        return hint in FAMILIES or dataclasses.is_dataclass(part(hint)) or name == "constants"
    return about.kind in NUMBERS or bool(about.choices) or about.path is not None


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_text_is_a_choice_or_a_declared_path(kind: type) -> None:
    assert undeclared(kind) == []


def test_a_text_that_is_neither_is_found() -> None:
    @dataclasses.dataclass
    class Careless:
        file: str = ""
        path: Path = Path()

    assert undeclared(Careless) == ["file", "path"]


PATHS = [
    (f"task.{field}", {"task": name})
    for name, task in TASKS.items()
    for field, about in quantities(task).items()
    if about.path is not None
] + [("device.preset", {})]


@pytest.fixture
def inside(tmp_path: Path) -> Iterator[Path]:
    (folder := tmp_path / "session").mkdir()
    confinement.confine(folder)
    yield folder
    confinement.release()


def test_the_declared_paths_are_those_of_the_users_files() -> None:
    assert {name for name, _ in PATHS} == {"task.folder", "task.spikes", "task.targets", "device.preset"}


@pytest.mark.parametrize(("name", "first"), PATHS)
def test_no_path_of_a_configuration_leaves_the_sessions_folder(name: str, first: dict[str, str], inside: Path) -> None:
    (inside / "own.json").write_text("{}")
    (inside.parent / "other.json").write_text("{}")
    (inside / "link.json").symlink_to(inside.parent / "other.json")
    config = RunConfig().with_values({**first, name: str(inside / "own.json")})
    data = config.to_dict()
    for text in (inside.parent / "other.json", inside / "link.json", inside / ".." / "other.json"):
        group, field = name.split(".")
        data[group][field] = str(text)
        with pytest.raises(FieldError, match=rf"\.{field}: must be the path of a file that was uploaded here"):
            RunConfig.from_dict(data)


def test_a_task_that_came_by_another_way_is_checked_when_its_files_are_opened(tmp_path: Path) -> None:
    config = RunConfig().with_values({"task": "mnist", "task.folder": str(tmp_path)})
    confinement.confine()
    try:
        with pytest.raises(FieldError, match="Mnist.folder: must be the path of a file that was uploaded here"):
            config.task.sampler(1e-3, streams=None)
    finally:
        confinement.release()


@pytest.mark.parametrize(
    "entries",
    [
        {"preset": "{other}"},
        {"cases": {"a": {"preset": "{other}"}}},
        {"fields": {"device.preset": ["ideal", "{other}"]}},
        {"set": {"task": {"name": "csv", "spikes": "{other}"}}},
        {"set": {"task": "mnist", "task.folder": "{other}"}},
        {"fields": {"task": [{"name": "shd", "folder": "{other}"}]}},
    ],
)
def test_no_sweep_names_a_file_outside(entries: dict[str, Any], inside: Path) -> None:
    def named(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: named(one) for key, one in value.items()}
        return [*map(named, value)] if isinstance(value, list) else value.format(other=inside.parent / "other.json")

    (inside.parent / "other.json").write_text("{}")
    with pytest.raises(FieldError, match="must be the path of a file that was uploaded here"):
        Sweep.from_dict(named(entries))
