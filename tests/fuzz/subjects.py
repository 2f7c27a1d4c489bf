"""What is fuzzed: for each kind of input, how one is made from a seed and handed to the product."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Give = Callable[[random.Random, Path], object]
"""Make an input in a folder and hand it over. Raises `PCMLabError` if it is refused; anything else is a finding."""


@dataclass(frozen=True)
class Subject:
    """One kind of input.

    Parameters
    ----------
    number : int
        Inputs of the long form.
    prepare : callable
        Makes, in an empty folder, what all inputs begin with, and returns how one is handed over.
    """

    number: int
    prepare: Callable[[Path], Give]


SUBJECTS: dict[str, Subject] = {}


def subject(number: int) -> Callable[[Callable[[Path], Give]], Callable[[Path], Give]]:
    """Decorator that files a subject under its function's name."""

    def file(prepare: Callable[[Path], Give]) -> Callable[[Path], Give]:
        SUBJECTS[prepare.__name__] = Subject(number, prepare)
        return prepare

    return file
