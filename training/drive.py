"""What arrives at the hidden neurons of a trial: the measure that noise is held against."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from training import spikes
from training.records import Snapshot, TrialRecord
from training.session import Session

Raster = npt.NDArray[np.float32]


def arriving(session: Session, record: TrialRecord) -> dict[str, Raster]:
    """Spikes that reach the hidden neurons in each step, ``time, pre``, by layer.

    Hidden spikes arrive one step after they are sent.
    """
    fired = spikes.to_raster(record.hidden, session.config.network.hidden).astype(np.float32)
    return {
        "input": spikes.to_raster(record.inputs, session.sampler.inputs).astype(np.float32),
        "recurrent": np.concatenate((np.zeros_like(fired[:1]), fired[:-1])),
    }


def strength(rasters: dict[str, Raster], snapshot: Snapshot) -> float:
    """Variance in time of the current that arrives, mean over neurons: the sum of the weights of all spikes."""
    current = sum(raster @ snapshot[layer].weights for layer, raster in rasters.items())
    return float(np.var(current, axis=0).mean())
