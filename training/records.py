"""What leaves a session: one record per trial, and a snapshot of the devices on request."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple, get_origin, get_type_hints

import numpy as np
import numpy.typing as npt

from pcmsim.core import saturated
from training.neurons import Floats
from training.spikes import Spikes


class Scalar(NamedTuple):
    """Marks a record field that is one value per trial: it is plotted, listed and written to files."""

    unit: str
    doc: str


@dataclass(frozen=True)
class TrialRecord:
    """One finished trial.

    One-value fields carry unit and meaning (see `SCALARS`). `inputs` and `hidden` are the spikes;
    `output`, `target` and `error`, the loss's derivative by the output, are ``time, output``;
    `voltage` and `raised` (see `training.kernels.Activity`) are ``time, hidden``; `probe` holds the
    drifted conductance of the probed devices [µS], and is empty for digital weights and on a chip.
    """

    trial: Annotated[int, Scalar("", "Trial number, from 0")]
    sample: Annotated[int, Scalar("", "Sample of the training set")]
    loss: Annotated[float, Scalar("", "Mean squared error of the output, or cross-entropy")]
    baseline: Annotated[float, Scalar("", "The loss of a silent network")]
    rate: Annotated[float, Scalar("Hz", "Mean firing rate of the hidden neurons")]
    label: Annotated[int, Scalar("", "The right class; -1 in regression")]
    decision: Annotated[int, Scalar("", "The class that the network answered; -1 in regression")]
    sets: Annotated[int, Scalar("", "SET pulses of this update")]
    resets: Annotated[int, Scalar("", "RESETs of this update")]
    total_sets: Annotated[int, Scalar("", "SET pulses so far")]
    total_resets: Annotated[int, Scalar("", "RESETs so far")]
    total_reads: Annotated[int, Scalar("", "Device reads so far")]
    device_time: Annotated[float, Scalar("s", "Device time at this update")]
    seconds: Annotated[float, Scalar("s", "Wall time of this trial")]
    status: Annotated[str, Scalar("", "ok, silent, saturated or diverged")]
    message: Annotated[str, Scalar("", "What is wrong, in words; empty when all is well")]
    inputs: Spikes
    hidden: Spikes
    voltage: Floats
    raised: Floats
    output: Floats
    target: Floats
    error: Floats
    probe: Floats
    channels: int = 0
    """Input channels."""
    window: tuple[int, int] = (0, 0)
    """First step in which the answer counts, and one past the last."""

    @property
    def correct(self) -> float:
        """1 for the right decision, 0 for a wrong one; not a number in regression."""
        return float("nan") if self.label < 0 else float(self.decision == self.label)

    def scalars(self) -> dict[str, Any]:
        """The one-number fields, by name."""
        return {name: getattr(self, name) for name in SCALARS}


SCALARS: dict[str, Scalar] = {
    name: hint.__metadata__[0]
    for name, hint in get_type_hints(TrialRecord, include_extras=True).items()
    if get_origin(hint) is Annotated
}
"""Unit and meaning of every one-value field of a record."""


@dataclass(frozen=True)
class CoreSnapshot:
    """What the cores of one weight array look like, and what their converters have seen.

    Parameters
    ----------
    tiles : tuple of int
        Cores along the inputs and along the outputs.
    size : tuple of int
        Inputs and outputs of a core.
    utilisation : float
        Share of the cores' cells that hold weights.
    adc_range : float
        Largest sum that a converter holds [fully conducting cells].
    histogram : numpy.ndarray
        Conversions since the cores' settings changed, by code; see `pcmsim.core.Converters`.
    gain_error, offset_error : float
        Standard deviation of what calibration leaves of the converters' gains, and of their offsets
        as a share of the range.
    """

    tiles: tuple[int, int]
    size: tuple[int, int]
    utilisation: float
    adc_range: float
    histogram: npt.NDArray[np.int64]
    gain_error: float
    offset_error: float

    @property
    def saturated(self) -> float | None:
        """Share of conversions that saturated; None where none was counted."""
        return saturated(self.histogram)


@dataclass(frozen=True)
class LayerSnapshot:
    """Copies of one weight array's state at one device time.

    Parameters
    ----------
    weights : numpy.ndarray
        Effective weights without read noise, ``pre, post``.
    conductance : numpy.ndarray
        Drifted conductances [µS], ``sign, device, pre, post``; empty for digital weights.
    age : numpy.ndarray
        Time since the last write [s], same shape.
    sets : numpy.ndarray
        SET pulses so far, same shape.
    resets : numpy.ndarray
        RESETs so far, same shape.
    variance : numpy.ndarray
        Variance of one read of each weight, ``pre, post``; empty where reads are exact.
    asked, applied : numpy.ndarray
        Weight change asked for by recent updates, and made by the devices, ``pre, post``; empty
        unless the run is observed.
    core : CoreSnapshot or None
        The cores that hold it; None where its sums are exact.
    """

    weights: npt.NDArray[np.float32]
    conductance: npt.NDArray[np.float32]
    age: npt.NDArray[np.float32]
    sets: npt.NDArray[np.int32]
    resets: npt.NDArray[np.int32] = field(default_factory=lambda: np.empty((0, 0, 0, 0), np.int32))
    variance: npt.NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), np.float32))
    asked: npt.NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), np.float32))
    applied: npt.NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), np.float32))
    core: CoreSnapshot | None = None


Snapshot = dict[str, LayerSnapshot]

SATURATED_RATE = 0.2
DIVERGED_FACTOR = 100.0


def judge(loss: float, baseline: float, spikes_per_step: float, dt: float) -> tuple[str, str]:
    """Status and, unless all is well, a sentence on what happened and what to try.

    Parameters
    ----------
    loss, baseline : float
        Error of the trial, and of a silent network.
    spikes_per_step : float
        Mean over hidden neurons and steps.
    dt : float
        Time step [s].

    Returns
    -------
    tuple of str
        ``ok``, ``silent``, ``saturated`` or ``diverged``, and the sentence.
    """
    rate = spikes_per_step / dt
    if not np.isfinite(loss) or loss > DIVERGED_FACTOR * max(baseline, 1e-12):
        return "diverged", (
            f"The output has run away (error {loss:.3g}, a silent network has {baseline:.2g}): "
            "lower the learning rates, or a larger conductance scale makes each pulse count less."
        )
    if spikes_per_step == 0.0:
        return "silent", "No hidden neuron spiked, so nothing can be learned: lower the threshold or raise the weights."
    if spikes_per_step > SATURATED_RATE:
        return "saturated", (
            f"Hidden neurons fire at {rate:.0f} Hz, near their ceiling: raise the threshold, "
            "the rate regularisation or the conductance scale."
        )
    return "ok", ""


def finite(value: float, ceiling: float = 1e30) -> float:
    """`value`, or the largest number that a plot can show where it is not finite."""
    return ceiling if math.isnan(value) else min(max(float(value), -ceiling), ceiling)
