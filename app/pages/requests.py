"""What the page asks of the worker besides training; each returns at once, its result comes with a shot."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from functools import partial

from app.priority import be_modest
from app.runner import Runner
from app.trainer import Trainer
from training import honesty
from training.honesty import Question


class Requests:
    """Requests of one page.

    Parameters
    ----------
    runner : Runner
        The page's worker.
    """

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._comparing = threading.Lock()

    def look(self) -> None:
        """Have the devices' state published."""
        self._runner.ask_snapshot()

    def pick_cell(self, layer: str, pre: int, post: int) -> None:
        """Report on a synapse from now on."""
        self._runner.ask(lambda trainer: trainer.pick_cell(layer, pre, post))

    def pick_neuron(self, number: int) -> None:
        """Report on a hidden neuron from now on."""
        self._runner.ask(lambda trainer: trainer.pick_neuron(number))

    def drop_pick(self) -> None:
        """Report on nothing in particular."""
        self._runner.ask(lambda trainer: trainer.drop_pick())

    def pair(self, name: str | None) -> None:
        """Let a twin without the named non-ideality go beside the run; None ends it."""
        self._runner.ask(lambda trainer: trainer.pair(name))

    def fast_forward(self, seconds: float) -> None:
        """Leave the chip alone for `seconds`."""
        self._runner.ask(lambda trainer: trainer.fast_forward(seconds))

    def compare_gradients(self) -> bool:
        """Compare e-prop with backpropagation through time; False if a comparison is under way."""
        if not self._comparing.acquire(blocking=False):
            return False
        self._runner.ask(lambda trainer: (trainer.question(), self._runner.latest.run)).add_done_callback(self._asked)
        return True

    def _asked(self, future: Future[tuple[Question, int]]) -> None:
        if future.cancelled() or future.exception() is not None:
            self._comparing.release()
            return
        threading.Thread(target=self._answer, args=future.result(), name="pcmlab-honesty", daemon=True).start()

    def _answer(self, question: Question, run: int) -> None:
        """Publish the answer, or the failure as any other of the worker's."""
        be_modest()
        try:
            compared = honesty.answer(question)
            self._runner.ask(lambda trainer: trainer.answered(compared, run))
        except Exception as error:
            self._runner.ask(partial(_fail, error))
        finally:
            self._comparing.release()


def _fail(error: Exception, trainer: Trainer) -> None:
    raise error
