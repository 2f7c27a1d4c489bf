"""A run's numbers do not follow what its surroundings do to torch and NumPy: default type and device, modes, errors."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
import torch

import pcmsim
import training
from pcmsim.presets import DEVICES
from training import codec
from training.config import RunConfig
from training.deploy import Chip, deploy
from training.evaluation import evaluate
from training.honesty import compare
from training.presets import MIXED
from training.schemes import SCHEMES
from training.session import Session
from training.tasks import TASKS

SMALL = {"network.hidden": 12, "device.update_interval": 10.0}
SHORT = {"name": "pattern", "inputs": 12, "duration": 0.1, "rate": 100.0}
EAGER = {"learning.lr_input": 5e-3, "learning.lr_recurrent": 5e-3, "learning.lr_output": 5e-3}
FACTORIES = {
    "arange", "as_tensor", "asarray", "empty", "eye", "full", "linspace", "logspace", "normal", "ones", "rand",
    "randint", "randn", "randperm", "scalar_tensor", "tensor", "zeros",
}  # fmt: skip
"""Functions of torch whose result has the default type or device unless told otherwise."""


def of_pattern(**values: object) -> RunConfig:
    named = {name.replace("__", "."): value for name, value in values.items()}
    return RunConfig().with_values({**MIXED, **SMALL, "task": SHORT, **EAGER, **named})


DRAWN_TASKS = {"pattern": SHORT, "evidence": {"name": "evidence", "cues": 1}, "digits": {"name": "digits", "shift": 0.5},
               "yin-yang": "yin-yang"}  # fmt: skip
SUBJECTS = {
    **{f"scheme {name}": of_pattern(scheme=name) for name in SCHEMES},
    **{f"device {name}": of_pattern(device__preset=name, device__scale=25.0) for name in DEVICES},
    **{
        f"task {name}": of_pattern(task=task, scheme="float32", network__initial_gain=3.0)
        for name, task in DRAWN_TASKS.items()
    },
    "several devices": of_pattern(scheme={"name": "multi-memristor", "counter": "global"}, device__devices=3),
    "counters": of_pattern(scheme="multi-memristor", device__devices=2),
    "refresh": of_pattern(refresh__enabled=True, refresh__saturation=1.0, refresh__difference=5.0, device__devices=2),
    "core": of_pattern(core__enabled=True, core__wire_resistance=1.0),
    "core and device reads": of_pattern(core__enabled=True, device__read_mode="device", device__preset="hermes"),
    "torch loop": of_pattern(network__loop="torch", device__read_mode="device", device__mismatch={"g_max": 0.2}),
    "torch loop, digital": of_pattern(network__loop="torch", scheme="float32"),
    "mismatch": of_pattern(device__mismatch={"step": 0.2, "g_max": 0.2, "drift_exponent": 0.2, "weight": 0.2},
                           network__tau_mismatch=0.2, network__dead=0.2),
    "within the trial": of_pattern(learning__update_every=20, learning__feedback="adaptive"),
    "bptt in batches": of_pattern(learning__rule="bptt", learning__batch=2, learning__dropout=0.3),
    "few bits": of_pattern(scheme="adam", precision__weight_bits=4, precision__gradient_bits=6),
}  # fmt: skip


@contextlib.contextmanager
def default_type() -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextlib.contextmanager
def default_device() -> Iterator[None]:
    torch.set_default_device("meta")
    try:
        yield
    finally:
        torch.set_default_device(None)


@contextlib.contextmanager
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


@contextlib.contextmanager
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        yield
    finally:
        torch.set_num_threads(before)


SURROUNDINGS: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "default type": default_type,
    "default device": default_device,
    "inference mode": torch.inference_mode,
    "no gradients": torch.no_grad,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "deterministic": deterministic,
    "NumPy raises": lambda: np.errstate(all="raise"),
    "threads": two_threads,
}


@contextlib.contextmanager
def all_of_them() -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for enter in SURROUNDINGS.values():
            stack.enter_context(enter())
        yield


def begun(config: RunConfig) -> Session:
    session = Session(config)
    session.observe()
    session.step()
    return session


def numbers(session: Session, folder: Path) -> dict[str, list[float]]:
    """What a run comes to by all that one can ask of it: trained, saved, taken up, copied, judged, compared, deployed."""
    losses = [record.loss for record in session.run(2)]
    session.configure(session.config.with_values({"learning.lr_input": 1e-3}))
    session.save(folder / "run.safetensors")
    session = Session.resume(folder / "run.safetensors")
    session.observe()
    losses += [record.loss for record in session.run(2)]
    asked = compare(session.fork()) if session.sampler.steps <= 100 else None  # slow, and alike for all tasks
    shown = session.snapshot()
    return {
        "losses": losses,
        "cosines": [] if asked is None else [*asked.cosine.values(), *asked.symmetric.values(), *asked.ratio.values()],
        "judged": [evaluate(session, most=3).loss],
        "watched": [float(layer.asked.sum()) for layer in shown.values()],
        "state": [float(value.double().sum()) for value in session._tensors().values()],
        "deployed": deployed(session),
    }


def deployed(session: Session) -> list[float]:
    """Sums of the weights on a chip, which runs in the compiled loop alone."""
    if session.config.network.loop != "compiled":
        return []
    return [float(array.stored_weights().double().sum()) for array in deploy(session, Chip(), 3).arrays]


@pytest.mark.parametrize("name", SUBJECTS)
def test_a_run_is_the_same_in_all_surroundings_at_once(name: str, tmp_path: Path) -> None:
    expected = numbers(begun(SUBJECTS[name]), tmp_path)
    with all_of_them():
        found = numbers(begun(SUBJECTS[name]), tmp_path)
    assert found == expected
    assert len(set(expected["losses"])) > 1


@pytest.mark.parametrize("surroundings", SURROUNDINGS)
@pytest.mark.parametrize("begins", ["inside", "outside"])
def test_a_run_may_enter_and_leave_any_surroundings(surroundings: str, begins: str, tmp_path: Path) -> None:
    config = SUBJECTS["within the trial"]
    expected, enter = numbers(begun(config), tmp_path), SURROUNDINGS[surroundings]
    with enter() if begins == "inside" else contextlib.nullcontext():
        session = begun(config)
    with enter() if begins == "outside" else contextlib.nullcontext():
        assert numbers(session, tmp_path) == expected


@pytest.mark.parametrize("task", ["mnist", "shd", "labelled"])
def test_files_give_the_same_samples_in_all_surroundings(task: str, request: pytest.FixtureRequest) -> None:
    config = RunConfig().with_values({**SMALL, "scheme": "float32"})
    config = RunConfig.from_dict({**config.to_dict(), "task": codec.encode(request.getfixturevalue(task))})
    expected = [record.loss for record in Session(config).run(2)]
    with all_of_them():
        assert [record.loss for record in Session(config).run(2)] == expected


def test_all_schemes_devices_and_tasks_are_among_the_subjects() -> None:
    assert set(TASKS) == {*DRAWN_TASKS, "mnist", "shd", "csv"}


def _nameless(tree: ast.AST) -> Iterator[ast.Call]:
    """Calls that make a tensor and leave its type or its place to torch's defaults."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in FACTORIES:
            of_torch = isinstance(node.func.value, ast.Name) and node.func.value.id == "torch"
            named = {keyword.arg for keyword in node.keywords}
            if of_torch and None not in named and not {"dtype", "device"} <= named:
                yield node


def test_the_check_of_calls_finds_what_it_looks_for() -> None:
    calls = "torch.zeros(3)\ntorch.rand(3, dtype=d)\ntorch.zeros(3, **SINGLE)\ntorch.ones(2, dtype=d, device='cpu')\nnp.zeros(3)"
    assert [call.lineno for call in _nameless(ast.parse(calls))] == [1, 2]


def test_every_tensor_is_made_with_its_type_and_place() -> None:
    folders = [Path(next(iter(package.__path__))) for package in (pcmsim, training)]
    files = [path for folder in folders for path in folder.rglob("*.py")]
    assert len(files) > 100
    assert [f"{path}:{call.lineno}" for path in files for call in _nameless(ast.parse(path.read_text("utf-8")))] == []
