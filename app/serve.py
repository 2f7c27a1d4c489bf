"""Serve the dashboard: one event loop; a worker process per visitor."""

from __future__ import annotations

import functools
import gc
import signal
import sys
import tempfile
import threading

import panel as pn
from threadpoolctl import threadpool_limits
from tornado.ioloop import IOLoop

from app import defaults, delivery, processes, thrift, tidy
from app.browser import link
from app.chips import ChipPlace, connected
from app.history import Curve
from app.loop_monitor import Health
from app.pages.register import PAGES
from app.patches import bokeh_connection, bokeh_messages, panel_disabled
from app.run.folders import own_folder
from app.server import log_text, sessions
from app.server.access import Access
from app.server.browser import show
from app.server.host import Host, View, safely
from app.server.limits import Limits
from app.server.listening import Listening, Site, build, listen
from app.sweep.grants import Grants
from app.views.ghosts import smoothed
from pcmsim.foundation import confinement

TITLE = "pcmlab"
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
    max_per_address: int | str | None = None,
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
    max_per_address : int or str, optional
        Those of one address; else ``PCMLAB_MAX_PER_ADDRESS``, else two thirds of all, and all of this machine's own.
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
    limits = Limits.asked(
        max_sessions if chip_place is None else 1, idle_minutes, keep_minutes, per_address=max_per_address
    )
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


def page() -> View:
    """`Host.page` for ``panel serve app/main.py``: the Live page alone, with the limits that the environment names."""
    return safely(lambda: _host().page(linked=False))


ROUTES = [("/health", Health, {"report": lambda: _host().health()}), sessions.ROUTE]
"""For ``panel serve --plugins app.serve app/main.py``: the same ``/health`` and ``/session``."""


@functools.cache
def _host() -> Host:
    confinement.confine()
    return Host(Limits.asked())


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
