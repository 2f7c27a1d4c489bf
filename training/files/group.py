"""Runs of a run store that belong together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Group:
    """Runs that belong together.

    Parameters
    ----------
    name : str
        Its name in the store.
    kind : str
        ``race``, ``sweep`` or ``study``.
    created : str
        When, as ISO 8601 in UTC.
    about : mapping
        What was asked for, as plain values.
    keys : tuple of str
        Its runs, finished or not, in their order.
    """

    name: str
    kind: str
    created: str
    about: Mapping[str, Any]
    keys: tuple[str, ...]
