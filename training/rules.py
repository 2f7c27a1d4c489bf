"""What is happening, in words for a student: rules over the latest trial and its meters.

What is broken, and how far learning is, is said at any time; why a run does not learn, only while
it does not (`training.causes`).
"""

from __future__ import annotations

import math

from training import causes
from training.config import RunConfig
from training.meters import SATURATED
from training.situation import (
    ALARM,
    FIRST,
    LEARNING,
    NOTICE,
    OBSTACLE,
    PROGRESS,
    RULES,
    Finding,
    Situation,
    Words,
    percent,
    rule,
)

__all__ = ["RULES", "Finding", "Situation", "causes", "findings"]  # to import `causes` files its rules

STUCK, ONE_SIDED = 0.02, 0.1
"""Shares of pairs worth a word: one in fifty, and one in ten where one side still moves; published runs have 0."""

CLIPPED = 0.05
"""Share of saturated conversions worth a word: one in twenty; the default range has none."""

LEARNED, WORSE = 0.3, 1.1
"""Error over that of a silent network: most is learned below, worse than silence above."""


def findings(situation: Situation) -> list[Finding]:
    """What there is to say, most severe first; at least one thing, at most one per rule.

    Parameters
    ----------
    situation : Situation
        The run.

    Returns
    -------
    list of Finding
    """
    said = ((name, each.severity, each.look(situation)) for name, each in RULES.items())
    found = [Finding(name, severity, *words) for name, severity, words in said if words is not None]
    return sorted(found, key=lambda finding: -finding.severity)


@rule("diverged", ALARM)
def _diverged(s: Situation) -> Words | None:
    if s.record.status != "diverged":
        return None
    return Words(
        f"The output has run away: its error is {s.record.loss:.3g}, a silent network makes {s.record.baseline:.2g}.",
        'The updates overshoot, each worse than the one before. Lower "Learning rates" and reset the run.',
        "Learning rates",
    )


@rule("silent", ALARM)
def _silent(s: Situation) -> Words | None:
    if s.record.status != "silent":
        return None
    asked = bool(s.meters.asked_pulses)
    hope = "What learning asks for may wake them, slowly." if asked else "No weight changes: it stays so."
    return Words(
        f"None of the {s.config.network.hidden} hidden neurons spiked: {s.record.rate:.0f} Hz.",
        f'{hope} Lower "Firing threshold".',
        "Firing threshold",
    )


@rule("saturated-neurons", ALARM)
def _saturated_neurons(s: Situation) -> Words | None:
    if s.record.status != "saturated":
        return None
    return Words(
        f"Hidden neurons fire at {s.record.rate:.0f} Hz; one spike per step, {1 / s.config.network.dt:.0f} Hz, is all "
        "they can.",
        'A neuron that always fires says nothing about its input. Raise "Firing threshold".',
        "Firing threshold",
    )


@rule("stuck-pairs", OBSTACLE)
def _stuck_pairs(s: Situation) -> Words | None:
    stuck, refresh = s.meters.stuck, s.config.refresh
    if stuck is None or stuck <= STUCK:
        return None
    happened = f"{percent(stuck)} of synapses have both sides above {_ceiling(s.config):.3g} µS: "
    if not refresh.enabled:
        advice = 'Pulses only raise a conductance, and these have no room left. Switch on "Refresh saturated pairs".'
        return Words(f"{happened}their weights can only move after a refresh.", advice, "Refresh saturated pairs")
    return Words(
        f"{happened}the refresh does not reach them all.",
        f"It rewrites pairs above {refresh.saturation:g} µS that differ by less than {refresh.difference:g} µS, at "
        'each update. Fewer pulses saturate fewer pairs: lower "Learning rates".',
        "Learning rates",
    )


@rule("one-sided-pairs", NOTICE)
def _one_sided_pairs(s: Situation) -> Words | None:
    share = s.meters.saturated
    if share is None or share <= ONE_SIDED:
        return None
    return Words(
        f"{percent(share)} of synapses have a side above {_ceiling(s.config):.3g} µS.",
        "Their weights hardly grow any more, and each pulse back fills the other side too. More "
        '"Devices per polarity" share the pulses.',
        "Devices per polarity",
    )


@rule("saturated-converters", NOTICE)
def _saturated_converters(s: Situation) -> Words | None:
    clipped = None if s.meters.core is None else s.meters.core.clipped
    if clipped is None or clipped <= CLIPPED:
        return None
    return Words(
        f"The converters saturate: {percent(clipped)} of the sums lie beyond "
        f"{s.config.core.adc_range:.3g} fully conducting cells.",
        'Such sums all look alike to the neuron. Widen "ADC range"; its steps become coarser then.',
        "ADC range",
    )


@rule("first-trials", PROGRESS)
def _first_trials(s: Situation) -> Words | None:
    if s.trials >= FIRST:
        return None
    return Words(
        f"First trials done, error {s.loss:.2g}; a silent network would make {s.silence:.2g}.",
        "Play (space) trains on, step (right arrow) runs one trial.",
    )


@rule("forgotten", PROGRESS)
def _forgotten(s: Situation) -> Words | None:
    if not s.forgotten:
        return None
    return Words(
        f"The error was down to {s.best:.2g} and is {s.loss:.2g}, a silent network makes {s.silence:.2g}: "
        "what was learned is lost again.",
        'One large change can undo much, and the next trials may mend it. If it comes back, lower "Learning rates".',
        "Learning rates",
    )


def _progress(name: str, over: float, upto: float, text: str, advice: str, control: str = "") -> None:
    def look(s: Situation) -> Words | None:
        if s.trials < FIRST or s.forgotten or not over < s.share <= upto:
            return None
        learned = text.format(way=percent(1.0 - s.share))
        return Words(f"The error is {s.loss:.2g}, a silent network makes {s.silence:.2g}: {learned}", advice, control)

    rule(name, PROGRESS)(look)


_progress(
    "learned",
    -math.inf,
    LEARNED,
    "the network has learned most of the task.",
    'See what else it learns with: choose another "Scheme", or raise a noise.',
    "Scheme",
)
_progress(
    "learning",
    LEARNED,
    LEARNING,
    "the network is learning, {way} of the way.",
    "Let it play; nothing needs to be turned.",
)
_progress(
    "nothing-yet",
    LEARNING,
    WORSE,
    "nothing learned yet.",
    'This can take some hundred trials. If it stays, raise "Learning rates".',
    "Learning rates",
)
_progress(
    "worse-than-silence",
    WORSE,
    math.inf,
    "the output is still worse than silence.",
    'The updates do more harm than good. If it stays, lower "Learning rates".',
    "Learning rates",
)


def _ceiling(config: RunConfig) -> float:
    """Conductance above which a side counts as saturated [µS]."""
    return SATURATED * config.device.model(None).g_max
