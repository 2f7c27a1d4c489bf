"""Everything that the page may know of a run at one moment."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from app.exam import Scores
from app.history import Curve, Drift
from pcmsim.energy import Budget
from training.aging import Aging
from training.config import RunConfig
from training.honesty import Honesty
from training.inspection import CellReport, NeuronReport
from training.meters import Meters
from training.records import Snapshot, TrialRecord


@dataclass(frozen=True)
class Twin:
    """The twin of a run.

    Parameters
    ----------
    name : str
        Which non-ideality is off (`training.twin.NON_IDEALITIES`).
    record : TrialRecord or None
        Its latest trial.
    curve : Curve
        Its learning curve since it left the run.
    """

    name: str
    record: TrialRecord | None = None
    curve: Curve = field(default_factory=Curve)


@dataclass(frozen=True)
class Look:
    """What is measured on request, beside the snapshot.

    Parameters
    ----------
    meters : Meters
        Effects of the non-idealities.
    budget : Budget
        Events, energy and wear so far.
    wear : tuple of numpy.ndarray
        Histogram of writes per device: lower edges, and devices.
    cell : CellReport or None
        The picked synapse.
    neuron : NeuronReport or None
        The picked neuron.
    twin : Snapshot or None
        The twin's devices.
    scores : Scores or None
        What a classifier gets right.
    """

    meters: Meters
    budget: Budget
    wear: tuple[np.ndarray, np.ndarray]
    cell: CellReport | None = None
    neuron: NeuronReport | None = None
    twin: Snapshot | None = None
    scores: Scores | None = None


@dataclass(frozen=True)
class Shot:
    """Everything that the page may know of the run at one moment.

    Parameters
    ----------
    version : int
        Counts every change of what is published.
    run : int
        Counts restarts.
    running : bool
        Whether trials follow each other by themselves.
    config : RunConfig
        The configuration in force.
    config_version : int
        The page's number of that configuration.
    record : TrialRecord or None
        The latest trial; None before the first.
    curve, drift : Curve, Drift
        Histories; they grow while the run goes on.
    speed : float
        Trials per second; 0 when not running.
    snapshot : Snapshot or None
        The latest snapshot that was asked for.
    snapshot_of : tuple of int
        Run, trial and configuration version of that snapshot.
    look : Look or None
        What was measured with the latest snapshot.
    twin : Twin or None
        The run's twin, if there is one.
    aging : Aging or None
        What the latest fast-forward left.
    honesty : Honesty or None
        The latest comparison of e-prop with backpropagation through time.
    saved : int or None
        The trial after which the run was saved last.
    chip : str
        How the connection to the chip that holds the weights stands; empty without one.
    """

    version: int
    run: int
    running: bool
    config: RunConfig
    config_version: int = 0
    record: TrialRecord | None = None
    curve: Curve = field(default_factory=Curve)
    drift: Drift = field(default_factory=Drift)
    speed: float = 0.0
    snapshot: Snapshot | None = None
    snapshot_of: tuple[int, int, int] = (-1, -1, -1)
    look: Look | None = None
    twin: Twin | None = None
    aging: Aging | None = None
    honesty: Honesty | None = None
    saved: int | None = None
    chip: str = ""

    @property
    def moment(self) -> tuple[int, int, int]:
        """Run, trial and configuration version: what a snapshot must match to be up to date."""
        return self.run, -1 if self.record is None else self.record.trial, self.config_version
