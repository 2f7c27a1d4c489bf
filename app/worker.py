"""The worker's side of a page: a thread that trains, in a process of its own.

Whoever asks writes wishes (play, step, configuration) under a lock that the worker holds only to
read them, and reads a single slot with the latest `Shot`. Neither waits for the other's work, and
nothing that is asked changes the numbers of the run.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

from app.chips import ChipPlace, Line
from app.limits import MOST_BYTES
from app.post import Post
from app.priority import be_modest
from app.shot import Shot
from app.trainer import Trainer
from pcmsim.errors import sentence
from pcmsim.foundation import confinement
from training.config import RunConfig
from training.session import Session
from training.support import ram

Published = Callable[[Shot, "deque[str]"], None]

Numbered = tuple[RunConfig, int]
"""A configuration and the page's number of it."""

Action = tuple[Callable[[Trainer], Any], "Future[Any]"]
"""What to do between two trials, and whom to tell."""


@dataclass
class _Wishes:
    """What the page wants; guarded by the runner's condition."""

    running: bool = False
    steps: int = 0
    config: Numbered | None = None
    restart: Numbered | None = None
    snapshot: bool = False
    actions: tuple[Action, ...] = ()
    stop: bool = False


def _nothing(shot: Shot, notices: deque[str]) -> None:
    pass


class Worker:
    """Trains in a daemon thread of low priority and publishes the latest record.

    The first trial is run at once, so that there is something to see; then the run is paused.

    Parameters
    ----------
    config : RunConfig
        The configuration to begin with.
    run : int
        How many runs there were before.
    published : callable
        Gets every new `latest` and the `notices`, on the worker's thread.
    place : ChipPlace, optional
        Where the chip answers that holds the weights; without one they are simulated here.
    """

    def __init__(
        self, config: RunConfig, run: int = 0, published: Published = _nothing, place: ChipPlace | None = None
    ) -> None:
        self.latest = Shot(0, run, False, config)
        self._published = published
        self.notices: deque[str] = deque(maxlen=20)
        """Sentences for the person, oldest first; the page takes them out."""
        self._wishes = _Wishes(restart=(config, 0))
        self._wake = threading.Condition()
        self._limit, self._line = 0.0, Line(place, self._tell_chip)
        self._thread = threading.Thread(target=self._work, name="pcmlab-worker", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the worker has not been stopped."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Run trials until paused."""
        self._wish(running=True)

    def pause(self) -> None:
        """Finish the present trial, then wait."""
        self._wish(running=False, steps=0)

    def toggle(self) -> None:
        """Pause what runs or is about to, start what does not."""
        with self._wake:
            self._wishes.running = not self._wishes.running
            self._wishes.steps = 0
            self._wake.notify()

    def step(self) -> None:
        """Pause, and run one more trial."""
        with self._wake:
            self._wishes.running = False
            self._wishes.steps += 1
            self._wake.notify()

    def configure(self, config: RunConfig, version: int) -> None:
        """Change settings before the next trial; only the newest wish counts.

        Parameters
        ----------
        config : RunConfig
            The configuration wanted.
        version : int
            The page's number of it; comes back in `Shot.config_version`.
        """
        self._wish(config=(config, version))

    def reset(self, config: RunConfig, version: int) -> None:
        """Begin a new run, paused or running as before; arguments as in `configure`."""
        self._wish(restart=(config, version), config=None, steps=0)

    def ask_snapshot(self) -> None:
        """Publish a snapshot together with the next trial; at once when paused."""
        self._wish(snapshot=True)

    def ask(self, action: Callable[[Trainer], Any]) -> Future[Any]:
        """Have the worker do something between two trials.

        Parameters
        ----------
        action : callable
            Gets the trainer, on the worker's thread.

        Returns
        -------
        concurrent.futures.Future
            Its result. A failure is in it and, as any failure, among the notices.
        """
        future: Future[Any] = Future()
        with self._wake:
            self._wishes.actions += ((action, future),)
            self._wake.notify()
        return future

    def limit(self, trials_per_second: float) -> None:
        """Run at most so many trials per second; 0 is as fast as possible."""
        with self._wake:
            self._limit = trials_per_second
            self._wake.notify()

    def stop(self, timeout: float = 1.0) -> None:
        """End the worker after the present trial; wait up to `timeout` [s] for it."""
        self._wish(stop=True)
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout)

    def _wish(self, **wishes: object) -> None:
        with self._wake:
            for name, value in wishes.items():
                setattr(self._wishes, name, value)
            self._wake.notify()

    def _publish(self, **changes: Any) -> None:
        self.latest = replace(self.latest, version=self.latest.version + 1, **changes)
        self._published(self.latest, self.notices)

    def _tell_chip(self, stands: str, news: str | None) -> None:
        """While a chip is waited for, this thread stands still: what the person reads is published from here."""
        self.notices.extend([news] if news else [])
        self._publish(chip=stands)

    def _work(self) -> None:
        be_modest()
        trainer = Trainer(self._publish, lambda: self.latest, self.ask, self._line.chip)
        while True:
            wishes = self._next_wishes(trainer)
            if wishes.stop:
                return
            self._fulfil(trainer, wishes)

    def _next_wishes(self, trainer: Trainer) -> _Wishes:
        """Wait until there is something to do; take the one-time wishes out."""
        with self._wake:
            while not self._due(trainer):
                self._wake.wait(trainer.pause(self._limit) if self._wishes.running else None)
            taken = replace(self._wishes)
            self._wishes = replace(
                taken, steps=max(0, taken.steps - 1), config=None, restart=None, snapshot=False, actions=()
            )
        return taken

    def _due(self, trainer: Trainer) -> bool:
        wishes = self._wishes
        asked = wishes.stop or wishes.steps or wishes.config or wishes.restart or wishes.actions
        asked = asked or (wishes.snapshot and not wishes.running)
        changed = wishes.running != self.latest.running
        return bool(asked or changed or (wishes.running and trainer.pause(self._limit) <= 0.0))

    def _fulfil(self, trainer: Trainer, wishes: _Wishes) -> None:
        with self._reporting():
            if wishes.restart is not None:
                self.notices.extend(trainer.restart(*wishes.restart))
        with self._reporting():
            if wishes.config is not None:
                trainer.configure(*wishes.config)
        for action, future in wishes.actions:
            with self._reporting():
                _do(action, trainer, future)
        paused = self.latest.running and not wishes.running
        if wishes.running != self.latest.running:
            trainer.mark()
            if not wishes.steps:
                self._publish(running=wishes.running, speed=0.0)
        with self._reporting(halt=True):
            if wishes.steps or (wishes.running and trainer.pause(self._limit) <= 0.0):
                trainer.step(wishes.snapshot or not wishes.running, wishes.running)
            elif wishes.snapshot and wishes.running:
                self.ask_snapshot()
            elif wishes.snapshot or paused:
                trainer.snapshot()
        if not self.latest.running:
            trainer.announce()

    @contextlib.contextmanager
    def _reporting(self, halt: bool = False) -> Iterator[None]:
        """Turn any failure into a notice; the run lives on, paused if a trial itself failed."""
        try:
            yield
        except Exception as error:
            self.notices.append(sentence(error))
            if halt:
                self._wish(running=False, steps=0)
            self._publish(running=self.latest.running and not halt)


def _do(action: Callable[[Trainer], Any], trainer: Trainer, future: Future[Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(action(trainer))
    except Exception as error:
        future.set_exception(error)
        raise


def work(
    connection: Connection,
    config: RunConfig,
    run: int,
    place: ChipPlace | None = None,
    folders: tuple[str, ...] | None = None,
) -> None:
    """What a worker's process does: as it is told through `connection`, until that is closed.

    Parameters
    ----------
    connection : multiprocessing.connection.Connection
        Brings the names of `Worker`'s methods with their arguments; `app.post.Post` tells what goes the other way.
    config, run, place : RunConfig, int, ChipPlace or None
        As in `Worker`.
    folders : tuple of str, optional
        In which alone a configuration may name files; without it, anywhere.
    """
    if folders is not None:
        confinement.confine(*folders)
    ram.cap(MOST_BYTES)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which takes its workers with it.
    post = Post(connection)
    worker = Worker(config, run, post.shot, place)
    with contextlib.suppress(EOFError, OSError):
        while True:
            number, name, arguments = connection.recv()
            result = getattr(worker, name)(*arguments)
            if isinstance(result, Future):
                result.add_done_callback(partial(post.answer, number))
    worker.stop()


def warm_up() -> None:
    """Compile the kernels, so that the first page need not wait for them."""
    config = RunConfig()
    for changed in ({}, {"scheme": "float32"}, {"device.preset": "ideal"}):
        session = Session(config.with_values(changed))
        session.step()
        session.snapshot()
