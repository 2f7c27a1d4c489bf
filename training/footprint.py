"""How much memory a run takes, from its sizes alone: said before anything of it is built.

Each term is an amount per unit of size, fitted to the peak of the process over two trials; see
``tests/training/test_footprint.py``. A run is held against `training.support.ram`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from training.config import RunConfig
from training.support import ram
from training.tasks import Sampler

PER_STATE = 12.0
"""Bytes per step and hidden neuron: noise, voltage, and the voltage in the record before, float32 each."""

PER_THRESHOLD = 8.0
"""More of them where thresholds adapt: the threshold, in two records."""

PER_GRAPH = {"torch": 65.0, "compiled": 0.0}
"""More of them by the time loop: torch keeps every step for its gradient."""

PER_BPTT = 90.0
"""More of them where gradients go back through time."""

PER_ANSWER = 32.0
"""Bytes per step and output: noise, output, target and error, up to float64."""

PER_DRAW = 5.0
"""Bytes per step and input of a sample that is drawn as a raster: a float32 and what it is compared to."""

PER_SAMPLE = 16.0
"""Bytes per step of every sample that stays: its target and the starts of its events."""

PER_DEVICE = 40.0
"""Bytes per memory device: state, mismatch and counts."""

PER_SYNAPSE = 35.0
"""Bytes per synapse: moments of a read, gradients, the scheme's state."""

PER_TRACE = 32.0
"""More of them where weights change inside a trial: eligibility traces."""


class Sizes(NamedTuple):
    """What a run's memory goes with.

    Parameters
    ----------
    steps, inputs, hidden, outputs, samples : int
        Of a trial, of the network, and of the task's own set.
    """

    steps: int
    inputs: int
    hidden: int
    outputs: int
    samples: int


class Term(NamedTuple):
    """A part of it: the settings that decide how large, and how large [bytes]."""

    fields: tuple[str, ...]
    size: float


def check(config: RunConfig, sampler: Sampler | None = None) -> None:
    """Refuse a run that takes more memory than there is.

    Parameters
    ----------
    config : RunConfig
        The run.
    sampler : Sampler, optional
        Its task made concrete, which knows all sizes; before that, those that the task declares count.

    Raises
    ------
    PCMLabError
        Naming the settings that take most, what the run needs and what is allowed.
    """
    terms = sorted(footprint(config, sizes(config, sampler)), key=lambda term: -term.size)
    ram.check(", ".join(_told(config, terms[0].fields)), sum(term.size for term in terms))


def sizes(config: RunConfig, sampler: Sampler | None = None) -> Sizes:
    """Of a run; those that only its files know are 1 without a sampler."""
    task = config.task
    steps = max(1, round(task.duration / config.network.dt)) if sampler is None else sampler.steps
    inputs = int(getattr(task, "inputs", 1)) if sampler is None else sampler.inputs
    outputs = 1 if sampler is None else sampler.outputs
    return Sizes(steps, inputs, config.network.hidden, outputs, int(getattr(task, "samples", 1)))


def footprint(config: RunConfig, size: Sizes) -> list[Term]:
    """The parts of a run's memory.

    Parameters
    ----------
    config : RunConfig
        The run.
    size : Sizes
        From `sizes`.
    """
    network, learning = config.network, config.learning
    synapses = size.hidden * (size.inputs + size.hidden + size.outputs)
    devices = 0 if config.scheme.digital else 2 * config.device.devices * synapses
    state = PER_STATE + PER_THRESHOLD * (network.adaptive > 0.0) + PER_GRAPH[network.loop]
    state += PER_BPTT * (learning.rule == "bptt")
    times = ("task.duration", "network.dt")
    return [
        Term(("network.hidden", *times), state * size.steps * size.hidden),
        Term(times, PER_ANSWER * size.steps * size.outputs),
        Term(("task.inputs", *times), PER_DRAW * size.steps * size.inputs),
        Term(("task.samples", *times), PER_SAMPLE * size.steps * size.samples),
        Term(("network.hidden", "task.inputs", "device.devices"), PER_DEVICE * devices),
        Term(("network.hidden", "task.inputs"),
             (PER_SYNAPSE + PER_TRACE * (learning.update_every > 0)) * synapses),
    ]  # fmt: skip


def _told(config: RunConfig, fields: tuple[str, ...]) -> list[str]:
    """Names and values of settings; of those that come from a file, the name alone."""
    return [name if (value := _value(config, name)) is None else f"{name}={value:g}" for name in fields]


def _value(config: RunConfig, name: str) -> float | None:
    found: Any = config
    for part in name.split("."):
        found = getattr(found, part, None)
    return None if found is None else float(found)
