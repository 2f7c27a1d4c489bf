"""What the page asks of the worker besides training; each returns at once, its result comes with a shot."""

from __future__ import annotations

from concurrent.futures import Future
from operator import methodcaller
from typing import Any

from app.runner import Runner


class Requests:
    """Requests of one page.

    Parameters
    ----------
    runner : Runner
        The page's worker.
    """

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._paired: Future[Any] | None = None

    @property
    def pairing(self) -> bool:
        """Whether the twin that was asked for last is still to come."""
        return self._paired is not None and not self._paired.done()

    def look(self) -> None:
        """Have the devices' state published."""
        self._runner.ask_snapshot()

    def pick_cell(self, layer: str, pre: int, post: int) -> None:
        """Report on a synapse from now on."""
        self._ask("pick_cell", layer, pre, post)

    def pick_neuron(self, number: int) -> None:
        """Report on a hidden neuron from now on."""
        self._ask("pick_neuron", number)

    def drop_pick(self) -> None:
        """Report on nothing in particular."""
        self._ask("drop_pick")

    def pair(self, name: str | None) -> None:
        """Let a twin without the named non-ideality go beside the run; None ends it."""
        self._paired = self._ask("pair", name)

    def fast_forward(self, seconds: float) -> None:
        """Leave the chip alone for `seconds`."""
        self._ask("fast_forward", seconds)

    def compare_gradients(self) -> None:
        """Compare e-prop with backpropagation through time."""
        self._ask("compare_gradients")

    def _ask(self, method: str, *arguments: object) -> Future[Any]:
        return self._runner.ask(methodcaller(method, *arguments))
