"""Hardware in the loop: a run whose weights a chip holds, in this process or behind a server.

A run takes any `Chip`: ``Session(config, chip)``. `simulated.SimulatedChip` is one in this process, and a run on it
has the numbers of the compiled loop. ``pcmlab chip serve CONFIG --log FILE`` puts one behind a server,
``pcmlab run CONFIG --chip localhost:5700`` trains on it and waits for it when it is lost.

A lab puts its own chip behind the same calls with one subclass of `Chip`: six methods, which check what they are
given with `checks` before they do anything. Its tests run `contract.PROMISES`;
``server.ChipServer(log.LoggedChip(chip, path, origin), token)`` serves it.
"""

from training.chip.base import (
    DETERMINISTIC,
    PROTOCOL,
    TIMELESS,
    Chip,
    ChipError,
    ChipInfo,
    ChipLostError,
    LayerInfo,
    LayerRead,
)

__all__ = [
    "DETERMINISTIC",
    "PROTOCOL",
    "TIMELESS",
    "Chip",
    "ChipError",
    "ChipInfo",
    "ChipLostError",
    "LayerInfo",
    "LayerRead",
]
