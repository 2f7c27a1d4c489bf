"""Subjects that go wrong, so that a test can see whether the runner tells it."""

from __future__ import annotations

import ctypes
import random
from pathlib import Path

import numpy as np
from subjects import Give, subject

from pcmsim.errors import FieldError


def _always(act: object) -> Give:
    return lambda rng, here: act()  # type: ignore[operator]


@subject(0)
def traceback(folder: Path) -> Give:
    """An error that nobody foresaw."""
    return _always(lambda: {}["missing"])


@subject(0)
def endless(folder: Path) -> Give:
    """A loop."""

    def loop() -> None:
        while True:
            pass

    return _always(loop)


@subject(0)
def large(folder: Path) -> Give:
    """A gigabyte and a half."""
    return _always(lambda: np.ones(3 * 2**29, np.uint8).sum())


@subject(0)
def deadly(folder: Path) -> Give:
    """A process that ends at every other input."""

    def give(rng: random.Random, here: Path) -> None:
        if rng.random() < 0.5:
            ctypes.string_at(0)
        raise FieldError("input", "another one", 1)

    return give


@subject(0)
def wordy(folder: Path) -> Give:
    """A refusal that quotes all of its input."""

    def refuse() -> None:
        raise FieldError("input", "x" * 10_000, 1)

    return _always(refuse)
