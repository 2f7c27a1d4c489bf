"""Why a run does not learn: rules that are asked only while it struggles.

A cause that does no harm is not named: while the error falls, these rules are silent.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

from training.config import RunConfig
from training.schemes import SCHEMES, Float32, MixedPrecision, MultiMemristor, Sign, Stochastic, UpdateReady
from training.schemes import UpdateScheme as Scheme
from training.situation import OBSTACLE, Situation, Words, cause, percent

PATIENCE = 100.0
"""Updates that even the fastest synapse waits for a pulse; in the published run it waits about 5 of 750."""

ROUNDED = 0.9
"""Loss of the asked change, for schemes that keep no rest; with an accumulator 0.9 is normal and nothing is lost."""

FEW = 0.8
"""Share of silent neurons that leaves too few to learn with; runs that learn have up to 0.75."""

SILENT, BUSY, MISMATCH = 0.3, 0.5, 0.1
"""Uneven firing, and the smallest mismatch blamed for it: runs without any can fire as unevenly."""

READ_NOISE = 1.0
"""Noise as large as the signal."""

WRITE_ERROR = 3.0
"""Miss of the asked step; the measured device misses by 2.2 to 2.9 just after RESET, and learns."""

DRIFTED = 0.3
"""Share of the conductance gone: the measured device after three days; the published run loses 0.23 and learns."""

DISAGREE = 0.2
"""Cosine of asked and applied; sign and stochastic updates have about 0.5 while they write."""

LOSING: frozenset[type[Scheme]] = frozenset({Float32, MultiMemristor, UpdateReady})
"""Schemes that round each change by itself and drop the rest."""

PROMPT: frozenset[type[Scheme]] = LOSING | {Sign, Stochastic}
"""Schemes that write in the same update or never; an accumulator writes later, so that its cosine says little."""


def _weight_step(config: RunConfig) -> float:
    """Weight change that one SET pulse stands for."""
    model = config.device.model(config.precision.weight_bits)
    return model.nominal_step / (config.device.scale * config.device.devices)


def _grain(config: RunConfig) -> float:
    """Pulses that an accumulator gathers before it writes."""
    grain = config.precision.weight_grain
    return config.device.devices if grain is None else max(grain / _weight_step(config), 1.0)


def _certainty(config: RunConfig) -> float:
    """Asked pulses at which a drawn pulse is certain."""
    scheme = cast(Stochastic, config.scheme)
    return scheme.probability_scale / (_weight_step(config) * config.device.scale)


WAITING: dict[type[Scheme], Callable[[RunConfig], float]] = {MixedPrecision: _grain, Stochastic: _certainty}
"""Schemes that make up for small changes in time: asked pulses that give one pulse."""


@cause("lost", OBSTACLE)
def _lost(s: Situation) -> Words | None:
    asked = s.meters.asked_pulses
    if type(s.config.scheme) not in LOSING or asked is None or not 0.0 < asked < 1.0:
        return None
    return Words(
        f"The largest weight change asked for is {asked:.2g} of a SET pulse.",
        f"{_name(s.config)} writes whole pulses and drops the rest: nothing is learned. Raise "
        f'"Learning rates" {math.ceil(1 / asked):,} times, or choose a scheme that gathers or draws small changes.',
        "Learning rates",
    )


@cause("slow", OBSTACLE)
def _slow(s: Situation) -> Words | None:
    asked, needed = s.meters.asked_pulses, WAITING.get(type(s.config.scheme))
    if needed is None or not asked or needed(s.config) / asked <= PATIENCE:
        return None
    updates = needed(s.config) / asked
    return Words(
        f"The largest weight change asked for is {asked:.2g} of a SET pulse, and {_name(s.config)} takes about "
        f"{updates:,.0f} such updates to give one pulse.",
        'Until then the devices stay as they are. Raise "Learning rates".',
        "Learning rates",
    )


@cause("rounded", OBSTACLE)
def _rounded(s: Situation) -> Words | None:
    rounding, asked = s.meters.rounding, s.meters.asked_pulses
    gathered = s.config.scheme.digital and s.config.precision.shadow
    losing = type(s.config.scheme) in LOSING and not gathered and (asked is None or asked >= 1.0)
    if not losing or rounding is None or rounding <= ROUNDED:
        return None
    return Words(
        f"Rounding to whole steps misses the asked weight change by {percent(rounding)}.",
        "Only the few largest changes are written, the rest is dropped. Raise "
        + ('"Bit precision".' if s.config.scheme.digital else '"Learning rates".'),
        "Bit precision" if s.config.scheme.digital else "Learning rates",
    )


@cause("few-neurons", OBSTACLE)
def _few_neurons(s: Situation) -> Words | None:
    if s.meters.silent <= FEW:
        return None
    return Words(
        f"{percent(s.meters.silent)} of the {s.config.network.hidden} hidden neurons are silent.",
        'The few that fire must make the whole output. Lower "Firing threshold".',
        "Firing threshold",
    )


@cause("mismatch")
def _mismatch(s: Situation) -> Words | None:
    devices, thresholds = s.meters.mismatch or 0.0, s.meters.threshold_mismatch or 0.0
    if max(devices, thresholds) < MISMATCH or (s.meters.silent <= SILENT and s.meters.busiest <= BUSY):
        return None
    happened = (
        f"{percent(s.meters.silent)} of the hidden neurons are silent and the busiest tenth fires "
        f"{percent(s.meters.busiest)} of the spikes: "
    )
    favours = "Such differences are fixed and favour the same neurons in every trial. "
    if devices >= thresholds:
        advice = f'{favours}Lower "Mismatch level" to see what they cost; learning on the chip makes up for a part.'
        return Words(f"{happened}devices differ by {percent(devices)}.", advice, "Mismatch level")
    advice = f'{favours}Lower "Firing threshold" to wake the others.'
    return Words(f"{happened}thresholds differ by {percent(thresholds)}.", advice, "Firing threshold")


@cause("read-noise")
def _read_noise(s: Situation) -> Words | None:
    noise = s.meters.read_noise
    if noise is None or noise <= READ_NOISE:
        return None
    return Words(
        f"Read noise is {noise:.1f} times what the input does to the neurons.",
        "The neurons follow the noise. At the start, with weights near zero, that is normal and passes; if it stays, "
        'lower "Read noise".',
        "Read noise",
    )


@cause("conversion-noise")
def _conversion_noise(s: Situation) -> Words | None:
    noise = None if s.meters.core is None else s.meters.core.noise
    if noise is None or noise <= READ_NOISE:
        return None
    return Words(
        f"The converters' noise is {noise:.1f} times the input's.",
        'Narrow "ADC range".',
        "ADC range",
    )


@cause("write-noise")
def _write_noise(s: Situation) -> Words | None:
    error = s.meters.write_error
    if error is None or error <= WRITE_ERROR:
        return None
    return Words(
        f"Writes miss the asked step by {error:.1f} times its size.",
        'A pulse then says little about the gradient behind it. Lower "Write noise", or average over more '
        '"Devices per polarity".',
        "Write noise",
    )


@cause("drift")
def _drift(s: Situation) -> Words | None:
    drift, control = s.meters.drift, _drift_control(s.config)
    if drift is None or drift <= DRIFTED:
        return None
    return Words(
        f"{percent(drift)} of the stored conductance has drifted away since the last writes.",
        f'All weights shrink with it. Lower "{control}" or "Time between updates".',
        control,
    )


@cause("disagree")
def _disagree(s: Situation) -> Words | None:
    cosine = s.meters.cosine
    if type(s.config.scheme) not in PROMPT or cosine is None or cosine >= DISAGREE:
        return None
    return Words(
        f"What the devices do hardly follows what e-prop asks: the cosine between the two is {cosine:z.2f}.",
        'The weights wander instead of descending. Try another "Scheme", such as Mixed precision.',
        "Scheme",
    )


def _name(config: RunConfig) -> str:
    """The scheme as the page calls it."""
    name = next(name for name, scheme in SCHEMES.items() if type(config.scheme) is scheme)
    return name.replace("-", " ").capitalize()


def _drift_control(config: RunConfig) -> str:
    """The drift control that the device has."""
    return "Drift exponent ν" if hasattr(config.device.model(None), "drift_exponent") else "Drift"
