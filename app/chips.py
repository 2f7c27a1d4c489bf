"""The chip that holds the weights of the page's run, where `pcmlab serve --chip` names one."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass

from training.chip.base import Chip

CONNECTED, LOST = "chip {} connected", "chip {} lost: the run waits for it"


@dataclass(frozen=True)
class ChipPlace:
    """Where a chip answers.

    Parameters
    ----------
    address : str
        ``host:port``.
    token_file : str or None
        File with its token; None asks the environment.
    """

    address: str
    token_file: str | None = None


class Line:
    """A worker's connection to its chip; without a place there is none, and weights are simulated in the worker.

    Parameters
    ----------
    place : ChipPlace or None
        Where the chip answers.
    told : callable
        Told in words how the connection stands (`CONNECTED`, `LOST`), and what happened to it, if anything did.
    """

    def __init__(self, place: ChipPlace | None, told: Callable[[str, str | None], None]) -> None:
        self._place, self._told, self._chip = place, told, None

    def chip(self) -> Chip | None:
        """The chip, connected the first time it is asked for; it is waited for when it is lost later.

        Raises
        ------
        PCMLabError
            If it does not answer, or refuses.
        """
        if self._chip is None and self._place is not None:
            self._chip = connected(self._place, self._changed)
            self._told(CONNECTED.format(self._place.address), None)
        return self._chip

    def _changed(self, news: str) -> None:
        stands = LOST if self._chip.lost else CONNECTED
        self._told(stands.format(self._place.address), news)


def connected(place: ChipPlace, told: Callable[[str], object]) -> Chip:
    """A connection; what it needs is loaded when it is asked for."""
    return importlib.import_module("training.chip.serving").connected(place.address, place.token_file, told)
