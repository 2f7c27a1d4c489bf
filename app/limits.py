"""How large a run may be that a stranger asks of the page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pcmsim.errors import PCMLabError
from training.config import RunConfig


@dataclass(frozen=True)
class RunLimit:
    """How much of something a run may have.

    Parameters
    ----------
    what : str
        Of what, in the plural.
    most : int
        How many at most.
    count : callable
        How many a configuration has.
    """

    what: str
    most: int
    count: Callable[[RunConfig], float]


def _steps(config: RunConfig) -> float:
    return config.task.duration / config.network.dt


def _inputs(config: RunConfig) -> int:
    return int(getattr(config.task, "inputs", 0))


def _places(config: RunConfig) -> float:
    return _steps(config) * _inputs(config) * int(getattr(config.task, "samples", 1))


def _synapses(config: RunConfig) -> int:
    return config.network.hidden * (config.network.hidden + _inputs(config))


def _updates(config: RunConfig) -> float:
    return max(1.0, _steps(config) / (config.learning.update_every or _steps(config)))


LIMITS = (
    RunLimit("hidden neurons", 1000, lambda config: config.network.hidden),
    RunLimit("time steps in a trial", 20_000, _steps),
    RunLimit("inputs", 10_000, _inputs),
    RunLimit("places for a spike in all samples", 10**8, _places),
    RunLimit("memory devices", 10**7, lambda config: 2 * config.device.devices * _synapses(config)),
    RunLimit("updates of a synapse in a trial", 10**8, lambda config: _updates(config) * _synapses(config)),
)
"""At each of them a run on one core takes about a gigabyte, and some ten seconds to begin or for a trial."""


MOST_BYTES = 2 * 2**30
"""Bytes that a run may take in its own process, its files and the twin included; its sizes may come from files."""


def check_size(config: RunConfig) -> None:
    """Refuse a run that is too large for the page.

    Parameters
    ----------
    config : RunConfig
        The run.

    Raises
    ------
    PCMLabError
        Naming what there is too much of, how much is allowed, and how much it is.
    """
    for limit in LIMITS:
        number = limit.count(config)
        if number > limit.most + 0.5:
            raise PCMLabError(f"a run on the page may have at most {limit.most:,} {limit.what}, got {number:,.0f}")
