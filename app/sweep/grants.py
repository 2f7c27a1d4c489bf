"""What an operator lets the visitors of a page name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Grants:
    """What visitors may name that lies outside their own session; nothing, unless the operator says so.

    Parameters
    ----------
    paths : bool
        Files and folders of this machine.
    scheduler : bool
        A Dask scheduler: whatever answers at that address can run code in the server.
    store : bool
        The sweeps that were begun by others, in the run store: of people who know each other.
    address : str
        The scheduler that the operator has named; empty for none.
    """

    paths: bool = False
    scheduler: bool = False
    store: bool = False
    address: str = ""
