"""Hardware in the loop: a run whose weights a chip holds, in this process or behind a server.

A lab writes one subclass of `Chip` and tests it with `training.chip.contract`.
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
