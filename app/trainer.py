"""The worker's own side of a run: session, histories, pace; and the one thing that it publishes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from app.history import Curve, Drift
from training.config import RunConfig
from training.records import Snapshot, TrialRecord
from training.session import Session

RATE_WINDOW = 0.5
IDLE = 3600.0


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

    @property
    def moment(self) -> tuple[int, int, int]:
        """Run, trial and configuration version: what a snapshot must match to be up to date."""
        return self.run, -1 if self.record is None else self.record.trial, self.config_version


class Trainer:
    """Trains one trial at a time, on the worker's thread only.

    Parameters
    ----------
    publish : callable
        Replaces fields of the latest shot.
    latest : callable
        The latest shot.
    """

    def __init__(self, publish: Callable[..., None], latest: Callable[[], Shot]) -> None:
        self._publish, self._latest = publish, latest
        self._session: Session | None = None
        self._due = 0.0
        self.mark()

    def mark(self) -> None:
        """Begin to measure the speed anew."""
        self._marked, self._trials = time.perf_counter(), 0

    def restart(self, config: RunConfig, version: int) -> None:
        """Begin a new run and run its first trial; the old run stays if that fails."""
        session = Session(config)
        record = session.step()
        self._session = session
        curve, drift = Curve(), Drift()
        curve.append(record)
        drift.append(record)
        self.mark()
        news = {"run": self._latest().run + 1, "config": config, "config_version": version, "record": record}
        shot = replace(self._latest(), **news)
        self._publish(**news, curve=curve, drift=drift, **self._snapshot(shot))

    def configure(self, config: RunConfig, version: int) -> None:
        """Change settings between trials."""
        if self._session is not None:
            self._session.configure(config)
            self._publish(config=config, config_version=version)

    def step(self, with_snapshot: bool) -> None:
        """Run one trial."""
        if self._session is None:
            return
        self._due = time.perf_counter()
        record = self._session.step()
        shot = self._latest()
        shot.curve.append(record)
        shot.drift.append(record)
        news = {"record": record, "speed": self._speed(shot)}
        self._publish(**news, **(self._snapshot(replace(shot, record=record)) if with_snapshot else {}))

    def snapshot(self) -> None:
        """Publish the devices' state."""
        if self._session is not None:
            self._publish(**self._snapshot(self._latest()))

    def _snapshot(self, shot: Shot) -> dict[str, Any]:
        return {"snapshot": self._session.snapshot(), "snapshot_of": shot.moment}

    def pause(self, limit: float) -> float:
        """Seconds until the next trial may begin; without a session there is none to wait for."""
        if self._session is None:
            return IDLE
        return self._due + 1.0 / limit - time.perf_counter() if limit > 0.0 else 0.0

    def _speed(self, shot: Shot) -> float:
        self._trials += 1
        elapsed = time.perf_counter() - self._marked
        if not shot.running:
            return 0.0
        if elapsed < RATE_WINDOW:
            return shot.speed
        speed = self._trials / elapsed
        if elapsed >= RATE_WINDOW:
            self.mark()
        return speed
