"""What the library says of the run that a page shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from training.presets import PRESETS
from training.records import TrialRecord
from training.session import Session


def trained(
    trial: int, preset: str = "mixed-precision", values: Mapping[str, Any] | None = None
) -> tuple[Session, list[TrialRecord]]:
    """A run as a page has it after `trial`, and its records; `values` by dotted name."""
    session = Session(PRESETS[preset].config.with_values(values or {}))
    session.observe()
    return session, list(session.run(trial + 1))


def smooth(losses: list[float], trials: float = 30.0) -> float:
    """Mean of the losses, each with a weight that fades over so many trials."""
    weights = np.exp(-np.arange(len(losses))[::-1] / trials)
    return float(np.average(losses, weights=weights))


def float32(values: Any) -> list[float]:
    """Numbers as a plot gets them."""
    return np.asarray(values, np.float32).tolist()
