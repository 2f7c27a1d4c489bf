"""Opens the dashboard from the command line; the dashboard itself is another package, found when it is asked for."""

from __future__ import annotations

import argparse
from importlib import metadata

from pcmsim.errors import PCMLabError
from pcmsim.foundation.quoting import quoted
from pcmsim.foundation.texts import whole
from training.chip import command as chip_command


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``pcmlab serve``; their names are those of `app.serve.serve`."""
    parser.add_argument("--port", type=_port, default=5006, help="port (default 5006)")
    parser.add_argument("--host", default="localhost", help="address to listen on (default localhost)")
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser")
    parser.add_argument(
        "--token",
        metavar="TEXT",
        help="what visitors have to bring (default PCMLAB_TOKEN, which other users cannot read, else a new one)",
    )
    parser.add_argument("--no-token", action="store_true", help="serve whoever reaches the port")
    parser.add_argument(
        "--allow-origin",
        action="append",
        metavar="ORIGIN",
        help="further origin whose pages may connect: host:port or https://host; repeatable",
    )
    parser.add_argument(
        "--allow-embed",
        action="append",
        metavar="ORIGIN",
        help="origin whose pages may show ours in a frame; repeatable; pages of another site need --no-token too",
    )
    parser.add_argument("--prefix", default="", metavar="PATH", help="serve everything below a path such as /lab")
    parser.add_argument(
        "--trusted-proxy",
        action="append",
        metavar="ADDRESS",
        help="proxy that says whom a request comes from (X-Forwarded-For, X-Forwarded-Proto); repeatable",
    )
    parser.add_argument("--max-sessions", metavar="N", help="live sessions at the same time (default 12)")
    parser.add_argument(
        "--max-per-address",
        metavar="N",
        help="those of one address (default two thirds of all; all of this machine's own)",
    )
    parser.add_argument(
        "--idle-minutes", metavar="M", help="pause a run that nobody touches; 0 for never (default 120)"
    )
    parser.add_argument(
        "--keep-minutes", metavar="M", help="keep a run whose page was lost or closed for a reload (default 5)"
    )
    parser.add_argument(
        "--allow-paths", action="store_true", help="let the pages name files and folders of this machine"
    )
    parser.add_argument(
        "--allow-scheduler",
        action="store_true",
        help="let the pages name a Dask scheduler; whoever answers there can run code here",
    )
    parser.add_argument("--scheduler", metavar="ADDRESS", help="Dask scheduler whose workers do the pages' sweeps")
    chip_command.add_run_options(parser)


def command(options: argparse.Namespace) -> None:
    """Serve until interrupted.

    Raises
    ------
    PCMLabError
        If the dashboard is not installed.
    """
    found = metadata.entry_points(group="pcmlab.commands", name="serve")
    if not found:
        raise PCMLabError("serve: the dashboard is not installed; install pcmlab with its app package")
    (entry,) = found
    asked = {name: value for name, value in vars(options).items() if name not in ("command", "no_browser")}
    entry.load()(**asked, open_browser=not options.no_browser)


def _port(text: str) -> int:
    number = whole(text)
    if isinstance(number, str) or not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"must be a port from 0 to 65535, got {quoted(text)}")
    return number
