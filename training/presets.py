"""Named runs: one per update scheme, one per published setting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pcmsim.registry import Registry
from training import tuned_presets
from training.config import RunConfig


@dataclass(frozen=True)
class Preset:
    """A configuration with a name, a sentence and a source.

    Parameters
    ----------
    summary : str
        What it shows.
    source : str
        Where its numbers come from.
    values : mapping
        What differs from the defaults, by dotted name.
    """

    summary: str
    source: str
    values: Mapping[str, Any]

    @property
    def config(self) -> RunConfig:
        """The configuration."""
        return RunConfig().with_values(self.values)


PRESETS: Registry[Preset] = Registry("preset")

DEMIRAG_DEFAULTS = "Demirag et al. 2021 (arXiv:2108.01804), defaults of the published code"
DEMIRAG_MIXED = "Demirag et al. 2021 (arXiv:2108.01804), published mixed-precision settings"
CHOSEN = "task: its own sources; settings chosen by a short search on training samples that were held out"
UNTUNED = "Demirag 2021's mixed-precision settings; the scheme's own setting chosen by hand, not tuned"

MIXED: dict[str, Any] = {
    "network.threshold": 0.192524,
    "network.initial_gain": 0.236876,
    "learning.lr_input": 3.3041e-4,
    "learning.lr_recurrent": 3.9387e-4,
    "learning.lr_output": 1.6620e-5,
    "learning.feedback_gain": 0.236876,
    "learning.rate_strength": 8.3827e-4,
    "device.scale": 11.82503,
    "device.initial_conductance": 0.236876,
}


def _add(name: str, summary: str, source: str, values: Mapping[str, Any]) -> None:
    PRESETS.register(name)(Preset(summary, source, values))


_add("mixed-precision", "Gradients gather digitally; whole quanta go to noisy, drifting PCM.", DEMIRAG_MIXED, MIXED)
_add(
    "ideal-4bit",
    "The same on ideal 4-bit devices: what is left when only precision is lost.",
    DEMIRAG_MIXED,
    {**MIXED, "device.preset": "ideal"},
)
_add(
    "float32",
    "Digital floating-point weights: the reference without devices.",
    DEMIRAG_DEFAULTS,
    {"scheme": "float32", "precision.weight_bits": None},
)
_add(
    "float32-mixed",
    "Digital floating-point weights with the mixed-precision learning settings.",
    DEMIRAG_MIXED,
    {**MIXED, "scheme": "float32", "precision.weight_bits": None},
)
_add(
    "sign",
    "One pulse wherever the gradient is large: its size is thrown away.",
    UNTUNED,
    {**MIXED, "scheme": {"name": "sign", "threshold": 20.0}, "device.scale": 60.0},
)
_add(
    "stochastic", "One pulse with a probability that follows the gradient.", UNTUNED, {**MIXED, "scheme": "stochastic"}
)
_add(
    "multi-memristor",
    "Four devices per polarity, pulsed in turn.",
    UNTUNED,
    {**MIXED, "scheme": "multi-memristor", "device.devices": 4},
)
_add(
    "update-ready",
    "Whole pulses, with a RESET first where a device would run out of range.",
    UNTUNED,
    {**MIXED, "scheme": "update-ready"},
)
_add(
    "mixed-precision-adam",
    "Adam's steps gather digitally in place of plain gradients.",
    "Demirag 2021's mixed-precision settings; the rates chosen by hand, not tuned",
    {
        **MIXED,
        "scheme": "mixed-precision-adam",
        "learning.lr_input": 3e-3,
        "learning.lr_recurrent": 3e-3,
        "learning.lr_output": 3e-4,
    },
)
_add(
    "closed-loop",
    "Mixed precision on devices that are programmed and verified.",
    "device: Joshi et al. 2020; learning: Demirag et al. 2021",
    {**MIXED, "device.preset": "joshi2020", "device.scale": 25.0, "device.initial_conductance": 0.5},
)
CORE: dict[str, Any] = {
    "device.preset": "hermes",
    "device.devices": 2,
    "core.enabled": True,
}
_add(
    "core",
    "All weights on simulated 256 x 256 cores of the 14 nm HERMES chip: converters, noise and drift in the loop.",
    "setting after Bohnstingl et al. 2022 (AICAS, IEEE 9869963); chip: HERMES; learning: Demirag et al. 2021",
    {**MIXED, **CORE, "device.scale": 10.35, "core.adc_range": 1.0},
)
_add(
    "bellec2020",
    "The tutorial's pattern task in floating point, single sample, rates toward 10 Hz.",
    "Bellec et al. 2020 (doi:10.1038/s41467-020-17236-y), parameters of the authors' pattern-generation tutorial",
    {
        "task": {"name": "pattern", "samples": 1, "from_zero": True},
        "scheme": "float32",
        "precision.weight_bits": None,
        "network.threshold": 0.03,
        "network.surrogate_normalised": True,
        "network.input_normalised": True,
        "network.readout_normalised": True,
        "network.initial_gain": 0.5**0.5,
        "learning.lr_input": 1e-4,
        "learning.lr_recurrent": 1e-4,
        "learning.lr_output": 1e-4,
        "learning.feedback_gain": 0.5**0.5,
        "learning.rate_strength": 0.3,
        "learning.rate_target": 10.0,
        "learning.rate_trace": "unfiltered",
        "learning.gradient_clip": 1e12,
    },
)
EVIDENCE: dict[str, Any] = {
    "task": "evidence",
    "scheme": "adam",
    "precision.weight_bits": None,
    "network.tau_membrane": 20e-3,
    "network.tau_readout": 20e-3,
    "network.threshold": 0.6,
    "network.surrogate_normalised": True,
    "network.readout_normalised": True,
    "network.adaptive": 0.5,
    "network.refractory": 5e-3,
    "network.initial_gain": 0.5**0.5,
    "learning.lr_input": 5e-3,
    "learning.lr_recurrent": 5e-3,
    "learning.lr_output": 5e-3,
    "learning.feedback_gain": 50.0**0.5,
    "learning.rate_strength": 2e-3,
    "learning.rate_target": 10.0,
    "learning.rate_trace": "unfiltered",
    "learning.rate_over": "batch",
    "learning.gradient_clip": 1e12,
    "learning.batch": 64,
}
_add(
    "evidence",
    "Count cues, wait, answer: plain and adaptive neurons, Adam on digital weights, batches of 64 trials.",
    "Bellec et al. 2020 (doi:10.1038/s41467-020-17236-y), parameters of the authors' evidence-accumulation script",
    EVIDENCE,
)
_add(
    "evidence-lif",
    "The same with slow plain neurons in place of adaptive ones, symmetric feedback, batches of 5 trials.",
    "Frenkel's eprop-PyTorch (cue accumulation); fresh trials in place of its 200 fixed ones, rates twice as large",
    {
        "task": "evidence",
        "scheme": "adam",
        "precision.weight_bits": None,
        "network.tau_membrane": 2.0,
        "network.tau_readout": 20e-3,
        "network.threshold": 0.6,
        "network.surrogate_normalised": True,
        "network.initial_gain": 0.5,
        "network.recurrent_gain": 0.1,
        "learning.lr_input": 2e-4,
        "learning.lr_recurrent": 2e-4,
        "learning.lr_output": 2e-4,
        "learning.feedback": "symmetric",
        "learning.rate_strength": 0.0,
        "learning.gradient_clip": 1e12,
        "learning.batch": 5,
    },
)
_add(
    "evidence-core",
    "Counting cues on simulated 256 x 256 cores of the 14 nm HERMES chip: Adam's steps gather, batches of 16 trials.",
    "task and network: Bellec et al. 2020; chip: HERMES; rates, their regularisation, batch and range chosen by hand",
    {
        **EVIDENCE,
        **CORE,
        "scheme": "mixed-precision-adam",
        "precision.weight_bits": 4,
        "precision.weight_range": 0.8,
        "device.scale": 12.9,
        "device.initial_conductance": 1.0,
        "core.adc_range": 2.0,
        "learning.lr_input": 2.5e-3,
        "learning.lr_recurrent": 2.5e-3,
        "learning.lr_output": 2.5e-3,
        "learning.rate_strength": 1e-3,
        "learning.rate_over": "trial",
        "learning.batch": 16,
    },
)

SPIKE_TIMES: dict[str, Any] = {
    "scheme": "adam",
    "precision.weight_bits": None,
    "network.surrogate_normalised": True,
    "network.readout_normalised": True,
    "network.threshold": 0.6,
    "network.initial_gain": 0.7,
    "network.refractory": 5e-3,
    "learning.feedback": "symmetric",
    "learning.lr_output": 1e-2,
    "learning.rate_strength": 1e-4,
    "learning.rate_trace": "unfiltered",
    "learning.gradient_clip": 1e12,
}
DIGITS: dict[str, Any] = {
    **SPIKE_TIMES,
    "task": {"name": "digits", "tau_in": 40e-3},
    "network.tau_membrane": 60e-3,
    "network.tau_readout": 20e-3,
    "network.tau_synapse": 10e-3,
    "network.initial_gain": 0.1,
    "precision.weight_range": 10.0,
    "learning.lr_input": 1e-3,
    "learning.lr_recurrent": 2e-4,
    "learning.lr_output": 5e-2,
    "learning.halving": 6_000,
    "learning.rate_strength": 1e-2,
    "learning.rate_target": 10.0,
    "learning.batch": 16,
}
_add(
    "digits",
    "Handwritten digits of 8 x 8 pixels, each a spike, moved at random: plain neurons, Adam at a falling rate.",
    CHOSEN + ", whole stretches of it; rotation: fixed in advance",
    {
        **DIGITS,
        "task": {"name": "digits", "tau_in": 80e-3, "theta_in": 0.1, "rotation": 15.0, "shift": 0.5},
        "learning.dropout": 0.4,
        "learning.halving": 12_000,
    },
)
DIGITS_PCM: dict[str, Any] = {
    **DIGITS,
    "precision.weight_range": 0.15,
    "scheme": "mixed-precision",
    "network.readout_normalised": False,
    "learning.lr_input": 2.7e-3,
    "learning.lr_recurrent": 6.4e-4,
    "learning.lr_output": 1.7e-3,
    "learning.batch": 1,
    "device.scale": 80.0,
    "device.initial_conductance": 3.0,
}
_add(
    "digits-pcm",
    "Handwritten digits on phase-change memory, trial by trial: mixed precision, one pulse a quantum.",
    CHOSEN,
    DIGITS_PCM,
)
_add(
    "digits-core",
    "The same on simulated 256 x 256 cores of the 14 nm HERMES chip, converters, noise and drift in the loop.",
    CHOSEN,
    {**DIGITS_PCM, **CORE, "precision.weight_range": 0.13, "core.adc_range": 4.0},
)
_add(
    "yin-yang",
    "Parts of a yin-yang figure from the times of five spikes: plain neurons, Adam at a falling rate.",
    CHOSEN,
    {
        **SPIKE_TIMES,
        "task": "yin-yang",
        "network.hidden": 120,
        "network.tau_membrane": 30e-3,
        "network.tau_readout": 30e-3,
        "network.tau_synapse": 5e-3,
        "network.initial_gain": 0.2,
        "precision.weight_range": 10.0,
        "learning.lr_input": 5e-3,
        "learning.lr_recurrent": 1e-3,
        "learning.halving": 15_000,
        "learning.rate_strength": 1e-5,
        "learning.rate_target": 20.0,
        "learning.batch": 32,
    },
)

for _name, _tuned in tuned_presets.shipped():
    _add(_name, _tuned.summary, _tuned.source, _tuned.values)
