"""Inference only: a trained network on simulated in-memory-computing cores, and what is left of it with time.

Weights are written once, by program-and-verify; then conductances drift, and no one learns. Global drift
compensation multiplies the sums of each array by one gain, column compensation those of each column by its own;
both come from summed conductances (Joshi et al., Nat. Commun. 11, 2473, 2020, doi:10.1038/s41467-020-16108-9).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Self, get_type_hints

import numpy as np
import torch

from pcmsim.array import WeightArray
from pcmsim.core import Core, CoreConfig
from pcmsim.crossbar import Crossbar
from pcmsim.errors import FieldError
from pcmsim.foundation.tensors import usual_numerics
from pcmsim.mismatch import spread, weight_factors
from pcmsim.programming import WEIGHT_BITS, Programming, program
from pcmsim.quantity import check, quantity
from pcmsim.registry import Registry
from pcmsim.streams import Streams
from training import codec
from training.aging import SPANS, WAIT
from training.config import DeviceConfig, RunConfig
from training.evaluation import Answering, evaluate, next_trial
from training.network import LAYERS, Arrays, Network
from training.tasks import Sampler

TRAINED = "trained"
"""Stands for the network before it is deployed."""

PAIR_REFERENCE = 300.0
"""Drift reference of the HERMES chip's pairs of devices [s], as IBM's analog hardware kit documents it."""

Compensation = Callable[[WeightArray, float], WeightArray]

COMPENSATIONS: Registry[Compensation] = Registry("compensation")
COMPENSATIONS.register("none")(lambda array, now: array)
COMPENSATIONS.register("global")(lambda array, now: array.rescaled(array.drift_gain(0.0, now)))
COMPENSATIONS.register("column")(lambda array, now: array.rescaled(array.column_gains(0.0, now)))


def _hermes() -> DeviceConfig:
    return DeviceConfig(preset="hermes", devices=2, constants={"drift_reference": PAIR_REFERENCE})


@dataclass(frozen=True)
class Chip:
    """A kind of chip, and how weights come onto it.

    Of the device settings those count that say what devices are; the conductance of weight 1 follows from the
    weights, layer by layer.

    Raises
    ------
    FieldError
        If a value lies outside its bounds.
    """

    device: DeviceConfig = field(default_factory=_hermes)
    core: CoreConfig = field(default_factory=lambda: CoreConfig(enabled=True))
    percentile: float = quantity(
        100.0,
        unit="%",
        minimum=50.0,
        maximum=100.0,
        doc="Percentile of a layer's weight magnitudes that stands for full conductance; larger ones saturate",
        source="ours",
    )
    weight_bits: int | None = quantity(
        None,
        kind=WEIGHT_BITS.kind,
        minimum=WEIGHT_BITS.minimum,
        maximum=WEIGHT_BITS.maximum,
        doc="Bits to which weights are rounded before they are written",
        source="none: the programming error is coarser",
    )

    def __post_init__(self) -> None:
        check(self)

    def with_values(self, values: Mapping[str, Any]) -> Self:
        """A copy with fields replaced by dotted name, such as ``core.adc_bits``, in the order given.

        Another device preset begins with its own constants.

        Raises
        ------
        UnknownNameError, FieldError
            If a name does not exist or a value is not allowed.
        """
        data = codec.encode(self)
        for name, value in values.items():
            codec.place(data, name, codec.whole(get_type_hints(Chip).get(name), value))
            if name == "device.preset":
                data["device"]["constants"] = {}
        changed: Self = codec.decode(type(self), data, "Chip")
        return changed

    def full_weight(self, weights: torch.Tensor) -> float:
        """Weight for which a layer's fully conducting cells stand; 1 where all weights are 0."""
        return float(np.percentile(weights.abs().numpy(), self.percentile)) or 1.0


@dataclass(frozen=True)
class Deployed:
    """A network on one chip, programmed at device time 0: it can be asked, and does not learn.

    Parameters
    ----------
    config : RunConfig
        That of the training, with the chip's devices and cores.
    sampler, network : Sampler, Network
        Task and neurons of the training.
    arrays : Arrays
        The chip's arrays.
    streams : Streams
        The chip's random numbers.
    programming : dict of str to Programming
        How well each layer was programmed.
    device_time : float
        When that was [s].
    """

    config: RunConfig
    sampler: Sampler
    network: Network
    arrays: Arrays
    streams: Streams
    programming: Mapping[str, Programming]
    device_time: float = 0.0

    @property
    def error(self) -> float:
        """Root mean square of all programming errors, each as a share of its layer's full scale."""
        sizes = [done.target.numel() for done in self.programming.values()]
        squares = [done.error**2 for done in self.programming.values()]
        return float(np.average(squares, weights=sizes) ** 0.5)

    @property
    def saturated(self) -> int:
        """Weights beyond their layer's range."""
        return sum(done.saturated for done in self.programming.values())

    def compensated(self, name: str, now: float) -> Deployed:
        """The same chip, read with drift compensation for device time `now` [s].

        Raises
        ------
        UnknownNameError
            If there is no such compensation.
        """
        compensate = COMPENSATIONS[name]
        return replace(self, arrays=Arrays(*(compensate(array, now) for array in self.arrays)))


@usual_numerics()
def deploy(session: Answering, chip: Chip, seed: int) -> Deployed:
    """Program a trained network's weights, as they read on average, onto a chip; nothing in the session changes.

    Parameters
    ----------
    session : Answering
        The trained network; only looked at.
    chip : Chip
        The kind of chip.
    seed : int
        Decides the chip: programming errors, drift exponents, mismatch, converters, and the noise of its reads.

    Returns
    -------
    Deployed

    Raises
    ------
    FieldError
        If the chip's devices cannot be programmed to a target.

    Examples
    --------
    >>> from training.presets import PRESETS
    >>> from training.session import Session
    >>> deployed = deploy(Session(PRESETS["digits"].config), Chip(), seed=1)
    >>> 0.03 < deployed.error < 0.05, deployed.saturated
    (True, 0)
    """
    streams, arrays, programming = Streams(seed), [], {}
    for layer, array in zip(LAYERS, session.arrays, strict=True):
        weights = array.moments(next_trial(session, session.device_time)).mean
        cells = _blank(chip, weights, layer, streams)
        done = program(cells, weights, 0.0, bits=chip.weight_bits, generator=streams.at(f"program/{layer}"))
        arrays.append(cells)
        programming[layer] = done
    device = replace(chip.device, update_interval=session.config.device.update_interval)
    config = replace(session.config, device=device, core=chip.core)
    return Deployed(config, session.sampler, session.network, Arrays(*arrays), streams, programming)


def _blank(chip: Chip, weights: torch.Tensor, layer: str, streams: Streams) -> Crossbar:
    """The array of a layer before it is programmed."""
    shape, model, mismatch = (weights.shape[0], weights.shape[1]), chip.device.model(None), chip.device.mismatch
    devices = chip.device.devices
    array = Crossbar(
        shape,
        model,
        devices=devices,
        scale=model.g_max / chip.full_weight(weights),
        initial_conductance=0.0,
        generator=streams.at(f"initial/{layer}"),
        spread=spread(mismatch, (2, devices, *shape), streams=streams, name=layer),
    )
    array.factor = weight_factors(mismatch, shape, streams=streams, name=layer)
    if chip.core.enabled:
        array.core = Core(chip.core, shape, array.full_weight, generator=streams.at(f"core/{layer}"))
    return array


@dataclass(frozen=True)
class Deployment:
    """What is compared.

    Parameters
    ----------
    chip : Chip
        The kind of chip.
    chips : int
        So many of them, of seeds 1, 2, ...
    times : tuple of float
        Times since programming [s].
    compensations : tuple of str
        Names in `COMPENSATIONS`.

    Raises
    ------
    FieldError, UnknownNameError
        If a name does not exist or a number is not allowed.
    """

    chip: Chip = field(default_factory=Chip)
    chips: int = 10
    times: tuple[float, ...] = (1.0, *(SPANS[name] for name in ("1 h", "1 d", "1 month", "1 year")))
    compensations: tuple[str, ...] = tuple(COMPENSATIONS)

    def __post_init__(self) -> None:
        if self.chips < 1:
            raise FieldError("Deployment.chips", "a whole number >= 1", self.chips)
        for name in ("times", "compensations"):
            values = getattr(self, name)
            if not values or len(set(values)) < len(values):
                raise FieldError(f"Deployment.{name}", "at least one, each once", values)
        for seconds in self.times:
            if not WAIT.accepts(seconds):
                raise FieldError("Deployment.times", WAIT.allowed, seconds)
        for name in self.compensations:
            COMPENSATIONS[name]


@dataclass(frozen=True)
class Result:
    """How one chip answers at one time.

    Parameters
    ----------
    compensation : str
        Of the drift; ``trained`` is the network itself, before it is deployed.
    seconds : float
        Time since programming [s].
    chip : int
        Its seed; 0 for the trained network.
    accuracy : float
        Share of right answers over the test samples; not a number in regression.
    loss : float
        Their mean loss.
    error : float
        Programming error as a share of the full scale; see `Deployed.error`.
    saturated : int
        Weights beyond the range.
    """

    compensation: str
    seconds: float
    chip: int
    accuracy: float
    loss: float
    error: float
    saturated: int


def run(study: Deployment, session: Answering) -> Iterator[list[Result]]:
    """Results of the trained network, then of one chip after the other; nothing in the session changes."""
    return (part(session) for part in parts(study).values())


def parts(study: Deployment) -> dict[str, Callable[[Answering], list[Result]]]:
    """What `run` works out, part by part."""
    return {TRAINED: _trained, **{f"chip-{seed}": partial(_on_chip, study, seed) for seed in range(1, study.chips + 1)}}


def _trained(session: Answering) -> list[Result]:
    found = evaluate(session)
    return [Result(TRAINED, 0.0, 0, found.accuracy, found.loss, 0.0, 0)]


def _on_chip(study: Deployment, seed: int, session: Answering) -> list[Result]:
    chip = deploy(session, study.chip, seed)
    return [_result(chip, seed, name, now) for name in study.compensations for now in study.times]


def _result(chip: Deployed, seed: int, compensation: str, now: float) -> Result:
    found = evaluate(chip.compensated(compensation, now), now=now)
    return Result(compensation, now, seed, found.accuracy, found.loss, chip.error, chip.saturated)
