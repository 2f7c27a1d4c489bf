"""Serve the dashboard: one event loop; a worker process per visitor."""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
import multiprocessing
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from typing import Any

import panel as pn
import panel_material_ui as pmui
from bokeh.document import Document
from threadpoolctl import threadpool_limits
from tornado.ioloop import IOLoop
from tornado.iostream import StreamClosedError
from tornado.websocket import WebSocketClosedError

from app import defaults, delivery, processes, runner, thrift, tidy
from app.browser import link
from app.chips import ChipPlace, connected
from app.history import Curve
from app.loop_monitor import Health, LoopMonitor, Vitals
from app.pages.frame import Served, is_dark
from app.pages.register import PAGES, Entry, Visit, built
from app.patches import bokeh_connection, bokeh_messages, panel_disabled
from app.run.folders import own_folder
from app.server import log_text, sessions
from app.server.access import Access
from app.server.browser import show
from app.server.listening import Listening, Site, build, listen
from app.sweep.grants import Grants
from app.views.ghosts import smoothed
from app.visitors import Limits, Visitors, full_page, notice
from pcmsim.foundation import confinement
from training import pools, racing

log = logging.getLogger(__name__)

TITLE = "pcmlab"
NOTHING = Grants()
WORKERS = (runner.NAME, racing.NAME, pools.NAME)
"""Names of the processes that train."""

View = pmui.Page | pn.pane.HTML
SWITCH_INTERVAL = 0.001
SCRIPTS = {"link": link.SCRIPT, "connection": bokeh_connection.SCRIPT, "thrift": thrift.SCRIPT}
QUIET_LOADER = "#loader:not(.error) { display: none !important }"
"""Plots show as soon as they are drawn: the spinner that would veil them takes time from drawing them."""


def serve(
    port: int = 5006,
    host: str = "localhost",
    open_browser: bool = True,
    allow_origin: list[str] | None = None,
    *,
    token: str | None = None,
    no_token: bool = False,
    allow_embed: list[str] | None = None,
    prefix: str = "",
    trusted_proxy: list[str] | None = None,
    max_sessions: int | str | None = None,
    idle_minutes: float | str | None = None,
    keep_minutes: float | str | None = None,
    allow_paths: bool = False,
    allow_scheduler: bool = False,
    scheduler: str | None = None,
    chip: str | None = None,
    chip_token: str | None = None,
) -> None:
    """Serve all pages until interrupted; ``/health`` tells how the server is, see `Host.health`.

    Parameters
    ----------
    port : int
        TCP port; 0 takes a free one.
    host : str
        Address to listen on.
    open_browser : bool
        Whether to open the page in the default browser.
    allow_origin : list of str, optional
        Further origins whose pages may connect, such as a proxy's: ``host:port`` or ``https://host``.
    token : str, optional
        What visitors have to bring; else ``PCMLAB_TOKEN``, else a new one. The address that is printed holds it.
    no_token : bool
        Serve whoever reaches the port.
    allow_embed : list of str, optional
        Origins whose pages may show ours in a frame.
    prefix : str
        Path below which everything is served, such as ``/lab``.
    trusted_proxy : list of str, optional
        Addresses or networks of proxies that say whom a request comes from.
    max_sessions : int or str, optional
        Live sessions at the same time; else ``PCMLAB_MAX_SESSIONS``, else 12.
    idle_minutes : float or str, optional
        Minutes without a key or a click after which a run pauses, 0 for never; else
        ``PCMLAB_IDLE_MINUTES``, else 120.
    keep_minutes : float or str, optional
        Minutes, at least half of one, for which a session whose browser has gone waits for it, paused, unless its
        place is needed; else ``PCMLAB_KEEP_MINUTES``, else 5.
    allow_paths : bool
        Whether the pages may name files and folders of this machine.
    allow_scheduler : bool
        Whether they may name a Dask scheduler: whoever answers there can run code in this process.
    scheduler : str, optional
        Address of the Dask scheduler whose workers do the sweeps.
    chip : str, optional
        ``host:port`` of a chip that holds the weights; it serves one session at a time.
    chip_token : str, optional
        File with its token; else ``PCMLAB_CHIP_TOKEN``.

    Raises
    ------
    PCMLabError
        If a value is not of its kind or range, the address cannot be listened on, or the chip does not answer.
    """
    chip_place = None if chip is None else ChipPlace(chip, chip_token)
    limits = Limits.asked(max_sessions if chip_place is None else 1, idle_minutes, keep_minutes)
    access = Access.asked(
        token, no_token=no_token, origins=allow_origin, embedding=allow_embed, prefix=prefix, proxies=trusted_proxy
    )
    grants = Grants(allow_paths, allow_scheduler, store=not no_token, address=scheduler or "")
    house = Host(limits, chip_place, grants)
    if not allow_paths:
        confinement.confine()
    if chip_place is not None:
        connected(chip_place, print)
    sockets = listen(host, port)
    # Whatever is put aside from now on, here or by a library, is found by the next server if this one is killed.
    tempfile.tempdir = str(own_folder())
    prepare()
    _end_well_when_told()
    site = Site(
        {entry.path: house.serving(entry) for entry in PAGES},
        {entry.path: f"{entry.title} · {TITLE}" for entry in PAGES},
        house.health,
        limits.keep,
    )
    listening = build(site, access, sockets, host)
    IOLoop.current().add_callback(house.watch)
    print(f"pcmlab: {listening.address} (stop with Ctrl-C)", flush=True)
    _run(listening, open_browser=open_browser)


def _run(listening: Listening, *, open_browser: bool) -> None:
    """Serve until the loop is stopped."""
    listening.server.start()
    file = show(listening.address) if open_browser else None
    try:
        IOLoop.current().start()
    finally:
        if file is not None:
            file.unlink(missing_ok=True)


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
        self.visitors = Visitors(limits.sessions)
        self.monitor = LoopMonitor()
        self.vitals = Vitals(self.monitor)

    def watch(self) -> None:
        """Measure the running loop's lag; from now on a browser that goes in the middle of a frame is no error."""
        self.monitor.start()
        asyncio.get_running_loop().set_exception_handler(_report)

    def serving(self, entry: Entry) -> Callable[[], View]:
        """What Panel calls for each visitor of a page."""
        return lambda: _safely(lambda: self.page(entry))

    def page(self, entry: Entry = PAGES[0], *, linked: bool = True) -> View:
        """A page of one visitor; honours what the address asks for, see `app.url.read`.

        When every place is taken, it says so instead, and nothing is trained.
        """
        document = pn.state.curdoc
        if document is None or document.session_context is None:
            return built(entry, self._visit(None), linked=linked).page
        self.watch()
        if not self.visitors.welcome(document):
            return full_page(self.visitors.live, self.visitors.most)
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
        document.on_session_destroyed(lambda _: _forget(document, served.page))
        return served.page


def page() -> View:
    """`Host.page` for ``panel serve app/main.py``: the Live page alone, with the limits that the environment names."""
    return _safely(lambda: _host().page(linked=False))


ROUTES = [("/health", Health, {"report": lambda: _host().health()}), sessions.ROUTE]
"""For ``panel serve --plugins app.serve app/main.py``: the same ``/health`` and ``/session``."""


@functools.cache
def _host() -> Host:
    confinement.confine()
    return Host(Limits.asked())


def _safely(build: Callable[[], View]) -> View:
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


@functools.cache
def prepare() -> None:
    """Load the browser side's parts and compile the kernels, once per process."""
    tidy.install()
    sys.setswitchinterval(SWITCH_INTERVAL)
    # Its further threads would wait for the next product at full speed, on the processor that paints the page.
    threadpool_limits(1, user_api="blas")
    pn.extension(notifications=True, raw_css=[QUIET_LOADER], js_files=SCRIPTS)
    delivery.install()
    defaults.install()
    panel_disabled.install()
    bokeh_messages.install()
    log_text.install()
    processes.prepare()
    smoothed(Curve().columns(), 1.0)
    # What is loaded stays: to look through all of it for garbage would hold up every page for a third of a second.
    gc.collect()
    gc.freeze()


def _end_well_when_told() -> None:
    """What service managers send is to end the server as Ctrl-C does, with all of its processes."""
    if threading.current_thread() is threading.main_thread():
        loop = IOLoop.current()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: loop.add_callback_from_signal(loop.stop))


if __name__ == "__main__":
    serve()
