"""Decisions of late: how many were right, and what was taken for what."""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt


class Tally:
    """Counts the latest decisions.

    Parameters
    ----------
    classes : int
        Number of classes.
    memory : int
        Decisions that are remembered, >= 1.

    Examples
    --------
    >>> tally = Tally(2, memory=3)
    >>> for label, decision in ((0, 1), (0, 0), (1, 1), (1, 1)):
    ...     tally.add(label, decision)
    >>> tally.confusion.tolist(), tally.accuracy
    ([[1, 0], [0, 2]], 1.0)
    """

    def __init__(self, classes: int, memory: int) -> None:
        self._counts = np.zeros((classes, classes), np.int64)
        self._latest: deque[tuple[int, int]] = deque()
        self._memory = memory

    def add(self, label: int, decision: int) -> None:
        """Take in a decision; the oldest goes when there are too many.

        Parameters
        ----------
        label, decision : int
            The right class, and the one that was answered.
        """
        self._latest.append((label, decision))
        self._counts[label, decision] += 1
        if len(self._latest) > self._memory:
            self._counts[self._latest.popleft()] -= 1

    @property
    def confusion(self) -> npt.NDArray[np.int64]:
        """A copy of the counts by right class and answer, ``class, answer``."""
        return self._counts.copy()

    @property
    def accuracy(self) -> float:
        """Share of right decisions; not a number before the first."""
        return float(np.trace(self._counts) / len(self._latest)) if self._latest else float("nan")
