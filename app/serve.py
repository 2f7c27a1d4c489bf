"""Serve the dashboard from one process: one event loop, one worker thread per visitor."""

from __future__ import annotations

import functools
import socket
import sys

import panel as pn
import panel_material_ui as pmui

from app.pages.live import DEFAULT_PRESET, Live
from app.runner import warm_up
from pcmsim.errors import PCMLabError, UnknownNameError
from training.presets import PRESETS

TITLE = "pcmlab"
UNUSED_LIFETIME_MS = 30_000
SWITCH_INTERVAL = 0.0001
QUIET_LOADER = "#loader:not(.error) { display: none !important }"
"""Plots show as soon as they are drawn: the spinner that would veil them takes time from drawing them."""


def serve(
    port: int = 5006, host: str = "localhost", open_browser: bool = True, allow_origin: list[str] | None = None
) -> None:
    """Serve the Live page until interrupted.

    Parameters
    ----------
    port : int
        TCP port; 0 takes a free one.
    host : str
        Address to listen on.
    open_browser : bool
        Whether to open the page in the default browser.
    allow_origin : list of str, optional
        Further ``host:port`` names under which browsers may connect, such as a proxy's.

    Raises
    ------
    PCMLabError
        If the address cannot be listened on.
    """
    port = _bindable(host, port)
    prepare()
    print(f"pcmlab: http://{host}:{port}/ (stop with Ctrl-C)", flush=True)
    pn.serve(
        {"/": page},
        title=TITLE,
        port=port,
        address=host,
        show=open_browser,
        verbose=False,
        websocket_origin=[f"{host}:{port}", f"localhost:{port}", f"127.0.0.1:{port}", *(allow_origin or [])],
        unused_session_lifetime=UNUSED_LIFETIME_MS,
        check_unused_sessions=UNUSED_LIFETIME_MS // 3,
    )


def page() -> pmui.Page:
    """The page of one visitor; honours ``?preset=NAME`` and ``?autoplay=1``."""
    preset, problem = _asked_preset()
    live = Live(preset, autoplay=_argument("autoplay") == "1")
    document = pn.state.curdoc
    if document is not None:
        live.attach(document)
        if problem:
            pn.state.onload(lambda: pn.state.notifications.warning(problem, duration=8000))
    return live.page


@functools.cache
def prepare() -> None:
    """Load the browser side's parts and compile the kernels, once per process."""
    sys.setswitchinterval(SWITCH_INTERVAL)
    pn.extension(notifications=True, raw_css=[QUIET_LOADER])
    warm_up()


def _bindable(host: str, port: int) -> int:
    """The port, or a free one for 0, once it is known that it can be listened on."""
    try:
        with socket.create_server((host, port)) as server:
            return int(server.getsockname()[1])
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise PCMLabError(
            f"serve: cannot listen on {host}:{port} ({reason}); choose another --host or --port"
        ) from error


def _asked_preset() -> tuple[str, str]:
    """The preset named in the address, and what is wrong with it."""
    name = _argument("preset") or DEFAULT_PRESET
    try:
        PRESETS[name]
    except UnknownNameError as error:
        return DEFAULT_PRESET, str(error)
    return name, ""


def _argument(name: str) -> str:
    values = pn.state.session_args.get(name, [b""])
    return values[0].decode("utf-8", "replace")


if __name__ == "__main__":
    serve()
