"""What each non-ideality does right now, as a number beside its knob.

Meters are computed from what a run leaves behind anyway; measuring never changes the run.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Meters:
    """Effects of the non-idealities at one moment; None where there is nothing to measure.

    Parameters
    ----------
    write_error : float or None
        Norm of (conductance change made - change asked), over that of the change asked, for the pulsed
        devices of recent updates.
    read_noise : float or None
        Standard deviation of the read noise in the hidden neurons' input current, over the standard
        deviation of that current in time.
    drift : float or None
        Share of the stored conductance that has drifted away since the last writes.
    rounding : float or None
        Norm of (change asked by e-prop - change that the pulses stand for), over that of the change
        asked, over recent updates.
    saturated, stuck : float or None
        Share of differential pairs with one side, and with both sides, above three quarters of the
        maximum conductance.
    mismatch : float or None
        Realised standard deviation of the devices' mean SET step, as a share of its mean.
    threshold_mismatch : float or None
        The same of the neurons' thresholds.
    cosine : float or None
        Cosine between asked and applied weight change over recent updates, all layers together.
    asked_pulses : float or None
        Largest weight change that one recent update asked for, in SET pulses.
    silent : float
        Share of hidden neurons without a spike in the trial.
    busiest : float
        Share of all hidden spikes that the busiest tenth of the neurons fired; 0 without spikes.
    """

    write_error: float | None = None
    read_noise: float | None = None
    drift: float | None = None
    rounding: float | None = None
    saturated: float | None = None
    stuck: float | None = None
    mismatch: float | None = None
    threshold_mismatch: float | None = None
    cosine: float | None = None
    asked_pulses: float | None = None
    silent: float = 0.0
    busiest: float = 0.0
