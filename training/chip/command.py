"""``pcmlab chip``: serve a simulated chip, replay its log; and the options of a run on a chip."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pcmsim.foundation.quoting import quoted
from pcmsim.foundation.texts import whole
from training.chip.base import Chip
from training.config import RunConfig

if TYPE_CHECKING:
    from training.chip.journal import JournaledChip

Configure = Callable[[argparse.Namespace], RunConfig]


def add_options(
    parser: argparse.ArgumentParser, configured: Callable[[argparse.ArgumentParser], None], load: Configure
) -> None:
    """Add the commands of ``pcmlab chip``.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Of ``pcmlab chip``.
    configured : callable
        Adds the arguments that choose a configuration.
    load : callable
        Reads them.
    """
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serving = commands.add_parser(
        "serve", help="a simulated chip as a server", description="a simulated chip as a server"
    )
    configured(serving)
    serving.add_argument("--port", type=_port, default=5700, help="port; 0 takes a free one (default 5700)")
    serving.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    serving.add_argument("--log", metavar="FILE", help="every program goes there first; started again, it goes on")
    serving.add_argument("--log-answers", action="store_true", help="digests of all sums and reads go there too")
    serving.add_argument("--token-file", metavar="FILE", help="token that callers show; made if there is none")
    serving.add_argument("--cores", type=int, default=64, metavar="N", help="cores of the chip (default 64)")
    serving.set_defaults(command=lambda options: _serve(options, load(options)))
    replaying = commands.add_parser(
        "replay", help="repeat a log; are all answers the same?", description="repeat a log"
    )
    replaying.add_argument("log", help="log of a served chip")
    replaying.set_defaults(command=_replay)


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Add what says that a run's weights are on a chip."""
    parser.add_argument(
        "--chip", metavar="ADDRESS", help="host:port of a chip that holds the weights; waited for if lost"
    )
    parser.add_argument("--chip-token", metavar="FILE", help="file with its token (default: $PCMLAB_CHIP_TOKEN)")


def connected(options: argparse.Namespace) -> Chip | None:
    """The chip that the options name; a lost one is waited for."""
    if options.chip is None:
        return None
    chip: Chip = _serving().connected(options.chip, options.chip_token, _tell)
    return chip


def journaled(chip: Chip, path: Path, trial: int | None = None) -> JournaledChip:
    """A chip whose answers a run writes down, so that it can be killed; see `training.chip.journal`.

    Parameters
    ----------
    chip : Chip
        The chip.
    path : Path
        The journal.
    trial : int, optional
        Trials of the checkpoint that the run goes on from; without it, it is new.
    """
    made: JournaledChip = _serving().journaled(chip, path, trial)
    return made


def _serve(options: argparse.Namespace, config: RunConfig) -> None:
    _serving().serve(options, config, _tell)


def _replay(options: argparse.Namespace) -> None:
    print(_serving().replayed(options.log))


def _serving() -> Any:
    """What needs gRPC and msgpack: loaded when a chip is asked for, so that all else starts without."""
    return importlib.import_module("training.chip.serving")


def _port(text: str) -> int:
    number = whole(text)
    if isinstance(number, str) or not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"must be a port from 0 to 65535, got {quoted(text)}")
    return number


def _tell(text: str) -> None:
    print(f"pcmlab: {text}", file=sys.stderr, flush=True)
