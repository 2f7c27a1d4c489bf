"""What the commands of a chip do."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from pcmsim.errors import FileError
from training.chip import log, token
from training.chip.base import Chip
from training.chip.journal import JournaledChip
from training.chip.log import LoggedChip
from training.chip.remote import PatientChip, RemoteChip
from training.chip.server import ChipServer
from training.chip.simulated import SimulatedChip
from training.config import RunConfig

Told = Callable[[str], object]


def connected(address: str, token_file: str | None, told: Told) -> Chip:
    """The chip at an address, which answers now and is waited for when it is lost later.

    Raises
    ------
    ChipError
        If it does not answer, or refuses.
    """
    chip = RemoteChip(address, token.find(token_file))
    chip.info()
    return PatientChip(chip, told)


def journaled(chip: Chip, path: Path, trial: int | None) -> JournaledChip:
    """A chip whose answers a run writes down; see `training.chip.journal`."""
    return JournaledChip(chip, path, trial)


def serve(options: argparse.Namespace, config: RunConfig, told: Told) -> None:
    """``pcmlab chip serve``: until it is interrupted."""
    shown, place = token.ensure(options.token_file)
    with ExitStack() as stack:
        chip = _chip(options, config, stack)
        server = stack.enter_context(ChipServer(chip, shown, host=options.host, port=options.port))
        told(f"chip at {server.address}; token in {place}; Ctrl-C ends it")
        try:
            server.wait()
        except KeyboardInterrupt:
            told("the chip ends")


def replayed(path: str) -> str:
    """``pcmlab chip replay``: what became of it, in a sentence."""
    about = log.origin(path)
    if not (isinstance(about.get("config"), dict) and isinstance(about.get("cores"), int)):
        raise FileError(path, "is a log of another kind of chip; expected a simulated one")
    chip = SimulatedChip(RunConfig.from_dict(about["config"]), about["cores"])
    return f"{log.replay(path, chip)} exchanges, all answers the same; program {chip.info().number}"


def _chip(options: argparse.Namespace, config: RunConfig, stack: ExitStack) -> Chip:
    chip = SimulatedChip(config, options.cores)
    if not options.log:
        return chip
    origin: dict[str, Any] = {"config": config.to_dict(), "cores": options.cores}
    return stack.enter_context(closing(LoggedChip(chip, options.log, origin, answers=options.log_answers)))
