"""All pages: where each is served, what it is called, how it is built."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import panel as pn

from app import url
from app.attention import IDLE_MINUTES
from app.chips import ChipPlace
from app.pages import entries, frame
from app.pages.frame import Served
from app.pages.live import Live
from app.pages.race import RacePage
from app.pages.sweep import SweepPage
from app.sweep.grants import Grants
from app.url import Arguments


@dataclass(frozen=True)
class Visit:
    """Who asks for a page.

    Parameters
    ----------
    arguments : mapping
        Of the address.
    dark : bool
        Whether the page begins dark.
    idle : float
        Minutes without a touch after which what trains should pause; 0 for never.
    grants : Grants
        What visitors may name.
    chip : ChipPlace or None
        Where the chip answers that holds the weights of a live run.
    """

    arguments: Arguments = field(default_factory=dict)
    dark: bool = False
    idle: float = IDLE_MINUTES
    grants: Grants = field(default_factory=Grants)
    chip: ChipPlace | None = None


@dataclass(frozen=True)
class Entry:
    """A page.

    Parameters
    ----------
    path : str
        Where it is served, such as ``/race``.
    title : str
        What the navigation calls it.
    build : callable
        Makes it for a visitor.
    """

    path: str
    title: str
    build: Callable[[Visit], Served]


PAGES = (
    Entry("/", "Live", lambda visit: Live(url.read(visit.arguments), idle=visit.idle, place=visit.chip, waits=True)),
    Entry("/race", "Race", lambda visit: RacePage(entries.read(visit.arguments), visit.idle, waits=True)),
    Entry("/sweep", "Sweep", lambda visit: SweepPage(visit.grants, waits=True)),
)


def built(entry: Entry, visit: Visit, *, linked: bool = True) -> Served:
    """A page for a visitor; `linked` to the others where these are served too."""
    if visit.dark:
        pn.config.theme = "dark"
    served = entry.build(visit)
    if linked:
        frame.navigate(served.page, {one.path: one.title for one in PAGES}, entry.path)
    return served
