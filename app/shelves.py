"""Where a page finds the sweeps that were begun earlier: in the run store; where strangers come, in itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from pcmsim.errors import UnknownNameError
from training import sweep as sweeps
from training.store import Store
from training.sweep import Sweep

KIND = "sweep"
MOST = 60
"""Sweeps that are offered: the latest."""


class Shelf(Protocol):
    """Sweeps by name; any thread may ask."""

    def keep(self, sweep: Sweep, store: Store) -> None:
        """Keep what a sweep is that begins; one of the same name is replaced."""

    def names(self, store: Store | None) -> tuple[str, ...]:
        """Those that are kept, the latest first."""

    def about(self, name: str, store: Store | None) -> Mapping[str, Any]:
        """A sweep's plain values.

        Raises
        ------
        UnknownNameError
            If there is none of that name.
        """


class InStore:
    """The run store's own groups: for people who share it knowingly, with each other and with ``pcmlab sweep``."""

    def keep(self, sweep: Sweep, store: Store) -> None:
        """Keep it as a group of the store."""
        sweeps.keep(sweep, store)

    def names(self, store: Store | None) -> tuple[str, ...]:
        """The store's latest groups that are sweeps."""
        latest = [] if store is None else reversed(store.groups()[-MOST:])
        return tuple(name for name in latest if store is not None and store.group(name).kind == KIND)

    def about(self, name: str, store: Store | None) -> Mapping[str, Any]:
        """What the store's group holds."""
        if store is None:
            raise UnknownNameError("group of runs", name, ())
        return store.group(name).about


class InPage:
    """Sweeps that were begun on one page, for as long as it lives: strangers see and replace each other's by no name.

    The runs themselves are everybody's: they are named by what they are, and whoever asks for the same finds them.
    """

    def __init__(self) -> None:
        self._held: dict[str, dict[str, Any]] = {}

    def keep(self, sweep: Sweep, store: Store) -> None:
        """Keep it here; of too many the oldest goes."""
        others = {name: about for name, about in self._held.items() if name != sweep.name}
        self._held = dict([*others.items(), (sweep.name, sweep.to_dict())][-MOST:])

    def names(self, store: Store | None) -> tuple[str, ...]:
        """Those that were begun here."""
        return tuple(reversed(self._held))

    def about(self, name: str, store: Store | None) -> Mapping[str, Any]:
        """What was begun here under that name."""
        if name not in self._held:
            raise UnknownNameError("sweep of this page", name, self._held)
        return self._held[name]
