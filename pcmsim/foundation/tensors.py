"""Type and place of our tensors, named wherever one is made, and the settings of torch and NumPy that we compute by.

Torch's default type and device belong to whoever uses this library, as do its modes and NumPy's error handling: a run
has the same numbers whatever they are.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Literal, TypedDict

import numpy as np
import torch

Handling = Literal["ignore", "warn"]


class Kind(TypedDict):
    """Keyword arguments of torch's functions that make a tensor."""

    dtype: torch.dtype
    device: str


class Handlings(TypedDict):
    """Keyword arguments of `numpy.errstate`."""

    divide: Handling
    over: Handling
    under: Handling
    invalid: Handling


SINGLE = Kind(dtype=torch.float32, device="cpu")
DOUBLE = Kind(dtype=torch.float64, device="cpu")
WHOLE = Kind(dtype=torch.int64, device="cpu")
COUNT = Kind(dtype=torch.int32, device="cpu")

USUAL = Handlings(divide="warn", over="warn", under="ignore", invalid="warn")
"""NumPy's own handling of what goes wrong in floating-point numbers."""


@contextlib.contextmanager
def usual_numerics() -> Iterator[None]:
    """Around what computes: no inference mode, no autocast, and NumPy's own handling of overflow, in this thread.

    Tensors made in inference mode could not be changed outside of it; autocast multiplies in half precision.

    Examples
    --------
    >>> with torch.inference_mode(), usual_numerics():
    ...     torch.zeros(1, **SINGLE).is_inference()
    False
    """
    if _is_usual():  # Entering takes as long as a hundredth of a short trial.
        yield
        return
    with torch.inference_mode(False), torch.autocast("cpu", enabled=False), np.errstate(**USUAL):
        yield


def _is_usual() -> bool:
    modes = torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu")
    return not any(modes) and np.geterr() == USUAL
