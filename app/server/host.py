"""Receives visitors: a page for each, a place when its browser connects, and what is left of it when it has gone."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
from collections.abc import Callable
from typing import Any

import panel as pn
import panel_material_ui as pmui
from bokeh.document import Document
from tornado.iostream import StreamClosedError
from tornado.websocket import WebSocketClosedError

from app import runner
from app.chips import ChipPlace
from app.delivery import let_go
from app.loop_monitor import LoopMonitor, Vitals
from app.pages.frame import Served, is_dark
from app.pages.register import PAGES, Entry, Visit, built
from app.server import sessions
from app.server.arrivals import once_connected
from app.server.limits import Limits
from app.sweep.grants import Grants
from app.visitors import Visitors, notice
from training import pools, racing

log = logging.getLogger(__name__)

WORKERS = (runner.NAME, racing.NAME, pools.NAME)
"""Names of the processes that train."""

NOTHING = Grants()
View = pmui.Page | pn.pane.HTML


class Host:
    """Receives the visitors of one server process.

    Parameters
    ----------
    limits : Limits
        What they are granted.
    chip : ChipPlace, optional
        Where the chip answers that holds their weights.
    grants : Grants
        What they may name.
    """

    def __init__(self, limits: Limits, chip: ChipPlace | None = None, grants: Grants = NOTHING) -> None:
        self.limits, self.chip, self.grants = limits, chip, grants
        self.visitors = Visitors(limits.sessions, limits.per_address)
        self.monitor = LoopMonitor()
        self.vitals = Vitals(self.monitor)

    def watch(self) -> None:
        """Measure the running loop's lag; from now on a browser that goes in the middle of a frame is no error."""
        self.monitor.start()
        asyncio.get_running_loop().set_exception_handler(_report)

    def serving(self, entry: Entry) -> Callable[[], View]:
        """What Panel calls for each visitor of a page."""
        return lambda: safely(lambda: self.page(entry))

    def page(self, entry: Entry = PAGES[0], *, linked: bool = True) -> View:
        """A page of one visitor; honours what the address asks for, see `app.url.read`.

        When every place is taken, it says so instead, and nothing is trained.
        """
        document = pn.state.curdoc
        if document is None or document.session_context is None:
            return built(entry, self._visit(None), linked=linked).page
        self.watch()
        if not self.visitors.awaits(document):
            return self.visitors.refused(document)
        try:
            return self._attached(built(entry, self._visit(document), linked=linked), document)
        except BaseException:
            self.visitors.release(document.session_context.id)
            raise

    async def health(self) -> dict[str, Any]:
        """How the server is.

        Returns
        -------
        dict
            ``sessions``, those that hold a place, and ``max_sessions``; ``workers``, the processes that
            train; and what `app.loop_monitor.Vitals` tells.
        """
        workers = sum(process.name in WORKERS for process in multiprocessing.active_children())
        counts = {"sessions": self.visitors.live, "max_sessions": self.visitors.most, "workers": workers}
        return {**counts, **await self.vitals.read()}

    def _visit(self, document: Document | None) -> Visit:
        arguments = pn.state.session_args
        dark = is_dark(arguments, {} if document is None else pn.state.cookies)
        return Visit(arguments, dark, self.limits.idle, self.grants, self.chip)

    def _attached(self, served: Served, document: Document) -> pmui.Page:
        """A page, streaming into its document."""
        served.attach(document)
        sessions.end_unless_used(document)
        once_connected(document, lambda: self._let_in(served, document))
        document.on_session_destroyed(lambda _: _forget(document, served.page))
        return served.page

    def _let_in(self, served: Served, document: Document) -> None:
        """Begin what a page does; where somebody else has got the last place meanwhile, its browser has to ask anew."""
        if self.visitors.welcome(document):
            served.arrive()
        else:
            sessions.end(document)
            let_go(document)


def safely(build: Callable[[], View]) -> View:
    """A page, or one that says that there is none: Panel would show a visitor the error with all its paths."""
    try:
        return build()
    except Exception:
        log.exception("A page could not be built.")
        return notice("Something went wrong", "This page could not be built. The server's log says why.")


def _report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what goes wrong in a task, except that a frame did not reach a browser that has gone."""
    if not isinstance(context.get("exception"), WebSocketClosedError | StreamClosedError):
        loop.default_exception_handler(context)


def _forget(document: Document, page: pmui.Page) -> None:
    """Cut the two threads by which Panel would keep a session that has ended, some 5 MB of it, for ever.

    One is the page's watch on the process-wide busy flag, the other the notifications' entry in the list of views.
    """
    for _, watcher in page._param__private.ref_watchers:
        (watcher.cls if watcher.inst is None else watcher.inst).param.unwatch(watcher)
    page._param__private.ref_watchers = []
    for reference, (_, _, owner, _) in list(pn.state._views.items()):
        if owner is document:
            pn.state._views.pop(reference, None)
