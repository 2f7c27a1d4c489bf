"""Gradients of several trials, averaged for one update."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from training.eprop import Gradients


class Batch:
    """Gathers gradients until there are enough.

    Parameters
    ----------
    shapes : sequence of tuple of int
        Of the weight arrays.
    size : int
        Trials of a batch.
    """

    def __init__(self, shapes: Sequence[tuple[int, int]], size: int) -> None:
        self._size = size
        self._sums = [torch.zeros(shape) for shape in shapes]
        self._count = torch.zeros((), dtype=torch.int64)

    def add(self, gradients: Gradients) -> Gradients | None:
        """The batch's mean gradients if these complete it, else None."""
        if self._size == 1:
            return gradients
        for total, gradient in zip(self._sums, gradients, strict=True):
            total.add_(gradient)
        self._count += 1
        if int(self._count) < self._size:
            return None
        g_in, g_rec, g_out = (total / self._size for total in self._sums)
        for kept in (*self._sums, self._count):
            kept.zero_()
        return g_in, g_rec, g_out

    def tensors(self) -> dict[str, torch.Tensor]:
        """Everything that changes, by name; nothing where each trial is a batch."""
        named = {"count": self._count, **{f"sum{number}": total for number, total in enumerate(self._sums)}}
        return named if self._size > 1 else {}
