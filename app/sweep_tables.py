"""A sweep as tables: its cells, and its runs as far as they are finished."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from app.sweeper import Harvest
from pcmsim.errors import PCMLabError
from training.store import Store
from training.sweep import summarised

Columns = Mapping[str, Any]


def cells(harvest: Harvest, metric: str) -> Columns:
    """Mean, spread and number over the seeds, by cell; see `training.sweep.Sweep.summary`."""
    return _columns(summarised(_runs(harvest), harvest.sweep.varied if harvest.sweep else [], metric))


def runs(harvest: Harvest, metric: str) -> Columns:
    """Finished runs, one row each; see `training.sweep.Sweep.table`."""
    return _columns(_runs(harvest))


def _runs(harvest: Harvest) -> Any:
    if harvest.sweep is None or not harvest.folder:
        raise PCMLabError("There is no sweep yet: press Start.")
    return harvest.sweep.table(Store(harvest.folder, read_only=True))


def _columns(table: Any) -> Columns:
    return {str(name): table[name].tolist() for name in table}


TABLES: dict[str, Callable[[Harvest, str], Columns]] = {"cells": cells, "runs": runs}
"""Tables that the page hands out, by name."""
