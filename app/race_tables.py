"""A race as tables in long form: its curves, its ranking."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from app.racer import FIELDS, Heat
from training import studies
from training.race import values
from training.ranking import rank

Columns = Mapping[str, Any]


def curves(heat: Heat) -> Columns:
    """Learning curves as fine as they came: lane, seed, and what was measured; one row per point."""
    tracks = {entry: track for entry, track in heat.tracks.items() if len(track)}
    lengths = [len(track) for track in tracks.values()]
    measured = {
        name: np.concatenate(
            [track.column(name)[:length] for track, length in zip(tracks.values(), lengths, strict=True)]
        )
        for name in FIELDS
    }
    return {
        "lane": np.repeat([entry.lane for entry in tracks], lengths),
        "seed": np.repeat([entry.seed for entry in tracks], lengths),
        **{
            name: found.astype(np.int64) if name in ("trial", "sets", "resets") else found
            for name, found in measured.items()
        },
    }


def ranking(heat: Heat) -> Columns:
    """The ranking as it is now; see `training.ranking.Standing`."""
    return studies.table(rank(values(heat.race, heat.reports), heat.race.metric))


TABLES: dict[str, Callable[[Heat], Columns]] = {"curves": curves, "ranking": ranking}
"""Tables that the page hands out, by name."""
